"""Proofs of notices go from the outbox into the operator's book: of the entry that moved money, not of its repeat."""

from pathlib import Path

import pytest
import trio

from gateway.peers.proof_book import ProofBookError, open_proof_book
from gateway.peers.relay import courier as courier_module
from gateway.peers.relay import filing, outbox
from gateway.peers.relay.courier import Courier
from gateway.peers.relay.filing import file_proofs, keep_filing
from gateway.peers.relay.store import Store, open_store
from gateway.peers.relay.writer import Writer
from protocol.ledger import EntryKind
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.proofs import verify_block
from tests.kit.lines import PARTY
from tests.line.kit import TRUST
from tests.peers.relay.kit import Centre, MemoryLine, begun, complete, erase, made_store, new_application, now_us, until
from tests.peers.relay.test_outbox import deliver, take


@pytest.fixture
def store(tmp_path: Path):
    with made_store(tmp_path) as made:
        yield made


def entries(book):
    """All entries of a book, each of them verified."""
    book.seal()
    return [
        entry
        for month in book.months()
        for segment in book.segments(month.month)
        for block in segment
        for entry in verify_block(block, TRUST)[1]
    ]


def unfiled(store: Store) -> int:
    return store.rows("SELECT count(*) FROM outbox WHERE proof IS NOT NULL")[0][0]


@pytest.mark.trio
async def test_proofs_of_delivered_notices_move_into_the_book(store: Store, tmp_path: Path) -> None:
    application = begun(store, new_application())
    ids = [take(store, complete(application)), take(store, erase(application))]
    await deliver(store, tmp_path, MemoryLine(Centre()))
    with open_proof_book(tmp_path / "proofs") as book:
        with store.transaction():
            assert file_proofs(store, book) == 2
            assert file_proofs(store, book) == 0
        assert [(entry.request_id, entry.yen) for entry in entries(book)] == [(ids[0], 600), (ids[1], 0)]
    assert not filing.waits(store)
    assert store.rows("SELECT DISTINCT state FROM outbox") == [("delivered",)]


@pytest.mark.trio
async def test_a_batch_that_is_in_the_book_and_was_not_let_go_of_is_filed_again(store: Store, tmp_path: Path) -> None:
    request_id = take(store, complete(begun(store, new_application())))
    await deliver(store, tmp_path, MemoryLine(Centre()))
    with open_proof_book(tmp_path / "proofs") as book:
        with pytest.raises(KeyError), store.transaction():
            file_proofs(store, book)
            raise KeyError("killed before the commit")
        assert unfiled(store) == 1
        with store.transaction():
            file_proofs(store, book)
        assert [entry.request_id for entry in entries(book)] == [request_id]  # one block, one place: one proof
    assert unfiled(store) == 0


@pytest.mark.trio
async def test_a_relay_that_runs_files_what_its_courier_settles(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing, "AT_ONCE", 3)
    monkeypatch.setattr(filing, "EVERY_S", 0.01)
    ids = {take(store, complete(begun(store, new_application()))) for _ in range(7)}
    broken = [ProofBookError("the disk is full")]
    with open_store(tmp_path) as written, open_proof_book(tmp_path / "proofs") as book:
        add = book.add

        def fails_once(proofs):
            if broken:
                raise broken.pop()
            add(proofs)

        monkeypatch.setattr(book, "add", fails_once)
        writer = Writer(written)
        courier = Courier(MemoryLine(Centre()), reader=store, writer=writer, party=PARTY, trust=TRUST, now_us=now_us)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.run)
            nursery.start_soon(courier.run)
            nursery.start_soon(keep_filing, store, writer, book)
            await until(lambda: outbox.depth(store).held == 0 and unfiled(store) == 0)
            nursery.cancel_scope.cancel()
        assert {entry.request_id for entry in entries(book)} == ids
    assert not broken


@pytest.mark.trio
@pytest.mark.parametrize("receipts", [True, False])
async def test_of_a_lost_answer_the_entry_that_moved_the_money_is_kept_if_it_can_be_had(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receipts
) -> None:
    monkeypatch.setattr(courier_module, "PAUSE_S_FIRST", 0.001)
    take(store, complete(begun(store, new_application())))
    line = MemoryLine(centre := Centre())
    line.lose_answers = True
    await deliver(store, tmp_path, line, goal=lambda: len(centre.asked) >= 1)
    line.lose_answers = False
    if not receipts:
        centre.fail = lambda request: Outcome.RECEIPT_UNKNOWN if request.operation == Operation.RECEIPT else None
    await deliver(store, tmp_path, line)
    with open_proof_book(tmp_path / "proofs") as book:
        with store.transaction():
            file_proofs(store, book)
        (kept,) = entries(book)
    assert (kept.kind, kept.yen) == ((EntryKind.FIRST, 600) if receipts else (EntryKind.REPEAT, 0))
    assert outbox.listed(store, state=None, limit=9)[0].state == "delivered"
