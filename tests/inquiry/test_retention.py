"""Periods: from the superseding notification, in whole years, over leap days."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.errors import RetentionMissing
from gateway.inquiry.retention import YEARS_DEFAULT, Retention, expiry
from gateway.store.register_history import RetentionRow

DAY = dt.date


@pytest.mark.parametrize(
    ("notified_on", "years", "first_day_gone"),
    [
        # The day itself does not count: 150 years from 2 April 2024 end with 1 April 2174.
        (DAY(2024, 4, 1), 150, DAY(2174, 4, 2)),
        (DAY(2024, 12, 31), 150, DAY(2175, 1, 1)),
        (DAY(2024, 2, 28), 150, DAY(2174, 3, 1)),  # from 29 February into a common year
        (DAY(2024, 2, 29), 150, DAY(2174, 3, 1)),
        (DAY(2024, 2, 28), 4, DAY(2028, 2, 29)),  # into a leap year
        (DAY(2023, 2, 28), 5, DAY(2028, 3, 1)),
        (DAY(2026, 3, 31), 5, DAY(2031, 4, 1)),
    ],
)
def test_a_period_ends(notified_on: dt.date, years: int, first_day_gone: dt.date) -> None:
    assert expiry(notified_on, years) == first_day_gone


@given(st.dates(max_value=DAY(8000, 1, 1)), st.integers(1, 1000))
def test_a_period_is_never_shorter_than_its_years_and_at_most_a_day_longer(notified_on: dt.date, years: int) -> None:
    gone = expiry(notified_on, years)
    assert gone.year - notified_on.year in (years, years + 1)
    anniversary = min((notified_on.month, notified_on.day), (2, 28)) if notified_on.month == 2 else None
    assert (gone - dt.timedelta(days=1)).replace(year=2000) >= DAY(
        2000, *(anniversary or (notified_on.month, notified_on.day))
    )
    assert expiry(notified_on + dt.timedelta(days=1), years) >= gone


def test_a_period_past_the_calendar_is_refused() -> None:
    with pytest.raises(OverflowError):
        expiry(DAY(9900, 1, 1), 150)


def test_the_period_in_force_on_the_day_of_the_notification_holds() -> None:
    periods = Retention(
        [
            RetentionRow("superseded", DAY(2019, 6, 20), YEARS_DEFAULT, "b"),
            RetentionRow("superseded", DAY(2002, 8, 5), 5, "a"),
            RetentionRow("removed", DAY(2002, 8, 5), 80, "c"),
        ]
    )
    assert periods.expiry("superseded", DAY(2019, 6, 19)) == DAY(2024, 6, 20)
    assert periods.expiry("superseded", DAY(2019, 6, 20)) == DAY(2169, 6, 21)
    assert periods.expiry("removed", DAY(2019, 6, 20)) == DAY(2099, 6, 21)
    with pytest.raises(RetentionMissing):
        periods.expiry("removed", DAY(2002, 8, 4))
