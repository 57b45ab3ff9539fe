"""Late interest by 000契17 and by 003 6-3: the vectors of DOMAIN 2.10, and what must always hold."""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement.errors import InterestInvalid, NoRate
from gateway.settlement.interest import Base, InterestTerms, LateInterest, Rate, RateDay, Span, Waiver, late_interest

RATES = (
    Rate(valid_from=date(2020, 4, 1), basis_points=260, source="令和2年"),
    Rate(valid_from=date(2021, 4, 1), basis_points=250, source="令和3年財務省告示第49号"),
)
OPERATOR = InterestTerms(base=Base.RECEIVED, clause="000契17", rates=RATES)
PREFECTURE = InterestTerms(base=Base.UNPAID, clause="003 6-3", rates=RATES)
DEADLINE = date(2026, 6, 22)
CONCLUDED = date(2026, 4, 1)
YEN = st.integers(-(10**9), 10**12)
DAYS = st.integers(-400, 4000)


def _late(days: int, *, received: int = 0, unpaid: int = 0, terms: InterestTerms = OPERATOR, **more) -> LateInterest:
    return late_interest(
        terms,
        received_yen=received,
        unpaid_yen=unpaid,
        deadline=DEADLINE,
        paid=DEADLINE + timedelta(days=days),
        concluded=CONCLUDED,
        **more,
    )


@pytest.mark.parametrize(
    ("yen", "days", "interest"),
    [(12_345_678, 10, 8_400), (1_000_000, 1, 0), (500_000, 2, 0), (600_000, 3, 100), (1_460_000, 1, 100)],
)
def test_the_known_amounts(yen: int, days: int, interest: int) -> None:
    assert _late(days, received=yen).interest_yen == interest
    assert _late(days, unpaid=yen, terms=PREFECTURE).interest_yen == interest


def test_one_yen_less_than_makes_a_hundred_makes_nothing() -> None:
    assert _late(1, received=1_460_000).interest_yen == 100
    assert _late(1, received=1_459_999).interest_yen == 0


def test_the_operator_pays_on_what_the_kiosks_received_and_the_net_is_shown_beside_it() -> None:
    late = _late(10, received=12_345_678, unpaid=7_654_321)
    assert (late.base_yen, late.interest_yen, late.payable_yen) == (12_345_678, 8_400, 8_400)
    assert (late.unpaid_yen, late.unpaid_interest_yen) == (7_654_321, 5_200)


def test_the_prefecture_pays_on_what_is_unpaid() -> None:
    late = _late(10, received=12_345_678, unpaid=7_654_321, terms=PREFECTURE)
    assert (late.base_yen, late.interest_yen) == (7_654_321, 5_200)


def test_a_leap_year_still_has_365_days() -> None:
    made = late_interest(
        OPERATOR,
        received_yen=1_000_000,
        unpaid_yen=0,
        deadline=date(2028, 1, 20),
        paid=date(2029, 1, 20),
        concluded=CONCLUDED,
    )
    assert (made.late_days, made.interest_yen) == (366, 25_000)
    assert 1_000_000 * 250 * 366 // (10_000 * 365) == 25_068


@pytest.mark.parametrize(("days", "late"), [(-30, 0), (-1, 0), (0, 0), (1, 1)])
def test_the_first_day_is_the_one_after_the_deadline(days: int, late: int) -> None:
    made = _late(days, received=10**9)
    assert (made.late_days, made.days, made.interest_yen > 0) == (late, late, late > 0)


def test_days_of_inspection_do_not_count_and_count_once_where_they_overlap() -> None:
    spans = (
        Span(first=date(2026, 6, 20), last=date(2026, 6, 24)),
        Span(first=date(2026, 6, 24), last=date(2026, 6, 25)),
        Span(first=date(2026, 6, 24), last=date(2026, 6, 24)),
        Span(first=date(2026, 7, 2), last=date(2026, 7, 9)),
        Span(first=date(2027, 1, 1), last=date(2027, 1, 9)),
    )
    made = _late(10, received=12_345_678, excluded=spans)
    assert (made.late_days, made.days) == (10, 6)
    assert made.interest_yen == 12_345_678 * 250 * 6 // (10_000 * 365) // 100 * 100 == 5_000


def test_a_delay_of_nothing_but_inspection_costs_nothing() -> None:
    made = _late(5, received=10**9, excluded=(Span(first=date(2026, 6, 1), last=date(2026, 7, 30)),))
    assert (made.days, made.interest_yen) == (0, 0)


def test_waived_interest_is_still_shown_and_not_payable() -> None:
    waiver = Waiver(ground="開発用", reference="W-1")
    made = _late(10, received=12_345_678, waiver=waiver, payable_by=date(2026, 7, 31))
    assert (made.interest_yen, made.payable_yen, made.waiver) == (8_400, 0, waiver)


def test_the_creditor_names_the_day_of_payment_and_not_one_before_the_delay_was_over() -> None:
    assert _late(10, received=1, payable_by=date(2026, 7, 31)).payable_by == date(2026, 7, 31)
    with pytest.raises(InterestInvalid, match="payable_by"):
        _late(10, received=1, payable_by=date(2026, 6, 30))


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InterestInvalid, match="excluded"):
        _late(10, received=1, excluded=(Span(first=date(2026, 7, 2), last=date(2026, 7, 1)),))


def test_the_rate_is_that_of_the_contract_or_of_the_deadline_as_the_terms_say() -> None:
    def rate(terms: InterestTerms, concluded: date) -> int:
        return late_interest(
            terms,
            received_yen=0,
            unpaid_yen=0,
            deadline=DEADLINE,
            paid=DEADLINE,
            concluded=concluded,
        ).rate.basis_points

    by_deadline = msgspec.structs.replace(OPERATOR, rate_day=RateDay.DEADLINE)
    assert rate(OPERATOR, date(2021, 3, 31)) == 260
    assert rate(OPERATOR, date(2021, 4, 1)) == 250
    assert rate(by_deadline, date(2021, 3, 31)) == 250
    with pytest.raises(NoRate, match="2019-04-01"):
        rate(OPERATOR, date(2019, 4, 1))


@given(YEN, st.integers(0, 10**10), DAYS, st.integers(0, 400))
def test_more_money_or_more_days_never_cost_less(yen: int, more_yen: int, days: int, more_days: int) -> None:
    here = _late(days, received=yen).interest_yen
    assert here <= _late(days, received=yen + more_yen).interest_yen
    assert here <= _late(days + more_days, received=yen).interest_yen


@given(YEN, DAYS, st.integers(-10, 10), st.integers(0, 30))
def test_days_left_out_never_cost_more(yen: int, days: int, begins: int, length: int) -> None:
    first = DEADLINE + timedelta(days=begins)
    made = _late(days, received=yen, excluded=(Span(first=first, last=first + timedelta(days=length)),))
    assert 0 <= made.days <= made.late_days
    assert made.interest_yen <= _late(days, received=yen).interest_yen


@given(YEN, YEN, DAYS)
def test_interest_is_never_negative_never_a_fraction_and_always_whole_hundreds(gross: int, net: int, days: int) -> None:
    made = _late(days, received=gross, unpaid=net)
    for yen in (made.interest_yen, made.unpaid_interest_yen, made.payable_yen):
        assert type(yen) is int
        assert yen >= 0
        assert yen % 100 == 0


@given(st.integers(0, 10**12), st.integers(0, 4000))
def test_the_cut_takes_less_than_a_hundred_yen(yen: int, days: int) -> None:
    exact_times = yen * 250 * days
    made = _late(days, received=yen).interest_yen
    assert made * 10_000 * 365 <= exact_times < (made + 100) * 10_000 * 365
