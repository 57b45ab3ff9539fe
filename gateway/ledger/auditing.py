"""One block held against its stream, key and leaf, and its entries against their root. Pure.

What must hang on the block comes of its entries by gateway.ledger.due.

Invariants: nothing read from the database is believed before it was compared with signed bytes.
"""

from typing import Final

import msgspec

from gateway.ledger.due import Due, DueMaker, EntryUnreadable
from gateway.ledger.findings import Fault, Finding, Report
from gateway.store.ledger import split_entries
from gateway.store.ledger_audit import BlockRow
from protocol.keys import KeysError, Purpose, context
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    decode_header,
    header_hash,
)
from protocol.merkle import leaf_hashes, root_of
from protocol.trust import Trust, TrustError

_CONTEXT: Final = context(BLOCK_CONTEXT)


class BlockAuditor:
    """Checks blocks in the order (stream, height). Findings go to the report."""

    def __init__(self, *, trust: Trust, streams: set[bytes], projected_to: dict[bytes, int], report: Report) -> None:
        self._trust = trust
        self._streams = streams
        self._projected_to = projected_to
        self._report = report
        self._due = DueMaker()
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
        projected = row.height < self._projected_to.get(row.stream, 0)
        try:
            due = self._due.make(row.stream, row.height, entries, projected=projected)
        except EntryUnreadable as error:
            self._find(Fault.ENTRY, row, str(error), index=error.index)
            return None
        self._report.unprojected += not projected
        return due

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
