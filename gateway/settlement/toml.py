"""A contract file: what a person writes of a contract's money, read into a checked Contract or refused with its place.

The tables are those of gateway.settlement.terms: `[contract]` with `[contract.parties]`, and for every version a
`[[terms]]` with its `[[terms.claim]]`, each of which has `[[terms.claim.item]]`, `[[terms.claim.date]]` and, where it
has any, `[terms.claim.interest]` and `[terms.claim.tax]`. A field that is not known is refused, so that a misspelt one
is never a silent default. Source: deploy/contracts shows every table.
"""

import re
import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.settlement.calendars import NO_EXCEPTIONS, Calendars, Exceptions, calendars_with
from gateway.settlement.cycle import Step
from gateway.settlement.dates import DaysFrom
from gateway.settlement.errors import TermsInvalid
from gateway.settlement.terms import Claim, Contract, Item, Measure, Terms

FILE_BYTES_MAX: Final = 1 << 20
_MINUTES_A_DAY: Final = 24 * 60
_DAILY: Final = frozenset({Measure.DAY, Measure.HOURS_ABOVE})
_BOUNDED: Final = _DAILY | {Measure.KILOMETRE_ABOVE}
_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_INDEX = re.compile(r"\[([0-9]+)\]")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    contract: dict[str, Any]
    terms: list[dict[str, Any]]


class _Exceptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    office: Exceptions = NO_EXCEPTIONS
    banks: Exceptions = NO_EXCEPTIONS


def read_contract(file: Path) -> Contract:
    """A contract file. Raises: TermsInvalid naming file, table, field and remedy."""
    return contract_of(_bytes(file), file=str(file))


def read_calendars(file: Path) -> Calendars:
    """The calendars with the exceptions of a file: `[office]` and `[banks]`, each with closed and opened dates.

    Raises: TermsInvalid.
    """
    tables = _tables(_bytes(file), str(file))
    try:
        read = msgspec.convert(tables, _Exceptions)
    except msgspec.ValidationError as error:
        raise _placed(str(error), str(file)) from error
    return calendars_with(office=read.office, banks=read.banks)


def contract_of(data: bytes, *, file: str = "") -> Contract:
    """The contract that a file's bytes say. Raises: TermsInvalid."""
    tables = _tables(data, file)
    try:
        split = msgspec.convert(tables, _File)
        contract = msgspec.convert({**split.contract, "terms": split.terms}, Contract)
    except msgspec.ValidationError as error:
        raise _placed(str(error), file) from error
    try:
        check(contract)
    except TermsInvalid as error:
        raise TermsInvalid(
            file=file, table=error.table, field=error.field, why=error.why, remedy=error.remedy
        ) from error
    return contract


def check(contract: Contract) -> None:
    """What no schema says. Raises: TermsInvalid."""
    for before, after in pairwise(contract.terms):
        at = f"[[terms]] version {after.version}"
        if after.version <= before.version or after.valid_from <= before.valid_from:
            raise _wrong(at, "version", "not after the one before it", "order versions, and days of beginning, upwards")
        if after.valid_from.day != 1:
            raise _wrong(at, "valid_from", "not the first day of a month", "let new terms begin on the 1st of a month")
    for terms in contract.terms:
        _unique((claim.id for claim in terms.claims), f"[[terms]] version {terms.version}", "claim.id")
        for claim in terms.claims:
            _check_claim(contract, terms, claim)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise TermsInvalid(
            file=str(file), table="file", field="path", why=why, remedy="give a readable file"
        ) from error


def _tables(data: bytes, file: str) -> dict[str, Any]:
    if len(data) > FILE_BYTES_MAX:
        raise TermsInvalid(file=file, table="file", field="size", why="longer than 1 MiB", remedy="give a smaller file")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TermsInvalid(file=file, table="file", field="TOML", why=str(error), remedy="mend it") from error


def _check_claim(contract: Contract, terms: Terms, claim: Claim) -> None:
    at = f"[[terms]] version {terms.version}, claim {claim.id}"
    sides = {claim.payer, claim.payee}
    if len(sides) != 2:
        raise _wrong(at, "payee", "the payer itself", "name the other party's role")
    for role in sorted(sides | {item.supplied_by for item in claim.items}):
        if role not in contract.parties:
            raise _wrong(at, "payer", f"nobody is {role.value}", f"add {role.value} to [contract.parties]")
    _unique((item.id for item in claim.items), at, "item.id")
    _unique((rule.step.value for rule in claim.dates), at, "date.step")
    if Step.PAYMENT not in {rule.step for rule in claim.dates} | _municipal(claim):
        raise _wrong(at, "date", "no date of payment", 'add a [[terms.claim.date]] with step = "payment"')
    for rule in claim.dates:
        if isinstance(rule.when, DaysFrom) and rule.when.days < rule.when.first_day_counts:
            where = f"date {rule.step.value}"
            raise _wrong(at, where, "the first of no days", "give days, or first_day_counts = false")
    for item in claim.items:
        _check_item(f"{at}, item {item.id}", claim, item)
    if claim.interest is not None:
        for before, after in pairwise(claim.interest.rates):
            if after.valid_from <= before.valid_from:
                raise _wrong(at, "interest.rates", "not ordered by valid_from", "order them upwards")


def _municipal(claim: Claim) -> set[Step]:
    return {Step.PAYMENT} if any(rule.step is Step.MUNICIPAL_PAYMENT for rule in claim.dates) else set()


def _check_item(at: str, claim: Claim, item: Item) -> None:
    if {item.payer, item.payee} != {claim.payer, claim.payee}:
        raise _wrong(at, "payer", "not between the parties of its claim", "name the claim's payer and payee")
    if (item.yen is None) != (item.measure is Measure.AMOUNT):
        raise _wrong(
            at,
            "yen",
            "a price is for what is counted, an amount has none",
            'give yen, or measure = "amount" without it',
        )
    if item.measure not in _BOUNDED and item.above:
        raise _wrong(at, "above", f"means nothing for the measure {item.measure.value}", "remove it")
    if item.measure is not Measure.DAY and item.up_to is not None:
        raise _wrong(at, "up_to", f"means nothing for the measure {item.measure.value}", "remove it")
    if item.up_to is not None and not item.above < item.up_to <= _MINUTES_A_DAY:
        raise _wrong(at, "up_to", "not above `above`, or over a day", "give minutes of a day")
    if item.measure is Measure.MONTH and item.reads:
        raise _wrong(at, "reads", "a flat monthly price has no readings", "remove it")


def _unique(values: Iterable[str], at: str, field: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise _wrong(at, field, f"{value!r} twice", "write each once")
        seen.add(value)


def _wrong(table: str, field: str, why: str, remedy: str) -> TermsInvalid:
    return TermsInvalid(table=table, field=field, why=why, remedy=remedy)


def _placed(text: str, file: str) -> TermsInvalid:
    """msgspec's sentence as table, field, reason and remedy; tables are counted from 1, as people count them."""
    found = _AT.search(text)
    path = _INDEX.sub(lambda index: f" {int(index[1]) + 1}", found["path"] if found else "")
    why = text[: found.start()] if found else text
    unknown, missing = _UNKNOWN.search(text), _MISSING.search(text)
    if unknown:
        table, field, why, remedy = path, unknown["field"], "unknown field", "remove it or correct its name"
    elif missing:
        table, field, why, remedy = path, missing["field"], "missing", "add it"
    else:
        table, _, field = path.rpartition(".")
        why, remedy = why[:1].lower() + why[1:], "write a value of the kind the examples show"
    return TermsInvalid(file=file, table=table or "contract", field=field or "table", why=why, remedy=remedy)
