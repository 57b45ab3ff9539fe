"""Claims that come to the centre are held against ours, to the yen and the date."""

from datetime import date

import pytest

from gateway.settlement.calendars import STANDARD
from gateway.settlement.claims_received import differences, flat_yen, receive
from gateway.settlement.contract_facts import Received, facts_of
from gateway.settlement.errors import ActStands, GivenInvalid
from gateway.settlement.owing import claims_received, debts, found_claim
from gateway.settlement.periods import PeriodKind, period
from gateway.settlement.terms import PartyRole
from tests.settlement.acting import AT_US, CITY, MINISTRY, OPERATOR, on, paid

TERM = period("2026-04-01/2027-03-31")
MAY = period("2026-05")
WHO = {"calendars": STANDARD, "by": "clerk-1", "at_us": AT_US}
LINE = OPERATOR.terms[0].claim("line")
FEES = CITY.terms[0].claim("fees")


def line_claim(acts=(), *, yen=660_000, dated="2027-03-31", received="2027-04-02", number="L-1", span=TERM):
    ours = flat_yen(OPERATOR, LINE, span if span.kind is PeriodKind.TERM else TERM)
    given = {"party": "cvs-dev", "number": number, "yen": yen, "ours_yen": ours}
    return receive(OPERATOR, LINE, span, dated=on(dated), received=on(received), acts=acts, **given, **WHO)


def city_claim(acts=(), *, yen=204_520, number="C-1", received="2026-06-12"):
    given = {"party": "chiba", "number": number, "yen": yen, "ours_yen": 204_520}
    return receive(CITY, FEES, MAY, dated=on("2026-06-11"), received=on(received), acts=acts, **given, **WHO)


def test_the_lines_claim_for_the_term_is_due_thirty_days_from_its_receipt_counting_it():
    """Twelve months at 55,000; received on 2 April, the thirtieth day is 1 May (000仕15-3, 15-4)."""
    act = line_claim()
    assert facts_of(act, Received).proper
    assert differences(act, LINE, TERM, STANDARD) == []
    (debt,) = debts([act], [OPERATOR], calendars=STANDARD)
    assert (debt.yen, debt.debtor, debt.creditor) == (660_000, PartyRole.CENTRE, PartyRole.OPERATOR)
    assert debt.deadline == date(2027, 5, 1)
    (settled,) = debts(
        [act, paid(660_000, "2027-04-30", claim="line", period=TERM.text)], [OPERATOR], calendars=STANDARD
    )
    assert settled.open_yen == 0


def test_a_term_cut_short_has_its_own_months_and_its_own_last_day():
    cut = period("2026-04-01/2026-10-15")
    assert flat_yen(OPERATOR, LINE, cut) == 7 * 55_000
    act = line_claim(yen=7 * 55_000, dated="2026-10-15", received="2026-10-20", span=cut)
    assert facts_of(act, Received).proper


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"yen": 605_000}, ["it claims 605,000 yen, -55,000 yen against our 660,000"]),
        ({"dated": "2027-03-30"}, ["it is dated 2027-03-30, and has to be dated 2027-03-31"]),
    ],
)
def test_a_claim_of_another_sum_or_date_names_it_and_starts_no_due_date_until_a_proper_one_comes(given, words):
    wrong = line_claim(**given)
    assert [en for _, en in differences(wrong, LINE, TERM, STANDARD)] == words
    assert list(claims_received([wrong])) == debts([wrong], [OPERATOR], calendars=STANDARD) == []
    right = line_claim([wrong], number="L-2", received="2027-04-20")
    assert right.turn == 1
    (debt,) = debts([wrong, right], [OPERATOR], calendars=STANDARD)
    assert (debt.number, debt.deadline) == ("L-2", date(2027, 5, 19))


def test_a_citys_claim_is_due_by_the_months_end_whenever_it_came():
    """May 31, 2026 is for April; June has no weekend at its end (DOMAIN 2.9)."""
    (debt,) = debts([city_claim()], [CITY], calendars=STANDARD)
    assert (debt.deadline, debt.yen, debt.number) == (date(2026, 6, 30), 204_520, "C-1")


def test_a_citys_negative_claim_is_owed_by_the_city():
    given = {"party": "chiba", "number": "C-1", "yen": -52_500, "ours_yen": -52_500}
    act = receive(CITY, FEES, MAY, dated=on("2026-06-11"), received=on("2026-06-12"), acts=[], **given, **WHO)
    (debt,) = debts([act], [CITY], calendars=STANDARD)
    assert (debt.debtor, debt.yen) == (PartyRole.MUNICIPALITY, 52_500)


def test_the_same_claim_again_stands_already_and_another_after_a_proper_one_is_sent_back():
    first = city_claim()
    with pytest.raises(ActStands):
        city_claim([first])
    with pytest.raises(GivenInvalid, match="C-1 of 204,520 yen stands"):
        city_claim([first], number="C-2")
    wrong = city_claim(yen=1)
    with pytest.raises(ActStands):
        city_claim([wrong], yen=1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"number": " "}, "number: is empty"),
        ({"received": "2026-06-10"}, "before the claim's date"),
    ],
)
def test_a_claim_without_number_or_before_its_own_date_is_refused(given, why):
    with pytest.raises(GivenInvalid, match=why):
        city_claim(**given)


def test_a_claim_of_another_span_or_of_the_centre_itself_is_refused():
    with pytest.raises(GivenInvalid, match="once a term"):
        line_claim(span=MAY)
    own = OPERATOR.terms[0].claim("fees")
    with pytest.raises(GivenInvalid, match="the centre's own claim"):
        receive(
            OPERATOR,
            own,
            MAY,
            party="cvs-dev",
            number="1",
            yen=1,
            ours_yen=1,
            dated=on("2026-06-11"),
            received=on("2026-06-12"),
            acts=[],
            **WHO,
        )
    with pytest.raises(GivenInvalid, match="it needs readings"):
        flat_yen(CITY, FEES, MAY)


def test_a_claim_is_found_by_its_party():
    contracts = [OPERATOR, CITY, MINISTRY]
    contract, terms, claim = found_claim(contracts, party="mlit", claim="records", of=period("2027-Q1"))
    assert (contract.reference, terms.version, claim.items[0].yen) == (MINISTRY.reference, 2, 12)
    assert found_claim(contracts, party="chiba", claim="fees", of=MAY)[0] is CITY
    with pytest.raises(GivenInvalid, match="its claims are fees, line"):
        found_claim(contracts, party="cvs-dev", claim="rent", of=MAY)
    assert found_claim(contracts, party="cvs-dev", claim="line", of=TERM)[0] is OPERATOR
    with pytest.raises(GivenInvalid, match="'fees' with 'chiba' on 2026-03-31"):
        found_claim(contracts, party="chiba", claim="fees", of=period("2026-03"))
    with pytest.raises(GivenInvalid, match="give a party of a contract file"):
        found_claim(contracts, party="nobody", claim="fees", of=MAY)
