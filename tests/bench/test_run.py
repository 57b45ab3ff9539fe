"""A whole run, small: the command against a real centre."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.__main__ import chosen, main
from bench.centre import subjects
from gateway.app.setup import SEED
from gateway.inquiry.cases import known_cases

FIELDS = {"name", "requests_per_frame", "in_flight", "inquiries_per_s", "p50_ms", "p99_ms", "p999_ms", "worker_rss_mb"}


def test_subjects_are_current_and_their_names_lead_to_one_record():
    found = subjects(200)
    cases = {case.key: case for case in known_cases(SEED)}
    assert cases["exact-by-code"].code in found.codes
    assert cases["expired"].code not in found.codes
    assert (cases["ambiguous"].name, cases["ambiguous"].address) not in found.names
    assert (cases["exact-by-name"].name, cases["exact-by-name"].address) in found.names


def test_half_of_a_case_brings_that_case_before_it():
    assert [case.name for case in chosen(["open-half"])] == ["eight", "open-half"]
    assert [case.name for case in chosen(["alone"])] == ["alone"]


@pytest.mark.slow
def test_a_run_answers_everything_proves_a_sample_and_writes_the_file(tmp_path: Path):
    out = tmp_path / "latest.json"
    arguments = ["--residents", "200", "--seconds", "0.5", "--json", str(out)]
    for case in ("alone", "best", "open-half", "names"):
        arguments += ["--case", case]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(out.read_bytes())
    assert written["host"]["fsync"] is True
    assert written["host"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert [case["name"] for case in written["cases"]] == ["alone", "eight", "best", "open-half", "names"]
    for case in written["cases"]:
        assert case.keys() >= FIELDS
        assert set(case["outcomes"]) == {"EXACT"}
        assert case["verified"] > 0
        assert 0 < case["p50_ms"] <= case["p99_ms"] <= case["p999_ms"] <= case["max_ms"]
        assert case["cpu_us"].keys() == {"workers", "ops", "postgres", "load"}
    assert written["ledger_verification"]["found"] == 0
    assert written["ledger_verification"]["entries"] >= sum(case["outcomes"]["EXACT"] for case in written["cases"])
