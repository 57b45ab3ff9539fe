"""Revisions in a real PostgreSQL: whole, appended, confirmed, and not the workers' to write."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
import trio

from gateway.directory import apply as changes
from gateway.directory.apply import Applied, Change, apply, load, resume, suspend
from gateway.directory.errors import ChangeRefused, DirectoryEmpty, DirectoryInvalid, DirectoryStale
from gateway.directory.holder import DirectoryHolder
from gateway.directory.model import Document, Scope, Suspension
from gateway.host import on_host
from gateway.store import directory as store
from gateway.store.errors import StoreRefused
from gateway.store.pool import Database, open_database
from tests.directory.sample import DOCUMENT, NOON, changed, staff
from tests.kit.database import DatabaseDsn

pytestmark = pytest.mark.guest

CHANGE = Change(asked_by="asker", approved_by="approver", reference="agreement-1", at_us=NOON)
ALONE = msgspec.structs.replace(CHANGE, approved_by="asker")
SMALLER = changed(staff=(staff("s-1"),))


@pytest.fixture
async def database(database_dsn: DatabaseDsn) -> AsyncIterator[Database]:
    async with open_database(database_dsn.owner, role="test") as found:
        yield found


@pytest.fixture
async def workers(database_dsn: DatabaseDsn) -> AsyncIterator[Database]:
    async with open_database(database_dsn.gateway, role="test worker") as found:
        yield found


async def later_version(holder: DirectoryHolder, version: int) -> None:
    """Until the holder has it; the bound only ends a test that fails."""
    with trio.fail_after(10):
        while holder.current.version < version:
            await trio.sleep(0.01)


async def test_a_directory_comes_back_whole_at_its_version(database: Database, workers: Database) -> None:
    assert await apply(database, DOCUMENT, CHANGE) == Applied(version=1, changed=True)
    directory = await load(workers)
    assert directory.version == 1
    assert directory.document == DOCUMENT.canonical()


async def test_each_revision_keeps_who_asked_who_approved_and_the_agreement(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    await apply(database, SMALLER, msgspec.structs.replace(CHANGE, reference="agreement-2", at_us=NOON + 1))
    rows = await database.fetch("SELECT * FROM directory.revision ORDER BY version")
    assert [(r["version"], r["kind"], r["asked_by"], r["approved_by"]) for r in rows] == [
        (1, "apply", "asker", "approver"),
        (2, "apply", "asker", "approver"),
    ]
    assert [r["agreement_reference"] for r in rows] == ["agreement-1", "agreement-2"]
    assert Document.decode(rows[0]["document"]) == DOCUMENT.canonical()
    row = await database.fetchrow("SELECT version, changed_us FROM directory.version")
    assert tuple(row) == (2, NOON + 1)


async def test_the_same_facts_write_nothing(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    assert await apply(database, DOCUMENT, CHANGE) == Applied(version=1, changed=False)
    assert len(await database.fetch("SELECT 1 FROM directory.revision")) == 1


async def test_an_empty_directory_says_so(workers: Database) -> None:
    with pytest.raises(DirectoryEmpty):
        await load(workers)
    with pytest.raises(DirectoryEmpty):
        await DirectoryHolder.open(workers)


async def test_a_document_that_does_not_fit_together_is_not_written(database: Database) -> None:
    with pytest.raises(DirectoryInvalid):
        await apply(database, changed(parties=DOCUMENT.parties[1:]), CHANGE)
    assert await store.read_current(database) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (ALONE, "approved_by"),
        (msgspec.structs.replace(CHANGE, approved_by=""), "approved_by"),
        (msgspec.structs.replace(CHANGE, asked_by="a\nb"), "asked_by"),
        (msgspec.structs.replace(CHANGE, reference=" "), "reference"),
    ],
)
async def test_a_change_takes_two_people_and_a_reference(database: Database, change: Change, field: str) -> None:
    with pytest.raises(ChangeRefused) as caught:
        await apply(database, DOCUMENT, change)
    assert caught.value.field == field
    assert await store.read_current(database) is None


async def test_one_person_may_stop_and_only_two_resume(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    line = {"scope": Scope.LINE, "target": "mlit/line-1"}
    assert await suspend(database, **line, ground="key in doubt", change=ALONE) == Applied(version=2, changed=True)
    again = msgspec.structs.replace(ALONE, at_us=NOON + 5)
    assert not (await suspend(database, **line, ground="again", change=again)).changed
    assert [s.target for s in (await load(database)).suspensions_at(NOON)] == ["mlit/line-1"]
    with pytest.raises(ChangeRefused):
        await resume(database, **line, change=ALONE)
    with pytest.raises(ChangeRefused, match="no suspension of all"):
        await resume(database, scope=Scope.ALL, target="", change=CHANGE)
    assert await resume(database, **line, change=msgspec.structs.replace(CHANGE, at_us=NOON + 9)) == Applied(
        version=3, changed=True
    )
    directory = await load(database)
    assert directory.suspensions_at(NOON + 8)
    assert not directory.suspensions_at(NOON + 9)
    with pytest.raises(ChangeRefused):
        await resume(database, **line, change=msgspec.structs.replace(CHANGE, at_us=NOON + 10))


async def test_a_suspension_of_what_does_not_exist_is_refused(database: Database) -> None:
    with pytest.raises(DirectoryEmpty):
        await suspend(database, scope=Scope.ALL, target="", ground="g", change=CHANGE)
    await apply(database, DOCUMENT, CHANGE)
    with pytest.raises(DirectoryInvalid, match="is no party"):
        await suspend(database, scope=Scope.PARTY, target="mllt", ground="g", change=CHANGE)


async def test_applying_a_file_does_not_lift_a_suspension(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    await suspend(database, scope=Scope.PARTY, target="mlit", ground="leak", change=CHANGE)
    assert not (await apply(database, DOCUMENT, CHANGE)).changed
    await apply(database, SMALLER, CHANGE)
    directory = await load(database)
    assert directory.document.staff == SMALLER.staff
    assert [s.target for s in directory.suspensions_at(NOON)] == ["mlit"]


async def test_a_file_that_names_the_suspension_itself_may_end_it(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    await suspend(database, scope=Scope.ALL, target="", ground="leak", change=CHANGE)
    ended = Suspension(scope=Scope.ALL, target="", from_us=NOON, until_us=NOON + 1, ground="leak")
    await apply(database, changed(suspensions=(ended,)), CHANGE)
    assert not (await load(database)).suspensions_at(NOON + 1)


async def test_changes_made_at_once_all_stand(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    async with trio.open_nursery() as nursery:
        for target in ("mlit", "other", "store"):

            async def stop(target: str = target) -> None:
                await suspend(database, scope=Scope.PARTY, target=target, ground="drill", change=CHANGE)

            nursery.start_soon(stop)
    directory = await load(database)
    assert directory.version == 4
    assert {s.target for s in directory.suspensions_at(NOON)} == {"mlit", "other", "store"}


async def test_a_revision_that_does_not_follow_is_refused(database: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    current = await store.read_current(database)
    assert current is not None
    for version in (1, 3):
        with pytest.raises(store.VersionMoved):
            await store.append(database, msgspec.structs.replace(current, version=version))


async def test_a_change_that_always_loses_gives_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def lose(_database: object, revision: store.Revision, _notices: object) -> None:
        nonlocal tries
        tries += 1
        raise store.VersionMoved(revision.version)

    monkeypatch.setattr(store, "append", lose)
    with pytest.raises(store.VersionMoved):
        await apply(database, DOCUMENT, CHANGE)
    assert tries == changes.TRIES_MAX


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO directory.revision SELECT version + 1, kind, document, at_us, asked_by, approved_by,"
        " agreement_reference FROM directory.revision",
        "UPDATE directory.revision SET asked_by = 'x'",
        "DELETE FROM directory.revision",
        "TRUNCATE directory.revision",
        "UPDATE directory.version SET version = 9",
        "DELETE FROM directory.version",
        "INSERT INTO directory.version VALUES (false, 1, 1)",
        "SELECT directory.follow_revision()",
    ],
)
async def test_a_worker_can_change_nothing(database: Database, workers: Database, sql: str) -> None:
    await apply(database, DOCUMENT, CHANGE)
    with pytest.raises(StoreRefused) as caught:
        await workers.execute(sql)
    assert caught.value.sqlstate == "42501"
    assert (await load(workers)).version == 1


@pytest.mark.parametrize(
    "sql",
    ["UPDATE directory.revision SET asked_by = 'x'", "DELETE FROM directory.revision", "TRUNCATE directory.revision"],
)
async def test_even_the_owner_does_not_alter_a_revision(database: Database, sql: str) -> None:
    await apply(database, DOCUMENT, CHANGE)
    with pytest.raises(StoreRefused, match="appended, never altered"):
        await database.execute(sql)


async def test_the_ops_role_appends_and_does_not_move_the_version(database_dsn: DatabaseDsn) -> None:
    async with open_database(database_dsn.ops, role="test ops") as ops:
        assert (await apply(ops, DOCUMENT, CHANGE)).version == 1
        with pytest.raises(StoreRefused):
            await ops.execute("UPDATE directory.version SET version = 9")


async def test_the_database_too_asks_for_a_second_person(database: Database) -> None:
    revision = store.Revision(
        version=1, kind="apply", document=b"{}", at_us=1, asked_by="a", approved_by="a", agreement_reference="r"
    )
    with pytest.raises(StoreRefused) as caught:
        await store.append(database, revision)
    assert caught.value.constraint == "revision_second_person"


async def test_a_look_up_that_saw_a_later_version_reloads_without_any_hint(
    database: Database, workers: Database
) -> None:
    await apply(database, DOCUMENT, CHANGE)
    holder = await DirectoryHolder.open(workers)
    held = holder.current
    assert await holder.confirm(1) is held
    await suspend(database, scope=Scope.ALL, target="", ground="leak", change=CHANGE)
    row = await workers.fetchrow(f"SELECT {store.VERSION_SQL} AS version")
    assert row["version"] == 2
    assert holder.current is held
    confirmed = await holder.confirm(row["version"])
    assert confirmed.version == 2
    assert confirmed.suspensions_at(NOON)
    assert await holder.confirm(1) is confirmed


async def test_a_version_nobody_has_is_stale(database: Database, workers: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    holder = await DirectoryHolder.open(workers)
    with pytest.raises(DirectoryStale) as caught:
        await holder.confirm(7)
    assert (caught.value.held, caught.value.seen) == (1, 7)


async def test_a_version_that_cannot_be_read_within_a_second_is_stale(database: Database, workers: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    holder = await DirectoryHolder.open(workers)
    async with database.transaction() as connection:
        await connection.execute("LOCK TABLE directory.revision IN ACCESS EXCLUSIVE MODE")
        started = trio.current_time()
        with pytest.raises(DirectoryStale):
            await holder.confirm(2)
        assert trio.current_time() - started < 5
    assert (await holder.refresh()).version == 1


async def test_many_that_wait_for_a_version_share_one_reload(database: Database, workers: Database) -> None:
    await apply(database, DOCUMENT, CHANGE)
    holder = await DirectoryHolder.open(workers)
    await apply(database, SMALLER, CHANGE)
    seen: set[int] = set()

    async def confirm() -> None:
        seen.add(id(await holder.confirm(2)))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(confirm)
    assert seen == {id(holder.current)}


async def test_a_hint_reloads_and_a_cut_listener_comes_back(
    database: Database, workers: Database, database_dsn: DatabaseDsn
) -> None:
    await apply(database, DOCUMENT, CHANGE)
    holder = await DirectoryHolder.open(workers)
    async with trio.open_nursery() as nursery:
        await nursery.start(holder.listen, database_dsn.gateway)
        await apply(database, SMALLER, CHANGE)
        await later_version(holder, 2)
        cut = await database.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = $1",
            database_dsn.name,
        )
        assert len(cut) == 1
        await apply(database, DOCUMENT, CHANGE)
        assert (await holder.confirm(3)).version == 3  # the truth needs no hint
        await apply(database, SMALLER, CHANGE)
        await later_version(holder, 4)
        nursery.cancel_scope.cancel()


async def test_the_hint_is_sent_only_with_the_revision_that_stands(
    database: Database, database_dsn: DatabaseDsn
) -> None:
    heard: list[str] = []
    listening = await on_host(asyncpg.connect, database_dsn.gateway)
    try:
        await on_host(listening.add_listener, store.CHANNEL, lambda *hint: heard.append(hint[3]))
        await apply(database, DOCUMENT, CHANGE)
        await apply(database, DOCUMENT, CHANGE)
        with trio.fail_after(10):
            while not heard:
                await trio.sleep(0.01)
        await on_host(listening.fetch, "SELECT 1")
        assert heard == ["1"]
    finally:
        await on_host(listening.close)
