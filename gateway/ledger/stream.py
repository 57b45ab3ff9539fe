"""A stream: the chain of blocks of one worker's life. Pure values.

A worker opens a stream, appends blocks at heights 0, 1, 2 ... and ends it with a CLOSE block; nothing ever stands at or
after the height of a CLOSE. Source: DESIGN section 7.
"""

import msgspec

from protocol.ledger import GENESIS, header_hash


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next block goes: stream id (16 bytes), its place, next height, and the hash that block must name."""

    id: bytes
    role: str
    node: str
    slot: int
    height_next: int = 0
    previous: bytes = GENESIS


def advance(stream: Stream, header: bytes) -> Stream:
    """The stream after a block with this header stands."""
    return Stream(
        id=stream.id,
        role=stream.role,
        node=stream.node,
        slot=stream.slot,
        height_next=stream.height_next + 1,
        previous=header_hash(header),
    )
