"""Codes, sealing, tokens, synthetic residents and answers that need no database."""

from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.answering import answer_by_code, answer_by_name
from gateway.inquiry.births import is_date
from gateway.inquiry.codes import code_check_digit, code_is_valid, code_remainder
from gateway.inquiry.errors import KeyMissing, RegisterCorrupt
from gateway.inquiry.index import birth_token, code_token, name_tokens, query_tokens, town_token
from gateway.inquiry.record import (
    ProvidedRecord,
    decode_provided,
    decode_record,
    encode_provided,
    encode_record,
    provided_part,
)
from gateway.inquiry.sealing import RegisterKeys
from gateway.inquiry.synthetic import MUNICIPALITIES, absent_code, birth_in_words, codes, residents
from gateway.store.register import SealedRow
from protocol import limits, municipality_code
from protocol.messages import Answer, InquiryByCode, InquiryByName, Refusal
from protocol.outcomes import Outcome
from tests.inquiry.kit import KEYS

ID = b"r" * 16


def sealed(plaintext: bytes, keys: RegisterKeys = KEYS) -> SealedRow:
    return SealedRow(ID, 1, keys.current, 1, keys.seal(plaintext, record_id=ID, version=1, schema=1, nonce=b"n" * 12))


@given(st.binary(max_size=400))
def test_what_is_sealed_opens_to_itself(plaintext: bytes) -> None:
    assert KEYS.open_record(sealed(plaintext)) == plaintext


@given(st.binary(max_size=60), st.data())
def test_any_changed_bit_or_place_does_not_open(plaintext: bytes, data: st.DataObject) -> None:
    row = sealed(plaintext)
    bit = data.draw(st.integers(0, len(row.sealed) * 8 - 1))
    changed = bytearray(row.sealed)
    changed[bit // 8] ^= 1 << bit % 8
    for other in (
        row._replace(sealed=bytes(changed)),
        row._replace(sealed=row.sealed[: bit // 8]),
        row._replace(record_id=b"s" * 16),
        row._replace(version=2),
        row._replace(version=-1),
        row._replace(schema=2),
        row._replace(key_id=3),
    ):
        with pytest.raises(RegisterCorrupt):
            KEYS.open_record(other)


def test_a_retired_data_key_still_opens_what_it_sealed() -> None:
    newer = RegisterKeys(KEYS.index_key, {2: b"d" * 32, 3: b"e" * 32}, 3)
    assert newer.open_record(sealed(b"old")) == b"old"
    assert sealed(b"new", newer).key_id == 3
    assert "dddd" not in repr(newer)
    with pytest.raises(KeyMissing):
        RegisterKeys(KEYS.index_key, {2: b"d" * 32}, 3)
    with pytest.raises(ValueError, match="32"):
        RegisterKeys(b"short", {2: b"d" * 32}, 2)


@given(st.integers(0, 10**10 - 1))
def test_check_digits_follow_the_remainder(number: int) -> None:
    body = f"{number:010d}"
    fitting = {digit for digit in "0123456789" if code_is_valid(body + digit)}
    remainder = code_remainder(body)
    assert fitting == ({"0", "1"} if remainder == 0 else {"0"} if remainder == 1 else {code_check_digit(body)})
    assert (code_check_digit(body) is None) == (remainder < 2)


@pytest.mark.parametrize("code", ["", "1234567890", "１２３４５６７８９０１", "12345678 01", "123456789012"])
def test_text_that_is_no_code_is_not_valid(code: str) -> None:
    assert not code_is_valid(code)


def test_packaged_municipalities_have_fitting_check_digits() -> None:
    assert len(MUNICIPALITIES) >= 60
    assert len({place.code for place in MUNICIPALITIES}) == len(MUNICIPALITIES)
    assert all(municipality_code.is_valid(place.code) for place in MUNICIPALITIES)
    published = [  # DOMAIN 2.2
        "121002",
        "121011",
        "121029",
        "121037",
        "121045",
        "121053",
        "121061",
        "162027",
        "231002",
        "131016",
        "011002",
        "281000",
    ]
    assert all(municipality_code.is_valid(code) for code in published)
    assert not municipality_code.is_valid("121012")


def test_synthetic_residents_are_the_same_for_a_seed_marked_and_different_from_each_other() -> None:
    one, two = list(residents(3, 4000)), list(residents(3, 4000))
    assert one == two != list(residents(4, 4000))
    assert all(person.record.synthetic and code_is_valid(person.record.code) for person in one)
    assert len({person.record.code for person in one}) == len({person.record_id for person in one}) == 4000
    assert absent_code(3) not in set(islice(codes(3), 4000))
    births = {person.record.birth for person in one}
    assert any("頃" in birth for birth in births)
    assert any(birth.endswith("-02-29") for birth in births)
    assert any(person.record.former_names and person.record.former_surname for person in one)
    assert any(person.record.alias for person in one)
    assert any(person.record.former_addresses for person in one)
    assert any(person.superseded_on for person in one)
    assert any(person.expires_on and not person.superseded_on for person in one)
    assert all(len(encode_record(person.record)) < limits.RESPONSE_BODY_BYTES_MAX for person in one)
    assert [decode_record(encode_record(person.record)) for person in one] == [person.record for person in one]


def test_the_history_and_my_number_are_sealed_and_not_provided() -> None:
    plain_record = next(residents(6, 1))
    record = msgspec.structs.replace(
        plain_record.record, my_number="123456789018", former_names=("旧 名",), former_addresses=("旧の住所",)
    )
    plaintext = encode_record(record)
    head, provided = provided_part(plaintext)
    assert decode_record(plaintext) == record
    assert (head.schema, head.code) == (record.schema, record.code)
    assert provided == encode_provided(record) in plaintext
    assert not any(text.encode() in provided for text in ("123456789018", "旧 名", "旧の住所"))
    shown = decode_provided(provided)
    assert type(shown) is ProvidedRecord
    assert shown.my_number is None
    assert decode_provided(encode_provided(record, my_number=True)).my_number == "123456789018"


@pytest.mark.parametrize("granted", [False, True])
def test_my_number_leaves_only_when_granted(*, granted: bool) -> None:
    record = msgspec.structs.replace(next(residents(6, 1)).record, my_number="123456789018")
    row = sealed(encode_record(record))
    by_code = answer_by_code(InquiryByCode("12-1", 1, "s", "c", record.code), row, KEYS, my_number=granted)
    query = InquiryByName("12-1", 1, "s", "c", record.name, record.address)
    by_name = answer_by_name(query, [row], KEYS, history=True, my_number=granted)
    assert by_name == by_code
    body = msgspec.msgpack.decode(by_code.body, type=Answer)
    assert decode_provided(body.record).my_number == ("123456789018" if granted else None)


def test_uncertain_births_are_written_as_entries_write_them() -> None:
    assert birth_in_words(1935, 3) == "昭和10年3月頃"


def test_a_record_is_found_by_every_name_and_town_it_has_had() -> None:
    for person in islice(residents(5, 2000), 300):
        record = person.record
        tokens = name_tokens(KEYS.index_key, record)
        for name in (record.name, record.kana, *record.former_names):
            for address in (record.address, *record.former_addresses):
                assert query_tokens(KEYS.index_key, name, address, None)[0] in tokens
            if is_date(record.birth):
                assert query_tokens(KEYS.index_key, name, "どこか", record.birth)[1] in tokens


def test_tokens_of_different_composites_differ() -> None:
    key = KEYS.index_key
    tokens = {
        code_token(key, "ab"), town_token(key, "a", "b"), town_token(key, "ab", ""), town_token(key, "", "ab"),
        birth_token(key, "a", "b"), town_token(b"j" * 32, "a", "b"),
    }  # fmt: skip
    assert len(tokens) == 6
    assert {len(token) for token in tokens} == {16}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "あ" * 101}, "name"),
        ({"address": ""}, "address"),
        ({"address": "あ" * 201}, "address"),
        ({"birth": "昭和10年"}, "birth"),
        ({"sex": 3}, "sex"),
    ],
)
def test_a_field_that_cannot_be_searched_for_is_named(changes: dict[str, object], field: str) -> None:
    base = {"name": "山田花子", "address": "千葉市中央区千葉港1-1"} | changes
    answered = answer_by_name(InquiryByName("12-1", 1, "s", "c", **base), [], KEYS, history=True)
    assert answered.outcome == Outcome.FIELD_INVALID
    assert msgspec.msgpack.decode(answered.body, type=Refusal).field == field


def test_more_than_64_candidates_are_not_opened() -> None:
    query = InquiryByName("12-1", 1, "s", "c", "山田花子", "千葉市中央区千葉港1-1")
    assert answer_by_name(query, [SealedRow(ID, 1, 2, 1, b"")] * 65, KEYS, history=True).outcome == Outcome.AMBIGUOUS


@given(st.binary(max_size=40))
def test_a_row_that_opens_to_anything_but_the_record_is_corrupt(plaintext: bytes) -> None:
    code = next(codes(1))
    with pytest.raises(RegisterCorrupt):
        answer_by_code(InquiryByCode("12-1", 1, "s", "c", code), sealed(plaintext), KEYS)
    query = InquiryByName("12-1", 1, "s", "c", "山田花子", "千葉市中央区千葉港1-1")
    with pytest.raises(RegisterCorrupt):
        answer_by_name(query, [sealed(plaintext)], KEYS, history=True)
