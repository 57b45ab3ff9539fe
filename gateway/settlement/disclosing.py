"""Making a disclosure (取扱い実績データ): a party's cells of a period, and its rows written out while they are read.

What is disclosed may still change until the period is frozen: the disclosure says what stood when it was made. Cost:
one reading of the period's entries; memory for the cells and one batch.
Source: 000仕4-1, 4-2; DOMAIN I3, I4.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from gateway.settlement.entries import taken
from gateway.settlement.reading import read_entries, read_statement
from gateway.settlement.statements import Statement
from gateway.settlement.windows import Window
from gateway.store.settlement import EntryRow, SettlementReader
from protocol.disclosure import Disclosure, Row, pack_row
from protocol.settlement import Key

_NO_APPLICATION = bytes(16)


async def make_disclosure(
    reader: SettlementReader,
    window: Window,
    *,
    party: str,
    issuer: str,
    role: str,
    environment: str,
    made_us: int,
    spool: BinaryIO,
) -> Disclosure:
    """What stands of a party in a period; its rows are written to `spool`, in the order of the entries.

    One reader, one snapshot: the rows come to the cells. The same ledger and cut give the same bytes.
    Raises: StoreError, ProjectionBehind, EntryContradicted, NotConserved; OSError of the spool.
    """
    statement = (await read_statement(reader, window)).of(party=party)
    hashed, count = hashlib.sha256(), 0
    async for batch in read_entries(reader, window):
        packed = [pack_row(row) for row in rows(batch, statement, window)]
        data = b"".join(packed)
        hashed.update(data)
        spool.write(data)
        count += len(packed)
    return Disclosure(
        issuer=issuer,
        role=role,
        environment=environment,
        party=party,
        period=statement.period,
        made_us=made_us,
        cells=statement.cells,
        net=statement.net,
        rows=count,
        rows_digest=hashed.digest(),
    )


def rows(entries: Iterable[EntryRow], statement: Statement, window: Window) -> Iterator[Row]:
    """The rows of these entries' bookings, those of other cells' left out. Pure. Raises: EntryContradicted."""
    cells = {cell.key: number for number, cell in enumerate(statement.cells)}
    for entry in entries:
        cell = cells.get(Key(entry.party, entry.counterparty, entry.matter, entry.store))
        if cell is None:
            continue
        for each in taken(entry, window):
            yield Row(
                entry.request_id,
                entry.application or _NO_APPLICATION,
                entry.transition,
                cell,
                each.column,
                window.carries(each.settled_us),
                each.copies,
                each.yen,
                each.commission,
                each.settled_us,
                entry.store_day,
                entry.kiosk,
            )
