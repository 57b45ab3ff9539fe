"""A month through the commands of `sekisho settle`, late and by force of two, and the papers that stand at its end."""

import json
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app.configuration import read_configuration
from gateway.app.setup import make_centre
from gateway.cli import is_known
from gateway.cli.settle import command
from gateway.host import run_guest
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.ledger import LedgerStore
from gateway.store.pool import open_database
from protocol.invoice import decode_signed, verify_invoice
from protocol.trust import decode_trust
from tests.kit.centre import standing
from tests.ledger.building import Centre, Writer
from tests.settlement.conducting import sale

MONTH = "2026-09"
"""Over, whatever day it is."""
TWO = ("--by", "clerk-1", "--with", "clerk-2", "--force", "late by agreement")
CHOICES = ("disclose", "accept", "confirm", "invoice", "pay", "status", "verify")


@pytest.fixture(scope="module")
def data():
    with tempfile.TemporaryDirectory(prefix="sekisho-settle-") as directory:
        made = Path(directory) / "centre"
        make_centre(
            made, port=0, ops_port=0, workers=1, residents=0, role="certificate",
            say=lambda _: None, progress=lambda _done, _of: None,
        )  # fmt: skip
        with standing(made):
            run_guest(_fill, _dsn(made))
            yield made


def _dsn(made):
    return EmbeddedPostgres(read_configuration(made).embedded).running_dsn()


async def _fill(dsn):
    async with open_database(dsn, size=1, role="tests") as database:
        writer = await Writer(LedgerStore(database), Centre(), slot=9).open()
        await writer.append([sale(n) for n in range(1, 4)] + [sale(5, town="takaoka", fee=450)])


def _run(*arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments])


def _json(*arguments):
    done = _run(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_month_is_settled_by_commands_and_everything_holds(data):
    late = _run("disclose", MONTH, "--data", data, "--by", "clerk-1")
    assert is_known(late.exception)
    assert "取扱い実績データの開示(センター)は2026-10-08まで" in str(late.exception)
    alone = _run("disclose", MONTH, "--data", data, "--by", "Clerk-1", "--with", "clerk-1", "--force", "late")
    assert "the same person" in str(alone.exception)
    for step in ("disclose", "confirm", "invoice"):
        acts = _json(step, MONTH, "--data", data, *TWO)
        assert [(act["yen"], act["second"]) for act in acts] == [(3 * 300 + 450 - 4 * 115, "clerk-2")]
        assert _json(step, MONTH, "--data", data, *TWO) == acts
    refused = _run("accept", MONTH, "--data", data, "--party", "cvs-dev", *TWO)
    assert "no reconciliation came" in str(refused.exception)
    assert "is no key" in _run("accept", MONTH, "--data", data, "--party", "x", "--line", "zz", *TWO).output

    place = data / "settlement" / MONTH / "cvs-dev"
    signed = decode_signed((place / f"certificate-{MONTH}-cvs-dev-fees.invoice").read_bytes())
    invoice = verify_invoice(signed, decode_trust((data / "trust.bundle").read_bytes()))
    assert invoice.due_yen == 890
    kinds = {path.suffix for path in place.iterdir()}
    assert kinds == {".csv", ".disclosure", ".invoice", ".items", ".json", ".pdf", ".rows"}

    found = _json("status", MONTH, "--data", data)
    steps = {(each["party"], each["step"]): each["stand"] for each in found["steps"]}
    assert (steps["cvs-dev", "invoice"], steps["cvs-dev", "payment"]) == ("done", "late")
    assert steps["chiba", "fetch"] == "done"
    day = found["today"]
    (paid,) = _json("pay", MONTH, "--data", data, "--party", "cvs-dev", "--on", day, "--by", "clerk-1")
    assert (paid["yen"], paid["day"]) == (890, day)
    shown = _run("status", MONTH, "--data", data).output
    assert "確定 890円 / frozen" in shown
    assert f"支払期限 / Payment  {day} clerk-1  890円" in shown
    held = _run("verify", MONTH, "--data", data)
    assert (held.exit_code, held.output.splitlines()[-1]) == (0, "everything holds")


@pytest.mark.parametrize("name", CHOICES)
def test_every_command_has_help_with_an_example(name):
    shown = _run(name, "--help")
    assert shown.exit_code == 0
    assert f"Example: sekisho settle {name} " in " ".join(shown.output.split())
