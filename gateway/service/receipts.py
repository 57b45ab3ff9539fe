"""RECEIPT: the proof of what was recorded for a request id, without data and without an entry of its own.

Source: DESIGN section 7, Repeats; docs/PROTOCOL.md, Operations and Receipts.
"""

from typing import Protocol

from gateway.directory.policy import Refused
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground
from gateway.store.ledger import LedgerStore
from protocol.merkle import Tree, leaf_hash
from protocol.messages import ReceiptQuery, Refusal, encode
from protocol.outcomes import Outcome
from protocol.receipt import Finality, Proof, Receipt, encode_receipt


class Finalities(Protocol):
    """Where a block stands in the checkpoints."""

    async def finality(self, stream: bytes, height: int, size: int) -> Finality | None:
        """The block's finality in the checkpoint of that size, or in the latest for 0; None when none covers it."""


class Receipts:
    """Answers RECEIPT over the ledger."""

    def __init__(self, ground: Ground, *, ledger: LedgerStore, finalities: Finalities) -> None:
        self._ground = ground
        self._ledger = ledger
        self._finalities = finalities

    async def receipt(self, asked: Asked, query: ReceiptQuery) -> None:
        """RECEIPT: the proof of a known id, without data, unrecorded. Raises: StoreError."""
        settle = self._ground.outlet.settle
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
