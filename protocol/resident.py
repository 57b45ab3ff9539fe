"""A resident's record as an answer carries it (本人確認情報). Shape: docs/PROTOCOL.md, Resident record."""

from collections.abc import Callable
from typing import Final

import msgspec

from protocol.messages import Answer


class ProvidedRecord(msgspec.Struct, frozen=True, array_like=True):
    """What an answer may carry of one resident: 本人確認情報 as it leaves the register.

    Shape: MessagePack array of 15 in this order. `code` 11 digits; `birth` either YYYY-MM-DD, which need not exist in
    the calendar, or the entry's own words ("昭和10年3月頃"); `birth_sort` YYYYMMDD with 00 for what is not known,
    None when nothing is; `municipality` 6 digits; `changed_on` YYYY-MM-DD; `former_surname` 旧氏 and `alias` 通称, ""
    where none is entered; `my_number` 12 digits, None unless the affair may have it. Source: DOMAIN 2.1.
    """

    schema: int
    code: str
    name: str
    kana: str
    birth: str
    birth_sort: int | None
    sex: int
    address: str
    municipality: str
    changed_reason: int
    changed_on: str
    former_surname: str = ""
    alias: str = ""
    my_number: str | None = None
    synthetic: bool = False


class Found(msgspec.Struct, frozen=True):
    """What EXACT and VARIANT say: the fields that fit by variant only, and the record."""

    differing: list[str]
    record: ProvidedRecord


decode_provided: Final[Callable[[bytes], ProvidedRecord]] = msgspec.msgpack.Decoder(ProvidedRecord).decode
"""Read a provided record. Raises: msgspec.DecodeError, msgspec.ValidationError."""
_decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode


def decode_answer(body: bytes) -> Found:
    """Read the body of EXACT or VARIANT. Raises: msgspec.DecodeError, msgspec.ValidationError."""
    answer = _decode_answer(body)
    return Found(answer.differing, decode_provided(bytes(answer.record)))
