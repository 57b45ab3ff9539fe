"""How long a version of a record is kept: whole years from the notification that ended its standing. Pure.

本人確認情報 is kept for its period counted from the next notification for that person, or, once removed, from the
notification of the removal; what stands and was not removed has no end (DOMAIN 2.4, 施行令34条). The periods are dated
configuration. Counting follows 民法140条, 141条 and 143条: the day of the notification does not count, and where the
last month has no corresponding day the period ends with that month.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Final, Literal

from gateway.inquiry.errors import RetentionMissing
from gateway.store.register_history import RetentionRow

Kind = Literal["superseded", "removed"]
YEARS_DEFAULT: Final = 150


def expiry(notified_on: dt.date, years: int) -> dt.date:
    """The first day on which a version does not exist any more, for a period of `years` from a notification.

    Raises: OverflowError beyond the year 9999.
    """
    first_counted = notified_on + dt.timedelta(days=1)
    year = first_counted.year + years
    if year > dt.MAXYEAR:
        raise OverflowError("the period ends after the year 9999")
    try:
        return first_counted.replace(year=year)
    except ValueError:  # counted from 29 February into a common year: it ends with February
        return dt.date(year, 3, 1)


class Retention:
    """The periods in force, by the date of the notification they count from."""

    def __init__(self, rows: Iterable[RetentionRow]) -> None:
        self._rows = sorted(rows, key=lambda row: row.since)

    def expiry(self, kind: Kind, notified_on: dt.date) -> dt.date:
        """When a version ends that was superseded, or is the last of a person removed, on that day.

        Raises: RetentionMissing when no period of that kind holds on that day.
        """
        years = [row.years for row in self._rows if row.kind == kind and row.since <= notified_on]
        if not years:
            raise RetentionMissing(kind, notified_on)
        return expiry(notified_on, years[-1])
