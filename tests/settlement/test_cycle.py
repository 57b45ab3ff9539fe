"""Every date of a month's settlement: the vectors of DOMAIN 2.9, and what must hold for any month."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.settlement.calendars import STANDARD, Exceptions, calendars_with
from gateway.settlement.cycle import MODEL_CYCLE, Cycle, Step, cycle
from gateway.settlement.dates import Basis, Due
from gateway.settlement.periods import month, period

MONTHS = st.builds(month, st.integers(2000, 2099), st.integers(1, 12)).filter(lambda p: p.first.year < 2099)


def _cycle(text: str) -> Cycle:
    return cycle(MODEL_CYCLE, period(text), calendars=STANDARD)


def _due(made: Cycle, step: Step) -> Due:
    due = made.of(step)
    assert due is not None
    return due


@pytest.mark.parametrize(
    ("of", "eighth", "ninth", "twentieth", "end"),
    [
        ("2026-04", date(2026, 5, 8), date(2026, 5, 8), date(2026, 5, 20), date(2026, 5, 29)),
        ("2026-05", date(2026, 6, 8), date(2026, 6, 9), date(2026, 6, 22), date(2026, 6, 30)),
        ("2026-06", date(2026, 7, 8), date(2026, 7, 9), date(2026, 7, 21), date(2026, 7, 31)),
        ("2026-10", date(2026, 11, 6), date(2026, 11, 9), date(2026, 11, 20), date(2026, 11, 30)),
        ("2026-11", date(2026, 12, 8), date(2026, 12, 9), date(2026, 12, 21), date(2026, 12, 30)),
        ("2026-12", date(2027, 1, 8), date(2027, 1, 8), date(2027, 1, 20), date(2027, 1, 29)),
        ("2027-01", date(2027, 2, 8), date(2027, 2, 9), date(2027, 2, 22), date(2027, 2, 26)),
    ],
)
def test_the_known_months_have_their_known_dates(
    of: str, eighth: date, ninth: date, twentieth: date, end: date
) -> None:
    made = _cycle(of)
    assert _due(made, Step.RECONCILE).day == eighth
    assert _due(made, Step.CONFIRM).day == ninth
    assert _due(made, Step.PAYMENT).day == twentieth
    assert _due(made, Step.MUNICIPAL_PAYMENT).day == end


@pytest.mark.parametrize(
    ("of", "contract", "paid"),
    [
        ("2026-04", date(2026, 5, 31), date(2026, 5, 29)),
        ("2026-09", date(2026, 10, 31), date(2026, 10, 30)),
        ("2026-12", date(2027, 1, 31), date(2027, 1, 29)),
        ("2028-01", date(2028, 2, 29), date(2028, 2, 29)),
        ("2031-01", date(2031, 2, 28), date(2031, 2, 28)),
    ],
)
def test_a_month_end_is_paid_before_a_closed_day_and_stays_due_on_it(of: str, contract: date, paid: date) -> None:
    due = _due(_cycle(of), Step.MUNICIPAL_PAYMENT)
    assert (due.nominal, due.day, due.deadline) == (contract, paid, contract)


def test_the_fifteenth_on_a_sunday_is_sent_on_friday_and_stays_due_on_the_fifteenth() -> None:
    made = _cycle("2026-10")
    for step in (Step.INVOICE, Step.MUNICIPAL_INVOICE):
        due = _due(made, step)
        assert (due.nominal, due.day, due.deadline) == (date(2026, 11, 15), date(2026, 11, 13), date(2026, 11, 15))
        assert due.moved is not None
        assert due.moved.ja == "日曜日"


def test_an_extension_by_the_clause_moves_the_deadline_itself() -> None:
    due = _due(_cycle("2026-06"), Step.PAYMENT)
    assert (due.nominal, due.day, due.deadline) == (date(2026, 7, 20), date(2026, 7, 21), date(2026, 7, 21))
    assert due.moved is not None
    assert due.moved.ja == "海の日"


def test_five_closed_days_of_september_2026_carry_the_payment_to_the_24th() -> None:
    assert _due(_cycle("2026-08"), Step.PAYMENT).day == date(2026, 9, 24)


def test_at_the_turn_of_the_year_the_bank_pays_on_the_30th_and_the_office_opens_on_the_4th() -> None:
    assert _due(_cycle("2026-11"), Step.MUNICIPAL_PAYMENT).day == date(2026, 12, 30)
    assert _due(_cycle("2026-12"), Step.DISCLOSE).day == date(2027, 1, 4)
    assert _due(_cycle("2026-12"), Step.DISCLOSE).deadline == date(2027, 1, 4)


def test_data_may_be_fetched_from_the_10th_even_on_a_sunday() -> None:
    assert _due(_cycle("2026-04"), Step.FETCH).day == date(2026, 5, 10)


def test_an_exception_of_one_calendar_moves_only_its_own_dates() -> None:
    closed = Exceptions(closed=frozenset({date(2026, 6, 8), date(2026, 6, 22)}))
    office = cycle(MODEL_CYCLE, period("2026-05"), calendars=calendars_with(office=closed))
    banks = cycle(MODEL_CYCLE, period("2026-05"), calendars=calendars_with(banks=closed))
    assert (_due(office, Step.RECONCILE).day, _due(office, Step.PAYMENT).day) == (date(2026, 6, 5), date(2026, 6, 22))
    assert (_due(banks, Step.RECONCILE).day, _due(banks, Step.PAYMENT).day) == (date(2026, 6, 8), date(2026, 6, 23))


@given(MONTHS)
@example(period("2019-04"))
def test_the_steps_of_any_month_come_in_order(of) -> None:
    made = cycle(MODEL_CYCLE, of, calendars=STANDARD)
    at = {each.step: _due(made, each.step) for each in made.dates}
    assert of.last < at[Step.DISCLOSE].day < at[Step.RECONCILE].day <= at[Step.CONFIRM].day < at[Step.FETCH].day
    assert at[Step.CONFIRM].day < at[Step.INVOICE].day < at[Step.PAYMENT].day < at[Step.MUNICIPAL_PAYMENT].day
    assert at[Step.DISCLOSE].day.day <= (7 if of == period("2019-04") else 6)


@given(MONTHS)
def test_a_moved_date_is_open_and_only_a_clause_puts_a_deadline_off(of) -> None:
    for each in cycle(MODEL_CYCLE, of, calendars=STANDARD).dates:
        due = each.due
        assert due is not None
        if each.rule.turn is None:
            assert due.day == due.nominal == due.deadline
            continue
        assert STANDARD.of(each.rule.turn.calendar).is_open(due.day)
        assert (due.moved is None) == (due.day == due.nominal)
        if each.rule.turn.basis is Basis.CLAUSE:
            assert due.deadline == due.day
        else:
            assert due.day <= due.deadline
