"""Approvals by a second person, attacked over real lines: each passes the one question it was given for, once."""

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from gateway.app.supervisor import Running
from gateway.line.dial import LineClient
from protocol import limits
from protocol.approval import approval_digest
from protocol.messages import Approve, Inquiry, InquiryByCode, Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.app.test_volume import limited
from tests.kit.centre import Made, by_code

CODE = Operation.INQUIRE_BY_CODE
MINUTE_US = 60_000_000


def question(key: str = "exact-by-code", *, staff: str = "staff-001", **changes: object) -> InquiryByCode:
    """A question that would be over the volume."""
    body = decode_body(CODE, by_code(key, staff=staff))
    assert isinstance(body, InquiryByCode)
    return msgspec.structs.replace(body, **changes)


def approve_body(*questions: Inquiry, staff: str = "staff-900", **changes: object) -> bytes:
    """APPROVE of these questions by a second person."""
    digests = [approval_digest(CODE, each) for each in questions]
    body = Approve("vehicle-12-1", 1, staff, "2026-0001", digests, time.time_ns() // 1_000 + 10 * MINUTE_US)
    return encode(msgspec.structs.replace(body, **changes))


async def once(line: LineClient, operation: Operation, body: bytes, request_id: bytes | None = None) -> Result:
    with trio.fail_after(20):
        return await line.ask_once(Request(request_id or line.new_id(), operation, 10_000, body))


async def approved(line: LineClient, *questions: Inquiry, **changes: object) -> bytes:
    """The id of an approval that was given."""
    request_id = line.new_id()
    result = await once(line, Operation.APPROVE, approve_body(*questions, **changes), request_id)
    assert result.outcome == Outcome.APPROVED
    return request_id


async def ask(line: LineClient, asked: Inquiry, approval: bytes, request_id: bytes | None = None) -> Outcome:
    """Ask with an approval."""
    result = await once(line, CODE, encode(msgspec.structs.replace(asked, approval=approval)), request_id)
    if result.outcome == Outcome.APPROVAL_INVALID:
        assert msgspec.msgpack.decode(result.body, type=Refusal).field == "approval"
        assert result.entry is not None
        assert result.entry.yen == 0
    return Outcome(result.outcome)


@asynccontextmanager
async def lines(made: Made) -> AsyncIterator[tuple[LineClient, LineClient]]:
    """Two lines of the ministry, whose staff and lines have used up their day."""
    async with (
        await limited(made, records_per_staff_day_max=1),
        made.gateway() as gateway,
        made.line(gateway) as one,
        made.line(gateway) as other,
    ):
        for staff in ("staff-001", "staff-900"):
            assert (await once(one, CODE, by_code(staff=staff))).outcome == Outcome.EXACT
            assert (await once(other, CODE, by_code(staff=staff))).outcome == Outcome.VOLUME_EXCEEDED
        yield one, other


@pytest.mark.trio
async def test_an_approved_question_passes_above_the_limits_once_and_costs_what_it_costs(made: Made) -> None:
    asked, second = question(), question("none-by-code")
    async with lines(made) as (line, other):
        approval = await approved(line, asked, second)
        result = await once(other, CODE, encode(msgspec.structs.replace(asked, approval=approval)))
        assert result.outcome == Outcome.EXACT
        assert result.entry is not None
        assert result.entry.yen == 10
        assert await ask(line, second, approval) == Outcome.NONE
        for each in (asked, second):
            assert await ask(line, each, approval) == Outcome.APPROVAL_INVALID, "an approval passes a question once"


@pytest.mark.trio
async def test_an_approval_is_recorded_and_free_and_tells_no_one_what_is_asked(made: Made) -> None:
    async with lines(made) as (line, _):
        result = await once(line, Operation.APPROVE, approve_body(question()))
        assert result.entry is not None
        assert (result.entry.operation, result.entry.outcome) == (Operation.APPROVE, Outcome.APPROVED)
        assert (result.entry.yen, result.entry.matter, result.entry.step) == (0, "vehicle-12-1", 1)
        digest = approval_digest(CODE, question())
        rows = await made.owner("select count(*) from inquiry.approval_item where token = $1", digest)
        assert rows[0][0] == 0, "what is kept is keyed"


@pytest.mark.trio
async def test_an_approval_passes_no_other_question(made: Made) -> None:
    asked = question()
    async with lines(made) as (line, _):
        approval = await approved(line, asked)
        others = (
            question("none-by-code"),
            question(step=2),
            question(affair="vehicle-67"),
            question(case="2026-0002"),
            question(staff="staff-900"),
        )
        for other in others:
            assert await ask(line, other, approval) == Outcome.APPROVAL_INVALID
        assert await ask(line, asked, line.new_id()) == Outcome.APPROVAL_INVALID, "unknown"
        assert await ask(line, asked, approval) == Outcome.EXACT, "attacks spend nothing"


@pytest.mark.trio
async def test_nobody_approves_for_oneself(made: Made) -> None:
    asked = question(staff="staff-900")
    async with lines(made) as (line, _):
        approval = await approved(line, asked)
        assert await ask(line, asked, approval) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
@pytest.mark.parametrize(
    ("changes", "outcome", "field"),
    [
        ({"staff": "staff-001"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
        ({"staff": "staff-999"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
        ({"affair": "digital-voucher-2026"}, Outcome.AFFAIR_NOT_GRANTED, "affair"),
        ({"case": "x"}, Outcome.CASE_REFERENCE_INVALID, "case"),
        ({"expires_at_us": 0}, Outcome.FIELD_INVALID, "expires_at_us"),
        ({"expires_at_us": 1 << 62}, Outcome.FIELD_INVALID, "expires_at_us"),
    ],
)
async def test_what_may_not_be_approved_is_refused_and_approves_nothing(
    made: Made, changes: dict[str, object], outcome: Outcome, field: str
) -> None:
    asked = question()
    async with lines(made) as (line, _):
        request_id = line.new_id()
        result = await once(line, Operation.APPROVE, approve_body(asked, **changes), request_id)  # type: ignore[arg-type]
        assert result.outcome == outcome
        assert msgspec.msgpack.decode(result.body, type=Refusal).field == field
        assert result.entry is not None
        assert result.entry.yen == 0
        assert await ask(line, asked, request_id) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
async def test_an_expired_approval_passes_nothing(made: Made) -> None:
    asked = question()
    async with lines(made) as (line, _):
        approval = await approved(line, asked)
        await made.owner("update inquiry.approval set expires_us = $1", time.time_ns() // 1_000)
        assert await ask(line, asked, approval) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
async def test_what_was_kept_but_never_recorded_approves_nothing(made: Made) -> None:
    asked = question()
    async with lines(made) as (line, _):
        approval = await approved(line, asked)
        never = line.new_id()
        for table in ("approval", "approval_item"):
            await made.owner(
                f"insert into inquiry.{table} select (jsonb_populate_record(t, jsonb_build_object("
                f"'request_id', $1::bytea))).* from inquiry.{table} t where request_id = $2",
                never,
                approval,
            )
        assert await ask(line, asked, never) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
async def test_an_approver_who_lost_the_right_meanwhile_has_approved_nothing(made: Made) -> None:
    asked = question()
    async with lines(made) as (line, _):
        approval = await approved(line, asked)
        async with made.directory(
            lambda document: msgspec.structs.replace(
                document,
                staff=tuple(
                    msgspec.structs.replace(each, trained_on=None) if each.id == "staff-900" else each
                    for each in document.staff
                ),
            )
        ):
            assert await ask(line, asked, approval) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
async def test_of_many_ids_on_two_workers_at_once_one_spends_the_approval(made: Made) -> None:
    asked = question()
    async with lines(made) as (one, other):
        for _ in range(5):
            approval = await approved(one, asked)
            outcomes: list[Outcome] = []

            async def race(line: LineClient, approval: bytes, outcomes: list[Outcome]) -> None:
                outcomes.append(await ask(line, asked, approval))

            async with trio.open_nursery() as nursery:
                for line in (one, other) * 4:
                    nursery.start_soon(race, line, approval, outcomes)
            assert sorted(outcomes) == [Outcome.EXACT] + [Outcome.APPROVAL_INVALID] * 7


@pytest.mark.trio
async def test_the_id_that_spent_an_approval_may_be_sent_again_anywhere_and_is_charged_once(made: Made) -> None:
    asked = question()
    async with lines(made) as (one, other):
        approval, request_id = await approved(one, asked), one.new_id()
        body = encode(msgspec.structs.replace(asked, approval=approval))
        results = [await once(line, CODE, body, request_id) for line in (one, other, one)]
        assert {result.outcome for result in results} == {Outcome.EXACT}
        assert [result.entry.yen for result in results if result.entry] == [10, 0, 0]
        refused = one.new_id()
        assert await ask(one, asked, approval, refused) == Outcome.APPROVAL_INVALID
        fresh = await approved(one, asked)
        assert await ask(one, asked, fresh, refused) == Outcome.ID_REUSED, "the id was asked with another approval"
        assert await ask(other, asked, approval, refused) == Outcome.APPROVAL_INVALID, "a repeat shows nothing either"


@pytest.mark.trio
async def test_an_approval_sent_again_is_the_same_approval(made: Made) -> None:
    asked = question()
    async with lines(made) as (one, other):
        request_id, body = one.new_id(), approve_body(asked)
        results = [await once(line, Operation.APPROVE, body, request_id) for line in (one, other)]
        assert [result.outcome for result in results] == [Outcome.APPROVED] * 2
        widened = approve_body(asked, question("none-by-code"))
        assert (await once(other, Operation.APPROVE, widened, request_id)).outcome == Outcome.ID_REUSED
        assert await ask(one, question("none-by-code"), request_id) == Outcome.APPROVAL_INVALID
        assert await ask(one, asked, request_id) == Outcome.EXACT
        assert await ask(other, asked, request_id) == Outcome.APPROVAL_INVALID


@pytest.mark.trio
async def test_a_full_approval_fits_on_the_line(made: Made) -> None:
    asked = [question(case=f"2026-{number:04}") for number in range(limits.APPROVAL_DIGESTS_MAX)]
    async with lines(made) as (line, _):
        approval = await approved(line, *asked)
        assert await ask(line, asked[-1], approval) == Outcome.EXACT


@pytest.mark.trio
async def test_the_command_line_asks_with_a_second_persons_approval(made: Made) -> None:
    asked = question()

    async def inquire(gateway: Running, *arguments: str) -> tuple[int, str]:
        command = ["inquire", "--line", str(made.data / "ministry"), "--port", str(gateway.port), "--code", asked.code]
        command += ["--case", "2026-0001", "--json", *arguments]
        done = await trio.run_process(
            [sys.executable, "-m", "gateway.cli", *command], capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
        shown = done.stdout.decode()
        return done.returncode, json.loads(shown)["outcome"] if shown.startswith("{") else shown

    async with await limited(made, records_per_staff_day_max=1), made.gateway() as gateway:
        assert await inquire(gateway) == (0, "EXACT")
        assert await inquire(gateway) == (2, "VOLUME_EXCEEDED")
        assert await inquire(gateway, "--approver", "staff-900") == (0, "EXACT")
        assert await inquire(gateway, "--approver", "staff-001") == (2, "STAFF_NOT_AUTHORISED")
        status, said = await inquire(gateway, "--approver", "staff-900", "--id", "0" * 32)
        assert status == 2
        assert "leave --id out" in said
