"""PostgreSQL goes away under running workers, and comes back."""

import os
import signal

import pytest
import trio

from gateway.app.supervisor import Running
from gateway.line.dial import LineClient
from protocol.messages import Operation, Request
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.kit.centre import Load, Made, by_code
from tests.kit.ledger_proof import prove

DEADLINE_MS = 1_000
SLACK_S = 1.0


async def _ask_once(line: LineClient, request_id: bytes) -> tuple[Result, float]:
    began = trio.current_time()
    request = Request(request_id, Operation.INQUIRE_BY_CODE, DEADLINE_MS, by_code())
    with trio.fail_after(20):
        result = await line.ask_once(request)
    return result, trio.current_time() - began


async def _refused_in_time(line: LineClient, ids: list[bytes]) -> set[Outcome]:
    outcomes = set()
    for request_id in ids:
        result, took_s = await _ask_once(line, request_id)
        assert took_s < DEADLINE_MS / 1000 + SLACK_S
        assert result.entry is None
        assert result.body.find(b"\xe5") == -1  # no Japanese text: nothing of a record
        outcomes.add(Outcome(result.outcome))
    return outcomes


async def _claimed(made: Made, ids: list[bytes]) -> int:
    rows = await made.owner("select count(*) from ledger.claim where request_id = any($1::bytea[])", ids)
    return int(rows[0][0])


async def _recovered(line: LineClient, ids: list[bytes]) -> dict[bytes, Result]:
    results = {}
    for request_id in ids:
        results[request_id] = await line.ask(
            Operation.INQUIRE_BY_CODE, by_code(), request_id=request_id, timeout_s=20.0
        )
    return results


@pytest.mark.trio
async def test_a_killed_database_means_unavailable_and_recovery_without_restart(made: Made) -> None:
    async with made.gateway() as gateway:
        pids = dict(gateway.pids)
        async with made.line(gateway) as line, Load(line).running() as load:
            await load.answered(20)
            await trio.to_thread.run_sync(made.server.kill)
            ids = [line.new_id() for _ in range(6)]
            outcomes = await _refused_in_time(line, ids)
            made.server.restart()
            assert await _claimed(made, ids) == 0
            results = await _recovered(line, ids)
            await load.answered(20)
        _same_workers(gateway, pids)
        trust = made.dialling(gateway).trust
    assert outcomes <= {Outcome.UNAVAILABLE, Outcome.PENDING}
    assert Outcome.UNAVAILABLE in outcomes
    await prove(made, trust, asked=load.asked | set(ids), results=load.results | results)


@pytest.mark.trio
async def test_a_hanging_database_is_told_within_the_deadline(made: Made) -> None:
    async with made.gateway() as gateway:
        pids = dict(gateway.pids)
        async with made.line(gateway) as line:
            await _recovered(line, [line.new_id()])
            backends = [row[0] for row in await made.owner("select pid from pg_stat_activity where pid <> 0")]
            processes = [pid for pid in (made.server.pid, *backends) if pid is not None]
            ids = [line.new_id() for _ in range(4)]
            _signal(processes, signal.SIGSTOP)
            try:
                outcomes = await _refused_in_time(line, ids)
                outcome_late = await _refused_in_time(line, [line.new_id()])
            finally:
                _signal(processes, signal.SIGCONT)
            results = await _recovered(line, ids)
        _same_workers(gateway, pids)
        trust = made.dialling(gateway).trust
    assert outcomes <= {Outcome.UNAVAILABLE, Outcome.PENDING, Outcome.DEADLINE_EXCEEDED}
    assert outcome_late <= {Outcome.UNAVAILABLE, Outcome.PENDING}
    await prove(made, trust, asked=ids, results=results)


def _same_workers(gateway: Running, pids: dict[str, int]) -> None:
    assert gateway.restarts == 0
    assert gateway.pids == pids


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
