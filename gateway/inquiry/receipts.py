"""RECEIPT and DISCLAIM: about what was already provided. No resident's data moves here.

A receipt is fetched without an entry of its own; a disclaimer is an entry that reverses a fee, once, and only for an
answer its party never asked for again. Source: DESIGN section 7, Repeats; docs/PROTOCOL.md, Operations and Receipts.
"""

from typing import Protocol

import structlog

from gateway.directory.policy import Refused
from gateway.inquiry.finals import make_final
from gateway.inquiry.lane import Lane
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY
from gateway.store.ledger import LedgerStore
from protocol.commitment import commitment_key, request_commitment
from protocol.ledger import EntryKind, EntryRef, decode_entry
from protocol.merkle import Tree, leaf_hash
from protocol.messages import Disclaim, ReceiptQuery, Refusal, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.receipt import Finality, Proof, Receipt, encode_receipt

log = structlog.get_logger()


class Finalities(Protocol):
    """Where a block stands in the checkpoints."""

    async def finality(self, stream: bytes, height: int, size: int) -> Finality | None:
        """The block's finality in the checkpoint of that size, or in the latest for 0; None when none covers it."""


class Receipts:
    """Answers RECEIPT and DISCLAIM over the ledger."""

    def __init__(self, lane: Lane, *, ledger: LedgerStore, finalities: Finalities) -> None:
        self._lane = lane
        self._ledger = ledger
        self._finalities = finalities

    async def receipt(self, asked: Asked, query: ReceiptQuery) -> None:
        """RECEIPT: the proof of a known id, without data, unrecorded. Raises: StoreError."""
        settle = self._lane.ground.outlet.settle
        if isinstance(asked.decision, Refused):
            settle(asked, asked.decision.outcome, encode(Refusal(asked.decision.field, asked.decision.remedy)))
            return
        material = await self._ledger.receipt_material(asked.party, query.request_id)
        if material is None:
            settle(asked, Outcome.RECEIPT_UNKNOWN, EMPTY)
            return
        block, index = material.block, material.index
        tree = Tree([leaf_hash(entry) for entry in block.entries])
        finality = await self._finalities.finality(block.stream, block.height, query.tree_size)
        receipt = Receipt(
            Proof(
                block.entries[index],
                index,
                tree.range_proof(index, index + 1),
                block.header,
                block.key_id,
                block.signature,
            ),
            None,
            finality,
        )
        settle(asked, Outcome.RECEIPT, encode_receipt(receipt))

    async def disclaim(self, asked: Asked, body: Disclaim) -> Final | None:
        """DISCLAIM: an entry that reverses the fee of an answer its party never received. Raises: StoreError."""
        lane = self._lane
        material = await self._ledger.receipt_material(asked.party, body.request_id)
        original = decode_entry(material.block.entries[material.index]) if material is not None else None
        if (
            material is None
            or original is None
            or original.yen <= 0
            or not CATALOGUE[Outcome(original.outcome)].charged
            or material.turn_max != 0
            or material.disclaimed
        ):
            lane.ground.outlet.settle(asked, Outcome.NOT_DISCLAIMABLE, encode(Refusal("request_id")))
            return None
        month_key = lane.ground.month_of(asked)
        key = commitment_key(month_key, asked.party, asked.request.request_id)
        commitment = request_commitment(key, asked.request.operation, asked.request.body)
        log.warning("disclaimed", party=asked.party)
        return make_final(
            asked,
            month_key=month_key,
            outcome=Outcome.DISCLAIMED,
            body=EMPTY,
            yen=-original.yen,
            commission=-original.commission,
            at_us=lane.ground.now_us(),
            kind=EntryKind.DISCLAIM,
            ref=EntryRef(material.block.stream, material.block.height, material.index, True),
            also=[(asked.party, body.request_id, -1, commitment)],
        )
