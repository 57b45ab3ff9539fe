"""The commands a new user runs, as processes: demo, init, serve, inquire, receipt verify, ledger verify."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

WITHIN_S = 90


def sekisho(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *words], capture_output=True, text=True, timeout=WITHIN_S, **options
    )


def processes_naming(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append(line)
    return found


@pytest.fixture(scope="module")
def centre() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sekisho-tests-") as directory:
        data = Path(directory) / "centre"
        made = sekisho("demo", "--once", "--data", str(data), "--residents", "300")
        assert made.returncode == 0, made.stderr
        (Path(directory) / "said").write_text(made.stdout)
        yield data


def test_the_demo_shows_each_outcome_and_verifies_receipt_and_ledger(centre: Path) -> None:
    said = (centre.parent / "said").read_text()
    for words in (
        "該当者あり(完全一致)",
        "異体字等の相違",
        "該当者なし",
        "該当者を特定できません",
        "この事務では利用できません",
        "この提供方式は認められていません",
        "再送 repeat",
        "この要求番号は別の照会で使用済みです",
        "SIGNATURE_INVALID",
        "receipt verified offline",
        "final in checkpoint",
        "本人確認端末",
        "https://127.0.0.1:",
        "ledger verified",
    ):
        assert words in said, words


@pytest.mark.parametrize("command", ["receipt verify", "certificate verify"])
def test_what_the_demo_says_to_try_offline_works_as_printed(centre: Path, command: str) -> None:
    lines = (centre.parent / "said").read_text().splitlines()
    (printed,) = [line.strip() for line in lines if line.strip().startswith(f"sekisho {command} ")]
    tried = sekisho(*shlex.split(printed)[1:])
    assert tried.returncode == 0, tried.stderr


def test_the_demo_leaves_nothing_running(centre: Path) -> None:
    assert processes_naming(str(centre)) == []


def test_a_second_start_uses_what_is_there_and_is_quick(centre: Path) -> None:
    before = (centre / "trust.bundle").read_bytes()
    again = sekisho("demo", "--once", "--data", str(centre))
    assert again.returncode == 0, again.stderr
    assert "making" not in again.stdout
    assert (centre / "trust.bundle").read_bytes() == before


@pytest.fixture
def serving(centre: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "serve", "--data", str(centre)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert "metrics on" in lines[1], lines
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()
        assert processes_naming(str(centre)) == []


def test_a_served_centre_answers_and_its_receipt_and_ledger_verify(
    centre: Path, serving: subprocess.Popen[str], tmp_path: Path
) -> None:
    receipt = tmp_path / "receipt"
    asked = sekisho(
        *("inquire", "--line", str(centre / "ministry"), "--json", "--receipt", str(receipt)),
        *("--name", "高橋一郎", "--address", "千葉県千葉市中央区千葉港1丁目2番3号", "--case", "2026-0002"),
    )
    assert asked.returncode == 0, asked.stderr
    said = json.loads(asked.stdout)
    assert (said["outcome"], said["yen"], said["differing"]) == ("VARIANT", 10, ["name"])
    assert said["record"]["name"] == "髙橋 一郎"
    assert said["record"]["synthetic"] is True

    again = sekisho(
        *("inquire", "--line", str(centre / "ministry"), "--json", "--id", said["request_id"]),
        *("--name", "高橋一郎", "--address", "千葉県千葉市中央区千葉港1丁目2番3号", "--case", "2026-0002"),
    )
    assert json.loads(again.stdout)["yen"] == 0

    nobody = sekisho("inquire", "--line", str(centre / "ministry"), "--code", "00000000000", "--case", "2026-0003")
    assert nobody.returncode == 2

    verified = sekisho("receipt", "verify", str(receipt), "--trust", str(centre / "trust.bundle"))
    assert verified.returncode == 0, verified.stderr
    broken = tmp_path / "broken"
    data = bytearray(receipt.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    refused = sekisho("receipt", "verify", str(broken), "--trust", str(centre / "trust.bundle"))
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1

    ledger = sekisho("ledger", "verify", "--data", str(centre))
    assert ledger.returncode == 0, ledger.stdout + ledger.stderr
    assert "everything fits" in ledger.stdout


def test_two_of_one_port_are_refused_with_one_line(centre: Path, serving: subprocess.Popen[str]) -> None:
    began = time.monotonic()
    second = sekisho("serve", "--data", str(centre))
    assert second.returncode == 1
    assert len(second.stderr.strip().splitlines()) == 1
    assert "in use" in second.stderr or "already serves" in second.stderr
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("serve", "--data", "/nonexistent"), "sekisho init"),
        (("inquire", "--line", "/nonexistent", "--code", "1", "--case", "2026-1"), "--line"),
        (("inquire", "--line", "/nonexistent", "--case", "2026-1"), "--code"),
        (("ledger", "verify"), "--trust"),
        (("receipt", "verify", "/nonexistent", "--trust", "/nonexistent"), "nonexistent"),
        (("init", "--data", "/proc"), "--data"),
    ],
)
def test_a_wrong_call_is_told_what_would_mend_it(words: tuple[str, ...], named: str) -> None:
    done = sekisho(*words)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert named in done.stderr


def test_every_command_has_help() -> None:
    from gateway.cli import COMMANDS

    top = sekisho("--help")
    assert top.returncode == 0
    for name in COMMANDS:
        assert name in top.stdout
        assert sekisho(name, "--help").returncode == 0
