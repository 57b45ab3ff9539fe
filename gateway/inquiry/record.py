"""The resident's record as it is sealed and provided (本人確認情報).

A record is one MessagePack array; its bytes are sealed as they are and released as they are. 個人番号 is not part of
it: no granted affair may have it (DOMAIN 2.1).
"""

import re
from enum import IntEnum
from typing import Final

import msgspec

SCHEMA: Final = 1
"""Layout of ResidentRecord; sealed with the record as associated data."""

_BIRTH: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


class Sex(IntEnum):
    """性別; UNKNOWN where the entry has none."""

    UNKNOWN = 0
    MALE = 1
    FEMALE = 2


class ChangeReason(IntEnum):
    """異動事由. The official numbers are not public; these are the project's own (DOMAIN 2.1)."""

    MOVED_IN = 101  # 国内転入
    MOVED_IN_FROM_ABROAD = 102  # 国外転入等
    BORN = 103  # 出生
    ENTERED_EX_OFFICIO = 104  # 職権記載
    REWRITTEN = 105  # 改製
    MOVED_OUT = 201  # 国内転出
    MOVED_ABROAD = 202  # 国外転出
    DIED = 203  # 死亡
    REMOVED_EX_OFFICIO = 204  # 職権消除
    MOVED_WITHIN = 301  # 転居
    CORRECTED_LIGHTLY = 302  # 軽微な修正
    CORRECTED_EX_OFFICIO = 303  # 職権修正
    CODE_CHANGED = 304  # 住民票コードの変更請求
    FORMER_SURNAME_ENTERED = 305  # 旧氏の記載
    FORMER_SURNAME_REMOVED = 306  # 旧氏の削除


class ResidentRecord(msgspec.Struct, frozen=True, array_like=True):
    """One resident.

    Shape: MessagePack array of 14 in this order. `code` 11 digits; `birth` either YYYY-MM-DD, which need not exist in
    the calendar, or the entry's own words ("昭和10年3月頃"); `birth_sort` YYYYMMDD with 00 for what is not known,
    None when nothing is; `municipality` 6 digits; `changed_on` YYYY-MM-DD; former names hold 旧氏 with the given name.
    Source: DOMAIN 2.1.
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
    former_names: tuple[str, ...] = ()
    former_addresses: tuple[str, ...] = ()
    synthetic: bool = False


class RecordHead(msgspec.Struct, frozen=True, array_like=True):
    """The first two items of a record: what must be checked before its bytes are released."""

    schema: int
    code: str


encode_record = msgspec.msgpack.Encoder().encode
"""The record's bytes: what is sealed and what is provided."""
decode_record = msgspec.msgpack.Decoder(ResidentRecord).decode
"""Read a record. Raises: msgspec.DecodeError, msgspec.ValidationError."""
decode_head = msgspec.msgpack.Decoder(RecordHead).decode
"""Read a record's head only, at a fraction of the cost. Raises as decode_record."""


def birth_is_date(birth: str) -> bool:
    """Whether text is a birth date in figures: YYYY-MM-DD, month 1-12, day 1-31.

    29 February of a common year passes: such dates stand in entries (DOMAIN 2.1, standard 1.1.8).
    """
    found = _BIRTH.fullmatch(birth)
    return found is not None and found[1] != "0000" and 1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31
