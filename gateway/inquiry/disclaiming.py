"""DISCLAIM: reverses the fee of an answer that its party never received. No resident's data moves here.

A disclaimer is an entry of its own, once, and only for an answer its party never asked for again.
Source: DESIGN section 7, Repeats; docs/PROTOCOL.md, Operations.
"""

import structlog

from gateway.inquiry.finals import make_final
from gateway.inquiry.lane import Lane
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY
from gateway.store.ledger import LedgerStore
from protocol.commitment import commitment_key, request_commitment
from protocol.ledger import EntryKind, EntryRef, decode_entry
from protocol.messages import Disclaim, Refusal, encode
from protocol.outcomes import CATALOGUE, Outcome

log = structlog.get_logger()


class Disclaimers:
    """Answers DISCLAIM over the ledger."""

    def __init__(self, lane: Lane, *, ledger: LedgerStore) -> None:
        self._lane = lane
        self._ledger = ledger

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
