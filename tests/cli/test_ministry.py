"""`sekisho ministry` makes, fills, serves and shows a ministry server; what it does stands in the history."""

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import pkcs12

from certs.authority import DevelopmentAuthority
from certs.names import LineName
from certs.profiles import LINE
from gateway.cli.ministry import command
from gateway.peers.ministry.errors import MinistryError
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.trust import encode_trust
from tests.peers.ministry.kit import PIN
from tests.peers.ministry.test_serving import client


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A ministry server over a line file whose centre is not there."""
    made_line(tmp_path / "line")
    assert "ministry server in" in run("init", "--data", tmp_path / "desk", "--line", tmp_path / "line")
    (tmp_path / "pin").write_text(PIN + "\n")
    (tmp_path / "pin").chmod(0o600)
    return tmp_path / "desk"


def made_line(directory: Path) -> None:
    """What `sekisho init` gives a ministry, with a centre's trust that only has its root."""
    now = datetime.now(UTC)
    authority = DevelopmentAuthority.create(directory / "pki", name="Synthetic", now=now)
    authority.write_crl(now=now, days=30)
    issued = authority.issue(LINE, LineName("mlit", "line-1"), now=now)
    tls = directory / "tls"
    tls.mkdir()
    (tls / "certificate.pem").write_bytes(issued.certificate_pem)
    (tls / "key.pem").write_bytes(issued.key_pem)
    (tls / "key.pem").chmod(0o600)
    (tls / "anchors.pem").write_bytes(authority.anchors_pem)
    (tls / "crl.pem").write_bytes((directory / "pki" / "crl.pem").read_bytes())
    store = SoftwareKeystore.create(directory / "keystore.sekisho", "synthetic", owner="mlit")
    create_standard_keys(store, "line", label="1", now_us=int(now.timestamp()) * 1_000_000)
    (directory / "passphrase").write_text("synthetic\n")
    (directory / "passphrase").chmod(0o600)
    (directory / "trust.bundle").write_bytes(encode_trust(trust_of(store, role="inquiry", environment="test")))
    (directory / "line.toml").write_text(
        'own = "mlit/line-1"\ncentre = "centre/inquiry"\nhost = "127.0.0.1"\nport = 1\nrole = "inquiry"\n'
        'environment = "test"\ntls = "tls"\ntrust = "trust.bundle"\nkeystore = "software:keystore.sekisho"\n'
        'passphrase_file = "passphrase"\n'
    )


def run(*args: object) -> str:
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def add_user(data: Path, name: str = "clerk") -> str:
    return run(
        "user", "add", "--data", data, name, "--staff", "staff-001", "--right", "inquire", "--right", "approve",
        "--trained", "2026-04-01", "--pin-file", data.parent / "pin",
    )  # fmt: skip


def test_a_user_is_added_with_an_enrolment_shown_once(data: Path) -> None:
    shown = add_user(data)
    assert "otpauth://totp/Sekisho:clerk?secret=" in shown
    assert "█" in shown or "▄" in shown
    secret = shown.split("secret=")[1].split("&")[0]
    at_rest = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert secret.encode() not in at_rest
    assert PIN.encode() not in at_rest
    listed = run("user", "list", "--data", data)
    assert "staff-001" in listed
    assert "approve inquire" in listed
    assert "in use" in listed
    run("user", "lock", "--data", data, "clerk")
    assert "locked" in run("user", "list", "--data", data)
    run("user", "unlock", "--data", data, "clerk")
    assert "in use" in run("user", "list", "--data", data)
    with pytest.raises(MinistryError, match="already"):
        add_user(data)


def test_a_user_changes_in_what_is_named_and_nothing_secret_is_recorded(data: Path) -> None:
    first = add_user(data).split("secret=")[1].split("&")[0]
    with pytest.raises(MinistryError, match="name what to change"):
        run("user", "set", "--data", data, "clerk")
    shown = run(
        "user", "set", "--data", data, "clerk", "--right", "manage", "--until", "2027-03-31", "--new-authenticator"
    )
    assert first not in shown
    assert "secret=" in shown
    listed = run("user", "list", "--data", data)
    assert "manage" in listed
    assert "inquire" not in listed
    assert "..2027-03-31" in listed
    run("user", "set", "--data", data, "clerk", "--pin-file", data.parent / "pin")
    done = [json.loads(line)["detail"] for line in run("history", "--data", data, "--json").splitlines()]
    assert done[:2] == ["set clerk pin", "set clerk rights until authenticator"]


@pytest.mark.parametrize("pin", ["12345", "111111", "234567", "987654"])
def test_an_easy_pin_is_refused(data: Path, pin: str) -> None:
    (data.parent / "pin").write_text(pin)
    with pytest.raises(MinistryError, match="PIN"):
        add_user(data)


def test_a_terminal_gets_a_file_for_its_browser_and_can_be_lost(data: Path, tmp_path: Path) -> None:
    shown = run("terminal", "add", "--data", data, "window-1", "--out", tmp_path / "w.p12")
    password = shown.rsplit(" ", 1)[1].strip()
    key, certificate, others = pkcs12.load_key_and_certificates((tmp_path / "w.p12").read_bytes(), password.encode())
    assert key is not None
    assert certificate is not None
    assert len(others) == 1
    assert (tmp_path / "w.p12").stat().st_mode & 0o077 == 0
    with pytest.raises(MinistryError, match="already"):
        run("terminal", "add", "--data", data, "window-1", "--out", tmp_path / "again.p12")
    assert not (tmp_path / "again.p12").exists()
    assert "in use" in run("terminal", "list", "--data", data)
    run("terminal", "lost", "--data", data, "window-1")
    assert "terminal-lost" in run("terminal", "list", "--data", data)


def test_what_was_done_stands_in_the_history_which_verifies(data: Path, tmp_path: Path) -> None:
    add_user(data)
    run("terminal", "add", "--data", data, "window-1", "--out", tmp_path / "w.p12")
    run("settings", "--data", data, "idle_lock_minutes", 3)
    assert "idle_lock_minutes       3" in run("settings", "--data", data)
    lines = [json.loads(line) for line in run("history", "--data", data, "--json").splitlines()]
    assert [(line["event"], line["detail"]) for line in lines] == [
        ("settings", "idle_lock_minutes=3"),
        ("terminal", "add window-1"),
        ("user", "add clerk"),
    ]
    assert {line["terminal"] for line in lines} == {"console"}
    head = run("history", "--data", data, "--verify").split()[-1]
    assert head.startswith("3:")
    run("settings", "--data", data, "idle_lock_minutes", 5)
    run("history", "--data", data, "--verify", "--head", head)
    assert "利用者管理 / User management" in run("history", "--data", data)
    assert run("forms", "--data", data) == ""


def test_init_leaves_what_is_there_alone(data: Path) -> None:
    with pytest.raises(MinistryError, match="already"):
        run("init", "--data", data, "--line", data.parent / "line")
    with pytest.raises(MinistryError, match="not empty"):
        run("init", "--data", data.parent, "--line", data.parent / "line")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_cleanly(data: Path, tmp_path: Path, how: signal.Signals) -> None:
    add_user(data)
    served = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "ministry", "serve", "--data", data, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert served.stdout is not None
        line = served.stdout.readline()
        assert line.startswith("terminals: https://127.0.0.1:")
        port = int(line.split(";")[0].rsplit(":", 1)[1])
        # Another process registers a terminal while the server runs; it counts at once.
        (tmp_path / "password").write_text("synthetic")
        (tmp_path / "password").chmod(0o600)
        run(
            "terminal", "add", "--data", data, "window-1", "--out", tmp_path / "w.p12", "--password-file",
            tmp_path / "password",
        )  # fmt: skip
        text = trio.run(_get, data, tmp_path / "w.p12", port)
        assert text.startswith("HTTP/1.1 200")
        assert "サインイン" in text
    finally:
        served.send_signal(how)
        out, err = served.communicate(timeout=30)
    assert served.returncode == 0, err
    assert "Traceback" not in err
    assert out == ""
    ends = [json.loads(line)["detail"] for line in run("history", "--data", data, "--json").splitlines()[:1]]
    assert ends == ["stop"]


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_in_one_line(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        served = subprocess.run(
            [sys.executable, "-m", "gateway.cli", "ministry", "serve", "--data", data, "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert served.returncode == 1
    assert f"Error: cannot listen at 127.0.0.1:{port}; choose another --host or --port" in served.stderr
    assert "Traceback" not in served.stderr


async def _get(data: Path, packed: Path, port: int) -> str:
    context = client(data / "terminals", packed)
    stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", port, ssl_context=context, https_compatible=True)
    await stream.send_all(b"GET /sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    text = b"".join([chunk async for chunk in stream]).decode()
    await stream.aclose()
    return text
