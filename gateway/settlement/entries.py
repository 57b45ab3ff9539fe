"""What an entry of the ledger does to the periods: its bookings. Pure.

Every entry is a signed difference. A completion adds, a void takes back what stands, a correction gives the difference
(000仕13-2, 000契9-1). A correction may also say another day of the deposit, with a difference of 0 or not: if that is
in another month, what stood so far leaves the old month and enters the new one, as two bookings of opposite sign beside
the entry's own. Each booking whose month is frozen falls into the next open one by the rule of
gateway.settlement.windows; so an old month is put right as long as it can be, and nothing is lost or doubled however
late a correction comes. A repeat is free and is no booking (002本2-1).

Source: 000仕4-1, 4-3, 13-2; 001-4; DOMAIN I2, I9; DESIGN section 11.
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from gateway.settlement.errors import SettlementError
from gateway.settlement.windows import Window, same_month
from gateway.store.settlement import EntryRow
from protocol.application import Transition
from protocol.ledger import EntryKind
from protocol.settlement import Column


class Booking(NamedTuple):
    """One amount of one entry, settled at a time; copies, yen and commission are signed."""

    column: Column
    settled_us: int
    copies: int
    yen: int
    commission: int


class EntryContradicted(SettlementError):  # noqa: N818  named after the fact
    """An entry that no settlement can read. Fields: stream, height, index."""

    code: ClassVar[str] = "entry-contradicted"

    def __init__(self, row: EntryRow, why: str) -> None:
        super().__init__(
            f"the entry in stream {row.stream.hex()}, height {row.height}, index {row.idx} {why}"
            " / 台帳の記録を精算できません; verify the ledger (sekisho ledger verify)"
        )
        self.stream = row.stream
        self.height = row.height
        self.index = row.idx


def bookings(row: EntryRow) -> tuple[Booking, ...]:
    """All an entry does, in whatever period; without an application it is an inquiry's. Raises: EntryContradicted."""
    if row.kind == EntryKind.REPEAT:
        return ()
    if not row.application:
        column = Column.VOIDED if row.kind == EntryKind.DISCLAIM else Column.SOLD
        return (Booking(column, row.at_us, row.copies, row.yen, row.commission),)
    if not row.deposited_at_us:
        if row.yen or row.commission or row.copies:
            raise EntryContradicted(row, "moves money and names no deposit")
        return ()
    own = Booking(column_of(row), row.deposited_at_us, row.copies, row.yen, row.commission)
    prior = row.prior
    if prior is None or same_month(prior.deposited_at_us, row.deposited_at_us):
        return (own,)
    return (
        own,
        Booking(Column.MOVED, prior.deposited_at_us, -prior.copies, -prior.yen, -prior.commission),
        Booking(Column.MOVED, row.deposited_at_us, prior.copies, prior.yen, prior.commission),
    )


def taken(row: EntryRow, window: Window) -> Iterator[Booking]:
    """The bookings of an entry that belong to a period. Raises: EntryContradicted."""
    for each in bookings(row) if window.by_deposit == bool(row.application) else ():
        if window.takes(each.settled_us, row.stream, row.height):
            yield each


def column_of(row: EntryRow) -> Column:
    """The column of an entry's own difference. Raises: EntryContradicted."""
    if row.transition == Transition.COMPLETED:
        return Column.SOLD
    if row.transition == Transition.VOIDED:
        return Column.VOIDED
    if row.transition >= Transition.CORRECTED_1 and row.prior is not None:
        return Column.CORRECTED
    raise EntryContradicted(row, f"has transition {row.transition}, which has no deposit")
