"""The bookings of a period as CSV for auditors: from it alone every total of the statements can be added up again.

UTF-8 with a byte order mark, as office software expects, lines ended by CR LF (RFC 4180), one line a booking, amounts
as signed whole numbers. Texts that a spreadsheet would take for a formula get an apostrophe before them. Totals are

    SELECT party, counterparty, matter, store, SUM(yen), SUM(commission), SUM(yen - commission)
    FROM export GROUP BY party, counterparty, matter, store;

once the file is imported into a table `export`. Source: DOMAIN I3, N3; DESIGN section 11.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

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
BOM: Final = b"\xef\xbb\xbf"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def heading() -> bytes:
    """The byte order mark and the line of column names."""
    return BOM + _lines([COLUMNS])


def lines(rows: Iterable[EntryRow], window: Window) -> bytes:
    """The lines of these entries' bookings in the period; times are Japan's. Raises: EntryContradicted."""
    return _lines(_bookings(rows, window))


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
                *(_text(text) for text in (row.party, row.counterparty, row.matter, row.store, row.kiosk)),
                each.column.name.lower(),
                int(window.carries(each.settled_us)),
                each.copies,
                each.yen,
                each.commission,
                row.terms,
            )


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
