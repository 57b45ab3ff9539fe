"""The register on PostgreSQL: known cases, claims beside records, swapped rows, rights, plans."""

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from gateway.inquiry.cases import known_cases, known_residents
from gateway.inquiry.errors import KeyMissing, RegisterCorrupt
from gateway.inquiry.index import code_token, query_tokens
from gateway.inquiry.keys import load_keys, make_keys
from gateway.inquiry.loading import load_synthetic
from gateway.inquiry.record import decode_provided
from gateway.store.errors import StoreError, UniqueViolated
from gateway.store.pool import Database, open_database
from gateway.store.register import (
    LOOKUP_BY_CODE,
    LOOKUP_BY_NAME,
    ClaimSeen,
    count_records,
    look_up_by_code,
    look_up_by_name,
)
from protocol.messages import Answer, Refusal
from protocol.outcomes import Outcome
from tests.inquiry.kit import KEYS, TODAY, ask
from tests.kit.database import DatabaseDsn

pytestmark = pytest.mark.guest
SEED = 11
FIELDS = {"affair": "12-1", "step": 1, "staff": "s-1", "case": "2026-1"}


@asynccontextmanager
async def register(dsn: DatabaseDsn, count: int = 300) -> AsyncIterator[tuple[Database, Database]]:
    async with (
        open_database(dsn.owner, role="test", size=1) as owner,
        open_database(dsn.gateway, role="test", size=1) as gateway,
    ):
        if count:
            await load_synthetic(owner, KEYS, count, SEED, progress=lambda _: None)
        yield owner, gateway


RING = """
with o as (select record_id, sealed, row_number() over (order by record_id) as n, count(*) over () as total
           from register.record)
update register.record r set sealed = b.sealed from o a join o b on b.n = a.n % a.total + 1
where a.record_id = r.record_id
"""


def case(key: str):
    return next(known for known in known_cases(SEED) if known.key == key)


async def test_known_cases_come_to_what_they_promise(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn) as (_, gateway):
        for known in known_cases(SEED):
            answered = await ask(gateway, known.question(**FIELDS))
            assert (known.key, answered.outcome) == (known.key, known.outcome)
            assert answered.count == int(known.outcome in (Outcome.EXACT, Outcome.VARIANT))
            if answered.count:
                body = msgspec.msgpack.decode(answered.body, type=Answer)
                assert tuple(body.differing) == known.differing
                assert decode_provided(body.record).synthetic
                assert msgspec.msgpack.encode(body) == answered.body
            else:
                msgspec.msgpack.decode(answered.body, type=Refusal)


async def test_loading_twice_changes_nothing(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 50) as (owner, _):
        with pytest.raises(UniqueViolated):
            await load_synthetic(owner, KEYS, 60, SEED, progress=lambda _: None)
        assert await count_records(owner) == 50


async def test_swapped_sealed_columns_release_nothing(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        await owner.execute(RING)
        for key in ("exact-by-code", "exact-by-name"):
            with pytest.raises(RegisterCorrupt):
                await ask(gateway, case(key).question(**FIELDS))


async def test_rows_with_swapped_codes_release_nothing(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        one, other = _two_tokens()
        spare = b"z" * 16
        for new, old in ((spare, one), (one, other), (other, spare)):
            await owner.execute("update register.record set code_token = $1 where code_token = $2", new, old)
        with pytest.raises(RegisterCorrupt):
            await ask(gateway, case("exact-by-code").question(**FIELDS))


async def test_a_name_token_moved_to_another_record_releases_nothing(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        await owner.execute(
            "insert into register.name_token select $1, record_id from register.record where code_token = $2",
            query_tokens(KEYS.index_key, "架空 太郎", "千葉市中央区千葉港1-1", None)[0],
            _two_tokens()[0],
        )
        with pytest.raises(RegisterCorrupt):
            await ask(gateway, case("none-by-name").question(**FIELDS))


async def test_a_version_set_back_does_not_open(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        await owner.execute("update register.record set version = 2")
        with pytest.raises(RegisterCorrupt):
            await ask(gateway, case("exact-by-code").question(**FIELDS))


async def test_claims_and_directory_version_come_with_the_records_in_the_order_asked(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        known, fresh, gone = b"k" * 16, b"f" * 16, b"g" * 16
        for request_id, turn in ((known, 0), (known, 1), (known, 2), (gone, 0), (gone, -1)):
            await owner.execute(
                "insert into ledger.claim (party, request_id, turn, commitment, stream, height, idx)"
                " values ('mlit', $1, $2, $3, $4, 5, 6)",
                request_id, turn, bytes([turn % 7]) * 32, b"s" * 16,
            )  # fmt: skip
        (version,) = await owner.fetchrow("select version from directory.version")
        code = code_token(KEYS.index_key, case("exact-by-code").code or "")
        nobody = b"n" * 16
        found = await look_up_by_code(
            gateway, parties=["mlit", "mlit", "mlit", "other"], request_ids=[known, fresh, gone, known],
            tokens=[nobody, code, code, code], today=TODAY,
        )  # fmt: skip
        assert [row.row is None for row in found] == [True, False, False, False]
        assert {row.directory_version for row in found} == {version}
        assert found[0].claim == ClaimSeen(bytes(32), b"s" * 16, 5, 6, 2, False)
        assert found[1].claim is None
        assert found[2].claim == ClaimSeen(bytes(32), b"s" * 16, 5, 6, 0, True)
        assert found[3].claim is None
        by_name = await look_up_by_name(
            gateway, parties=["mlit"] * 2, request_ids=[fresh, known], tokens=[(nobody, nobody)] * 2, today=TODAY
        )
        assert [(row.rows, row.claim is None) for row in by_name] == [([], True), ([], False)]


async def test_a_record_exists_until_the_day_it_expires(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 20) as (owner, gateway):
        question = case("exact-by-code").question(**FIELDS)
        await owner.execute("update register.record set expires_on = $1", TODAY + dt.timedelta(days=1))
        assert (await ask(gateway, question)).outcome == Outcome.EXACT
        await owner.execute("update register.record set expires_on = $1", TODAY)
        assert (await ask(gateway, question)).outcome == Outcome.NONE
        assert (await ask(gateway, case("exact-by-name").question(**FIELDS))).outcome == Outcome.NONE


async def test_the_workers_role_cannot_write_the_register(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 10) as (_, gateway):
        for sql in (
            "update register.record set version = 9",
            "delete from register.name_token",
            "insert into register.data_key values (9, 'data', '', '')",
        ):
            with pytest.raises(StoreError):
                await gateway.execute(sql)


@pytest.mark.parametrize("sql", [LOOKUP_BY_CODE, LOOKUP_BY_NAME], ids=["code", "name"])
async def test_a_generic_plan_scans_no_table_but_the_version(database_dsn: DatabaseDsn, sql: str) -> None:
    async with register(database_dsn, 3000) as (owner, _), owner.pinned() as connection:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        arrays = sql.count("[]") - 1
        types = ", ".join(["text[]", *["bytea[]"] * arrays, "date"])
        await connection.execute(f"prepare asked({types}) as {sql}")
        given = ", ".join(["null"] * (arrays + 2))
        plan = "\n".join(row[0] for row in await connection.fetch(f"explain (costs off) execute asked({given})"))
        assert "Seq Scan on record" not in plan, plan
        assert "Seq Scan on name_token" not in plan, plan
        assert "Bitmap" not in plan, plan
        assert "Seq Scan on claim" not in plan, plan
        assert "Hash Join" not in plan, plan
        assert "Merge Join" not in plan, plan
        assert "record_standing" in plan or "record_current" in plan, plan


class Reversing:
    """A wrapper that binds what it wraps, as a keystore does; no secrecy."""

    def wrap(self, key_id: str, secret: bytes, aad: bytes) -> bytes:
        return key_id.encode() + aad + secret[::-1]

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        if not wrapped.startswith(key_id.encode() + aad):
            raise ValueError("bound to something else")
        return wrapped[len(key_id) + len(aad) :][::-1]


async def test_keys_are_made_once_and_loaded_after(database_dsn: DatabaseDsn) -> None:
    async with register(database_dsn, 0) as (owner, gateway):
        with pytest.raises(KeyMissing):
            await load_keys(gateway, Reversing())
        made = await make_keys(owner, Reversing(), "register", random=lambda size: b"r" * size)
        again = await make_keys(owner, Reversing(), "register", random=lambda size: b"q" * size)
        loaded = await load_keys(gateway, Reversing())
        assert made.index_key == again.index_key == loaded.index_key == b"r" * 32
        assert loaded.current == 2
        await owner.execute("update register.data_key set sealed = (select sealed from register.data_key where id = 1)")
        with pytest.raises(ValueError, match="bound"):
            await load_keys(gateway, Reversing())


def _two_tokens() -> tuple[bytes, bytes]:
    one, other = (resident.record.code for resident in known_residents(SEED)[:2])
    return code_token(KEYS.index_key, one), code_token(KEYS.index_key, other)
