"""After its period a year of the history is gone for good, and a signed statement says what went."""

import datetime as dt
import hashlib

import msgspec
import pytest

from gateway.app.year_keys import YearKeys
from gateway.inquiry.history import project_all
from gateway.inquiry.provision import YearGone
from gateway.inquiry.reading import OfSubject, Period, Reading, read
from gateway.inquiry.retirement import (
    RETENTION_DEFAULT,
    Order,
    RetentionRule,
    RetirementInvalid,
    RetirementRefused,
    SignedStatement,
    contradiction,
    due,
    encode_statement,
    retire,
    verify_statement,
    years_due,
)
from gateway.store.errors import StoreRefused
from gateway.store.pool import open_database
from gateway.store.provision import ProvisionStore
from gateway.store.provision_retirement import RetirementStore
from hsm.software import SoftwareKeystore
from protocol.keys import Algorithm, Purpose
from tests.inquiry.providing import DAY_US, Providing, keys_of, keys_of_year, resident, shown
from tests.ledger.building import T0_US, Centre, Signer, ledger_of

ORDER = Order(asked_by="archivist-1", approved_by="head-1", at_us=T0_US)
YEAR_2020_US = 1_590_000_000_000_000
YEAR_2026_US = T0_US
NEW_YEAR_2026 = dt.date(2026, 1, 1)


def rule(year, years):
    return RetentionRule(valid_from=dt.date(year, 4, 1), years=years)


@pytest.mark.parametrize(
    ("today", "rules", "expected"),
    [
        ("2025-12-31", RETENTION_DEFAULT, []),
        ("2026-01-01", RETENTION_DEFAULT, [2020]),
        ("2027-01-01", RETENTION_DEFAULT, [2020, 2021]),
        ("2026-03-31", (rule(2002, 5), rule(2026, 7)), [2020]),
        ("2026-04-01", (rule(2002, 5), rule(2026, 7)), []),
        ("2026-04-01", (rule(2026, 3), rule(2002, 5)), [2020, 2021]),
        ("2026-04-01", (rule(2030, 1),), []),
        ("2026-04-01", (), []),
    ],
)
def test_a_year_is_due_when_its_whole_period_has_passed_by_the_rule_of_the_day(today, rules, expected):
    assert due([2024, 2021, 2020], rules, dt.date.fromisoformat(today)) == expected


async def _two_years(store, ops, owner):
    """Records of 2020 (which has no partition) and 2026, projected, with a key each."""
    writer = await Providing(store).open()
    for n in range(3):
        await writer.provide(
            shown(n, at_us=YEAR_2020_US, subject=1), shown(10 + n, at_us=YEAR_2020_US, subject=2), year=2020
        )
    await writer.provide(shown(20, at_us=YEAR_2026_US, subject=1), year=2026)
    assert await project_all(ops, keys_of) == 4
    for year in (2020, 2026):
        await owner.execute("insert into provision.year_key values ($1, $2, 'seal-1')", year, b"sealed %d" % year)


def _retire(owner, centre, *, year=2020, today=NEW_YEAR_2026, order=ORDER, sign=None):
    return retire(
        owner,
        year,
        order=order,
        rules=RETENTION_DEFAULT,
        today=today,
        origin=centre.trust.origin,
        sign=sign or centre.checkpoint,
    )


@pytest.mark.guest
async def test_what_is_retired_is_gone_and_the_statement_says_what_it_was(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops), open_database(database_dsn.owner, role="test") as owner:
        await _two_years(store, ops, owner)
        digest = hashlib.sha256()
        for row in await ops.fetch(
            "select stream, height, subjects, sealed from provision.batch where year = 2020 order by stream, height"
        ):
            digest.update(row[0] + row[1].to_bytes(8, "big"))
            digest.update(len(row[2]).to_bytes(4, "big") + row[2] + len(row[3]).to_bytes(4, "big") + row[3])
        assert await years_due(owner, RETENTION_DEFAULT, NEW_YEAR_2026) == [2020]
        signed = await _retire(owner, centre)
        statement = verify_statement(encode_statement(signed), centre.trust)
        assert statement == signed.statement
        assert (statement.year, statement.batches, statement.records, statement.kept_years) == (2020, 3, 6, 5)
        assert statement.batches_sha256 == digest.hexdigest()
        assert statement.secret_sha256 == hashlib.sha256(b"sealed 2020").hexdigest()
        assert contradiction(statement, await RetirementStore(owner).remains(2020)) == ""
        await RetirementStore(owner).rewrite()
        assert [row[0] for row in await ops.fetch("select distinct year from provision.record")] == [2026]
        assert [row[0] for row in await ops.fetch("select distinct year from provision.batch")] == [2026]
        assert await ProvisionStore(owner).years() == [2026]
        assert await years_due(owner, RETENTION_DEFAULT, NEW_YEAR_2026) == []
        assert await project_all(ops, keys_of) == 0
        lines = await read(
            owner,
            [keys_of_year(2026)],
            OfSubject((resident(1),)),
            Period(dt.date(2020, 1, 1), dt.date(2026, 12, 31)),
            Reading(asked_by="clerk-1", reference="2026-1", at_us=T0_US),
        )
        assert [line.at[:4] for line in lines] == ["2026"]


@pytest.mark.guest
async def test_a_year_with_partitions_goes_with_them(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops), open_database(database_dsn.owner, role="test") as owner:
        await owner.execute("select provision.make_year(2020)")
        await _two_years(store, ops, owner)
        assert (await ops.fetch("select to_regclass('provision.batch_2020')"))[0][0] is not None
        await _retire(owner, centre)
        for table in ("batch_2020", "record_2020"):
            assert (await ops.fetch("select to_regclass($1)", f"provision.{table}"))[0][0] is None
        assert not (await ops.fetch("select provision.make_year(2020)"))[0][0]


@pytest.mark.guest
async def test_a_retired_year_gets_no_key_again(database_dsn, tmp_path):
    keystore = SoftwareKeystore.create(tmp_path / "keys", "a passphrase", owner="centre")
    keystore.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=0)
    async with ledger_of(database_dsn), open_database(database_dsn.owner, role="test") as owner:
        years = YearKeys(ProvisionStore(owner), keystore, lambda: T0_US)
        token = (await years.load(2020)).subject_token(resident(1))
        again = YearKeys(ProvisionStore(owner), keystore, lambda: T0_US)
        assert [keys.subject_token(resident(1)) for keys in await again.known()] == [token]
        await _retire(owner, Centre())
        async with open_database(database_dsn.gateway, role="test") as gateway:
            afterwards = YearKeys(ProvisionStore(gateway), keystore, lambda: T0_US)
            with pytest.raises(StoreRefused, match="retired"):
                await afterwards.load(2020)
            with pytest.raises(YearGone):
                await afterwards.existing(2020)
            assert await afterwards.known() == []


@pytest.mark.guest
@pytest.mark.parametrize(
    ("change", "ground"),
    [
        ({"today": dt.date(2025, 12, 31)}, "kept until the end of 2025"),
        ({"year": 2026}, "kept until the end of 2031"),
        ({"year": 2019}, "no history of 2019"),
        ({"order": Order(asked_by="head-1", approved_by="head-1", at_us=T0_US)}, "two people"),
        ({"order": Order(asked_by="head-1", approved_by="", at_us=T0_US)}, "two people"),
    ],
)
async def test_a_retirement_before_its_time_or_by_one_person_is_refused(database_dsn, change, ground):
    async with ledger_of(database_dsn) as (store, ops), open_database(database_dsn.owner, role="test") as owner:
        await _two_years(store, ops, owner)
        with pytest.raises(RetirementRefused, match=ground):
            await _retire(owner, Centre(), **change)
        assert (await ops.fetch("select count(*) from provision.batch"))[0][0] == 4


@pytest.mark.guest
async def test_without_a_signature_nothing_is_destroyed(database_dsn):
    async def refuse(_):
        raise ConnectionError

    async with ledger_of(database_dsn) as (store, ops), open_database(database_dsn.owner, role="test") as owner:
        await _two_years(store, ops, owner)
        with pytest.raises(ConnectionError):
            await _retire(owner, Centre(), sign=refuse)
        remains = await RetirementStore(owner).remains(2020)
        assert (remains.keys, remains.batches, remains.records, remains.statement) == (1, 3, 6, None)


@pytest.mark.guest
async def test_a_statement_that_does_not_fit_is_found(database_dsn):
    centre = Centre()
    async with ledger_of(database_dsn) as (store, ops), open_database(database_dsn.owner, role="test") as owner:
        await _two_years(store, ops, owner)
        signed = await _retire(owner, centre)
        data = encode_statement(signed)
        for old, new in (
            (b'"records": 6', b'"records": 5'),
            (b'"year": 2020', b'"year": 2019'),
            (b"archivist-1", b"x"),
        ):
            assert old in data
            with pytest.raises(RetirementInvalid):
                verify_statement(data.replace(old, new), centre.trust)
        with pytest.raises(RetirementInvalid):
            verify_statement(data, Centre().trust)
        for bad in (b"", b"{}", b"[" * 100_000, data.replace(b"signature", b"signed")):
            with pytest.raises(RetirementInvalid):
                verify_statement(bad, centre.trust)
        forged = Signer("checkpoint-1")
        statement = signed.statement
        other = SignedStatement(statement=statement, key_id="checkpoint-1", signature=forged.sign(b"x").hex())
        with pytest.raises(RetirementInvalid):
            verify_statement(encode_statement(other), centre.trust)
        remains = await RetirementStore(owner).remains(2020)
        assert "1 keys are left" in contradiction(statement, remains._replace(keys=1))
        assert "no statement" in contradiction(statement, remains._replace(statement=None))
        changed = msgspec.structs.replace(statement, records=5)
        assert "another statement" in contradiction(changed, remains)


def test_a_period_ends_with_its_last_day_in_japan():
    begin, end = Period(dt.date(2026, 1, 1), dt.date(2026, 1, 1)).edges
    assert (end - begin) == dt.timedelta(microseconds=DAY_US)
    assert begin.isoformat() == "2025-12-31T15:00:00+00:00"
