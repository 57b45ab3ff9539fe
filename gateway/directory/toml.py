"""A directory file: what a person at the centre writes, read into a checked Document or refused with its place.

Every table is read by a schema of its own that knows no other fields, so that a misspelt one is an error and never a
silent default. Times are TOML date-times with an offset, dates are Japanese civil dates, hours "HH:MM-HH:MM" or
"closed". Keys are base64 SubjectPublicKeyInfo, or files (DER or PEM) beside the directory file. Nothing here touches
the database.

Source: deploy/directory.example.toml shows every table.
"""

import base64
import binascii
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway.directory.check import check
from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import (
    Contract,
    Document,
    Hours,
    Line,
    LineKey,
    Method,
    NoticeDeadlines,
    Party,
    Right,
    Role,
    Scope,
    Staff,
    Stop,
    Suspension,
    Terms,
    Volume,
    Window,
)
from protocol import limits
from protocol.keys import Algorithm

FILE_BYTES_MAX: Final = 16 << 20
KEY_FILE_BYTES_MAX: Final = 64 << 10
ALGORITHMS: Final[Mapping[str, Algorithm]] = {"ES256": Algorithm.ES256, "ML-DSA-65": Algorithm.ML_DSA_65}
CLOSED: Final = "closed"

_WINDOW = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>.*)`")


class _Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    algorithm: str = "ES256"
    public_key: str = ""
    key_file: str = ""
    not_before: datetime
    not_after: datetime | None = None


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    party: str
    name: str
    key: list[_Key]
    certificates: list[str] = []
    requests_in_flight_max: int = limits.CREDIT_REQUESTS_DEFAULT


class _Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    valid_from: date
    weekday: str
    saturday: str
    holiday: str


class _Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reference: str
    party: str
    role: Role
    valid_from: date
    valid_until: date | None = None
    run_off_until: date | None = None
    methods: list[Method] = []
    affairs: dict[str, list[int]] = {}
    hours: list[_Hours]
    terms: list[Terms]
    volume: Volume


class _Staff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    party: str
    id: str
    rights: list[Right]
    valid_from: date
    valid_until: date | None = None
    trained_on: date | None = None


class _Suspension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: Scope
    target: str = ""
    since: datetime
    until: datetime | None = None
    ground: str


class _Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    since: datetime
    until: datetime
    ground: str


class _Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    holidays: list[date] = []
    stop: list[_Stop] = []


_T = TypeVar("_T", bound=msgspec.Struct)
_V = TypeVar("_V", bound=msgspec.Struct)


def read(path: Path) -> Document:
    """Read a directory file.

    Raises: DirectoryInvalid with file, table, field and remedy, for whatever is wrong with it.
    """
    try:
        return parse(_file_bytes(path, FILE_BYTES_MAX), base=path.parent)
    except DirectoryInvalid as error:
        raise DirectoryInvalid(
            file=str(path), table=error.table, field=error.field, why=error.why, remedy=error.remedy
        ) from error


def parse(data: bytes, *, base: Path) -> Document:
    """Read the bytes of a directory file; key files are looked up from `base`. Raises: DirectoryInvalid."""
    try:
        whole = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("file", "syntax", str(error), "write TOML 1.0 in UTF-8") from error
    tables: dict[str, Any] = {}
    for name in ("party", "line", "contract", "staff", "suspension"):
        tables[name] = whole.pop(name, [])
        if not isinstance(tables[name], list):
            raise _invalid(name, name, "not a list of tables", f"write [[{name}]], with two brackets")
    calendar = _convert(whole.pop("calendar", {}), _Calendar, "[calendar]")
    deadlines = _convert(whole.pop("notices", {}), NoticeDeadlines, "[notices]")
    for name in whole:
        raise _invalid("file", name, "unknown table", "remove it or correct its name")
    document = Document(
        parties=_each(tables["party"], "party", Party, lambda party, _: party),
        lines=_each(tables["line"], "line", _Line, lambda line, at: _line(line, at, base)),
        contracts=_each(tables["contract"], "contract", _Contract, _contract),
        staff=_each(tables["staff"], "staff", _Staff, _staff),
        suspensions=_each(tables["suspension"], "suspension", _Suspension, _suspension),
        holidays=frozenset(calendar.holidays),
        stops=tuple(
            Stop(
                from_us=_us(s.since, "[[calendar.stop]]", "since"),
                until_us=_us(s.until, "[[calendar.stop]]", "until"),
                ground=s.ground,
            )
            for s in calendar.stop
        ),
        notices=deadlines,
    ).canonical()
    check(document)
    return document


def _invalid(table: str, field: str, why: str, remedy: str) -> DirectoryInvalid:
    return DirectoryInvalid(table=table, field=field, why=why, remedy=remedy)


def _file_bytes(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise _invalid("file", str(path), error.strerror or "cannot be read", "give a file that can be read") from error
    if len(data) > bytes_max:
        raise _invalid("file", str(path), f"longer than {bytes_max} bytes", "give a smaller file")
    return data


def _each(items: Iterable[Any], name: str, schema: type[_T], build: Callable[[_T, str], _V]) -> tuple[_V, ...]:
    built = []
    for number, item in enumerate(items, start=1):
        at = f"[[{name}]] {number}"
        built.append(build(_convert(item, schema, at), at))
    return tuple(built)


def _convert(item: object, schema: type[_T], at: str) -> _T:
    try:
        return msgspec.convert(item, schema)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        path = found["path"] if found else ""
        why = text[: found.start()] if found else text
        unknown, missing = _UNKNOWN.search(text), _MISSING.search(text)
        if unknown:
            raise _invalid(
                at, _join(path, unknown["field"]), "unknown field", "remove it or correct its name"
            ) from error
        if missing:
            raise _invalid(at, _join(path, missing["field"]), "missing", "add it") from error
        remedy = "write a value of the kind the example file shows"
        raise _invalid(at, path or "table", why[:1].lower() + why[1:], remedy) from error


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _us(at: datetime, table: str, field: str) -> int:
    if at.tzinfo is None:
        raise _invalid(table, field, "a time without offset", "add one, such as 2026-04-01T00:00:00+09:00")
    # whole seconds and microseconds apart, so that no float stands between a date and its microseconds
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond


def _us_or_none(at: datetime | None, table: str, field: str) -> int | None:
    return None if at is None else _us(at, table, field)


def _line(line: _Line, at: str, base: Path) -> Line:
    keys = []
    for number, key in enumerate(line.key, start=1):
        place = f"{at} [[line.key]] {number}"
        algorithm = ALGORITHMS.get(key.algorithm)
        if algorithm is None:
            raise _invalid(place, "algorithm", f"{key.algorithm!r} is unknown", f"write {' or '.join(ALGORITHMS)}")
        keys.append(
            LineKey(
                key_id=key.id,
                algorithm=int(algorithm),
                public_key=_public_key(key, place, base),
                not_before_us=_us(key.not_before, place, "not_before"),
                not_after_us=_us_or_none(key.not_after, place, "not_after"),
            )
        )
    try:
        certificates = tuple(bytes.fromhex(text) for text in line.certificates)
    except ValueError as error:
        raise _invalid(at, "certificates", "not hexadecimal", "write the SHA-256 as 64 hexadecimal digits") from error
    return Line(
        party=line.party,
        name=line.name,
        keys=tuple(keys),
        certificates=certificates,
        requests_in_flight_max=line.requests_in_flight_max,
    )


def _public_key(key: _Key, at: str, base: Path) -> bytes:
    if bool(key.public_key) == bool(key.key_file):
        raise _invalid(at, "public_key", "one of public_key and key_file is needed", "give exactly one of them")
    if key.public_key:
        try:
            return base64.b64decode(key.public_key, validate=True)
        except (binascii.Error, ValueError) as error:
            remedy = "write the SubjectPublicKeyInfo in base64 on one line"
            raise _invalid(at, "public_key", "not base64", remedy) from error
    data = _key_file_bytes(base / key.key_file, at)
    if not data.startswith(b"-----BEGIN"):
        return data
    try:
        return load_pem_public_key(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise _invalid(at, "key_file", "not a PEM public key", "give a file with one PUBLIC KEY block") from error


def _key_file_bytes(path: Path, at: str) -> bytes:
    try:
        return _file_bytes(path, KEY_FILE_BYTES_MAX)
    except DirectoryInvalid as error:
        raise _invalid(at, "key_file", f"{path}: {error.why}", error.remedy) from error


def _contract(contract: _Contract, at: str) -> Contract:
    return Contract(
        reference=contract.reference,
        party=contract.party,
        role=contract.role,
        valid_from=contract.valid_from,
        valid_until=contract.valid_until,
        run_off_until=contract.run_off_until,
        methods=frozenset(contract.methods),
        affairs={affair: frozenset(steps) for affair, steps in contract.affairs.items()},
        hours=tuple(
            Hours(
                valid_from=hours.valid_from,
                weekday=_window(hours.weekday, at, "hours.weekday"),
                saturday=_window(hours.saturday, at, "hours.saturday"),
                holiday=_window(hours.holiday, at, "hours.holiday"),
            )
            for hours in contract.hours
        ),
        terms=tuple(contract.terms),
        volume=contract.volume,
    )


def _window(text: str, at: str, field: str) -> Window | None:
    if text == CLOSED:
        return None
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise _invalid(at, field, f"{text!r} is no window", 'write "HH:MM-HH:MM" or "closed"')
    first, first_minute, last, last_minute = (int(part) for part in found.groups())
    return Window(open_minute=first * 60 + first_minute, close_minute=last * 60 + last_minute)


def _staff(staff: _Staff, _: str) -> Staff:
    return Staff(
        party=staff.party,
        id=staff.id,
        rights=frozenset(staff.rights),
        valid_from=staff.valid_from,
        valid_until=staff.valid_until,
        trained_on=staff.trained_on,
    )


def _suspension(suspension: _Suspension, at: str) -> Suspension:
    return Suspension(
        scope=suspension.scope,
        target=suspension.target,
        from_us=_us(suspension.since, at, "since"),
        until_us=_us_or_none(suspension.until, at, "until"),
        ground=suspension.ground,
    )
