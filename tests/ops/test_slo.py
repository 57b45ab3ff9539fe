"""Objectives as settings, and the command that makes rules of them."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.slo import command
from gateway.ops.errors import SloInvalidError
from gateway.ops.metrics import DURATION_BUCKETS_US
from gateway.ops.rules import render_rules
from gateway.ops.slo import DEFAULT_SLOS, SloConfig, parse_slos

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus" / "sekisho.rules.yml"
TABLE = {
    "name": "receipts",
    "operations": ["receipt"],
    "objective": 0.99,
    "threshold_ms": 250,
    "window_days": 14,
}
TOML = """
[[slo]]
name = "receipts"
operations = ["receipt"]
objective = 0.99
threshold_ms = 250
window_days = 14
"""


def refused(config: dict[str, Any]) -> SloInvalidError:
    with pytest.raises(SloInvalidError) as error:
        parse_slos(config)
    return error.value


def test_without_settings_inquiries_have_999_of_1000_under_100_ms_over_28_days() -> None:
    assert parse_slos({"ops": {}}) == DEFAULT_SLOS
    (slo,) = DEFAULT_SLOS
    assert (slo.objective, slo.threshold_ms, slo.window_days, slo.budget) == (0.999, 100, 28, 0.001)


def test_settings_become_an_objective() -> None:
    assert parse_slos(tomllib.loads(TOML)) == (
        SloConfig(name="receipts", operations=("receipt",), objective=0.99, threshold_ms=250, window_days=14),
    )


def test_every_bound_of_the_histogram_is_a_possible_threshold() -> None:
    for us in DURATION_BUCKETS_US:
        assert parse_slos({"slo": [{**TABLE, "threshold_ms": us / 1000}]})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Receipts!"}, "name"),
        ({"name": 'x"} or vector(1)'}, "name"),
        ({"operations": []}, "operations"),
        ({"operations": ["fly"]}, "operations"),
        ({"operations": [["receipt"]]}, "operations"),
        ({"operations": ["unknown"]}, "operations"),
        ({"operations": "receipt"}, "operations"),
        ({"objective": 1}, "objective"),
        ({"objective": 99.9}, "objective"),
        ({"objective": float("nan")}, "objective"),
        ({"threshold_ms": 101}, "threshold_ms"),
        ({"threshold_ms": True}, "threshold_ms"),
        ({"window_days": 3}, "window_days"),
        ({"window_days": 28.0}, "window_days"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], field: str) -> None:
    assert refused({"slo": [{**TABLE, **change}]}).field == f"slo[0].{field}"


@pytest.mark.parametrize("field", list(TABLE))
def test_a_missing_setting_is_named(field: str) -> None:
    error = refused({"slo": [{key: value for key, value in TABLE.items() if key != field}]})
    assert (error.field, error.problem) == (f"slo[0].{field}", "is missing")


def test_a_threshold_between_bounds_is_told_which_bounds_there_are() -> None:
    assert "60, 100, 150" in refused({"slo": [{**TABLE, "threshold_ms": 101}]}).remedy


@pytest.mark.parametrize("slo", [[], {}, "x", [1], [TABLE] * 17])
def test_the_list_itself_is_checked(slo: object) -> None:
    assert refused({"slo": slo}).field == "slo"


def test_two_objectives_of_one_name_are_refused() -> None:
    assert refused({"slo": [TABLE, TABLE]}).field == "slo[1].name"


def test_the_deployed_rules_are_what_the_generator_makes() -> None:
    assert DEPLOYED.read_text(encoding="utf-8") == render_rules(DEFAULT_SLOS)


def test_the_command_writes_the_rules_of_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "centre.toml"
    config.write_text(TOML)
    printed = CliRunner().invoke(command, ["rules", "--config", str(config)])
    assert (printed.exit_code, printed.output) == (0, render_rules(parse_slos({"slo": [TABLE]})))
    out = tmp_path / "rules.yml"
    written = CliRunner().invoke(command, ["rules", "--out", str(out)])
    assert (written.exit_code, written.output) == (0, "")
    assert out.read_text(encoding="utf-8") == render_rules(DEFAULT_SLOS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[slo]]\nname = 1", "slo[0].operations: is missing; add it"),
        ("slo = ", "is not TOML"),
        (None, "cannot be read"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, content: str | None, said: str) -> None:
    config = tmp_path / "centre.toml"
    if content is not None:
        config.write_text(content)
    result = CliRunner().invoke(command, ["rules", "--config", str(config)])
    assert result.exit_code == 1
    assert said in result.output
    assert result.output.count("\n") == 1


def test_the_command_says_where_it_cannot_write(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["rules", "--out", str(tmp_path / "no" / "rules.yml")])
    assert result.exit_code == 1
    assert "--out" in result.output
