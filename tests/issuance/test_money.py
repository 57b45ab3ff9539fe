"""What a delivery is worth: completed, corrected, voided; and nothing of it lost or doubled."""

import itertools

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.directory.policy import Refused
from gateway.issuance import completing
from gateway.issuance.states import MONEY, Move, State
from gateway.ledger.projection import project_all
from gateway.ledger.verification import verify_ledger
from gateway.store.issuance import ApplicationRow
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, open_reader
from gateway.store.pool import open_database
from protocol.application import Transition
from protocol.issuance import Apply, Complete, Correct, Ground, Statement, Void
from protocol.messages import encode
from protocol.outcomes import Outcome
from tests.issuance.kit import COMMISSION, FEE, NOW_US, Kiosk, centre_of, directory_of, municipality

MINUTE_US = 60_000_000
DAY_US = 1_440 * MINUTE_US


@pytest.mark.guest
async def test_a_completion_counts_however_late_it_comes_and_at_the_fee_that_was_shown(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued(copies=3)
        deposited_at_us = centre.now_us()
        centre.shift_us = 40 * DAY_US
        dearer = municipality(centre.town, offers=())
        centre.directory = directory_of(cards, centre.town, municipalities=(dearer,))
        answer = await kiosk.complete(3, deposited_at_us=deposited_at_us)
        assert (answer.outcome, answer.entry.yen, answer.entry.commission) == (
            Outcome.COMPLETED,
            3 * FEE,
            3 * COMMISSION,
        )


@pytest.mark.guest
async def test_a_completion_after_the_erasure_still_counts(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        await kiosk.erase()
        assert (await kiosk.complete()).entry.yen == 2 * FEE


@pytest.mark.guest
async def test_a_void_takes_back_every_copy_and_nothing_may_follow_it(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued(copies=3)
        await kiosk.complete(3)
        voided = await kiosk.void()
        assert (voided.entry.yen, voided.entry.commission) == (-3 * FEE, -3 * COMMISSION)
        assert (voided.entry.delivery.copies, voided.entry.delivery.deposited_at_us) == (-3, NOW_US)
        assert (await kiosk.correct(1, 2)).outcome is Outcome.APPLICATION_STATE
        assert (await kiosk.document()).outcome is Outcome.APPLICATION_STATE


@pytest.mark.guest
async def test_what_was_never_completed_is_voided_for_nothing_and_then_never_completed(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        voided = await kiosk.void()
        assert (voided.outcome, voided.entry.yen, voided.entry.delivery.copies) == (Outcome.VOIDED, 0, 0)
        assert (await kiosk.complete()).outcome is Outcome.APPLICATION_STATE


@pytest.mark.guest
async def test_corrections_are_signed_differences_in_their_order(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued(copies=4)
        await kiosk.complete(2)
        assert (await kiosk.correct(2, 1)).outcome is Outcome.APPLICATION_STATE
        up = await kiosk.correct(1, 4)
        down = await kiosk.correct(2, 1, deposited_at_us=NOW_US + 1)
        assert [(each.entry.yen, each.entry.delivery.copies) for each in (up, down)] == [(2 * FEE, 2), (-3 * FEE, -3)]
        assert down.entry.delivery.deposited_at_us == NOW_US + 1
        assert (await kiosk.correct(3, 1, deposited_at_us=NOW_US + 1)).outcome is Outcome.FIELD_INVALID
        assert (await kiosk.void()).entry.yen == -FEE


BAD = {
    "more copies than were applied for": {"copies": 3},
    "a day that does not exist": {"store_day": "2026-02-29"},
    "a day in the future": {"store_day": "2026-11-21"},
    "a day that is not the deposit's": {"store_day": "2026-11-18"},
    "a deposit before the application": {"deposited_at_us": NOW_US - 2 * MINUTE_US, "store_day": "2026-11-20"},
    "a deposit in the future": {"deposited_at_us": NOW_US + 2 * MINUTE_US},
    "a deposit that no clock shows": {"deposited_at_us": 1 << 63},
    "a store that could be a name": {"store": "山田商店"},
    "a slip with spaces": {"slip": "a b"},
}


@pytest.mark.guest
async def test_a_completion_that_cannot_be_is_refused_by_its_field(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        for what, changes in BAD.items():
            answer = await kiosk.complete(**changes)
            assert (answer.outcome, answer.entry.yen) == (Outcome.FIELD_INVALID, 0), what
        late_shop = await kiosk.complete(store_day="2026-11-19")
        assert late_shop.outcome is Outcome.COMPLETED


@pytest.mark.guest
async def test_a_void_needs_a_ground_and_a_clerks_one_the_slip(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        for changes in ({"ground": 9}, {"ground": Ground.ENTRY_ERROR}, {"ground": Ground.STAFF}, {"staff_slip": "!"}):
            assert (await kiosk.void(**changes)).outcome is Outcome.FIELD_INVALID
        assert (await kiosk.void(ground=Ground.STAFF, staff_slip="R-1")).outcome is Outcome.VOIDED


@pytest.mark.guest
async def test_void_and_completion_at_the_same_moment_by_two_workers_never_leave_money_behind(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        one, two = centre.workers
        for _ in range(5):
            kiosk = await Kiosk(centre).issued()
            release = one.hold = two.hold = trio.Event()
            answers = {}

            async def ask(worker, operation, body, answers=answers):
                answers[operation] = await worker.ask(operation, body)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, one, 26, kiosk.complete_body())
                nursery.start_soon(ask, two, 27, kiosk.void_body())
                await trio.testing.wait_all_tasks_blocked(0.02)
                release.set()
            one.hold = two.hold = None
            again = {26: await kiosk.complete(), 27: await kiosk.void()}
            assert again[27].outcome is Outcome.VOIDED, (answers, again)
            assert await standing(centre, kiosk.application) == (0, 0, 0)


@pytest.mark.guest
async def test_two_notices_about_money_in_one_frame_follow_one_another(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk, (worker,) = await Kiosk(centre).issued(), centre.workers
        first, second = await worker.send(worker.asked(26, kiosk.complete_body()), worker.asked(27, kiosk.void_body()))
        assert (first.outcome, second.outcome) == (Outcome.COMPLETED, Outcome.PENDING)
        assert (await kiosk.void()).entry.yen == -2 * FEE


async def standing(centre, application):
    """Copies, yen and commission of all events of an application."""
    rows = await centre.workers[0].database.fetch(
        "select sum(copies)::int, sum(yen)::int, sum(commission)::int from issuance.event where application = $1",
        application,
    )
    return tuple(rows[0])


@pytest.mark.guest
async def test_the_ledger_says_what_the_events_say_and_its_audit_finds_nothing(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        plans = ([], ["complete"], ["complete", "correct"], ["complete", "correct", "void"], ["void"])
        for number, plan in enumerate(plans):
            kiosk = await Kiosk(centre, centre.workers[number % 2]).issued(copies=4)
            for step in plan:
                arguments = {"complete": (3,), "correct": (1, 2), "void": ()}[step]
                for _ in range(2):  # and once more, under another id
                    assert (await getattr(kiosk, step)(*arguments)).outcome.value // 100 == 1
            await kiosk.erase()
        async with open_database(database_dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops:
            await project_all(ops)
            entries = await ops.fetch(
                "select uuid_send(application), sum(yen)::int, sum(commission)::int, sum(copies)::int"
                " from ledger.entry where application is not null group by 1 order by 1"
            )
            events = await ops.fetch(
                "select application, sum(yen)::int, sum(commission)::int, sum(copies)::int"
                " from issuance.event group by 1 order by 1"
            )
            assert [tuple(row) for row in entries] == [tuple(row) for row in events]
            async with open_reader(ops) as reader:
                report = await verify_ledger(reader, centre.keys.trust, kept=[])
        assert report.findings == []
        assert report.claims > report.blocks


# --- without a database: any story conserves


def _state(events):
    statement = Statement(bytes(16), "121002", "juminhyo", 0, 5, NOW_US)
    row = ApplicationRow(bytes(16), "op", "kiosk-1", "121002", 1, bytes(16), b"", NOW_US + MINUTE_US)
    moves = [
        _moved(Transition.AUTHENTICATED, b""),
        _moved(Transition.APPLIED, encode(Apply(statement, bytes(64))), fee_yen=FEE, commission_yen=COMMISSION),
        _moved(Transition.ISSUED, b""),
        *events,
    ]
    return State(row, {move.transition: move.event(0) for move in moves})


def _moved(transition, request, **facts):
    return Move(
        application=bytes(16),
        operator="op",
        municipality="121002",
        transition=transition,
        outcome=Outcome.APPLIED,
        request=request,
        answer=b"",
        at_us=NOW_US,
        **facts,
    )


_NOTICES = st.one_of(
    st.builds(
        lambda copies, at: Complete(bytes(16), copies, NOW_US + at, "2026-11-20", "store-1", "S-1"),
        st.integers(1, 7),
        st.integers(0, 3),
    ),
    st.builds(
        lambda number, copies, at: Correct(bytes(16), number, copies, NOW_US + at, "2026-11-20", Ground.ENTRY_ERROR),
        st.integers(1, 8),
        st.integers(1, 7),
        st.integers(0, 3),
    ),
    st.just(Void(bytes(16), Ground.MISPRINT, NOW_US, "2026-11-20", "store-1", "")),
)


@given(st.lists(_NOTICES, max_size=30))
@settings(max_examples=200, deadline=None)
def test_whatever_is_notified_in_whatever_order_what_stands_is_what_was_printed_and_not_voided(notices):
    moves, reads = [], None
    for notice in notices:
        decide = {Complete: completing.complete, Correct: completing.correct, Void: completing.void}[type(notice)]
        decided = decide(_state(moves), notice, request=encode(notice), now_us=NOW_US)
        if isinstance(decided, Move):
            moves.append(decided)
            reads = None if isinstance(notice, Void) else notice
        else:
            assert isinstance(decided, Refused) or decided.request == encode(notice)
    copies = reads.copies if reads else 0
    assert sum(move.yen for move in moves) == copies * FEE
    assert sum(move.commission for move in moves) == copies * COMMISSION
    assert sum(move.copies for move in moves) == copies
    assert [move.place for move in moves] == list(itertools.islice(itertools.count(1), len(moves)))
    assert {move.transition for move in moves} <= MONEY
