"""The benchmark of settlement, small."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.settlement import goals_missed, growth, main
from bench.settlement_runs import Run


def run(what="statement", count=3_000_000, seconds=30.0, memory_mb=200):
    return Run(what=what, count=count, cells=1, seconds=seconds, memory_mb=memory_mb)


THIRD = run(count=1_000_000, seconds=10.0)
PROOFS = {8: (run("prove", 333_333, 10.0), run("prove", 1_000_000, 30.0))}


def test_goals_that_are_missed_are_named():
    good = (THIRD, run())
    assert goals_missed(good, good, PROOFS) == []
    (slow,) = goals_missed((run(count=1_000_000, seconds=30.0), run(seconds=90.0)), good, PROOFS)
    assert slow.startswith("statements: 90 s")
    (large,) = goals_missed((THIRD, run(memory_mb=500)), good, PROOFS)
    assert large == "statement: 500 MB; the goal is under 500"
    (steep,) = goals_missed((THIRD, run(seconds=45.0)), good, PROOFS)
    assert "1.50" in steep
    (weak,) = goals_missed(good, good, {8: (run("prove", 333_333, 20.0), run("prove", 1_000_000, 60.0))})
    assert weak.startswith("proofs, 8 to a block: 60 s")


def test_a_run_of_less_is_held_against_the_goal_by_its_rate():
    small = (run(count=100_000, seconds=1.5), run(count=300_000, seconds=4.5))
    assert goals_missed(small, small, PROOFS) == []
    assert growth(*small) == pytest.approx(1.0)
    slower = (small[0], run(count=300_000, seconds=7.0))
    assert any("70 s for 3,000,000" in each for each in goals_missed(slower, small, PROOFS))
    tiny = (run(count=10_000, seconds=1.5), run(count=30_000, seconds=45.0))
    assert goals_missed(tiny, small, PROOFS) == []


@pytest.mark.slow
def test_a_small_run_measures_everything_and_writes_the_file(tmp_path: Path):
    out = tmp_path / "settlement.json"
    arguments = ["--entries", "9000", "--proofs", "900", "--share", "4", "--json", str(out)]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(out.read_bytes())
    third, whole = written["statements"]
    # A void or a correction is an entry too, and each of them stands in the month of what it is about.
    assert (third["count"], whole["count"]) == (3_000, 9_000)
    assert written["items"][1]["cells"] == whole["cells"] > 1_000
    assert [each["count"] for each in written["proofs"]["4"]] == [300, 900]
    assert 100 < written["proof_bytes"]["4"] < 400
    assert all(0 < each["memory_mb"] < 500 for each in (*written["statements"], *written["proofs"]["4"]))
