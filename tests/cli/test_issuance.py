"""`sekisho issuance`: what staff of a certificate centre see and may close."""

import json
from functools import partial

import pytest
from click.testing import CliRunner

from gateway.cli import root
from gateway.store.issuance_incidents import IncidentStore
from gateway.store.pool import open_database
from tests.issuance.kit import NOW, NOW_US, Kiosk, centre_of
from tests.kit.guest import guest_run
from tests.kit.sitting import make_ground


def said(*arguments, exit_code=0):
    """What a command prints."""
    result = CliRunner().invoke(root, ["issuance", *arguments])
    assert result.exit_code == exit_code, result.output
    return result.output


async def lived(dsn, cards):
    """One certificate completed and voided, and an incident."""
    async with centre_of(dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        await kiosk.complete()
        await kiosk.correct(1, 1)
        await kiosk.void()
        return kiosk.application


async def incident(dsn, application):
    """One more incident."""
    async with open_database(dsn.gateway, role="test") as database:
        await IncidentStore(database).open(
            at_us=NOW_US, kind="late", municipality="121002", application=application, detail="made"
        )


@pytest.fixture
def application(database_dsn, tmp_path):
    """The application that was lived through."""
    return guest_run(partial(lived, database_dsn, make_ground(tmp_path, NOW)))


def test_staff_list_and_close_incidents(database_dsn, application):
    dsn = ("--dsn", database_dsn.ops)
    assert said("incidents", *dsn) == "no open incidents\n"
    guest_run(partial(incident, database_dsn, application))
    line = said("incidents", *dsn, exit_code=1)
    assert "1  2026-11-20T03:00:00Z  121002  late 締切後の応答  made  " in line
    assert "write 1 to" in said("incidents", "close", "1", *dsn, "--by", "c", "--ground", "\n", exit_code=1)
    assert said("incidents", "close", "1", *dsn, "--by", "clerk-1", "--ground", "slow line") == (
        "incident 1 closed by clerk-1\n"
    )
    assert "not open" in said("incidents", "close", "1", *dsn, "--by", "c", "--ground", "g", exit_code=1)
    assert "by clerk-1: slow line" in said("incidents", "--all", *dsn)
    (row,) = json.loads(said("incidents", "--all", "--json", *dsn))
    assert (row["application"], row["closed_by"]) == (application.hex(), "clerk-1")


def test_staff_see_applications_and_reports_without_a_pseudonym(database_dsn, application):
    dsn = ("--dsn", database_dsn.ops)
    lines = said("applications", *dsn)
    assert "operator-test/kiosk-1  121002" in lines
    assert "訂正 corrected 1, 返金済・無効 voided  0 通  0 円  文書保管中 document kept" in lines
    (row,) = json.loads(said("applications", "--json", *dsn))
    assert row["application"] == application.hex()
    assert not {"pseudonym", "kiosk_key", "nonce"} & row.keys()
    assert said("applications", "--operator", "operator-other", *dsn) == "0 件 / applications\n"
    (queue,) = json.loads(said("reports", "--json", *dsn))
    assert queue["numbered"] + queue["due"] == 3
    assert said("reports", *dsn).startswith("121002  報告済 noted ")


def test_help_shows_an_example():
    assert "sekisho issuance incidents close 3" in said("--help")
