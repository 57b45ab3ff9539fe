"""What a statement of settlement consists of: cells with signed amounts in columns, as all parties name them.

A cell is operator x municipality x certificate kind x store at the certificate centre, party x affair at the inquiry
centre. Amounts are whole yen, tax included. Source: 000仕4-1, 000契13; 002本2; DOMAIN I3, X 5.
"""

from enum import IntEnum
from typing import Final

import msgspec


class Column(IntEnum):
    """In which column of a statement an amount stands; values are stable, since invoices' items bear them."""

    SOLD = 1  # completions; answers of an inquiry centre
    VOIDED = 2  # voids (返金済・無効); disclaimed answers
    CORRECTED = 3  # differences by correction
    MOVED = 4  # what a correction of the day took out of a month, or brought into one


class Key(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Whose business a cell is.

    party: operator or ministry; counterparty: municipality; matter: certificate kind or affair; store.
    """

    party: str
    counterparty: str
    matter: str
    store: str


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """Signed sums: entries (how many bookings), copies, yen, commission."""

    entries: int = 0
    copies: int = 0
    yen: int = 0
    commission: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.entries + other.entries,
            self.copies + other.copies,
            self.yen + other.yen,
            self.commission + other.commission,
        )

    @property
    def due_yen(self) -> int:
        """Fees less commission: what the party owes, negative when it is owed (000仕4-1)."""
        return self.yen - self.commission


NOTHING: Final = Amount()


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """One cell: gross (sold), voided, corrected, moved; carried: which part of all these is of frozen periods.

    terms: versions of the terms that priced its entries, ascending.
    """

    key: Key
    sold: Amount
    voided: Amount
    corrected: Amount
    moved: Amount
    carried: Amount
    terms: tuple[int, ...]

    @property
    def reversed(self) -> Amount:
        """All that is not gross: voids, corrections, moves."""
        return self.voided + self.corrected + self.moved

    @property
    def net(self) -> Amount:
        """Gross and reversed together."""
        return self.sold + self.reversed
