"""Approvals by a second person (牽制体制): giving one, and spending it on the very question it was given for.

1. APPROVE is decided by policy like a question (contract, suspension, hours, affair, step, case), with the right to
   approve in place of the right to ask; its details are kept, and then it is recorded in the ledger.
2. A question that names an approval is looked for under the request commitment that the ledger recorded for that id:
   what was kept but never recorded, or recorded as a refusal, approves nothing.
3. Its digest, computed here from its own body, is marked spent by its request id in one guarded statement, before the
   block it will stand in. A crash in between leaves it spent by that id, which may use it again; no other may.
4. The approver must still have the right when the approval is spent, and is never the one who asks.

Digests are kept keyed by the register's index key, since a digest of a question could be guessed.
Source: 002 別2-2(9)イ; DESIGN 9; docs/PROTOCOL.md, Approvals.
"""

import hmac
from typing import Final as Const

from gateway.directory.policy import Refused
from gateway.inquiry.lane import Lane
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY
from gateway.store import approvals as store
from gateway.store.ledger import LedgerStore
from gateway.store.pool import Database, PinnedConnection
from protocol import limits
from protocol.approval import approval_digest
from protocol.commitment import commitment_key, request_commitment
from protocol.ledger import decode_entry
from protocol.messages import Approve, Inquiry
from protocol.outcomes import Outcome

INVALID: Const = Refused(
    outcome=Outcome.APPROVAL_INVALID,
    field="approval",
    remedy="have another member of staff approve this very question, then ask under a new id",
)
EXPIRY_REFUSED: Const = Refused(
    outcome=Outcome.FIELD_INVALID,
    field="expires_at_us",
    remedy=f"let it expire within {limits.APPROVAL_LIFETIME_MS_MAX // 60_000} minutes from now",
)


class Approvals:
    """Gives and spends approvals over the store and the ledger; for one task at a time."""

    def __init__(self, lane: Lane, *, db: Database | PinnedConnection, ledger: LedgerStore) -> None:
        self._lane = lane
        self._db = db
        self._ledger = ledger

    async def approve(self, asked: Asked, body: Approve) -> Final:
        """APPROVE, granted by policy and under a new id: kept, then recorded. Raises: StoreError."""
        lane = self._lane
        now_us = lane.ground.now_us()
        if not now_us < body.expires_at_us <= now_us + limits.APPROVAL_LIFETIME_MS_MAX * 1_000:
            return lane.refusal(asked, EXPIRY_REFUSED, now_us)
        request = asked.request
        key = commitment_key(lane.ground.month_of(asked), asked.party, request.request_id)
        await store.keep(
            self._db,
            store.Approval(
                party=asked.party,
                request_id=request.request_id,
                commitment=request_commitment(key, request.operation, request.body),
                affair=body.affair,
                step=body.step,
                staff=body.staff,
                expires_us=body.expires_at_us,
                tokens=[self._token(digest) for digest in body.digests],
            ),
        )
        return lane.free(asked, Outcome.APPROVED, EMPTY, now_us)

    async def spend(self, asked: Asked, body: Inquiry, approval_id: bytes) -> bool:
        """Whether a question passes by this approval; it is then spent by the question's id. Raises: StoreError."""
        material = await self._ledger.receipt_material(asked.party, approval_id)
        if material is None:
            return False
        recorded = decode_entry(material.block.entries[material.index])
        if recorded.outcome != Outcome.APPROVED:
            return False
        approver = await store.spend(
            self._db,
            store.Spending(
                party=asked.party,
                approval_id=approval_id,
                commitment=recorded.request_commitment,
                token=self._token(approval_digest(asked.request.operation, body)),
                request_id=asked.request.request_id,
                affair=body.affair,
                step=body.step,
                staff=body.staff,
                now_us=self._lane.ground.now_us(),
            ),
        )
        return approver is not None and self._lane.ground.standing(asked.party, asked.line).may_approve(approver)

    def _token(self, digest: bytes) -> bytes:
        return hmac.digest(self._lane.keys.index_key, b"sekisho/1 approval\0" + digest, "sha256")
