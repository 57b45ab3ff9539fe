"""Building one block from entries' bytes, and the claims that go with it. Pure; on the hot path.

The stored form of a block's entries is each entry after its u32 length, so that the very bytes that were hashed are
kept. Source: DESIGN sections 2 and 7; docs/PROTOCOL.md, Ledger.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.ledger.stream import Stream
from protocol.keys import context
from protocol.ledger import BLOCK_CONTEXT, BlockHeader, close_header, encode_header
from protocol.merkle import Tree

_CONTEXT: Final = context(BLOCK_CONTEXT)
_sha256 = hashlib.sha256


class Draft(msgspec.Struct, frozen=True):
    """A block that is not signed yet: header bytes, tree over the entries, entries in stored form, what is signed."""

    stream: Stream
    header: bytes
    tree: Tree
    entries: bytes
    to_sign: bytes


def build_block(stream: Stream, entries: Sequence[bytes], at_us: int) -> Draft:
    """The next block of a stream over these entries' bytes, in this order."""
    sha256 = _sha256
    tree = Tree([sha256(b"\x00" + entry).digest() for entry in entries])
    header = encode_header(
        BlockHeader(1, stream.id, stream.height_next, stream.previous, tree.root, len(entries), at_us)
    )
    return Draft(stream, header, tree, pack_entries(entries), _CONTEXT + header)


def build_close(stream: Stream, at_us: int) -> Draft:
    """The CLOSE block of a stream."""
    header = encode_header(
        close_header(stream=stream.id, height=stream.height_next, previous=stream.previous, at_us=at_us)
    )
    return Draft(stream, header, Tree([]), b"", _CONTEXT + header)


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """The stored form: u32 length, bytes, for each."""
    return b"".join([len(entry).to_bytes(4, "big") + entry for entry in entries])
