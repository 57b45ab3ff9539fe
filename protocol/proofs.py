"""Many proofs in little room: what a party keeps of a month's entries to check an invoice, block by block.

A receipt's proof carries the whole path of its entry, the header and the signature. Kept together, the entries of one
block share header and signature, and their paths share nodes: only those nodes stay that the entries themselves do not
give. A segment is some blocks, compressed; a file of proofs is segments one after the other, so that it grows by
appending, and is read in the memory of one segment.

Shape of a segment: "SKPF", u32 length of the compressed part, u32 length of the plain part (big-endian), then zlib over
the MessagePack array of blocks, each an array of 6 (ProofBlock). Nothing is believed by reading: `verify_block` checks
the signature once and each entry's place. Source: RFC 6962 section 2.1; RFC 1950; docs/PROTOCOL.md, Receipts.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import BinaryIO, Final

import msgspec

from protocol.ledger import BlockHeader, BlockKind, Entry, decode_entry, decode_header
from protocol.merkle import ProofError, leaf_hash, node_hash
from protocol.receipt import Fault, Proof, ReceiptError, verify_block_signature
from protocol.trust import Trust

MAGIC: Final = b"SKPF"
SEGMENT_BYTES_MAX: Final = 8 << 20
"""Of a segment's plain part."""
BLOCK_ENTRIES_MAX: Final = 1 << 16
_LEVEL: Final = 6
_HEAD: Final = struct.Struct(">4sII")


class ProofBlock(msgspec.Struct, frozen=True, array_like=True):
    """Entries of one block with the indices at which they stand, ascending, and the nodes that lead to its root.

    nodes: from the leaves upwards, left to right, those that are needed and do not follow from the entries.
    """

    header: bytes
    key_id: str
    signature: bytes
    indices: list[int]
    entries: list[bytes]
    nodes: list[bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[ProofBlock]).decode


def gather(proofs: Iterable[Proof]) -> list[ProofBlock]:
    """Proofs of single entries, put together by block; the same entry twice is kept once. They are not verified.

    Raises: ReceiptError(MALFORMED) for a header that cannot be read, ReceiptError(PATH) for a path that is too short.
    """
    blocks: dict[tuple[bytes, str, bytes], dict[int, Proof]] = {}
    for proof in proofs:
        blocks.setdefault((proof.header, proof.key_id, proof.signature), {})[proof.index] = proof
    return [_gathered(key, found) for key, found in blocks.items()]


def encode_segment(blocks: Sequence[ProofBlock]) -> bytes:
    """The bytes to append to a file of proofs. Raises: ValueError for more than one segment holds."""
    plain = _encode(blocks)
    if len(plain) > SEGMENT_BYTES_MAX:
        raise ValueError(f"a segment holds at most {SEGMENT_BYTES_MAX} bytes, not {len(plain)}: write fewer blocks")
    packed = zlib.compress(plain, _LEVEL)
    return _HEAD.pack(MAGIC, len(packed), len(plain)) + packed


def read_segments(file: BinaryIO) -> Iterator[list[ProofBlock]]:
    """The segments of a file, one in memory at a time. Raises: ReceiptError(MALFORMED) where it is cut or altered."""
    for data in read_packed(file):
        yield decode_segment(data)


def read_packed(file: BinaryIO) -> Iterator[bytes]:
    """The segments of a file as they stand there. Raises: ReceiptError(MALFORMED) where one is cut."""
    while head := file.read(_HEAD.size):
        if len(head) < _HEAD.size:
            raise ReceiptError(Fault.MALFORMED, "the file of proofs ends inside a segment")
        magic, packed_bytes, plain_bytes = _HEAD.unpack(head)
        if magic != MAGIC or max(packed_bytes, plain_bytes) > SEGMENT_BYTES_MAX:
            raise ReceiptError(Fault.MALFORMED, "not a segment of proofs")
        packed = file.read(packed_bytes)
        if len(packed) < packed_bytes:
            raise ReceiptError(Fault.MALFORMED, "the file of proofs ends inside a segment")
        yield head + packed


def decode_segment(data: bytes) -> list[ProofBlock]:
    """One segment of `read_packed`. Raises: ReceiptError(MALFORMED) where it was altered."""
    _, _, plain_bytes = _HEAD.unpack_from(data)
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(data[_HEAD.size :], plain_bytes + 1)
        if len(plain) != plain_bytes or not reader.eof or reader.unused_data:
            raise ReceiptError(Fault.MALFORMED, "a segment of proofs is not as long as it says")
        return _decode(plain)
    except (zlib.error, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ReceiptError(Fault.MALFORMED, "a segment of proofs cannot be read") from error


def verify_block(block: ProofBlock, trust: Trust) -> tuple[BlockHeader, list[Entry]]:
    """Check the signature of a block and the place of every entry; give its header and the entries.

    Raises: ReceiptError naming the part that does not hold.
    """
    header = verify_block_signature(block.header, key_id=block.key_id, signature=block.signature, trust=trust)
    if header.kind != BlockKind.NORMAL:
        raise ReceiptError(Fault.PATH, "the block is a CLOSE block, which holds no entry")
    leaves = [leaf_hash(data) for data in block.entries]
    try:
        root = root_from_some(leaves, indices=block.indices, size=header.count, nodes=block.nodes)
    except ProofError as error:
        raise ReceiptError(Fault.PATH, str(error)) from error
    if root != header.root:
        raise ReceiptError(Fault.PATH, "the entries are not in the block at these places")
    try:
        return header, [decode_entry(data) for data in block.entries]
    except (ValueError, msgspec.DecodeError) as error:
        raise ReceiptError(Fault.MALFORMED, "an entry cannot be read") from error


def root_from_some(leaves: Sequence[bytes], *, indices: Sequence[int], size: int, nodes: Sequence[bytes]) -> bytes:
    """Rebuild a root from the leaf hashes at some indices and the nodes between them. Raises: ProofError."""
    if not leaves or len(leaves) != len(indices) or not 0 < size <= BLOCK_ENTRIES_MAX:
        raise ProofError("there are not as many places as entries")
    if indices[0] < 0 or indices[-1] >= size or any(a >= b for a, b in pairwise(indices)):
        raise ProofError(f"the places are not ascending within a tree of {size}")
    places, hashes = list(indices), list(leaves)
    rest = iter(nodes)
    try:
        while size > 1:
            above: list[int] = []
            made: list[bytes] = []
            at, count, last = 0, len(places), size - 1
            while at < count:
                place, own = places[at], hashes[at]
                at += 1
                if place & 1:
                    own = node_hash(next(rest), own)
                elif at < count and places[at] == place + 1:
                    own = node_hash(own, hashes[at])
                    at += 1
                elif place != last:
                    own = node_hash(own, next(rest))
                above.append(place >> 1)
                made.append(own)
            places, hashes, size = above, made, (size + 1) >> 1
    except StopIteration:
        raise ProofError("the proof is too short") from None
    if next(rest, None) is not None:
        raise ProofError("the proof is too long")
    return hashes[0]


def _gathered(key: tuple[bytes, str, bytes], found: dict[int, Proof]) -> ProofBlock:
    header_bytes, key_id, signature = key
    try:
        size = decode_header(header_bytes).count
    except (ValueError, msgspec.DecodeError) as error:
        raise ReceiptError(Fault.MALFORMED, "the block header cannot be read") from error
    indices = sorted(found)
    if not 0 <= indices[0] <= indices[-1] < size:
        raise ReceiptError(Fault.PATH, f"an entry stands outside its block of {size}")
    known: dict[tuple[int, int], bytes] = {}
    for index in indices:
        _note_path(known, found[index].path, index, size)
    return ProofBlock(
        header_bytes, key_id, signature, indices, [found[i].entry for i in indices], _between(indices, size, known)
    )


def _note_path(known: dict[tuple[int, int], bytes], path: Sequence[bytes], place: int, size: int) -> None:
    """Say where in the tree each node of an entry's own path stands."""
    level, rest = 0, iter(path)
    while size > 1:
        if place ^ 1 < size:
            node = next(rest, None)
            if node is None:
                raise ReceiptError(Fault.PATH, "the proof is too short")
            known[level, place ^ 1] = node
        place, size, level = place >> 1, (size + 1) >> 1, level + 1


def _between(indices: Sequence[int], size: int, known: dict[tuple[int, int], bytes]) -> list[bytes]:
    """The nodes that `root_from_some` asks for, in its order."""
    nodes: list[bytes] = []
    places, level = set(indices), 0
    while size > 1:
        nodes += [known[level, place ^ 1] for place in sorted(places) if place ^ 1 < size and place ^ 1 not in places]
        places, size, level = {place >> 1 for place in places}, (size + 1) >> 1, level + 1
    return nodes
