"""What passes a relay, decided over plain values."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.relay.policy import FORWARDED, NOTICES, NotPermitted, Owned, Reason, judge_call, judge_event
from protocol import issuance
from protocol.issuance import KioskCall, KioskFact
from protocol.messages import Operation, encode
from tests.peers.relay.kit import OPERATOR, complete, erase, event, kiosk, void

MINE, THEIRS, ERASED, UNKNOWN = (bytes([number]) * 16 for number in range(1, 5))
OWNERS = {
    MINE: Owned(kiosk="kiosk-1", erasing=False),
    THEIRS: Owned(kiosk="kiosk-2", erasing=False),
    ERASED: Owned(kiosk="kiosk-1", erasing=True),
}


def judged(operation: int, body: object):
    raw = body if isinstance(body, bytes) else encode(body)
    return judge_call(KioskCall(operation, raw), caller=kiosk(), operator=OPERATOR, owner=OWNERS.get)


def bodies(application: bytes) -> list[tuple[Operation, object]]:
    apply = issuance.Apply(issuance.Statement(application, "121011", "juminhyo", 0, 1, 0), bytes(64))
    return [
        (Operation.APPLY, apply),
        (Operation.DOCUMENT, issuance.Fetch(application)),
        (Operation.PART, issuance.Part(application, 0)),
        (Operation.STATUS, issuance.StatusQuery([application])),
        (Operation.COMPLETE, complete(application)),
        (Operation.VOID, void(application)),
        (Operation.CORRECT, issuance.Correct(application, 1, 1, 0, "2026-11-20", 5)),
        (Operation.ERASE, erase(application)),
    ]


@pytest.mark.parametrize("place", range(8))
def test_only_the_kiosks_own_applications_pass(place: int) -> None:
    operation, mine = bodies(MINE)[place]
    assert judged(operation, mine) == mine
    for application in (THEIRS, UNKNOWN):
        with pytest.raises(NotPermitted) as refused:
            judged(*bodies(application)[place])
        assert refused.value.reason is Reason.APPLICATION


def test_one_foreign_application_among_own_ones_refuses_the_question() -> None:
    with pytest.raises(NotPermitted):
        judged(Operation.STATUS, issuance.StatusQuery([MINE, THEIRS]))


def test_after_the_erasure_its_document_passes_no_more_but_its_notices_do() -> None:
    for operation, body in bodies(ERASED):
        if operation in (Operation.APPLY, Operation.DOCUMENT, Operation.PART):
            with pytest.raises(NotPermitted) as refused:
                judged(operation, body)
            assert refused.value.reason is Reason.ERASED
        else:
            judged(operation, body)


@pytest.mark.parametrize("operation", sorted(set(Operation) - FORWARDED - NOTICES))
def test_operations_of_other_services_never_pass(operation: Operation) -> None:
    with pytest.raises(NotPermitted) as refused:
        judged(operation, b"")
    assert refused.value.reason is Reason.OPERATION


@given(operation=st.integers(-1, 2**32), body=st.binary(max_size=400))
def test_any_bytes_pass_or_are_turned_away_by_name(operation: int, body: bytes) -> None:
    try:
        judged(operation, body)
    except NotPermitted as refused:
        assert refused.reason in Reason


def test_a_time_that_no_clock_shows_does_not_pass() -> None:
    with pytest.raises(NotPermitted) as refused:
        judged(Operation.COMPLETE, msgspec.structs.replace(complete(MINE), deposited_at_us=2**63))
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED, "deposited_at_us")


def test_a_certificate_that_is_none_is_not_the_kiosks() -> None:
    session = issuance.KioskSession(OPERATOR, "kiosk-1", bytes(65), bytes(32))
    body = issuance.Authenticate(session, bytes(40), b"none", bytes(64), 1, b"", b"", "121011")
    with pytest.raises(NotPermitted) as refused:
        judged(Operation.AUTHENTICATE, body)
    assert refused.value.reason is Reason.CERTIFICATE


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (event(KioskFact.DEPOSITED, THEIRS, yen=1), Reason.APPLICATION),
        (event(KioskFact.DEPOSITED), Reason.APPLICATION),
        (event(KioskFact.PRINTED, UNKNOWN), Reason.APPLICATION),
        (event(KioskFact.IDLE, THEIRS), Reason.APPLICATION),
        (event(KioskFact.DEPOSITED, MINE, yen=-1), Reason.MALFORMED),
        (event(KioskFact.DEPOSITED, MINE, yen=10**9), Reason.MALFORMED),
        (event(KioskFact.FAULT, detail=""), Reason.MALFORMED),
        (event(KioskFact.FAULT, detail="012345678901"), Reason.MALFORMED),
        (event(KioskFact.FAULT, detail="千葉市"), Reason.MALFORMED),
        (event(KioskFact.IN_USE, detail="anything"), Reason.MALFORMED),
        (msgspec.structs.replace(event(KioskFact.IDLE), fact=99), Reason.MALFORMED),
        (msgspec.structs.replace(event(KioskFact.IDLE), at_us=2**63), Reason.MALFORMED),
    ],
)
def test_facts_are_the_kiosks_own_and_hold_no_free_text(fact: issuance.KioskEvent, reason: Reason) -> None:
    with pytest.raises(NotPermitted) as refused:
        judge_event(fact, caller=kiosk(), owner=OWNERS.get)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "fact",
    [event(KioskFact.IDLE), event(KioskFact.DEPOSITED, MINE, yen=300), event(KioskFact.PRINTED, ERASED),
     event(KioskFact.FAULT, UNKNOWN, detail="paper-jam"), event(KioskFact.FAULT_CLEARED)],
)  # fmt: skip
def test_the_kiosks_own_facts_pass(fact: issuance.KioskEvent) -> None:
    judge_event(fact, caller=kiosk(), owner=OWNERS.get)
