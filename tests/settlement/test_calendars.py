"""Which days are open, at the centre's office and at banks."""

from datetime import date

import pytest

from gateway.settlement.calendars import STANDARD, Exceptions, calendars_with
from gateway.settlement.errors import DayOutOfRange, NoOpenDay


@pytest.mark.parametrize(
    ("day", "office", "bank"),
    [
        (date(2026, 12, 28), True, True),
        (date(2026, 12, 29), False, True),
        (date(2026, 12, 30), False, True),
        (date(2026, 12, 31), False, False),
        (date(2027, 1, 1), False, False),
        (date(2028, 1, 3), False, False),
        (date(2027, 1, 4), True, True),
        (date(2026, 9, 22), False, False),
        (date(2026, 7, 20), False, False),
        (date(2027, 3, 22), False, False),
        (date(2026, 5, 6), False, False),
        (date(2026, 5, 9), False, False),
    ],
)
def test_an_office_closes_two_days_before_a_bank(day: date, office: bool, bank: bool) -> None:
    assert STANDARD.office.is_open(day) is office
    assert STANDARD.banks.is_open(day) is bank


def test_a_closed_day_says_why() -> None:
    closure = STANDARD.office.closure(date(2026, 7, 20))
    assert closure is not None
    assert (closure.ja, closure.en) == ("海の日", "national holiday")


def test_exceptions_open_and_close_and_a_day_in_both_is_closed() -> None:
    day, both = date(2026, 12, 29), date(2026, 6, 1)
    made = calendars_with(office=Exceptions(opened=frozenset({day, both}), closed=frozenset({both})))
    assert made.office.is_open(day)
    assert not made.office.is_open(both)
    assert made.banks.is_open(both)


def test_days_whose_holidays_nobody_knows_are_refused() -> None:
    assert not STANDARD.office.is_open(date(2099, 11, 3))
    with pytest.raises(DayOutOfRange, match="2100-03-01"):
        STANDARD.office.is_open(date(2100, 3, 1))


def test_a_calendar_closed_for_over_a_month_is_refused_rather_than_searched() -> None:
    days = frozenset(date(2026, 6, day) for day in range(1, 31)) | frozenset(date(2026, 7, day) for day in range(1, 10))
    with pytest.raises(NoOpenDay):
        calendars_with(banks=Exceptions(closed=days)).banks.forward(date(2026, 6, 1))
