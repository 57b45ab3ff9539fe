"""A suspension reaches every worker at once, whatever becomes of the hint."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from gateway.directory.apply import Change, resume, suspend
from gateway.directory.model import Scope
from gateway.host import run_guest
from gateway.line.dial import LineClient
from gateway.store.pool import open_database
from protocol.ledger import decode_header
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.kit.centre import WORKERS, Made, by_code

FUNCTION = "select prosrc, pg_get_functiondef(oid) from pg_proc where oid = 'directory.follow_revision'::regproc"


async def _change(dsn: str, stop: bool) -> None:
    change = Change(asked_by="one", approved_by="two", reference="test-agreement", at_us=time.time_ns() // 1000)
    async with open_database(dsn, size=1, role="test") as database:
        if stop:
            await suspend(database, scope=Scope.PARTY, target="mlit", ground="a test", change=change)
        else:
            await resume(database, scope=Scope.PARTY, target="mlit", change=change)


async def _set(made: Made, *, stop: bool) -> None:
    dsn = made.dsns.owner
    await trio.to_thread.run_sync(lambda: run_guest(_change, dsn, stop, signals={}))


@asynccontextmanager
async def _no_hints(made: Made) -> AsyncIterator[None]:
    """Revisions are followed without NOTIFY."""
    source, definition = (await made.owner(FUNCTION))[0]
    hint = next(line for line in source.splitlines() if "pg_notify" in line)
    await made.owner(definition.replace(hint, ""))
    try:
        yield
    finally:
        await made.owner(definition)


async def _outcomes(line: LineClient, goal: Outcome, *, within_s: float) -> None:
    """Ask until every worker has said `goal`; nothing else may be said after within_s."""
    began = trio.current_time()
    streams: set[bytes] = set()
    asked = 0
    while len(streams) < WORKERS or asked < 40:
        result = await line.ask(Operation.INQUIRE_BY_CODE, by_code())
        asked += 1
        if result.outcome == goal and result.share is not None:
            streams.add(decode_header(result.share.header).stream)
        elif trio.current_time() - began > within_s:
            pytest.fail(f"{Outcome(result.outcome).name} {within_s} s after the change")


@pytest.mark.trio
@pytest.mark.parametrize("hints", [True, False], ids=["notify", "no-notify"])
async def test_a_suspended_party_is_refused_by_every_worker_within_a_second(made: Made, hints: bool) -> None:
    async with made.gateway() as gateway, made.line(gateway) as one, made.line(gateway) as other:
        await _outcomes(one, Outcome.EXACT, within_s=0)
        if hints:
            await _set(made, stop=True)
        else:
            async with _no_hints(made):
                await _set(made, stop=True)
        try:
            with trio.fail_after(20):
                async with trio.open_nursery() as nursery:
                    for line in (one, other):
                        nursery.start_soon(lambda each: _outcomes(each, Outcome.SUSPENDED, within_s=1.0), line)
        finally:
            await _set(made, stop=False)
        await _outcomes(one, Outcome.EXACT, within_s=1.0)
