"""The same request id more than once: on two connections, on two workers, with another body, too often, disclaimed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from gateway.line.dial import LineClient
from protocol import limits
from protocol.ledger import EntryKind, decode_header
from protocol.messages import Disclaim, Operation, Request, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.kit.centre import WORKERS, Made, by_code
from tests.kit.ledger_proof import YEN, claims_hold, entries_of, history_holds

DEADLINE_MS = 5_000


async def _once(line: LineClient, request_id: bytes, body: bytes, operation: int = Operation.INQUIRE_BY_CODE) -> Result:
    with trio.fail_after(20):
        return await line.ask_once(Request(request_id, operation, DEADLINE_MS, body))


@asynccontextmanager
async def _asking(made: Made, count: int = 2) -> AsyncIterator[list[LineClient]]:
    """Clients of the ministry's line, each with its own connections; afterwards the ledger must hold."""
    async with made.gateway() as gateway:
        async with AsyncExitStack() as open_lines:
            yield [await open_lines.enter_async_context(made.line(gateway)) for _ in range(count)]
        trust = made.dialling(gateway).trust
    entries = await entries_of(made, trust, closed=True)
    await claims_hold(made, entries)
    await history_holds(made, entries)


@pytest.mark.trio
async def test_one_id_on_many_connections_and_both_workers_at_once_is_charged_once(made: Made) -> None:
    rounds, copies = 30, 4
    results: dict[bytes, list[Result]] = {}

    async def ask(line: LineClient, request_id: bytes) -> None:
        results[request_id].append(await line.ask(Operation.INQUIRE_BY_CODE, by_code(), request_id=request_id))

    async with _asking(made, copies) as lines:
        for _ in range(rounds):
            request_id = lines[0].new_id()
            results[request_id] = []
            async with trio.open_nursery() as nursery:
                for line in lines:
                    nursery.start_soon(ask, line, request_id)
    for request_id, answers in results.items():
        assert [Outcome(answer.outcome) for answer in answers] == [Outcome.EXACT] * copies
        assert _cost(answers) == YEN, request_id.hex()
    streams = {decode_header(a.share.header).stream for each in results.values() for a in each if a.share is not None}
    assert len(streams) == WORKERS, "only one worker took part"


def _cost(answers: list[Result]) -> int:
    """The sum of what copies of one answer cost."""
    return sum(answer.entry.yen for answer in answers if answer.entry is not None)


@pytest.mark.trio
async def test_an_id_with_another_question_shows_nothing(made: Made) -> None:
    async with _asking(made) as (line, other):
        request_id = line.new_id()
        assert (await _once(line, request_id, by_code())).outcome == Outcome.EXACT
        for asker in (line, other):
            for body in (by_code("none-by-code"), by_code(staff="staff-002")):
                reused = await _once(asker, request_id, body)
                assert reused.outcome == Outcome.ID_REUSED
                assert reused.entry is None


@pytest.mark.trio
async def test_repeats_are_free_and_limited(made: Made) -> None:
    async with _asking(made) as lines:
        request_id = lines[0].new_id()
        first = await _once(lines[0], request_id, by_code())
        for turn in range(limits.REPEATS_MAX):
            repeat = await _once(lines[turn % 2], request_id, by_code())
            assert repeat.outcome == first.outcome
            assert repeat.body == first.body
            assert repeat.entry is not None
            assert repeat.entry.ref is not None
            assert (repeat.entry.kind, repeat.entry.yen, repeat.entry.ref.same) == (EntryKind.REPEAT, 0, True)
        assert (await _once(lines[0], request_id, by_code())).outcome == Outcome.REPEAT_LIMIT


@pytest.mark.trio
async def test_a_disclaimed_answer_is_reversed_once(made: Made) -> None:
    outcomes: list[Outcome] = []
    yen: list[int] = []

    async def disclaim(line: LineClient, body: bytes) -> None:
        result = await line.ask(Operation.DISCLAIM, body)
        outcomes.append(Outcome(result.outcome))
        yen.append(result.entry.yen if result.entry else 0)

    async with _asking(made) as (line, other):
        request_id = line.new_id()
        assert (await _once(line, request_id, by_code())).outcome == Outcome.EXACT
        body = encode(Disclaim(request_id, "never received"))
        async with trio.open_nursery() as nursery:
            for asker in (line, other, line, other):
                nursery.start_soon(disclaim, asker, body)
        after = await _once(line, request_id, by_code())
    assert sorted(outcomes) == [Outcome.DISCLAIMED, *[Outcome.NOT_DISCLAIMABLE] * 3]
    assert sum(yen) == -YEN
    assert after.outcome == Outcome.REPEAT_COSTS_MORE


@pytest.mark.trio
async def test_an_answer_that_was_asked_again_is_not_disclaimed(made: Made) -> None:
    async with _asking(made) as (line, _):
        request_id = line.new_id()
        await _once(line, request_id, by_code())
        await _once(line, request_id, by_code())
        body = encode(Disclaim(request_id, "never received"))
        assert (await line.ask(Operation.DISCLAIM, body)).outcome == Outcome.NOT_DISCLAIMABLE
