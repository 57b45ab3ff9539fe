"""The limits agree with one another; every outcome says what it means in both languages; ids and commitments."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.approval import approval_digest
from protocol.commitment import commitment_key, month_of, request_commitment, response_commitment
from protocol.envelope import pack, unpack
from protocol.errors import FaultCode, FaultReceivedError
from protocol.keys import Algorithm
from protocol.messages import BODY_DECODERS, Approve, BodyError, InquiryByCode, Operation, decode_body, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.request_id import is_request_id, make_request_id, time_ms
from tests.kit.lines import make_request


def test_the_limits_hold_together() -> None:
    limits.check_relations()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUEST_BODY_BYTES_MAX", 1 << 20),
        ("RESPONSES_PER_FRAME_MAX", 10_000),
        ("CREDIT_REQUESTS_DEFAULT", 1),
        ("HANDSHAKE_FRAME_BYTES_MAX", 1 << 21),
        ("OUTPUT_BYTES_MAX", 1),
        ("APPROVAL_DIGESTS_MAX", 110),
        ("APPROVAL_LIFETIME_MS_MAX", 1_000),
        ("DEADLINE_MS_MAX", 10**9),
    ],
)
def test_limits_that_contradict_each_other_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(limits, name, value)
    with pytest.raises(ValueError, match="contradict"):
        limits.check_relations()


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_in_the_catalogue_in_both_languages(outcome: Outcome) -> None:
    meaning = CATALOGUE[outcome]
    assert re.search(r"[ぁ-んァ-ヶ一-龠]", meaning.ja)
    assert meaning.en.isascii()
    assert len(meaning.ja) <= 40
    assert len(meaning.en) <= 80
    assert not (meaning.recorded and meaning.retryable), "a final outcome is not changed by asking again"
    assert meaning.recorded or not meaning.charged, "what is charged is recorded"
    hundreds = outcome // 100
    if hundreds == 2:
        assert meaning.recorded
    if hundreds in (3, 4):
        assert not meaning.recorded
    assert meaning.retryable <= (hundreds == 4)


def test_only_what_gives_data_is_charged() -> None:
    assert {outcome for outcome, meaning in CATALOGUE.items() if meaning.charged} == {
        Outcome.EXACT,
        Outcome.VARIANT,
        Outcome.COMPLETED,
    }


def test_outcomes_and_faults_share_no_code() -> None:
    assert not {int(o) for o in Outcome} & {int(f) for f in FaultCode}
    assert set(CATALOGUE) == set(Outcome)


def test_a_fault_of_a_later_version_is_still_told() -> None:
    assert "12345" in str(FaultReceivedError(12345, "new"))
    assert "SILENT" in str(FaultReceivedError(918, ""))


@given(ms=st.integers(0, (1 << 48) - 1), randomness=st.binary(min_size=10, max_size=10))
def test_a_request_id_is_a_uuidv7_that_carries_its_time(ms: int, randomness: bytes) -> None:
    made = make_request_id(ms, randomness)
    assert is_request_id(made)
    assert time_ms(made) == ms


def test_what_is_no_request_id_is_told_apart() -> None:
    made = make_request_id(1, bytes(10))
    assert not is_request_id(made[:-1])
    assert not is_request_id(made[:6] + b"\x40" + made[7:])
    assert not is_request_id(made[:8] + b"\x00" + made[9:])
    for ms, randomness in ((-1, bytes(10)), (1 << 48, bytes(10)), (0, bytes(9))):
        with pytest.raises(ValueError, match="48 bits"):
            make_request_id(ms, randomness)


def test_the_month_is_that_of_the_id_in_utc() -> None:
    assert month_of(make_request_id(1_767_225_599_999, bytes(10))) == "2025-12"
    assert month_of(make_request_id(1_767_225_600_000, bytes(10))) == "2026-01"
    with pytest.raises(ValueError, match="year"):
        month_of(make_request_id((1 << 48) - 1, bytes(10)))


@given(a=st.binary(max_size=8), b=st.binary(max_size=8), x=st.integers(0, 255), y=st.integers(0, 255))
def test_commitments_are_equal_only_for_the_same_question(a: bytes, b: bytes, x: int, y: int) -> None:
    key = commitment_key(b"month", "party", bytes(16))
    assert (request_commitment(key, x, a) == request_commitment(key, y, b)) == ((x, a) == (y, b))
    assert request_commitment(key, x, a) != response_commitment(key, x, a)


def test_a_number_outside_its_field_commits_to_nothing() -> None:
    for operation in (-1, 256):
        with pytest.raises(ValueError, match="u8"):
            request_commitment(bytes(32), operation, b"")
    for outcome in (-1, 1 << 16):
        with pytest.raises(ValueError, match="u16"):
            response_commitment(bytes(32), outcome, b"")


def test_commitment_keys_differ_by_party_and_id() -> None:
    keys = {commitment_key(b"m", party, rid) for party in ("a", "b") for rid in (bytes(16), bytes(15) + b"\1")}
    assert len(keys) == 4


@given(name=st.text("abc-1", min_size=1, max_size=64), signature=st.binary(max_size=80), body=st.binary(max_size=80))
def test_an_envelope_survives_the_round_trip(name: str, signature: bytes, body: bytes) -> None:
    envelope = unpack(pack(Algorithm.ES256, name, signature, body))
    assert (envelope.key_id, envelope.signature, envelope.body) == (name, signature, body)


def test_a_request_body_is_read_by_its_operation() -> None:
    good = make_request().body
    assert encode(decode_body(Operation.INQUIRE_BY_CODE, good)) == good
    with pytest.raises(KeyError):
        decode_body(99, good)
    for bad in (b"", b"\xc1", good + b"\0", b"\x91" * 5_000, b"\x96\xa1\xff" + good[9:], b"\xdc\x00\x06" + good[1:]):
        with pytest.raises(BodyError):
            decode_body(Operation.INQUIRE_BY_CODE, bad)
    with pytest.raises(BodyError, match="too long"):
        decode_body(Operation.INQUIRE_BY_CODE, bytes(limits.REQUEST_BODY_BYTES_MAX + 1))
    assert set(BODY_DECODERS) == set(Operation) - {Operation.SETTLE}


QUESTION = InquiryByCode("pension", 1, "staff-1", "2026-0001", "00000000000")


@given(approval=st.binary(min_size=16, max_size=16))
def test_the_digest_of_a_question_does_not_depend_on_its_approval(approval: bytes) -> None:
    approved = msgspec.structs.replace(QUESTION, approval=approval)
    assert approval_digest(1, approved) == approval_digest(1, QUESTION)


@pytest.mark.parametrize("field", ["affair", "step", "staff", "case", "code"])
def test_the_digest_of_a_question_covers_every_field(field: str) -> None:
    value = getattr(QUESTION, field)
    other = msgspec.structs.replace(QUESTION, **{field: value + (1 if isinstance(value, int) else "1")})
    assert approval_digest(1, other) != approval_digest(1, QUESTION)
    assert approval_digest(2, QUESTION) != approval_digest(1, QUESTION)


def test_an_operation_outside_its_field_has_no_digest() -> None:
    for operation in (-1, 1 << 16):
        with pytest.raises(ValueError, match="u16"):
            approval_digest(operation, QUESTION)


@pytest.mark.parametrize("digests", [[], [bytes(31)], [bytes(33)], [bytes(32)] * (limits.APPROVAL_DIGESTS_MAX + 1)])
def test_an_approval_of_no_too_many_or_odd_digests_is_malformed(digests: list[bytes]) -> None:
    good = Approve("pension", 1, "staff-2", "2026-0001", [bytes(32)] * limits.APPROVAL_DIGESTS_MAX, 1)
    assert decode_body(Operation.APPROVE, encode(good)) == good
    with pytest.raises(BodyError):
        decode_body(Operation.APPROVE, encode(msgspec.structs.replace(good, digests=digests)))


@pytest.mark.parametrize("approval", [b"", bytes(15), bytes(17)])
def test_an_approval_id_of_another_length_is_malformed(approval: bytes) -> None:
    with pytest.raises(BodyError):
        decode_body(Operation.INQUIRE_BY_CODE, encode(msgspec.structs.replace(QUESTION, approval=approval)))
