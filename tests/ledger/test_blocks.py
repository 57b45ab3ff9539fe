"""Blocks, streams and their end: against protocol.merkle and a real database."""

import os

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.block import build_block, build_close, pack_entries
from gateway.ledger.closing import ClosedAt, OrphanCommitted, close_abandoned, close_stream
from gateway.ledger.stream import Stream, advance
from gateway.store.errors import StoreRefused
from gateway.store.ledger import BlockConflict, Claim, ClaimConflict, split_entries
from gateway.store.pool import open_database
from protocol.keys import context
from protocol.ledger import GENESIS, BlockKind, decode_header, encode_entry, header_hash
from protocol.merkle import EMPTY_ROOT, leaf_hash, root_of, verify_range
from tests.ledger.building import T0_US, Centre, Writer, entry, ledger_of, request_id

entries = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=40)


def _stream():
    return Stream(id=os.urandom(16), role="inquiry", node="node-1", slot=0)


@given(entries)
def test_a_blocks_root_and_proofs_are_those_of_its_entries(datas):
    draft = build_block(_stream(), datas, T0_US)
    header = decode_header(draft.header)
    leaves = [leaf_hash(data) for data in datas]
    assert (header.root, header.count, header.kind) == (root_of(leaves), len(datas), BlockKind.NORMAL)
    assert draft.to_sign == context("block") + draft.header
    assert split_entries(draft.entries) == datas
    for lo in range(len(datas)):
        proof = draft.tree.range_proof(lo, len(datas))
        verify_range(leaves[lo:], lo=lo, size=len(datas), proof=proof, root=header.root)


@given(st.lists(entries, min_size=1, max_size=5))
def test_each_block_names_the_one_before_it_and_close_ends_the_chain(blocks):
    stream = _stream()
    previous = GENESIS
    for height, datas in enumerate(blocks):
        draft = build_block(stream, datas, T0_US)
        header = decode_header(draft.header)
        assert (header.stream, header.height, header.previous) == (stream.id, height, previous)
        previous = header_hash(draft.header)
        stream = advance(stream, draft.header)
    close = decode_header(build_close(stream, T0_US).header)
    assert (close.kind, close.height, close.previous) == (BlockKind.CLOSE, len(blocks), previous)
    assert (close.root, close.count) == (EMPTY_ROOT, 0)


@given(entries, st.integers(1, 100))
def test_cut_entries_are_refused(datas, cut):
    data = pack_entries(datas)
    whole = len(datas[-1]) + 4
    if cut < whole:
        with pytest.raises(ValueError, match="cut"):
            split_entries(data[:-cut])


def _draft(writer, *numbers):
    made = [entry(n) for n in numbers]
    draft = build_block(writer.stream, [encode_entry(e) for e in made], T0_US)
    claims = [Claim(e.party, e.request_id, 0, e.request_commitment, i) for i, e in enumerate(made)]
    return draft, writer.centre.block.sign(draft.to_sign), "block-1", claims


@pytest.mark.guest
async def test_an_id_is_claimed_once_and_a_refused_block_leaves_nothing(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        one = await Writer(store, centre).open()
        two = await Writer(store, centre, slot=1).open()
        await one.append([entry(1), entry(2)])
        with pytest.raises(ClaimConflict):
            await store.commit(*_draft(two, 3, 2))
        assert await store.read_block(two.stream.id, 0) is None
        assert await store.receipt_material("ministry-1", request_id(3)) is None
        await store.commit(*_draft(two, 3))
        material = await store.receipt_material("ministry-1", request_id(3))
        assert (material.block.stream, material.index) == (two.stream.id, 0)
        assert (await ops.fetchrow("select count(*) from ledger.claim"))[0] == 3


@pytest.mark.guest
async def test_another_partys_same_id_is_no_conflict(database_dsn):
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, Centre()).open()
        await writer.append([entry(1), entry(1, party="ministry-2")])
        assert (await store.receipt_material("ministry-2", request_id(1))).index == 1


@pytest.mark.guest
async def test_of_two_blocks_at_one_height_one_stands(database_dsn):
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, Centre()).open()
        first, second = _draft(writer, 1), _draft(writer, 2)
        await store.commit(*first)
        with pytest.raises(BlockConflict):
            await store.commit(*second)
        assert (await store.read_block(writer.stream.id, 0)).header == first[0].header


@pytest.mark.guest
async def test_racing_workers_claim_each_id_once_without_deadlock(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        writers = [await Writer(store, centre, slot=n).open() for n in range(2)]
        results = []

        async def race(writer, numbers):
            try:
                await store.commit(*_draft(writer, *numbers))
                results.append(True)
            except ClaimConflict:
                results.append(False)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(race, writers[0], range(1, 200))
            nursery.start_soon(race, writers[1], range(199, 0, -1))
        assert sorted(results) == [False, True]
        assert (await ops.fetchrow("select count(*) from ledger.claim"))[0] == 199


@pytest.mark.guest
async def test_close_before_the_orphan_keeps_it_out_for_ever(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, centre).open()
        await writer.append([entry(1)])
        orphan = _draft(writer, 2)
        assert await close_stream(store, centre.block, writer.stream, T0_US) == ClosedAt(1)
        with pytest.raises(BlockConflict):
            await store.commit(*orphan)
        assert await store.receipt_material("ministry-1", request_id(2)) is None
        assert await store.open_streams_of(role="inquiry", node="node-1", slot=0) == []


@pytest.mark.guest
async def test_an_orphan_that_committed_is_found_by_close(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, centre).open()
        orphan = _draft(writer, 2)
        await store.commit(*orphan)
        end = await close_stream(store, centre.block, writer.stream, T0_US)
        assert isinstance(end, OrphanCommitted)
        assert end.block.header == orphan[0].header
        assert [len(end.block.entries), end.block.key_id] == [1, "block-1"]


@pytest.mark.guest
async def test_close_waits_for_an_orphan_that_is_still_being_committed(database_dsn):
    centre = Centre()
    async with (
        ledger_of(database_dsn) as (store, _),
        open_database(database_dsn.gateway, size=1, role="test") as other,
    ):
        writer = await Writer(store, centre).open()
        draft, signature, key_id, _ = _draft(writer, 2)
        ends = []

        async def close():
            ends.append(await close_stream(store, centre.block, writer.stream, T0_US))

        async with trio.open_nursery() as nursery:  # noqa: SIM117 - the transaction ends before the nursery
            async with other.transaction() as connection:
                await connection.execute(
                    "insert into ledger.block values ($1, 0, $2, $3, $4, $5)",
                    writer.stream.id,
                    draft.header,
                    key_id,
                    signature,
                    draft.entries,
                )
                nursery.start_soon(close)
                waiting = "select count(*) from pg_locks where not granted"
                with trio.fail_after(10):
                    while not (await connection.fetchrow(waiting))[0]:
                        await trio.sleep(0.01)
                assert ends == []
        assert isinstance(ends[0], OrphanCommitted)
        assert ends[0].block.header == draft.header


@pytest.mark.guest
async def test_a_dead_workers_streams_are_closed_after_whatever_it_committed(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, centre).open()
        believed = writer.stream
        for n in range(3):
            await writer.append([entry(n)])
        assert await close_abandoned(store, centre.block, believed, T0_US) == 3
        assert await close_abandoned(store, centre.block, believed, T0_US) == 3
        assert await store.open_streams_of(role="inquiry", node="node-1", slot=0) == []
        fresh = await Writer(store, centre).open(predecessor=believed.id)
        assert await store.open_streams_of(role="inquiry", node="node-1", slot=0) == [(fresh.stream.id, 0, GENESIS)]


@pytest.mark.guest
async def test_a_block_needs_a_registered_stream(database_dsn):
    async with ledger_of(database_dsn) as (store, _):
        with pytest.raises(StoreRefused):
            await store.commit(*_draft(Writer(store, Centre()), 1))
