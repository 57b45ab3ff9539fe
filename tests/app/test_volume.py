"""Limits a day: exact over workers, never passed, whatever is resent or crashes; repeats do not count."""

import datetime as dt
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest
import trio

from gateway.directory.model import Document
from gateway.line.dial import LineClient
from protocol.messages import InquiryByName, Operation, Refusal, Request, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.kit.centre import Made, by_code

RESERVED = """
select kind, subject, reserved from inquiry.volume
where day = (now() at time zone 'Asia/Tokyo')::date and party = 'mlit' order by kind, subject"""


def limits(**changes: int) -> Callable[[Document], Document]:
    """Each contract with other limits a day."""

    def alter(document: Document) -> Document:
        contracts = tuple(
            msgspec.structs.replace(contract, volume=msgspec.structs.replace(contract.volume, **changes))
            for contract in document.contracts
        )
        return msgspec.structs.replace(document, contracts=contracts)

    return alter


async def limited(made: Made, **changes: int) -> AbstractAsyncContextManager[None]:
    """No records counted today, and these limits."""
    await made.owner("delete from inquiry.volume")
    return made.directory(limits(**changes))


async def ask(line: LineClient, body: bytes | None = None, operation: int = Operation.INQUIRE_BY_CODE) -> Result:
    with trio.fail_after(20):
        return await line.ask(operation, body or by_code())


def refusal(result: Result) -> Refusal:
    return msgspec.msgpack.decode(result.body, type=Refusal)


@pytest.mark.trio
async def test_the_limit_of_a_member_of_staff_is_met_exactly_by_workers_that_take_turns(made: Made) -> None:
    outcomes: list[Outcome] = []

    async def many(line: LineClient) -> None:
        for _ in range(30):
            outcomes.append(Outcome((await ask(line)).outcome))

    async with await limited(made, records_per_staff_day_max=40), made.gateway() as gateway:
        async with made.line(gateway) as one, made.line(gateway) as other, trio.open_nursery() as nursery:
            for line in (one, other):
                nursery.start_soon(many, line)
        reserved = {(kind, subject): count for kind, subject, count in await made.owner(RESERVED)}
    answered = outcomes.count(Outcome.EXACT)
    # What the other worker holds in lease at the end may be missing; nothing may be over.
    assert 35 <= answered <= 40
    assert outcomes.count(Outcome.VOLUME_EXCEEDED) == 60 - answered
    assert reserved["staff", "staff-001"] <= 40


@pytest.mark.trio
@pytest.mark.parametrize("kind", ["staff", "line", "party"])
async def test_each_limit_refuses_what_is_over_it_and_records_that_for_nothing(made: Made, kind: str) -> None:
    async with (
        await limited(made, **{f"records_per_{kind}_day_max": 1}),
        made.gateway() as gateway,
        made.line(gateway) as line,
    ):
        assert (await ask(line)).outcome == Outcome.EXACT
        over = await ask(line)
        other = await ask(line, by_code(staff="staff-900"))
    assert over.outcome == Outcome.VOLUME_EXCEEDED
    assert refusal(over).field == "count"
    assert "second person" in refusal(over).remedy
    assert over.entry is not None
    assert (over.entry.yen, over.entry.matter, over.entry.step) == (0, "vehicle-12-1", 1)
    assert other.outcome == (Outcome.EXACT if kind == "staff" else Outcome.VOLUME_EXCEEDED)


@pytest.mark.trio
async def test_a_question_by_name_counts_and_a_repeat_does_not(made: Made) -> None:
    name = encode(
        InquiryByName("vehicle-12-1", 1, "staff-001", "2026-0001", "存在しない 氏名", "千葉県千葉市", None, None)
    )
    async with (
        await limited(made, records_per_staff_day_max=2),
        made.gateway() as gateway,
        made.line(gateway) as line,
    ):
        first = Request(line.new_id(), Operation.INQUIRE_BY_CODE, 5_000, by_code())
        results = [await line.ask_once(first) for _ in range(4)]
        assert {result.outcome for result in results} == {Outcome.EXACT}
        assert (await ask(line, name, Operation.INQUIRE_BY_NAME)).outcome == Outcome.NONE
        assert (await ask(line, name, Operation.INQUIRE_BY_NAME)).outcome == Outcome.VOLUME_EXCEEDED
        assert (await line.ask_once(first)).outcome == Outcome.EXACT


@pytest.mark.trio
async def test_repeating_a_question_over_the_limit_shows_nothing_even_when_the_limit_is_raised(made: Made) -> None:
    async with (
        await limited(made, records_per_staff_day_max=1),
        made.gateway() as gateway,
        made.line(gateway) as line,
    ):
        await ask(line)
        for key in ("exact-by-code", "none-by-code"):
            over = Request(line.new_id(), Operation.INQUIRE_BY_CODE, 5_000, by_code(key))
            first = await line.ask_once(over)
            async with made.directory(limits(records_per_staff_day_max=1000)):
                again = await line.ask_once(over)
            assert first.outcome == again.outcome == Outcome.VOLUME_EXCEEDED
            assert first.body == again.body


@pytest.mark.trio
async def test_a_lowered_limit_holds_at_once_for_what_was_leased_under_the_old(made: Made) -> None:
    async with (
        await limited(made, records_per_staff_day_max=800),
        made.gateway() as gateway,
        made.line(gateway) as line,
    ):
        for _ in range(10):
            await ask(line)
        async with made.directory(limits(records_per_staff_day_max=5)):
            assert {(await ask(line)).outcome for _ in range(10)} == {Outcome.VOLUME_EXCEEDED}


@pytest.mark.trio
async def test_a_drain_gives_unused_leases_back_and_a_kill_loses_them(made: Made) -> None:
    async with await limited(made, records_per_staff_day_max=800):
        async with made.gateway() as gateway, made.line(gateway) as line:
            for _ in range(7):
                assert (await ask(line)).outcome == Outcome.EXACT
        reserved = {(kind, subject): count for kind, subject, count in await made.owner(RESERVED)}
        assert reserved == {("line", "line-1"): 7, ("party", ""): 7, ("staff", "staff-001"): 7}
        async with made.gateway() as gateway, made.line(gateway) as line:
            result = await ask(line)
            assert result.outcome == Outcome.EXACT
            for pid in list(gateway.pids.values()):
                os.kill(pid, signal.SIGKILL)
            with trio.fail_after(20):
                while (await ask(line)).outcome != Outcome.EXACT:
                    pass
        reserved = {(kind, subject): count for kind, subject, count in await made.owner(RESERVED)}
        assert reserved["staff", "staff-001"] >= 7 + 99, "the lease of the killed worker stays reserved"


@pytest.mark.trio
async def test_yesterdays_count_is_not_todays(made: Made) -> None:
    async with await limited(made, records_per_staff_day_max=3), made.gateway() as gateway:
        yesterday = dt.datetime.now(dt.timezone(dt.timedelta(hours=9))).date() - dt.timedelta(days=1)
        await made.owner(
            "insert into inquiry.volume (day, party, kind, subject, reserved) "
            "values ($1, 'mlit', 'staff', 'staff-001', 3)",
            yesterday,
        )
        async with made.line(gateway) as line:
            assert (await ask(line)).outcome == Outcome.EXACT
