"""Compact proofs: all that single proofs show, in less room, and nothing that they do not."""

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.keys import context
from protocol.ledger import BLOCK_CONTEXT, GENESIS, BlockHeader, BlockKind, encode_entry, encode_header
from protocol.merkle import Tree, leaf_hash, root_of
from protocol.proofs import SEGMENT_BYTES_MAX, encode_segment, gather, read_segments, root_from_some, verify_block
from protocol.receipt import Fault, Proof, ReceiptError
from tests.ledger.building import T0_US, Centre, entry

CENTRE = Centre()


def proofs_of(entries, wanted=None, *, centre=CENTRE, stream=bytes(16), height=0):
    """A signed block of these entries, and the single proofs of the wanted ones."""
    data = [encode_entry(each) for each in entries]
    tree = Tree([leaf_hash(each) for each in data])
    header = encode_header(BlockHeader(1, stream, height, GENESIS, tree.root, len(data), T0_US, BlockKind.NORMAL))
    signature = centre.block.sign(context(BLOCK_CONTEXT) + header)
    return [
        Proof(data[i], i, tree.range_proof(i, i + 1), header, "block-1", signature)
        for i in (range(len(data)) if wanted is None else wanted)
    ]


@given(st.integers(1, 40), st.data())
def test_any_entries_of_a_block_lead_to_its_root(size, data):
    wanted = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    entries = [entry(n) for n in range(size)]
    (block,) = gather(proofs_of(entries, wanted))
    header, found = verify_block(block, CENTRE.trust)
    assert (header.count, found) == (size, [entries[i] for i in wanted])
    if len(wanted) == size:
        assert block.nodes == []


@given(st.integers(2, 40), st.data())
def test_an_altered_place_node_or_entry_is_refused(size, data):
    wanted = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size - 1)))
    (block,) = gather(proofs_of([entry(n) for n in range(size)], wanted))
    n = data.draw(st.integers(0, len(block.nodes) - 1))
    free = next(i for i in range(size) if i not in wanted)
    altered = (
        msgspec.structs.replace(block, nodes=[*block.nodes[:n], bytes(32), *block.nodes[n + 1 :]]),
        msgspec.structs.replace(block, nodes=[*block.nodes, bytes(32)]),
        msgspec.structs.replace(block, nodes=block.nodes[:-1]),
        msgspec.structs.replace(block, indices=[free, *wanted[1:]]),
        msgspec.structs.replace(block, indices=[size, *wanted[1:]]),
        msgspec.structs.replace(block, entries=[encode_entry(entry(999)), *block.entries[1:]]),
        msgspec.structs.replace(block, entries=block.entries * 2),
    )
    for each in altered:
        with pytest.raises(ReceiptError) as refused:
            verify_block(each, CENTRE.trust)
        assert refused.value.fault is Fault.PATH


def test_a_block_that_another_centre_signed_is_refused():
    (block,) = gather(proofs_of([entry(1)], centre=Centre()))
    with pytest.raises(ReceiptError) as refused:
        verify_block(block, CENTRE.trust)
    assert refused.value.fault is Fault.SIGNATURE


def test_segments_follow_one_another_in_a_file_and_the_same_entry_is_kept_once():
    one = gather(proofs_of([entry(n) for n in range(9)], [1, 4]) * 2)
    two = gather(proofs_of([entry(n) for n in range(3)], height=1))
    file = io.BytesIO(encode_segment(one) + encode_segment(two))
    assert list(read_segments(file)) == [one, two]
    assert [len(block.entries) for block in one] == [2]


@pytest.mark.parametrize("cut", [1, 11, 13, 40])
def test_a_file_that_is_cut_is_refused(cut):
    data = encode_segment(gather(proofs_of([entry(1)])))
    with pytest.raises(ReceiptError) as refused:
        list(read_segments(io.BytesIO(data[:cut])))
    assert refused.value.fault is Fault.MALFORMED


def test_a_segment_that_would_swell_beyond_what_it_says_is_refused():
    data = bytearray(encode_segment(gather(proofs_of([entry(1)]))))
    data[8:12] = (5).to_bytes(4, "big")
    with pytest.raises(ReceiptError, match="not as long"):
        list(read_segments(io.BytesIO(bytes(data))))
    data[8:12] = (SEGMENT_BYTES_MAX + 1).to_bytes(4, "big")
    with pytest.raises(ReceiptError, match="not a segment"):
        list(read_segments(io.BytesIO(bytes(data))))


def test_a_tree_rebuilt_from_all_leaves_has_the_roots_of_the_rfc():
    for size in range(1, 20):
        leaves = [leaf_hash(bytes([n])) for n in range(size)]
        assert root_from_some(leaves, indices=range(size), size=size, nodes=[]) == root_of(leaves)
