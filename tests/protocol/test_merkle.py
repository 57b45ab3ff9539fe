"""Roots and proofs against a naive reading of RFC 6962, and the reference roots of Certificate Transparency."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    paths_from_range,
    root_from_range,
    root_of,
    verify_consistency,
    verify_inclusion,
    verify_range,
)

CT_LEAVES = [bytes.fromhex(x) for x in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
)]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots over the first 1 to 8 leaves, from the tests of the Certificate Transparency reference implementation."""

LEAVES = [leaf_hash(n.to_bytes(2, "big")) for n in range(70)]


def mth(data: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word, over leaf hashes."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return data[0]
    k = 1
    while k * 2 < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def audit_path(m: int, data: list[bytes]) -> list[bytes]:
    """RFC 6962 2.1.1, word for word."""
    if len(data) <= 1:
        return []
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m < k:
        return [*audit_path(m, data[:k]), mth(data[k:])]
    return [*audit_path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], whole: bool) -> list[bytes]:
    """RFC 6962 2.1.2, word for word."""
    if m == len(data):
        return [] if whole else [mth(data)]
    k = 1
    while k * 2 < len(data):
        k *= 2
    if m <= k:
        return [*subproof(m, data[:k], whole), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def test_reference_roots_hold() -> None:
    hashed = [leaf_hash(leaf) for leaf in CT_LEAVES]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in enumerate(CT_ROOTS, 1):
        assert Tree(hashed[:size]).root.hex() == root_of(hashed[:size]).hex() == root


@pytest.mark.parametrize("size", range(71))
def test_roots_equal_the_naive_ones(size: int) -> None:
    leaves = LEAVES[:size]
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert Tree(leaves).root == root_of(leaves) == frontier.root == mth(leaves)
    assert Frontier(size, frontier.nodes).root == frontier.root


@pytest.mark.parametrize("size", range(1, 71))
def test_every_range_of_every_size_is_proven_and_gives_the_rfc_paths(size: int) -> None:
    leaves = LEAVES[:size]
    tree = Tree(leaves)
    paths = [audit_path(m, leaves) for m in range(size)]
    for lo in range(size):
        assert inclusion_proof(leaves, lo) == paths[lo]
        for hi in range(lo + 1, size + 1):
            proof = tree.range_proof(lo, hi)
            verify_range(leaves[lo:hi], lo=lo, size=size, proof=proof, root=tree.root)
            if size <= 24 or hi - lo <= 2:
                assert paths_from_range(leaves[lo:hi], lo=lo, size=size, proof=proof) == paths[lo:hi]


def test_consistency_of_all_pairs_to_40() -> None:
    for second in range(1, 41):
        for first in range(1, second + 1):
            proof = consistency_proof(LEAVES[:second], first)
            assert proof == subproof(first, LEAVES[:second], True)
            facts = {"first": first, "second": second, "second_root": mth(LEAVES[:second])}
            verify_consistency(**facts, first_root=mth(LEAVES[:first]), proof=proof)
            for bad in ([*proof, bytes(32)], proof[:-1], [bytes(32), *proof[1:]]):
                if bad != proof:
                    with pytest.raises(ProofError):
                        verify_consistency(**facts, first_root=mth(LEAVES[:first]), proof=bad)
            with pytest.raises(ProofError):
                verify_consistency(**facts, first_root=bytes(32), proof=proof)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 70), data=st.data())
def test_a_proof_that_was_altered_moved_cut_or_stretched_is_refused(size: int, data: st.DataObject) -> None:
    lo = data.draw(st.integers(0, size - 1))
    hi = data.draw(st.integers(lo + 1, size))
    tree = Tree(LEAVES[:size])
    proof = tree.range_proof(lo, hi)
    run = LEAVES[lo:hi]
    wrong = [
        (run, lo, [*proof, bytes(32)]),
        (run[:-1], lo, proof),
        ([bytes(32), *run[1:]], lo, proof),
        (run, lo + 1, proof),
        (run, lo - 1, proof),
        *((run, lo, [*proof[:n], bytes(32), *proof[n + 1 :]]) for n in range(len(proof))),
        *([(run, lo, proof[:-1])] if proof else []),
    ]
    for leaves, at, path in wrong:
        with pytest.raises(ProofError):
            verify_range(leaves, lo=at, size=size, proof=path, root=tree.root)


@pytest.mark.parametrize(("lo", "size"), [(-1, 4), (4, 4), (0, 0), (0, -5), (3, 1 << 62)])
def test_a_place_outside_the_tree_is_refused(lo: int, size: int) -> None:
    with pytest.raises(ProofError):
        root_from_range(LEAVES[:1], lo=lo, size=size, proof=[])
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], index=lo, size=size, proof=[], root=bytes(32))


def test_what_cannot_be_proven_is_not_made() -> None:
    tree = Tree(LEAVES[:4])
    for lo, hi in ((0, 0), (2, 1), (0, 5), (-1, 2)):
        with pytest.raises(ValueError, match="not in a tree"):
            tree.range_proof(lo, hi)
    for first in (0, 5):
        with pytest.raises(ValueError, match="no consistency proof"):
            consistency_proof(LEAVES[:4], first)
    with pytest.raises(ValueError, match="one node"):
        Frontier(3, [bytes(32)])
