"""Synthetic residents: a register to show and to test with, the same for the same seed.

Persons are random combinations of common names in real municipalities; nobody is meant. Every record says `synthetic`.
A valid code could be some real person's, hence the mark (DOMAIN, Synthetic numbers). The first residents are the known
cases' (gateway.inquiry.cases) and live in towns where nobody else does; the rest show what registers hold: 異体字,
旧氏, 通称, former addresses, uncertain and impossible birth dates, namesakes in one house, records past their period.
"""

import datetime as dt
import hashlib
import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import islice
from typing import Final

import msgspec

from gateway.inquiry.changes import ChangeReason
from gateway.inquiry.codes import code_check_digit
from gateway.inquiry.record import SCHEMA, ResidentRecord, Sex

BLOCK: Final = 2_000
"""Residents made from one draw."""
_BODIES: Final = 10**10
_STRIDE: Final = 6_180_339_887  # coprime to ten: every body is met once before any returns
_LIVING_YEARS: Final = (1926, 2024)
_ERAS: Final = (
    ((2019, 4), "令和"),
    ((1989, 1), "平成"),
    ((1926, 12), "昭和"),
    ((1912, 7), "大正"),
    ((1868, 0), "明治"),
)
"""Each with the last month that is not wholly its own."""


class Municipality(msgspec.Struct, frozen=True):
    """A real municipality: 6-digit code, name with prefecture, some of its towns."""

    code: str
    name: str
    towns: tuple[str, ...]


class Names(msgspec.Struct, frozen=True):
    """Common names as (kanji, kana)."""

    surnames: tuple[tuple[str, str], ...]
    male: tuple[tuple[str, str], ...]
    female: tuple[tuple[str, str], ...]


class Resident(msgspec.Struct, frozen=True):
    """A record with its id and its standing in the register."""

    record_id: bytes
    record: ResidentRecord
    superseded_on: dt.date | None = None
    expires_on: dt.date | None = None


def _packaged(name: str) -> bytes:
    return files("gateway.inquiry").joinpath(name).read_bytes()


MUNICIPALITIES: Final = msgspec.json.decode(_packaged("municipalities.json"), type=tuple[Municipality, ...])
NAMES: Final = msgspec.json.decode(_packaged("names.json"), type=Names)


def _code_at(seed: int, position: int) -> str | None:
    body = f"{(seed * 7_919 + 1_234_567_890 + position * _STRIDE) % _BODIES:010d}"
    digit = code_check_digit(body)
    return None if digit is None else body + digit


def codes(seed: int) -> Iterator[str]:
    """The codes of a seed's residents in order, all different, none with an unconfirmed check digit."""
    return (code for position in range(_BODIES // 2) if (code := _code_at(seed, position)) is not None)


def absent_code(seed: int) -> str:
    """A well-formed code that none of the seed's residents has."""
    return next(code for position in range(1, _BODIES // 2) if (code := _code_at(seed, -position)) is not None)


def record_id(seed: int, number: int) -> bytes:
    """The 16-byte id of the seed's resident `number`."""
    return hashlib.sha256(b"sekisho synthetic resident|%d|%d" % (seed, number)).digest()[:16]


def birth_in_words(year: int, month: int, words: str = "頃") -> str:
    """An uncertain birth date as entries have it: 昭和10年3月頃. In the months of a change of era, the earlier one."""
    first, era = next((first, era) for (first, after), era in _ERAS if (year, month) > (first, after))
    return f"{era}{year - first + 1}年{month}月{words}"


def residents(seed: int, count: int, known: tuple[Resident, ...] = ()) -> Iterator[Resident]:
    """`count` residents of a seed, `known` first."""
    yield from islice(known, count)
    for first, some in blocks(seed, count, len(known)):
        yield from block(seed, first, some)


def blocks(seed: int, count: int, known: int) -> Iterator[tuple[int, list[str]]]:
    """The residents behind the first `known` in blocks that can be made apart: first number, and their codes."""
    waiting = islice(codes(seed), known, count)
    first = known
    while some := list(islice(waiting, BLOCK)):
        yield first, some
        first += len(some)


def block(seed: int, first: int, some: Sequence[str]) -> Iterator[Resident]:
    """The residents of one block, from number `first`, with these codes."""
    draw = random.Random(f"{seed}|{first}")  # noqa: S311  reproducible data, not a secret
    previous: ResidentRecord | None = None
    for number, code in enumerate(some, first):
        record = _person(draw, code)
        if previous is not None and draw.random() < 0.005:
            record = msgspec.structs.replace(
                record,
                name=previous.name,
                kana=previous.kana,
                address=previous.address,
                sex=previous.sex,
                municipality=previous.municipality,
            )
        previous = record
        superseded, expires = None, None
        if draw.random() < 0.01:
            expires = dt.date(draw.randrange(2010, 2024), 3, 31)
            superseded = dt.date(expires.year - 5, 3, 31) if draw.random() < 0.5 else None
            record = msgspec.structs.replace(record, changed_reason=int(ChangeReason.REMOVED_EX_OFFICIO))
        yield Resident(record_id(seed, number), record, superseded, expires)


def _person(draw: random.Random, code: str) -> ResidentRecord:
    chance = draw.random
    sex = Sex.MALE if chance() < 0.49 else Sex.FEMALE
    surname, surname_kana = draw.choice(NAMES.surnames)
    given, given_kana = draw.choice(NAMES.male if sex == Sex.MALE else NAMES.female)
    municipality, address = _address(draw)
    former_addresses = (_address(draw)[1],) if chance() < 0.15 else ()
    former_surname = draw.choice(NAMES.surnames)[0] if chance() < 0.05 else ""
    alias = f"{draw.choice(NAMES.surnames)[0]} {given}" if chance() < 0.01 else ""
    reason = (
        ChangeReason.FORMER_SURNAME_ENTERED
        if former_surname
        else ChangeReason.MOVED_WITHIN
        if former_addresses
        else ChangeReason.ENTERED_EX_OFFICIO
    )
    birth, birth_sort = _birth(draw)
    return ResidentRecord(
        SCHEMA,
        code,
        f"{surname} {given}",
        f"{surname_kana} {given_kana}",
        birth,
        birth_sort,
        int(sex),
        address,
        municipality,
        int(reason),
        f"{int(2003 + chance() * 22)}-{int(1 + chance() * 12):02d}-{int(1 + chance() * 28):02d}",
        former_surname,
        alias,
        synthetic=True,
        former_names=(f"{former_surname} {given}",) if former_surname else (),
        former_addresses=former_addresses,
    )


def _address(draw: random.Random) -> tuple[str, str]:
    place = draw.choice(MUNICIPALITIES)
    chance = draw.random
    block = f"{int(1 + chance() * 8)}丁目" if chance() < 0.7 else ""
    house = f"{int(1 + chance() * 40)}番{int(1 + chance() * 30)}号" if block else f"{int(1 + chance() * 3000)}番地"
    return place.code, f"{place.name}{draw.choice(place.towns)}{block}{house}"


def _birth(draw: random.Random) -> tuple[str, int | None]:
    chance = draw.random
    first, last = _LIVING_YEARS
    year, month, day = first + int(chance() * (last - first)), int(1 + chance() * 12), int(1 + chance() * 28)
    kind = chance()
    if kind < 0.01:
        return birth_in_words(year, month), year * 10_000 + month * 100
    if kind < 0.012:
        return "年月日不詳", None
    if kind < 0.014:
        year += year % 4 == 0  # 29 February of a common year: entries hold such dates
        month, day = 2, 29
    return f"{year}-{month:02d}-{day:02d}", year * 10_000 + month * 100 + day
