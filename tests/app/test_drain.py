"""The end of a gateway's life, asked for and not."""

import os
import signal

import pytest
import trio

from gateway.line.dial import LineClient
from protocol.messages import Operation, Request
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.kit.centre import Load, Made, by_code
from tests.kit.ledger_proof import claims_hold, entries_of, prove

BURST = 400


def lives(pid: int) -> bool:
    """Whether a process is there (a zombie is)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.trio
async def test_a_drain_answers_what_was_sent_and_closes_the_streams(made: Made) -> None:
    answered: list[tuple[float, Result]] = []
    answering = trio.Event()

    async def ask(line: LineClient) -> None:
        request = Request(line.new_id(), Operation.INQUIRE_BY_CODE, 5_000, by_code())
        result = await line.ask_once(request)
        answered.append((trio.current_time(), result))
        answering.set()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            leaving = trio.Event()
            lines: list[LineClient] = []
            opened = trio.Event()

            async def hold(running: object) -> None:
                async with made.line(running) as line:  # type: ignore[arg-type]
                    lines.append(line)
                    opened.set()
                    await leaving.wait()

            async with made.gateway() as gateway:
                pids = dict(gateway.pids)
                nursery.start_soon(hold, gateway)
                await opened.wait()
                async with trio.open_nursery() as burst:
                    for _ in range(BURST):
                        burst.start_soon(ask, lines[0])
                    await answering.wait()
                    began = trio.current_time()
                    for name, pid in pids.items():
                        if name != "ops":
                            os.kill(pid, signal.SIGTERM)
            leaving.set()
    outcomes = {Outcome(result.outcome) for _, result in answered}
    assert len(answered) == BURST
    assert outcomes <= {Outcome.EXACT, Outcome.DRAINING}
    assert any(at > began and result.outcome == Outcome.EXACT for at, result in answered)
    assert all(result.entry is None or result.entry.ref is None for _, result in answered), "a drain lost an answer"
    assert not any(lives(pid) for pid in pids.values())
    await claims_hold(made, await entries_of(made, made.dialling(gateway).trust, closed=True))


@pytest.mark.trio
async def test_a_drained_worker_is_replaced_while_the_load_goes_on(made: Made) -> None:
    async with made.gateway() as gateway:
        async with made.line(gateway) as line, Load(line).running() as load:
            await load.answered(20)
            for slot in range(gateway.workers):
                restarts = gateway.restarts
                os.kill(gateway.pids[f"worker-{slot}"], signal.SIGTERM)
                with trio.fail_after(20):
                    while gateway.restarts == restarts:
                        await trio.sleep(0.01)
                await load.answered(20)
        trust = made.dialling(gateway).trust
    await prove(made, trust, asked=load.asked, results=load.results)
    repeats = [r for r in load.results.values() if r.entry is not None and r.entry.ref is not None]
    assert not repeats, "a drain lost an answer"
