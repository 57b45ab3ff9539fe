"""What every table of a directory file is read with: schemas by msgspec, places of errors, times, windows, files."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from gateway.directory.errors import DirectoryInvalid
from gateway.directory.openings import Hours, Stop, Window

BESIDE_BYTES_MAX: Final = 64 << 10
"""Bytes of a file beside the directory file: a key, certificates, a trust bundle."""
CLOSED: Final = "closed"

_WINDOW = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>.*)`")

_T = TypeVar("_T", bound=msgspec.Struct)
_V = TypeVar("_V", bound=msgspec.Struct)


class HoursTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours as written: "HH:MM-HH:MM" or "closed" by class of day."""

    valid_from: date
    weekday: str
    saturday: str
    holiday: str


class StopTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stop as written."""

    since: datetime
    until: datetime
    ground: str


def invalid(table: str, field: str, why: str, remedy: str) -> DirectoryInvalid:
    """The error of a table's field."""
    return DirectoryInvalid(table=table, field=field, why=why, remedy=remedy)


def file_bytes(path: Path, bytes_max: int) -> bytes:
    """A file's bytes. Raises: DirectoryInvalid when it cannot be read or is longer."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise invalid("file", str(path), error.strerror or "cannot be read", "give a file that can be read") from error
    if len(data) > bytes_max:
        raise invalid("file", str(path), f"longer than {bytes_max} bytes", "give a smaller file")
    return data


def each_table(items: Iterable[Any], name: str, schema: type[_T], build: Callable[[_T, str], _V]) -> tuple[_V, ...]:
    """Every table of a list, read by its schema and built; each is called by its number."""
    built = []
    for number, item in enumerate(items, start=1):
        at = f"[[{name}]] {number}"
        built.append(build(convert(item, schema, at), at))
    return tuple(built)


def convert(item: object, schema: type[_T], at: str) -> _T:
    """A table by its schema. Raises: DirectoryInvalid naming the field."""
    try:
        return msgspec.convert(item, schema)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        path = found["path"] if found else ""
        why = text[: found.start()] if found else text
        unknown, missing = _UNKNOWN.search(text), _MISSING.search(text)
        if unknown:
            raise invalid(
                at, _join(path, unknown["field"]), "unknown field", "remove it or correct its name"
            ) from error
        if missing:
            raise invalid(at, _join(path, missing["field"]), "missing", "add it") from error
        remedy = "write a value of the kind the example file shows"
        raise invalid(at, path or "table", why[:1].lower() + why[1:], remedy) from error


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def us(at: datetime, table: str, field: str) -> int:
    """Microseconds since 1970 UTC of a time with an offset."""
    if at.tzinfo is None:
        raise invalid(table, field, "a time without offset", "add one, such as 2026-04-01T00:00:00+09:00")
    # whole seconds and microseconds apart, so that no float stands between a date and its microseconds
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def us_or_none(at: datetime | None, table: str, field: str) -> int | None:
    """The same, where there may be none."""
    return None if at is None else us(at, table, field)


def window(text: str, at: str, field: str) -> Window | None:
    """'HH:MM-HH:MM', or None for 'closed'."""
    if text == CLOSED:
        return None
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise invalid(at, field, f"{text!r} is no window", 'write "HH:MM-HH:MM" or "closed"')
    first, first_minute, last, last_minute = (int(part) for part in found.groups())
    return Window(open_minute=first * 60 + first_minute, close_minute=last * 60 + last_minute)


def dated_hours(tables: Sequence[HoursTable], at: str) -> tuple[Hours, ...]:
    """Hours from their tables."""
    return tuple(
        Hours(
            valid_from=table.valid_from,
            weekday=window(table.weekday, at, "hours.weekday"),
            saturday=window(table.saturday, at, "hours.saturday"),
            holiday=window(table.holiday, at, "hours.holiday"),
        )
        for table in tables
    )


def stop(table: StopTable, at: str) -> Stop:
    """A stop from its table."""
    return Stop(from_us=us(table.since, at, "since"), until_us=us(table.until, at, "until"), ground=table.ground)


def beside(base: Path, name: str, at: str, field: str) -> bytes:
    """The bytes of a file beside the directory file, named by a field of a table."""
    path = base / name
    try:
        return file_bytes(path, BESIDE_BYTES_MAX)
    except DirectoryInvalid as error:
        raise invalid(at, field, f"{path}: {error.why}", error.remedy) from error
