"""Checkpoints and the projection on a real database."""

import pytest

from gateway.ledger.checkpointing import Checkpointer, CheckpointProofs
from gateway.ledger.errors import LedgerContradicted
from gateway.ledger.projection import project_all, rebuild
from gateway.store.errors import StoreRefused
from gateway.store.ledger_checkpoints import CheckpointStore
from gateway.store.pool import open_database
from protocol.checkpoint import parse_note, verify_note
from protocol.ledger import header_hash
from protocol.merkle import verify_consistency, verify_inclusion
from tests.ledger.building import T0_US, Centre, Writer, entry, fill, ledger_of, request_id

pytestmark = pytest.mark.guest


def _checkpointer(ops, centre, now=lambda: T0_US, **more):
    return Checkpointer(ops, origin=centre.trust.origin, sign=centre.checkpoint, now_us=now, **more)


async def test_each_new_block_is_covered_once_and_proofs_verify_across_checkpoints(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        checkpointer = _checkpointer(ops, centre)
        assert await checkpointer.run_once() is None
        one, two = await fill(store, centre)
        first = await checkpointer.run_once()
        assert first.blocks == first.checkpoint.size == 7
        assert verify_note(parse_note(first.note), centre.trust) == first.checkpoint
        assert await checkpointer.run_once() is None
        await one.append([entry(50)])
        second = await checkpointer.run_once()
        assert (second.checkpoint.size, second.blocks) == (8, 1)
        proofs = CheckpointProofs(ops)
        for writer in (one, two):
            for height in range(4):
                block = await store.read_block(writer.stream.id, height)
                finality = await proofs.finality(writer.stream.id, height)
                assert finality.note == second.note
                verify_inclusion(
                    header_hash(block.header),
                    index=finality.position,
                    size=8,
                    proof=finality.path,
                    root=second.checkpoint.root,
                )
        assert await proofs.finality(one.stream.id, 3, 7) is None
        assert (await proofs.finality(one.stream.id, 2, 7)).note == first.note
        assert await proofs.finality(one.stream.id, 2, 6) is None
        verify_consistency(
            first=7,
            first_root=first.checkpoint.root,
            second=8,
            second_root=second.checkpoint.root,
            proof=await proofs.consistency(7, 8),
        )


async def test_another_process_continues_the_same_tree(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Writer(store, centre).open()
        checkpointers = [_checkpointer(ops, centre), _checkpointer(ops, centre)]
        for n in range(9):
            await writer.append([entry(n)])
            made = await checkpointers[n % 2].run_once()
            assert made.checkpoint.size == n + 1
        assert (await _checkpointer(ops, centre).run_once()) is None


async def test_leaves_without_a_note_are_signed_for_after_a_crash(database_dsn):
    centre = Centre()

    async def broken(_):
        raise ConnectionError("the key store is away")

    async with ledger_of(database_dsn) as (store, ops):
        await fill(store, centre)
        failing = Checkpointer(ops, origin=centre.trust.origin, sign=broken, now_us=lambda: T0_US)
        with pytest.raises(ConnectionError):
            await failing.run_once()
        assert await CheckpointStore(ops).size() == 7
        assert await CheckpointStore(ops).latest() is None
        assert (await _checkpointer(ops, centre).run_once()).checkpoint.size == 7


async def test_ml_dsa_signs_at_most_once_a_minute(database_dsn):
    centre = Centre()
    clock = [T0_US]
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Writer(store, centre).open()
        checkpointer = _checkpointer(ops, centre, lambda: clock[0], sign_pq=centre.checkpoint_pq)
        lines = []
        for n in range(4):
            await writer.append([entry(n)])
            note = parse_note((await checkpointer.run_once()).note)
            verify_note(note, centre.trust)
            lines.append(len(note.signatures))
            clock[0] += 25_000_000
        assert lines == [2, 1, 1, 2]


async def test_a_block_waits_for_its_predecessor(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Writer(store, centre).open()
        await writer.append([entry(1)])
        writer.stream = type(writer.stream)(
            id=writer.stream.id, role="inquiry", node="node-1", slot=0, height_next=2, previous=bytes(32)
        )
        await writer.append([entry(2)])
        assert (await _checkpointer(ops, centre).run_once()).checkpoint.size == 1


async def test_nothing_more_is_signed_when_the_stored_tree_is_not_the_signed_one(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        one, _ = await fill(store, centre)
        await _checkpointer(ops, centre).run_once()
        async with open_database(database_dsn.owner, role="test") as owner, owner.transaction() as connection:
            await connection.execute("set local session_replication_role = replica")
            await connection.execute("update ledger.checkpoint_leaf set hash = sha256(hash) where position = 6")
        await one.append([entry(60)])
        with pytest.raises(LedgerContradicted):
            await _checkpointer(ops, centre).run_once()


async def test_the_projection_is_filled_once_and_rebuilt_the_same(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops):
        one, _ = await fill(store, centre)
        assert await project_all(ops) == 7
        assert await project_all(ops) == 0
        everything = "select * from ledger.entry order by stream, height, idx"
        before = [tuple(row) for row in await ops.fetch(everything)]
        assert len(before) == 21
        row = await ops.fetchrow(
            "select * from ledger.entry where stream = $1 and height = 2 and idx = 2", one.stream.id
        )
        assert (row["kind"], row["yen"], row["party"], row["request_id"].bytes) == (
            3,
            -10,
            "ministry-1",
            request_id(20),
        )
        await one.append([entry(70)])
        assert await project_all(ops) == 1
        assert await rebuild(ops) == 8
        assert len(await ops.fetch(everything)) == 22
        after = [tuple(row) for row in await ops.fetch(everything)]
        assert [row for row in after if row[6].bytes != request_id(70)] == before


@pytest.mark.parametrize("table", ["stream", "block", "claim", "checkpoint_leaf", "checkpoint_node", "checkpoint"])
@pytest.mark.parametrize("who", ["gateway", "ops", "owner"])
@pytest.mark.parametrize(
    "change", ["delete from ledger.{0}", "update ledger.{0} set {1} = {1}", "truncate ledger.{0} cascade"]
)
async def test_nobody_changes_what_stands(database_dsn, table, who, change):
    column = {"checkpoint": "note", "stream": "node"}.get(table, "hash" if "_" in table else "height")
    async with open_database(getattr(database_dsn, who), role="test") as database:
        with pytest.raises(StoreRefused) as refused:
            await database.execute(change.format(table, column))
        assert refused.value.sqlstate == "42501"


@pytest.mark.parametrize("who", ["gateway", "ops", "owner"])
async def test_a_partition_of_the_claims_is_no_way_around(database_dsn, who):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, _):
        await fill(store, centre)
    async with open_database(getattr(database_dsn, who), role="test") as database:
        parts = await database.fetch(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'ledger.claim'::regclass"
        )
        for (part,) in parts:
            for change in ("delete from {}", "update {} set idx = idx", "truncate {}"):
                with pytest.raises(StoreRefused):
                    await database.execute(change.format(part))
