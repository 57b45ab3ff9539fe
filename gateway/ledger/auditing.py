"""One block held against everything that hangs on it. Pure; the hot loop of verification.

A block's entries are hashed and decoded once; claims and projected rows are compared by one digest a block, so an entry
costs some microseconds. Where a digest differs, `Suspect` carries what an exact search needs to name the row.

Invariants: nothing read from the database is believed before it was compared with signed bytes.
"""

import hashlib
import struct
from typing import Final

import msgspec

from gateway.ledger.findings import Fault, Finding, Report
from gateway.store.ledger import split_entries
from gateway.store.ledger_audit import BlockRow, claim_bytes, mark_of, marked_id, projected_bytes, text_bytes
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
from protocol.merkle import root_of
from protocol.trust import Trust, TrustError

_CONTEXT: Final = context(BLOCK_CONTEXT)
_TEXTS_MAX: Final = 100_000
_sha256 = hashlib.sha256

_Fields = tuple[int, str, str, bytes, bytes, int, str, int, str, int, int, int, int, int, bytes, int, EntryRef | None]
"""An Entry's fields as a plain tuple, which is quicker to take apart."""
_decode = msgspec.msgpack.Decoder(_Fields).decode
_encode = msgspec.msgpack.Encoder().encode


def _read(data: bytes) -> _Fields:
    """An entry's fields. Raises: NotCanonicalError, msgspec.DecodeError."""
    fields: _Fields = _decode(data)
    if _encode(fields) != data:
        raise NotCanonicalError("entry is not canonical")
    if len(fields[3]) != 16 or len(fields[4]) != 32 or len(fields[14]) != 32:
        raise NotCanonicalError("entry has a field of the wrong length")
    return fields


def _claim_of(data: bytes) -> tuple[int, bytes, bytes, str]:
    """An entry's claim as `Suspect` has it."""
    fields = _read(data)
    return int(fields[10] == EntryKind.REPEAT), fields[3], fields[4], fields[1]


class Suspect(msgspec.Struct, frozen=True):
    """A block whose claims or projected rows are not those of its entries: what they should be, by index.

    claims: (turn class, request id, commitment, party) by index; projected: bytes of each row, or None when the
    projection fits.
    """

    stream: bytes
    height: int
    claims: list[tuple[int, bytes, bytes, str]] | None
    projected: list[bytes] | None


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


class BlockAuditor:
    """Checks blocks in the order (stream, height). Findings go to the report; `suspects` and `references` are taken
    by the caller, who empties them."""

    def __init__(self, *, trust: Trust, streams: set[bytes], projected_to: dict[bytes, int], report: Report) -> None:
        self._trust = trust
        self._streams = streams
        self._projected_to = projected_to
        self._report = report
        self._texts: dict[tuple[str, str, str, str], tuple[bytes, bytes]] = {}
        """(party, line, matter, counterparty) to the party's bytes, and to all four as a projected row has them."""
        self._stream = b""
        self._height_next = 0
        self._previous = GENESIS
        self._closed = False
        self._uncovered = False
        self.suspects: list[Suspect] = []
        self.references: list[Reference] = []

    def check(self, row: BlockRow) -> None:
        """Hold one (stream, height) against what stands there."""
        if row.stream != self._stream:
            self._begin(row.stream)
        report = self._report
        if row.header is None or row.key_id is None or row.signature is None or row.entries is None:
            self._absent(row)
            return
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
            self._entries(row, row.entries, header)
            self._closed = self._closed or header.kind == BlockKind.CLOSE
        self._leaf(row, digest)
        self._height_next = row.height + 1
        self._previous = digest

    def _begin(self, stream: bytes) -> None:
        self._stream = stream
        self._height_next = 0
        self._previous = GENESIS
        self._closed = self._uncovered = False
        if stream not in self._streams:
            self._report.add(Finding(fault=Fault.STREAM, stream=stream.hex(), what="the stream is not registered"))

    def _absent(self, row: BlockRow) -> None:
        if row.position is not None:
            self._find(Fault.BLOCK_MISSING, row, f"the block is gone; the tree has it as leaf {row.position}")
        if row.claims or row.marks:
            self._find(
                Fault.CLAIM, row, f"{(row.claims or 0) + len(row.marks or [])} claims name a block that is not there"
            )
        if row.projected:
            self._find(Fault.PROJECTION, row, f"{row.projected} projected rows name a block that is not there")

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

    def _entries(self, row: BlockRow, stored: bytes, header: BlockHeader) -> None:
        try:
            entries = split_entries(stored)
        except ValueError as error:
            self._find(Fault.ENTRIES, row, str(error))
            return
        self._report.entries += len(entries)
        sha = _sha256
        if len(entries) != header.count or root_of([sha(b"\0" + data).digest() for data in entries]) != header.root:
            self._find(
                Fault.ENTRIES, row, f"the {len(entries)} stored entries are not the {header.count} that were signed"
            )
        elif header.kind != BlockKind.NORMAL and (entries or header.kind != BlockKind.CLOSE):
            self._find(Fault.HEADER, row, f"a block of kind {header.kind} with {len(entries)} entries")
        self._hanging(row, entries)

    def _hanging(self, row: BlockRow, entries: list[bytes]) -> None:
        claims: list[bytes] = []
        rows: list[bytes] = []
        special: list[Reference] = []
        texts = self._texts
        if len(texts) > _TEXTS_MAX:
            texts.clear()
        first, again = int(EntryKind.FIRST), int(EntryKind.REPEAT)
        for index, data in enumerate(entries):
            try:
                (_, party, line, rid, commitment, operation, matter, step, other, outcome, kind, yen, commission, terms,
                 _, at_us, ref) = _read(data)  # fmt: skip
                said = (party, line, matter, other)
                made = texts.get(said)
                if made is None:
                    made = texts[said] = (party.encode(), b"".join([text_bytes(text) for text in said]))
                claims.append(claim_bytes(index, 1 if kind == again else 0, rid, commitment, made[0]))
                rows.append(
                    projected_bytes(index, rid, at_us, operation, step, outcome, kind, yen, commission, terms, made[1])
                )
            except (ValueError, msgspec.DecodeError, RecursionError, struct.error) as error:
                self._find(Fault.ENTRY, row, f"the entry cannot be read: {error}", index=index)
                return
            if kind != first:
                special.append(Reference(row.stream, row.height, index, party, rid, commitment, kind, ref))
        self._marks(row, special)
        digest = _sha256(b"".join(claims)).digest() if claims else None
        wrong_claims = digest != row.claims_digest
        self._report.claims += (row.claims or 0) + len(row.marks or [])
        due = row.height < self._projected_to.get(row.stream, 0)
        if not due:
            self._report.unprojected += 1
        wanted = rows if due else []
        wrong_rows = (_sha256(b"".join(wanted)).digest() if wanted else None) != row.projected_digest
        if wrong_claims or wrong_rows:
            self.suspects.append(
                Suspect(
                    row.stream,
                    row.height,
                    [_claim_of(data) for data in entries] if wrong_claims else None,
                    wanted if wrong_rows else None,
                )
            )

    def _marks(self, row: BlockRow, special: list[Reference]) -> None:
        """Repeats and disclaimers: what they refer to, and the marks disclaimers leave on the id they give up."""
        marks: dict[int, list[bytes]] = {}
        for mark in row.marks or []:
            marks.setdefault(int.from_bytes(mark[:4], "big"), []).append(mark)
        for each in special:
            index = each.index
            if each.ref is None:
                self._find(Fault.REFERENCE, row, "a repeat or disclaimer that names no earlier entry", index=index)
            elif each.kind != EntryKind.DISCLAIM:
                self.references.append(each)
            else:
                own = marks.pop(index, [])
                request_id = marked_id(own[0]) if own else b""
                if own != [mark_of(index, request_id, each.commitment, each.party.encode())]:
                    self._find(Fault.CLAIM, row, "the disclaimer's mark (turn -1) is not its own", index=index)
                else:
                    self.references.append(msgspec.structs.replace(each, request_id=request_id))
        for index in marks:
            self._find(Fault.CLAIM, row, "a claim of turn -1 stands for no disclaimer", index=index)

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
