"""Paid and no outcome: found whatever was lost, decided by the journal, else by the store; totals that add up."""

import csv
import io
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.relay import notices, outbox, registry, relay, totals, worklist
from gateway.peers.relay.errors import NotResolvable
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.store import Store, open_store
from gateway.peers.relay.totals import Change
from gateway.peers.relay.watch import Watch
from gateway.peers.relay.worklist import Journal
from gateway.peers.relay.writer import Writer
from protocol import issuance
from protocol.issuance import Ground, KioskFact
from protocol.messages import Operation, encode
from tests.peers.relay.kit import (
    CITY,
    DAY,
    FEE_YEN,
    KIND,
    NOW_US,
    begun,
    complete,
    erase,
    event,
    kiosk,
    made_store,
    new_application,
    void,
)  # fmt: skip

EVER = 2**62


@pytest.fixture
def store(tmp_path: Path):
    with made_store(tmp_path) as made:
        yield made


def take(store: Store, notice) -> None:
    with store.transaction():
        outbox.take_over(
            store, notice, asked=encode(notice), request_id=new_application(), caller=kiosk(), now_us=NOW_US
        )


def paid(store: Store, *facts: KioskFact) -> bytes:
    application = begun(store, new_application())
    for fact in (KioskFact.DEPOSITED, *facts):
        relay.note(store, event(fact, application, yen=600), caller=kiosk(), now_us=NOW_US)
    return application


def refund(store: Store, application: bytes, **changes) -> None:
    given = {"ground": Ground.STAFF, "slip": "R-1", **changes}
    with store.transaction():
        worklist.confirm_refund(store, application, request_id=new_application(), now_us=NOW_US, **given)


def test_a_deposit_is_in_doubt_until_a_completion_or_a_void_is_taken_over(store: Store) -> None:
    one, other, erased = paid(store), paid(store), paid(store)
    take(store, erase(erased))
    assert len(worklist.in_doubt(store, before_us=EVER)) == 3
    assert worklist.in_doubt(store, before_us=NOW_US) == []  # not yet for so long
    take(store, complete(one))
    take(store, void(other))
    assert [item.application for item in worklist.in_doubt(store, before_us=EVER)] == [erased.hex()]


def test_a_deposit_told_after_its_completion_is_not_in_doubt(store: Store) -> None:
    application = begun(store, new_application())
    take(store, complete(application))
    relay.note(store, event(KioskFact.DEPOSITED, application, yen=600), caller=kiosk(), now_us=NOW_US)
    assert worklist.in_doubt(store, before_us=EVER) == []


def test_the_journal_says_printed_whatever_came_beside_it(store: Store) -> None:
    paid(store)
    paid(store, KioskFact.IDLE)
    paid(store, KioskFact.IDLE, KioskFact.PRINTED)
    assert Counter(item.journal for item in worklist.in_doubt(store, before_us=EVER)) == Counter(Journal)


def test_a_confirmed_refund_is_a_void_of_the_store_with_its_slip(store: Store) -> None:
    application = paid(store)
    refund(store, application, ground=Ground.MISPRINT, slip="R-77")
    (held,) = outbox.next_held(store, limit=9)
    sent = msgspec.msgpack.decode(held.request.body, type=issuance.Void)
    assert (held.request.operation, sent.application, sent.ground, sent.staff_slip, sent.store) == (
        Operation.VOID, application, Ground.MISPRINT, "R-77", "store-1",
    )  # fmt: skip
    assert worklist.in_doubt(store, before_us=EVER) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"slip": ""}, "slip"), ({"slip": "山田"}, "slip"), ({"slip": "x" * 41}, "slip"), ({"ground": 0}, "ground"),
     ({"ground": Ground.ENTRY_ERROR}, "ground")],
)  # fmt: skip
def test_a_refund_without_ground_or_slip_is_not_registered(store: Store, changes: dict, field: str) -> None:
    application = paid(store)
    with pytest.raises(NotResolvable) as refused:
        refund(store, application, **changes)
    assert refused.value.field == field
    assert outbox.depth(store).held == 0


def test_what_was_printed_is_not_refunded_as_unprinted_and_nothing_is_refunded_twice(store: Store) -> None:
    printed = paid(store, KioskFact.PRINTED)
    with pytest.raises(NotResolvable):
        refund(store, printed, ground=Ground.NOT_PRINTED)
    refund(store, printed, ground=Ground.MISPRINT)
    with pytest.raises(NotResolvable):
        refund(store, printed, ground=Ground.MISPRINT)
    assert outbox.depth(store).held == 1


async def looked(store: Store, directory: Path, *, now_us: int, notifier=notices.to_the_log) -> Watch:
    """One look of a watch that would wait a minute."""
    with open_store(directory) as written:
        writer = Writer(written)
        watch = Watch(
            store, writer, in_doubt_after_s=60, now_us=lambda: now_us, notifier=notifier, took=lambda: None,
            line_up=lambda: True,
        )  # fmt: skip
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            await watch.look()
            nursery.cancel_scope.cancel()
        return watch


@pytest.mark.trio
async def test_printed_and_never_completed_is_completed_by_the_relay(store: Store, tmp_path: Path) -> None:
    application = paid(store, KioskFact.PRINTED)
    await looked(store, tmp_path, now_us=NOW_US + 59_000_000)
    assert outbox.depth(store).held == 0
    await looked(store, tmp_path, now_us=NOW_US + 61_000_000)
    (held,) = outbox.next_held(store, limit=9)
    sent = msgspec.msgpack.decode(held.request.body, type=issuance.Complete)
    assert (sent.application, sent.copies, sent.store, sent.deposited_at_us) == (application, 2, "store-1", NOW_US)
    assert totals.standing(store, application) == [Change(sent.store_day, 2, 600)]
    take(store, complete(application, day=sent.store_day))  # the kiosk comes back with its own
    assert outbox.depth(store).held == 1
    assert notices.unacknowledged(store, limit=9) == []
    take(store, complete(application, copies=1))
    assert [one.kind for one in notices.unacknowledged(store, limit=9)] == [NoticeKind.COMPLETION_DIFFERS]
    assert outbox.depth(store).held == 1


@pytest.mark.trio
async def test_what_was_printed_and_refused_by_the_centre_is_not_completed_again_but_told(
    store: Store, tmp_path: Path
) -> None:
    application = paid(store, KioskFact.PRINTED)
    take(store, complete(application))
    store.run("UPDATE outbox SET state = 'refused', outcome = 209")
    store.run("UPDATE dealings SET settled_us = NULL")
    for _ in range(2):
        await looked(store, tmp_path, now_us=NOW_US + 61_000_000)
    assert outbox.depth(store).held == 0
    assert [one.kind for one in notices.unacknowledged(store, limit=9)] == [NoticeKind.IN_DOUBT]


@pytest.mark.trio
async def test_what_is_in_doubt_is_noticed_once_and_sent_until_it_was_sent(store: Store, tmp_path: Path) -> None:
    paid(store)
    sent = []

    async def failing(notice: notices.Notice) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(notice.kind)
        if len(sent) == 1:
            raise OSError

    for _ in range(3):
        await looked(store, tmp_path, now_us=NOW_US + 61_000_000, notifier=failing)
    assert sent == [NoticeKind.IN_DOUBT, NoticeKind.IN_DOUBT]
    (notice,) = notices.unacknowledged(store, limit=9)
    assert notice.sent_us is not None
    assert notices.acknowledge(store, notice.number, by="page", now_us=NOW_US)
    assert not notices.acknowledge(store, notice.number, by="page", now_us=NOW_US)
    assert notices.unacknowledged(store, limit=9) == []


def test_a_fault_is_noticed_when_it_begins_and_ends(store: Store) -> None:
    for fact in (KioskFact.FAULT, KioskFact.FAULT, KioskFact.FAULT_CLEARED, KioskFact.FAULT_CLEARED):
        detail = "PAPER-JAM" if fact is KioskFact.FAULT else ""
        relay.note(store, event(fact, detail=detail), caller=kiosk(), now_us=NOW_US)
    assert [(one.kind, one.code) for one in notices.unacknowledged(store, limit=9)] == [
        (NoticeKind.KIOSK_FAULT_CLEARED, ""), (NoticeKind.KIOSK_FAULT, "PAPER-JAM"),
    ]  # fmt: skip


def test_every_document_that_a_kiosk_refuses_makes_a_notice_whatever_it_told_before(store: Store) -> None:
    for _ in range(2):
        relay.note(store, event(KioskFact.FAULT, detail="document-pages"), caller=kiosk(), now_us=NOW_US)
    assert [one.code for one in notices.unacknowledged(store, limit=9)] == ["document-pages"] * 2


def test_an_application_that_came_to_nothing_is_forgotten_and_no_other(store: Store) -> None:
    idle, dealt, told = begun(store, new_application()), paid(store), begun(store, new_application())
    take(store, erase(told))
    registry.drop_old(store, before_us=NOW_US + 1)
    assert registry.owner(store, idle) is None
    assert registry.owner(store, dealt) is not None
    assert registry.owner(store, told) is not None


# --- totals


def test_a_void_takes_back_every_copy_on_the_day_of_the_refund(store: Store) -> None:
    application = paid(store)
    take(store, complete(application, day="2026-11-20"))
    take(store, void(application, day="2026-11-21"))
    assert [(one.store_day, one.copies, one.yen) for one in totals.totals(store, "2026-11")] == [
        ("2026-11-20", 2, 600), ("2026-11-21", -2, -600),
    ]  # fmt: skip


def test_a_void_without_a_completion_changes_nothing(store: Store) -> None:
    take(store, void(paid(store)))
    assert totals.totals(store, "2026-11") == []


def correct(application: bytes, number: int, *, copies: int, day: str) -> issuance.Correct:
    return issuance.Correct(application, number, copies, NOW_US, day, Ground.ENTRY_ERROR)


def test_a_correction_moves_a_transaction_to_its_day(store: Store) -> None:
    application = paid(store)
    take(store, complete(application, day="2026-11-20"))
    take(store, correct(application, 1, copies=1, day="2026-11-19"))
    found = totals.totals(store, "2026-11")
    assert [(one.store_day, one.copies, one.yen, one.waiting) for one in found] == [
        ("2026-11-19", 1, 300, 1), ("2026-11-20", 0, 0, 2),
    ]  # fmt: skip


DAYS = st.sampled_from(["2026-11-19", "2026-11-20", "2026-11-21"])
ID = bytes(16)


@given(
    copies=st.integers(1, 20), day=DAYS, fee=st.integers(0, 1000),
    corrections=st.lists(st.tuples(st.integers(1, 20), DAYS), max_size=8), voided=st.booleans(), last=DAYS,
)  # fmt: skip
def test_changes_always_add_up_to_what_was_said_last(copies, day, fee, corrections, voided, last) -> None:
    standing = totals.changes(complete(ID, copies=copies, day=day), [], fee_yen=fee)
    for number, (now, on) in enumerate(corrections, start=1):
        standing += totals.changes(correct(ID, number, copies=now, day=on), standing, fee_yen=fee)
        copies, day = now, on
    by_day = Counter()
    for each in standing:
        by_day[each.store_day] += each.copies
    assert +by_day == Counter({day: copies})
    assert sum(each.yen for each in standing) == copies * fee
    if voided:
        standing += totals.changes(void(ID, day=last), standing, fee_yen=fee)
        assert (sum(each.copies for each in standing), sum(each.yen for each in standing)) == (0, 0)


def test_the_report_is_a_spreadsheet_and_json_of_the_same_lines(store: Store) -> None:
    store.run("UPDATE kiosks SET store_name = '=1+1'")
    take(store, complete(paid(store)))
    found = totals.totals(store, "2026-11")
    text = totals.as_csv(found)
    assert text.startswith("\ufeff取扱店,")
    (row,) = list(csv.reader(io.StringIO(text[1:])))[1:]
    assert row == ["store-1", "'=1+1", DAY, CITY, KIND, "住民票の写し", "2", str(2 * FEE_YEN), "1", "0"]
    read = msgspec.json.decode(totals.as_json(found, operator="op", period="2026-11", made_us=NOW_US))
    assert (read["copies"], read["yen"], read["waiting"], len(read["lines"])) == (2, 600, 1, 1)
