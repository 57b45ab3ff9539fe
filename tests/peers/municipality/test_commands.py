"""`sekisho municipality`, as a municipality's staff uses it, and a server of its own process with a real responder."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from gateway.cli import is_known
from gateway.cli.municipality import command
from gateway.peers.jpki.authority import revoke
from gateway.peers.jpki.cards import SimulatedCard, issue_card
from gateway.peers.jpki.responder import serve_responder
from gateway.peers.municipality import reports
from gateway.peers.municipality.cards import read_card_certificate
from gateway.peers.municipality.settings import FILE_NAME
from protocol.application import Transition
from protocol.outcomes import Outcome
from protocol.trust import decode_trust
from tests.peers.municipality.kit import CODE, NAME_EN, NAME_JA, PARTY, PIN, Sitting, Town, World, made, refused
from tests.peers.municipality.test_reports import report


def run(*args: object) -> Result:
    """One command that succeeds."""
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def lines(*args: object) -> list[dict[str, object]]:
    """What a command prints with --json."""
    return [json.loads(line) for line in run(*args, "--json").output.splitlines()]


def init(world: World, data: Path, *more: object) -> Result:
    """A municipality made by the command."""
    return run(
        *("init", "--data", data, "--code", CODE, "--party", PARTY, "--name-ja", NAME_JA, "--name-en", NAME_EN),
        *("--tls", world.root / "host", "--centre-trust", world.root / "centre.bundle"),
        *("--kiosk-anchors", world.root / "operators", "--card-anchors", world.root / "jpki" / "anchors.pem"),
        *("--residents", 18, "--port", 0, *more),
    )


def test_init_makes_a_directory_once_and_names_its_test_cases(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "支援措置" in init(world, data).output
    assert {path.name for path in data.iterdir()} >= {"municipality.toml", "municipality.sqlite3", "trust.bundle"}
    assert (data / "passphrase").stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(
        command,
        [
            *("init", "--data", str(data), "--code", CODE, "--party", PARTY, "--name-ja", "a", "--name-en", "a"),
            *("--tls", str(world.root / "host"), "--centre-trust", str(world.root / "centre.bundle")),
            *("--kiosk-anchors", str(world.root), "--card-anchors", str(world.root / "jpki" / "anchors.pem")),
        ],
    )
    assert again.exception is not None
    assert is_known(again.exception)
    assert "not empty" in str(again.exception)


def test_settings_that_cannot_be_are_refused_by_name(town: Town) -> None:
    file = town.data / FILE_NAME
    text = file.read_text()
    for before, after, named in (
        ("copies_max = 10", "copies_max = 21", "copies_max"),
        ('"domicile"', '"seal"', "seal"),
        ("[kinds.inkan]", "[kinds.menkyo]", "menkyo"),
        ('code = "999990"', 'code = "99999"', "code"),
        ('party = "mihon-shi"', "", "party"),
    ):
        file.write_text(text.replace(before, after, 1))
        result = CliRunner().invoke(command, ["residents", "--data", str(town.data)])
        assert result.exception is not None
        assert is_known(result.exception)
        assert named in str(result.exception)


def test_residents_are_listed_without_personal_data_unless_asked_for(town: Town) -> None:
    plain = lines("residents", "--data", town.data)
    assert len(plain) == 24
    assert not any("name" in line for line in plain)
    assert plain[2]["suppressed"] == "suppressed"
    personal = lines("residents", "--data", town.data, "--personal")
    assert personal[5]["name"].startswith("見本")


def test_a_change_of_status_is_made_listed_and_kept(town: Town) -> None:
    run("suppress", "--data", town.data, 0, "--by", "window-1")
    run("seal", "cancel", "--data", town.data, 0)
    run("suppress", "--data", town.data, 2, "--lift")
    listed = lines("residents", "--data", town.data)
    assert (listed[0]["suppressed"], listed[0]["seal"]) == ("suppressed", "seal cancelled")
    assert listed[2]["suppressed"] == ""
    assert "resident 0  suppressed: set  by window-1" in run("history", "--data", town.data, "--resident", 0).output
    for wrong in (["seal", "cancel", "--data", str(town.data), "0"], ["suppress", "--data", str(town.data), "999"]):
        failed = CliRunner().invoke(command, wrong)
        assert failed.exception is not None
        assert is_known(failed.exception)


@pytest.mark.trio
async def test_a_card_is_added_by_its_file_and_refusals_are_for_staff(town: Town, world: World, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    path = issue_card(world.root / "jpki", holder="newcomer", algorithm="p384", pin=PIN, now=now, days=30)
    run("card", "add", "--data", town.data, "--card", path, "--resident", 20)
    der = tmp_path / "card.der"
    der.write_bytes(SimulatedCard.load(path).certificate)
    assert read_card_certificate(der) == read_card_certificate(path)
    async with town.answering() as client:
        await made(client, Sitting(world, card=SimulatedCard.load(path)).issue())
        await refused(client, Sitting(world, resident=2).issue())
    assert "suppressed  told: COUNTER_ONLY" in run("refusals", "--data", town.data).output


def test_a_card_of_another_authority_is_not_added(town: Town, world: World) -> None:
    failed = CliRunner().invoke(
        command,
        [
            *("card", "add", "--data", str(town.data), "--resident", "0"),
            *("--card", str(world.root / "kiosk" / "certificate.pem")),
        ],
    )
    assert failed.exception is not None
    assert is_known(failed.exception)


def test_completions_are_listed_with_totals_and_incidents_are_closed_by_a_person(town: Town) -> None:
    with town.opened() as municipality:
        for each in (
            report(1, b"\1" * 16, copies=2, yen=600),
            report(2, b"\2" * 16, kind="inkan", store_day="2026-09-22"),
            report(3, b"\1" * 16, transition=Transition.VOIDED, copies=-2, yen=-600, ground=1),
        ):
            reports.note(municipality.store, each)
    text = run("completions", "--data", town.data).output
    assert "total 計: 2 completions, 1 voids, 0 corrections; copies 1, yen 300" in text
    assert "voided     2026-09-21  住民票の写し  copies -2  yen -600" in text
    one_day = lines("completions", "--data", town.data, "--from", "2026-09-22")
    assert [line.get("total", line.get("what")) for line in one_day] == ["completed", "inkan", "all"]
    assert "report-unmatched" in run("incidents", "--data", town.data).output
    assert len(lines("incidents", "--data", town.data)) == 3
    left = lines("incidents", "--data", town.data, "--close", 1, "--finding", "a test", "--by", "window-1")
    assert [line["number"] for line in left] == [2, 3]
    assert len(lines("incidents", "--data", town.data, "--all")) == 3


@pytest.mark.trio
async def test_a_server_process_asks_the_responder_itself_and_drains_on_a_signal(world: World, tmp_path: Path) -> None:
    data, stop, now = tmp_path / "data", trio.Event(), datetime.now(UTC)
    jpki = world.root / "jpki"
    good, bad = (
        issue_card(jpki, holder=holder, algorithm="p384", pin=PIN, now=now, days=30) for holder in ("good", "bad")
    )
    revoke(jpki, read_card_certificate(bad).serial_number, "key_compromise", now)
    async with trio.open_nursery() as nursery:

        async def respond(task_status: trio.TaskStatus[int]) -> None:
            await serve_responder(jpki, port=0, stop=stop, task_status=task_status)

        responder = f"http://127.0.0.1:{await nursery.start(respond)}/ocsp"
        init(world, data, "--ocsp", responder)
        for card in (good, bad):
            run("card", "add", "--data", data, "--card", card, "--resident", 0)
        town = Town(replace(world, trust=decode_trust((data / "trust.bundle").read_bytes())), data)
        process = started(data)
        try:
            said = await trio.to_thread.run_sync(process.stdout.readline)
            async with town.line(int(re.search("port ([0-9]+)", said)[1])) as client:
                await made(client, Sitting(town.world, card=SimulatedCard.load(good)).issue())
                body = Sitting(town.world, card=SimulatedCard.load(bad)).issue()
                assert await refused(client, body) == Outcome.CARD_REVOKED
            process.send_signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(process.wait) == 0
        finally:
            process.kill()
            process.communicate()
        stop.set()


def started(data: Path) -> "subprocess.Popen[str]":
    """`sekisho municipality serve` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "municipality", "serve", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
