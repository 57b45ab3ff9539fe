"""A contract's money terms as data: who pays whom for what, over which span, by which dates. Pure.

A contract has dated versions, each with the reference of the written agreement that made it. A version has claims: one
party asks another for the sum of the claim's items over a span. Parties are roles and never 甲 and 乙, which mean
another party in every contract. An item is reckoned by a measure and flows from its payer to its payee; one that flows
against its claim, as a commission that is withheld, takes away from it. So a claim may come out negative, and is then a
credit notice (DOMAIN X4).

Prices are whole yen, tax included. The tax portion is `amount x 10/110` (003単※1); the fraction is dropped, once over a
claim's taxed items of one supplier and not line by line: the source is silent, and one rounding per invoice and rate is
what a tax invoice has.

Source: 000契13, 14, 17; 000仕4, 15; 001-4; 002本2; 003 6, 003単.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from gateway.settlement.cycle import DateRule
from gateway.settlement.dates import Text
from gateway.settlement.errors import NoTerms, TermsInvalid
from gateway.settlement.interest import InterestTerms
from gateway.settlement.periods import Period, PeriodKind
from gateway.settlement.rounding import Rounding
from protocol.invoice import TaxRounding, TaxRule

YEN_MAX: Final = 1_000_000_000
"""The highest price of one unit."""


class PartyRole(StrEnum):
    """What a party is, whatever letter a contract gives it."""

    CENTRE = "centre"
    OPERATOR = "operator"
    MUNICIPALITY = "municipality"
    MINISTRY = "ministry"
    PREFECTURE = "prefecture"
    CONTRACTOR = "contractor"


class Measure(StrEnum):
    """How an item's readings become a quantity.

    AMOUNT: they are yen themselves and are summed: fees received, or what was agreed in the single case. COPY, RECORD:
    they are summed. MONTH: flat, once for every begun month of the span; no readings. HOURS: minutes, summed over the
    span and only then rounded to hours at 30 (003単※2). DAY: the number of readings, each the minutes of a day, that
    lie above `above` and not over `up_to`. HOURS_ABOVE: of such days the minutes above `above`, summed and rounded like
    HOURS. KILOMETRE_ABOVE: their sum above `above`.
    """

    AMOUNT = "amount"
    COPY = "copy"
    RECORD = "record"
    MONTH = "month"
    HOURS = "hours"
    DAY = "day"
    HOURS_ABOVE = "hours-above"
    KILOMETRE_ABOVE = "kilometre-above"


class Refund(StrEnum):
    """What a refund does to a claim.

    REVERSED: fee and commission are both taken back by an entry of its own on the day of the refund, for every copy of
    the transaction (000契9-1, DOMAIN H2, H3); once its period is frozen, in the next open one (I9). FEE_ONLY: the fee
    is taken back and the commission stays. NONE: there are no refunds.
    """

    REVERSED = "reversed"
    FEE_ONLY = "fee-only"
    NONE = "none"


_ROUNDINGS: Final = {
    Rounding.DOWN: TaxRounding.DOWN,
    Rounding.HALF_UP: TaxRounding.HALF_UP,
    Rounding.UP: TaxRounding.UP,
}


class Tax(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a tax-included amount that is consumption tax: numerator/denominator of it."""

    numerator: Annotated[int, msgspec.Meta(ge=0, le=100)] = 10
    denominator: Annotated[int, msgspec.Meta(ge=1, le=200)] = 110
    rounding: Rounding = Rounding.DOWN

    def __post_init__(self) -> None:
        self.rule  # noqa: B018 - raises ValueError for what is no part of an amount

    @property
    def rule(self) -> TaxRule:
        """The rule as an invoice bears it."""
        return TaxRule(self.numerator, self.denominator, _ROUNDINGS[self.rounding])

    def portion(self, yen: int) -> int:
        """The tax in a tax-included amount; of a credit, as much and negative (003単※1)."""
        return self.rule.within(yen)


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One price. yen: of a unit, tax included; None for AMOUNT. taxed: whether it has a tax portion.

    reads: the id of the readings it is reckoned from, its own when empty; several items may share one. supplier: whose
    supply it is for tax, the payee when None. above, up_to: see Measure.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    name_ja: Text
    name_en: Text
    measure: Measure
    payer: PartyRole
    payee: PartyRole
    clause: Text
    yen: Annotated[int, msgspec.Meta(ge=0, le=YEN_MAX)] | None = None
    taxed: bool = True
    supplier: PartyRole | None = None
    reads: str = ""
    above: Annotated[int, msgspec.Meta(ge=0)] = 0
    up_to: Annotated[int, msgspec.Meta(ge=1)] | None = None
    note_ja: str = ""
    note_en: str = ""

    @property
    def source(self) -> str:
        """The id of its readings."""
        return self.reads or self.id

    @property
    def supplied_by(self) -> PartyRole:
        """Whose supply it is."""
        return self.supplier or self.payee


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one party asks another for, once a span."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    name_ja: Text
    name_en: Text
    payer: PartyRole
    payee: PartyRole
    period: PeriodKind
    refund: Refund
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="item")
    dates: Annotated[tuple[DateRule, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="date")
    tax: Tax = Tax()
    interest: InterestTerms | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a contract's money terms. agreement: reference of the writing; concluded: its day."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    valid_from: date
    concluded: date
    agreement: Text
    claims: Annotated[tuple[Claim, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="claim")

    def claim(self, claim_id: str) -> Claim:
        """The claim of an id. Raises: TermsInvalid."""
        for each in self.claims:
            if each.id == claim_id:
                return each
        raise TermsInvalid(
            table=f"[[terms]] version {self.version}",
            field="claim",
            why=f"there is no claim {claim_id!r}",
            remedy=f"name one of {', '.join(each.id for each in self.claims)}",
        )


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contract and the versions of its money terms, by valid_from. parties: who is in which role, by party id."""

    reference: Text
    title_ja: Text
    title_en: Text
    parties: dict[PartyRole, Text]
    terms: Annotated[tuple[Terms, ...], msgspec.Meta(min_length=1)]

    def on(self, day: date) -> Terms:
        """The version in force on a day. Raises: NoTerms."""
        found = None
        for each in self.terms:
            if each.valid_from <= day:
                found = each
        if found is None:
            raise NoTerms(self.reference, day)
        return found

    def over(self, of: Period) -> Iterator[tuple[Terms, Period]]:
        """The versions in force over a span, each with its part of it. Raises: NoTerms.

        A span within one version is that span itself. Versions after the first begin on the 1st of a month, so the
        parts of a term that began on a 1st have whole months only.
        """
        first = of.first
        while first <= of.last:
            now = self.on(first)
            after = next((each.valid_from for each in self.terms if each.valid_from > first), None)
            last = of.last if after is None or after > of.last else after - timedelta(days=1)
            whole = (first, last) == (of.first, of.last)
            yield now, of if whole else Period(kind=PeriodKind.TERM, first=first, last=last)
            first = last + timedelta(days=1)
