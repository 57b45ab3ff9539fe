"""From a statement to an invoice, a credit note or a payment statement, and its items. Pure; signing is handed in.

The commission is the operator's supply to the centre, so the tax within it stands on the operator's side (000契13-1:
115 yen, tax included); the municipality's fees themselves are no taxable supply.

Source: 000仕4-4, 000契13; 001-4-5; V6.
"""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from gateway.settlement.entries import taken
from gateway.settlement.statements import Statement
from gateway.settlement.windows import Freeze, Window
from gateway.store.settlement import EntryRow, RangeRow
from protocol.checkpoint import Checkpoint
from protocol.invoice import STANDARD_TAX, BlockRange, DocumentKind, Invoice, Item, Rests, TaxRule, pack_item
from protocol.settlement import Key


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above the cells, as protocol.invoice.Invoice has it; days as YYYY-MM-DD.

    tax_supplier: the party whose supply the commission is, "" where there is none; tax: the claim's rule of it.
    """

    number: str
    issuer: str
    role: str
    environment: str
    party: str
    issued_on: str
    due_on: str
    agreement: str
    tax_supplier: str
    issued_us: int
    tax: TaxRule = STANDARD_TAX


class Items:
    """Numbers a statement's cells and makes its items, as they are read: their bytes, count and digest."""

    def __init__(self, statement: Statement) -> None:
        self._cells = {cell.key: number for number, cell in enumerate(statement.cells)}
        self._digest = hashlib.sha256()
        self.count = 0

    @property
    def digest(self) -> bytes:
        """SHA-256 over all bytes made so far."""
        return self._digest.digest()

    def pack(self, rows: Iterable[EntryRow], window: Window) -> bytes:
        """The items of these entries, those of other cells' left out; in the order of the entries.

        Raises: EntryContradicted; struct.error for an amount that no item holds.
        """
        data = b"".join(pack_item(item) for item in self._items(rows, window))
        self._digest.update(data)
        return data

    def _items(self, rows: Iterable[EntryRow], window: Window) -> Iterator[Item]:
        for row in rows:
            cell = self._cells.get(Key(row.party, row.counterparty, row.matter, row.store))
            if cell is None:
                continue
            for each in taken(row, window):
                self.count += 1
                carried = window.carries(each.settled_us)
                yield Item(row.request_id, cell, each.column, carried, each.copies, each.yen, each.commission)


def rests_on(ranges: Iterable[RangeRow], checkpoint: Checkpoint, freeze: Freeze) -> Rests:
    """What an invoice rests on, from what the store found."""
    blocks = tuple(BlockRange(*each) for each in ranges)
    return Rests(blocks, checkpoint.size, checkpoint.root, checkpoint.at_us, freeze.at_us, freeze.previous_us)


def make_invoice(
    statement: Statement, heading: Heading, *, rests: Rests, items: Items, passed_on: bool = False
) -> Invoice:
    """The document of one party's statement: an invoice, or a credit note where the sum is negative.

    passed_on: it is a payment statement, of what the centre passes on to a municipality (001-4-6).
    """
    net = statement.net
    kind = DocumentKind.CREDIT_NOTE if net.due_yen < 0 else DocumentKind.INVOICE
    return Invoice(
        version=1,
        kind=int(DocumentKind.STATEMENT if passed_on else kind),
        number=heading.number,
        issuer=heading.issuer,
        role=heading.role,
        environment=heading.environment,
        party=heading.party,
        period=statement.period,
        issued_on=heading.issued_on,
        due_on=heading.due_on,
        agreement=heading.agreement,
        cells=statement.cells,
        net=net,
        due_yen=net.due_yen,
        tax=heading.tax,
        tax_yen=heading.tax.within(net.commission) if heading.tax_supplier else 0,
        tax_supplier=heading.tax_supplier,
        rests=rests,
        items=items.count,
        items_digest=items.digest,
        issued_us=heading.issued_us,
    )
