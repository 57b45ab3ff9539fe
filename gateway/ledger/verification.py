"""Verification of a whole ledger: everything recomputed from the bytes, and what does not fit named.

One pass over the blocks in their order (bytes, roots, chains, signatures, leaves), followed closely by one over what
hangs on them (claims, projection, references); then one over the checkpoint tree (leaves, stored nodes, every signed
note, and the notes that someone kept). All in one snapshot, so a ledger that is being written to can be verified. While
blocks are checked the server prepares the rest.

What is found: a change of anything that was committed; a block, an end of a stream or a stream that is missing though a
kept checkpoint, or the stored tree, had it. What is not: the loss of the newest blocks of a stream, not yet in any
checkpoint that someone keeps (receipts show those), which number (turn) each of one id's repeats bears, and what is
said of a stream beside its blocks (node, slot), which nothing signs.
Memory: a batch of blocks, ids of streams, and at most FINDINGS_MAX findings. Source: DESIGN section 7.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

from gateway.ledger.auditing import BlockAuditor
from gateway.ledger.due import Due
from gateway.ledger.findings import Fault, Finding, Report
from gateway.ledger.hanging import check_hanging
from gateway.ledger.proving import Node, grow
from gateway.store.ledger_audit import Cursor, LedgerReader
from protocol.checkpoint import Checkpoint, NoteError, parse_note, verify_note
from protocol.keys import KeysError
from protocol.merkle import Frontier
from protocol.trust import Trust, TrustError

DUE_MAX: Final = 1 << 15
"""Blocks that may have been checked while the server still sorts what hangs on them; some 300 bytes each."""
_BLOCKS_A_TURN: Final = 8


class NoteNotBelieved(ValueError):  # noqa: N818 - named after the fact
    """A note that does not bear the centre's signature, or is of another ledger."""


def read_note(text: str, trust: Trust) -> Checkpoint:
    """The checkpoint of a note that the centre signed. Raises: NoteNotBelieved."""
    try:
        checkpoint = verify_note(parse_note(text), trust)
    except (NoteError, KeysError, TrustError) as error:
        raise NoteNotBelieved(str(error)) from error
    if checkpoint.origin != trust.origin:
        raise NoteNotBelieved(f"it is of {checkpoint.origin}, the trust bundle of {trust.origin}")
    return checkpoint


async def verify_ledger(
    reader: LedgerReader,
    trust: Trust,
    *,
    kept: Sequence[Checkpoint] = (),
    progress: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Verify everything. kept: believed checkpoints that someone has; progress: called after each batch of blocks.

    Raises: StoreError. Cancellation: at any time; nothing is written.
    """
    report = Report()
    streams = await reader.streams()
    report.streams = len(streams)
    projected_to = await reader.projected_to()
    auditor = BlockAuditor(trust=trust, streams=streams, projected_to=projected_to, report=report)
    async with reader.blocks() as (blocks, digests), trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[list[Due]](DUE_MAX // _BLOCKS_A_TURN)
        nursery.start_soon(check_hanging, reader, receive, digests, projected_to, report)
        async with send:
            turn: list[Due] = []
            while (row := await blocks.one()) is not None:
                due = auditor.check(row)
                if due is not None:
                    turn.append(due)
                if len(turn) == _BLOCKS_A_TURN:
                    await send.send(turn)  # what is read ahead comes in, what hangs is compared
                    progress(report)
                    turn = []
            await send.send(turn)
    progress(report)
    for party, request_id, count, highest in await reader.gaps_in_turns(100):
        report.add(
            Finding(
                fault=Fault.TURN,
                what=f"party {party}, request id {request_id.hex()}: {count} repeats are numbered up to {highest}",
            )
        )
    await _verify_tree(reader, trust, kept, report)
    return report


class _Noted:
    """Checkpoints by size, merged from the stored notes and the kept ones, looked at as the tree grows."""

    def __init__(self, reader: LedgerReader, trust: Trust, kept: Sequence[Checkpoint], report: Report) -> None:
        self._reader = reader
        self._notes: Cursor | None = None
        self._trust = trust
        self._kept = sorted(kept, key=lambda each: each.size)
        self._report = report
        self._next: tuple[int, Checkpoint | None] | None = None
        self._at_us = 0

    async def begin(self) -> None:
        """Read the first note."""
        self._notes = await self._reader.notes()
        await self._advance()

    async def look(self, size: int, root: bytes) -> None:
        """The tree of this size has this root: hold what was said of it against that."""
        while self._next is not None and self._next[0] == size:
            stored = self._next[1]
            if stored is not None and stored.root != root:
                self._find(Fault.CHECKPOINT, size, "the signed root is not that of the leaves")
            await self._advance()
        while self._kept and self._kept[0].size == size:
            if self._kept.pop(0).root != root:
                self._find(Fault.KEPT, size, "the kept checkpoint's root is not that of the leaves: they were changed")

    def wants(self, size: int) -> bool:
        """Whether something was said about the tree of this size."""
        return (self._next is not None and self._next[0] == size) or bool(self._kept and self._kept[0].size == size)

    async def end(self, size: int) -> None:
        """The tree ends here: what speaks of a larger one has lost leaves."""
        while self._next is not None:
            self._find(Fault.CHECKPOINT, self._next[0], f"the tree has only {size} leaves")
            await self._advance()
        for each in self._kept:
            self._find(Fault.KEPT, each.size, f"the tree has only {size} leaves: blocks were taken away")

    async def _advance(self) -> None:
        row = await self._notes.one() if self._notes is not None else None
        if row is None:
            self._next = None
            return
        size, note, at_us = row
        self._report.checkpoints += 1
        checkpoint = None
        try:
            checkpoint = read_note(note, self._trust)
        except NoteNotBelieved as error:
            self._find(Fault.CHECKPOINT, size, str(error))
        if checkpoint is not None and (checkpoint.size, checkpoint.at_us) != (size, at_us):
            self._find(Fault.CHECKPOINT, size, "the row says another size or time than its note")
            checkpoint = None
        if at_us < self._at_us:
            self._find(Fault.CHECKPOINT, size, "is older than the checkpoint before it")
        self._at_us = at_us
        self._next = (size, checkpoint)

    def _find(self, fault: Fault, size: int, what: str) -> None:
        self._report.add(Finding(fault=fault, size=size, what=what))


async def _verify_tree(reader: LedgerReader, trust: Trust, kept: Sequence[Checkpoint], report: Report) -> None:
    noted = _Noted(reader, trust, kept, report)
    await noted.begin()
    nodes = await reader.nodes()
    leaves = await reader.leaves()
    frontier = Frontier()
    sound = True  # once a node differs all above it do: the first is named
    while (leaf := await leaves.one()) is not None:
        position, digest = leaf
        report.leaves += 1
        if position != frontier.size:
            report.add(
                Finding(
                    fault=Fault.LEAF,
                    position=frontier.size,
                    what=f"leaves up to {position - 1} are missing from the tree",
                )
            )
            return
        for made in grow(frontier, [digest]):
            if sound and not _same(await nodes.one(), made):
                level, place = made[0]
                report.add(
                    Finding(
                        fault=Fault.NODE,
                        position=position,
                        what=f"the stored node at level {level}, place {place} is not that of the leaves below it",
                    )
                )
                sound = False
        if noted.wants(frontier.size):
            await noted.look(frontier.size, frontier.root)
    if sound and await nodes.one() is not None:
        report.add(Finding(fault=Fault.NODE, what="a stored node has no leaves below it"))
    await noted.end(frontier.size)


def _same(row: Any, made: tuple[Node, bytes]) -> bool:
    return row is not None and (Node(row[0], row[1]), row[2]) == made
