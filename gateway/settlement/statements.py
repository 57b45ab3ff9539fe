"""Statements: cells of party, counterparty, matter and store, their totals, and the proof that nothing is lost. Pure.

At the certificate centre a cell is operator x municipality x certificate kind x store, and a period is a month by the
deposit's day; at the inquiry centre party x affair, and a quarter. The operators' totals and the municipalities' are
sums of the same cells (DOMAIN X 5), and `prove` holds both against what the entries come to by another way of adding.
Refunds and corrections stand in columns of their own; a net may be negative (X 4).

What the server added up and what `add_up` adds entry by entry is the same statement to the byte.
Source: 000仕4-1, 001-4-1, 000契13, 002本2-3; DOMAIN I3, N3, X 4, X 5.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar

import msgspec

from gateway.settlement.entries import Booking, taken
from gateway.settlement.errors import SettlementError
from gateway.settlement.windows import Window
from gateway.store.settlement import EntryRow, SumRow
from protocol.application import Transition
from protocol.ledger import EntryKind
from protocol.settlement import NOTHING, Amount, Cell, Column, Key


class Statement(msgspec.Struct, frozen=True, array_like=True):
    """All cells of a period, in the order of their keys."""

    period: str
    cells: tuple[Cell, ...]

    def of(self, *, party: str | None = None, counterparty: str | None = None) -> "Statement":
        """The same statement, of one party or counterparty alone."""
        cells = tuple(
            cell
            for cell in self.cells
            if party in (None, cell.key.party) and counterparty in (None, cell.key.counterparty)
        )
        return Statement(self.period, cells)

    @property
    def net(self) -> Amount:
        """Of all cells."""
        return _total(self.cells)

    def by_party(self) -> dict[str, Amount]:
        """Net by party."""
        return self._by(lambda key: key.party)

    def by_counterparty(self) -> dict[str, Amount]:
        """Net by counterparty."""
        return self._by(lambda key: key.counterparty)

    def encode(self) -> bytes:
        """The canonical bytes: the same ledger and cut give the same, always."""
        return _encode(self)

    def _by(self, name: Callable[[Key], str]) -> dict[str, Amount]:
        sums: dict[str, Amount] = {}
        for cell in self.cells:
            sums[name(cell.key)] = sums.get(name(cell.key), NOTHING) + cell.net
        return dict(sorted(sums.items()))


_encode = msgspec.msgpack.Encoder().encode


class NotConserved(SettlementError):  # noqa: N818  named after the fact
    """Sums that must be equal are not. Fields: what, expected, found."""

    code: ClassVar[str] = "not-conserved"

    def __init__(self, what: str, *, expected: Amount, found: Amount) -> None:
        super().__init__(
            f"{what} come to {found}, the entries to {expected} / 合計が台帳と一致しません; verify the ledger"
            " (sekisho ledger verify) and bill nothing"
        )
        self.what = what
        self.expected = expected
        self.found = found


class _Adder:
    """Cells while they are added up."""

    def __init__(self) -> None:
        self._columns: dict[tuple[Key, Column], Amount] = {}
        self._carried: dict[Key, Amount] = {}
        self._terms: dict[Key, set[int]] = {}

    def add(self, key: Key, column: Column, amount: Amount, *, carried: bool, terms: int) -> None:
        self._columns[key, column] = self._columns.get((key, column), NOTHING) + amount
        self._terms.setdefault(key, set()).add(terms)
        if carried:
            self._carried[key] = self._carried.get(key, NOTHING) + amount

    def statement(self, window: Window) -> Statement:
        return Statement(window.period.text, tuple(self._cells()))

    def _cells(self) -> Iterator[Cell]:
        for key in sorted(self._terms):
            sold, voided, corrected, moved = (self._columns.get((key, column), NOTHING) for column in Column)
            carried, terms = self._carried.get(key, NOTHING), tuple(sorted(self._terms[key]))
            yield Cell(key, sold, voided, corrected, moved, carried, terms)


def add_up(rows: Iterable[EntryRow], window: Window) -> Statement:
    """A statement from entries, one by one; any order gives the same. Raises: EntryContradicted."""
    adder = _Adder()
    for row in rows:
        _add_bookings(adder, row, window, taken(row, window))
    return adder.statement(window)


def from_sums(sums: Iterable[SumRow], corrections: Iterable[EntryRow], window: Window) -> Statement:
    """A statement from what the server added up, and the corrections, whose moves between months only the rule knows.

    Raises: EntryContradicted.
    """
    adder = _Adder()
    for row in sums:
        amount = Amount(row.entries, row.copies, row.yen, row.commission)
        adder.add(_key(row), _column_of_sum(row), amount, carried=row.carried, terms=row.terms)
    for each in corrections:
        moves = (booking for booking in taken(each, window) if booking.column is Column.MOVED)
        _add_bookings(adder, each, window, moves)
    return adder.statement(window)


def prove(statement: Statement, whole: Amount) -> None:
    """Hold parties and counterparties against one another and against the entries' own sum.

    whole: what the entries come to, added up apart from the cells. Raises: NotConserved.
    """
    for what, sums in (("parties", statement.by_party()), ("counterparties", statement.by_counterparty())):
        found = NOTHING
        for amount in sums.values():
            found += amount
        if found != whole:
            raise NotConserved(what, expected=whole, found=found)
    gross = NOTHING
    for cell in statement.cells:
        gross = gross + cell.sold + cell.reversed
    if gross != whole:
        raise NotConserved("columns", expected=whole, found=gross)


def whole_of(own: Amount, corrections: Iterable[EntryRow], window: Window) -> Amount:
    """What the entries come to: their own differences, and the moves in and out of the period."""
    total = own
    for row in corrections:
        for each in taken(row, window):
            if each.column is Column.MOVED:
                total += Amount(1, each.copies, each.yen, each.commission)
    return total


def _add_bookings(adder: _Adder, row: EntryRow, window: Window, found: Iterable[Booking]) -> None:
    for each in found:
        amount = Amount(1, each.copies, each.yen, each.commission)
        adder.add(_key(row), each.column, amount, carried=window.carries(each.settled_us), terms=row.terms)


def _key(row: EntryRow | SumRow) -> Key:
    return Key(row.party, row.counterparty, row.matter, row.store)


def _column_of_sum(row: SumRow) -> Column:
    if row.transition == 0:
        return Column.VOIDED if row.kind == EntryKind.DISCLAIM else Column.SOLD
    if row.transition >= Transition.CORRECTED_1:
        return Column.CORRECTED
    return Column.VOIDED if row.transition == Transition.VOIDED else Column.SOLD


def _total(cells: Iterable[Cell]) -> Amount:
    total = NOTHING
    for cell in cells:
        total += cell.net
    return total
