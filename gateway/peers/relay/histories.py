"""What the relay itself has of applications: their notices, as the bookings that the centre should have of them.

A notice adds a signed difference (totals). The centre counts by the deposit's month: a correction that names another
month takes what stood out of the old one and brings it into the new one, beside its own difference. This is the same
rule from the relay's side, so that a disclosure can be held against it. Notices that the centre refused count nothing.

Source: 000仕4-1, 4-3, 13-2; docs/PROTOCOL.md, Disclosures.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from gateway.peers.relay.outbox import REFUSED
from gateway.peers.relay.store import Store
from gateway.peers.relay.worklist import JAPAN
from protocol.messages import Operation

_MONTH: Final = re.compile(r"([12][0-9]{3})-(0[1-9]|1[0-2])")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONEY: Final = (Operation.COMPLETE, Operation.VOID, Operation.CORRECT)


class Notice(NamedTuple):
    """A notice about money: what it changes. deposited_us: None where it does not say (a void)."""

    request_id: bytes
    operation: int
    state: str
    outcome: int | None
    done_us: int | None
    deposited_us: int | None
    copies: int
    yen: int
    store_day: str


class Booked(NamedTuple):
    """What a notice adds to a month: that of the deposit."""

    request_id: bytes
    deposited_us: int
    copies: int
    yen: int


class History(msgspec.Struct, frozen=True, kw_only=True):
    """An application's notices about money, in the order in which they were taken over."""

    application: bytes
    municipality: str
    kind: str
    store: str
    notices: tuple[Notice, ...]

    def bookings(self) -> Iterator[Booked]:
        """What the notices add, month by month; those that were refused nothing."""
        deposited, copies, yen = None, 0, 0
        for each in self.notices:
            if each.state == REFUSED:
                continue
            now = deposited if each.deposited_us is None else each.deposited_us
            if now is None:  # a void of what was never completed: no money stands
                continue
            yield Booked(each.request_id, now, each.copies, each.yen)
            if deposited is not None and day_of(deposited)[:7] != day_of(now)[:7]:
                yield Booked(each.request_id, deposited, -copies, -yen)
                yield Booked(each.request_id, now, copies, yen)
            deposited, copies, yen = now, copies + each.copies, yen + each.yen

    @property
    def store_day(self) -> str:
        """The store's business day of the sale, as the last notice has it."""
        days = [each.store_day for each in self.notices if each.deposited_us is not None and each.state != REFUSED]
        return next((day for day in reversed(days) if day), "")

    @property
    def deposited_us(self) -> int | None:
        """When the money came, as the last notice has it; None where nothing was completed."""
        return next((booked.deposited_us for booked in reversed(list(self.bookings()))), None)


def day_of(at_us: int) -> str:
    """The day in Japan, YYYY-MM-DD."""
    return in_japan(at_us).date().isoformat()


def in_japan(at_us: int) -> datetime:
    """A time as Japan's clocks show it."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(JAPAN)


def micros(at: datetime) -> int:
    """An aware time in microseconds since 1970 UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def month_bounds(period: str) -> tuple[int, int]:
    """A month (YYYY-MM) in Japan as start <= t < end, microseconds. Raises: ValueError."""
    found = _MONTH.fullmatch(period)
    if found is None:
        raise ValueError(f"{period!r} is no month")
    first = datetime(int(found[1]), int(found[2]), 1, tzinfo=JAPAN)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return micros(first), micros(following)


_HISTORIES: Final = """
SELECT o.application, o.request_id, o.operation, o.state, o.outcome, o.done_us, o.deposited_us,
  coalesce(sum(l.copies), 0), coalesce(sum(l.yen), 0),
  coalesce(max(CASE WHEN l.copies > 0 THEN l.store_day END), max(l.store_day), ''),
  coalesce(d.municipality, ''), coalesce(d.kind, ''), coalesce(d.store, '')
FROM outbox o LEFT JOIN lines l ON l.notice = o.number LEFT JOIN dealings d ON d.application = o.application
WHERE o.operation IN (?, ?, ?) AND {}
GROUP BY o.number ORDER BY coalesce(d.store, ''), o.application, o.number
"""
_OF_A_MONTH: Final = _HISTORIES.format(
    "o.application IN (SELECT application FROM outbox WHERE deposited_us >= ? AND deposited_us < ?)"
)
_OF_ONE: Final = _HISTORIES.format("o.application = ?")
_OF_A_REQUEST: Final = _HISTORIES.format("o.application = (SELECT application FROM outbox WHERE request_id = ?)")


def of_month(store: Store, start_us: int, end_us: int) -> Iterator[History]:
    """All applications that a notice puts into a month, by store and id, one after another."""
    yield from _histories(store.each(_OF_A_MONTH, *MONEY, start_us, end_us))


def of_application(store: Store, application: bytes) -> History | None:
    """One application."""
    return next(_histories(store.each(_OF_ONE, *MONEY, application)), None)


def of_request(store: Store, request_id: bytes) -> History | None:
    """The application that a request was about."""
    return next(_histories(store.each(_OF_A_REQUEST, *MONEY, request_id)), None)


def _histories(rows: Iterator[tuple]) -> Iterator[History]:  # type: ignore[type-arg]
    for application, of_one in groupby(rows, key=lambda row: row[0]):
        yield _history(application, list(of_one))


def _history(application: bytes, rows: Sequence[tuple]) -> History:  # type: ignore[type-arg]
    municipality, kind, store = rows[0][10:]
    notices = tuple(Notice(*row[1:10]) for row in rows)
    return History(application=application, municipality=municipality, kind=kind, store=store, notices=notices)
