"""Admission, by table: what goes on, with which decision, and what is answered at once."""

import msgspec
import pytest

from gateway.directory.policy import Granted, Refused
from gateway.inquiry.service import InquiryService
from gateway.line.admission import admit
from protocol import limits
from protocol.messages import Operation, Refusal, Request, Transient
from protocol.outcomes import Outcome
from tests.line.kit import make_request

NOW_MS = 1_790_000_000_000
GRANTED = Granted(terms_version=1, yen_per_record=10, commission=0, counterparty="")
AGE_MS = limits.REQUEST_ID_AGE_MS_MAX


class _Standing:
    """Grants everything, and remembers what it was asked."""

    version = 7

    def decide(self, *asked: object) -> Granted:
        self.asked = asked
        return GRANTED


class _Origin:
    def respond(self, share: object) -> None:
        raise AssertionError

    def refuse(self, transients: list[Transient]) -> None:
        raise AssertionError


def _admit(*requests: Request):  # type: ignore[no-untyped-def]
    return admit(
        list(requests), origin=_Origin(), party="p", line="l", standing=_Standing(),  # type: ignore[arg-type]
        decide=InquiryService.decide, now_ms=NOW_MS, arrived=100.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("age_ms", "off_clock"),
    [
        (0, None),
        (AGE_MS, None),
        (AGE_MS + 1, Outcome.STALE_REQUEST_ID),
        (-AGE_MS, None),
        (-AGE_MS - 1, Outcome.FUTURE_REQUEST_ID),
    ],
)
def test_an_ids_age_is_marked_and_left_to_the_answer(age_ms: int, off_clock: Outcome | None) -> None:
    (asked,), refused = _admit(make_request(at_ms=NOW_MS - age_ms))
    assert asked.off_clock == off_clock
    assert not refused
    assert asked.decision is GRANTED
    assert asked.version == 7


@pytest.mark.parametrize(
    ("changes", "outcome", "field"),
    [
        ({"operation": 99}, Outcome.UNKNOWN_OPERATION, "operation"),
        ({"body": b"\xc1"}, Outcome.MALFORMED_BODY, "body"),
        ({"body": b"\x91" * 1_000}, Outcome.MALFORMED_BODY, "body"),
        ({"body": bytes(limits.REQUEST_BODY_BYTES_MAX + 1)}, Outcome.MALFORMED_BODY, "body"),
        ({"operation": Operation.RECEIPT}, Outcome.MALFORMED_BODY, "body"),
        ({"deadline_ms": 0}, Outcome.FIELD_INVALID, "deadline_ms"),
        ({"deadline_ms": -1}, Outcome.FIELD_INVALID, "deadline_ms"),
        ({"deadline_ms": limits.DEADLINE_MS_MAX + 1}, Outcome.FIELD_INVALID, "deadline_ms"),
    ],
)
def test_what_is_refused_for_cause_goes_on_to_be_recorded(
    changes: dict[str, object], outcome: Outcome, field: str
) -> None:
    (asked,), refused = _admit(msgspec.structs.replace(make_request(at_ms=NOW_MS), **changes))
    assert isinstance(asked.decision, Refused)
    assert (asked.decision.outcome, asked.decision.field) == (outcome, field)
    assert not refused
    assert 100.0 < asked.deadline <= 100.0 + limits.DEADLINE_MS_MAX / 1000


def test_the_second_of_an_id_in_a_frame_is_answered_at_once() -> None:
    one, two = make_request(1, at_ms=NOW_MS), make_request(2, at_ms=NOW_MS)
    admitted, (refused,) = _admit(one, two, one)
    assert [asked.request for asked in admitted] == [one, two]
    assert (refused.request_id, refused.outcome) == (one.request_id, Outcome.DUPLICATE_IN_FRAME)
    assert msgspec.msgpack.decode(refused.body, type=Refusal).field == "request_id"
