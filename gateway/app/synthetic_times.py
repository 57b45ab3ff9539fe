"""Which past month and quarter are settled for show, and when each of their steps is done. Pure, by the calendars.

The month is the latest whose last payment is over, and so is the quarter, so nothing is done in days to come. Within
the days that the agreements give, each step has an hour of its own. Source: 000仕4, 001-4, 002本2; DOMAIN X.
"""

import datetime as dt
from typing import Final

import msgspec

from gateway.app.synthetic_business import HOUR_US, MINUTE_US, Times
from gateway.settlement.calendars import Calendars
from gateway.settlement.cycle import MODEL_CYCLE, Step, cycle
from gateway.settlement.periods import Period, PeriodKind, month, quarter, shift_months
from gateway.settlement.windows import midnight_us

MORNING_US: Final = 9 * HOUR_US
OFFICE_US: Final = 10 * HOUR_US
_DAY: Final = dt.timedelta(days=1)


class MonthTimes(msgspec.Struct, frozen=True, kw_only=True):
    """When the steps of a month are done, microseconds since 1970: each is named after what happens then.

    again_us: the data are disclosed anew, after the corrections by agreement; late: what the agreement and what came
    after the freeze brought to the ledger.
    """

    period: Period
    disclose_us: int
    reconcile_us: int
    accept_us: int
    late: Times
    again_us: int
    agree_us: int
    confirm_us: int
    invoice_us: int
    claim_us: int
    pay_us: int
    pass_on_us: int


class QuarterTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The same of a ministry's quarter."""

    period: Period
    invoice_us: int
    pay_us: int


def settled_month(today: dt.date) -> Period:
    """The latest month whose last step was before a day: two before its own."""
    first = shift_months(today, -2)
    return month(first.year, first.month)


def settled_quarter(today: dt.date) -> Period:
    """The latest quarter of a fiscal year that ended two whole months before a day's own month."""
    first = shift_months(today, -2)
    start = shift_months(first, -3 - (first.month - 1) % 3)
    year = shift_months(start, -3)
    return quarter(year.year, (year.month - 1) // 3 + 1)


def month_times(of: Period, *, calendars: Calendars) -> MonthTimes:
    """When the steps of a month are done. Raises: DayOutOfRange, NoOpenDay."""
    if of.kind is not PeriodKind.MONTH:
        raise ValueError(f"{of.text} is no month")
    days = {each.step: each.due.day for each in cycle(MODEL_CYCLE, of, calendars=calendars).dates if each.due}

    def at(step: Step, hour_us: int = OFFICE_US) -> int:
        return midnight_us(days[step]) + hour_us

    accepted = calendars.office.forward(days[Step.DISCLOSE] + _DAY)
    accept_us = midnight_us(accepted) + OFFICE_US
    return MonthTimes(
        period=of,
        disclose_us=at(Step.DISCLOSE, MORNING_US),
        reconcile_us=at(Step.DISCLOSE, MORNING_US + 6 * HOUR_US),
        accept_us=accept_us,
        late=Times(
            late_us=accept_us + HOUR_US,
            found_us=accept_us + 2 * HOUR_US,
            afterwards_us=at(Step.CONFIRM) + 24 * HOUR_US,
        ),
        again_us=at(Step.RECONCILE, MORNING_US + 6 * HOUR_US),
        agree_us=at(Step.RECONCILE, MORNING_US + 7 * HOUR_US),
        confirm_us=at(Step.CONFIRM, MORNING_US + 8 * HOUR_US),
        invoice_us=at(Step.INVOICE),
        claim_us=at(Step.MUNICIPAL_INVOICE, OFFICE_US + HOUR_US),
        pay_us=at(Step.PAYMENT),
        pass_on_us=at(Step.MUNICIPAL_PAYMENT),
    )


def quarter_times(of: Period, *, calendars: Calendars) -> QuarterTimes:
    """When a quarter is invoiced, and paid the month after. Raises: DayOutOfRange, NoOpenDay."""
    if of.kind is not PeriodKind.QUARTER:
        raise ValueError(f"{of.text} is no quarter")
    invoiced = calendars.office.forward(of.last + _DAY)
    paid = calendars.banks.forward(shift_months(invoiced, 1) + dt.timedelta(days=19))
    return QuarterTimes(
        period=of,
        invoice_us=midnight_us(invoiced) + OFFICE_US,
        pay_us=midnight_us(paid) + OFFICE_US + MINUTE_US,
    )
