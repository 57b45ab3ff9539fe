"""Making the documents of many sides in one reading of the ledger: statements, items, ranges, and the invoice.

Amounts are the ledger's; a contract's terms must come to the same, or nothing is issued unless two persons force it
(`held_against`). Cost: one reading of the period's entries for all sides together; memory for the cells, one batch, and
a small buffer a side.
Source: 000仕4-4, 001-4-4, 002本2-3.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from gateway.settlement.admission import Obstacle
from gateway.settlement.billing import Bill, bill
from gateway.settlement.errors import NoTerms, SettlementError
from gateway.settlement.facts import Issued, Signature, digest_of
from gateway.settlement.invoices import Heading, Items, make_invoice, rests_on
from gateway.settlement.obstacles import terms_differ
from gateway.settlement.periods import Period
from gateway.settlement.reading import read_checkpoint, read_entries, read_statement
from gateway.settlement.sides import Side
from gateway.settlement.statements import Statement
from gateway.settlement.terms import Claim, Measure, Terms
from gateway.settlement.windows import Freeze, Window
from gateway.store.settlement import EntryRow, RangeRow, SettlementReader
from protocol.checkpoint import Checkpoint
from protocol.invoice import Invoice, SignedInvoice, encode_invoice
from protocol.settlement import NOTHING, Amount

BUFFER_BYTES: Final = 1 << 15


class InvoiceContradicted(SettlementError):  # noqa: N818  named after the fact
    """The ledger no longer gives what was issued. Fields: number."""

    code: ClassVar[str] = "invoice-contradicted"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"{number}: the ledger no longer gives the document that was issued / 台帳が発行済みの請求書と一致しません;"
            " run sekisho ledger verify and sekisho settle verify"
        )
        self.number = number


class Draft:
    """One side's document in the making. items: spooled into `spool`."""

    def __init__(self, side: Side, statement: Statement, spool: Path) -> None:
        self.side = side
        self.statement = statement
        self.spool = spool
        self.items = Items(statement)
        self._ranges: dict[bytes, RangeRow] = {}
        self._held = bytearray()

    @property
    def ranges(self) -> list[RangeRow]:
        """The blocks it rests on, by stream."""
        return [self._ranges[stream] for stream in sorted(self._ranges)]

    def take(self, rows: Sequence[EntryRow], window: Window) -> None:
        """Add entries of this side, in the order of the ledger."""
        self._held += self.items.pack(rows, window)
        for row in rows:
            old = self._ranges.get(row.stream) or RangeRow(row.stream, row.height, row.height, 0)
            first, last = min(old.first, row.height), max(old.last, row.height)
            self._ranges[row.stream] = RangeRow(row.stream, first, last, old.entries + 1)
        if len(self._held) >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring the items to the disk."""
        with self.spool.open("ab") as file:
            file.write(self._held)
        self._held.clear()

    def invoice(self, heading: Heading, checkpoint: Checkpoint, freeze: Freeze) -> Invoice:
        """The document. freeze: of its period."""
        rests = rests_on(self.ranges, checkpoint, freeze)
        return make_invoice(self.statement, heading, rests=rests, items=self.items, passed_on=not self.side.incoming)


async def read_drafts(
    reader: SettlementReader, window: Window, own: Iterable[tuple[Side, Statement]], spool: Path
) -> list[Draft]:
    """The drafts of sides with their statements, their items in files under `spool`.

    Raises: StoreError, EntryContradicted, OSError.
    """
    drafts = {
        (side.incoming, side.party): Draft(side, statement, spool.joinpath(f"{number}.items"))
        for number, (side, statement) in enumerate(own)
    }
    async for batch in read_entries(reader, window):
        shares: dict[tuple[bool, str], list[EntryRow]] = {}
        for row in batch:
            for key in ((True, row.party), (False, row.counterparty)):
                if key in drafts:
                    shares.setdefault(key, []).append(row)
        for key, rows in shares.items():
            drafts[key].take(rows, window)
    for draft in drafts.values():
        draft.flush()
    return list(drafts.values())


async def checkpoint_of(reader: SettlementReader, draft: Draft) -> Checkpoint:
    """The first checkpoint over a draft's blocks. Raises: StoreError, NotCovered, NoteError."""
    return await read_checkpoint(reader, draft.ranges)


def issued(invoice: Invoice, *, received_on: str, key_id: str, signature: bytes) -> Issued:
    """What the act says of a document."""
    return Issued(
        number=invoice.number,
        kind=invoice.kind,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        received_on=received_on,
        agreement=invoice.agreement,
        tax_supplier=invoice.tax_supplier,
        tax=invoice.tax,
        signature=Signature(digest_of(encode_invoice(invoice)), key_id, signature),
    )


def signed_again(invoice: Invoice, facts: Issued) -> SignedInvoice:
    """The signed file of a document that was made again. Raises: InvoiceContradicted."""
    data = encode_invoice(invoice)
    if digest_of(data) != facts.signature.digest:
        raise InvoiceContradicted(facts.number)
    return SignedInvoice(data, facts.signature.key_id, facts.signature.signature)


async def held_against(
    reader: SettlementReader, window: Window, side: Side, own: Statement
) -> tuple[tuple[Bill, ...], list[Obstacle]]:
    """What the contract's terms make of a side's amounts, one bill or one for each version of the terms.

    With the obstacle, if they do not come to the ledger's sum. Raises: StoreError, NotConserved.
    """
    net = own.net
    parts = list(_parts(side, window.period))
    if len(parts) == 1:
        bills = _bills(side, [(parts[0][0], window.period, net)])
        if _total(bills) != net.due_yen:
            bills = _bills(side, _apart(side, window, own))
    else:
        amounts = []
        for number, (terms, part) in enumerate(parts):
            within = Window(part, window.cut, None if number else window.previous, window.by_deposit)
            amounts.append((terms, part, side.of(await read_statement(reader, within)).net))
        bills = _bills(side, amounts)
    if _total(bills) == net.due_yen:
        return bills, []
    return bills, [terms_differ(side, ledger_yen=net.due_yen, terms_yen=_total(bills))]


def _parts(side: Side, period: Period) -> Iterator[tuple[Terms, Period]]:
    """The versions of a contract that are in force over a period; the last one's, where it began within."""
    try:
        yield from list(side.contract.over(period))
    except NoTerms:
        yield side.terms, period


def _apart(side: Side, window: Window, statement: Statement) -> list[tuple[Terms, Period, Amount]]:
    """Adjustments of frozen periods were priced by the terms of their time: they are reckoned apart."""
    carried = NOTHING
    for cell in statement.cells:
        carried += cell.carried
    net = statement.net
    own = Amount(0, net.copies - carried.copies, net.yen - carried.yen, net.commission - carried.commission)
    try:
        before = side.contract.on(window.period.first - timedelta(days=1))
    except NoTerms:
        before = side.terms
    return [(side.terms, window.period, own), (before, window.period, carried)]


def _bills(side: Side, amounts: Iterable[tuple[Terms, Period, Amount]]) -> tuple[Bill, ...]:
    found = []
    for terms, part, amount in amounts:
        claim = terms.claim(side.claim.id)
        found.append(bill(claim, part, readings(claim, amount)))
    return tuple(found)


def readings(claim: Claim, amount: Amount) -> Mapping[str, Sequence[int]]:
    """What a claim's items read of the ledger's amounts: fees in yen, copies, and records at the claim's price."""
    found: dict[str, Sequence[int]] = {}
    for item in claim.items:
        if item.measure is Measure.AMOUNT:
            found[item.source] = [amount.yen]
        elif item.measure is Measure.COPY:
            found[item.source] = [amount.copies]
        elif item.measure is Measure.RECORD and item.yen:
            found[item.source] = [amount.yen // item.yen]
    return found


def _total(bills: Iterable[Bill]) -> int:
    return sum(each.total_yen for each in bills)
