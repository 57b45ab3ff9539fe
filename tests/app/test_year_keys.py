"""The keys of the history's years: one a year, made by whoever needs it first, found by processes that know less."""

import pytest
import trio

from gateway.app.year_keys import YearKeys
from gateway.store.pool import open_database
from gateway.store.provision import ProvisionStore
from hsm.software import SoftwareKeystore
from protocol.keys import Algorithm, Purpose
from tests.kit.database import DatabaseDsn

PASSPHRASE = "a passphrase for tests"
NOW_US = 1_790_000_000_000_000


def _keystore(path):
    store = SoftwareKeystore.create(path, PASSPHRASE, owner="centre")
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=0)
    return store


@pytest.mark.guest
async def test_two_workers_that_need_a_year_at_once_get_one_key(database_dsn: DatabaseDsn, tmp_path) -> None:
    keystore = _keystore(tmp_path / "keys")
    tokens = []

    async def load(database) -> None:
        keys = await YearKeys(ProvisionStore(database), keystore, lambda: NOW_US).load(2026)
        tokens.append(keys.subject_token(bytes(16)))

    async with open_database(database_dsn.gateway, size=8, role="test") as database, trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(load, database)
    assert len(tokens) == 8
    assert len(set(tokens)) == 1


@pytest.mark.guest
async def test_a_year_sealed_with_a_key_newer_than_the_process_is_opened_all_the_same(
    database_dsn: DatabaseDsn, tmp_path
) -> None:
    path = tmp_path / "keys"
    _keystore(path).close()
    old, new = SoftwareKeystore.open(path, PASSPHRASE), SoftwareKeystore.open(path, PASSPHRASE)
    new.rotate(Purpose.SEAL, key_id="seal-2", now_us=NOW_US, overlap_us=1)
    async with open_database(database_dsn.gateway, role="test") as database:
        made = await YearKeys(ProvisionStore(database), new, lambda: NOW_US + 1).load(2026)
        found = await YearKeys(ProvisionStore(database), old, lambda: NOW_US + 1).load(2026)
    assert found.subject_token(bytes(16)) == made.subject_token(bytes(16))
