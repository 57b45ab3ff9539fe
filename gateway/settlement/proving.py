"""The payer's check of an invoice against its own receipts: offline, and believing the centre in nothing.

Every item billed is held against the receipt of its request, which says the same cell and amount under the centre's
signature; every receipt of the period must have been billed once, at the agreed tariff. What does not fit is named by
request id, so that RECEIPT can fetch what is missing and DISCLAIM contest what was never received. The same rules make
the bookings here as at the centre (gateway.settlement.entries), from the receipts alone.

Memory: some 200 bytes for each receipt. Source: DESIGN section 11; 000仕4-2; docs/PROTOCOL.md, Invoices.
"""

import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

import msgspec

from gateway.settlement.entries import Booking, EntryContradicted, bookings
from gateway.settlement.periods import period
from gateway.settlement.tariff import Tariff
from gateway.settlement.windows import Window, in_japan
from gateway.store.settlement import EntryRow, Prior
from protocol.application import Transition
from protocol.invoice import DocumentKind, Invoice, Item, pack_item
from protocol.ledger import BlockHeader, CertificateEntry, Entry
from protocol.messages import Operation
from protocol.request_id import time_ms
from protocol.settlement import NOTHING, Amount, Column, Key

FINDINGS_MAX: Final = 10_000
"""So many are named; all are counted."""
CLOCKS_US: Final = 60_000_000
"""So far the clocks of the centre's workers, and of its kiosks, may be apart."""
_DAY_US: Final = 86_400_000_000
_JST_US: Final = 9 * 3_600_000_000
_ID_BYTES: Final = 16
_NO_CELL: Final = (1 << 32) - 1
_BILLED: Final = b""


class Fault(StrEnum):
    """What does not fit."""

    NO_PROOF = "no-proof"  # billed, and no receipt is held
    DOUBLE = "double"  # billed twice
    OTHER_AMOUNT = "other-amount"  # billed with other copies, fee or commission than the receipt says
    OTHER_CELL = "other-cell"  # billed for another municipality, kind or store
    OTHER_PERIOD = "other-period"  # the receipt is of another period
    OTHER_TARIFF = "other-tariff"  # the receipt's own price is not the agreed one
    NOT_BILLED = "not-billed"  # a receipt of the period that the invoice leaves out
    OUTSIDE = "outside"  # a billed receipt stands in no block that the invoice rests on
    CONTRADICTION = "contradiction"  # two receipts of one request that say different things
    SUM = "sum"  # a cell is not the sum of its items


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that does not fit; request_id in hex, "" where a cell as a whole is meant."""

    fault: Fault
    request_id: str
    detail: str


class Verdict(msgspec.Struct, kw_only=True):
    """What came out: items proven once and right, receipts held, those of later invoices, findings and their counts."""

    items: int = 0
    proven: int = 0
    receipts: int = 0
    later: int = 0
    foreign: int = 0
    findings: list[Finding] = []
    counts: dict[str, int] = {}

    @property
    def sound(self) -> bool:
        """Whether everything fits."""
        return not self.counts

    def add(self, fault: Fault, request_id: bytes, detail: str) -> None:
        """Count a finding, and name it while there is room."""
        self.counts[fault] = self.counts.get(fault, 0) + 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(fault=fault, request_id=request_id.hex(), detail=detail))


class Proven(NamedTuple):
    """An entry whose proof was verified, and where it stands."""

    header: BlockHeader
    idx: int
    entry: Entry


class Receipts(Protocol):
    """Gives all receipts anew each time it is called."""

    def __call__(self, *, since_us: int, until_us: int) -> Iterable[Proven]:
        """At least those that the centre recorded from one time to another."""


def prove_invoice(
    invoice: Invoice, items: Iterable[Item], receipts: Receipts, *, tariff: Tariff | None = None
) -> Verdict:
    """Check an invoice whose signature was verified, item by item.

    tariff: what was agreed; without it prices are held against the receipts alone.
    Raises: InvoiceError while the items are read; EntryContradicted; PeriodInvalid.
    """
    return _Proving(invoice, tariff).run(items, receipts)


class _Proving:
    def __init__(self, invoice: Invoice, tariff: Tariff | None) -> None:
        self._invoice = invoice
        self._tariff = tariff
        self._verdict = Verdict(findings=[], counts={})
        self._window = Window(period(invoice.period), by_deposit=invoice.role == "certificate")
        self._start_us, self._end_us = self._window.start_us, self._window.end_us
        self._cells = {cell.key: number for number, cell in enumerate(invoice.cells)}
        self._ranges = {each.stream: each for each in invoice.rests.ranges}
        self._held: dict[bytes, bytes] = {}
        self._outside: set[bytes] = set()
        self._prices: dict[tuple[str, str, int], tuple[int, int] | None] = {}

    def run(self, items: Iterable[Item], receipts: Receipts) -> Verdict:
        self._hold(receipts)
        sums: dict[tuple[int, Column], Amount] = {}
        for item in items:
            self._item(item)
            place = (item.cell, item.column)
            sums[place] = sums.get(place, NOTHING) + Amount(1, item.copies, item.yen, item.commission)
        self._check_cells(sums)
        for key, said in self._held.items():
            if said is not _BILLED and said[-1] == _OWN:
                self._verdict.add(Fault.NOT_BILLED, key[:16], "the receipt is of the period and stands in no item")
        return self._verdict

    def _hold(self, receipts: Receipts) -> None:
        """What the receipts expect to be billed."""
        corrections: list[EntryRow] = []
        issued_us = self._invoice.issued_us
        for proven in receipts(since_us=max(self._start_us - CLOCKS_US, 0), until_us=issued_us):
            row = row_of(proven)
            if not self._ours(row):
                self._verdict.foreign += 1
                continue
            self._verdict.receipts += 1
            if proven.entry.operation >= Operation.SETTLE or self._window.by_deposit != bool(row.application):
                continue  # it is about no application, and at a certificate centre no business then
            if row.transition >= Transition.CORRECTED_1:
                corrections.append(row)
            else:
                self._expect(row)
        for row in _with_priors(corrections, receipts, until_us=issued_us) if corrections else ():
            self._expect(row)

    def _ours(self, row: EntryRow) -> bool:
        whose = row.counterparty if self._invoice.kind == DocumentKind.STATEMENT else row.party
        return whose == self._invoice.party

    def _expect(self, row: EntryRow) -> None:
        try:
            for each in bookings(row):
                self._book(row, each)
        except (OverflowError, struct.error) as error:  # signed by the centre, and nothing that an invoice can bear
            raise EntryContradicted(row, "has a time or an amount that no invoice can bear") from error

    def _book(self, row: EntryRow, each: Booking) -> None:
        if each.column is not Column.MOVED:
            self._check_price(row, each)
        item = self._expected(row, each)
        due = self._due(row, each)
        if due == _LATER:
            self._verdict.later += 1
        key, said = _key(item), pack_item(item)[_ID_BYTES:] + bytes((due,))
        if self._held.setdefault(key, said) != said:
            self._verdict.add(Fault.CONTRADICTION, row.request_id, "two receipts of it differ; keep both")
        found = self._ranges.get(row.stream)
        if found is None or not found.first <= row.height <= found.last:
            self._outside.add(key)

    def _due(self, row: EntryRow, each: Booking) -> int:
        """Whether a booking is to be billed here, may be, or is a later invoice's.

        What stands before a billed block of its stream stood there at the freeze, and so did what was recorded well
        before that. Of an earlier period's bookings only those are due here that came after the last freeze.
        """
        if each.settled_us >= self._end_us:
            return _ELSEWHERE
        rests, found = self._invoice.rests, self._ranges.get(row.stream)
        stood = (found is not None and row.height <= found.last) or row.at_us + CLOCKS_US < rests.frozen_us
        if each.settled_us >= self._start_us:
            return _OWN if stood else _LATER
        if not rests.frozen_us:
            return _MAY_BE
        if not rests.previous_us or row.at_us + CLOCKS_US < rests.previous_us:
            return _ELSEWHERE
        return _OWN if stood and row.at_us - CLOCKS_US > rests.previous_us else _MAY_BE

    def _expected(self, row: EntryRow, each: Booking) -> Item:
        cell = self._cells.get(Key(row.party, row.counterparty, row.matter, row.store), _NO_CELL)
        carried = each.settled_us < self._start_us
        return Item(row.request_id, cell, each.column, carried, each.copies, each.yen, each.commission)

    def _check_price(self, row: EntryRow, each: Booking) -> None:
        if self._tariff is None:
            return
        asked = (row.counterparty, row.matter, (each.settled_us + _JST_US) // _DAY_US)  # of one day there are many
        if asked not in self._prices:
            day = in_japan(each.settled_us).date()
            price = self._tariff.at(counterparty=row.counterparty, matter=row.matter, day=day)
            self._prices[asked] = None if price is None else (price.fee, price.commission)
        agreed = self._prices[asked]
        if agreed is None:
            day = in_japan(each.settled_us).date()
            self._verdict.add(Fault.OTHER_TARIFF, row.request_id, f"no price was agreed for {row.matter} on {day}")
            return
        fee, commission = agreed
        if row.application:
            right = (each.yen, each.commission) == (fee * each.copies, commission * each.copies)
        else:
            right = each.commission == 0 and (each.yen % fee == 0 if fee else each.yen == 0)
        if not right:
            detail = f"{each.copies} copies at {each.yen} and {each.commission} yen; agreed is {fee} and {commission}"
            self._verdict.add(Fault.OTHER_TARIFF, row.request_id, detail)

    def _item(self, item: Item) -> None:
        verdict = self._verdict
        verdict.items += 1
        key = _key(item)
        said = self._held.get(key)
        if said is None:
            verdict.add(Fault.NO_PROOF, item.request_id, f"{item.yen} yen, commission {item.commission}, are billed")
            return
        if said is _BILLED:
            verdict.add(Fault.DOUBLE, item.request_id, f"{item.yen} yen, commission {item.commission}, once more")
            return
        self._held[key] = _BILLED
        packed, due = said[:-1], said[-1]
        billed = pack_item(item)[_ID_BYTES:]
        if billed[:4] != packed[:4]:
            verdict.add(Fault.OTHER_CELL, item.request_id, f"billed in cell {self._name(item.cell)}")
        elif billed[6:] != packed[6:]:
            detail = f"billed with {item.copies} copies, {item.yen} yen, commission {item.commission}"
            verdict.add(Fault.OTHER_AMOUNT, item.request_id, detail)
        elif due == _ELSEWHERE or billed != packed:
            verdict.add(Fault.OTHER_PERIOD, item.request_id, "by its day and its entry it is another period's")
        elif key in self._outside:
            verdict.add(Fault.OUTSIDE, item.request_id, "its block is not among those that the invoice rests on")
        else:
            verdict.proven += 1

    def _check_cells(self, sums: dict[tuple[int, Column], Amount]) -> None:
        for number, cell in enumerate(self._invoice.cells):
            says = zip(Column, (cell.sold, cell.voided, cell.corrected, cell.moved), strict=True)
            for column, amount in says:
                found = sums.get((number, column), NOTHING)
                if found != amount:
                    detail = f"cell {self._name(number)}, {column.name}: says {amount}, its items come to {found}"
                    self._verdict.add(Fault.SUM, b"", detail)

    def _name(self, number: int) -> str:
        return "/".join(msgspec.structs.astuple(self._invoice.cells[number].key))


_ELSEWHERE, _MAY_BE, _LATER, _OWN = range(4)


def row_of(proven: Proven) -> EntryRow:
    """A proven entry as settlement reads it; a correction's prior is not in it."""
    header, index, entry = proven
    delivery = entry.delivery if isinstance(entry, CertificateEntry) else None
    return EntryRow(
        header.stream,
        header.height,
        index,
        entry.at_us,
        entry.party,
        entry.counterparty,
        entry.matter,
        entry.kind,
        entry.request_id,
        delivery.application if delivery else b"",
        delivery.transition if delivery else 0,
        delivery.copies if delivery else 0,
        entry.yen,
        entry.commission,
        entry.terms,
        delivery.deposited_at_us if delivery else 0,
        delivery.store_day if delivery else "",
        delivery.store if delivery else "",
        delivery.kiosk if delivery else "",
    )


def _with_priors(corrections: list[EntryRow], receipts: Receipts, *, until_us: int) -> Iterator[EntryRow]:
    """Corrections with what stood before them, from the receipts of the same applications, whose ids say since when."""
    wanted = {row.application for row in corrections}
    since_us = min(min(time_ms(row.application) * 1_000 for row in corrections) - CLOCKS_US, until_us)
    stood: dict[bytes, dict[int, EntryRow]] = {}
    for proven in receipts(since_us=max(since_us, 0), until_us=until_us):
        delivery = proven.entry.delivery if isinstance(proven.entry, CertificateEntry) else None
        if delivery is not None and delivery.application in wanted and delivery.deposited_at_us:
            stood.setdefault(delivery.application, {})[delivery.transition] = row_of(proven)
    for row in corrections:
        before = [
            each
            for transition, each in sorted(stood.get(row.application, {}).items())
            if transition < row.transition and transition != Transition.VOIDED
        ]
        if not before:
            before = [row._replace(copies=0, yen=0, commission=0)]  # nothing is held of it: then nothing moved
        prior = Prior(
            before[-1].deposited_at_us,
            sum(each.copies for each in before),
            sum(each.yen for each in before),
            sum(each.commission for each in before),
        )
        yield row._replace(prior=prior)


def _key(item: Item) -> bytes:
    return item.request_id + bytes((item.column, item.copies >= 0))
