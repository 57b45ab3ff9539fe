"""A directory file: what a person at the centre writes, read into a checked Document or refused with its place.

Every table is read by a schema of its own that knows no other fields, so that a misspelt one is an error and never a
silent default. Times are TOML date-times with an offset, dates are Japanese civil dates, hours "HH:MM-HH:MM" or
"closed". Keys are base64 SubjectPublicKeyInfo, or files (DER or PEM) beside the directory file. Nothing here touches
the database.

Source: deploy/directory.example.toml shows the tables of an inquiry centre, deploy/directory.certificate.example.toml
those of a certificate centre (gateway.directory.toml_participants).
"""

import base64
import binascii
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway.directory.check import check
from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import (
    Contract,
    Document,
    Line,
    LineKey,
    Method,
    NoticeDeadlines,
    Party,
    Right,
    Role,
    Scope,
    Staff,
    Suspension,
    Terms,
    Volume,
)
from gateway.directory.participants import Kit
from gateway.directory.toml_participants import (
    CardTypeTable,
    MunicipalityTable,
    OperatorTable,
    card_term,
    municipality_from,
    operator_from,
)
from gateway.directory.toml_parts import (
    HoursTable,
    StopTable,
    beside,
    convert,
    dated_hours,
    each_table,
    file_bytes,
    invalid,
    stop,
    us,
    us_or_none,
)
from protocol import limits
from protocol.keys import Algorithm

FILE_BYTES_MAX: Final = 16 << 20
TABLES: Final = (
    "party",
    "line",
    "contract",
    "staff",
    "suspension",
    "municipality",
    "operator",
    "kit",
    "card_type",
)
ALGORITHMS: Final[Mapping[str, Algorithm]] = {"ES256": Algorithm.ES256, "ML-DSA-65": Algorithm.ML_DSA_65}


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


class _Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    valid_from: date
    version: int
    yen_per_record: int | None = None
    commission: int | None = None


class _Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reference: str
    party: str
    role: Role
    valid_from: date
    valid_until: date | None = None
    run_off_until: date | None = None
    methods: list[Method] = []
    affairs: dict[str, list[int]] = {}
    hours: list[HoursTable]
    terms: list[_Terms]
    volume: Volume | None = None


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


class _Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    holidays: list[date] = []
    closed: list[date] = []
    stop: list[StopTable] = []


def read(path: Path) -> Document:
    """Read a directory file.

    Raises: DirectoryInvalid with file, table, field and remedy, for whatever is wrong with it.
    """
    try:
        return parse(file_bytes(path, FILE_BYTES_MAX), base=path.parent)
    except DirectoryInvalid as error:
        raise DirectoryInvalid(
            file=str(path), table=error.table, field=error.field, why=error.why, remedy=error.remedy
        ) from error


def parse(data: bytes, *, base: Path) -> Document:
    """Read the bytes of a directory file; key files are looked up from `base`. Raises: DirectoryInvalid."""
    try:
        whole = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid("file", "syntax", str(error), "write TOML 1.0 in UTF-8") from error
    tables: dict[str, Any] = {}
    for name in TABLES:
        tables[name] = whole.pop(name, [])
        if not isinstance(tables[name], list):
            raise invalid(name, name, "not a list of tables", f"write [[{name}]], with two brackets")
    calendar = convert(whole.pop("calendar", {}), _Calendar, "[calendar]")
    deadlines = convert(whole.pop("notices", {}), NoticeDeadlines, "[notices]")
    for name in whole:
        raise invalid("file", name, "unknown table", "remove it or correct its name")
    document = Document(
        parties=each_table(tables["party"], "party", Party, lambda party, _: party),
        lines=each_table(tables["line"], "line", _Line, lambda line, at: _line(line, at, base)),
        contracts=each_table(tables["contract"], "contract", _Contract, _contract),
        staff=each_table(tables["staff"], "staff", _Staff, _staff),
        suspensions=each_table(tables["suspension"], "suspension", _Suspension, _suspension),
        holidays=frozenset(calendar.holidays),
        closed=frozenset(calendar.closed),
        stops=tuple(stop(s, "[[calendar.stop]]") for s in calendar.stop),
        notices=deadlines,
        municipalities=each_table(tables["municipality"], "municipality", MunicipalityTable, municipality_from(base)),
        operators=each_table(tables["operator"], "operator", OperatorTable, operator_from(base)),
        kits=each_table(tables["kit"], "kit", Kit, lambda kit, _: kit),
        card_types=each_table(tables["card_type"], "card_type", CardTypeTable, card_term),
    ).canonical()
    check(document)
    return document


def _line(line: _Line, at: str, base: Path) -> Line:
    keys = []
    for number, key in enumerate(line.key, start=1):
        place = f"{at} [[line.key]] {number}"
        algorithm = ALGORITHMS.get(key.algorithm)
        if algorithm is None:
            raise invalid(place, "algorithm", f"{key.algorithm!r} is unknown", f"write {' or '.join(ALGORITHMS)}")
        keys.append(
            LineKey(
                key_id=key.id,
                algorithm=int(algorithm),
                public_key=_public_key(key, place, base),
                not_before_us=us(key.not_before, place, "not_before"),
                not_after_us=us_or_none(key.not_after, place, "not_after"),
            )
        )
    try:
        certificates = tuple(bytes.fromhex(text) for text in line.certificates)
    except ValueError as error:
        raise invalid(at, "certificates", "not hexadecimal", "write the SHA-256 as 64 hexadecimal digits") from error
    return Line(
        party=line.party,
        name=line.name,
        keys=tuple(keys),
        certificates=certificates,
        requests_in_flight_max=line.requests_in_flight_max,
    )


def _public_key(key: _Key, at: str, base: Path) -> bytes:
    if bool(key.public_key) == bool(key.key_file):
        raise invalid(at, "public_key", "one of public_key and key_file is needed", "give exactly one of them")
    if key.public_key:
        try:
            return base64.b64decode(key.public_key, validate=True)
        except (binascii.Error, ValueError) as error:
            remedy = "write the SubjectPublicKeyInfo in base64 on one line"
            raise invalid(at, "public_key", "not base64", remedy) from error
    data = beside(base, key.key_file, at, "key_file")
    if not data.startswith(b"-----BEGIN"):
        return data
    try:
        return load_pem_public_key(data).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise invalid(at, "key_file", "not a PEM public key", "give a file with one PUBLIC KEY block") from error


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
        hours=dated_hours(contract.hours, at),
        terms=tuple(_terms(terms, contract.role, at) for terms in contract.terms),
        volume=contract.volume,
    )


def _terms(terms: _Terms, role: Role, at: str) -> Terms:
    # which of the two amounts is the money of a contract is its role's to say; that one is never left out silently
    needed = "yen_per_record" if role is Role.INQUIRY else "commission"
    if getattr(terms, needed) is None:
        raise invalid(at, f"terms.{needed}", "missing", "add it")
    return Terms(
        valid_from=terms.valid_from,
        version=terms.version,
        yen_per_record=terms.yen_per_record or 0,
        commission=terms.commission or 0,
    )


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
        from_us=us(suspension.since, at, "since"),
        until_us=us_or_none(suspension.until, at, "until"),
        ground=suspension.ground,
    )
