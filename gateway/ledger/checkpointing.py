"""Making checkpoints: new blocks become leaves, the tree's root becomes a signed note.

A round has two durable points, and a crash between them costs nothing:

1. The new blocks are given their positions, in one transaction under the writer's lock: by stream, then by height, a
   height never before its predecessor. What they complete of the tree is stored with them.
2. The root at that size is signed and the note inserted. Only then is it handed out. A round that finds leaves which
   no note covers signs for them first.

So a root is fixed before it is signed: the centre never signs two roots for one size, whoever crashes when.

Invariants kept here: the tree that is continued is the one that the last note signed (else LedgerContradicted, and
nothing more is signed); a note leaves only when it is durable.
Not here: who calls this every second and sends the note to the lines; proofs for others (gateway.ledger.proving).
Source: DESIGN section 2; docs/PROTOCOL.md, Checkpoints.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from gateway.ledger.errors import LedgerContradicted
from gateway.ledger.proving import (
    Node,
    Plan,
    carry_out,
    consistency_plan,
    frontier_nodes,
    grow,
    inclusion_plan,
    needed,
)
from gateway.store.ledger_checkpoints import CheckpointStore, Connection, LeafRow, NodeRow, NoteRow
from protocol.checkpoint import Checkpoint, NoteSignature, body_to_sign, format_note, parse_note
from protocol.ledger import header_hash
from protocol.merkle import Frontier
from protocol.receipt import Finality

LEAVES_A_ROUND_MAX: Final = 4096
PQ_EVERY_US: Final = 60_000_000
"""How often a note also bears an ML-DSA-65 signature (DESIGN 2: once a minute)."""

Sign = Callable[[bytes], Awaitable[tuple[str, bytes]]]
"""Signs a checkpoint: content -> key id, signature."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A new checkpoint: what it says, its note's text, and how many blocks it adds."""

    checkpoint: Checkpoint
    note: str
    blocks: int


class Transactional(Connection, Protocol):
    """A connection that can hold a transaction."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """BEGIN and COMMIT around a block."""


class Checkpointer:
    """Makes the checkpoints of one ledger. `run_once` is for one task; several processes may have one each."""

    def __init__(
        self,
        connection: Transactional,
        *,
        origin: str,
        sign: Sign,
        now_us: Callable[[], int],
        sign_pq: Sign | None = None,
        pq_every_us: int = PQ_EVERY_US,
    ) -> None:
        """origin: `sekisho/<centre>/<role>`. sign: with the CHECKPOINT key; sign_pq: with CHECKPOINT_PQ, if any."""
        self._connection = connection
        self._origin = origin
        self._sign = sign
        self._sign_pq = sign_pq
        self._pq_every_us = pq_every_us
        self._pq_next_us = 0
        self._now_us = now_us
        self._frontier: Frontier | None = None

    async def run_once(self) -> Made | None:
        """Cover what is new. None when there is nothing new, or another writer is at work.

        Raises: LedgerContradicted; StoreError and what the signers raise, after which the next call goes on from what
        stands. Cancellation: between the durable points, nothing is lost.
        """
        try:
            frontier = await self._cover()
            if frontier is None or frontier.size == 0:
                return None
            return await self._publish(frontier)
        except BaseException:
            self._frontier = None  # what stands is read anew
            raise

    async def _cover(self) -> Frontier | None:
        async with self._connection.transaction() as connection:
            store = CheckpointStore(connection)
            if not await store.become_writer():
                return None
            size = await store.size()
            frontier = self._frontier
            if frontier is None or frontier.size != size:
                frontier = await load_frontier(store, size)
                await _check_continues(store, size)
            rows = await store.uncovered(LEAVES_A_ROUND_MAX)
            if rows:
                hashes = [header_hash(header) for _, _, header in rows]
                nodes = grow(frontier, hashes)
                leaves = [LeafRow(size + n, stream, height, hashes[n]) for n, (stream, height, _) in enumerate(rows)]
                await store.append(leaves, [NodeRow(*node, digest) for node, digest in nodes])
        self._frontier = frontier
        return frontier

    async def _publish(self, frontier: Frontier) -> Made | None:
        store = CheckpointStore(self._connection)
        latest = await store.latest()
        if latest is not None and latest.size >= frontier.size:
            return None
        now_us = self._now_us()
        if latest is not None:
            now_us = max(now_us, latest.at_us)  # a clock that was set back does not turn the notes' order round
        checkpoint = Checkpoint(self._origin, frontier.size, frontier.root, now_us)
        signed = body_to_sign(checkpoint)
        lines = [NoteSignature(*await self._sign(signed))]
        if self._sign_pq is not None and now_us >= self._pq_next_us:
            lines.append(NoteSignature(*await self._sign_pq(signed)))
            self._pq_next_us = now_us + self._pq_every_us
        note = format_note(checkpoint, lines)
        if not await store.add_note(NoteRow(checkpoint.size, note, now_us)):
            return None
        return Made(checkpoint=checkpoint, note=note, blocks=frontier.size - (latest.size if latest else 0))


async def load_frontier(store: CheckpointStore, size: int) -> Frontier:
    """The frontier of the stored tree at a size, from O(log n) nodes. Raises: LedgerContradicted, one is missing."""
    wanted = frontier_nodes(size)
    hashes = await store.nodes(wanted)
    if len(hashes) != len(wanted):
        raise LedgerContradicted(f"checkpoint tree of size {size}", "nodes of the stored tree are missing")
    return Frontier(size, [hashes[node] for node in wanted])


async def _check_continues(store: CheckpointStore, size: int) -> None:
    latest = await store.latest()
    if latest is None:
        return
    signed = parse_note(latest.note).checkpoint
    if signed.size > size:
        raise LedgerContradicted(f"checkpoint of size {signed.size}", f"the stored tree has only {size} leaves")
    if (await load_frontier(store, signed.size)).root != signed.root:
        raise LedgerContradicted(f"checkpoint of size {signed.size}", "the stored tree has another root")


class CheckpointProofs:
    """Proofs from the stored tree, for receipts and for keepers of checkpoints; any process may have one."""

    def __init__(self, connection: Connection) -> None:
        self._store = CheckpointStore(connection)

    async def finality(self, stream: bytes, height: int, size: int = 0) -> Finality | None:
        """A block's finality in the checkpoint of that size, or in the latest for 0; None when none covers it."""
        row = await (self._store.of_size(size) if size else self._store.latest())
        if row is None:
            return None
        found = await self.inclusion(stream, height, row.size)
        return None if found is None else Finality(row.note, *found)

    async def inclusion(self, stream: bytes, height: int, size: int) -> tuple[int, list[bytes]] | None:
        """A block's position and path in the tree of that size; None when that tree does not hold it.

        Raises: ProofError when the stored tree has not so many leaves.
        """
        position = await self._store.position(stream, height)
        if position is None or position >= size:
            return None
        return position, await self._carry_out(inclusion_plan(position, size))

    async def consistency(self, first: int, second: int) -> list[bytes]:
        """What shows that the tree of `first` leaves is a prefix of that of `second`. Raises: ProofError."""
        return await self._carry_out(consistency_plan(first, second))

    async def _carry_out(self, plan: Plan) -> list[bytes]:
        hashes = await self._store.nodes(needed(plan))
        return carry_out(plan, {Node(*at): digest for at, digest in hashes.items()})
