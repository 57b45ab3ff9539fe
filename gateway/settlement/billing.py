"""What a claim comes to: readings and terms in, lines and totals out, to the yen. Pure.

Conflict of 003's price table (DOMAIN V5), and what is done. Its off-day prices (日外委託料) are 円/日 up to 4 hours,
円/日 over 4 up to 8 hours, and 円/時間 over 8 hours. Its note ※3 sums the month's off-day minutes and rounds the sum at
30 minutes, which fits a price per hour and cannot fit one per day: minutes of several days that were summed no longer
tell which day was short or long. So each day is classed by its own minutes, unrounded, for the two daily prices; the
note is applied to the one price per hour: of days over 8 hours the first 8 cost the daily price, and the minutes above
them are summed over the month and then rounded. (A reading by which such a day has no daily price but only hours could
pay less for 8 hours and a minute than for 8 hours.) Note ※2 has no such conflict; its two bands have two prices, so
each is summed by itself.

超過走行料 is for 月間1,000km以上: the kilometres above 1,000, of which there are none at exactly 1,000.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.settlement.errors import UsageInvalid
from gateway.settlement.periods import Period, PeriodKind
from gateway.settlement.rounding import MINUTES_AN_HOUR, whole_hours
from gateway.settlement.terms import Claim, Item, Measure, PartyRole

MINUTES_A_DAY: Final = 24 * MINUTES_AN_HOUR
_SIGNED: Final = frozenset({Measure.AMOUNT, Measure.COPY, Measure.RECORD})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a bill. quantity: by the item's measure; yen: signed, positive when the claim's payer owes it."""

    item: Item
    quantity: int
    yen: int


class TaxPart(msgspec.Struct, frozen=True, kw_only=True):
    """The tax in one party's supplies. Both signed: positive when the supplier is paid for them."""

    supplier: PartyRole
    taxed_yen: int
    tax_yen: int


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim comes to over a span. total_yen: negative when the payee owes the payer, a credit notice."""

    claim: Claim
    period: Period
    lines: tuple[Line, ...]
    total_yen: int
    taxes: tuple[TaxPart, ...]

    @property
    def is_credit(self) -> bool:
        """Whether it is a credit notice."""
        return self.total_yen < 0


def bill(claim: Claim, period: Period, readings: Mapping[str, Sequence[int]]) -> Bill:
    """A claim's lines and totals. readings: by the id an item reads; yen, copies, records, minutes or kilometres.

    What was refunded is a negative reading of copies and amount. An item without readings has a line of 0.

    Raises: UsageInvalid: readings that no item reads, negative where there can be none, days longer than a day, a span
    of another kind than the claim's (a part of it, as Contract.over yields, may be a term).
    """
    known = {item.source for item in claim.items if item.measure is not Measure.MONTH}
    for name in readings:
        if name not in known:
            raise UsageInvalid(
                field=name,
                why=f"no item of claim {claim.id} reads it / 該当する料金がありません",
                remedy=f"give one of {', '.join(sorted(known)) or 'none'}",
            )
    if period.kind not in {claim.period, PeriodKind.TERM}:
        raise UsageInvalid(
            field="period",
            why=f"claim {claim.id} is made once a {claim.period.value}, not for {period.text} / 対象期間が違います",
            remedy=f"give a {claim.period.value}, or the part of one that its terms cover",
        )
    lines = tuple(_line(claim, item, period, tuple(readings.get(item.source, ()))) for item in claim.items)
    return Bill(
        claim=claim,
        period=period,
        lines=lines,
        total_yen=sum(line.yen for line in lines),
        taxes=_taxes(claim, lines),
    )


def months_begun(period: Period) -> int:
    """Months of a span reckoned from its first day; a begun one counts whole, as a monthly price has no daily part."""
    first, last = period.first, period.last
    return (last.year - first.year) * 12 + last.month - first.month + (last.day >= first.day)


def quantity(item: Item, period: Period, readings: Sequence[int]) -> int:
    """An item's quantity by its measure. Raises: UsageInvalid."""
    measure = item.measure
    if measure is Measure.MONTH:
        return months_begun(period)
    if measure in _SIGNED:
        return sum(readings)
    _natural(item, readings)
    if measure is Measure.HOURS:
        return whole_hours(sum(readings))
    if measure is Measure.KILOMETRE_ABOVE:
        return max(0, sum(readings) - item.above)
    if any(minutes > MINUTES_A_DAY for minutes in readings):
        raise UsageInvalid(
            field=item.source,
            why="more minutes than a day has / 1日の分数を超えています",
            remedy="give one reading a day",
        )
    if measure is Measure.HOURS_ABOVE:
        return whole_hours(sum(max(0, minutes - item.above) for minutes in readings))
    return sum(1 for minutes in readings if item.above < minutes <= (item.up_to or MINUTES_A_DAY))


def _line(claim: Claim, item: Item, period: Period, readings: Sequence[int]) -> Line:
    count = quantity(item, period, readings)
    sign = 1 if item.payer is claim.payer else -1
    return Line(item=item, quantity=count, yen=sign * count * (1 if item.yen is None else item.yen))


def _taxes(claim: Claim, lines: Sequence[Line]) -> tuple[TaxPart, ...]:
    taxed: dict[PartyRole, int] = {}
    for line in lines:
        if line.item.taxed:
            towards_payee = line.yen if line.item.payer is claim.payer else -line.yen
            taxed[line.item.supplied_by] = taxed.get(line.item.supplied_by, 0) + towards_payee
    return tuple(
        TaxPart(supplier=supplier, taxed_yen=yen, tax_yen=claim.tax.portion(yen)) for supplier, yen in taxed.items()
    )


def _natural(item: Item, readings: Sequence[int]) -> None:
    if any(reading < 0 for reading in readings):
        raise UsageInvalid(
            field=item.source,
            why="a negative reading / 負の数量です",
            remedy="give minutes and kilometres as 0 or more; a wrong claim is corrected by a new one",
        )
