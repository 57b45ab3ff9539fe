"""RFC 6962 Merkle trees: roots, inclusion, range and consistency proofs, and a frontier that grows.

Leaves are hashed with 0x00 before them, nodes with 0x01. A range proof shows a run of leaves [lo, hi) at once: the
siblings needed to rebuild the root, level by level from the leaves, left before right.

Invariants kept here: a verifier never indexes beyond what it was given, rejects proofs that are too long as well as
too short, and works in O(log n) hashes a leaf. Source: RFC 6962 section 2.1, RFC 9162 section 2.1.3 and 2.1.4.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

_sha256 = hashlib.sha256
EMPTY_ROOT: Final = _sha256(b"").digest()
HASH_BYTES: Final = 32
_LEAF: Final = _sha256(b"\x00")
_NODE: Final = _sha256(b"\x01")


class ProofError(ValueError):
    """A proof that does not show what it claims."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data)."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


class Tree:
    """All levels of a tree over leaf hashes, for many proofs over one block.

    `levels[0]` are the leaf hashes; a last node without a sibling is carried up unchanged, which gives the RFC's root.
    """

    __slots__ = ("levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        levels = [list(leaves)]
        sha = _sha256
        while len(levels[-1]) > 1:
            below = levels[-1]
            level = [sha(b"\x01" + below[i] + below[i + 1]).digest() for i in range(0, len(below) - 1, 2)]
            if len(below) & 1:
                level.append(below[-1])
            levels.append(level)
        self.levels = levels

    @property
    def size(self) -> int:
        """Leaves in the tree."""
        return len(self.levels[0])

    @property
    def root(self) -> bytes:
        """32 bytes; EMPTY_ROOT for no leaves."""
        top = self.levels[-1]
        return top[0] if top else EMPTY_ROOT

    def range_proof(self, lo: int, hi: int) -> list[bytes]:
        """Siblings that rebuild the root from leaves [lo, hi). Raises: ValueError for an empty or outside range."""
        if not 0 <= lo < hi <= self.size:
            raise ValueError(f"range [{lo}, {hi}) is not in a tree of {self.size}")
        proof = []
        for level in self.levels[:-1]:
            if lo & 1:
                proof.append(level[lo - 1])
            if hi & 1 and hi < len(level):
                proof.append(level[hi])
            lo >>= 1
            hi = (hi + 1) >> 1
        return proof


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, keeping one level at a time."""
    if not leaves:
        return EMPTY_ROOT
    begun = _NODE.copy
    level = list(leaves)
    while len(level) > 1:
        above = []
        pairs = iter(level)
        for left, right in zip(pairs, pairs, strict=False):
            node = begun()  # a copy of a hash that has its prefix costs less than a new one
            node.update(left + right)
            above.append(node.digest())
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0]


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """`leaf_hash` of each."""
    begun = _LEAF.copy
    hashes = []
    for data in entries:
        leaf = begun()
        leaf.update(data)
        hashes.append(leaf.digest())
    return hashes


def root_from_range(leaves: Sequence[bytes], *, lo: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Rebuild the root of a tree of `size` leaves from leaf hashes standing at [lo, lo + len(leaves)).

    Raises: ProofError when the range lies outside the tree or the proof is too short or too long.
    """
    hi = lo + len(leaves)
    if not leaves or not 0 <= lo < hi <= size:
        raise ProofError(f"range [{lo}, {hi}) is not in a tree of {size}")
    nodes = list(leaves)
    at = 0
    try:
        while size > 1:
            if lo & 1:
                nodes.insert(0, proof[at])
                at += 1
            if hi & 1 and hi < size:
                nodes.append(proof[at])
                at += 1
            lo >>= 1
            hi = (hi + 1) >> 1
            above = [node_hash(nodes[i], nodes[i + 1]) for i in range(0, len(nodes) - 1, 2)]
            if len(nodes) & 1:
                above.append(nodes[-1])
            nodes = above
            size = (size + 1) >> 1
    except IndexError:
        raise ProofError("the proof is too short") from None
    if at != len(proof):
        raise ProofError("the proof is too long")
    return nodes[0]


def paths_from_range(leaves: Sequence[bytes], *, lo: int, size: int, proof: Sequence[bytes]) -> list[list[bytes]]:
    """An inclusion proof for each leaf of a range whose proof was already verified.

    Raises: ProofError like root_from_range.
    """
    hi = lo + len(leaves)
    root_from_range(leaves, lo=lo, size=size, proof=proof)
    paths: list[list[bytes]] = [[] for _ in leaves]
    places = list(range(lo, hi))
    nodes = dict(enumerate(leaves, lo))
    at = 0
    while size > 1:
        if lo & 1:
            nodes[lo - 1] = proof[at]
            at += 1
        if hi & 1 and hi < size:
            nodes[hi] = proof[at]
            at += 1
        for path, place in zip(paths, places, strict=True):
            sibling = nodes.get(place ^ 1)
            if sibling is not None:
                path.append(sibling)
        lo, hi, size = lo >> 1, (hi + 1) >> 1, (size + 1) >> 1
        nodes = {
            i: node_hash(nodes[2 * i], nodes[2 * i + 1]) if 2 * i + 1 in nodes else nodes[2 * i] for i in range(lo, hi)
        }
        places = [place >> 1 for place in places]
    return paths


def verify_range(leaves: Sequence[bytes], *, lo: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hashes stand at [lo, lo + len(leaves)) under `root`. Raises: ProofError."""
    if root_from_range(leaves, lo=lo, size=size, proof=proof) != root:
        raise ProofError("the leaves are not in the tree at this place")


def verify_inclusion(leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """A range of one. Raises: ProofError."""
    verify_range((leaf,), lo=index, size=size, proof=proof, root=root)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Proof for one leaf hash among all of them."""
    return Tree(leaves).range_proof(index, index + 1)


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Nodes showing that the tree over leaves[:first] is a prefix of the tree over all (RFC 9162 2.1.4.1).

    Raises: ValueError unless 0 < first <= len(leaves). Empty when the two are the same tree.
    """
    if not 0 < first <= len(leaves):
        raise ValueError(f"no consistency proof from {first} to {len(leaves)}")
    return _subproof(list(leaves), first, whole=True)


def _subproof(leaves: list[bytes], first: int, *, whole: bool) -> list[bytes]:
    size = len(leaves)
    if first == size:
        return [] if whole else [root_of(leaves)]
    split = 1 << ((size - 1).bit_length() - 1)
    if first <= split:
        return [*_subproof(leaves[:split], first, whole=whole), root_of(leaves[split:])]
    return [*_subproof(leaves[split:], first - split, whole=False), root_of(leaves[:split])]


def verify_consistency(
    *, first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (first, first_root) is a prefix of (second, second_root) (RFC 9162 2.1.4.2).

    Raises: ProofError.
    """
    if not 0 < first <= second:
        raise ProofError(f"no consistency from {first} to {second}")
    if first == second:
        if proof or first_root != second_root:
            raise ProofError("two trees of one size differ")
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise ProofError("the proof is too short")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for node in path[1:]:
        if sn == 0:
            raise ProofError("the proof is too long")
        if fn & 1 or fn == sn:
            fr = node_hash(node, fr)
            sr = node_hash(node, sr)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            sr = node_hash(sr, node)
        fn >>= 1
        sn >>= 1
    if sn or fr != first_root or sr != second_root:
        raise ProofError("the trees are not consistent")


class Frontier:
    """A tree that only grows, kept as the roots of its full subtrees: append in O(log n) space."""

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if len(nodes) != size.bit_count():
            raise ValueError("a frontier has one node for each bit set in its size")
        self.size = size
        self.nodes = list(nodes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        node = leaf
        size = self.size
        while size & 1:
            node = node_hash(self.nodes.pop(), node)
            size >>= 1
        self.nodes.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """Root over all leaves so far."""
        if not self.nodes:
            return EMPTY_ROOT
        node = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            node = node_hash(left, node)
        return node
