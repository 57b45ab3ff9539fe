"""The supervisor: children that die, a port that is taken, its own end."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from gateway.app import supervisor
from gateway.app.configuration import Configuration, ConfigurationError
from gateway.app.supervisor import running_gateway
from gateway.cli.serve import HARD_STOP_STATUS
from tests.app.test_drain import lives
from tests.kit.centre import Made, poll


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


def _children(of: int) -> set[int]:
    """Process ids of the gateway's processes that a process started, from whichever of its threads."""
    found = set()
    for thread in Path(f"/proc/{of}/task").iterdir():
        for word in (thread / "children").read_text().split():
            if "gateway.app" in Path(f"/proc/{word}/cmdline").read_text():
                found.add(int(word))
    return found


@pytest.mark.trio
async def test_a_crashed_ops_process_is_started_again(made: Made) -> None:
    async with made.gateway() as gateway:
        first = gateway.pids["ops"]
        assert "sekisho" in await trio.to_thread.run_sync(_metrics, gateway.ops_port)
        os.kill(first, signal.SIGKILL)
        with trio.fail_after(20):
            while gateway.restarts == 0:
                await trio.sleep(0.01)
        assert gateway.pids["ops"] != first
        assert "sekisho" in await trio.to_thread.run_sync(_metrics, gateway.ops_port)


@pytest.mark.trio
async def test_leaving_while_a_child_is_started_again_leaves_nobody(made: Made) -> None:
    for wait_s in (0.0, 0.06, 0.3):
        async with made.gateway() as gateway:
            assert _children(os.getpid()) == set(gateway.pids.values())
            os.kill(gateway.pids["worker-0"], signal.SIGKILL)
            await trio.sleep(wait_s)
        assert not _children(os.getpid())


@pytest.mark.trio
async def test_a_port_in_use_is_one_line_with_its_remedy(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        configuration = Configuration.__new__(Configuration)
        configuration.__dict__.update(made.configuration.__dict__)
        configuration.line = msgspec.structs.replace(made.configuration.line, listen=address)
        with pytest.raises(ConfigurationError) as caught:
            async with running_gateway(configuration, made.dsns):
                pass
    said = str(caught.value)
    assert "\n" not in said
    assert f"[line] listen: {address} is in use" in said
    assert "choose another port" in said


@asynccontextmanager
async def _command(made: Made, directory: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`sekisho serve` by DSN, ready; what it says is in directory/said."""
    text = (made.data / "sekisho.toml").read_text()
    dsns = "\n".join(f'{name}_dsn = "{getattr(made.dsns, name)}"' for name in ("gateway", "ops", "owner"))
    embedded = next(line for line in text.splitlines() if line.startswith("embedded"))
    configuration = made.data / f"by-dsn-{directory.name}.toml"
    configuration.write_text(text.replace(embedded, dsns))
    with (directory / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--config", str(configuration)], stdout=said, stderr=said
        )
    try:
        await poll(lambda: _has_said(process, directory, "metrics on"), within_s=30)
        yield process
    finally:
        process.kill()
        process.wait()


async def _has_said(process: subprocess.Popen[bytes], directory: Path, text: str) -> bool:
    said = (directory / "said").read_text()
    assert process.poll() is None, said
    return text in said


async def _all_gone(children: set[int]) -> None:
    async def gone() -> bool:
        return not any(lives(pid) for pid in children)

    await poll(gone, within_s=20)


async def _open_ends(made: Made) -> int:
    """Streams without their CLOSE."""
    return len(
        await made.owner(
            "select 1 from ledger.stream s where not exists (select from ledger.block b where b.stream = s.id"
            " and b.height = (select max(height) from ledger.block where stream = s.id) and length(b.entries) = 0)"
        )
    )


@pytest.mark.trio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
async def test_the_command_leaves_no_child_whatever_ends_it(made: Made, tmp_path: Path, number: int) -> None:
    async with _command(made, tmp_path) as process:
        children = _children(process.pid)
        assert len(children) == 3
        process.send_signal(number)
        status = await trio.to_thread.run_sync(lambda: process.wait(20))
    await _all_gone(children)
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert not await _open_ends(made), "a stream was left without its CLOSE"


@pytest.mark.trio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_command_at_once_and_its_status_says_so(
    made: Made, tmp_path: Path, number: int
) -> None:
    async with _command(made, tmp_path) as process:
        children = _children(process.pid)
        for pid in children:
            os.kill(pid, signal.SIGSTOP)  # they cannot drain: without the second signal this would take DRAIN_S_MAX
        process.send_signal(number)
        await poll(lambda: _has_said(process, tmp_path, "draining"), within_s=10)
        began = time.monotonic()
        process.send_signal(number)
        status = await trio.to_thread.run_sync(lambda: process.wait(20))
        assert time.monotonic() - began < supervisor.DRAIN_S_MAX / 2
    await _all_gone(children)
    assert status == HARD_STOP_STATUS
    assert "ended without draining" in (tmp_path / "said").read_text()
    assert await _open_ends(made)
    async with made.gateway():
        pass
    assert not await _open_ends(made), "the next start did not close what was left"
