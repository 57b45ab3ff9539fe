"""Cards and kiosks once a run; a database a test."""

import asyncio

import asyncpg
import pytest

from tests.issuance.kit import NOW
from tests.kit.sitting import make_ground


@pytest.fixture(scope="session")
def cards(tmp_path_factory):
    """An operator's line CA and a card authority with cards."""
    return make_ground(tmp_path_factory.mktemp("issuance"), NOW)


@pytest.fixture
def dsn(database_dsn):
    """A fresh database."""

    async def widen():
        connection = await asyncpg.connect(database_dsn.owner)
        await connection.execute(
            "alter table ledger.claim drop constraint if exists claim_turn_check"
        )
        await connection.close()

    asyncio.run(widen())
    return database_dsn
