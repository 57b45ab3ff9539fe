"""Who may do a step and when: days by the calendars, reasons in full, two different people for force."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement.admission import Obstacle, Person, PersonInvalid, StepRefused, admit, days_of, not_over, outside
from gateway.settlement.calendars import STANDARD
from gateway.settlement.cycle import MODEL_CYCLE, Step, cycle
from gateway.settlement.periods import month
from gateway.settlement.states import Agreement, Exchange

LATE = Obstacle(code="too-late", ja="遅い", en="late")
NEVER = Obstacle(code="frozen", ja="確定済み", en="frozen", forcible=False)
TWO = Person(by="clerk-1", second="clerk-2", ground="by telephone")


def test_nothing_in_the_way_needs_nobody_else_and_writes_no_ground():
    assert admit("confirm", [], TWO) == Person(by="clerk-1")


def test_two_people_force_what_can_be_forced_and_what_was_in_the_way_is_written_down():
    forced = admit("confirm", [LATE, LATE], TWO)
    assert forced == Person(by="clerk-1", second="clerk-2", ground="too-late: by telephone")
    with pytest.raises(StepRefused, match="--force GROUND --with NAME"):
        admit("confirm", [LATE], Person(by="clerk-1"))
    with pytest.raises(StepRefused, match="cannot be forced") as refused:
        admit("confirm", [LATE, NEVER], TWO)
    assert refused.value.obstacles == (LATE, NEVER)


@pytest.mark.parametrize(
    ("person", "field"),
    [
        (Person(by=""), "by"),
        (Person(by=" clerk-1"), "by"),
        (Person(by="clerk\n1"), "by"),
        (Person(by="c" * 101), "by"),
        (Person(by="clerk-1", second="clerk-2"), "with"),
        (Person(by="clerk-1", ground="late"), "with"),
        (Person(by="clerk-1", second="ＣＬＥＲＫ-1", ground="late"), "with"),
        (Person(by="佐藤 一", second="佐藤一", ground="late"), "with"),
    ],
)
def test_nobody_and_one_person_twice_are_refused_even_where_nothing_is_in_the_way(person, field):
    with pytest.raises(PersonInvalid) as refused:
        admit("confirm", [], person)
    assert refused.value.field == field


@given(st.dates(dt.date(2026, 4, 1), dt.date(2027, 3, 31)), st.integers(4, 12))
def test_a_step_is_open_from_the_end_of_the_period_to_the_contracts_own_day(today, number):
    period = month(2026, number)
    made = cycle(MODEL_CYCLE, period, calendars=STANDARD)
    days = days_of(Step.CONFIRM, [made], period)
    freeze = made.of(Step.CONFIRM)
    codes = [each.code for each in outside(("確定", "Freeze"), days, today)]
    expected = ["too-early"] if today <= period.last else ["too-late"] if today > freeze.day else []
    assert codes == expected
    assert bool(list(not_over(period, today))) == (today <= period.last)


def test_the_earliest_of_several_contracts_binds_and_data_are_fetched_from_a_day_on():
    may, june = month(2026, 5), month(2026, 6)
    both = [cycle(MODEL_CYCLE, each, calendars=STANDARD) for each in (june, may)]
    assert days_of(Step.CONFIRM, both, may).last == dt.date(2026, 6, 9)
    fetch = days_of(Step.FETCH, both[1:], may)
    assert (fetch.first, fetch.last) == (dt.date(2026, 6, 10), None)


def test_an_operator_that_was_told_nothing_is_waited_for():
    assert Exchange().agreement is Agreement.WAITING
