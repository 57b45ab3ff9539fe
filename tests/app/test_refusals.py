"""What policy and admission refuse, over a real line: by name, recorded or not as the catalogue says, never charged."""

import time
from datetime import UTC, datetime

import msgspec
import pytest
import trio

from bench.wire import Unread, Wire, connect
from certs.material import TlsMaterial
from gateway.app.supervisor import Running
from protocol import limits
from protocol.envelope import pack
from protocol.keys import Algorithm, Purpose, context
from protocol.ledger import Entry
from protocol.messages import (
    BatchInquiry,
    InquiryByCode,
    Operation,
    Refusal,
    Request,
    RequestBatch,
    ResponseBatch,
    decode_body,
    encode,
)
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.request_id import make_request_id
from tests.kit.centre import Made, by_code
from tests.kit.ledger_proof import entries_of

CODE = Operation.INQUIRE_BY_CODE
AGE_MS = limits.REQUEST_ID_AGE_MS_MAX


def question(**changes: object) -> InquiryByCode:
    body = decode_body(CODE, by_code())
    assert isinstance(body, InquiryByCode)
    return msgspec.structs.replace(body, **changes)


def id_of(offset_ms: int) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    return make_request_id(now_ms + offset_ms, time.time_ns().to_bytes(10, "big"))


async def recorded(made: Made, gateway: Running, request_id: bytes) -> list[Entry]:
    """The entries of a request id, from the blocks' own bytes."""
    entries = await entries_of(made, made.dialling(gateway).trust, closed=False)
    return [entry for entry in entries.values() if entry.request_id == request_id]


def check_refused(result: Result, outcome: Outcome, field: str) -> Entry:
    assert result.outcome == outcome
    assert msgspec.msgpack.decode(result.body, type=Refusal).field == field
    assert result.entry is not None
    assert (result.entry.outcome, result.entry.yen, result.entry.commission) == (outcome, 0, 0)
    return result.entry


@pytest.mark.trio
@pytest.mark.parametrize(
    ("operation", "body", "outcome", "field"),
    [
        (
            Operation.BATCH,
            encode(BatchInquiry("vehicle-12-1", 1, "staff-001", "2026-0001", 5)),
            Outcome.METHOD_NOT_GRANTED,
            "operation",
        ),
        # 004 a voucher programme: no affair of the agreement
        (CODE, encode(question(affair="digital-voucher-2026")), Outcome.AFFAIR_NOT_GRANTED, "affair"),
        (CODE, encode(question(affair="12345678901")), Outcome.AFFAIR_NOT_GRANTED, "affair"),
        # 002 別記1(5): a notification has no 応答
        (CODE, encode(question(affair="vehicle-97-3-1", step=3)), Outcome.STEP_NOT_GRANTED, "step"),
        (CODE, encode(question(staff="staff-404")), Outcome.STAFF_NOT_AUTHORISED, "staff"),
        (CODE, encode(question(case="２０２６-0001")), Outcome.CASE_REFERENCE_INVALID, "case"),
    ],
    ids=["batch", "voucher", "code-as-affair", "notification-response", "unknown-staff", "case"],
)
async def test_what_the_agreement_does_not_grant_is_refused_recorded_and_free(
    made: Made, operation: Operation, body: bytes, outcome: Outcome, field: str
) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        request_id = line.new_id()
        entry = check_refused(await line.ask(operation, body, request_id=request_id), outcome, field)
        (kept,) = await recorded(made, gateway, request_id)
    assert kept == entry
    asked = decode_body(operation, body)
    assert isinstance(asked, InquiryByCode | BatchInquiry)
    # What is no affair could be anything, such as a code.
    assert entry.matter == ("" if outcome == Outcome.AFFAIR_NOT_GRANTED else asked.affair)
    assert entry.counterparty == ""
    personal = [asked.staff, asked.case, *([asked.code] if isinstance(asked, InquiryByCode) else [])]
    assert not any(text.encode() in encode(entry) for text in personal)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("offset_ms", "outcome"),
    [
        (-AGE_MS - 60_000, Outcome.STALE_REQUEST_ID),
        (AGE_MS + 60_000, Outcome.FUTURE_REQUEST_ID),
        (-AGE_MS + 60_000, Outcome.EXACT),
        (AGE_MS - 60_000, Outcome.EXACT),
    ],
)
async def test_an_unknown_id_off_the_clock_is_refused_and_not_recorded(
    made: Made, offset_ms: int, outcome: Outcome
) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        request_id = id_of(offset_ms)
        with trio.fail_after(20):
            result = await line.ask_once(Request(request_id, CODE, 5_000, by_code()))
        assert result.outcome == outcome
        assert (result.entry is None) == (outcome != Outcome.EXACT)
        assert len(await recorded(made, gateway, request_id)) == (outcome == Outcome.EXACT)


@pytest.mark.trio
async def test_a_deadline_that_runs_out_is_told_and_the_same_id_may_be_asked_again(made: Made) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        assert (await line.ask(CODE, by_code())).outcome == Outcome.EXACT
        request_id = line.new_id()
        holding = "do $$ begin lock table register.record in access exclusive mode; perform pg_sleep(1.5); end $$"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.owner, holding)
            await _locked(made)
            began = trio.current_time()
            late = await line.ask_once(Request(request_id, CODE, 300, by_code()))
            assert late.outcome == Outcome.DEADLINE_EXCEEDED
            assert late.entry is None
            assert 0.3 <= trio.current_time() - began < 1.0
        again = await line.ask(CODE, by_code(), request_id=request_id)
        assert again.outcome == Outcome.EXACT
        assert again.entry is not None
        assert again.entry.yen == 10, "nothing was charged the first time"
        assert len(await recorded(made, gateway, request_id)) == 1


async def _locked(made: Made) -> None:
    with trio.fail_after(10):
        while not await made.owner(
            "select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted "
            "and relation = 'register.record'::regclass"
        ):
            await trio.sleep(0.01)


@pytest.mark.trio
@pytest.mark.parametrize("deadline_ms", [0, limits.DEADLINE_MS_MAX + 1])
async def test_a_deadline_outside_its_bounds_is_refused_and_recorded(made: Made, deadline_ms: int) -> None:
    async with made.gateway() as gateway, made.line(gateway) as line:
        with trio.fail_after(20):
            result = await line.ask_once(Request(line.new_id(), CODE, deadline_ms, by_code()))
        check_refused(result, Outcome.FIELD_INVALID, "deadline_ms")


@pytest.mark.trio
async def test_the_second_of_one_id_in_a_frame_is_told_so_and_the_first_is_answered_once(made: Made) -> None:
    async with made.gateway() as gateway:
        request = Request(id_of(0), CODE, 5_000, by_code())
        answers = await trio.to_thread.run_sync(lambda: _ask_by_hand(made, gateway, [request, request]))
        assert sorted(answers) == [Outcome.EXACT, Outcome.DUPLICATE_IN_FRAME]
        assert len(await recorded(made, gateway, request.request_id)) == 1


def _ask_by_hand(made: Made, gateway: Running, requests: list[Request]) -> list[Outcome]:
    """Send one frame that our own peer half would not make; the outcomes of what comes back."""
    dialling = made.dialling(gateway)
    wire: Wire = connect(dialling, TlsMaterial(dialling.files, now=datetime.now(UTC)), slot=0)
    try:
        body = encode(RequestBatch(wire.line.session, 0, time.time_ns() // 1_000, requests))
        key = dialling.keystore.current(Purpose.LINE, time.time_ns() // 1_000)
        signature = dialling.keystore.sign(key.key_id, context("request") + body)
        wire.write(wire.line.seal_request(pack(Algorithm.ES256, key.key_id, signature, body)))
        answers: list[Outcome] = []
        end = time.monotonic() + 10
        while len(answers) < len(requests) and time.monotonic() < end:
            for event in wire.read():
                if isinstance(event, Unread):
                    batch = msgspec.msgpack.decode(event.content, type=ResponseBatch)
                    answers += [Outcome(each.outcome) for each in batch.transients]
                    answers += [Outcome(each.outcome) for each in batch.share.responses] if batch.share else []
            time.sleep(0.01)
        return answers
    finally:
        wire.tls.close()
