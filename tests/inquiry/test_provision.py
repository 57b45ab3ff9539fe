"""What a block provides: sealed for its place and its year, durable with the block, and searched by tokens."""

import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry import history
from gateway.inquiry.history import project_all, project_once, rebuild
from gateway.inquiry.provision import (
    RECORD_GIVEN,
    Given,
    HistoryKeys,
    Provided,
    ProvisionCorrupt,
    ProvisionRider,
    YearGone,
    year_of,
)
from gateway.store.errors import StoreRefused
from gateway.store.ledger import BlockConflict, ClaimConflict
from gateway.store.pool import open_database
from gateway.store.provision import Batch
from tests.inquiry.providing import DAY_US, Gone, Providing, keys_of, keys_of_year, resident, shown
from tests.ledger.building import T0_US, ledger_of

YEAR = year_of(T0_US)
STREAM = b"s" * 16
provided = st.builds(
    Provided,
    subject=st.binary(min_size=16, max_size=16),
    staff=st.text(max_size=20),
    case=st.text(max_size=20),
    given=st.integers(0, 15),
)


def _sealed(records, *, stream=STREAM, height=7):
    return keys_of_year(YEAR).batch(
        list(enumerate(records)), stream=stream, height=height, at_us=T0_US, nonce=os.urandom(12)
    )


@given(st.lists(provided, min_size=1, max_size=20))
def test_a_batch_opens_where_it_stands_and_says_what_was_sealed(records):
    batch = _sealed(records)
    details = keys_of_year(YEAR).details(STREAM, 7, batch)
    assert [(d.index, d.staff, d.case, d.given) for d in details] == [
        (i, r.staff, r.case, r.given) for i, r in enumerate(records)
    ]
    tokens = [keys_of_year(YEAR).subject_token(record.subject) for record in records]
    assert batch.subjects == b"".join(tokens)


@pytest.mark.parametrize(
    "altered",
    [
        lambda b: (b"t" * 16, 7, b),
        lambda b: (STREAM, 8, b),
        lambda b: (STREAM, 7, b._replace(subjects=b.subjects[16:] + b.subjects[:16])),
        lambda b: (STREAM, 7, b._replace(sealed=b.sealed[:-1] + bytes([b.sealed[-1] ^ 1]))),
        lambda b: (STREAM, 7, b._replace(sealed=b"")),
    ],
    ids=["another stream", "another height", "tokens changed places", "a bit flipped", "cut"],
)
def test_a_batch_that_was_moved_or_altered_does_not_open(altered):
    batch = _sealed([Provided(resident(n), "staff-001", "2026-0001", RECORD_GIVEN) for n in (1, 2)])
    stream, height, changed = altered(batch)
    with pytest.raises(ProvisionCorrupt, match="does not open"):
        keys_of_year(YEAR).details(stream, height, changed)


def test_a_person_has_another_token_every_year_and_another_years_key_opens_nothing():
    this, next_year = keys_of_year(YEAR), keys_of_year(YEAR + 1)
    assert this.subject_token(resident(1)) != next_year.subject_token(resident(1))
    assert this.case_token("2026-0001") != next_year.case_token("2026-0001")
    batch = _sealed([Provided(resident(1), "staff-001", "2026-0001", RECORD_GIVEN)])
    with pytest.raises(ProvisionCorrupt):
        next_year.details(STREAM, 7, batch)


def test_a_subject_and_a_case_of_the_same_bytes_have_different_tokens():
    keys = keys_of_year(YEAR)
    assert keys.subject_token(b"2026-0001") != keys.case_token("2026-0001")


def test_nothing_of_a_record_shows_in_a_batch_or_in_the_keys():
    keys = keys_of_year(YEAR)
    batch = _sealed([Provided(resident(1), "staff-001", "case-of-somebody", RECORD_GIVEN)])
    stored = batch.subjects + batch.sealed
    assert not [text for text in (resident(1), b"staff-001", b"case-of-somebody") if text in stored]
    assert "secret" not in repr(keys)


def test_a_secret_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        HistoryKeys(YEAR, b"short")


def test_what_was_given_is_said_in_both_languages():
    assert RECORD_GIVEN.ja == "氏名・生年月日・性別・住所、住民票コード、変更情報"
    assert (RECORD_GIVEN | Given.MY_NUMBER).en.endswith("change information, individual number")


def _finals(*records):
    return [SimpleNamespace(provided=record) for record in records]


@pytest.mark.trio
async def test_the_rider_takes_what_provides_and_nothing_for_a_block_that_provides_nothing():
    rider = ProvisionRider(keys=keys_of, random=os.urandom)
    assert await rider(_finals(None, None), stream=STREAM, height=0, at_us=T0_US) is None
    one = Provided(resident(1), "staff-001", "2026-0001", RECORD_GIVEN)
    riding = await rider(_finals(None, one, None, one), stream=STREAM, height=0, at_us=T0_US)
    assert [detail.index for detail in keys_of_year(YEAR).details(STREAM, 0, Batch(*riding.args))] == [1, 3]


@pytest.mark.trio
async def test_the_year_is_that_of_japan():
    rider = ProvisionRider(keys=keys_of, random=os.urandom)
    new_year_us = 1_798_729_200_000_000  # 2027-01-01T00:00+09:00
    one = _finals(Provided(resident(1), "staff-001", "2026-0001", RECORD_GIVEN))
    for at_us, year in ((new_year_us - 1, 2026), (new_year_us, 2027)):
        assert (await rider(one, stream=STREAM, height=0, at_us=at_us)).args[0] == year


@pytest.mark.guest
async def test_block_and_batch_stand_together_or_not_at_all(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        one, two = await Providing(store).open(), await Providing(store, slot=1).open()
        await one.provide(shown(1, at_us=T0_US, subject=1), shown(2, at_us=T0_US), year=YEAR)
        with pytest.raises(ClaimConflict):  # the id is taken: neither the block nor its batch
            await two.provide(shown(1, at_us=T0_US, subject=1), year=YEAR)
        one_again = Providing(store, one.centre)
        one_again.stream = one.stream.__class__(id=one.stream.id, role="inquiry", node="node-1", slot=0)
        with pytest.raises(BlockConflict):  # the height is taken
            await one_again.provide(shown(3, at_us=T0_US, subject=1), year=YEAR)
        drafted = two.drafted([shown(4, at_us=T0_US, subject=1)], year=YEAR)
        with pytest.raises(StoreRefused):  # a batch that is none takes its block with it
            await store.commit(*drafted[:4], Batch(YEAR, T0_US, b"short", b"").riding())
        await two.provide(shown(5, at_us=T0_US), year=YEAR)  # provides nothing
        blocks = await ops.fetch("select stream, height from ledger.block")
        batches = await ops.fetch("select stream, height from provision.batch")
        assert {tuple(row) for row in blocks} == {(one.stream.id, 0), (two.stream.id, 0)}
        assert {tuple(row) for row in batches} == {(one.stream.id, 0)}


async def _rows(ops):
    return [tuple(row) for row in await ops.fetch("select * from provision.record order by stream, height, idx")]


@pytest.mark.guest
async def test_every_record_is_projected_once_and_a_rebuild_gives_the_same(database_dsn, monkeypatch):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        for n in range(0, 280, 4):
            pairs = [shown(n + k, at_us=T0_US + n, subject=k or None, staff=f"staff-{k}") for k in range(4)]
            await writer.provide(*pairs, year=YEAR)
        monkeypatch.setattr(history, "BATCHES_A_ROUND_MAX", 64)
        assert await project_once(ops, keys_of) == 64
        await writer.provide(shown(999, at_us=T0_US, subject=9), year=YEAR)
        assert await project_all(ops, keys_of) == 7
        assert await project_all(ops, keys_of) == 0
        rows = await _rows(ops)
        assert len(rows) == 70 * 3 + 1
        found = await ops.fetch(
            "select height, idx, staff, case_token, party, affair from provision.record where subject = $1 order by at",
            keys_of_year(YEAR).subject_token(resident(2)),
        )
        case = keys_of_year(YEAR).case_token("2026-0001")
        assert [tuple(row) for row in found] == [(h, 2, "staff-2", case, "mlit", "vehicle-12-1") for h in range(70)]
        assert await rebuild(ops, keys_of) == 71
        assert await _rows(ops) == rows


@pytest.mark.guest
async def test_a_year_without_a_partition_is_kept_all_the_same(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        at_us = T0_US - 4 * 365 * DAY_US
        await writer.provide(shown(1, at_us=at_us, subject=1), year=year_of(at_us))
        assert await project_all(ops, keys_of) == 1
        assert (await ops.fetch("select year from provision.record"))[0][0] == year_of(at_us)
        assert not (await ops.fetch("select provision.make_year($1)", year_of(at_us)))[0][0]


@pytest.mark.guest
async def test_without_its_years_key_nothing_is_opened_or_projected(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        await writer.provide(shown(1, at_us=T0_US, subject=1), year=YEAR)
        with pytest.raises(YearGone):
            await project_once(ops, Gone(YEAR + 1))
        assert await _rows(ops) == []


@pytest.mark.guest
async def test_a_batch_that_names_other_entries_than_its_block_shows_stops_the_projection(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        entry, given_ = shown(1, at_us=T0_US, subject=1)
        refused, _ = shown(2, at_us=T0_US)
        drafted = writer.drafted([(refused, given_), (entry, None)], year=YEAR)
        await store.commit(*drafted)
        with pytest.raises(ProvisionCorrupt, match="other entries"):
            await project_once(ops, keys_of)
        assert await _rows(ops) == []


@pytest.mark.guest
@pytest.mark.parametrize("role", ["gateway", "ops", "owner"])
@pytest.mark.parametrize(
    "sql",
    [
        "update provision.batch set sealed = sealed",
        "delete from provision.batch",
        "truncate provision.batch",
        "update provision.batch_rest set sealed = sealed",
        "delete from provision.batch_rest",
        "truncate provision.batch_rest",
        "update provision.year_key set sealed = sealed",
        "truncate provision.year_key",
        "update provision.access set asked_by = 'nobody'",
        "delete from provision.access",
        "update provision.retirement set at_us = 0",
        "delete from provision.retirement",
    ],
)
async def test_what_was_written_is_not_altered_by_anybody(database_dsn, role, sql):
    async with ledger_of(database_dsn) as (store, _):
        writer = await Providing(store).open()
        for n, back in enumerate((0, 4 * 365 * DAY_US)):
            at_us = T0_US - back
            await writer.provide(shown(n, at_us=at_us, subject=1), year=year_of(at_us))
    async with open_database(database_dsn.owner, role="test") as owner:
        for year in (YEAR, year_of(T0_US - 4 * 365 * DAY_US)):
            await owner.execute("insert into provision.year_key values ($1, 'x', 'seal-1')", year)
    async with open_database(getattr(database_dsn, role), role="test") as database:
        with pytest.raises(StoreRefused, match="42501"):
            await database.execute(sql)


@pytest.mark.guest
@pytest.mark.parametrize(
    "sql",
    [
        "select * from provision.batch",
        "select * from provision.record",
        "delete from provision.year_key",
        "insert into provision.record (stream) values ('')",
        "insert into provision.retirement (year) values (2020)",
    ],
)
async def test_a_worker_appends_batches_and_reads_nothing_of_them(database_dsn, sql):
    async with open_database(database_dsn.gateway, role="test") as database:
        with pytest.raises(StoreRefused, match="42501"):
            await database.execute(sql)
