"""Where a block stands in the checkpoints: the proof that makes a receipt final.

The checkpoint tree's complete subtrees are stored (ledger.checkpoint_leaf is level 0, ledger.checkpoint_node the levels
above), so a proof reads O(log n) rows however long the ledger is. `plan` is pure and says which.

Source: RFC 6962 section 2.1.1; DESIGN section 2, checkpoints.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from protocol.merkle import node_hash
from protocol.receipt import Finality


class Node(NamedTuple):
    """A complete subtree: the one of 2**level leaves that begins at place * 2**level."""

    level: int
    place: int


_NODES: Final = """
select 0::smallint as level, position as place, hash from ledger.checkpoint_leaf
 where position in (select p from unnest($1::smallint[], $2::bigint[]) as w (l, p) where l = 0)
union all
select n.level, n.place, n.hash from unnest($1::smallint[], $2::bigint[]) as w (l, p)
  join ledger.checkpoint_node n on n.level = w.l and n.place = w.p
"""
_POSITION: Final = "select position from ledger.checkpoint_leaf where stream = $1 and height = $2"
_LATEST: Final = "select size, note from ledger.checkpoint order by size desc limit 1"
_OF_SIZE: Final = "select size, note from ledger.checkpoint where size = $1"


class Rows(Protocol):
    """A connection of the store."""

    async def fetch(self, sql: str, *args: object) -> Sequence[Any]:
        """Rows. Raises: StoreError."""


def cover(low: int, high: int) -> list[Node]:
    """The complete subtrees that make up leaves [low, high), left to right; low is a multiple of the first's size."""
    nodes = []
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        nodes.append(Node(level, low >> level))
        low += 1 << level
    return nodes


def plan(position: int, size: int) -> list[list[Node]]:
    """For each sibling on the leaf's path, bottom first, the complete subtrees its hash is made of.

    Raises: ValueError for a position outside the tree.
    """
    if not 0 <= position < size:
        raise ValueError(f"leaf {position} is not in a tree of {size}")
    siblings = []
    low, high = 0, size
    while high - low > 1:
        split = low + (1 << ((high - low - 1).bit_length() - 1))
        if position < split:
            siblings.append(cover(split, high))
            high = split
        else:
            siblings.append(cover(low, split))
            low = split
    return siblings[::-1]


def fold(nodes: Sequence[Node], hashes: Mapping[Node, bytes]) -> bytes:
    """The root over neighbouring complete subtrees. Raises: KeyError when one is missing."""
    root = hashes[nodes[-1]]
    for node in reversed(nodes[:-1]):
        root = node_hash(hashes[node], root)
    return root


class FinalityReader:
    """Reads finality from the database."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def finality(self, stream: bytes, height: int, size: int) -> Finality | None:
        """The block's finality in the checkpoint of that size, or in the latest for 0; None where none covers it.

        Raises: StoreError.
        """
        placed = await self._rows.fetch(_POSITION, stream, height)
        noted = await (self._rows.fetch(_OF_SIZE, size) if size else self._rows.fetch(_LATEST))
        if not placed or not noted or placed[0][0] >= noted[0][0]:
            return None
        position, (tree_size, note) = placed[0][0], noted[0]
        siblings = plan(position, tree_size)
        wanted = [node for nodes in siblings for node in nodes]
        rows = await self._rows.fetch(_NODES, [node.level for node in wanted], [node.place for node in wanted])
        hashes = {Node(row[0], row[1]): row[2] for row in rows}
        try:
            path = [fold(nodes, hashes) for nodes in siblings]
        except KeyError:
            return None
        return Finality(note, position, path)
