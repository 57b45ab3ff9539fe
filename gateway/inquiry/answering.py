"""From a question and sealed rows to the bytes of an answer. Pure: no table, clock or randomness.

An answer carries the record's provided part as it was sealed; only where 個人番号 is granted is it encoded anew. Every
other outcome carries a Refusal and no data. A row that does not open, or opens to someone the question did not find,
raises RegisterCorrupt: the caller answers UNAVAILABLE and releases nothing. Policy, claims and repeats are decided by
the caller before and after.
Source: DESIGN 9; docs/PROTOCOL.md, Operations.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.inquiry.addresses import town_key
from gateway.inquiry.births import is_date
from gateway.inquiry.codes import code_is_valid
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.folding import search_name
from gateway.inquiry.index import name_tokens, query_tokens
from gateway.inquiry.matching import CANDIDATES_MAX, Ambiguous, Exact, NoMatch, match
from gateway.inquiry.provision import RECORD_GIVEN, Given
from gateway.inquiry.record import (
    SCHEMA,
    ResidentRecord,
    Sex,
    decode_record,
    encode_provided,
    provided_part,
)
from gateway.inquiry.sealing import RegisterKeys
from gateway.store.register import SealedRow
from protocol import limits
from protocol.messages import Answer, InquiryByCode, InquiryByName, Refusal, encode
from protocol.outcomes import Outcome


class Answered(msgspec.Struct, frozen=True):
    """An outcome, the response body, and the records provided (本人確認情報の件数, 002 本2-1): 1 or 0.

    subject: record id of the resident whose record the body shows, for the provision history; given: what of it
    (gateway.inquiry.provision.Given).
    """

    outcome: Outcome
    body: bytes
    count: int
    subject: bytes | None = None
    given: int = 0


NONE: Final = Answered(Outcome.NONE, encode(Refusal()), 0)
AMBIGUOUS: Final = Answered(Outcome.AMBIGUOUS, encode(Refusal(remedy="生年月日・性別を加えて照会してください")), 0)

_INVALID: Final = {
    field: Answered(Outcome.FIELD_INVALID, encode(Refusal(field=field, remedy=remedy)), 0)
    for field, remedy in {
        "code": "住民票コード11桁を確認してください",
        "name": "氏名を入力してください",
        "address": "市区町村から住所を入力してください",
        "birth": "生年月日は YYYY-MM-DD で入力してください",
        "sex": "性別は 1(男)か 2(女)です",
    }.items()
}
_raw = msgspec.Raw
_EXACT_HEAD: Final = encode(Answer([], _raw(b"\xc0")))[:-1]


def answer_by_code(
    query: InquiryByCode, row: SealedRow | None, keys: RegisterKeys, *, my_number: bool = False
) -> Answered:
    """Answer a question by 住民票コード over the row its token found; with 個人番号 only when `my_number` is granted.

    Raises: RegisterCorrupt when the row does not open or carries another code.
    """
    if row is not None:
        plaintext = keys.open_record(row)
        try:
            head, provided = provided_part(plaintext)
        except (msgspec.DecodeError, ValueError):  # ValueError: text that is not UTF-8
            raise RegisterCorrupt(row.record_id, "is not a record") from None
        # A stored record with this very code proves the code: its check digit need not be looked at again.
        if head.code != query.code or head.schema != SCHEMA:
            raise RegisterCorrupt(row.record_id, "is not the record asked for")
        given = RECORD_GIVEN
        if my_number:
            record = _opened(row, plaintext)
            provided, given = encode_provided(record, my_number=True), _given(record)
        return Answered(Outcome.EXACT, _EXACT_HEAD + provided, 1, row.record_id, given)
    return NONE if code_is_valid(query.code) else _INVALID["code"]


def field_at_fault(query: InquiryByName) -> str | None:
    """The first field of a question by name that cannot be searched for; None when all can."""
    if not search_name(query.name) or len(query.name) > limits.NAME_CHARS_MAX:
        return "name"
    if not town_key(query.address) or len(query.address) > limits.ADDRESS_CHARS_MAX:
        return "address"
    if query.birth is not None and not is_date(query.birth):
        return "birth"
    return None if query.sex in (None, Sex.MALE, Sex.FEMALE) else "sex"


def answer_by_name(
    query: InquiryByName,
    rows: Sequence[SealedRow],
    keys: RegisterKeys,
    *,
    history: bool,
    my_number: bool = False,
) -> Answered:
    """Answer a question by name and address over its candidates, of which the look-up brings at most 65.

    By former names and addresses only when `history` is granted; with 個人番号 only when `my_number` is.
    Raises: RegisterCorrupt when any candidate does not open or was not findable by this question.
    """
    fault = field_at_fault(query)
    if fault is not None:
        return _INVALID[fault]
    if len(rows) > CANDIDATES_MAX:
        return AMBIGUOUS
    asked = set(query_tokens(keys.index_key, query.name, query.address, query.birth))
    plaintexts = [keys.open_record(row) for row in rows]
    candidates = [
        _candidate(row, plaintext, asked, keys.index_key) for row, plaintext in zip(rows, plaintexts, strict=True)
    ]
    found = match(query, candidates, history=history)
    if isinstance(found, NoMatch):
        return NONE
    if isinstance(found, Ambiguous):
        return AMBIGUOUS
    at = found.at
    provided = encode_provided(candidates[at], my_number=True) if my_number else provided_part(plaintexts[at])[1]
    given = _given(candidates[at]) if my_number else RECORD_GIVEN
    subject = rows[at].record_id
    if isinstance(found, Exact):
        return Answered(Outcome.EXACT, _EXACT_HEAD + provided, 1, subject, given)
    return Answered(Outcome.VARIANT, encode(Answer(list(found.differing), _raw(provided))), 1, subject, given)


def _candidate(row: SealedRow, plaintext: bytes, asked: set[bytes], index_key: bytes) -> ResidentRecord:
    record = _opened(row, plaintext)
    if record.schema != SCHEMA or asked.isdisjoint(name_tokens(index_key, record)):
        raise RegisterCorrupt(row.record_id, "is not a record the question finds")
    return record


def _given(record: ResidentRecord) -> Given:
    return RECORD_GIVEN if record.my_number is None else RECORD_GIVEN | Given.MY_NUMBER


def _opened(row: SealedRow, plaintext: bytes) -> ResidentRecord:
    try:
        return decode_record(plaintext)
    except (msgspec.DecodeError, ValueError):  # ValueError: text that is not UTF-8
        raise RegisterCorrupt(row.record_id, "is not a record") from None
