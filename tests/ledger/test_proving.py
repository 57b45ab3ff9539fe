"""Proofs from stored nodes are those of protocol.merkle, for every size."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.proving import carry_out, consistency_plan, frontier_nodes, grow, inclusion_plan, needed
from protocol.merkle import Frontier, ProofError, Tree, consistency_proof, inclusion_proof, root_of

LEAVES = [hashlib.sha256(bytes([n])).digest() for n in range(200)]


def _stored(size):
    hashes = {(0, n): leaf for n, leaf in enumerate(LEAVES[:size])}
    frontier = Frontier()
    hashes.update(grow(frontier, LEAVES[:size]))
    assert frontier.root == root_of(LEAVES[:size])
    return hashes


STORED = _stored(200)


@pytest.mark.parametrize("size", range(1, 40))
def test_inclusion_proofs_are_those_of_the_whole_tree(size):
    for index in range(size):
        assert carry_out(inclusion_plan(index, size), STORED) == inclusion_proof(LEAVES[:size], index)


@pytest.mark.parametrize("second", range(1, 40))
def test_consistency_proofs_are_those_of_the_whole_tree(second):
    for first in range(1, second + 1):
        assert carry_out(consistency_plan(first, second), STORED) == consistency_proof(LEAVES[:second], first)


@settings(max_examples=50)
@given(st.integers(0, 200))
def test_a_frontier_is_read_from_its_nodes(size):
    frontier = Frontier(size, [STORED[node] for node in frontier_nodes(size)])
    assert frontier.root == root_of(LEAVES[:size])


@settings(max_examples=50)
@given(st.integers(0, 100), st.integers(0, 100))
def test_growing_in_parts_completes_the_same_nodes(first, second):
    frontier = Frontier()
    made = grow(frontier, LEAVES[:first]) + grow(frontier, LEAVES[first : first + second])
    assert dict(made) == {node: digest for node, digest in _stored(first + second).items() if node[0]}
    levels = Tree(LEAVES[: first + second]).levels
    assert all(levels[node.level][node.place] == digest for node, digest in made)


def test_a_leaf_outside_the_tree_and_a_missing_node_are_errors():
    for plan in (lambda: inclusion_plan(5, 5), lambda: consistency_plan(0, 5), lambda: consistency_plan(6, 5)):
        with pytest.raises(ProofError):
            plan()
    plan = inclusion_plan(3, 9)
    without = {node: digest for node, digest in STORED.items() if node != needed(plan)[0]}
    with pytest.raises(ProofError):
        carry_out(plan, without)
