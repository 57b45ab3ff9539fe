"""The register's benchmark, small."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.inquiry import BESIDE_RATIO_GOAL, Loading, goals_missed, main


def test_goals_that_are_missed_are_named():
    fast = Loading(rows=1_000_000, seconds=40.0, rows_per_s=25_000.0)
    slow = Loading(rows=1_000_000, seconds=100.0, rows_per_s=10_000.0)
    assert goals_missed(fast, fast, BESIDE_RATIO_GOAL) == []
    assert goals_missed(None, None, 1.0) == []
    assert len(goals_missed(slow, fast, 0.8)) == 2
    assert len(goals_missed(slow, slow, 0.8)) == 4


@pytest.mark.slow
def test_a_small_run_loads_asks_by_code_and_by_name_and_writes_the_file(tmp_path: Path):
    out = tmp_path / "inquiry.json"
    outcome = CliRunner().invoke(
        main, ["--residents", "4000", "--seconds", "0.5", "--workers", "1", "--json", str(out)]
    )
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(out.read_bytes())
    assert written["synthetic"]["rows"] == written["notifications"]["rows"] == written["residents"] == 4000
    for case in (written["by_code"], written["by_name"], *written["beside"]):
        assert set(case["outcomes"]) == {"EXACT"}
        assert case["inquiries_per_s"] > 0
    assert written["beside_ratio"] > 0
    assert written["worker_rss_mb"] > 10
