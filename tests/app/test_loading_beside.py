"""Notifications are loaded into a register that is being asked."""

import sys
from pathlib import Path

import pytest
import trio

from protocol.outcomes import Outcome
from tests.kit.centre import Load, Made


@pytest.mark.trio
async def test_a_gateway_goes_on_answering_while_notifications_are_loaded(made: Made, tmp_path: Path) -> None:
    file = tmp_path / "notifications.csv"
    sekisho = [sys.executable, "-m", "gateway.cli", "register"]
    await trio.run_process([*sekisho, "sample", str(file), "--count", "4000"], capture_stdout=True)
    async with made.gateway() as gateway, made.line(gateway) as line:
        load = Load(line, tasks=2, pause_s=0.01)
        async with load.running():
            await load.answered(20)
            before = len(load.results)
            with trio.fail_after(90):
                done = await trio.run_process(
                    [*sekisho, "load", str(file), "--data", str(made.data), "--processes", "0"],
                    capture_stdout=True,
                    capture_stderr=True,
                    check=False,
                )
            assert done.returncode == 0, done.stderr.decode()
            during = len(load.results) - before
    assert b"accepted 4,000" in done.stdout
    assert during > 20
    assert {result.outcome for result in load.results.values()} == {Outcome.EXACT}
