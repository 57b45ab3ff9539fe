"""`sekisho register` from the outside, on a centre of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from gateway.cli.register import command
from gateway.inquiry.notification import FIELDS
from tests.kit.centre import Made, made_centre


@pytest.fixture(scope="module")
def centre() -> Iterator[Made]:
    with tempfile.TemporaryDirectory(prefix="sekisho-register-") as directory, made_centre(Path(directory)) as made:
        yield made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(each) for each in arguments])


def status(made: Made) -> dict[str, object]:
    shown: dict[str, object] = json.loads(run("status", "--data", made.data, "--json").stdout)
    return shown


def test_a_sample_loads_shows_in_the_status_and_loads_once(centre: Made, tmp_path: Path) -> None:
    file = tmp_path / "sample.csv"
    assert run("sample", "--count", 400, file).exit_code == 0
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == FIELDS
    assert all(row["synthetic"] == "1" for row in rows)
    before = status(centre)
    loaded = run("load", file, "--data", centre.data)
    assert loaded.exit_code == 0, loaded.output
    assert "accepted 400 受理, rejected 0" in loaded.output
    after = status(centre)
    assert after["versions"]["standing"] > before["versions"]["standing"]
    assert sum(each["accepted"] for each in after["notified"]) == 400
    again = run("load", file, "--data", centre.data)
    assert "loaded to its end before" in again.output
    assert status(centre) == after


def test_rejected_rows_lie_beside_the_file_and_the_status_says_so(centre: Made, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    run("sample", "--count", 3, "--seed", 77, file)
    file.write_text(file.read_text().replace('"sex":"', '"sex":"9', 1))
    loaded = run("load", file, "--data", centre.data)
    assert loaded.exit_code == 2
    rejected = tmp_path / "wrong.jsonl.rejected"
    assert str(rejected) in loaded.output
    assert json.loads(rejected.read_text().splitlines()[0])["line"] == 1


def test_ctrl_c_leaves_a_load_that_goes_on(centre: Made, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    run("sample", "--count", 20_000, "--seed", 78, file)
    # Numbers of their own: the municipalities have been heard of before.
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, FIELDS)
        writer.writeheader()
        writer.writerows(
            row | {"sequence": str(int(row["sequence"]) + 10**6), "notified_on": "2026-05-01"} for row in rows
        )
    progress = "select line from register.load_progress where finished_at is null and line > 0"
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "register", "load", str(file), "--data", str(centre.data)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not trio.run(centre.owner, progress):
        assert time.monotonic() < until
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "start it again with the same file" in said.decode()
    again = run("load", file, "--data", centre.data)
    assert again.exit_code == 0, again.output
    assert "went on behind line" in again.output
    assert "accepted 20,000 受理, rejected 0" in again.output


def test_what_is_past_its_period_is_purged(centre: Made) -> None:
    expired = status(centre)["versions"]["expired"]
    assert expired > 0
    assert f"{expired:,} versions purged" in run("purge", "--data", centre.data).output
    assert status(centre)["versions"]["expired"] == 0


def test_a_period_is_entered_and_shown(centre: Made) -> None:
    entered = run(
        "retention", "--data", centre.data, "--kind", "removed", "--since", "2030-01-01", "--years", 100,
        "--reference", "a later order",
    )  # fmt: skip
    assert entered.exit_code == 0, entered.output
    assert "kept 100 years if removed since 2030-01-01 (a later order)" in run("status", "--data", centre.data).output


@pytest.mark.parametrize("arguments", [("sample.txt",), ("sample.csv", "--count", 0)])
def test_a_sample_that_cannot_be_written_is_a_usage_error(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    name, *more = arguments
    assert run("sample", tmp_path / str(name), *more).exit_code == 2


def test_a_sample_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("kept")
    assert run("sample", tmp_path / "a.csv").exit_code == 1
    assert (tmp_path / "a.csv").read_text() == "kept"
