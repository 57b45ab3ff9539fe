"""What the relay has of applications: bookings by the ledger's rule, months of Japan, and stores made before."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.relay import comparing, histories, outbox
from gateway.peers.relay import store as module
from gateway.peers.relay.histories import History, Notice
from gateway.peers.relay.store import FILE_NAME, open_store
from gateway.settlement.periods import month
from gateway.settlement.windows import Window
from protocol.disclosure import TEXT_CHARS_MAX, Fault, Standing
from protocol.messages import Operation
from tests.peers.relay.month_kit import made_month
from tests.peers.relay.test_reconciling import on


@given(st.integers(2000, 2999), st.integers(1, 12))
def test_a_month_has_the_bounds_that_the_centre_gives_it(year, number):
    window = Window(month(year, number))
    assert histories.month_bounds(f"{year}-{number:02}") == (window.start_us, window.end_us)
    assert histories.day_of(window.start_us) == f"{year}-{number:02}-01"
    assert histories.day_of(window.end_us - 1) == str(month(year, number).last)


@pytest.mark.parametrize("text", ["2026-13", "2026-Q1", "2026", "", "2026-11-02", "2026-1"])
def test_what_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="is no month"):
        histories.month_bounds(text)


def test_a_store_made_before_learns_the_deposits_of_what_was_completed(tmp_path, monkeypatch):
    with made_month(tmp_path) as m:
        application = m.sale(at_us=on(3))
    file = tmp_path / FILE_NAME
    with sqlite3.connect(file) as connection:
        for name in ("outbox_deposited", "lines_notice"):
            connection.execute(f"DROP INDEX {name}")
        connection.execute("ALTER TABLE outbox DROP COLUMN deposited_us")
        connection.execute(f"PRAGMA user_version = {len(module.MIGRATIONS) - 1}")
    connection.close()
    with open_store(tmp_path) as store:
        assert histories.of_application(store, application).deposited_us == on(3)


def test_a_void_of_what_was_never_completed_books_nothing(tmp_path):
    with made_month(tmp_path) as m:
        application = m.sale(at_us=on(3), state=outbox.REFUSED)
        m.void(application, recorded=False)
        history = histories.of_application(m.store, application)
        assert [each.state for each in history.notices] == [outbox.REFUSED, outbox.DELIVERED]
        assert list(history.bookings()) == []
        assert history.deposited_us is None


def _history(state, done_us):
    notice = Notice(b"r" * 16, Operation.COMPLETE, state, 136, done_us, on(3), 1, 300, "2026-11-03")
    return History(application=b"a" * 16, municipality="121002", kind="juminhyo", store="s-1", notices=(notice,))


@pytest.mark.parametrize(
    "history", [None, *(_history(state, at) for state in ("held", "refused", "delivered") for at in (0, 9))]
)
@pytest.mark.parametrize("fault", Fault)
def test_whatever_is_said_of_a_difference_fits_into_it(history, fault):
    ours = Standing("121002", "juminhyo", "s-1", 1, 300, "2026-11-03")
    theirs = {
        Fault.MISSING: None,
        Fault.OTHER_AMOUNT: ours._replace(copies=2),
        Fault.OTHER_KIND: ours._replace(kind="inkan"),
        Fault.OTHER_DAY: ours._replace(day="2026-11-04"),
        Fault.EXTRA: ours,
    }[fault]
    sides = comparing.Sides(
        application=b"a" * 16, ours=None if fault is Fault.EXTRA else ours, theirs=theirs, request_id=b"",
        history=history,
    )  # fmt: skip
    (found,) = comparing.compare(sides, made_us=5)
    assert found.fault is fault
    assert " / " in found.text
    assert len(found.text) <= TEXT_CHARS_MAX
