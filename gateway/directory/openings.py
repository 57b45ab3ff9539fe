"""When something is open: windows, hours by class of day, planned stops. Values that both centres' tables share.

Dates are Japanese civil dates (UTC+9), minutes those of a Japanese day. `_us` is microseconds since 1970 UTC.
"""

from datetime import date
from typing import Final

import msgspec

DAY_MINUTES: Final = 24 * 60


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open from open_minute until before close_minute of a JST day; 0 to 1440."""

    open_minute: int
    close_minute: int

    def __str__(self) -> str:
        opening, closing = divmod(self.open_minute, 60), divmod(self.close_minute, 60)
        return f"{opening[0]:02}:{opening[1]:02}-{closing[0]:02}:{closing[1]:02}"


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours of provision from a date on, by class of day; None is closed all day. Sundays count as holidays.

    Source: 002 別記2(4): the centre sets when transmission is possible; 001-8-1: a municipality sets its own.
    """

    valid_from: date
    weekday: Window | None
    saturday: Window | None
    holiday: Window | None


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A planned stop, for maintenance, in from_us <= t < until_us: of the whole centre, or of one municipality."""

    from_us: int
    until_us: int
    ground: str
