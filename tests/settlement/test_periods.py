"""Spans: months, quarters of the fiscal year, terms."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement.errors import PeriodInvalid
from gateway.settlement.periods import following, month, month_of, period, quarter, term


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31)),
        ("2026-Q1", date(2026, 4, 1), date(2026, 6, 30)),
        ("2026-Q3", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026-Q4", date(2027, 1, 1), date(2027, 3, 31)),
        ("2026-04-01/2027-03-31", date(2026, 4, 1), date(2027, 3, 31)),
    ],
)
def test_a_text_names_its_first_and_last_day_and_is_written_back(text: str, first: date, last: date) -> None:
    read = period(text)
    assert (read.first, read.last, read.text) == (first, last, text)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "2026-Q5", "2026-5", "2026-05-01", "2026-05 "])
def test_what_names_no_period_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(PeriodInvalid, match="2026-05"):
        period(text)


def test_a_term_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(PeriodInvalid):
        period("2027-03-31/2026-04-01")


@given(st.integers(2000, 2098), st.integers(1, 12))
def test_months_follow_without_a_gap(year: int, number: int) -> None:
    this = month(year, number)
    after = following(this)
    assert (after.first - this.last).days == 1
    assert month_of(after.first) == after
    assert this.last in this
    assert after.first not in this


@given(st.integers(2000, 2098), st.integers(1, 4))
def test_quarters_follow_without_a_gap(year: int, number: int) -> None:
    this = quarter(year, number)
    assert (following(this).first - this.last).days == 1
    assert period(this.text) == this


def test_a_term_goes_on_for_a_year_from_the_day_after_it_ended() -> None:
    assert following(term(date(2026, 4, 1), date(2027, 3, 31))) == term(date(2027, 4, 1), date(2028, 3, 31))
    assert following(term(date(2026, 7, 15), date(2027, 2, 14))) == term(date(2027, 2, 15), date(2028, 2, 14))
    assert following(term(date(2027, 3, 1), date(2028, 2, 28))) == term(date(2028, 2, 29), date(2029, 2, 28))
