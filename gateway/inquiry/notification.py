"""本人確認情報の通知 (法30条の7): one row of a file, checked once into values that cannot be wrong.

A notification carries the whole record as it stands after the change, so each can be taken without the one before it.
Its number orders the notifications of a municipality. Every field is checked here; what depends on the register (does
the person stand there, is the number the next) is gateway.inquiry.versions'. Pure; errors hold nothing of a field.
Source: docs/OPERATIONS.md, The register.
"""

import datetime as dt
import re
from typing import Final

import msgspec

from gateway.inquiry.births import parse_birth
from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.codes import require_code, require_municipality, require_my_number
from gateway.inquiry.errors import BirthInvalid, FieldInvalid
from gateway.inquiry.record import SCHEMA, ResidentRecord, Sex
from protocol.limits import ADDRESS_CHARS_MAX, NAME_CHARS_MAX

SEQUENCE_MAX: Final = 10**15
_DATE_CHARS: Final = 10
_FLAGS: Final = {"": False, "0": False, "1": True}
_SEXES: Final = {str(int(sex)): sex for sex in Sex}
_REASONS: Final = {str(int(reason)): reason for reason in ChangeReason}
_PREVIOUS_CODE: Final = frozenset({ChangeReason.CODE_CHANGED, ChangeReason.CODE_ENTERED})
# Control and format characters, private use (外字 have to be mapped to Unicode first), what stands for a lost
# character, and noncharacters; a variation selector (IVS) belongs behind the character it varies.
_UNUSABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff\ue000-\uf8ff"
    "\U000e0000-\U000e00ff\U000f0000-\U0010ffff]|^[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


class NotificationRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row as it is written: every field text, "" where there is none. The fields' order is the sample's."""

    municipality: str
    sequence: str
    notified_on: str
    reason: str
    changed_on: str
    code: str
    name: str
    kana: str
    birth: str
    sex: str
    address: str
    previous_code: str = ""
    former_surname: str = ""
    alias: str = ""
    my_number: str = ""
    synthetic: str = ""


FIELDS: Final = NotificationRow.__struct_fields__
"""The layout's fields."""
REQUIRED: Final = frozenset(field.name for field in msgspec.structs.fields(NotificationRow) if field.required)
"""Fields that every file has."""


class Notification(msgspec.Struct, frozen=True):
    """A notification whose every field is right in itself: its place in the municipality's order, and the record.

    `previous_code` is the 住民票コード the person had until now, "" when it is the same.
    """

    sequence: int
    notified_on: dt.date
    reason: ChangeReason
    previous_code: str
    record: ResidentRecord


def read_order(row: NotificationRow) -> tuple[str, int]:
    """A row's municipality and number. Raises: FieldInvalid."""
    require_municipality(row.municipality)
    if not (row.sequence.isascii() and row.sequence.isdigit()) or not 1 <= int(row.sequence[:17]) <= SEQUENCE_MAX:
        raise FieldInvalid(
            "sequence",
            "digits",
            ja="通知番号は1以上の整数で記入してください",
            en="write the number as an integer from 1",
        )
    return row.municipality, int(row.sequence)


def read_notification(row: NotificationRow, order: tuple[str, int] | None = None, *, today: dt.date) -> Notification:
    """Check every field of a row; `today` as at the register's office. Raises: FieldInvalid, for the first at fault.

    order: what `read_order` made of this row, if it was asked already.
    """
    municipality, sequence = order or read_order(row)
    notified_on = _date(row.notified_on, "notified_on", "通知年月日", "notification date")
    if notified_on > today:
        raise FieldInvalid(
            "notified_on", "future", ja="通知年月日が未来の日付です", en="the notification date lies in the future"
        )
    reason = _REASONS.get(row.reason)
    if reason is None:
        raise FieldInvalid(
            "reason",
            "unknown",
            ja="異動事由コード表にある3桁で記入してください",
            en="write a reason of the table, 3 digits",
        )
    changed_on = _changed_on(row.changed_on, reason)
    require_code(row.code)
    _check_previous_code(row, reason)
    sex = _SEXES.get(row.sex)
    if sex is None:
        raise FieldInvalid(
            "sex", "unknown", ja="性別は 0(空欄) 1(男) 2(女) です", en="write 0 (none), 1 (male) or 2 (female)"
        )
    synthetic = _FLAGS.get(row.synthetic)
    if synthetic is None:
        raise FieldInvalid(
            "synthetic", "unknown", ja="合成データは 1、それ以外は空欄です", en="write 1 for synthetic data, or nothing"
        )
    if row.my_number:
        require_my_number(row.my_number)
    try:
        birth = parse_birth(row.birth)
    except BirthInvalid as error:
        raise FieldInvalid(
            "birth",
            error.ground,
            ja="生年月日は YYYY-MM-DD、和暦、または不詳日の表記で記入してください",
            en="write YYYY-MM-DD, a Japanese era date, or an uncertain date as entries have it",
        ) from None
    record = ResidentRecord(
        schema=SCHEMA,
        code=row.code,
        name=_text(row.name, "name", NAME_CHARS_MAX, "氏名", "name", needed=True),
        kana=_text(row.kana, "kana", NAME_CHARS_MAX, "氏名のフリガナ", "kana"),
        birth=birth.text(),
        birth_sort=birth.sort,
        sex=int(sex),
        address=_text(row.address, "address", ADDRESS_CHARS_MAX, "住所", "address", needed=True),
        municipality=municipality,
        changed_reason=int(reason),
        changed_on=changed_on,
        former_surname=_text(row.former_surname, "former_surname", NAME_CHARS_MAX, "旧氏", "former surname"),
        alias=_text(row.alias, "alias", NAME_CHARS_MAX, "通称", "alias"),
        my_number=row.my_number or None,
        synthetic=synthetic,
    )
    return Notification(sequence, notified_on, reason, row.previous_code, record)


def _date(text: str, field: str, ja: str, en: str) -> dt.date:
    try:
        if len(text) == _DATE_CHARS:
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise FieldInvalid(
        field, "no-such-day", ja=f"{ja}は暦にある日を YYYY-MM-DD で記入してください", en=f"write the {en} as YYYY-MM-DD"
    )


def _changed_on(text: str, reason: ChangeReason) -> str:
    try:
        return _date(text, "changed_on", "異動年月日", "date of the change").isoformat()
    except FieldInvalid:
        # 標準仕様書 1.1.8: the day of a birth or death may be uncertain, or one the calendar does not have.
        if reason not in (ChangeReason.DIED, ChangeReason.BORN):
            raise
        try:
            return parse_birth(text).text()
        except BirthInvalid:
            pass
        raise


def _check_previous_code(row: NotificationRow, reason: ChangeReason) -> None:
    if not row.previous_code:
        if reason == ChangeReason.CODE_CHANGED:
            raise FieldInvalid(
                "previous_code",
                "missing",
                ja="変更前の住民票コードを記入してください",
                en="write the code the person had before the change",
            )
        return
    require_code(row.previous_code, "previous_code")
    if reason not in _PREVIOUS_CODE or row.previous_code == row.code:
        raise FieldInvalid(
            "previous_code",
            "unfitting",
            ja="変更前の住民票コードは、コードが変わるときだけ記入してください",
            en="give a previous code only where the code changes",
        )


def _text(text: str, field: str, chars_max: int, ja: str, en: str, *, needed: bool = False) -> str:
    if text == "":
        if needed:
            raise FieldInvalid(field, "missing", ja=f"{ja}を記入してください", en=f"write the {en}")
    elif len(text) > chars_max:
        raise FieldInvalid(
            field, "too-long", ja=f"{ja}は{chars_max}文字以内です", en=f"the {en} has at most {chars_max} characters"
        )
    elif _UNUSABLE.search(text) is not None or text[0].isspace() or text[-1].isspace():
        raise FieldInvalid(
            field,
            "characters",
            ja=f"{ja}に使えない文字（制御文字、外字領域、前後の空白など）があります",
            en=f"the {en} has a character that cannot be kept (control, private use, space at an end)",
        )
    return text
