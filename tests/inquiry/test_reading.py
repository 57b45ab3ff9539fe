"""Reading the history: by whichever code the resident has or had, with what stands sealed, and always logged."""

import datetime as dt

import msgspec
import pytest

from gateway.inquiry.history import project_all
from gateway.inquiry.index import code_token
from gateway.inquiry.provision import RECORD_GIVEN, Given, ProvisionCorrupt, YearGone
from gateway.inquiry.reading import OfCase, OfParty, OfSubject, Period, Reading, read
from gateway.store.pool import open_database
from gateway.store.provision_reading import ProvisionReader
from tests.inquiry.providing import DAY_US, Providing, keys_of, keys_of_year, resident, shown
from tests.ledger.building import T0_US, ledger_of

KEYS = [keys_of_year(year) for year in (2026, 2027)]
READING = Reading(asked_by="clerk-1", reference="2026-17", at_us=T0_US)
EVER = Period(dt.date(2026, 1, 1), dt.date(2027, 12, 31))
NEW_YEAR_US = 1_798_729_200_000_000  # 2027-01-01T00:00+09:00


@pytest.mark.guest
async def test_the_register_knows_a_resident_by_every_code_they_had(database_dsn):
    old, new, other = (code_token(b"i" * 32, code) for code in ("10000000001", "10000000002", "10000000003"))
    async with open_database(database_dsn.owner, role="test") as owner:
        sql = (
            "insert into register.record (record_id, code_token, version, key_id, schema, sealed, superseded_on)"
            " values ($1, $2, $3, 2, 2, 'x', $4)"
        )
        await owner.execute(sql, resident(1), old, 1, dt.date(2026, 5, 1))
        await owner.execute(sql, resident(1), new, 2, None)
        await owner.execute(sql, resident(2), other, 1, None)
        reader = ProvisionReader(owner)
        assert await reader.record_ids(old) == await reader.record_ids(new) == [resident(1)]
        assert await reader.record_ids(bytes(16)) == []


@pytest.mark.guest
async def test_a_person_is_found_over_the_turn_of_the_year_with_all_that_was_sealed(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        first, provided = shown(1, at_us=NEW_YEAR_US - DAY_US, subject=1, case="2026-0001")
        provided = msgspec.structs.replace(provided, given=RECORD_GIVEN | Given.MY_NUMBER, approval=b"approved by: 02.")
        await writer.provide((first, provided), shown(2, at_us=NEW_YEAR_US - DAY_US, subject=2), year=2026)
        await writer.provide(shown(3, at_us=NEW_YEAR_US, subject=1, case="2027-0001", party="other"), year=2027)
        await project_all(ops, keys_of)
        lines = await read(ops, KEYS, OfSubject((resident(1),)), EVER, READING)
        assert [(line.at, line.case, line.party) for line in lines] == [
            ("2026-12-31 00:00:00+09:00", "2026-0001", "mlit"),
            ("2027-01-01 00:00:00+09:00", "2027-0001", "other"),
        ]
        assert [line.approval for line in lines] == [b"approved by: 02.".hex(), ""]
        assert lines[0].given_ja.endswith("個人番号")
        assert len(await read(ops, KEYS, OfCase("2027-0001"), EVER, READING)) == 1
        assert len(await read(ops, KEYS, OfParty("mlit"), EVER, READING)) == 2
        last_day = Period(dt.date(2026, 12, 31), dt.date(2026, 12, 31))
        assert len(await read(ops, KEYS, OfSubject((resident(1),)), last_day, READING)) == 1
        rows = await ops.fetch("select kind, rows, target from provision.access order by id")
        assert [tuple(row) for row in rows] == [
            ("subject", 2, ""),
            ("case", 1, ""),
            ("party", 2, "mlit"),
            ("subject", 1, ""),
        ]


@pytest.mark.guest
async def test_what_cannot_be_opened_is_not_shown_and_what_is_not_shown_is_not_logged(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        await writer.provide(shown(1, at_us=T0_US, subject=1), year=2026)
        await project_all(ops, keys_of)
        with pytest.raises(YearGone):
            await read(ops, KEYS[1:], OfParty("mlit"), EVER, READING)
        await ops.execute(
            "insert into provision.record select stream, height, 9, year, subject, at, party, line, affair,"
            " step, staff, case_token, request_id, outcome, kind, given from provision.record"
        )
        with pytest.raises(ProvisionCorrupt, match="rebuild"):
            await read(ops, KEYS, OfParty("mlit"), EVER, READING)
        assert (await ops.fetch("select count(*) from provision.access"))[0][0] == 0
