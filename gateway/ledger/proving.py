"""Proofs in a tree that only grows, from the roots of its complete subtrees. Pure.

Theory. A *node* is the root over the leaves [place << level, (place + 1) << level); level 0 are the leaves. Once all of
its leaves are there it never changes, so it is stored once. Every range that RFC 6962 hashes for a proof begins on a
multiple of a power of two that is no smaller than the range, and so falls into O(log n) complete nodes, largest first,
folded from the right. A *plan* is a proof before its nodes are fetched: one list of nodes for each hash of the proof.

Cost: a proof in a tree of n leaves reads at most log2(n)^2 / 2 nodes and hashes as many; n = 10^9 gives 450 at worst,
60 typically. Nothing is held in memory.
Source: RFC 6962 sections 2.1.1 and 2.1.2; tlog tiles after Russ Cox, "Transparent Logs for Skeptical Clients".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from protocol.merkle import Frontier, ProofError, node_hash


class Node(NamedTuple):
    """A complete subtree: 2 ** level leaves from place << level on."""

    level: int
    place: int


Plan = Sequence[Sequence[Node]]


def range_nodes(lo: int, hi: int) -> list[Node]:
    """The complete nodes over leaves [lo, hi), largest first; lo must be a multiple of the largest's size."""
    nodes = []
    while lo < hi:
        level = (hi - lo).bit_length() - 1
        nodes.append(Node(level, lo >> level))
        lo += 1 << level
    return nodes


def frontier_nodes(size: int) -> list[Node]:
    """The nodes of a Frontier of this size, in its order."""
    return range_nodes(0, size)


def inclusion_plan(index: int, size: int) -> list[list[Node]]:
    """The path of a leaf, from the leaf up. Raises: ProofError for a leaf outside the tree."""
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    plan = []
    lo, hi = 0, size
    while hi - lo > 1:
        middle = lo + _split(hi - lo)
        if index < middle:
            plan.append(range_nodes(middle, hi))
            hi = middle
        else:
            plan.append(range_nodes(lo, middle))
            lo = middle
    return plan[::-1]


def consistency_plan(first: int, second: int) -> list[list[Node]]:
    """What shows that the tree of `first` leaves is a prefix of that of `second`.

    Raises: ProofError unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ProofError(f"no consistency from {first} to {second}")
    plan = []
    lo, hi = 0, second
    whole = True
    while hi != first:
        middle = lo + _split(hi - lo)
        if first <= middle:
            plan.append(range_nodes(middle, hi))
            hi = middle
        else:
            plan.append(range_nodes(lo, middle))
            lo = middle
            whole = False
    if not whole:
        plan.append(range_nodes(lo, hi))
    return plan[::-1]


def needed(plan: Plan) -> list[Node]:
    """Every node of a plan, once."""
    return sorted({node for nodes in plan for node in nodes})


def carry_out(plan: Plan, hashes: Mapping[Node, bytes]) -> list[bytes]:
    """The proof. Raises: ProofError when a node is missing."""
    try:
        return [_fold([hashes[node] for node in nodes]) for nodes in plan]
    except KeyError as error:
        raise ProofError(f"node {error.args[0]} of the tree is missing") from None


def grow(frontier: Frontier, leaves: Iterable[bytes]) -> list[tuple[Node, bytes]]:
    """Append leaf hashes to a frontier; the nodes above level 0 that became complete."""
    made = []
    for leaf in leaves:
        position = frontier.size
        hashes = frontier.nodes
        node = leaf
        level = 0
        while position >> level & 1:
            node = node_hash(hashes[-1 - level], node)
            level += 1
            made.append((Node(level, position >> level), node))
        frontier.append(leaf)
    return made


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    node = hashes[-1]
    for left in reversed(hashes[:-1]):
        node = node_hash(left, node)
    return node
