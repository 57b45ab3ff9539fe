"""What the tests do where a component is missing: they skip and say which, or fail where everything is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.components import require

ROOT = Path(__file__).parent.parent
NEEDING = {
    "softhsm2-util": "tests/hsm/test_refresh.py::test_a_token_put_back_from_a_copy_is_refused_and_newer_records_stay",
    "promtool": "tests/ops/test_rules.py::test_five_in_ten_thousand_bad_never_alerts",
}


def _run_without_programs(test: str, *, required: bool) -> subprocess.CompletedProcess[str]:
    """One test in a process whose PATH leads nowhere."""
    environment = {**os.environ, "PATH": "/nonexistent", "SEKISHO_REQUIRE_ALL": "1" if required else ""}
    command = [sys.executable, "-m", "pytest", "-rsfE", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("program", NEEDING)
def test_a_test_without_its_program_skips_and_says_which(program: str) -> None:
    run = _run_without_programs(NEEDING[program], required=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SKIPPED [1]" in run.stdout
    assert f"{program} is missing: " in run.stdout


@pytest.mark.parametrize("program", NEEDING)
def test_where_everything_is_required_it_fails_and_says_which(program: str) -> None:
    run = _run_without_programs(NEEDING[program], required=True)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{program} is missing: " in run.stdout
    assert "SKIPPED" not in run.stdout


def test_a_program_that_is_there_is_given_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert require("chromium", "for browsers") == program
    assert require(program, "for browsers") == program


@pytest.mark.parametrize("component", ["chromium", Path("/nonexistent/chromium")])
def test_one_that_is_not_there_skips_or_fails_by_what_is_required(
    component: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("SEKISHO_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium is missing: for browsers"):
        require(component, "for browsers")
    monkeypatch.setenv("SEKISHO_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="chromium is missing: for browsers"):
        require(component, "for browsers")
