"""The bytes of the ledger: entries, block headers, and how they hash.

An entry and a header are MessagePack arrays in the one canonical encoding msgspec gives (shortest forms), hashed and
stored as those very bytes. Nothing here signs, stores or reads a clock.

Source: docs/PROTOCOL.md, Ledger; RFC 6962 section 2.1 for the hashing.
"""

from enum import IntEnum
from typing import Final

import msgspec

from protocol.merkle import EMPTY_ROOT, leaf_hash

GENESIS: Final = bytes(32)
"""The previous hash of a stream's first block."""
BLOCK_CONTEXT: Final = "block"


class EntryKind(IntEnum):
    """Why an entry stands in the ledger."""

    FIRST = 1  # the first final outcome of a request id
    REPEAT = 2  # the same question under the same id, answered again, free
    DISCLAIM = 3  # an answer its party declares never received; yen is negative


class BlockKind(IntEnum):
    """An ordinary block, or the signed end of a stream."""

    NORMAL = 1
    CLOSE = 2


class EntryRef(msgspec.Struct, frozen=True, array_like=True):
    """Where an earlier entry stands, and for a repeat whether the answer is still the same."""

    stream: bytes  # 16 bytes
    height: int
    index: int
    same: bool


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One metered fact. No personal data: the commitments are keyed (protocol.commitment).

    Shape: MessagePack array of 17 in this order; yen and commission are signed integers of yen; at_us is
    microseconds since 1970 UTC.
    """

    version: int
    party: str
    line: str
    request_id: bytes  # 16 bytes, UUIDv7
    request_commitment: bytes  # 32 bytes
    operation: int
    matter: str  # the affair, or the certificate kind
    step: int
    counterparty: str
    outcome: int
    kind: int
    yen: int
    commission: int
    terms: int  # version of the terms that priced it
    response_commitment: bytes  # 32 bytes
    at_us: int
    ref: EntryRef | None = None


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """What a certificate centre's entry says beside: the application and what happened to it.

    transition as in protocol.application; copies is a signed change (negative for a void); deposited_at_us and
    store_day ("YYYY-MM-DD") are of the deposit (入金) that the entry is about, 0 and "" where none is.
    """

    application: bytes  # 16 bytes, UUIDv7
    transition: int
    copies: int = 0
    deposited_at_us: int = 0
    store_day: str = ""
    store: str = ""
    kiosk: str = ""


class CertificateEntry(Entry, frozen=True, array_like=True):
    """An entry of a certificate centre: version 2, an Entry of 17 and the delivery. matter is the kind.

    counterparty is the municipality; delivery is None for what concerns no application.
    """

    delivery: Delivery | None = None


class BlockHeader(msgspec.Struct, frozen=True, array_like=True):
    """What one signature covers.

    Shape: MessagePack array of 8: version, stream (16 bytes), height from 0, hash of the previous header (GENESIS for
    the first), RFC 6962 root over the entries' bytes, count, at_us, kind. A CLOSE block has no entries.
    """

    version: int
    stream: bytes
    height: int
    previous: bytes
    root: bytes
    count: int
    at_us: int
    kind: int = BlockKind.NORMAL


_encode = msgspec.msgpack.Encoder().encode
_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_certificate_entry = msgspec.msgpack.Decoder(CertificateEntry).decode
_CERTIFICATE_ENTRY: Final = b"\xdc\x00\x12\x02"
"""How an array of 18 that begins with version 2 begins."""
_decode_header = msgspec.msgpack.Decoder(BlockHeader).decode


class NotCanonicalError(ValueError):
    """Bytes that decode but are not the one encoding of what they say."""


def encode_entry(entry: Entry) -> bytes:
    """The entry's canonical bytes, the ones that are hashed and stored."""
    return _encode(entry)


def decode_entry(data: bytes) -> Entry:
    """Read an entry, or a CertificateEntry.

    Raises: NotCanonicalError, msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError.
    """
    try:
        entry = _decode_certificate_entry(data) if data.startswith(_CERTIFICATE_ENTRY) else _decode_entry(data)
    except RecursionError:
        raise NotCanonicalError("entry is nested too deeply") from None
    if _encode(entry) != data:
        raise NotCanonicalError("entry is not canonical")
    return entry


def encode_header(header: BlockHeader) -> bytes:
    """The header's canonical bytes."""
    return _encode(header)


def decode_header(data: bytes) -> BlockHeader:
    """Read a header. Raises: NotCanonicalError, msgspec.ValidationError, msgspec.DecodeError."""
    try:
        header = _decode_header(data)
    except RecursionError:
        raise NotCanonicalError("block header is nested too deeply") from None
    if _encode(header) != data:
        raise NotCanonicalError("block header is not canonical")
    if len(header.stream) != 16 or len(header.previous) != 32 or len(header.root) != 32:
        raise NotCanonicalError("block header has a field of the wrong length")
    return header


def header_hash(header: bytes) -> bytes:
    """Name of a block: the RFC 6962 leaf hash of its header; the next block's `previous` and the checkpoint's leaf."""
    return leaf_hash(header)


def close_header(*, stream: bytes, height: int, previous: bytes, at_us: int) -> BlockHeader:
    """The header that ends a stream: nothing can ever stand at or after its height."""
    return BlockHeader(1, stream, height, previous, EMPTY_ROOT, 0, at_us, BlockKind.CLOSE)
