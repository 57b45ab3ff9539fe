"""Which entry belongs to which period: by its day in Japan, until a period is frozen. Pure.

A period is a month (certificates, by the deposit's day, 入金日) or a quarter (inquiries, by the time of the answer). It
is frozen by a *cut*: for each stream the height below which blocks count. Asking by a worker's clock whether an entry
came in time could get two answers; a cut gives one, for ever, and is what an invoice names.

The rule. An entry belongs to its own period if it stands below that period's cut, or if the period is not frozen. If it
came later it belongs to the next period that it came in time for (000仕4-3: data of a frozen month are not changed).
Cuts of later periods are never lower than those of earlier ones, and no period is frozen before it ends, so exactly one
period has each entry.

Source: 000仕4-1, 4-3; 002本2-3; DOMAIN I2, I9.
"""

import datetime as dt
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from gateway.settlement.errors import SettlementError
from gateway.settlement.periods import Period

JST: Final = dt.timezone(dt.timedelta(hours=9), "JST")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class CutLower(SettlementError):  # noqa: N818  named after the fact
    """A period is to be frozen at less than the period before it was. Fields: stream, height, before."""

    code: ClassVar[str] = "cut-lower"

    def __init__(self, stream: bytes, *, height: int, before: int) -> None:
        super().__init__(
            f"stream {stream.hex()} is cut at height {height}, and was at {before} for the period before"
            " / 前の期間の確定範囲より小さくできません; freeze at what the ledger holds now"
        )
        self.stream = stream
        self.height = height
        self.before = before


class Cut(msgspec.Struct, frozen=True):
    """Where the ledger stood at a freeze: the next height of each stream (16 bytes); of one not named, nothing."""

    heights: Mapping[bytes, int]

    def covers(self, stream: bytes, height: int) -> bool:
        """Whether a block counts."""
        return height < self.heights.get(stream, 0)


class Freeze(msgspec.Struct, frozen=True):
    """When a period was frozen, and the last one before it; 0 where it was not. An invoice says both (Rests)."""

    at_us: int = 0
    previous_us: int = 0


class Window(msgspec.Struct, frozen=True):
    """What a statement of a period looks at.

    cut: of the period; None while it is open, then all that stands counts. previous: the cut of the period before it;
    None while that one is open (or there was none): what is of an earlier day is still the earlier period's then.
    Raises on construction: CutLower.
    """

    period: Period
    cut: Cut | None = None
    previous: Cut | None = None
    by_deposit: bool = True

    def __post_init__(self) -> None:
        if self.cut is None or self.previous is None:
            return
        for stream, before in self.previous.heights.items():
            height = self.cut.heights.get(stream, 0)
            if height < before:
                raise CutLower(stream, height=height, before=before)

    @property
    def start_us(self) -> int:
        """Midnight in Japan before the period's first day."""
        return midnight_us(self.period.first)

    @property
    def end_us(self) -> int:
        """Midnight in Japan after the period's last day."""
        return midnight_us(self.period.last + dt.timedelta(days=1))

    def takes(self, settled_us: int, stream: bytes, height: int) -> bool:
        """Whether what was settled then, recorded in this block, belongs to the period."""
        if settled_us >= self.end_us or (self.cut is not None and not self.cut.covers(stream, height)):
            return False
        return not self.carries(settled_us) or (self.previous is not None and not self.previous.covers(stream, height))

    def carries(self, settled_us: int) -> bool:
        """Whether it is of an earlier, frozen period, and an adjustment here."""
        return settled_us < self.start_us


def midnight_us(day: dt.date) -> int:
    """When a day begins in Japan, in microseconds since 1970 UTC."""
    return (dt.datetime(day.year, day.month, day.day, tzinfo=JST) - _EPOCH) // _MICROSECOND


def in_japan(at_us: int) -> dt.datetime:
    """A time as Japan's clocks show it. Raises: OverflowError for what no calendar has."""
    return (_EPOCH + dt.timedelta(microseconds=at_us)).astimezone(JST)


def same_month(one_us: int, other_us: int) -> bool:
    """Whether two times are of one month in Japan."""
    one, other = in_japan(one_us), in_japan(other_us)
    return (one.year, one.month) == (other.year, other.month)
