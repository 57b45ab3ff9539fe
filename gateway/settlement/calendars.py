"""Two calendars, the centre's office and the banks: which days are open, and why one is not. Pure.

The clauses speak of 甲の休日, 休日等 and 金融機関の休日等 (000仕4-2, 4-3, 4-5; 001-4-2), which are not the same
days: an office is closed from 29 December to 3 January, a bank from 31 December to 3 January, both on Saturdays,
Sundays and national holidays (DOMAIN X2, 2.9). What a law or the centre decides later is written as exceptions by date.

A city's office keeps the same days as the centre's (DOMAIN 2.9), so there is no third.
"""

from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

import jpholiday
import msgspec

from gateway.settlement.errors import DayOutOfRange, NoOpenDay

FIRST_DAY: Final = date(2000, 1, 1)
LAST_DAY: Final = date(2099, 12, 31)
"""Days for which the national holidays can be told: the formula of the equinoxes ends with 2099."""
MOVE_DAYS_MAX: Final = 31
_SATURDAY: Final = 5
_ONE: Final = timedelta(days=1)


class CalendarName(StrEnum):
    """Whose days count."""

    OFFICE = "office"
    BANKS = "banks"


class Closure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a day is closed, in words."""

    ja: str
    en: str


class Exceptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days that differ from a calendar's rule. A day in both is closed."""

    closed: frozenset[date] = frozenset()
    opened: frozenset[date] = frozenset()


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Which days are open. year_end: the first closed day of December; the last is always 3 January."""

    name: CalendarName
    year_end: int
    exceptions: Exceptions = Exceptions()

    def closure(self, day: date) -> Closure | None:
        """Why a day is closed; None when it is open. Raises: DayOutOfRange."""
        if not FIRST_DAY <= day <= LAST_DAY:
            raise DayOutOfRange(day, first=FIRST_DAY, last=LAST_DAY)
        if day in self.exceptions.closed:
            return Closure(ja="臨時の休日", en="closed by exception")
        if day in self.exceptions.opened:
            return None
        if (day.month == 12 and day.day >= self.year_end) or (day.month == 1 and day.day <= 3):
            return Closure(ja="年末年始", en="closed at the turn of the year")
        holiday = _holiday(day)
        if holiday is not None:
            return Closure(ja=holiday, en="national holiday")
        if day.weekday() == _SATURDAY:
            return Closure(ja="土曜日", en="Saturday")
        if day.weekday() > _SATURDAY:
            return Closure(ja="日曜日", en="Sunday")
        return None

    def is_open(self, day: date) -> bool:
        """Whether a day is open. Raises: DayOutOfRange."""
        return self.closure(day) is None

    def back(self, day: date) -> date:
        """The day itself or the last open day before it (前営業日). Raises: DayOutOfRange, NoOpenDay."""
        return self._moved(day, -_ONE)

    def forward(self, day: date) -> date:
        """The day itself or the first open day after it (翌営業日). Raises: DayOutOfRange, NoOpenDay."""
        return self._moved(day, _ONE)

    def _moved(self, day: date, step: timedelta) -> date:
        moved = day
        for _ in range(MOVE_DAYS_MAX + 1):
            if self.is_open(moved):
                return moved
            moved += step
        raise NoOpenDay(day, calendar=self.name.value, days=MOVE_DAYS_MAX)


class Calendars(msgspec.Struct, frozen=True, kw_only=True):
    """The two calendars, as one argument."""

    office: Calendar = Calendar(name=CalendarName.OFFICE, year_end=29)
    banks: Calendar = Calendar(name=CalendarName.BANKS, year_end=31)

    def of(self, name: CalendarName) -> Calendar:
        """The calendar of a name."""
        return self.office if name is CalendarName.OFFICE else self.banks


STANDARD: Final = Calendars()
"""Without exceptions."""
NO_EXCEPTIONS: Final = Exceptions()


def calendars_with(*, office: Exceptions = NO_EXCEPTIONS, banks: Exceptions = NO_EXCEPTIONS) -> Calendars:
    """The two calendars with exceptions by date."""
    return Calendars(
        office=Calendar(name=CalendarName.OFFICE, year_end=29, exceptions=office),
        banks=Calendar(name=CalendarName.BANKS, year_end=31, exceptions=banks),
    )


@lru_cache(maxsize=4096)
def _holiday(day: date) -> str | None:
    name: str | None = jpholiday.is_holiday_name(day)
    return name
