"""The spans an invoice is about: a month, a quarter of the fiscal year, or a contract's term. Pure.

A quarter is one of 年度, which begins in April: `2026-Q1` is April to June 2026 and `2026-Q4` January to March 2027. 002本2-3
says 毎四半期 without naming its months; the fiscal year of the ministry that pays is the reading taken.
"""

import calendar
import re
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from gateway.settlement.errors import PeriodInvalid

APRIL: Final = 4
_MONTH = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"(2[0-9]{3})-Q([1-4])")


class PeriodKind(StrEnum):
    """How long an invoice's span is."""

    MONTH = "month"
    QUARTER = "quarter"
    TERM = "term"


class Period(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A span of whole Japanese days, both inclusive."""

    first: date
    last: date
    kind: PeriodKind

    @property
    def text(self) -> str:
        """What `period` reads: 2026-05, 2026-Q1, 2026-04-01/2027-03-31."""
        if self.kind is PeriodKind.MONTH:
            return f"{self.first:%Y-%m}"
        if self.kind is PeriodKind.QUARTER:
            year, quarter = _fiscal(self.first)
            return f"{year}-Q{quarter}"
        return f"{self.first}/{self.last}"

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def month(year: int, number: int) -> Period:
    """A calendar month: from its 1st to its last day (000仕4-1)."""
    return Period(kind=PeriodKind.MONTH, first=date(year, number, 1), last=last_of_month(year, number))


def quarter(fiscal_year: int, number: int) -> Period:
    """A quarter of a fiscal year, 1 to 4."""
    first = shift_months(date(fiscal_year, APRIL, 1), 3 * (number - 1))
    end = shift_months(first, 2)
    return Period(kind=PeriodKind.QUARTER, first=first, last=last_of_month(end.year, end.month))


def term(first: date, last: date) -> Period:
    """A contract's term. Raises: PeriodInvalid when it ends before it begins."""
    if last < first:
        raise PeriodInvalid(f"{first}/{last}")
    return Period(kind=PeriodKind.TERM, first=first, last=last)


def period(text: str) -> Period:
    """The period a text names. Raises: PeriodInvalid."""
    if found := _MONTH.fullmatch(text):
        return month(int(found[1]), int(found[2]))
    if found := _QUARTER.fullmatch(text):
        return quarter(int(found[1]), int(found[2]))
    try:
        first, last = (date.fromisoformat(part) for part in text.split("/"))
    except ValueError as error:
        raise PeriodInvalid(text) from error
    return term(first, last)


def following(of: Period) -> Period:
    """The next month or quarter; of a term, the year after it (000契26: one year more). Raises: PeriodInvalid."""
    first = of.last + timedelta(days=1)
    if of.kind is PeriodKind.MONTH:
        return month(first.year, first.month)
    if of.kind is PeriodKind.QUARTER:
        return quarter(*_fiscal(first))
    return term(first, _year_from(first))


def month_of(day: date) -> Period:
    """The month a day is in: of a deposit, its period (000仕4-1)."""
    return month(day.year, day.month)


def shift_months(day: date, months: int) -> date:
    """The first day of the month some months after a day's own."""
    years, index = divmod(day.month - 1 + months, 12)
    return date(day.year + years, index + 1, 1)


def last_of_month(year: int, number: int) -> date:
    """The last day of a month."""
    return date(year, number, calendar.monthrange(year, number)[1])


def _year_from(first: date) -> date:
    """The last day of a year that begins on a day; where the day has no fellow, the month's last (民法143-2)."""
    if (first.month, first.day) == (2, 29):
        return date(first.year + 1, 2, 28)
    return first.replace(year=first.year + 1) - timedelta(days=1)


def _fiscal(day: date) -> tuple[int, int]:
    """The fiscal year and quarter of a day."""
    start = shift_months(day, -(APRIL - 1))
    return start.year, (start.month - 1) // 3 + 1
