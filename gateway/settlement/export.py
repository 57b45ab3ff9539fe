"""The bookings of a period as CSV for auditors: from it alone every total of the statements can be added up again.

One line a booking, as gateway.settlement.sheet writes them. The file is written while the ledger is read, in the memory
of a batch; TOTALS gives the statement's cells, once the file is imported into a table `export`.
Source: DOMAIN I3, N3; DESIGN section 11.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from gateway.settlement import sheet, states
from gateway.settlement.entries import taken
from gateway.settlement.periods import Period
from gateway.settlement.reading import read_entries, read_statement
from gateway.settlement.statements import NotConserved
from gateway.settlement.states import Acts
from gateway.settlement.windows import Window, in_japan
from gateway.store.settlement import EntryRow, SettlementReader
from protocol.settlement import NOTHING, Amount

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
INQUIRY: Final = "inquiry"
TOTALS: Final = """
SELECT party, counterparty, matter, store, COUNT(*), SUM(copies), SUM(yen), SUM(commission), SUM(yen - commission)
FROM export GROUP BY party, counterparty, matter, store ORDER BY party, counterparty, matter, store
"""
"""The cells of the statement out of the file: how many bookings, copies, fees, commission, and what is due."""


async def export(reader: SettlementReader, window: Window) -> AsyncIterator[bytes]:
    """The file in pieces, its lines in the order of the ledger; at its end they were held against the statement.

    Raises: StoreError, ProjectionBehind, EntryContradicted, NotConserved.
    """
    net = (await read_statement(reader, window)).net
    found = NOTHING
    yield heading()
    async for rows in read_entries(reader, window):
        yield lines(rows, window)
        for row in rows:
            for each in taken(row, window):
                found += Amount(1, each.copies, each.yen, each.commission)
    if found != net:
        raise NotConserved("the lines of the export", expected=net, found=found)


async def window_of(reader: SettlementReader, acts: Acts, of: Period) -> Window:
    """A period as its freeze left it, or as it stands while it is open. Raises: StoreError, FactsContradicted."""
    by_deposit = await reader.role() != INQUIRY
    return Window(of, states.cut(acts, of.text), states.previous_cut(acts, of), by_deposit)


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
