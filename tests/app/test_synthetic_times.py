"""Every step of a synthetic month is done within its days and in its order, whenever the demonstration is started."""

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from gateway.app.synthetic_times import month_times, quarter_times, settled_month, settled_quarter
from gateway.settlement.calendars import STANDARD
from gateway.settlement.cycle import MODEL_CYCLE, Step, cycle
from gateway.settlement.windows import in_japan, midnight_us

DAYS = st.dates(dt.date(2026, 7, 1), dt.date(2060, 1, 1))


def test_the_latest_month_and_quarter_that_are_paid():
    assert settled_month(dt.date(2026, 11, 21)).text == "2026-09"
    assert settled_month(dt.date(2027, 1, 1)).text == "2026-11"
    assert settled_quarter(dt.date(2026, 11, 21)).text == "2026-Q1"
    assert settled_quarter(dt.date(2026, 12, 1)).text == "2026-Q2"
    assert settled_quarter(dt.date(2027, 3, 31)).text == "2026-Q3"
    assert settled_quarter(dt.date(2027, 6, 1)).text == "2026-Q4"


@given(DAYS)
def test_each_step_of_a_month_is_in_its_days_and_after_the_one_before(today):
    of = settled_month(today)
    times = month_times(of, calendars=STANDARD)
    late = times.late
    order = [
        midnight_us(of.last + dt.timedelta(days=1)), times.disclose_us, times.reconcile_us, times.accept_us,
        late.late_us, late.found_us, times.again_us, times.agree_us, times.confirm_us, late.afterwards_us,
        times.pass_on_us, midnight_us(today),
    ]  # fmt: skip
    assert order == sorted(order)
    assert times.confirm_us < times.invoice_us < times.claim_us < times.pay_us < times.pass_on_us
    made = cycle(MODEL_CYCLE, of, calendars=STANDARD)
    for at_us, step in (
        (times.agree_us, Step.RECONCILE), (times.confirm_us, Step.CONFIRM), (times.invoice_us, Step.INVOICE),
        (times.claim_us, Step.MUNICIPAL_INVOICE), (times.pay_us, Step.PAYMENT),
        (times.pass_on_us, Step.MUNICIPAL_PAYMENT),
    ):  # fmt: skip
        assert in_japan(at_us).date() == made.of(step).day


@given(DAYS)
def test_a_quarter_is_paid_by_the_end_of_the_month_after_its_invoice(today):
    of = settled_quarter(today)
    times = quarter_times(of, calendars=STANDARD)
    invoiced, paid = in_japan(times.invoice_us), in_japan(times.pay_us)
    assert of.last < invoiced.date() < paid.date() < today
    assert (paid.year * 12 + paid.month) - (invoiced.year * 12 + invoiced.month) == 1
