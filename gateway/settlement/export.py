"""The bookings of a period as CSV for auditors: from it alone every total of the statements can be added up again.

One line a booking, as gateway.settlement.sheet writes them. Totals are

    SELECT party, counterparty, matter, store, SUM(yen), SUM(commission), SUM(yen - commission)
    FROM export GROUP BY party, counterparty, matter, store;

once the file is imported into a table `export`. Source: DOMAIN I3, N3; DESIGN section 11.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.settlement import sheet
from gateway.settlement.entries import taken
from gateway.settlement.windows import Window, in_japan
from gateway.store.settlement import EntryRow

COLUMNS: Final = (
    "period",
    "stream",
    "height",
    "index",
    "request_id",
    "application",
    "recorded_at",
    "settled_at",
    "store_day",
    "party",
    "counterparty",
    "matter",
    "store",
    "kiosk",
    "column",
    "carried",
    "copies",
    "yen",
    "commission",
    "terms",
)


def heading() -> bytes:
    """The byte order mark and the line of column names."""
    return sheet.BOM + sheet.lines([COLUMNS])


def lines(rows: Iterable[EntryRow], window: Window) -> bytes:
    """The lines of these entries' bookings in the period; times are Japan's. Raises: EntryContradicted."""
    return sheet.lines(_bookings(rows, window))


def _bookings(rows: Iterable[EntryRow], window: Window) -> Iterator[tuple[object, ...]]:
    for row in rows:
        for each in taken(row, window):
            yield (
                window.period.text,
                row.stream.hex(),
                row.height,
                row.idx,
                row.request_id.hex(),
                row.application.hex(),
                in_japan(row.at_us).isoformat(timespec="microseconds"),
                in_japan(each.settled_us).isoformat(timespec="microseconds"),
                row.store_day,
                row.party,
                row.counterparty,
                row.matter,
                row.store,
                row.kiosk,
                each.column.name.lower(),
                int(window.carries(each.settled_us)),
                each.copies,
                each.yen,
                each.commission,
                row.terms,
            )
