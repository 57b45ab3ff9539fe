"""Approvals by a second person and what was spent of them (migrations/0006_policy.sql).

Both statements commit by themselves before any block that rests on them. Whether an approval stands is for the ledger
to say: a row is found only under the commitment of the APPROVE that was recorded.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.store.pool import Database, PinnedConnection

_KEEP: Final = """
WITH kept AS (
  INSERT INTO inquiry.approval (party, request_id, commitment, affair, step, staff, expires_us)
  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING 1
)
INSERT INTO inquiry.approval_item (party, request_id, commitment, token)
SELECT $1, $2, $3, token FROM unnest($8::bytea[]) AS token, kept
ON CONFLICT DO NOTHING"""
_SPEND: Final = """
UPDATE inquiry.approval_item i SET spent_by = $5
FROM inquiry.approval a
WHERE i.party = $1 AND i.request_id = $2 AND i.commitment = $3 AND i.token = $4
  AND a.party = i.party AND a.request_id = i.request_id AND a.commitment = i.commitment
  AND (i.spent_by IS NULL OR i.spent_by = $5)
  AND a.affair = $6 AND a.step = $7 AND a.staff <> $8 AND a.expires_us > $9
RETURNING a.staff"""
_FORGET: Final = "DELETE FROM inquiry.approval WHERE expires_us < $1"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One APPROVE: its party, request id and request commitment, what it says, and the keyed tokens of its questions.

    staff is the approver; expires_us microseconds since 1970 UTC; tokens 32 bytes each.
    """

    party: str
    request_id: bytes
    commitment: bytes
    affair: str
    step: int
    staff: str
    expires_us: int
    tokens: Sequence[bytes]


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """One question that would pass by an approval: which approval, which question, who asks it under which id, when."""

    party: str
    approval_id: bytes
    commitment: bytes
    token: bytes
    request_id: bytes
    affair: str
    step: int
    staff: str
    now_us: int


async def keep(db: Database | PinnedConnection, approval: Approval) -> None:
    """Keep an approval with its questions; the same one again changes nothing. Raises: StoreError."""
    await db.execute(
        _KEEP,
        approval.party,
        approval.request_id,
        approval.commitment,
        approval.affair,
        approval.step,
        approval.staff,
        approval.expires_us,
        list(approval.tokens),
        commit=True,
    )


async def spend(db: Database | PinnedConnection, spending: Spending) -> str | None:
    """Mark a question's approval as spent by this request id; the approver's staff number.

    None, and nothing is changed, when there is none of this question, it has expired, another id spent it, or the
    approver is the one who asks. The same id may spend it again. Raises: StoreError; it may then be tried again.
    """
    row = await db.fetchrow(
        _SPEND,
        spending.party,
        spending.approval_id,
        spending.commitment,
        spending.token,
        spending.request_id,
        spending.affair,
        spending.step,
        spending.staff,
        spending.now_us,
        commit=True,
    )
    return None if row is None else row[0]


async def forget(db: Database | PinnedConnection, *, expired_before_us: int) -> None:
    """Drop approvals that expired before a time. Raises: StoreError."""
    await db.execute(_FORGET, expired_before_us, commit=True)
