"""Late interest, in whole yen, as two contracts word it. Pure.

000契17, operator to centre: the base is 「その入金された金額」, the fees received at the kiosks and not the net that
was to be paid (DOMAIN X6). The wording decides, and the same sum on the net is shown beside it. The rate is the one
that the Minister of Finance sets under the statute (政府契約の支払遅延防止等に関する法律 8条1項); the year has 365
days, a leap day or not. Below 100 yen nothing is due, and fractions of 100 yen are dropped. Days of an inspection do
not count (17-2). The centre names the day of payment and may waive.

003 6-3, prefecture to contractor: 2.5 % a year on what is unpaid, by the same statute. 003 says nothing of the length
of a year, of the cut below 100 yen or of days that do not count: the statute's cut (8条2項) and a year of 365 days are
taken, and the days that do not count are those the caller names (8条1項: 天災地変 and the like).

Days are counted from the day after the deadline to the day of payment, both inclusive (8条1項: 約定の支払時期到来の日の
翌日から支払をする日まで). The rate is that of the day on which the contract was concluded, as such contracts are
commonly read, unless the terms choose the deadline's. One rate holds for a whole delay. A part payment begins another
delay: interest on each part is computed by itself.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from gateway.settlement.dates import Text
from gateway.settlement.errors import InterestInvalid, NoRate
from gateway.settlement.rounding import cut

BASIS_POINTS: Final = 10_000
"""Parts of one: a rate of 250 is 2.5 % a year."""
_ONE: Final = timedelta(days=1)


class Base(StrEnum):
    """On what interest runs: the fees received at the kiosks (000契17), or the amount unpaid (003 6-3)."""

    RECEIVED = "received"
    UNPAID = "unpaid"


class RateDay(StrEnum):
    """Which day picks the rate: that of the contract's conclusion, or the deadline."""

    CONCLUDED = "concluded"
    DEADLINE = "deadline"


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rate a year and the day it begins. basis_points: of 1/10,000; source: where it was announced."""

    valid_from: date
    basis_points: Annotated[int, msgspec.Meta(ge=0, le=BASIS_POINTS)]
    source: Text


class InterestTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a contract says of late interest. rates: ordered by valid_from; unit_yen: what is below it is cut."""

    base: Base
    clause: Text
    rates: Annotated[tuple[Rate, ...], msgspec.Meta(min_length=1)]
    rate_day: RateDay = RateDay.CONCLUDED
    year_days: Annotated[int, msgspec.Meta(ge=365, le=366)] = 365
    unit_yen: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    note_ja: str = ""
    note_en: str = ""

    def rate_on(self, day: date) -> Rate:
        """The rate in force on a day. Raises: NoRate."""
        found = None
        for rate in self.rates:
            if rate.valid_from <= day:
                found = rate
        if found is None:
            raise NoRate(day)
        return found


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Days that do not count, both inclusive, such as an inspection's."""

    first: date
    last: date


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """The creditor let the interest go (000契17-1: 甲が認めた場合). reference: of the written decision."""

    ground: str
    reference: str


class LateInterest(msgspec.Struct, frozen=True, kw_only=True):
    """What a delay costs, and how it came about. Amounts are whole yen, 0 or more.

    late_days: from the day after the deadline to the day of payment; days: those of them that count. interest_yen: by
    the wording of the contract, on base_yen. unpaid_interest_yen: the same on the unpaid net, for comparison.
    payable_yen: what is to be paid, 0 when it was waived. payable_by: the day the creditor named, if it has.
    year_days, unit_yen: the terms' own.
    """

    base: Base
    base_yen: int
    unpaid_yen: int
    rate: Rate
    deadline: date
    paid: date
    late_days: int
    days: int
    interest_yen: int
    unpaid_interest_yen: int
    payable_yen: int
    payable_by: date | None
    waiver: Waiver | None
    clause: str
    year_days: int
    unit_yen: int


def late_interest(
    terms: InterestTerms,
    *,
    received_yen: int,
    unpaid_yen: int,
    deadline: date,
    paid: date,
    concluded: date,
    excluded: Sequence[Span] = (),
    payable_by: date | None = None,
    waiver: Waiver | None = None,
) -> LateInterest:
    """Interest on one delay.

    received_yen: the fees received in the period (gross). unpaid_yen: what was due and late (net). A base that is not
    positive bears nothing. deadline: the last day of payment, after the holiday rule. paid: the day the money came.

    Raises: NoRate, InterestInvalid (a span that ends before it begins, a day of payment before the delay is over).
    """
    for span in excluded:
        if span.last < span.first:
            raise InterestInvalid(
                field="excluded",
                why=f"{span.first} to {span.last} ends before it begins / 期間の終わりが始めより前です",
                remedy="give the first day, then the last",
            )
    if payable_by is not None and payable_by < paid:
        raise InterestInvalid(
            field="payable_by",
            why=f"{payable_by} is before the payment on {paid} / 支払日より前です",
            remedy="name a day on or after the payment: until then the interest still grows",
        )
    rate = terms.rate_on(concluded if terms.rate_day is RateDay.CONCLUDED else deadline)
    late = max(0, (paid - deadline).days)
    days = late - _days_within(excluded, deadline + _ONE, paid) if late else 0
    base_yen = received_yen if terms.base is Base.RECEIVED else unpaid_yen
    interest = interest_yen(base_yen, rate=rate, days=days, terms=terms)
    return LateInterest(
        base=terms.base,
        base_yen=base_yen,
        unpaid_yen=unpaid_yen,
        rate=rate,
        deadline=deadline,
        paid=paid,
        late_days=late,
        days=days,
        interest_yen=interest,
        unpaid_interest_yen=interest_yen(unpaid_yen, rate=rate, days=days, terms=terms),
        payable_yen=0 if waiver is not None else interest,
        payable_by=payable_by,
        waiver=waiver,
        clause=terms.clause,
        year_days=terms.year_days,
        unit_yen=terms.unit_yen,
    )


def interest_yen(base_yen: int, *, rate: Rate, days: int, terms: InterestTerms) -> int:
    """`base * rate * days / year`, cut to the unit: one division, after every multiplication. 0 for a base below 1."""
    return cut(max(0, base_yen) * rate.basis_points * days // (BASIS_POINTS * terms.year_days), terms.unit_yen)


def _days_within(spans: Iterable[Span], first: date, last: date) -> int:
    """Days from first to last that lie in any span; a day in two of them counts once."""
    counted, upto = 0, first
    for span in sorted(spans, key=lambda each: each.first):
        begins, ends = max(span.first, upto), min(span.last, last)
        if begins <= ends:
            counted += (ends - begins).days + 1
            upto = ends + _ONE
    return counted
