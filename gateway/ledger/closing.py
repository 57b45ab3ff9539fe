"""Ending a stream for certain: after a doubtful COMMIT, and for a predecessor that died.

A CLOSE block is inserted at the next height. If that succeeds, whatever was on its way there can never stand; if the
height is taken, what stands there is read back: the orphan had committed. PostgreSQL makes the insert wait for a
transaction still under way at that height, so the answer is final either way.
Invariant 9: until this knows, the caller says PENDING. Source: DESIGN section 7, Unknown commit.
"""

from collections.abc import Awaitable, Callable

import msgspec

from gateway.ledger.block import build_close
from gateway.ledger.stream import Stream, advance
from gateway.store.errors import CommitUnknown
from gateway.store.ledger import BlockConflict, LedgerStore, StoredBlock
from protocol.ledger import BlockKind, decode_header

Sign = Callable[[bytes], Awaitable[tuple[str, bytes]]]
"""Signs a block: content -> key id, signature."""


class ClosedAt(msgspec.Struct, frozen=True):
    """The stream ends at this height; what was in doubt can never stand."""

    height: int


class OrphanCommitted(msgspec.Struct, frozen=True):
    """The height in doubt is taken by this block (which may be a CLOSE of someone else's)."""

    block: StoredBlock


async def close_stream(store: LedgerStore, sign: Sign, stream: Stream, now_us: int) -> ClosedAt | OrphanCommitted:
    """Insert a CLOSE block at stream.height_next.

    Raises: StoreError while the answer cannot be had; what `sign` raises. Not to be cancelled: shield it.
    """
    draft = build_close(stream, now_us)
    key_id, signature = await sign(draft.to_sign)
    try:
        await store.commit(draft, signature, key_id, [])
    except (BlockConflict, CommitUnknown):
        standing = await store.read_block(stream.id, stream.height_next)
        if standing is None:
            raise
        if standing.header == draft.header:
            return ClosedAt(stream.height_next)
        return OrphanCommitted(standing)
    return ClosedAt(stream.height_next)


async def close_abandoned(store: LedgerStore, sign: Sign, stream: Stream, now_us: int) -> int:
    """End a stream whose worker is gone, however many blocks it still managed to commit. Gives the CLOSE's height."""
    while True:
        end = await close_stream(store, sign, stream, now_us)
        if isinstance(end, ClosedAt):
            return end.height
        header = decode_header(end.block.header)
        if header.kind == BlockKind.CLOSE:
            return header.height
        stream = advance(stream, end.block.header)
