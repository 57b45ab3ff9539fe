"""Late interest out of acts: each delay by itself, inspections left out, nothing twice, and waivers."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement.calendars import STANDARD
from gateway.settlement.contract_facts import Inspected, Reckoned, facts_bytes, facts_of
from gateway.settlement.errors import ActStands, GivenInvalid
from gateway.settlement.facts import FactsContradicted
from gateway.settlement.interest import Waiver
from gateway.settlement.overdue import delays, inspection_act, inspections, interest_act, waiver_act
from gateway.settlement.owing import debts
from protocol.act import ActKind
from tests.settlement.acting import AT_US, MAY_NET, MAY_RECEIVED, MINISTRY, OPERATOR, act, invoiced, on, paid

TODAY = date(2026, 8, 3)
WHO = {"day": TODAY, "by": "clerk-1", "at_us": AT_US}
NEW = {**WHO, "acts": []}


def reckoned(acts, *, asked=None, today=TODAY):
    (debt,) = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[asked or invoiced()])
    return debt, delays(debt, acts, today=today)


def inspected(first="2026-06-25", last="2026-06-26", notice="2026-06-20", reference="検査通知 1号"):
    return Inspected(first=on(first), last=on(last), notice=on(notice), reference=reference, place="operator's office")


def test_a_payment_ten_days_late_costs_what_the_wording_says_with_the_net_beside_it():
    """12,345,678 x 2.5 % x 10 / 365 is 8,456, cut to 8,400 (DOMAIN 2.10)."""
    debt, (delay,) = reckoned([paid(MAY_NET, "2026-07-02")])
    assert debt.deadline == date(2026, 6, 22)
    assert (delay.late.late_days, delay.late.days) == (10, 10)
    assert (delay.late.base_yen, delay.late.interest_yen) == (MAY_RECEIVED, 8_400)
    assert (delay.late.unpaid_yen, delay.late.unpaid_interest_yen) == (MAY_NET, 5_200)
    assert debt.open_yen == 0


def test_a_payment_on_the_last_day_costs_nothing_and_one_before_its_holiday_move_neither():
    assert reckoned([paid(MAY_NET, "2026-06-22")])[1] == []
    assert reckoned([paid(MAY_NET, "2026-06-20")])[1] == []


def test_days_of_an_inspection_do_not_count_and_a_day_in_two_of_them_is_left_out_once():
    acts = [paid(MAY_NET, "2026-07-02")]
    for said in (inspected(), inspected("2026-06-26", "2026-06-29", reference="2号")):
        acts.append(inspection_act(OPERATOR.reference, "cvs-dev", said, acts, **WHO))
    (delay,) = reckoned(acts)[1]
    assert (delay.late.late_days, delay.late.days) == (10, 5)
    assert inspections(acts, "another contract") == []


def test_what_is_unpaid_is_shown_as_it_stands_and_cannot_be_asked_for_yet():
    debt, (delay,) = reckoned([], today=date(2026, 7, 2))
    assert (delay.turn, delay.late.interest_yen) == (None, 8_400)
    assert debt.is_late(date(2026, 6, 23))
    assert not debt.is_late(date(2026, 6, 22))
    with pytest.raises(GivenInvalid, match="not paid yet"):
        interest_act(debt, delay, payable_by=TODAY, **NEW)
    with pytest.raises(GivenInvalid, match="not paid yet"):
        waiver_act(debt, delay, Waiver(ground="g", reference="r"), **NEW)


def test_parts_paid_on_time_take_their_share_of_the_base_away():
    debt, (delay,) = reckoned([paid(5_000_000, "2026-06-20"), paid(MAY_NET - 5_000_000, "2026-07-02", turn=1)])
    assert delay.turn == 1
    assert delay.late.base_yen == MAY_RECEIVED - MAY_RECEIVED * 5_000_000 // MAY_NET
    assert debt.open_yen == 0


@given(
    parts=st.lists(st.integers(1, 3_000_000), max_size=6),
    days=st.lists(st.integers(1, 30), min_size=6, max_size=6),
)
def test_the_bases_of_all_parts_are_the_fees_received_and_no_more(parts, days):
    acts = [paid(yen, str(date(2026, 7, 1).replace(day=days[turn])), turn=turn) for turn, yen in enumerate(parts)]
    debt, found = reckoned(acts)
    assert sum(each.late.unpaid_yen for each in found) == max(MAY_NET, 0)
    assert sum(each.late.base_yen for each in found) == MAY_RECEIVED
    whole = reckoned([])[1][0].late.interest_yen
    assert sum(each.late.interest_yen for each in found) <= whole
    assert debt.open_yen == MAY_NET - sum(parts)


def test_interest_is_asked_for_once_stays_as_it_was_reckoned_and_names_its_payment():
    acts = [paid(1_000_000, "2026-06-22"), paid(MAY_NET - 1_000_000, "2026-07-02", turn=1)]
    debt, (delay,) = reckoned(acts)
    asked = interest_act(debt, delay, payable_by=date(2026, 8, 31), **NEW)
    assert (asked.kind, asked.turn, asked.yen) == (ActKind.INTEREST, 0, delay.late.interest_yen)
    assert facts_of(asked, Reckoned).payment == delay.turn == 1
    assert facts_of(asked, Reckoned).late == msgspec.structs.replace(delay.late, payable_by=date(2026, 8, 31))
    later = inspection_act(OPERATOR.reference, "cvs-dev", inspected(), acts, **WHO)
    (again,) = reckoned([*acts, asked, later])[1]
    assert again.asked == asked
    assert again.late.days == 10
    with pytest.raises(ActStands):
        interest_act(debt, again, payable_by=date(2026, 8, 31), **NEW)


def test_interest_payable_before_today_or_of_nothing_is_refused():
    debt, (delay,) = reckoned([paid(MAY_NET, "2026-07-02")])
    with pytest.raises(GivenInvalid, match="is past"):
        interest_act(debt, delay, payable_by=date(2026, 8, 2), **NEW)
    debt, (delay,) = reckoned([paid(1_000, "2026-06-23")], asked=invoiced(1_000, received_yen=100_000))
    with pytest.raises(GivenInvalid, match="no interest"):
        interest_act(debt, delay, payable_by=TODAY, **NEW)


def test_interest_is_waived_once_with_its_ground_and_reference():
    acts = [paid(MAY_NET, "2026-07-02")]
    debt, (delay,) = reckoned(acts)
    waiver = Waiver(ground="bank failure / 銀行障害", reference="決裁 12号")
    waived = waiver_act(debt, delay, waiver, **NEW)
    assert (waived.kind, waived.yen) == (ActKind.WAIVED, -8_400)
    (again,) = reckoned([*acts, waived])[1]
    assert again.waived == waived
    with pytest.raises(ActStands):
        waiver_act(debt, again, waiver, **NEW)
    for empty in (Waiver(ground=" ", reference="r"), Waiver(ground="g", reference="")):
        with pytest.raises(GivenInvalid, match="is empty"):
            waiver_act(debt, delay, empty, **NEW)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (inspected("2026-06-27", "2026-06-26"), "is before"),
        (inspected(notice="2026-06-25"), "did not come before"),
        (inspected(last="2026-08-04"), "is to come"),
    ],
)
def test_an_inspection_without_notice_out_of_order_or_to_come_is_refused(said, why):
    with pytest.raises(GivenInvalid, match=why):
        inspection_act(OPERATOR.reference, "cvs-dev", said, [], **WHO)


def test_an_inspection_stands_once():
    first = inspection_act(OPERATOR.reference, "cvs-dev", inspected(), [], **WHO)
    for said in (inspected(), inspected(reference="another")):
        with pytest.raises(ActStands):
            inspection_act(OPERATOR.reference, "cvs-dev", said, [first], **WHO)


def test_a_credit_note_and_a_claim_without_an_article_bear_no_interest():
    assert reckoned([paid(-900, "2026-12-01")], asked=invoiced(-1_000))[1] == []
    quarter = {"contract": MINISTRY.reference, "claim": "records", "party": "mlit", "period": "2026-Q1"}
    asked = invoiced(5_000, day="2026-07-01", **quarter)
    (debt,) = debts([], [MINISTRY], calendars=STANDARD, invoiced=[asked])
    assert (debt.deadline, delays(debt, [], today=TODAY)) == (None, [])
    received = msgspec.structs.replace(asked, received=date(2026, 7, 1))
    (debt,) = debts([], [MINISTRY], calendars=STANDARD, invoiced=[received])
    assert (debt.deadline, delays(debt, [], today=date(2026, 12, 1))) == (date(2026, 8, 31), [])


def test_facts_of_another_kind_are_refused():
    with pytest.raises(FactsContradicted):
        inspections([act(ActKind.INSPECTED, facts=facts_bytes(Waiver(ground="g", reference="r")))], OPERATOR.reference)
