"""Which day it is in Japan, what kind of day, and whether a window is open. Pure; the clock is handed in.

Japan has had one offset (UTC+9) and no summer time since 1951, so no time zone database is needed.
"""

from collections.abc import Sequence, Set
from datetime import date, timedelta, timezone
from typing import Final, Protocol, TypeVar

from gateway.directory.model import Hours, Window

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
JST: Final = timezone(timedelta(hours=9))
_JST_US: Final = 9 * 60 * MINUTE_US
_EPOCH: Final = date(1970, 1, 1).toordinal()
_SATURDAY: Final = 5


class _Dated(Protocol):
    @property
    def valid_from(self) -> date: ...


_D = TypeVar("_D", bound=_Dated)


def jst_date(at_us: int) -> date:
    """The Japanese civil date of a time."""
    return date.fromordinal(_EPOCH + (at_us + _JST_US) // DAY_US)


def jst_minute(at_us: int) -> int:
    """The minute of the Japanese day, 0 to 1439."""
    return (at_us + _JST_US) % DAY_US // MINUTE_US


def day_start_us(day: date) -> int:
    """When a Japanese civil date begins."""
    return (day.toordinal() - _EPOCH) * DAY_US - _JST_US


def in_force(dated: Sequence[_D], day: date) -> _D | None:
    """The last of a sequence ordered by `valid_from` that has begun on a day."""
    found = None
    for item in dated:
        if item.valid_from > day:
            break
        found = item
    return found


def window(hours: Hours, day: date, holidays: Set[date]) -> Window | None:
    """The window of a day; None when it is closed."""
    weekday = day.weekday()
    if weekday > _SATURDAY or day in holidays:
        return hours.holiday
    return hours.saturday if weekday == _SATURDAY else hours.weekday


def is_open(opening: Window | None, at_us: int) -> bool:
    """Whether a window of this very day holds a time: the opening minute belongs to it, the closing one does not."""
    return opening is not None and opening.open_minute <= jst_minute(at_us) < opening.close_minute


def both(one: Window | None, other: Window | None) -> Window | None:
    """The window in which two are open; None when there is none."""
    if one is None or other is None:
        return None
    first, last = max(one.open_minute, other.open_minute), min(one.close_minute, other.close_minute)
    return Window(open_minute=first, close_minute=last) if first < last else None
