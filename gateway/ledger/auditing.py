"""One block held against its stream, key and leaf; and what must hang on it. Pure; the hot loop of verification.

A block's entries are hashed and decoded once. What its claims and projected rows must come to is one digest each
(`Due`), so an entry costs some microseconds; gateway.ledger.hanging holds that against what the tables have.

Invariants: nothing read from the database is believed before it was compared with signed bytes.
"""

import hashlib
import struct
from typing import Final, NamedTuple

import msgspec

from gateway.ledger.findings import Fault, Finding, Report
from gateway.store.ledger import split_entries
from gateway.store.ledger_audit import (
    NO_DELIVERY,
    POSTGRES_EPOCH_US,
    BlockRow,
    pack_claim,
    pack_delivery,
    pack_projected,
    text_bytes,
)
from protocol.application import claim_turn
from protocol.keys import KeysError, Purpose, context
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    EntryKind,
    EntryRef,
    NotCanonicalError,
    decode_header,
    header_hash,
)
from protocol.merkle import leaf_hashes, root_of
from protocol.trust import Trust, TrustError

_CONTEXT: Final = context(BLOCK_CONTEXT)
_TEXTS_MAX: Final = 100_000
_sha256 = hashlib.sha256

_Fields = tuple[int, str, str, bytes, bytes, int, str, int, str, int, int, int, int, int, bytes, int, EntryRef | None]
"""An Entry's fields as a plain tuple, which is quicker to take apart."""
_Delivery = tuple[bytes, int, int, int, str, str, str]
_CertificateFields = tuple[
    int, str, str, bytes, bytes, int, str, int, str, int, int, int, int, int, bytes, int, EntryRef | None,
    _Delivery | None,
]  # fmt: skip
_decode = msgspec.msgpack.Decoder(_Fields).decode
_decode_certificate = msgspec.msgpack.Decoder(_CertificateFields).decode
_encode = msgspec.msgpack.Encoder().encode
_SIGNIFIES_CERTIFICATE: Final = b"\xdc\x00\x12\x02"
"""An array of 18 that begins with version 2."""


def _read(data: bytes) -> tuple[_Fields, _Delivery | None]:
    """An entry's fields, and its delivery if it has one. Raises: NotCanonicalError, msgspec.DecodeError."""
    delivery: _Delivery | None = None
    if data.startswith(_SIGNIFIES_CERTIFICATE):
        whole: _CertificateFields = _decode_certificate(data)
        canonical = _encode(whole) == data
        fields: _Fields = whole[:17]
        delivery = whole[17]
    else:
        fields = _decode(data)
        canonical = _encode(fields) == data
    if not canonical:
        raise NotCanonicalError("entry is not canonical")
    if len(fields[3]) != 16 or len(fields[4]) != 32 or len(fields[14]) != 32 or (delivery and len(delivery[0]) != 16):
        raise NotCanonicalError("entry has a field of the wrong length")
    return fields, delivery


def _moves(kind: int, delivery: _Delivery) -> bool:
    """Whether an entry is the one by which its application's transition happened, so that it claims it."""
    return kind == EntryKind.FIRST and delivery[1] > 0


def digest_of(rows: list[bytes]) -> bytes | None:
    """As the server makes it of a block's rows; None for none."""
    return _sha256(b"".join(rows)).digest() if rows else None


class Reference(msgspec.Struct, frozen=True):
    """A repeat or a disclaimer, and the entry it says is the first of that id (of the disclaimed one)."""

    stream: bytes
    height: int
    index: int
    party: str
    request_id: bytes
    commitment: bytes
    kind: int
    ref: EntryRef | None


class Due(NamedTuple):
    """What must hang on a block: digests of its claims and of its projected rows (None for no row), and its repeats and
    disclaimers. `readable` is False where its entries could not be read: nothing is known of what should hang there."""

    stream: bytes
    height: int
    readable: bool
    claims: bytes | None = None
    rows: bytes | None = None
    special: tuple[Reference, ...] = ()


class Expected(msgspec.Struct, frozen=True):
    """Row by row what must hang on a block, by index: (turn, request id, commitment, party) of each entry's claims,
    where turn 1 is any repeat, and each projected row's bytes."""

    claims: list[list[tuple[int, bytes, bytes, str]]]
    projected: list[bytes]


def expected_of(entries: list[bytes]) -> Expected:
    """For naming the row that does not fit. The entries must be readable ones."""
    expected = Expected([], [])
    for index, data in enumerate(entries):
        fields, delivery = _read(data)
        (_, party, line, rid, commitment, operation, matter, step, other, outcome, kind, yen, commission, terms,
         _, at_us, _) = fields  # fmt: skip
        texts = b"".join([text_bytes(text) for text in (party, line, matter, other)])
        texts += NO_DELIVERY if delivery is None else pack_delivery(*delivery)
        claims = [(int(kind == EntryKind.REPEAT), rid, commitment, party)]
        if delivery is not None and _moves(kind, delivery):
            claims.append((claim_turn(delivery[1]), delivery[0], commitment, party))
        expected.claims.append(claims)
        at = at_us - POSTGRES_EPOCH_US
        numbers = pack_projected(index, rid, at, operation, step, outcome, kind, yen, commission, terms)
        expected.projected.append(numbers + texts)
    return expected


class BlockAuditor:
    """Checks blocks in the order (stream, height). Findings go to the report."""

    def __init__(self, *, trust: Trust, streams: set[bytes], projected_to: dict[bytes, int], report: Report) -> None:
        self._trust = trust
        self._streams = streams
        self._projected_to = projected_to
        self._report = report
        self._texts: dict[tuple[str, str, str, str], tuple[bytes, bytes, bytes]] = {}
        """(party, line, matter, counterparty) to the party's bytes, and to all four as a projected row has them:
        without a delivery's columns, and with those of none."""
        self._stream = b""
        self._height_next = 0
        self._previous = GENESIS
        self._closed = False
        self._uncovered = False

    def check(self, row: BlockRow) -> Due | None:
        """Hold one (stream, height) against what stands there. Returns: what must hang on it; None for no block."""
        if row.stream != self._stream:
            self._begin(row.stream)
        report = self._report
        if row.header is None or row.key_id is None or row.signature is None or row.entries is None:
            self._find(Fault.BLOCK_MISSING, row, f"the block is gone; the tree has it as leaf {row.position}")
            return None
        report.blocks += 1
        if row.height != self._height_next:
            self._find(
                Fault.BLOCK_MISSING, row, f"heights {self._height_next} to {row.height - 1} before it are missing"
            )
        if self._closed:
            self._find(Fault.AFTER_CLOSE, row, "the stream was closed before this block")
        header = self._header(row, row.header)
        digest = header_hash(row.header)
        if header is not None:
            self._signature(row, row.key_id, row.header, row.signature, header)
            self._closed = self._closed or header.kind == BlockKind.CLOSE
        self._leaf(row, digest)
        self._height_next = row.height + 1
        self._previous = digest
        unknown = Due(row.stream, row.height, readable=False)
        return self._entries(row, row.entries, header) or unknown if header is not None else unknown

    def _begin(self, stream: bytes) -> None:
        self._stream = stream
        self._height_next = 0
        self._previous = GENESIS
        self._closed = self._uncovered = False
        if stream not in self._streams:
            self._report.add(Finding(fault=Fault.STREAM, stream=stream.hex(), what="the stream is not registered"))

    def _header(self, row: BlockRow, data: bytes) -> BlockHeader | None:
        try:
            header = decode_header(data)
        except (ValueError, msgspec.DecodeError, RecursionError) as error:
            self._find(Fault.HEADER, row, f"the header cannot be read: {error}")
            return None
        if (header.version, header.stream, header.height) != (1, row.stream, row.height):
            self._find(Fault.HEADER, row, f"the header says stream {header.stream.hex()} height {header.height}")
        if header.previous != self._previous and row.height == self._height_next:
            self._find(Fault.CHAIN, row, "the header does not name the block before it")
        return header

    def _signature(self, row: BlockRow, key_id: str, data: bytes, signature: bytes, header: BlockHeader) -> None:
        try:
            self._trust.key(key_id, purpose=Purpose.BLOCK, at_us=header.at_us).verify(signature, _CONTEXT + data)
        except (KeysError, TrustError) as error:
            self._find(Fault.SIGNATURE, row, str(error))

    def _entries(self, row: BlockRow, stored: bytes, header: BlockHeader) -> Due | None:
        try:
            entries = split_entries(stored)
        except ValueError as error:
            self._find(Fault.ENTRIES, row, str(error))
            return None
        self._report.entries += len(entries)
        if len(entries) != header.count or root_of(leaf_hashes(entries)) != header.root:
            self._find(
                Fault.ENTRIES, row, f"the {len(entries)} stored entries are not the {header.count} that were signed"
            )
        elif header.kind != BlockKind.NORMAL and (entries or header.kind != BlockKind.CLOSE):
            self._find(Fault.HEADER, row, f"a block of kind {header.kind} with {len(entries)} entries")
        return self._due(row, entries)

    def _due(self, row: BlockRow, entries: list[bytes]) -> Due | None:
        claims: list[bytes] = []
        rows: list[bytes] = []
        special: list[Reference] = []
        texts = self._texts
        if len(texts) > _TEXTS_MAX:
            texts.clear()
        first, again = int(EntryKind.FIRST), int(EntryKind.REPEAT)
        for index, data in enumerate(entries):
            try:
                if data.startswith(_SIGNIFIES_CERTIFICATE):
                    fields, delivery = _read(data)
                else:  # as _read, without the call
                    fields, delivery = _decode(data), None
                    if _encode(fields) != data or (len(fields[3]), len(fields[4]), len(fields[14])) != (16, 32, 32):
                        fields, delivery = _read(data)
                (_, party, line, rid, commitment, operation, matter, step, other, outcome, kind, yen, commission, terms,
                 _, at_us, ref) = fields  # fmt: skip
                said = (party, line, matter, other)
                made = texts.get(said)
                if made is None:
                    whole = b"".join([text_bytes(text) for text in said])
                    made = texts[said] = (text_bytes(party), whole, whole + NO_DELIVERY)
                claims += (pack_claim(index, 1 if kind == again else 0, 16, rid, 32, commitment), made[0])
                at = at_us - POSTGRES_EPOCH_US
                numbers = pack_projected(index, rid, at, operation, step, outcome, kind, yen, commission, terms)
                if delivery is None:
                    rows += (numbers, made[2])
                else:
                    rows.append(numbers + made[1] + pack_delivery(*delivery))
                    if _moves(kind, delivery):
                        turn = claim_turn(delivery[1])
                        claims.append(pack_claim(index, turn, 16, delivery[0], 32, commitment) + made[0])
            except (ValueError, msgspec.DecodeError, RecursionError, struct.error) as error:
                self._find(Fault.ENTRY, row, f"the entry cannot be read: {error}", index=index)
                return None
            if kind != first:
                special.append(Reference(row.stream, row.height, index, party, rid, commitment, kind, ref))
        if row.height >= self._projected_to.get(row.stream, 0):
            self._report.unprojected += 1
            rows = []
        return Due(row.stream, row.height, True, digest_of(claims), digest_of(rows), tuple(special))

    def _leaf(self, row: BlockRow, digest: bytes) -> None:
        if row.position is None:
            self._report.uncovered += 1
            self._uncovered = True
            return
        if row.leaf != digest:
            self._find(Fault.LEAF, row, "the leaf of the checkpoint tree is not this block's", position=row.position)
        if self._uncovered:
            self._find(Fault.LEAF, row, "covered by the checkpoint tree, though a block before it is not")

    def _find(
        self, fault: Fault, row: BlockRow, what: str, *, index: int | None = None, position: int | None = None
    ) -> None:
        self._report.add(
            Finding(fault=fault, stream=row.stream.hex(), height=row.height, index=index, position=position, what=what)
        )
