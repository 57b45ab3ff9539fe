"""`sekisho jpki`: every step in one line, and every refusal in one line too."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.jpki import command
from gateway.peers.jpki.cards import SimulatedCard
from gateway.peers.jpki.errors import JpkiError
from protocol.certificates import CardType


def run(*arguments: object, code: int = 0) -> str:
    """The output of one command."""
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def jpki(tmp_path: Path) -> Path:
    """An authority made by the command."""
    assert "試験用" in run("init", "--dir", tmp_path / "jpki")
    return tmp_path / "jpki"


def test_a_card_is_issued_listed_and_revoked(jpki: Path) -> None:
    said = run("issue", "--dir", jpki, "--holder", "resident-0", "--pin", "0123", "--type", "resident-card")
    assert "試験用" in said
    card = SimulatedCard.load(jpki / "cards" / "resident-0.card")
    assert card.type is CardType.RESIDENT_CARD
    assert card.sign("0123", b"")
    line = run("list", "--dir", jpki)
    assert "resident-0  p384  resident_card" in line
    assert line.endswith("good\n")
    run("revoke", "--dir", jpki, line.split()[0], "--reason", "superseded")
    assert "revoked" in run("list", "--dir", jpki)
    assert "crl.der" in run("crl", "--dir", jpki)
    assert "hexadecimal" in run("revoke", "--dir", jpki, "xyz", code=2)


def test_what_is_refused_is_one_sentence(jpki: Path) -> None:
    for arguments, why in (
        (("init", "--dir", jpki), "not an empty directory"),
        (("issue", "--dir", jpki, "--holder", "Name", "--pin", "0123"), "label, not a name"),
        (("revoke", "--dir", jpki, "ab"), "not issued here"),
        (("list", "--dir", jpki / "cards"), "sekisho jpki init"),
    ):
        result = CliRunner().invoke(command, [str(each) for each in arguments])
        assert isinstance(result.exception, JpkiError)
        assert why in str(result.exception)


def test_it_serves_until_it_is_told_to_end(jpki: Path) -> None:
    arguments = [sys.executable, "-m", "gateway.cli", "jpki", "serve", "--dir", str(jpki), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ}) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split(" at ")[1].split(";")[0]
            with urllib.request.urlopen(url.replace("/ocsp", "/crl.der"), timeout=10) as response:  # noqa: S310
                assert response.read() == (jpki / "crl.der").read_bytes()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_a_port_that_is_taken_is_refused_in_one_line(jpki: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = [sys.executable, "-m", "gateway.cli", "jpki", "serve", "--dir", str(jpki), "--port", port]
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "choose another --port" in ended.stderr
    assert "Traceback" not in ended.stderr
