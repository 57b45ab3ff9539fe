"""The rules under promtool: which alert fires when, over synthetic traffic of 100 inquiries a second."""

import json
import subprocess
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from gateway.ops.rules import BURNS, render_rules
from gateway.ops.slo import DEFAULT_SLOS, SloConfig
from tests.ops.tools import tool

pytestmark = pytest.mark.prometheus

REQUESTS_PER_MINUTE = 6000
OPERATION = 'operation="inquire_by_code"'
Phases = list[tuple[int, float]]
"""(minutes, share of requests that are bad), one after the other."""


def cumulated(minutes: list[float]) -> str:
    return " ".join(f"{value:g}" for value in accumulate(minutes, initial=0.0))


def traffic(phases: Phases, *, late: bool) -> list[dict[str, str]]:
    """The three series the indicator reads. late: bad requests are answered too late; else they fail."""
    bad = [REQUESTS_PER_MINUTE * share for minutes, share in phases for _ in range(minutes)]
    good = [REQUESTS_PER_MINUTE - count for count in bad]
    answered = [REQUESTS_PER_MINUTE] * len(bad) if late else good
    failed = [0] * len(bad) if late else bad
    metric = "sekisho_request_duration_seconds"
    return [
        {"series": f'{metric}_bucket{{{OPERATION},result="answered",le="0.1"}}', "values": cumulated(good)},
        {"series": f'{metric}_count{{{OPERATION},result="answered"}}', "values": cumulated(list(answered))},
        {"series": f'{metric}_count{{{OPERATION},result="failed"}}', "values": cumulated(list(failed))},
        # Turned away and so no concern of the objective, in any number.
        {"series": f'{metric}_count{{{OPERATION},result="declined"}}', "values": f"0+60000x{len(bad)}"},
    ]


def firing(at: int, severity: str, *, yes: bool, slo: str = "inquiry") -> dict[str, Any]:
    """Whether an alert of this severity fires at this minute."""
    alerts = f'ALERTS{{alertstate="firing",severity="{severity}",slo="{slo}"}}'
    samples = [{"labels": "{}", "value": 1}] if yes else []
    return {"expr": f"clamp_max(count({alerts}), 1)", "eval_time": f"{at}m", "exp_samples": samples}


def run_promtool(tmp_path: Path, test: dict[str, Any], slos: tuple[SloConfig, ...] = DEFAULT_SLOS) -> tuple[int, str]:
    (tmp_path / "rules.yml").write_text(render_rules(slos), encoding="utf-8")
    case = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    (tmp_path / "test.yml").write_text(json.dumps(case, ensure_ascii=False), encoding="utf-8")
    done = subprocess.run(
        [tool("promtool"), "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def prove(tmp_path: Path, phases: Phases, *expected: dict[str, Any], late: bool = False) -> None:
    code, said = run_promtool(
        tmp_path, {"input_series": traffic(phases, late=late), "promql_expr_test": list(expected)}
    )
    assert code == 0, said


@pytest.mark.parametrize("late", [True, False], ids=["too-late", "failed"])
def test_two_percent_bad_from_the_start_pages_within_minutes(tmp_path: Path, late: bool) -> None:
    prove(tmp_path, [(30, 0.02)], firing(1, "page", yes=False), firing(5, "page", yes=True), late=late)


def test_five_in_ten_thousand_bad_never_alerts(tmp_path: Path) -> None:
    moments = (5, 30, 60, 180, 420)
    prove(tmp_path, [(430, 0.0005)], *(firing(at, kind, yes=False) for at in moments for kind in ("page", "ticket")))


def test_an_outage_after_healthy_hours_pages_within_four_minutes(tmp_path: Path) -> None:
    prove(tmp_path, [(360, 0), (20, 1.0)], firing(360, "page", yes=False), firing(364, "page", yes=True))


def test_two_percent_bad_after_healthy_hours_pages_when_two_percent_of_the_budget_is_gone(tmp_path: Path) -> None:
    phases = [(360, 0.0), (60, 0.02)]
    prove(tmp_path, phases, firing(390, "page", yes=False), firing(410, "page", yes=True))


def test_a_page_ends_soon_after_the_trouble_does(tmp_path: Path) -> None:
    phases = [(360, 0.0), (5, 1.0), (60, 0.0)]
    prove(tmp_path, phases, firing(365, "page", yes=True), firing(400, "page", yes=False))


def test_a_slow_burn_is_a_ticket_and_no_page(tmp_path: Path) -> None:
    prove(tmp_path, [(400, 0.002)], firing(390, "ticket", yes=True), firing(390, "page", yes=False))


def test_without_requests_nothing_fires(tmp_path: Path) -> None:
    idle = [{**series, "values": "0x120"} for series in traffic([(1, 0.0)], late=False)]
    expected = [firing(at, kind, yes=False) for at in (10, 110) for kind in ("page", "ticket")]
    code, said = run_promtool(tmp_path, {"input_series": idle, "promql_expr_test": expected})
    assert code == 0, said


def test_two_percent_bad_overdraws_the_budget_nineteen_times(tmp_path: Path) -> None:
    remaining = {
        "expr": 'round(sekisho:slo_budget_remaining:ratio{slo="inquiry"}, 0.01)',
        "eval_time": "30m",
        "exp_samples": [{"labels": '{slo="inquiry"}', "value": -19}],
    }
    prove(tmp_path, [(40, 0.02)], remaining)


def test_the_alert_speaks_japanese_and_english(tmp_path: Path) -> None:
    alert = {
        "eval_time": "20m",
        "alertname": "SekishoErrorBudgetBurnPage",
        "exp_alerts": [
            {
                "exp_labels": {"severity": "page", "slo": "inquiry", "long": long, "short": short},
                "exp_annotations": {
                    "summary_ja": f"inquiry: 誤り予算を{factor}倍以上の速さで消費しています",
                    "summary_en": f"inquiry: the error budget burns at {factor} times its rate or more",
                    "description_ja": f"直近{long}の不良率は2%です(目標: 28日間で99.9%を100ミリ秒以内)。",
                    "description_en": f"2% bad in the last {long} (goal: 99.9 % within 100 ms over 28 days).",
                },
            }
            for factor, long, short in (("14.4", "1h", "5m"), ("6", "6h", "30m"))
        ],
    }
    code, said = run_promtool(tmp_path, {"input_series": traffic([(30, 0.02)], late=False), "alert_rule_test": [alert]})
    assert code == 0, said


def test_states_alert_of_themselves(tmp_path: Path) -> None:
    series = [
        {"series": 'up{job="sekisho"}', "values": "1x10 0x20"},
        {"series": "sekisho_hsm_up", "values": "0x30"},
        {"series": "sekisho_database_up", "values": "1x30"},
        {"series": "sekisho_checkpoint_uncovered_blocks", "values": "0x10 4x20"},
        {"series": "sekisho_checkpoint_age_seconds", "values": "600x30"},
        {"series": "sekisho_notices_overdue", "values": "0x10 1x20"},
        {"series": "sekisho_line_good_until_seconds", "values": "200000x10 100000x20"},
        {"series": "sekisho_card_responder_up", "values": "1x10 0x20"},
        {"series": 'sekisho_requests_total{outcome="busy"}', "values": "0+10x30"},
        {"series": 'sekisho_requests_total{outcome="exact"}', "values": "0+90x30"},
    ]

    def names(at: int, *expected: str) -> dict[str, Any]:
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected]
        expr = 'count by (alertname) (ALERTS{alertstate="firing"})'
        return {"expr": expr, "eval_time": f"{at}m", "exp_samples": samples}

    moments = [
        names(5, "SekishoHsmDown"),
        names(
            25,
            "SekishoBusy",
            "SekishoCardResponderDown",
            "SekishoCheckpointLate",
            "SekishoHsmDown",
            "SekishoLineEnding",
            "SekishoNotScraped",
            "SekishoNoticesOverdue",
        ),
    ]
    code, said = run_promtool(tmp_path, {"input_series": series, "promql_expr_test": moments})
    assert code == 0, said


def test_promtool_accepts_the_rules_of_several_objectives(tmp_path: Path) -> None:
    other = SloConfig(name="receipts", operations=("receipt",), objective=0.9, threshold_ms=1.5, window_days=30)
    file = tmp_path / "rules.yml"
    file.write_text(render_rules((*DEFAULT_SLOS, other)), encoding="utf-8")
    done = subprocess.run(
        [tool("promtool"), "check", "rules", "--lint-fatal", str(file)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    # Each objective: five short and three long windows, the budget, the alerts; the eight states once.
    assert f"{2 * (5 + 3 + 1 + len(BURNS)) + 8} rules found" in done.stdout.decode()


def test_the_example_configuration_holds_together() -> None:
    place = Path(__file__).parents[2] / "deploy" / "prometheus"
    done = subprocess.run(
        [tool("promtool"), "check", "config", "prometheus.example.yml"],
        cwd=place,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
