"""`sekisho relay`: a directory made by commands, looked into and worked on beside the server."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.relay import command
from gateway.peers.relay import outbox, registry, relay
from gateway.peers.relay.errors import SetupIncomplete
from gateway.peers.relay.setup import TRUST_NAME, add_kiosk
from gateway.peers.relay.store import open_store
from protocol.issuance import KioskFact
from protocol.trust import decode_trust
from tests.line.kit import now_us
from tests.peers.relay.kit import OPERATOR, Site, begun, complete, event, kiosk, new_application


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)


@pytest.fixture
def made(site: Site, tmp_path: Path) -> Path:
    data = tmp_path / "made"
    tls = site.host_files.certificate.parent
    done = run("init", "--data", data, "--operator", OPERATOR, "--line", site.line, "--tls", tls)
    assert done.exit_code == 0, done.output
    certificate = site.kiosks["kiosk-1"].certificate
    added = run(
        "kiosk",
        "add",
        "--data",
        data,
        "kiosk-1",
        "--store",
        "store-1",
        "--name",
        "合成店",
        "--certificate",
        certificate,
    )
    assert added.exit_code == 0, added.output
    return data


def test_a_directory_is_made_once_and_names_its_kiosks(site: Site, made: Path) -> None:
    assert decode_trust((made / TRUST_NAME).read_bytes()).role == "relay"
    listed = run("kiosk", "list", "--data", made, "--json")
    assert json.loads(listed.stdout)["store_name"] == "合成店"
    assert "not connected" in run("kiosk", "list", "--data", made).stdout
    with pytest.raises(SetupIncomplete, match="not empty"):
        run("init", "--data", made, "--operator", OPERATOR, "--line", site.line, "--tls", site.line)


def test_what_cannot_be_set_up_says_why(site: Site, made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(SetupIncomplete, match="of party"):
        run("init", "--data", other, "--operator", "another", "--line", site.line, "--tls", site.line)
    with pytest.raises(SetupIncomplete, match="profile host"):
        run("init", "--data", other, "--operator", OPERATOR, "--line", site.line, "--tls", tmp_path)
    with pytest.raises(SetupIncomplete, match="does not exist"):
        run("outbox", "--data", other)
    with pytest.raises(SetupIncomplete, match="not line://operator-test/kiosk-9"):
        add_kiosk(made, "kiosk-9", "store-1", "合成店", site.kiosks["kiosk-1"].certificate.read_bytes())
    with pytest.raises(SetupIncomplete, match="kiosk"):
        add_kiosk(made, "KIOSK", "store-1", "合成店", site.kiosks["kiosk-1"].certificate.read_bytes())
    with pytest.raises(SetupIncomplete, match="store"):
        add_kiosk(made, "kiosk-1", "", "合成店", site.kiosks["kiosk-1"].certificate.read_bytes())
    with pytest.raises(SetupIncomplete, match="kiosk-1"):
        add_kiosk(made, "kiosk-1", "store-1", "合成店", b"no certificate")


def test_worklist_outbox_and_report_from_deposit_to_refund(made: Path) -> None:
    with open_store(made) as store:
        application, refused = begun(store, new_application()), begun(store, new_application())
        told = event(KioskFact.DEPOSITED, application, yen=600)
        relay.note(store, told, caller=kiosk(), now_us=now_us() - 3_600_000_000)
        with store.transaction():
            outbox.take_over(
                store, complete(refused), asked=b"1", request_id=new_application(), caller=kiosk(), now_us=now_us()
            )
            store.run("UPDATE outbox SET state = 'refused', outcome = 235, done_us = taken_us")
        assert registry.states(store)[0].in_use
    listed = run("worklist", "list", "--data", made).stdout
    assert application.hex() in listed
    assert "235" in listed
    assert len(run("worklist", "list", "--data", made, "--json").stdout.splitlines()) == 2
    assert run("worklist", "resolve", "--data", made, application.hex(), "--ground", "staff").exit_code == 2
    assert run("worklist", "resolve", "--data", made, "nothing", "--ground", "staff", "--slip", "1").exit_code == 2
    done = run("worklist", "resolve", "--data", made, application.hex(), "--ground", "staff", "--slip", "R-1")
    assert done.exit_code == 0, done.output
    number = run("outbox", "--data", made, "--state", "refused", "--json").stdout
    closed = run("worklist", "resolve", "--data", made, json.loads(number)["number"], "--reference", "CASE-1")
    assert closed.exit_code == 0, closed.output
    assert run("worklist", "list", "--data", made).stdout == "nothing to resolve\n"
    (void,) = [
        json.loads(line) for line in run("outbox", "--data", made, "--state", "held", "--json").stdout.splitlines()
    ]
    assert (void["operation"], void["application"]) == (27, application.hex())
    assert "1 held" in run("outbox", "--data", made).stdout
    report = run("report", "--data", made, "2026-11", "--json")
    assert json.loads(report.stdout)["refused"] == 1
    file = made.parent / "report.csv"
    assert run("report", "--data", made, "2026-11", "--out", file).exit_code == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert run("report", "--data", made, "November").exit_code == 2
