"""A contract's end: debts due at once, and an account that leaves nothing out."""

import json
from datetime import date

import msgspec
import pypdfium2
import pytest

from gateway.settlement.calendars import STANDARD
from gateway.settlement.claims_received import flat_yen, receive
from gateway.settlement.contract_facts import Accelerated, Accounted, facts_of
from gateway.settlement.ending import (
    Unclaimed,
    acceleration_act,
    account,
    account_act,
    account_bytes,
    contract_term,
    obstacles_to,
    unbilled,
    unclaimed,
    whole_periods,
)
from gateway.settlement.errors import ActStands, GivenInvalid
from gateway.settlement.interest import Waiver
from gateway.settlement.overdue import delays, interest_act, waiver_act
from gateway.settlement.owing import debts, interest_claim
from gateway.settlement.papers.account import account_papers
from gateway.settlement.papers.errors import ActMisfits
from gateway.settlement.periods import period
from gateway.settlement.terms import PartyRole
from protocol.act import ActKind
from protocol.settlement import NOTHING, Amount
from tests.settlement.acting import AT_US, CITY, MAY_NET, OPERATOR, act, invoiced, on, paid
from tests.settlement.papers import NAMES

TODAY = date(2026, 8, 3)
ENDED = date(2026, 6, 30)
TERM = contract_term(OPERATOR, ENDED)
LINE = OPERATOR.terms[0].claim("line")
SAID = {"ground": "dishonoured bill / 不渡り", "day": TODAY, "by": "clerk-1", "at_us": AT_US}


def accelerated(debtor=PartyRole.OPERATOR, event=2, *, occurred="2026-06-15", acts=(), **fields):
    given = {**SAID, "occurred": on(occurred), "acts": acts, **fields}
    return acceleration_act(OPERATOR, "cvs-dev", debtor, event, "報告 7号", **given)


def lines_claim(acts=()):
    given = {"party": "cvs-dev", "number": "L-1", "yen": 165_000, "ours_yen": flat_yen(OPERATOR, LINE, TERM)}
    dates = {"dated": ENDED, "received": on("2026-07-06"), "acts": acts}
    return receive(OPERATOR, LINE, TERM, calendars=STANDARD, by="clerk-1", at_us=AT_US, **given, **dates)


def settled(acts, *asked, left=NOTHING, day=TODAY, unclaimed=()):
    owed = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=asked or [invoiced()])
    return account(OPERATOR, "cvs-dev", TERM, owed, acts, unbilled=left, unclaimed=unclaimed, day=day)


def test_all_open_claims_of_that_side_fall_due_on_the_day_of_the_event_and_later_ones_when_asked():
    june = invoiced(1_000_000, period="2026-06", day="2026-07-14")
    acts = [accelerated(), lines_claim()]
    may, later, line = sorted(
        debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced(), june]),
        key=lambda debt: debt.asked != on("2026-06-12"),
    )
    by_period = {debt.period.text: debt for debt in (may, later, line)}
    assert (by_period["2026-05"].deadline, by_period["2026-05"].accelerated) == (date(2026, 6, 15), True)
    assert (by_period["2026-06"].deadline, by_period["2026-06"].accelerated) == (date(2026, 7, 14), True)
    assert (by_period[TERM.text].deadline, by_period[TERM.text].accelerated) == (date(2026, 8, 4), False)


def test_the_centres_own_debts_fall_due_by_its_own_article():
    acts = [accelerated(PartyRole.CENTRE, 5, occurred="2026-07-20"), lines_claim()]
    may, line = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced()])
    assert {debt.claim.id: (debt.deadline, debt.accelerated) for debt in (may, line)} == {
        "fees": (date(2026, 6, 22), False),
        "line": (date(2026, 7, 20), True),
    }
    assert facts_of(acts[0], Accelerated).clause == "000契20-2 (5)"


def test_nothing_falls_due_later_by_an_acceleration():
    acts = [accelerated(occurred="2026-07-30")]
    (debt,) = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced()])
    assert (debt.deadline, debt.accelerated) == (date(2026, 6, 22), False)


def test_interest_runs_from_the_day_after_the_event():
    acts = [accelerated(), paid(MAY_NET, "2026-06-22")]
    (debt,) = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced()])
    (delay,) = delays(debt, acts, today=TODAY)
    assert (delay.late.deadline, delay.late.days) == (date(2026, 6, 15), 7)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"event": 7}, "events 1 to 6"),
        ({"debtor": PartyRole.CENTRE, "event": 6}, "events 1 to 5"),
        ({"debtor": PartyRole.MUNICIPALITY}, "no article"),
        ({"ground": " "}, "ground: is empty"),
        ({"occurred": "2026-08-04"}, "is to come"),
    ],
)
def test_an_acceleration_needs_an_article_a_ground_and_a_day_that_has_come(given, why):
    with pytest.raises(GivenInvalid, match=why):
        accelerated(**given)


def test_an_acceleration_stands_once_for_a_side_and_is_for_a_contract_that_has_the_article():
    first = accelerated()
    with pytest.raises(ActStands):
        accelerated(event=1, acts=[first])
    assert accelerated(PartyRole.CENTRE, 1, acts=[first]).turn == 1
    with pytest.raises(GivenInvalid, match="no article"):
        acceleration_act(CITY, "chiba", PartyRole.OPERATOR, 1, "r", occurred=TODAY, acts=[], **SAID)


def test_an_account_shows_both_sides_what_is_open_and_the_interest_and_sets_nothing_off():
    acts = [lines_claim(), paid(7_000_000, "2026-07-02")]
    made = settled(acts)
    assert [(line.period, line.claim, line.yen, line.open_yen) for line in made.lines] == [
        (TERM.text, "line", 165_000, 165_000),
        ("2026-05", "fees", MAY_NET, 654_321),
    ]
    assert (made.to_centre_yen, made.from_centre_yen, made.net_yen) == (654_321, 165_000, 489_321)
    fees = made.lines[1]
    assert (fees.interest_asked_yen, fees.interest_running_yen) == (0, 7_700 + 3_000)
    assert not made.is_settled


def test_interest_asked_for_is_owed_until_it_is_paid_or_waived():
    acts = [paid(MAY_NET, "2026-07-02")]
    assert settled(acts).is_settled
    (debt,) = debts(acts, [OPERATOR], calendars=STANDARD, invoiced=[invoiced()])
    (delay,) = delays(debt, acts, today=TODAY)
    who = {"day": TODAY, "by": "clerk-1", "at_us": AT_US}
    acts.append(interest_act(debt, delay, payable_by=date(2026, 8, 31), acts=acts, **who))
    assert settled(acts).to_centre_yen == 8_400
    assert settled([*acts, paid(8_400, "2026-08-20", claim=interest_claim("fees"))]).is_settled
    waiver = waiver_act(debt, delay, Waiver(ground="g", reference="r"), acts=acts, **who)
    assert settled([*acts, waiver]).is_settled
    assert settled([*acts[:1], waiver]).lines[0].interest_running_yen == 0


def test_what_nobody_billed_or_a_contract_that_runs_on_is_in_the_way():
    billed = [Amount(3, 3, 900, 345), Amount(1, -1, -300, -115)]
    left = unbilled(Amount(5, 4, 1_200, 460), billed)
    assert left == Amount(1, 2, 600, 230)
    assert unbilled(Amount(4, 2, 600, 230), billed) == NOTHING
    made = settled([paid(MAY_NET, "2026-06-22")], left=left)
    assert not made.is_settled
    assert [(each.code, each.forcible) for each in obstacles_to(made, ENDED)] == [("unbilled", True)]
    assert "1 bookings of 370 yen" in next(obstacles_to(made, ENDED)).en
    assert [(each.code, each.forcible) for each in obstacles_to(settled([]), TODAY)] == [("not-ended", False)]


def test_an_account_is_recorded_once_as_it_stands_and_again_when_a_payment_came():
    who = {"by": "clerk-1", "second": "", "ground": "", "at_us": AT_US}
    made = settled([])
    first = account_act(made, acts=[], **who)
    assert (first.yen, first.turn, first.period) == (MAY_NET, 0, "2026-04-01/2026-06-30")
    with pytest.raises(ActStands):
        account_act(settled([]), acts=[first], **{**who, "by": "clerk-2", "at_us": AT_US + 1})
    second = account_act(settled([paid(MAY_NET, "2026-06-22")]), acts=[first], **who)
    assert (second.yen, second.turn) == (0, 1)
    assert facts_of(second, Accounted).digest != facts_of(first, Accounted).digest


def test_a_term_is_settled_by_whole_months_or_quarters():
    over = period("2026-05-11/2026-08-20")
    assert whole_periods(over, by_month=True).text == "2026-05-01/2026-08-31"
    assert whole_periods(over, by_month=False).text == "2026-04-01/2026-09-30"


def released(yen=204_520):
    return act(ActKind.RELEASED, contract=CITY.reference, party="chiba", period="2026-06", yen=yen)


def test_what_nobody_claimed_from_the_centre_stays_in_the_account():
    """Three months of the line, and what a city was told for June."""
    found = unclaimed(OPERATOR, "cvs-dev", TERM, [])
    assert [(each.period, each.claim, each.yen) for each in found] == [(TERM.text, "line", 165_000)]
    assert not settled([paid(MAY_NET, "2026-06-22")], unclaimed=found).is_settled
    assert unclaimed(OPERATOR, "cvs-dev", TERM, [lines_claim()]) == []
    term = contract_term(CITY, ENDED)
    (june,) = unclaimed(CITY, "chiba", term, [released(), released(0)])
    assert (june.period, june.claim, june.yen) == ("2026-06", "fees", 204_520)
    assert unclaimed(CITY, "takaoka", term, [released()]) == []


def test_an_account_has_one_form_and_leaves_other_parties_out():
    assert account_bytes(settled([])) == account_bytes(settled([]))
    other = invoiced(5, contract=OPERATOR.reference, party="another", period="2026-06")
    assert len(settled([], invoiced(), other).lines) == 1
    assert settled([act(ActKind.PAID, party="another", yen=3, period="2026-06")]).to_centre_yen == MAY_NET
    assert period(TERM.text) == TERM


def test_the_account_on_paper_shows_both_sides_and_what_is_left():
    acts = [lines_claim(), paid(7_000_000, "2026-07-02")]
    left = (Unclaimed(period="2026-06", claim="fees", yen=204_520),)
    made = settled(acts, left=Amount(1, 1, 300, 115), unclaimed=left)
    recorded = account_act(made, by="clerk-1", second="", ground="", at_us=AT_US, acts=[])
    papers = account_papers(recorded, made, names=NAMES)
    assert [paper.name for paper in papers] == [
        "final-account-cvs-dev-2026-06-30.json",
        "final-account-cvs-dev-2026-06-30.pdf",
    ]
    said = json.loads(papers[0].data)
    assert (said["to_centre_yen"], said["from_centre_yen"], said["net_yen"]) == (654_321, 165_000, 489_321)
    assert (said["settled"], said["unclaimed"][0]["yen"], len(said["lines"])) == (False, 204_520, 2)
    with pypdfium2.PdfDocument(papers[1].data) as document:
        text = "".join(document[0].get_textpage().get_text_range().split())
    for told in ("¥654,321", "¥165,000", "¥489,321", "10,700", "1件¥185", "2026-06fees¥204,520", "certificate-2026-05"):
        assert told in text
    assert account_papers(recorded, made, names=NAMES) == papers
    with pytest.raises(ActMisfits):
        account_papers(msgspec.structs.replace(recorded, party="gms-dev"), made, names=NAMES)
