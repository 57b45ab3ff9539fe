"""gateway.store.pool against a real server."""

import pytest

from gateway.store.errors import UniqueViolated
from gateway.store.pool import open_database

pytestmark = pytest.mark.guest


async def test_a_duplicate_key_is_told_apart_by_the_constraint_it_violates(database_dsn):
    async with open_database(database_dsn.owner, role="test") as database:
        await database.execute("CREATE TABLE t (a int CONSTRAINT t_a_once UNIQUE)")
        await database.execute("INSERT INTO t VALUES ($1)", 1, commit=True)
        with pytest.raises(UniqueViolated) as refused:
            await database.execute("INSERT INTO t VALUES ($1)", 1, commit=True)
        assert refused.value.constraint == "t_a_once"
        assert [row["a"] for row in await database.fetch("SELECT a FROM t")] == [1]
