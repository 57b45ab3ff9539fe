"""Rules for dates: when a step of settlement is due, by which calendar it moves and in which direction. Pure.

A rule is data. It has an anchor (the period's end, or the day on which a proper claim was received), a day reckoned
from it, and what happens when that day is closed. The clauses move the 8th and 9th back and the 20th forward, and say
nothing of the 15th and of the month's end (000仕4, 001-4, DOMAIN I4, X3). Where they say nothing, the step is taken on
the last open day before: never later than the contract's own date, which stays the deadline. Such a move is a decision
and not a clause, and `Turn.basis` says which.

Thirty days are counted in two ways. 「受けた日から起算して」 (000仕15-4) counts the day of receipt itself: receipt
+ 29. 「受理した日から30日以内」 (003 6-2) does not: receipt + 30 (DOMAIN X7). `DaysFrom.first_day_counts` says which.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from gateway.settlement.calendars import CalendarName, Calendars, Closure
from gateway.settlement.periods import Period, last_of_month, shift_months

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
LAST: Final = 31
"""The day that is the last of any month, however long it is."""


class Anchor(StrEnum):
    """From where a rule reckons: the last day of the period, or the day of receipt of a proper claim."""

    PERIOD = "period"
    RECEIPT = "receipt"


class Direction(StrEnum):
    """Where a date goes that falls on a closed day."""

    STAYS = "stays"
    BACK = "back"
    FORWARD = "forward"


class Basis(StrEnum):
    """Who says so: the clause, or a decision where the clause is silent."""

    CLAUSE = "clause"
    DECISION = "decision"


class Sense(StrEnum):
    """What a date means: on that day, by it at the latest, or from it on."""

    ON = "on"
    BY = "by"
    FROM = "from"


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens on a closed day. calendar: whose days; basis: who says so."""

    calendar: CalendarName
    direction: Direction
    basis: Basis = Basis.CLAUSE


class DayOfMonth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="day"):
    """A day of a month. months: after the anchor's month; day: 1 to 31, in a shorter month its last; LAST: always."""

    months: Annotated[int, msgspec.Meta(ge=0, le=24)]
    day: Annotated[int, msgspec.Meta(ge=1, le=LAST)]
    anchor: Anchor = Anchor.PERIOD


class DaysFrom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="days"):
    """A number of days from the anchor's day, 0 for that day. first_day_counts: whether it is the first of them."""

    days: Annotated[int, msgspec.Meta(ge=0, le=366)]
    first_day_counts: bool
    anchor: Anchor = Anchor.RECEIPT


When = DayOfMonth | DaysFrom


class DueRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When something is due. clause: where it is written; note_ja, note_en: what was decided where sources conflict."""

    when: When
    clause: Text
    turn: Turn | None = None
    sense: Sense = Sense.BY
    note_ja: str = ""
    note_en: str = ""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A date and what set it. Both dates are Japanese civil dates.

    nominal: the day the rule names before calendars. day: the day after them, by which to act. moved: why the named day
    is closed, None when it is not or does not matter.
    """

    day: date
    nominal: date
    rule: DueRule
    moved: Closure | None = None

    @property
    def deadline(self) -> date:
        """The last day that breaks no clause: what a decision moved back is still due on the contract's own day."""
        turn = self.rule.turn
        if turn is not None and turn.basis is Basis.DECISION:
            return max(self.day, self.nominal)
        return self.day


def due(
    rule: DueRule, *, period: Period | None = None, received: date | None = None, calendars: Calendars
) -> Due | None:
    """The date of a rule; None as long as its anchor is not known, such as a claim not yet received.

    Raises: DayOutOfRange, NoOpenDay.
    """
    end = None if period is None else period.last
    anchor = end if rule.when.anchor is Anchor.PERIOD else received
    if anchor is None:
        return None
    nominal = _reckoned(rule.when, anchor)
    turn = rule.turn
    if turn is None or turn.direction is Direction.STAYS:
        return Due(day=nominal, nominal=nominal, rule=rule)
    calendar = calendars.of(turn.calendar)
    day = calendar.back(nominal) if turn.direction is Direction.BACK else calendar.forward(nominal)
    return Due(day=day, nominal=nominal, rule=rule, moved=calendar.closure(nominal))


def _reckoned(when: When, anchor: date) -> date:
    if isinstance(when, DaysFrom):
        return anchor + timedelta(days=when.days - when.first_day_counts)
    month = shift_months(anchor, when.months)
    last = last_of_month(month.year, month.month)
    return month.replace(day=min(when.day, last.day))
