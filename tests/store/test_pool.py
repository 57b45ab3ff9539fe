"""gateway.store.pool against a real server, one that is killed where the test is about that."""

import traceback

import asyncpg
import pytest
import trio

from gateway.store import pool
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.errors import CommitUnknown, StoreRefused, StoreUnavailable, UniqueViolated
from gateway.store.pool import open_database

pytestmark = pytest.mark.guest

POLL_S = 0.01
SECRET = "synthetic value"
HEAL_S_MAX = 20


@pytest.fixture
async def database(database_dsn):
    async with open_database(database_dsn.owner, role="test", size=2) as database:
        await database.execute("CREATE TABLE t (a int CONSTRAINT t_a_once UNIQUE)")
        yield database


@pytest.fixture
def server(tmp_path):
    with EmbeddedPostgres(tmp_path, settings={"shared_buffers": "16MB"}) as server:
        yield server


async def kept(database):
    return [row["a"] for row in await database.fetch("SELECT a FROM t ORDER BY a")]


async def until_it_heals(call):
    with trio.fail_after(HEAL_S_MAX):
        while True:
            try:
                return await call()
            except StoreUnavailable:
                await trio.sleep(POLL_S)


async def test_a_duplicate_key_is_told_by_the_constraint_it_violates(database):
    await database.execute("INSERT INTO t VALUES ($1)", 1, commit=True)
    for commit in (False, True):
        with pytest.raises(UniqueViolated) as refused:
            await database.execute("INSERT INTO t VALUES ($1)", 1, commit=commit)
        assert refused.value.constraint == "t_a_once"
    assert await kept(database) == [1]


async def test_rows_come_one_or_all(database):
    assert await database.fetchrow("SELECT a FROM t") is None
    assert await database.copy_records("t", columns=["a"], records=[(2,), (1,)]) == 2
    assert await kept(database) == [1, 2]
    assert (await database.fetchrow("SELECT a FROM t ORDER BY a"))["a"] == 1


async def test_copy_puts_all_rows_or_none(database):
    with pytest.raises(UniqueViolated):
        await database.copy_records("t", columns=["a"], records=[(1,), (2,), (1,)])
    assert await kept(database) == []


async def test_a_refusal_carries_its_state_and_no_value_of_the_statement(database):
    with pytest.raises(StoreRefused) as refused:
        await database.execute("SELECT nothing_of_the_kind")
    assert refused.value.sqlstate == "42703"
    with pytest.raises(StoreRefused) as refused:
        await database.execute(f"SELECT '{SECRET}'::text::int")
    assert refused.value.sqlstate == "22P02"
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("commit", [False, True])
async def test_an_argument_that_does_not_fit_is_refused_before_it_is_sent_and_not_repeated(database, commit):
    with pytest.raises(StoreRefused) as refused:
        await database.execute("INSERT INTO t VALUES ($1)", SECRET, commit=commit)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert await kept(database) == []


async def test_a_wrong_number_of_arguments_is_a_defect_and_passes_as_such(database):
    with pytest.raises(asyncpg.InterfaceError):
        await database.execute("INSERT INTO t VALUES ($1)", 1, 2, commit=True)
    assert await kept(database) == []


async def test_a_transaction_stands_whole_or_not_at_all(database):
    async with database.transaction() as inside:
        await inside.execute("INSERT INTO t VALUES (1)")
        await inside.copy_records("t", columns=["a"], records=[(2,)])

    async def fail():
        async with database.transaction() as inside:
            await inside.execute("INSERT INTO t VALUES (3)")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await kept(database) == [1, 2]


async def test_a_cancelled_transaction_is_undone_and_its_connection_serves_again(database):
    with trio.CancelScope() as scope:
        async with database.transaction() as inside:
            await inside.execute("INSERT INTO t VALUES (1)")
            scope.cancel()
            await inside.execute("SELECT pg_sleep(30)")
    assert scope.cancelled_caught
    assert await kept(database) == []


async def test_a_commit_that_undid_everything_is_not_taken_for_one(database):
    async def swallow():
        async with database.transaction() as inside:
            await inside.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(StoreRefused):
                await inside.execute("SELECT 1 / 0")

    with pytest.raises(StoreRefused) as refused:
        await swallow()
    assert refused.value.sqlstate == "25P02"
    assert await kept(database) == []


async def test_transactions_do_not_nest(database):
    async with database.transaction() as inside:
        with pytest.raises(RuntimeError, match="nest"):
            async with inside.transaction():
                pass
        assert await inside.fetch("SELECT 1")


async def test_a_transaction_left_open_by_hand_is_undone_when_its_connection_comes_back(database):
    await database.execute("BEGIN; INSERT INTO t VALUES (1)")
    assert await kept(database) == []


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_dsn):
    async with open_database(database_dsn.owner, role="test", statement_ms=50) as database:
        with pytest.raises(StoreUnavailable, match="57014"):
            await database.fetch("SELECT pg_sleep(30)")
        assert await database.fetch("SELECT 1")


async def test_when_all_connections_are_in_use_a_call_waits_no_longer_than_it_may(database_dsn):
    async with open_database(database_dsn.owner, role="test", size=1, acquire_s=0.05) as database:
        async with database.transaction():
            with pytest.raises(StoreUnavailable, match="all 1 connections"):
                await database.fetch("SELECT 1")
        assert await database.fetch("SELECT 1")


async def test_a_cancelled_query_is_cancelled_on_the_server_and_the_connection_stays(database):
    async with database.pinned() as pinned:
        [first] = await pinned.fetch("SELECT pg_backend_pid() AS pid")
        with trio.move_on_after(0.05) as scope:
            await pinned.fetch("SELECT pg_sleep(30)")
        assert scope.cancelled_caught
        assert await pinned.fetch("SELECT pg_backend_pid() AS pid") == [first]


async def test_a_committing_statement_is_finished_and_returned_though_cancelled(database):
    with trio.move_on_after(0.05) as scope:
        rows = await database.fetch("INSERT INTO t SELECT 1 FROM pg_sleep(0.2) RETURNING a", commit=True)
    assert scope.cancel_called
    assert [row["a"] for row in rows] == [1]
    assert await kept(database) == [1]


async def test_a_commit_is_not_begun_for_a_cancelled_task(database):
    with trio.CancelScope() as scope:
        scope.cancel()
        await database.execute("INSERT INTO t VALUES (1)", commit=True)
    assert await kept(database) == []


async def test_a_commit_without_an_answer_is_cut_off_and_unknown(database_dsn):
    async with open_database(database_dsn.owner, role="test", commit_s=0.1) as database, database.pinned() as pinned:
        with pytest.raises(CommitUnknown):
            await pinned.execute_commit("SELECT pg_sleep(30)")
        assert await pinned.fetch("SELECT 1")


async def end_when_asleep(database, pid):
    asleep = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
    while not await database.fetch(asleep, pid):
        await trio.sleep(POLL_S)
    await database.fetch("SELECT pg_terminate_backend($1)", pid)


@pytest.mark.parametrize("commit", [False, True])
async def test_a_session_ended_by_the_server_is_unknown_only_for_a_commit(database, commit):
    async with database.pinned() as pinned:
        [row] = await pinned.fetch("SELECT pg_backend_pid() AS pid")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_when_asleep, database, row["pid"])
            with pytest.raises(CommitUnknown if commit else StoreUnavailable):
                await pinned.execute("SELECT pg_sleep(30)", commit=commit)
        assert await pinned.fetch("SELECT 1")


async def test_a_connection_lost_inside_a_transaction_is_never_replaced_there(database):
    async def lose_it():
        async with database.transaction() as inside:
            [row] = await inside.fetch("SELECT pg_backend_pid() AS pid")
            await inside.execute("INSERT INTO t VALUES (1)")
            await database.fetch("SELECT pg_terminate_backend($1)", row["pid"])
            with pytest.raises(StoreUnavailable):
                await inside.execute("INSERT INTO t VALUES (2)")

    with pytest.raises(StoreUnavailable):
        await lose_it()
    assert await kept(database) == []


async def test_a_pool_heals_when_the_server_was_killed_and_is_back(server):
    async with (
        open_database(server.dsn(database="postgres"), role="test", size=2) as database,
        database.pinned() as pinned,
    ):
        await database.execute("CREATE TABLE t (a int)")
        await pinned.execute_commit("INSERT INTO t VALUES ($1)", 1)
        server.kill()
        for call in (database.fetch, pinned.fetch):
            with pytest.raises(StoreUnavailable):
                await call("SELECT 1")
        server.restart()
        assert await until_it_heals(lambda: kept(database)) == [1]
        assert await until_it_heals(lambda: kept(pinned)) == [1]


async def test_while_the_server_is_away_it_is_asked_at_most_once_a_back_off(server, monkeypatch):
    monkeypatch.setattr(pool, "BACKOFF_FIRST_S", 1000.0)
    monkeypatch.setattr(pool, "BACKOFF_S_MAX", 1000.0)
    dsn = server.dsn(database="postgres")
    attempts = []
    real = asyncpg.connect

    async def counted(*args, **kwargs):
        attempts.append(1)
        return await real(*args, **kwargs)

    monkeypatch.setattr(asyncpg, "connect", counted)
    server.kill()
    async with open_database(dsn, role="test", size=4) as database:
        for _ in range(50):
            with pytest.raises(StoreUnavailable, match="cannot connect"):
                await database.fetch("SELECT 1")
    assert attempts == [1]


async def test_the_workers_role_sees_no_room_but_its_own(database_dsn):
    async with open_database(database_dsn.gateway, role="gateway") as database:
        assert await database.fetch("SELECT name FROM public.sekisho_migration")
        with pytest.raises(StoreRefused) as refused:
            await database.execute("CREATE TABLE ledger.mine (a int)")
        assert refused.value.sqlstate == "42501"
        with pytest.raises(StoreRefused):
            await database.execute("CREATE TABLE public.mine (a int)")


@pytest.mark.parametrize("size", [0, 33])
async def test_a_size_out_of_bounds_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        async with open_database("postgresql://", role="test", size=size):
            pass
