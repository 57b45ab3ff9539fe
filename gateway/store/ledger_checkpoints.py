"""The tables of the checkpoint tree: its leaves, the roots of its complete subtrees, and the signed notes.

Append only, written by the ops process alone; workers read them for proofs. The writer takes an advisory lock for the
length of its transaction, so that two of them never give one position twice; the keys would refuse it besides.

Not here: the order of the leaves, hashing, signing (gateway.ledger.checkpointing).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from gateway.store.errors import UniqueViolated

WRITER_LOCK: Final = 0x5345_4B49_4350  # "SEKICP"
ROWS_A_STATEMENT: Final = 128
"""Rows of one statement: a millisecond's work, so that it can be done with rests (gateway.store.unhurried)."""

_UNCOVERED: Final = """
select b.stream, b.height, b.header, covered.height as covered
from ledger.stream s
cross join lateral (
  select coalesce((select max(l.height) from ledger.checkpoint_leaf l where l.stream = s.id), -1) as height
) covered
cross join lateral (
  select k.stream, k.height, k.header from ledger.block k
  where k.stream = s.id and k.height > covered.height order by k.height limit $1
) b
order by b.stream, b.height
limit $1
"""
_INSERT_LEAVES: Final = """
insert into ledger.checkpoint_leaf (position, stream, height, hash)
select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bytea[])
"""
_INSERT_NODES: Final = """
insert into ledger.checkpoint_node (level, place, hash)
select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
"""


class LeafRow(NamedTuple):
    """One leaf: position from 0, block, hash of its header."""

    position: int
    stream: bytes
    height: int
    hash: bytes


class NodeRow(NamedTuple):
    """One complete subtree above the leaves."""

    level: int
    place: int
    hash: bytes


class NoteRow(NamedTuple):
    """One checkpoint as it was published."""

    size: int
    note: str
    at_us: int


class Connection(Protocol):
    """What is needed of a connection of the pool."""

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Any]:
        """Rows."""

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Status."""


class CheckpointStore:
    """The checkpoint tables over one connection (or a Database). Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def become_writer(self) -> bool:
        """Take the writer's lock until the transaction ends; False when another has it."""
        rows = await self._connection.fetch("select pg_catalog.pg_try_advisory_xact_lock($1)", WRITER_LOCK)
        return bool(rows[0][0])

    async def size(self) -> int:
        """Leaves in the tree."""
        rows = await self._connection.fetch("select coalesce(max(position) + 1, 0) from ledger.checkpoint_leaf")
        return int(rows[0][0])

    async def uncovered(self, limit: int) -> list[tuple[bytes, int, bytes]]:
        """Blocks that follow the covered ones: stream, height, header; by stream and height, at most `limit`.

        A block whose predecessor is missing is left out, and with it all that follow. Cost: two index probes a
        stream, whether or not it has new blocks.
        """
        found: list[tuple[bytes, int, bytes]] = []
        for stream, height, header, covered in await self._connection.fetch(_UNCOVERED, limit):
            before = found[-1][1] if found and found[-1][0] == stream else covered
            if height == before + 1:
                found.append((stream, height, header))
        return found

    async def append(self, leaves: Sequence[LeafRow], nodes: Sequence[NodeRow]) -> None:
        """Insert leaves and the nodes they complete; inside the writer's transaction."""
        for sql, rows in ((_INSERT_LEAVES, leaves), (_INSERT_NODES, nodes)):
            for at in range(0, len(rows), ROWS_A_STATEMENT):
                columns = zip(*rows[at : at + ROWS_A_STATEMENT], strict=True)
                await self._connection.execute(sql, *map(list, columns))

    async def nodes(self, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Hashes of complete subtrees by (level, place); level 0 are the leaves. Missing ones are left out."""
        rows = await self._connection.fetch(
            "select w.level, w.place, coalesce(n.hash, l.hash)"
            " from unnest($1::smallint[], $2::bigint[]) as w (level, place)"
            " left join ledger.checkpoint_node n on n.level = w.level and n.place = w.place"
            " left join ledger.checkpoint_leaf l on w.level = 0 and l.position = w.place",
            [level for level, _ in wanted],
            [place for _, place in wanted],
        )
        return {(row[0], row[1]): row[2] for row in rows if row[2] is not None}

    async def position(self, stream: bytes, height: int) -> int | None:
        """Where a block stands in the tree; None while no leaf covers it."""
        rows = await self._connection.fetch(
            "select position from ledger.checkpoint_leaf where stream = $1 and height = $2", stream, height
        )
        return rows[0][0] if rows else None

    async def latest(self) -> NoteRow | None:
        """The checkpoint of the largest size."""
        rows = await self._connection.fetch(
            "select size, note, at_us from ledger.checkpoint order by size desc limit 1"
        )
        return NoteRow(*rows[0]) if rows else None

    async def of_size(self, size: int) -> NoteRow | None:
        """The checkpoint of exactly this size."""
        rows = await self._connection.fetch("select size, note, at_us from ledger.checkpoint where size = $1", size)
        return NoteRow(*rows[0]) if rows else None

    async def add_note(self, row: NoteRow) -> bool:
        """Publish a note; False when this size has one already, which then stands. Raises: CommitUnknown."""
        try:
            await self._connection.execute(
                "insert into ledger.checkpoint (size, note, at_us) values ($1, $2, $3)", *row, commit=True
            )
        except UniqueViolated:
            return False
        return True
