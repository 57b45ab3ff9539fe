"""The outbox: what TAKEN_OVER promises, in which order notices leave, and what stays when they have left."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from gateway.peers.relay import courier as courier_module
from gateway.peers.relay import notices, outbox, totals, worklist
from gateway.peers.relay import writer as writer_module
from gateway.peers.relay.courier import Courier
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.policy import NotPermitted, Reason
from gateway.peers.relay.store import FILE_NAME, Store, open_store
from gateway.peers.relay.writer import Writer
from protocol import issuance
from protocol.ledger import EntryKind, decode_entry
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.receipt import decode_receipt, verify_block_signature
from tests.kit.lines import PARTY
from tests.line.kit import TRUST
from tests.peers.relay.kit import (
    DAY,
    NOW_US,
    Centre,
    MemoryLine,
    begun,
    complete,
    erase,
    kiosk,
    made_store,
    new_application,
    until,
    void,
)  # fmt: skip

LATER_US = NOW_US + 5_000_000


@pytest.fixture
def store(tmp_path: Path):
    with made_store(tmp_path) as made:
        yield made


def take(store: Store, notice, *, request_id: bytes | None = None, now_us: int = NOW_US, by_relay: bool = False):
    request_id = request_id or new_application()
    with store.transaction():
        outbox.take_over(
            store, notice, asked=encode(notice), request_id=request_id, caller=kiosk(), now_us=now_us, by_relay=by_relay
        )
    return request_id


async def deliver(store: Store, directory: Path, line: MemoryLine, *, goal=None) -> None:
    """Run a courier until nothing is held, or until `goal`."""
    with open_store(directory) as written:
        writer = Writer(written)
        courier = Courier(line, reader=store, writer=writer, party=PARTY, trust=TRUST, now_us=lambda: LATER_US)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            nursery.start_soon(courier.run)
            await until(goal or (lambda: outbox.depth(store).held == 0))
            nursery.cancel_scope.cancel()


def test_a_notice_sent_again_is_the_same_notice(store: Store) -> None:
    application = begun(store, new_application())
    first = take(store, complete(application))
    take(store, complete(application), request_id=first)
    take(store, complete(application))  # under another id: it stays the first one's
    assert [held.request.request_id for held in outbox.next_held(store, limit=9)] == [first]
    assert len(totals.standing(store, application)) == 1


def test_another_notice_in_its_place_or_under_its_id_is_refused(store: Store) -> None:
    application, other = begun(store, new_application()), begun(store, new_application())
    first = take(store, complete(application))
    for notice, request_id in ((complete(application, copies=1), None), (complete(other), first)):
        with pytest.raises(NotPermitted) as refused:
            take(store, notice, request_id=request_id)
        assert refused.value.reason is Reason.CHANGED
    assert outbox.depth(store).held == 1


def test_the_relays_time_goes_into_an_erasure_once(store: Store) -> None:
    application = begun(store, new_application())
    take(store, erase(application), now_us=LATER_US)
    take(store, erase(application), now_us=LATER_US + 1)
    (held,) = outbox.next_held(store, limit=9)
    sent = msgspec.msgpack.decode(held.request.body, type=issuance.Erase)
    assert sent == msgspec.structs.replace(erase(application), relay_at_us=LATER_US)


@pytest.mark.trio
async def test_an_application_s_notices_leave_in_order_and_its_erasure_leaves_only_proofs(
    store: Store, tmp_path: Path
) -> None:
    application = begun(store, new_application())
    ids = [take(store, complete(application)), take(store, void(application)), take(store, erase(application))]
    centre = Centre()
    await deliver(store, tmp_path, MemoryLine(centre))
    asked = [request.request_id for request in centre.asked]
    assert [each for each in asked if each != ids[2]] == ids[:2]
    assert sorted(asked) == sorted(ids)
    rows = store.rows("SELECT state, body, opening, proof, asked, request_id FROM outbox ORDER BY number")
    for state, body, opening, proof, asked, request_id in rows:
        assert (state, body, opening, len(asked)) == ("delivered", None, None, 32)
        kept = decode_receipt(proof)
        assert kept.opening is None
        verify_block_signature(kept.proof.header, key_id=kept.proof.key_id, signature=kept.proof.signature, trust=TRUST)
        assert decode_entry(kept.proof.entry).request_id == request_id
    assert store.row("SELECT municipality, kind, copies, fee_yen FROM applications") == ("", "", 0, 0)
    assert notices.unacknowledged(store, limit=9) == []  # the centre's amounts are the store's


@pytest.mark.trio
async def test_before_its_erasure_a_delivered_notice_keeps_its_opening(store: Store, tmp_path: Path) -> None:
    take(store, complete(begun(store, new_application())))
    await deliver(store, tmp_path, MemoryLine(Centre()))
    ((opening,),) = store.rows("SELECT opening FROM outbox")
    assert msgspec.msgpack.decode(opening)["operation"] == Operation.COMPLETE


@pytest.mark.trio
async def test_the_same_request_is_sent_until_the_centre_records_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    request_id = take(store, complete(begun(store, new_application())))
    centre = Centre()
    line = MemoryLine(centre)
    answers = [Outcome.BUSY, Outcome.PENDING, Outcome.UNAVAILABLE, Outcome.FUTURE_REQUEST_ID]
    centre.fail = lambda request: answers.pop(0) if answers else None
    await deliver(store, tmp_path, line)
    assert {(request.request_id, request.body) for request in centre.asked} == {(request_id, centre.asked[0].body)}
    assert len(centre.asked) == 5


@pytest.mark.trio
async def test_an_answer_that_was_lost_is_asked_for_again_and_is_a_repeat(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    take(store, complete(begun(store, new_application())))
    centre = Centre()
    line = MemoryLine(centre)
    line.lose_answers = True
    await deliver(store, tmp_path, line, goal=lambda: len(centre.asked) >= 1)
    assert outbox.depth(store).held == 1
    line.lose_answers = False
    await deliver(store, tmp_path, line)
    assert {kind for _, kind in centre.kinds} == {EntryKind.FIRST, EntryKind.REPEAT}
    assert notices.unacknowledged(store, limit=9) == []


@pytest.mark.trio
async def test_what_was_repeated_too_often_is_proven_by_its_receipt(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    take(store, complete(begun(store, new_application())))
    centre = Centre()
    line = MemoryLine(centre)
    line.lose_answers = True
    await deliver(store, tmp_path, line, goal=lambda: len(centre.asked) >= 1)
    line.lose_answers = False
    centre.fail = lambda request: Outcome.REPEAT_LIMIT if request.operation == Operation.COMPLETE else None
    await deliver(store, tmp_path, line)
    ((state, outcome, proof),) = store.rows("SELECT state, outcome, proof FROM outbox")
    assert (state, outcome) == ("delivered", Outcome.COMPLETED)
    assert decode_entry(decode_receipt(proof).proof.entry).yen == 600


@pytest.mark.trio
async def test_the_receipt_of_another_request_settles_nothing(store: Store, tmp_path: Path) -> None:
    take(store, complete(begun(store, new_application())))
    centre = Centre()
    await deliver(store, tmp_path, MemoryLine(centre))
    (foreign,) = centre.receipts.values()
    take(store, complete(begun(store, new_application())))
    (held,) = outbox.next_held(store, limit=9)
    assert outbox.settled_by(foreign, held=held, party=PARTY, trust=TRUST) is None
    assert outbox.settled_by(b"", held=held, party=PARTY, trust=TRUST) is None


@pytest.mark.trio
async def test_a_refused_notice_waits_for_a_person_and_holds_up_nothing(store: Store, tmp_path: Path) -> None:
    application, other = begun(store, new_application()), begun(store, new_application())
    take(store, complete(application))
    take(store, erase(application))
    take(store, complete(other))
    centre = Centre()
    centre.fail = lambda request: (
        Outcome.APPLICATION_STATE if request.operation == Operation.COMPLETE and application in request.body else None
    )
    await deliver(store, tmp_path, MemoryLine(centre))
    (item,) = worklist.refused(store)
    assert (item.application, item.outcome) == (application.hex(), Outcome.APPLICATION_STATE)
    (notice,) = notices.unacknowledged(store, limit=9)
    assert (notice.kind, notice.code, notice.store) == (NoticeKind.NOTICE_REFUSED, "APPLICATION_STATE", "store-1")
    (total,) = totals.totals(store, DAY)
    assert (total.copies, total.refused) == (2, 1)  # the other one's alone
    assert store.row("SELECT body FROM outbox WHERE number = ?", item.number) != (None,)
    with store.transaction():
        worklist.close_refused(store, item.number, by="CASE-1", now_us=LATER_US)
    assert worklist.refused(store) == []
    assert store.row("SELECT body, closed_by FROM outbox WHERE number = ?", item.number) == (None, "CASE-1")


@pytest.mark.trio
async def test_what_a_suspension_held_back_goes_out_under_new_ids_in_order_once_it_has_ended(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "SUSPENDED_LOOK_S", 0.001)
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    first, other = begun(store, new_application()), begun(store, new_application())
    ids = [take(store, notice) for notice in (complete(first), erase(first), complete(other))]
    centre = Centre()
    centre.fail = lambda request: Outcome.SUSPENDED
    asked = [Operation.COMPLETE.name, Operation.ERASE.name, Operation.STATUS.name]
    await deliver(store, tmp_path, MemoryLine(centre), goal=lambda: centre.operations().count("STATUS") > 3)
    assert outbox.depth(store).held == 3
    assert worklist.refused(store) == []
    assert worklist.in_doubt(store, before_us=2**62) == []
    assert len(centre.recorded) <= 3, "a suspension writes a line for a notice, not for every time it is asked"
    assert set(asked) == set(centre.operations())
    centre.fail = None
    seen = len(centre.asked)
    await deliver(store, tmp_path, MemoryLine(centre))
    rows = store.rows("SELECT application, operation, request_id, state, outcome FROM outbox ORDER BY number")
    assert [(row[3], row[4]) for row in rows] == [
        ("delivered", Outcome.COMPLETED), ("delivered", Outcome.ERASED), ("delivered", Outcome.COMPLETED),
    ]  # fmt: skip
    assert {row[2] for row in rows} & set(centre.recorded) == {row[2] for row in rows}
    assert rows[0][2] != ids[0]
    assert rows[1][2] != ids[1]
    after = [request for request in centre.asked[seen:] if request.request_id in {row[2] for row in rows[:2]}]
    assert sorted(request.operation for request in after) == [Operation.COMPLETE, Operation.ERASE]
    (total,) = totals.totals(store, DAY)
    assert (total.copies, total.waiting, total.refused) == (4, 0, 0)
    assert centre.money == {first: 600, other: 600}
    take(store, complete(first), request_id=ids[0])  # a kiosk that never heard TAKEN_OVER: still the same notice
    assert outbox.depth(store).held == 0


@pytest.mark.trio
async def test_a_suspension_that_ended_while_the_relay_was_off_holds_nothing_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    request_id = take(store, complete(begun(store, new_application())))
    centre = Centre()
    centre.recorded[request_id] = (Outcome.SUSPENDED, encode(issuance.Relayed(0, b"")), 0)
    await deliver(store, tmp_path, MemoryLine(centre))
    assert centre.operations() == ["COMPLETE", "RECEIPT", "STATUS", "COMPLETE"]
    ((state, outcome),) = store.rows("SELECT state, outcome FROM outbox")
    assert (state, outcome) == ("delivered", Outcome.COMPLETED)


@pytest.mark.trio
async def test_what_was_held_for_longer_than_an_id_is_taken_goes_out_under_a_new_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    request_id = take(store, complete(begun(store, new_application())))
    centre = Centre()
    centre.fail = lambda request: Outcome.STALE_REQUEST_ID if request.request_id == request_id else None
    await deliver(store, tmp_path, MemoryLine(centre))
    assert centre.operations() == ["COMPLETE", "COMPLETE"]
    assert store.rows("SELECT state FROM outbox") == [("delivered",)]
    assert notices.unacknowledged(store, limit=9) == []


@pytest.mark.trio
async def test_money_whose_completion_was_refused_is_in_doubt_again_until_it_is_refunded(
    store: Store, tmp_path: Path
) -> None:
    application = begun(store, new_application())
    take(store, complete(application))
    assert worklist.in_doubt(store, before_us=2**62) == []
    centre = Centre()
    centre.fail = lambda request: Outcome.FIELD_INVALID if request.operation == Operation.COMPLETE else None
    await deliver(store, tmp_path, MemoryLine(centre))
    (item,) = worklist.in_doubt(store, before_us=2**62)
    assert (item.application, item.journal, item.refused) == (application.hex(), worklist.Journal.PRINTED, True)
    with store.transaction():
        worklist.confirm_refund(
            store, application, ground=issuance.Ground.STAFF, slip="R-1", request_id=new_application(), now_us=LATER_US
        )
    await deliver(store, tmp_path, MemoryLine(centre))
    assert worklist.in_doubt(store, before_us=2**62) == []
    assert totals.standing(store, application) == []


@pytest.mark.trio
async def test_another_amount_at_the_centre_is_noticed(store: Store, tmp_path: Path) -> None:
    application = new_application()
    begun(store, application)
    store.run("UPDATE applications SET fee_yen = 200")
    take(store, complete(application))
    await deliver(store, tmp_path, MemoryLine(Centre()))
    assert [notice.kind for notice in notices.unacknowledged(store, limit=9)] == [NoticeKind.AMOUNT_DIFFERS]


@pytest.mark.trio
async def test_many_notices_of_one_moment_share_commits(store: Store, tmp_path: Path) -> None:
    applications = [begun(store, new_application()) for _ in range(100)]
    with open_store(tmp_path) as written:
        writer = Writer(written)

        async def one(application: bytes) -> None:
            await writer(
                lambda store: outbox.take_over(
                    store, complete(application), asked=encode(complete(application)), request_id=new_application(),
                    caller=kiosk(), now_us=NOW_US,
                )
            )  # fmt: skip

        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            async with trio.open_nursery() as callers:
                for application in applications:
                    callers.start_soon(one, application)
            nursery.cancel_scope.cancel()
        assert outbox.depth(store).held == 100
        assert writer.commits <= 3


@pytest.mark.trio
async def test_what_may_be_written_soon_goes_with_the_next_commit_in_its_order_or_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.row("SELECT 1") == (1,)
    monkeypatch.setattr(writer_module, "SOON_S", 0.01)
    done: list[int] = []
    with open_store(tmp_path) as written:
        writer = Writer(written)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            writer.soon(lambda _: done.append(1))
            await writer(lambda _: done.append(2))
            assert (done, writer.commits) == ([1, 2], 1)
            writer.soon(lambda _: done.append(3))
            await until(lambda: writer.commits == 2)
            nursery.cancel_scope.cancel()
    assert done == [1, 2, 3]


@pytest.mark.trio
async def test_one_work_that_fails_leaves_the_others_of_its_commit(store: Store, tmp_path: Path) -> None:
    application = begun(store, new_application())
    failed = []
    with open_store(tmp_path) as written:
        writer = Writer(written)

        async def wrong() -> None:
            def work(store: Store) -> None:
                store.run("DELETE FROM applications")
                raise NotPermitted(Reason.CHANGED)

            try:
                await writer(work)
            except NotPermitted as error:
                failed.append(error)

        async def right() -> None:
            await writer(
                lambda store: outbox.take_over(
                    store, void(application), asked=b"", request_id=new_application(), caller=kiosk(), now_us=NOW_US
                )
            )

        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as callers:
                callers.start_soon(wrong)
                callers.start_soon(right)
                nursery.start_soon(writer.run)
            nursery.cancel_scope.cancel()
    assert len(failed) == 1
    assert outbox.depth(store).held == 1
    assert store.row("SELECT count(*) FROM applications") == (1,)


def on_disk(directory: Path, marked: bytes) -> bool:
    return any(marked in file.read_bytes() for file in directory.glob(f"{FILE_NAME}*"))


@pytest.mark.trio
async def test_erased_bytes_are_in_no_file(store: Store, tmp_path: Path) -> None:
    application = begun(store, new_application())
    marked = msgspec.structs.replace(complete(application), slip="MARKED-SLIP-7")
    take(store, marked)
    take(store, erase(application))
    assert on_disk(tmp_path, b"MARKED-SLIP-7")
    with open_store(tmp_path) as written:
        writer = Writer(written)
        courier = Courier(
            MemoryLine(Centre()), reader=store, writer=writer, party=PARTY, trust=TRUST, now_us=lambda: LATER_US
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            nursery.start_soon(courier.run)
            await until(lambda: outbox.depth(store).held == 0)
            await writer.forget()
            nursery.cancel_scope.cancel()
    assert not on_disk(tmp_path, b"MARKED-SLIP-7")


_KILLED = """
import os, sys
from pathlib import Path
from gateway.peers.relay import outbox
from gateway.peers.relay.store import open_store
from protocol.messages import encode
from tests.peers.relay import kit

directory, step, application, request_id = Path(sys.argv[1]), sys.argv[2], *map(bytes.fromhex, sys.argv[3:])
with open_store(directory) as store:
    manager = store.transaction()
    manager.__enter__()
    notice = kit.complete(application)
    outbox.take_over(store, notice, asked=encode(notice), request_id=request_id, caller=kit.kiosk(), now_us=kit.NOW_US)
    if step == "before":
        os.kill(os.getpid(), 9)
    manager.__exit__(None, None, None)
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(("step", "held"), [("before", 0), ("after", 1)])
def test_a_process_killed_around_its_commit_holds_all_of_a_notice_or_nothing(
    store: Store, tmp_path: Path, step: str, held: int
) -> None:
    application, request_id = begun(store, new_application()), new_application()
    root = Path(__file__).parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, tmp_path, step, application.hex(), request_id.hex()],
        check=False, cwd=root, env={"PYTHONPATH": str(root), "PATH": ""}, timeout=60,
    )  # fmt: skip
    assert killed.returncode == -9
    with open_store(tmp_path) as again:
        assert outbox.depth(again).held == held
        assert len(totals.standing(again, application)) == held
        take(again, complete(application), request_id=request_id)  # the kiosk, which heard nothing, sends it again
        assert [one.request.request_id for one in outbox.next_held(again, limit=9)] == [request_id]
