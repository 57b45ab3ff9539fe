"""gateway.store.migrate against a real server."""

import asyncio
import base64
import hmac
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest

from gateway.store.errors import MigrationChanged, MigrationError, MigrationMissing, StoreUnavailable
from gateway.store.migrate import ROLES, Migration, migrate, migrate_now, packaged_migrations, scram_verifier

ONE = Migration("0001_one.sql", "CREATE TABLE one (a int)")
TWO = Migration("0002_two.sql", "CREATE TABLE two (a int); INSERT INTO two VALUES (1)")


@pytest.fixture
def empty(database_server):
    with database_server.empty() as dsn:
        yield dsn.owner


def query(dsn, sql):
    async def main():
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(main())


def test_the_packaged_files_are_in_order_and_begin_with_the_ground():
    names = [migration.name for migration in packaged_migrations()]
    assert names[0] == "0001_ground.sql"
    assert names == sorted(names)


def test_what_is_missing_is_applied_once_and_in_order(empty):
    assert migrate_now(empty, migrations=[ONE]) == [ONE.name]
    assert migrate_now(empty, migrations=[ONE, TWO]) == [TWO.name]
    assert migrate_now(empty, migrations=[ONE, TWO]) == []
    assert query(empty, "SELECT count(*) FROM two") == 1


def test_an_applied_file_that_changed_is_refused_and_nothing_else_is_applied(empty):
    migrate_now(empty, migrations=[ONE])
    changed = Migration(ONE.name, ONE.sql + " -- harmless")
    with pytest.raises(MigrationChanged) as refused:
        migrate_now(empty, migrations=[changed, TWO])
    assert refused.value.name == ONE.name
    assert query(empty, "SELECT to_regclass('two')") is None


def test_a_database_that_a_newer_program_migrated_is_refused(empty):
    migrate_now(empty, migrations=[ONE, TWO])
    with pytest.raises(MigrationMissing) as refused:
        migrate_now(empty, migrations=[ONE])
    assert refused.value.name == TWO.name


def test_a_file_that_comes_too_late_is_refused(empty):
    migrate_now(empty, migrations=[TWO])
    with pytest.raises(MigrationError, match="higher number"):
        migrate_now(empty, migrations=[ONE, TWO])


def test_a_file_that_fails_leaves_nothing_of_itself(empty):
    broken = Migration(TWO.name, TWO.sql + "; SELECT no_such_column")
    with pytest.raises(MigrationError, match=r"0002_two\.sql: 42703"):
        migrate_now(empty, migrations=[ONE, broken])
    assert query(empty, "SELECT to_regclass('two')") is None
    assert migrate_now(empty, migrations=[ONE, TWO]) == [TWO.name]


def test_several_processes_that_start_at_once_apply_each_file_once(empty):
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(lambda _: migrate_now(empty, migrations=[ONE, TWO]), range(4)))
    assert sorted(name for names in applied for name in names) == [ONE.name, TWO.name]


def test_a_password_reaches_the_server_as_a_verifier_that_lets_its_owner_in(database_server, database_dsn):
    password = "a 'quoted' one"
    migrate_now(database_dsn.owner, passwords={"sekisho_ops": password})
    try:
        with_it = database_dsn.ops.replace(database_server.server.passwords["sekisho_ops"], "a%20%27quoted%27%20one")
        assert query(with_it, "SELECT current_user") == "sekisho_ops"
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(database_dsn.ops, "SELECT 1")
    finally:
        migrate_now(database_dsn.owner, passwords={role: database_server.server.passwords[role] for role in ROLES})


def test_the_verifier_is_the_one_of_the_standard():
    # RFC 7677 section 3: user "user", password "pencil", 4096 rounds; the server's signature is checked with ServerKey.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    server_key = base64.b64decode(scram_verifier("pencil", salt).rpartition(":")[2])
    message = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = base64.b64encode(hmac.digest(server_key, message.encode(), "sha256"))
    assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_password_for_a_role_that_is_not_ours_is_refused(empty):
    with pytest.raises(MigrationError, match="no such role: postgres"):
        migrate_now(empty, passwords={"postgres": "x"}, migrations=[])


def test_a_server_that_is_away_is_unavailable(tmp_path):
    with pytest.raises(StoreUnavailable):
        migrate_now(f"postgresql://nobody@/none?host={tmp_path}", migrations=[])


@pytest.mark.guest
async def test_migrate_works_from_trio(database_dsn):
    assert await migrate(database_dsn.owner) == []
