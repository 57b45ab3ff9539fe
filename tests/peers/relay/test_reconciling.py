"""Reconciling: what agrees agrees to the yen, and every injected difference is named exactly once."""

import datetime as dt
import io
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.peers.relay import histories, outbox
from gateway.peers.relay.reconciling import NotReconcilable, reconcile
from gateway.peers.relay.store_reports import lines_of, write_reports
from gateway.settlement.windows import Cut, Window, midnight_us
from protocol.disclosure import DisclosureError, Fault, Proposal, decode_reconciliation, encode_reconciliation
from protocol.settlement import Amount
from tests.peers.relay.kit import NOW_US, OPERATOR
from tests.peers.relay.month_kit import NOVEMBER, made_month
from tests.settlement.building import COMMISSION, STREAMS

DAY_US = 86_400_000_000
NOON_US = 43_200_000_000
SOME = settings(max_examples=25, database=None, deadline=None, suppress_health_check=list(HealthCheck))


def on(day, number=11):
    """Noon of a day of 2026 in Japan."""
    return midnight_us(dt.date(2026, number, day)) + NOON_US


def reported(m, directory, period="2026-11"):
    """The stores' reports as the relay itself would write them."""
    bounds = histories.month_bounds(period)
    write_reports(lines_of(histories.of_month(m.store, *bounds), *bounds), directory, period=period)
    return directory


def result(m, reports=None, window=None):
    disclosure, rows = m.disclosure(window)
    found = reconcile(m.store, disclosure, rows, reports=reports, operator=OPERATOR, by="合成 担当", now_us=NOW_US)
    assert decode_reconciliation(encode_reconciliation(found.reconciliation)) == found.reconciliation
    return found.reconciliation


def named(reconciliation):
    return sorted((each.application, each.fault) for each in reconciliation.differences)


def money(amount):
    return amount.copies, amount.yen, amount.commission


@pytest.fixture
def m(tmp_path):
    (tmp_path / "relay").mkdir()
    with made_month(tmp_path / "relay") as made:
        yield made


def drawn(data, m):
    """Business of a month: sales, corrections of copies and days, refunds. The applications with money in November."""
    alive = []
    for _ in range(data.draw(st.integers(1, 8))):
        application = m.sale(
            at_us=on(data.draw(st.integers(2, 28))), copies=data.draw(st.integers(1, 4)),
            fee=data.draw(st.sampled_from([0, 10, 300])), city=data.draw(st.sampled_from(["121002", "162027"])),
            kind=data.draw(st.sampled_from(["juminhyo", "inkan"])),
            name=data.draw(st.sampled_from(["kiosk-1", "kiosk-2"])),
        )  # fmt: skip
        here = True
        for _ in range(data.draw(st.integers(0, 2))):
            day = on(data.draw(st.integers(2, 28)), data.draw(st.sampled_from([10, 11, 11])))
            here = NOVEMBER.first <= dt.date.fromisoformat(histories.day_of(day))
            m.correct(application, copies=data.draw(st.integers(1, 4)), at_us=day)
        if data.draw(st.integers(0, 3)) == 0:
            m.void(application)
        elif here:
            alive.append(application)
    return alive


@SOME
@given(st.data())
def test_what_was_notified_and_recorded_agrees_to_the_yen(data):
    with tempfile.TemporaryDirectory() as name, made_month(Path(name)) as m:
        drawn(data, m)
        found = result(m, reported(m, Path(name) / "reports"))
        assert found.agreed
        assert found.differences == ()
        assert money(found.ours) == money(m.disclosure()[0].net)


@SOME
@given(st.data())
def test_every_injected_difference_is_named_exactly_once(data):
    with tempfile.TemporaryDirectory() as name, made_month(Path(name)) as m:
        alive = drawn(data, m)
        reports = reported(m, Path(name) / "reports")
        wanted = []
        for application in alive:
            fault = data.draw(st.sampled_from([None, *Fault]))
            if fault is Fault.MISSING:
                m.lose(application)
            elif fault is Fault.OTHER_AMOUNT:
                last = [each for each in m.entries if each.application == application][-1]
                m.entries[m.entries.index(last)] = last._replace(copies=last.copies + 1, yen=last.yen + 300)
            elif fault is Fault.OTHER_KIND:
                m.alter(application, matter=lambda _: "koseki-zenbu")
            elif fault is Fault.OTHER_DAY:
                m.alter(application, deposited_at_us=lambda at_us: at_us + DAY_US)
            elif fault is Fault.EXTRA:
                application = m.stranger(at_us=on(9))
            if fault is not None:
                wanted.append((application, fault))
        found = result(m, reports)
        assert named(found) == sorted(wanted)
        assert found.agreed == (not wanted)


def only(reconciliation):
    (difference,) = reconciliation.differences
    return difference


def test_a_completion_that_waits_or_was_refused_is_missing_and_to_be_added(m):
    held = m.sale(at_us=on(3), copies=2, state=outbox.HELD, recorded=False)
    found = only(result(m))
    assert (found.application, found.fault, found.proposal) == (held, Fault.MISSING, Proposal.ADD)
    assert "held here" in found.text
    assert found.ours.copies, found.theirs == (2, None)


def test_what_the_centre_refused_counts_nothing_at_the_relay_but_a_store_took_the_money(m, tmp_path):
    reports = tmp_path / "reports"
    refused = m.sale(at_us=on(3), recorded=False)
    reported(m, reports)
    m.store.run("UPDATE outbox SET state = 'refused'")
    found = only(result(m, reports))
    assert (found.application, found.proposal) == (refused, Proposal.ADD)
    assert "refused the notice" in found.text
    assert result(m).agreed


def test_what_was_recorded_and_is_not_disclosed_is_for_people(m):
    m.sale(at_us=on(3), recorded=False)
    assert only(result(m)).proposal is Proposal.NONE
    m.store.run("UPDATE outbox SET done_us = done_us * 2")
    assert "came after it was made" in only(result(m)).text


def test_a_sale_of_another_month_by_the_deposit_that_was_notified_is_to_be_corrected(m, tmp_path):
    application = m.sale(at_us=on(30))
    reports = reported(m, tmp_path / "reports")
    m.correct(application, copies=1, at_us=on(1, 12))
    found = only(result(m, reports))
    assert (found.fault, found.proposal) == (Fault.MISSING, Proposal.CORRECT)


def test_a_refund_that_the_centre_has_not_is_another_amount_and_to_be_voided(m):
    application = m.sale(at_us=on(3))
    m.void(application, state=outbox.HELD, recorded=False)
    found = only(result(m))
    assert (found.fault, found.proposal) == (Fault.OTHER_AMOUNT, Proposal.VOID)
    assert (found.ours.copies, found.theirs.copies) == (0, 1)


def test_a_refund_that_stands_at_the_centre_alone_stays_and_is_for_people(m, tmp_path):
    application = m.sale(at_us=on(3))
    reports = reported(m, tmp_path / "reports")
    m.void(application)
    found = only(result(m, reports))
    assert (found.fault, found.proposal) == (Fault.OTHER_AMOUNT, Proposal.NONE)


def test_another_fee_is_no_matter_for_a_correction_and_other_copies_are(m):
    application = m.sale(at_us=on(3), copies=2)
    m.alter(application, yen=lambda yen: yen + 10)
    assert only(result(m)).proposal is Proposal.NONE
    m.alter(application, copies=lambda copies: copies + 1)
    assert only(result(m)).proposal is Proposal.CORRECT


def test_the_request_named_is_the_centres_first_and_without_one_the_relays_own(m):
    application = m.sale(at_us=on(3), copies=2)
    m.correct(application, copies=3, at_us=on(4))
    first = m.entries[0].request_id
    m.alter(application, matter=lambda _: "inkan")
    assert only(result(m)).request_id == first
    m.lose(application)
    assert only(result(m)).request_id == first


def test_one_application_may_differ_in_several_things_each_named_once(m):
    application = m.sale(at_us=on(3), copies=2)
    m.alter(application, copies=lambda n: n + 1, matter=lambda _: "inkan", deposited_at_us=lambda at_us: at_us + DAY_US)
    found = result(m)
    assert named(found) == sorted(
        (application, each) for each in (Fault.OTHER_AMOUNT, Fault.OTHER_KIND, Fault.OTHER_DAY)
    )
    assert len({each.key for each in found.differences}) == 3


def test_a_store_report_with_another_municipality_or_store_is_named(m, tmp_path):
    for _ in range(3):
        application = m.sale(at_us=on(3))
    m.store.run("UPDATE dealings SET municipality = '999999' WHERE application = ?", application)
    found = only(result(m))
    assert (found.fault, found.ours.municipality, found.theirs.municipality) == (Fault.OTHER_KIND, "999999", "121002")


def _frozen_october(m):
    """November's window, with October frozen at what is recorded now."""
    return Window(NOVEMBER, previous=Cut({STREAMS[0]: m.entries[-1].height + 1}))


def test_adjustments_of_a_frozen_month_are_held_against_the_relays_own_notices(m, tmp_path):
    refunded, fewer, moved = (m.sale(at_us=on(20, 10), copies=3) for _ in range(3))
    window = _frozen_october(m)
    m.void(refunded)
    m.correct(fewer, copies=1, at_us=on(21, 10))
    m.correct(moved, copies=2, at_us=on(5))
    m.sale(at_us=on(6))
    found = result(m, reported(m, tmp_path / "reports"), window)
    assert found.agreed
    assert money(found.ours) == money(m.disclosure(window)[0].net) == (-5, -1500, -5 * COMMISSION)
    m.alter(refunded, yen=lambda yen: yen - 10)
    found = only(result(m, None, window))
    assert (found.application, found.fault) == (refunded, Fault.OTHER_AMOUNT)


def test_an_adjustment_that_the_relay_never_sent_is_extra(m):
    m.sale(at_us=on(20, 10))
    window = _frozen_october(m)
    stranger = m.stranger(at_us=on(21, 10))
    found = only(result(m, None, window))
    assert (found.application, found.fault, found.proposal) == (stranger, Fault.EXTRA, Proposal.VOID)


def test_a_month_without_business_agrees(m):
    found = result(m)
    assert found.agreed
    assert found.ours == Amount()


def test_the_same_is_found_again_to_the_byte(m):
    m.sale(at_us=on(3), recorded=False)
    m.stranger(at_us=on(4))
    assert encode_reconciliation(result(m)) == encode_reconciliation(result(m))


def test_another_operators_disclosure_and_one_of_no_month_are_refused(m):
    disclosure, rows = m.disclosure()
    with pytest.raises(NotReconcilable, match="operator-test"):
        reconcile(m.store, disclosure, rows, reports=None, operator="operator-2", by="x", now_us=NOW_US)
    quarter = msgspec.structs.replace(disclosure, period="2026-Q1")
    with pytest.raises(NotReconcilable, match="month"):
        reconcile(m.store, quarter, rows, reports=None, operator=OPERATOR, by="x", now_us=NOW_US)


def test_rows_of_another_disclosure_are_refused(m):
    m.sale(at_us=on(3))
    disclosure, rows = m.disclosure()
    wrong = io.BytesIO(rows.getvalue()[:-1] + b"!")
    with pytest.raises(DisclosureError, match="rows"):
        reconcile(m.store, disclosure, wrong, reports=None, operator=OPERATOR, by="x", now_us=NOW_US)
