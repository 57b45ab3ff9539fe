"""The ministry's book of proofs: the proof of every answer, and of a repeated one the entry that was charged."""

from types import SimpleNamespace

import msgspec
import pytest

from gateway.peers.ministry import office
from gateway.peers.ministry.gate import Gate
from gateway.peers.ministry.paper import Papers
from gateway.peers.ministry.showing import Shown
from gateway.peers.proof_book import ProofBookError
from protocol.keys import context
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    EntryKind,
    decode_entry,
    encode_entry,
    encode_header,
)
from protocol.merkle import Tree, leaf_hash
from protocol.outcomes import Outcome
from protocol.proofs import verify_block
from protocol.receipt import Proof, decode_receipt
from tests.kit import lines
from tests.peers.ministry.kit import BY_CODE, BY_NAME, Place

pytestmark = pytest.mark.trio


class ReceiptLine:
    """A line that answers RECEIPT with one receipt."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked = 0

    async def ask(self, operation: int, body: bytes, *, timeout_s: float) -> SimpleNamespace:
        self.asked += 1
        return SimpleNamespace(outcome=Outcome.RECEIPT, body=self.body)


def booked(place: Place) -> list[tuple[str, int]]:
    """Request and yen of every entry in the book, each of them verified."""
    place.book.seal()
    return [
        (entry.request_id.hex(), entry.kind)
        for month in place.book.months()
        for segment in place.book.segments(month.month)
        for block in segment
        for entry in verify_block(block, lines.TRUST)[1]
    ]


def papers(place: Place) -> Papers:
    return Papers(place.store, Gate(place.store, Shown), lines.TRUST)


async def test_the_proof_of_every_answer_goes_into_the_book_once(place: Place) -> None:
    caller = await place.enter()
    ids = [(await place.desk.search(caller, each)).request_id for each in (BY_NAME, BY_CODE)]
    for _ in range(2):
        papers(place).book_proofs(place.book)
    assert sorted(booked(place)) == sorted((each, EntryKind.FIRST) for each in ids)


async def test_a_proof_that_the_book_did_not_take_waits_for_the_next_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    with monkeypatch.context() as broken, pytest.raises(ProofBookError):
        broken.setattr(place.book, "add", lambda _: (_ for _ in ()).throw(ProofBookError("the disk is full")))
        papers(place).book_proofs(place.book)
    papers(place).book_proofs(place.book)
    assert booked(place) == [(answer.request_id, EntryKind.FIRST)]


async def test_of_an_answer_that_was_asked_for_again_the_entry_that_was_charged_goes_into_the_book(
    place: Place,
) -> None:
    caller = await place.enter()
    answer = await place.desk.search(caller, BY_NAME)
    first = (await place.desk.receipt_file(caller, answer.request_id)).data
    other = await place.desk.search(caller, BY_CODE)
    foreign = (await place.desk.receipt_file(caller, other.request_id)).data
    proof = decode_receipt(first).proof
    entry = msgspec.structs.replace(decode_entry(proof.entry), kind=EntryKind.REPEAT, yen=0)
    repeat = signed_proof(encode_entry(entry))
    place.store.run("DELETE FROM receipts WHERE request_id = ?", other.request_id)
    place.store.run("UPDATE receipts SET proof = ?", msgspec.msgpack.encode(repeat))
    await papers(place).make_final(ReceiptLine(foreign), place.book)  # type: ignore[arg-type]
    assert booked(place) == []
    line = ReceiptLine(first)
    for _ in range(2):
        await papers(place).make_final(line, place.book)  # type: ignore[arg-type]
    assert booked(place) == [(answer.request_id, EntryKind.FIRST)]
    assert line.asked == 1  # the repeat itself has nothing that could become final


async def test_months_of_proofs_past_their_retention_leave_the_book(place: Place) -> None:
    caller = await place.enter()
    await place.desk.search(caller, BY_NAME)
    papers(place).book_proofs(place.book)
    place.book.seal()
    office._sweep(place.store, place.book)
    assert len(booked(place)) == 1
    place.clock.go(days=366 * place.store.settings.proof_years + 32)
    office._sweep(place.store, place.book)
    assert booked(place) == []
    assert not list(place.directory.rglob("*.proofs"))


def signed_proof(entry: bytes) -> Proof:
    """An entry alone in a block of the centre's."""
    tree = Tree([leaf_hash(entry)])
    header = encode_header(BlockHeader(1, lines.STREAM, 1, GENESIS, tree.root, 1, lines.NOW_US, BlockKind.NORMAL))
    return Proof(entry, 0, [], header, lines.BLOCK.key_id, lines.BLOCK.sign(context(BLOCK_CONTEXT) + header))
