"""What can go wrong between a question and a record. One root; every leaf has a stable code and its facts."""

import datetime as dt
from typing import ClassVar


class InquiryError(Exception):
    """Root of this package's errors. `code` never changes its meaning."""

    code: ClassVar[str] = "inquiry"


class RegisterCorrupt(InquiryError):  # noqa: N818  the field speaks of the state of the register, not of an error
    """A stored row is not what was sealed, or does not answer the question it was found for. Ours to mend.

    The caller releases nothing and answers UNAVAILABLE. `record_id` names the row; `ground` says what did not fit.
    """

    code: ClassVar[str] = "register-corrupt"

    def __init__(self, record_id: bytes, ground: str) -> None:
        super().__init__(f"register record {record_id.hex()}: {ground}")
        self.record_id = record_id
        self.ground = ground


class TableInvalid(InquiryError):  # noqa: N818  same reading as above
    """A packaged table contradicts itself. `table` and `line` (from 1) name the place."""

    code: ClassVar[str] = "table-invalid"

    def __init__(self, table: str, line: int, ground: str) -> None:
        super().__init__(f"{table} line {line}: {ground}")
        self.table = table
        self.line = line
        self.ground = ground


class BirthInvalid(InquiryError):  # noqa: N818  same reading as above
    """A birth date cannot be read as one. `ground`: unreadable, no-such-day, outside-era or too-long; no part of it."""

    code: ClassVar[str] = "birth-invalid"

    def __init__(self, ground: str) -> None:
        super().__init__(f"the birth date is {ground.replace('-', ' ')}; write YYYY-MM-DD or 昭和50年11月23日")
        self.ground = ground


class KeyMissing(InquiryError):  # noqa: N818  same reading as above
    """A key the register needs is not there. `purpose` is "index" or "data"; `key_id` its number."""

    code: ClassVar[str] = "register-key-missing"

    def __init__(self, purpose: str, key_id: int) -> None:
        super().__init__(f"the register has no {purpose} key {key_id}; make the keys with the register's set-up")
        self.purpose = purpose
        self.key_id = key_id


class FieldInvalid(InquiryError):  # noqa: N818  same reading as above
    """A field of a notification is not what it must be; the sender's to mend. Holds nothing of the field's content.

    `field` is its name in the layout, `ground` a stable word for what is wrong, `ja` and `en` what would mend it.
    """

    code: ClassVar[str] = "field-invalid"

    def __init__(self, field: str, ground: str, *, ja: str, en: str) -> None:
        super().__init__(f"{field}: {en}")
        self.field = field
        self.ground = ground
        self.ja = ja
        self.en = en


class RetentionMissing(InquiryError):  # noqa: N818  same reading as above
    """No retention period of a kind holds on a day; `sekisho register retention` enters one."""

    code: ClassVar[str] = "retention-missing"

    def __init__(self, kind: str, on: dt.date) -> None:
        super().__init__(
            f"no retention period of kind {kind} holds on {on}; enter one with `sekisho register retention`"
        )
        self.kind = kind
        self.on = on


class LoadBroken(InquiryError):  # noqa: N818  same reading as above
    """A process that prepared rows for a load ended. What was committed stands; begin the load again."""

    code: ClassVar[str] = "load-broken"

    def __init__(self) -> None:
        super().__init__("a process that prepares rows ended; begin the load again, it goes on where it was")


class FileInvalid(InquiryError):  # noqa: N818  same reading as above
    """A file's header is not the layout's. `missing` are the names it lacks; unknown ones are counted, not repeated."""

    code: ClassVar[str] = "file-invalid"

    def __init__(self, path: str, *, missing: list[str], unknown_count: int) -> None:
        lacks = f"lacks {', '.join(missing)}; " if missing else ""
        super().__init__(
            f"{path}: line 1 must name the layout's columns once each, in UTF-8: it {lacks}has {unknown_count} unknown;"
            " see `sekisho register sample`"
        )
        self.path = path
        self.missing = missing
        self.unknown_count = unknown_count


class LoadBusy(InquiryError):  # noqa: N818  same reading as above
    """Another load into this register is under way."""

    code: ClassVar[str] = "load-busy"

    def __init__(self) -> None:
        super().__init__("another load into this register is under way; begin again when it has ended")
