"""Every tampering with a ledger is found and named; an honest one is sound."""

import pytest

from gateway.ledger.block import build_close
from gateway.ledger.checkpointing import Checkpointer
from gateway.ledger.findings import Fault
from gateway.ledger.projection import project_all
from gateway.ledger.proving import grow
from gateway.ledger.stream import advance
from gateway.ledger.verification import NoteNotBelieved, read_note, verify_ledger
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, open_reader
from gateway.store.pool import open_database
from protocol.ledger import EntryKind, EntryRef
from protocol.merkle import Frontier
from tests.ledger.building import T0_US, Centre, Writer, entry, fill, ledger_of, request_id

pytestmark = pytest.mark.guest


class Ledger:
    """A filled, checkpointed and projected ledger: its centre, writers, dsn, and the kept checkpoint."""

    def __init__(self, dsn, centre, one, two, kept):
        self.dsn = dsn
        self.centre = centre
        self.one = one
        self.two = two
        self.kept = kept

    async def tamper(self, *statements, some=True):
        """As a superuser with all triggers and foreign keys off; `some`: each statement must change something."""
        async with open_database(self.dsn.owner, role="test") as owner, owner.transaction() as connection:
            await connection.execute("set local session_replication_role = replica")
            for sql, *args in statements:
                status = await connection.execute(sql, *args)
                assert not some or not status.endswith(" 0"), sql

    async def verify(self, *, kept=True):
        async with open_database(self.dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops, open_reader(ops) as reader:
            return await verify_ledger(reader, self.centre.trust, kept=[self.kept] if kept else [])


async def _ledger(dsn):
    centre = Centre()
    async with ledger_of(dsn) as (store, ops):
        one, two = await fill(store, centre)
        checkpointer = Checkpointer(ops, origin=centre.trust.origin, sign=centre.checkpoint, now_us=lambda: T0_US)
        kept = (await checkpointer.run_once()).checkpoint
        draft = build_close(two.stream, T0_US)
        await store.commit(draft, centre.block.sign(draft.to_sign), "block-1", [])
        two.stream = advance(two.stream, draft.header)
        await one.append([entry(90)])
        await checkpointer.run_once()
        await project_all(ops)
        await one.append([entry(91)])
    return Ledger(dsn, centre, one, two, kept)


def _faults(report, **place):
    return {f.fault for f in report.findings if all(getattr(f, name) == value for name, value in place.items())}


async def test_an_honest_ledger_is_sound_and_counted(database_dsn):
    ledger = await _ledger(database_dsn)
    report = await ledger.verify()
    assert report.findings == []
    assert report.sound
    assert (report.streams, report.blocks, report.entries, report.claims) == (2, 10, 23, 24)
    assert (report.leaves, report.checkpoints, report.uncovered, report.unprojected) == (9, 2, 1, 1)


async def test_an_empty_ledger_is_sound(database_dsn):
    centre = Centre()
    async with open_database(database_dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops, open_reader(ops) as reader:
        assert (await verify_ledger(reader, centre.trust)).sound


BYTE = "set_byte({0}, {1}, get_byte({0}, {1}) # 1)"


@pytest.mark.parametrize("at", [0, 5, 25, 30, 60, 70, 100])
async def test_one_bit_of_a_header_is_found(database_dsn, at):
    ledger = await _ledger(database_dsn)
    where = "where stream = $1 and height = 1"
    await ledger.tamper(
        (
            f"update ledger.block set header = {BYTE.format('header', f'least({at}, length(header) - 1)')} {where}",
            ledger.one.stream.id,
        )
    )
    report = await ledger.verify()
    named = _faults(report, stream=ledger.one.stream.id.hex(), height=1)
    assert Fault.LEAF in named
    assert named & {Fault.HEADER, Fault.SIGNATURE}
    assert Fault.CHAIN in _faults(report, stream=ledger.one.stream.id.hex(), height=2)


@pytest.mark.parametrize("at", [0, 3, 4, 5, 6, 40, 100, 150])
async def test_one_bit_of_the_entries_is_found(database_dsn, at):
    ledger = await _ledger(database_dsn)
    where = "where stream = $1 and height = 0"
    await ledger.tamper(
        (f"update ledger.block set entries = {BYTE.format('entries', at)} {where}", ledger.one.stream.id)
    )
    report = await ledger.verify()
    assert Fault.ENTRIES in _faults(report, stream=ledger.one.stream.id.hex(), height=0)


@pytest.mark.parametrize("at", [0, 63])
async def test_one_bit_of_a_signature_is_found(database_dsn, at):
    ledger = await _ledger(database_dsn)
    where = "where stream = $1 and height = 0"
    await ledger.tamper(
        (f"update ledger.block set signature = {BYTE.format('signature', at)} {where}", ledger.one.stream.id)
    )
    assert _faults(await ledger.verify()) == {Fault.SIGNATURE}


@pytest.mark.parametrize("key_id", ["checkpoint-1", "block-9"])
async def test_another_keys_name_on_a_block_is_found(database_dsn, key_id):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(
        ("update ledger.block set key_id = $2 where stream = $1 and height = 0", ledger.one.stream.id, key_id)
    )
    assert _faults(await ledger.verify()) == {Fault.SIGNATURE}


@pytest.mark.parametrize(
    "change",
    [
        "party = 'ministry-9'",
        "request_id = substring(request_id for 15) || '\\xff'",
        "turn = 4",
        "commitment = sha256(commitment)",
        "idx = 99",
        "height = 1",
        "height = 77",
        "stream = '\\x00112233445566778899aabbccddeeff'",
    ],
)
async def test_one_field_of_a_claim_is_found_and_the_entry_named(database_dsn, change):
    ledger = await _ledger(database_dsn)
    await ledger.tamper((f"update ledger.claim set {change} where request_id = $1 and turn = 0", request_id(2)))
    report = await ledger.verify()
    assert Fault.CLAIM in _faults(report, stream=ledger.one.stream.id.hex(), height=0, index=1)


@pytest.mark.parametrize("change", ["turn = 2", "turn = 0", "turn = -1", "commitment = sha256(commitment)"])
async def test_a_repeats_claim_is_held_against_its_entry(database_dsn, change):
    ledger = await _ledger(database_dsn)
    statements = [(f"update ledger.claim set {change} where request_id = $1 and turn = 1", request_id(3))]
    if change == "turn = 0":
        statements.insert(0, ("delete from ledger.claim where request_id = $1 and turn = 0", request_id(3)))
    await ledger.tamper(*statements)
    assert _faults(await ledger.verify()) & {Fault.CLAIM, Fault.TURN}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("commitment = sha256(commitment)", Fault.CLAIM),
        ("party = 'ministry-9'", Fault.CLAIM),
        ("idx = 0", Fault.CLAIM),
        ("request_id = substring(request_id for 15) || '\\x06'", Fault.REFERENCE),
    ],
)
async def test_a_disclaimers_mark_is_held_against_its_entry(database_dsn, change, fault):
    ledger = await _ledger(database_dsn)
    await ledger.tamper((f"update ledger.claim set {change} where turn = -1",))
    assert fault in _faults(await ledger.verify(), stream=ledger.one.stream.id.hex(), height=2)


async def test_a_missing_and_a_foreign_claim_are_found(database_dsn):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(
        ("delete from ledger.claim where request_id = $1 and turn = 0", request_id(4)),
        ("delete from ledger.claim where turn = -1",),
        (
            "insert into ledger.claim select party, $2, 0, commitment, stream, height, idx from ledger.claim"
            " where request_id = $1 and turn = 0",
            request_id(6),
            request_id(999),
        ),
    )
    report = await ledger.verify()
    for height, index in ((0, 3), (0, 5), (2, 2)):
        assert Fault.CLAIM in _faults(report, stream=ledger.one.stream.id.hex(), height=height, index=index)


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "party = 'ministry-9'",
        "line = 'line-b'",
        "request_id = gen_random_uuid()",
        "operation = 2",
        "matter = 'tax'",
        "step = 2",
        "counterparty = 'x'",
        "outcome = 101",
        "kind = 2",
        "yen = yen + 1",
        "commission = 1",
        "terms = 2",
        "idx = 50",
        "height = 50",
    ],
)
async def test_one_field_of_the_projection_is_found_and_the_row_named(database_dsn, change):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(
        (f"update ledger.entry set {change} where stream = $1 and height = 0 and idx = 6", ledger.one.stream.id)
    )
    report = await ledger.verify()
    assert _faults(report) == {Fault.PROJECTION}
    assert Fault.PROJECTION in _faults(report, stream=ledger.one.stream.id.hex(), height=0, index=6)


async def test_missing_and_invented_projected_rows_are_found(database_dsn):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(
        ("delete from ledger.entry where stream = $1 and height = 1", ledger.two.stream.id),
        (
            "insert into ledger.entry select stream, 4, 0, at, party, line, request_id, operation, matter, step,"
            " counterparty, outcome, kind, yen, commission, terms from ledger.entry"
            " where stream = $1 and height = 3 and idx = 0",
            ledger.one.stream.id,
        ),
    )
    report = await ledger.verify()
    assert Fault.PROJECTION in _faults(report, stream=ledger.two.stream.id.hex(), height=1, index=0)
    assert Fault.PROJECTION in _faults(report, stream=ledger.one.stream.id.hex(), height=4, index=0)


async def test_a_deleted_block_is_found_by_the_gap_and_by_its_leaf(database_dsn):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(("delete from ledger.block where stream = $1 and height = 1", ledger.one.stream.id))
    report = await ledger.verify()
    stream = ledger.one.stream.id.hex()
    assert Fault.BLOCK_MISSING in _faults(report, stream=stream, height=1)
    assert Fault.BLOCK_MISSING in _faults(report, stream=stream, height=2)
    assert Fault.CLAIM in _faults(report, stream=stream, height=1)


async def _cut(ledger, stream, height):
    """Delete a stream from a height on with everything that hangs on it, and repair all unsigned tables after it."""
    where = "where stream = $1 and height >= $2"
    tables = ("block", "claim", "entry", "checkpoint_leaf")
    await ledger.tamper(
        *[(f"delete from ledger.{table} {where}", stream, height) for table in tables],
        ("delete from ledger.checkpoint_node",),
        ("delete from ledger.checkpoint",),
        ("update ledger.checkpoint_leaf set position = position + 1000",),
        (
            "update ledger.checkpoint_leaf l set position = n.place from"
            " (select position, row_number() over (order by position) - 1 as place from ledger.checkpoint_leaf) n"
            " where n.position = l.position",
        ),
        ("update ledger.projected set height_next = least(height_next, $2) where stream = $1", stream, height),
        some=False,
    )
    if height == 0:
        await ledger.tamper(("delete from ledger.stream where id = $1", stream))
    async with open_database(ledger.dsn.owner, role="test") as owner:
        leaves = [row[0] for row in await owner.fetch("select hash from ledger.checkpoint_leaf order by position")]
        for (level, place), digest in grow(Frontier(), leaves):
            await owner.execute("insert into ledger.checkpoint_node values ($1, $2, $3)", level, place, digest)


@pytest.mark.parametrize(("which", "height"), [("one", 3), ("one", 2), ("one", 0), ("two", 4), ("two", 0)])
async def test_what_a_kept_checkpoint_covers_cannot_be_taken_away_even_with_every_table_repaired(
    database_dsn, which, height
):
    ledger = await _ledger(database_dsn)
    stream = getattr(ledger, which).stream.id
    await _cut(ledger, stream, height)
    without = await ledger.verify(kept=False)
    assert without.findings == []
    covered = height < (4 if which == "two" else 3)
    assert _faults(await ledger.verify()) == ({Fault.KEPT} if covered else set())


async def test_the_whole_ledger_taken_away_is_found(database_dsn):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(
        *[
            (f"delete from ledger.{table}",)
            for table in (
                "entry",
                "projected",
                "claim",
                "block",
                "stream",
                "checkpoint_leaf",
                "checkpoint_node",
                "checkpoint",
            )
        ]
    )
    report = await ledger.verify()
    assert [(f.fault, f.size) for f in report.findings] == [(Fault.KEPT, 7)]


async def test_two_swapped_blocks_are_found(database_dsn):
    ledger = await _ledger(database_dsn)
    stream = ledger.two.stream.id
    await ledger.tamper(
        ("update ledger.block set height = 100 where stream = $1 and height = 1", stream),
        ("update ledger.block set height = 1 where stream = $1 and height = 2", stream),
        ("update ledger.block set height = 2 where stream = $1 and height = 100", stream),
    )
    report = await ledger.verify()
    for height in (1, 2):
        assert {Fault.HEADER, Fault.CHAIN, Fault.LEAF} <= _faults(report, stream=stream.hex(), height=height)


async def test_a_block_after_a_close_is_found(database_dsn):
    ledger = await _ledger(database_dsn)
    async with ledger_of(database_dsn) as (store, _):
        ledger.two.store = store
        await ledger.two.append([entry(120)])
    report = await ledger.verify()
    assert _faults(report, height=5) == {Fault.AFTER_CLOSE}


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("update ledger.checkpoint_leaf set hash = sha256(hash) where position = 3", Fault.LEAF),
        ("update ledger.checkpoint_leaf set position = 50 where position = 3", Fault.LEAF),
        ("update ledger.checkpoint_leaf set height = 50 where position = 3", Fault.BLOCK_MISSING),
        ("delete from ledger.checkpoint_leaf where position = 8", Fault.CHECKPOINT),
        ("update ledger.checkpoint_node set hash = sha256(hash) where level = 2", Fault.NODE),
        ("delete from ledger.checkpoint_node where level = 1 and place = 0", Fault.NODE),
        ("insert into ledger.checkpoint_node values (4, 0, sha256(''))", Fault.NODE),
        ("update ledger.checkpoint set at_us = at_us + 1 where size = 7", Fault.CHECKPOINT),
        ("update ledger.checkpoint set size = 8 where size = 7", Fault.CHECKPOINT),
        ("update ledger.checkpoint set note = replace(note, 'time 17', 'time 16') where size = 7", Fault.CHECKPOINT),
        ("update ledger.checkpoint set note = 'x' where size = 7", Fault.CHECKPOINT),
        ("delete from ledger.stream where slot = 0", Fault.STREAM),
    ],
)
async def test_tampering_with_the_tree_and_its_notes_is_found(database_dsn, sql, fault):
    ledger = await _ledger(database_dsn)
    await ledger.tamper((sql,))
    assert fault in _faults(await ledger.verify())


async def test_a_repeat_that_names_another_entry_is_found(database_dsn):
    ledger = await _ledger(database_dsn)
    async with ledger_of(database_dsn) as (store, _):
        writer = await Writer(store, ledger.centre, slot=7).open()
        wrong = entry(3, kind=EntryKind.REPEAT, ref=EntryRef(ledger.one.stream.id, 0, 3, True), yen=0)
        none = entry(4, kind=EntryKind.REPEAT, yen=0)
        await writer.append([wrong, none], turns={0: 2, 1: 1})
    report = await ledger.verify()
    assert _faults(report) == {Fault.REFERENCE}
    assert sorted(f.index for f in report.findings) == [0, 1]


async def test_more_findings_than_are_listed_are_counted(database_dsn):
    ledger = await _ledger(database_dsn)
    await ledger.tamper(("update ledger.block set signature = '\\x00'",))
    report = await ledger.verify()
    assert report.found == 10


async def test_only_a_note_of_this_centre_is_believed(database_dsn):
    centre, other = Centre(), Centre()
    async with ledger_of(database_dsn) as (store, ops):
        await fill(store, centre)
        checkpointer = Checkpointer(ops, origin=centre.trust.origin, sign=centre.checkpoint, now_us=lambda: T0_US)
        note = (await checkpointer.run_once()).note
    assert read_note(note, centre.trust).size == 7
    with pytest.raises(NoteNotBelieved):
        read_note(note, other.trust)
    other_role = Centre()
    other_role.trust.role = "certificate"
    with pytest.raises(NoteNotBelieved):
        read_note(note, other_role.trust)
