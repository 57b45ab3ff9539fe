"""The shipped contracts: each is read, and a month of each comes out to the yen."""

from datetime import date
from pathlib import Path

import pytest

from gateway.settlement.billing import Bill, bill
from gateway.settlement.calendars import STANDARD
from gateway.settlement.cycle import MODEL_CYCLE, Step, cycle
from gateway.settlement.interest import late_interest
from gateway.settlement.periods import period
from gateway.settlement.terms import Contract, PartyRole, Refund
from gateway.settlement.toml import read_contract

CONTRACTS = Path(__file__).parents[2] / "deploy" / "contracts"


def _contract(name: str) -> Contract:
    return read_contract(CONTRACTS / f"{name}.toml")


def _bill(name: str, claim: str, of: str, readings: dict[str, list[int]]) -> Bill:
    span = period(of)
    return bill(_contract(name).on(span.last).claim(claim), span, readings)


def _due(name: str, claim: str, of: str, step: Step, received: date | None = None) -> tuple[date, date]:
    span = period(of)
    made = cycle(_contract(name).on(span.last).claim(claim).dates, span, calendars=STANDARD, received=received)
    due = made.of(step)
    assert due is not None
    return due.day, due.deadline


def _lines(made: Bill) -> dict[str, tuple[int, int]]:
    return {line.item.id: (line.quantity, line.yen) for line in made.lines}


def test_every_file_of_the_folder_is_a_contract_of_roles() -> None:
    names = sorted(file.name for file in CONTRACTS.iterdir())
    assert names == ["000-operator.toml", "001-municipality.toml", "002-ministry.toml", "003-prefecture.toml"]
    for name in names:
        contract = read_contract(CONTRACTS / name)
        assert len(contract.parties) >= 2
        assert "甲" not in contract.title_ja


def test_the_model_cycle_is_what_the_operators_and_the_citys_contracts_say() -> None:
    said = {
        rule.step: rule
        for name in ("000-operator", "001-municipality")
        for rule in _contract(name).terms[0].claim("fees").dates
    }
    assert said == {rule.step: rule for rule in MODEL_CYCLE}


def test_an_operators_may_fees_less_commission() -> None:
    """1,000 copies at 300, 234 at 200, and a refunded pair at 300: every copy of it goes back, fee and commission."""
    readings = {"fees": [300_000, 46_800, -600], "commission": [1_000, 234, -2]}
    made = _bill("000-operator", "fees", "2026-05", readings)
    assert _lines(made) == {"fees": (346_200, 346_200), "commission": (1_232, -141_680)}
    assert (made.total_yen, made.is_credit) == (204_520, False)
    assert [(part.supplier, part.taxed_yen, part.tax_yen) for part in made.taxes] == [
        (PartyRole.OPERATOR, 141_680, 12_880)
    ]
    assert made.claim.refund is Refund.REVERSED


def test_fees_below_the_commission_make_a_credit_notice() -> None:
    """Ten yen a copy is charged somewhere (DOMAIN 2.7): 10 x 500 - 115 x 500."""
    made = _bill("000-operator", "fees", "2026-05", {"fees": [5_000], "commission": [500]})
    assert (made.total_yen, made.is_credit) == (-52_500, True)


def test_the_city_claims_the_same_sum_of_the_same_data_and_the_tax_is_the_operators() -> None:
    readings = {"fees": [346_200], "commission": [1_232]}
    city = _bill("001-municipality", "fees", "2026-05", readings)
    operator = _bill("000-operator", "fees", "2026-05", readings)
    assert city.total_yen == operator.total_yen == 204_520
    assert city.taxes == operator.taxes


def test_a_line_is_claimed_once_for_its_twelve_months_and_paid_on_the_thirtieth_day() -> None:
    """The 29th of April 2027 is a holiday; the centre pays on the 28th and would be in time on the 29th."""
    made = _bill("000-operator", "line", "2026-04-01/2027-03-31", {})
    assert _lines(made) == {"line": (12, 660_000)}
    assert [(part.supplier, part.tax_yen) for part in made.taxes] == [(PartyRole.OPERATOR, 60_000)]
    term = "2026-04-01/2027-03-31"
    assert _due("000-operator", "line", term, Step.INVOICE) == (date(2027, 3, 31), date(2027, 3, 31))
    assert _due("000-operator", "line", term, Step.PAYMENT, date(2027, 3, 31)) == (
        date(2027, 4, 28),
        date(2027, 4, 29),
    )


def test_a_ministrys_quarter_by_records_is_due_at_the_end_of_the_month_after_receipt() -> None:
    made = _bill("002-ministry", "records", "2026-Q1", {"records": [120_345, 98_765, 101_010]})
    assert _lines(made) == {"records": (320_120, 3_201_200)}
    assert (made.total_yen, made.taxes) == (3_201_200, ())
    for received in (date(2026, 7, 1), date(2026, 7, 31)):
        assert _due("002-ministry", "records", "2026-Q1", Step.PAYMENT, received) == (
            date(2026, 8, 31),
            date(2026, 8, 31),
        )


def test_the_ministrys_new_fee_holds_from_its_day_and_a_year_across_it_has_two_parts() -> None:
    contract = _contract("002-ministry")
    assert _bill("002-ministry", "records", "2026-Q4", {"records": [100]}).total_yen == 1_000
    assert _bill("002-ministry", "records", "2027-Q1", {"records": [100]}).total_yen == 1_200
    parts = [(terms.version, part.text) for terms, part in contract.over(period("2027-01-01/2027-12-31"))]
    assert parts == [(1, "2027-01-01/2027-03-31"), (2, "2027-04-01/2027-12-31")]
    assert [part for _, part in contract.over(period("2026-Q4"))] == [period("2026-Q4")]


def test_a_prefectures_month_of_driving() -> None:
    """Overtime 45 + 50 + 115 = 210 minutes: 4 hours. Late night 100 + 49 = 149: 2 hours. 1,234 km.

    Off days of 4:00, 4:01, 8:00 and twice 8:15: one short, four long, 30 minutes above 8 hours: 1 hour.
    """
    readings = {
        "overtime": [45, 50, 115],
        "late-night": [100, 49],
        "off-day": [240, 241, 480, 495, 495],
        "lodging": [9_800],
        "distance": [1_000, 234],
    }
    made = _bill("003-prefecture", "operation", "2026-06", readings)
    assert _lines(made) == {
        "base": (1, 330_000),
        "overtime": (4, 11_000),
        "late-night": (2, 6_600),
        "off-day-short": (1, 11_000),
        "off-day-long": (4, 88_000),
        "off-day-hours": (1, 2_750),
        "lodging": (9_800, 9_800),
        "distance": (234, 7_722),
    }
    assert made.total_yen == 466_872
    assert [(part.supplier, part.taxed_yen, part.tax_yen) for part in made.taxes] == [
        (PartyRole.CONTRACTOR, 457_072, 41_552)
    ]
    assert _due("003-prefecture", "operation", "2026-06", Step.PAYMENT, date(2026, 7, 3))[0] == date(2026, 8, 2)


def test_minutes_are_summed_before_they_are_rounded_and_never_trip_by_trip() -> None:
    trips = {"overtime": [29] * 10}
    assert _lines(_bill("003-prefecture", "operation", "2026-06", trips))["overtime"] == (5, 13_750)
    assert _lines(_bill("003-prefecture", "operation", "2026-06", {"overtime": [29]}))["overtime"] == (0, 0)


@pytest.mark.parametrize(("kilometres", "paid"), [(999, 0), (1_000, 0), (1_001, 33)])
def test_kilometres_are_paid_above_a_thousand(kilometres: int, paid: int) -> None:
    made = _bill("003-prefecture", "operation", "2026-06", {"distance": [kilometres]})
    assert _lines(made)["distance"][1] == paid


def test_an_operators_late_payment_by_its_own_contract() -> None:
    terms = _contract("000-operator").on(date(2026, 5, 31))
    claim = terms.claim("fees")
    assert claim.interest is not None
    _, deadline = _due("000-operator", "fees", "2026-05", Step.PAYMENT)
    late = late_interest(
        claim.interest,
        received_yen=12_345_678,
        unpaid_yen=7_654_321,
        deadline=deadline,
        paid=date(2026, 7, 2),
        concluded=terms.concluded,
    )
    assert (deadline, late.days, late.interest_yen) == (date(2026, 6, 22), 10, 8_400)


def test_two_ways_of_counting_thirty_days_are_a_day_apart() -> None:
    received = date(2026, 5, 11)
    counted = _due("000-operator", "line", "2026-04-01/2027-03-31", Step.PAYMENT, received)
    after = _due("003-prefecture", "operation", "2026-04", Step.PAYMENT, received)
    assert (counted[0], after[0]) == (date(2026, 6, 9), date(2026, 6, 10))


def test_no_payment_date_is_known_before_the_claim_is_received() -> None:
    span = period("2026-Q1")
    made = cycle(_contract("002-ministry").on(span.last).claim("records").dates, span, calendars=STANDARD)
    assert made.of(Step.PAYMENT) is None
    assert made.of(Step.CLOSE) is not None
