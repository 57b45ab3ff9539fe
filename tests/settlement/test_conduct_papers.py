"""What each step leaves for a finance office, over a real ledger."""

import csv
import datetime as dt
import io
import json
from pathlib import Path

import pytest

import gateway.app
from gateway.settlement.conduct import confirm, disclose, invoice, pay
from gateway.settlement.letterheads import letterheads_of
from protocol.application import Transition
from tests.settlement.conducting import CLERK, SEPTEMBER, files, house, sale


async def _invoiced(place):
    await place.record(*(sale(n) for n in range(1, 4)), sale(4, copies=2, town="takaoka", fee=10))
    await place.record(sale(2, copies=-1, step=Transition.VOIDED))
    for act in await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK):
        await place.reconcile(place.desk("2026-10-05"), act)
    await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)
    await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)


@pytest.mark.guest
async def test_a_disclosure_comes_with_its_papers(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _invoiced(place)
        path = tmp_path / SEPTEMBER / "cvs-dev" / "disclosure-2026-09-cvs-dev"
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        told = json.loads(path.with_suffix(".json").read_bytes())
        rows = list(csv.DictReader(io.StringIO(path.with_suffix(".csv").read_bytes().decode("utf-8-sig"))))
        assert len(rows) == told["rows"]["count"] == 5
        assert sum(int(row["手数料 (yen)"]) for row in rows) == told["net"]["yen"] == 620


@pytest.mark.guest
async def test_each_payment_leaves_a_receipt_once(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _invoiced(place)
        desk = place.desk("2026-10-20")
        await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 19), yen=100)
        before = files(tmp_path)
        await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 19), yen=100)
        assert files(tmp_path) == before
        await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
        receipts = [
            json.loads(path.read_bytes())
            for path in sorted((tmp_path / SEPTEMBER / "cvs-dev").glob("certificate-2026-09-cvs-dev-fees-paid-*.json"))
        ]
        assert [(each["document"]["ja"], each["paid_on"]) for each in receipts] == [
            ("領収書", "2026-10-19"),
            ("領収書", "2026-10-20"),
        ]
        assert sum(each["yen"] for each in receipts) == receipts[0]["due_yen"]


@pytest.mark.guest
async def test_a_receipt_that_is_lost_comes_again_when_the_step_is_done_again(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _invoiced(place)
        for _ in range(2):
            await pay(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
            (receipt,) = tmp_path.rglob("*-paid-1.pdf")
            found = receipt.read_bytes()
            receipt.unlink()
        await pay(place.desk("2026-11-20"), SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
        assert receipt.read_bytes() == found


@pytest.mark.guest
async def test_a_frozen_period_has_its_statement_that_no_later_entry_changes(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _invoiced(place)
        (path,) = (tmp_path / SEPTEMBER / "centre").glob("*.json")
        told = json.loads(path.read_bytes())
        assert told["due_yen"] == sum(
            json.loads(file.read_bytes())["due_yen"] for file in tmp_path.rglob("certificate-2026-09-cvs-dev-fees.json")
        )
        before = files(tmp_path / SEPTEMBER / "centre")
        await place.record(sale(9, day="2026-09-29"))
        for table in ("document_part", "document"):
            await place.database.execute(f"alter table settlement.{table} disable trigger all")
            await place.database.execute(f"delete from settlement.{table}")
        await confirm(place.desk("2026-11-20", out=tmp_path / "again"), SEPTEMBER, CLERK)
        assert files(tmp_path / "again" / SEPTEMBER / "centre") == before


def test_the_letterheads_of_a_development_centre_are_such():
    found = letterheads_of(Path(gateway.app.__file__).with_name("letterheads.toml").read_bytes())
    assert {"centre", "cvs-dev", "chiba", "takaoka", "mlit"} == set(found)
    assert found["cvs-dev"].registration
    assert all("開発" in line for each in found.values() for line in each.address[:1])
