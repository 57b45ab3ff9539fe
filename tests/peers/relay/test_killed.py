"""A relay that is killed: a real process, a real line, and SIGKILL where it hurts most."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest
import trio

from gateway.peers.relay import outbox, totals
from gateway.peers.relay.store import open_store
from protocol import issuance
from protocol.ledger import EntryKind
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.peers.relay.kit import DAY, Centre, Site, authenticate, call, complete, erase, until

pytestmark = [pytest.mark.trio, pytest.mark.slow]
ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def relay_process(data: Path, centre_port: int) -> AsyncIterator[tuple[trio.Process, int]]:
    """`sekisho relay serve`, and the kiosks' port it said."""
    arguments = [
        *(sys.executable, "-m", "gateway.cli", "relay", "serve", "--data", str(data)),
        *("--port", "0", "--page-port", "0", "--line-port", str(centre_port)),
    ]
    process = await trio.lowlevel.open_process(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        said = b""
        with trio.fail_after(30):
            while b"\n" not in said:
                assert process.stdout is not None
                more = await process.stdout.receive_some()
                assert more, "the relay ended before it served"
                said += more
        yield process, int(said.split(b"port ")[1].split(b";")[0])
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()


def sockets(pid: int) -> tuple[set[int], set[int]]:
    """Ports a process listens at, and remote ports of its connections."""
    mine = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            mine.add(str(descriptor.readlink()))
    listening, remote = set(), set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" not in mine:
            continue
        if fields[3] == "0A":
            listening.add(int(fields[1].split(":")[1], 16))
        elif int(fields[1].split(":")[1], 16) not in listening:
            remote.add(int(fields[2].split(":")[1], 16))
    return listening, remote


async def test_a_relay_listens_for_kiosks_and_its_page_and_calls_the_centre_alone(site: Site, data: Path) -> None:
    centre = Centre()
    async with site.centre_at(centre) as place, relay_process(data, place.port) as (process, kiosks):
        async with site.kiosk(data, kiosks) as client:
            await call(client, Operation.CHALLENGE, issuance.Challenge("kiosk-1"))
            listening, _ = await trio.to_thread.run_sync(sockets, process.pid)
            assert kiosks in listening
            assert len(listening) == 2
        await until(lambda: sockets(process.pid)[1] == {place.port})
        process.terminate()
        with trio.fail_after(15):
            assert await process.wait() == 0


@pytest.mark.parametrize("recorded", [False, True], ids=["centre-away", "answer-lost"])
async def test_what_was_taken_over_outlives_a_kill_and_counts_once(site: Site, data: Path, recorded: bool) -> None:
    centre = Centre()
    async with site.centre_at(centre) as place:
        port = place.port
        async with relay_process(data, port) as (process, kiosks), site.kiosk(data, kiosks) as client:
            told = await call(client, Operation.AUTHENTICATE, authenticate(site))
            relayed = msgspec.msgpack.decode(told.body, type=issuance.Relayed)
            begun = msgspec.msgpack.decode(relayed.body, type=issuance.Authenticated)
            place.gate.silent = True
            if not recorded:
                centre.fail = lambda _: Outcome.UNAVAILABLE
            completing = client.new_id()
            taken = await call(client, Operation.COMPLETE, complete(begun.application), request_id=completing)
            assert taken.outcome == Outcome.TAKEN_OVER
            await until(lambda: "COMPLETE" in centre.operations())
            process.kill()
            await process.wait()
    with open_store(data) as store:
        assert outbox.depth(store).held == 1
    centre.fail = None
    async with (
        site.centre_at(centre, port=port),
        relay_process(data, port) as (_, kiosks),
        site.kiosk(data, kiosks) as client,
    ):
        again = await call(client, Operation.COMPLETE, complete(begun.application), request_id=completing)
        assert again.outcome == Outcome.TAKEN_OVER
        assert (await call(client, Operation.ERASE, erase(begun.application))).outcome == Outcome.TAKEN_OVER
        with open_store(data) as store:
            await until(lambda: outbox.depth(store).held == 0)
            (total,) = totals.totals(store, DAY)
            assert (total.copies, total.waiting) == (2, 0)
    assert [kind for request_id, kind in centre.kinds if request_id == completing].count(EntryKind.FIRST) == 1
    assert sum(centre.money.values()) == 600
