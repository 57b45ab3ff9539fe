"""Corrections by agreement: notices in the outbox, delivered with their proofs, and what cannot be is said."""

import datetime as dt

import pytest

from gateway.peers.relay import correcting, histories, outbox, totals
from gateway.peers.relay.errors import NotResolvable
from gateway.peers.relay.worklist import close_refused
from gateway.settlement.windows import midnight_us
from protocol.issuance import Correct, Void
from protocol.messages import Operation, decode_body
from tests.peers.relay.kit import NOW_US, new_application
from tests.peers.relay.month_kit import made_month

AT_US = midnight_us(dt.date(2026, 9, 2))


@pytest.fixture
def m(tmp_path):
    (tmp_path / "relay").mkdir()
    with made_month(tmp_path / "relay") as made:
        yield made


def corrected(m, application, *, copies=None, deposited_us=None, store_day=None):
    with m.store.transaction():
        return correcting.correct(
            m.store, application, copies=copies, deposited_us=deposited_us, store_day=store_day,
            request_id=new_application(), now_us=NOW_US,
        )  # fmt: skip


def voided(m, application, slip="R-1"):
    with m.store.transaction():
        return correcting.void(m.store, application, slip=slip, request_id=new_application(), now_us=NOW_US)


def test_a_correction_says_how_it_should_read_and_leaves_the_rest_as_it_stands(m):
    application = m.sale(at_us=AT_US, copies=3)
    notice = corrected(m, application, copies=2)
    assert (notice.number, notice.copies, notice.deposited_at_us, notice.store_day) == (1, 2, AT_US, "2026-09-02")
    (held,) = outbox.next_of(m.store, application)
    assert decode_body(Operation.CORRECT, held.request.body) == notice
    assert [(each.copies, each.yen) for each in totals.standing(m.store, application)] == [(3, 900), (-1, -300)]
    second = corrected(m, application, deposited_us=AT_US + 86_400_000_000)
    assert (second.number, second.copies, second.store_day) == (2, 2, "2026-09-03")
    assert histories.of_application(m.store, application).deposited_us == AT_US + 86_400_000_000


def test_a_void_by_agreement_takes_back_what_stands_at_the_store_of_the_sale(m):
    application = m.sale(at_us=AT_US, copies=3, name="kiosk-2")
    corrected(m, application, copies=2)
    notice = voided(m, application)
    assert isinstance(notice, Void)
    assert (notice.store, notice.staff_slip) == ("store-2", "R-1")
    assert sum(each.copies for each in totals.standing(m.store, application)) == 0
    with pytest.raises(NotResolvable, match="void already"):
        voided(m, application)
    with pytest.raises(NotResolvable, match="void already"):
        corrected(m, application, copies=1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, ""),
        ({"copies": 3}, ""),
        ({"copies": 21}, "copies"),
        ({"store_day": "2026-9-2"}, "day"),
        ({"deposited_us": NOW_US + 1}, "deposited"),
    ],
)
def test_what_cannot_be_corrected_is_refused_with_its_field(m, fields, field):
    application = m.sale(at_us=AT_US, copies=3)
    with pytest.raises(NotResolvable) as refused:
        corrected(m, application, **fields)
    assert refused.value.field == field
    assert outbox.depth(m.store).held == 0


def test_what_was_never_completed_is_not_corrected_and_a_slip_is_needed(m):
    with pytest.raises(NotResolvable, match="no completion"):
        corrected(m, new_application(), copies=1)
    refused = m.sale(at_us=AT_US, state=outbox.REFUSED)
    with pytest.raises(NotResolvable, match="no completion"):
        voided(m, refused)
    with pytest.raises(NotResolvable, match="slip"):
        voided(m, m.sale(at_us=AT_US), slip="伝票")


def test_there_are_eight_corrections_at_most(m):
    application = m.sale(at_us=AT_US, copies=9)
    for copies in range(8, 0, -1):
        corrected(m, application, copies=copies)
    with pytest.raises(NotResolvable, match="at most 8"):
        corrected(m, application, copies=9)


def test_a_refused_correction_leaves_its_number_to_the_next_once_it_is_closed(m):
    application = m.sale(at_us=AT_US, copies=3)
    corrected(m, application, copies=2)
    m.store.run("UPDATE outbox SET state = 'refused', outcome = 235, done_us = 1 WHERE operation = 28")
    with pytest.raises(NotResolvable, match="worklist resolve"):
        corrected(m, application, copies=1)
    (number,) = m.store.row("SELECT number FROM outbox WHERE operation = 28")
    close_refused(m.store, number, by="CASE-1", now_us=NOW_US)
    notice = corrected(m, application, copies=1)
    assert isinstance(notice, Correct)
    assert (notice.number, notice.copies) == (1, 1)
    assert [each.state for each in histories.of_application(m.store, application).notices][1:] == ["refused", "held"]
