"""Every date of a period's settlement, in order, each with the rule that set it. Pure.

The rules below are those of the two model agreements of the certificate service, the operator's (000) and the city's
(001), whose months run together. A contract's own file may say otherwise (`[[terms.claim.date]]`, as
gateway.settlement.toml reads it).

Decisions where the agreements conflict or are silent:
- The day of disclosure is not given, only that it comes before the 8th (000仕4-2). It is the first day of the month on
  which the centre's office is open: at the latest the 6th (the 7th in May 2019, after ten days of holidays), always
  before the day by which the operator has to be done.
- The 9th has a holiday rule in 000仕4-3 and none in 001-4-3; it is one date about the same data, so 000's holds (X1).
- When the 8th and the 9th move to one day, reconciliation and freeze share it (2.9).
- Payment by the operator: 000契13-3 says 当月20日, after a proper claim, and 000仕4-5 対象期間の翌月20日; the latter is
  taken (I5).
- 15th and month end have no rule: the last open day before (X3). November 15th 2026 is a Sunday: sent on Friday 13th.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from gateway.settlement.calendars import CalendarName, Calendars
from gateway.settlement.dates import LAST, Basis, DayOfMonth, Direction, Due, DueRule, Sense, Turn, due
from gateway.settlement.periods import Period


class Step(StrEnum):
    """A step of settlement. The order is that of a cycle."""

    CLOSE = "close"
    DISCLOSE = "disclose"
    RECONCILE = "reconcile"
    CONFIRM = "confirm"
    FETCH = "fetch"
    INVOICE = "invoice"
    MUNICIPAL_INVOICE = "municipal-invoice"
    PAYMENT = "payment"
    MUNICIPAL_PAYMENT = "municipal-payment"


class DateRule(DueRule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule of a step."""

    step: Step


class StepDate(msgspec.Struct, frozen=True, kw_only=True):
    """A step and its date; due is None as long as it hangs on a receipt that has not happened."""

    rule: DateRule
    due: Due | None

    @property
    def step(self) -> Step:
        """Whose date it is."""
        return self.rule.step


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """A period and the dates of its settlement."""

    period: Period
    dates: tuple[StepDate, ...]

    def of(self, step: Step) -> Due | None:
        """The date of a step; None when the cycle has none, or none yet."""
        return next((each.due for each in self.dates if each.step is step), None)


OFFICE_BACK: Final = Turn(calendar=CalendarName.OFFICE, direction=Direction.BACK)
BANKS_FORWARD: Final = Turn(calendar=CalendarName.BANKS, direction=Direction.FORWARD)
OFFICE_BACK_DECIDED: Final = Turn(calendar=CalendarName.OFFICE, direction=Direction.BACK, basis=Basis.DECISION)
OFFICE_FORWARD_DECIDED: Final = Turn(calendar=CalendarName.OFFICE, direction=Direction.FORWARD, basis=Basis.DECISION)
BANKS_BACK_DECIDED: Final = Turn(calendar=CalendarName.BANKS, direction=Direction.BACK, basis=Basis.DECISION)

MODEL_CYCLE: Final[tuple[DateRule, ...]] = (
    DateRule(
        step=Step.CLOSE,
        when=DayOfMonth(months=0, day=LAST),
        clause="000契13-2, 000仕4-1, 001-4-1",
        sense=Sense.ON,
    ),
    DateRule(
        step=Step.DISCLOSE,
        when=DayOfMonth(months=1, day=1),
        clause="000仕4-2, 001-4-2",
        turn=OFFICE_FORWARD_DECIDED,
        note_ja="開示日の定めがないため、翌月最初の開庁日とする",
        note_en="no day is given; the first open day of the month was decided",
    ),
    DateRule(
        step=Step.RECONCILE,
        when=DayOfMonth(months=1, day=8),
        clause="000仕4-2, 001-4-2",
        turn=OFFICE_BACK,
    ),
    DateRule(
        step=Step.CONFIRM,
        when=DayOfMonth(months=1, day=9),
        clause="000仕4-3, 001-4-3",
        turn=OFFICE_BACK,
        note_ja="001-4-3に休日の定めがないため、000仕4-3による",
        note_en="001-4-3 has no holiday rule; that of 000仕4-3 holds for the same data",
    ),
    DateRule(
        step=Step.FETCH,
        when=DayOfMonth(months=1, day=10),
        clause="001-4-4",
        sense=Sense.FROM,
    ),
    DateRule(
        step=Step.INVOICE,
        when=DayOfMonth(months=1, day=15),
        clause="000仕4-4, 000契13-2",
        turn=OFFICE_BACK_DECIDED,
        note_ja="休日の定めがないため、直前の開庁日までに送付する",
        note_en="no holiday rule; sent by the last open day before",
    ),
    DateRule(
        step=Step.MUNICIPAL_INVOICE,
        when=DayOfMonth(months=1, day=15),
        clause="001-4-5",
        turn=OFFICE_BACK_DECIDED,
        note_ja="休日の定めがないため、直前の開庁日までに送付する",
        note_en="no holiday rule; sent by the last open day before",
    ),
    DateRule(
        step=Step.PAYMENT,
        when=DayOfMonth(months=1, day=20),
        clause="000仕4-5, 000契13-3",
        turn=BANKS_FORWARD,
        note_ja="000契13-3の「当月20日」は、000仕4-5の対象期間の翌月20日と読む",
        note_en="the 20th of 000契13-3 is read as that of 000仕4-5, of the month after the period",
    ),
    DateRule(
        step=Step.MUNICIPAL_PAYMENT,
        when=DayOfMonth(months=1, day=LAST),
        clause="001-4-6",
        turn=BANKS_BACK_DECIDED,
        note_ja="休日の定めがないため、直前の金融機関営業日に支払う。月末より後にはしない",
        note_en="no holiday rule; paid on the last bank day on or before it, never later",
    ),
)
"""The month of 000 and 001."""


def cycle(rules: Sequence[DateRule], period: Period, *, calendars: Calendars, received: date | None = None) -> Cycle:
    """A period's dates by its rules. received: when a proper claim arrived, for rules that hang on it.

    Raises: DayOutOfRange, NoOpenDay.
    """
    return Cycle(period=period, dates=tuple(_dates(rules, period, calendars, received)))


def _dates(
    rules: Sequence[DateRule], period: Period, calendars: Calendars, received: date | None
) -> Iterable[StepDate]:
    for each in rules:
        at = due(each, period=period, received=received, calendars=calendars)
        yield StepDate(rule=each, due=at)
