"""Prometheus rules from objectives: indicators over eight windows, burn-rate alerts, the budget that remains.

Theory (Google SRE Workbook, chapter 5, multiwindow multi-burn-rate alerts): the burn rate is the share of bad requests
divided by the share the objective allows; at 1 the budget lasts exactly its window. An alert needs its long window, so
that it means something, and its short one, so that it ends soon after the trouble does.

  burn   long   short   severity
  14.4   1h     5m      page        half of the requests bad: after 2 minutes; 2 % bad: after three quarters of an hour
  6      6h     30m     page
  3      1d     2h      ticket
  1      3d     6h      ticket

Beside them stand the alerts on states no request would show in time: HSM, database, checkpoint, notices, BUSY, no
scrape.

Where nothing is asked there is no indicator, and no alert. Windows of a day and more are evaluated every five minutes,
as they read much. The budget's window needs a Prometheus that keeps data that long (`--storage.tsdb.retention.time`).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from prometheus_client.utils import floatToGoString

from gateway.ops.metrics import ANSWERED, FAILED
from gateway.ops.slo import SloConfig

_RATIO: Final = "sekisho:slo_errors:ratio_rate"
BUDGET_REMAINING: Final = "sekisho:slo_budget_remaining:ratio"
_FAST_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h")
_SLOW_WINDOWS: Final = ("1d", "3d")


class _Burn(msgspec.Struct, frozen=True):
    factor: float
    long: str
    short: str
    severity: str


BURNS: Final = (
    _Burn(14.4, "1h", "5m", "page"),
    _Burn(6, "6h", "30m", "page"),
    _Burn(3, "1d", "2h", "ticket"),
    _Burn(1, "3d", "6h", "ticket"),
)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A recording rule, or an alert when `annotations` is not empty. pending: how long it must hold, as "2m"."""

    name: str
    expr: str
    labels: dict[str, str]
    pending: str = ""
    annotations: dict[str, str] = {}


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that Prometheus evaluates together, in order."""

    name: str
    interval: str
    rules: Sequence[Rule]


def _error_ratio(slo: SloConfig, window: str) -> str:
    operations = "|".join(slo.operations)
    # The library's own spelling of the label; it is untyped there.
    threshold: str = floatToGoString(slo.threshold_ms / 1000)  # type: ignore[no-untyped-call]
    metric = "sekisho_request_duration_seconds"
    return (
        "1 - (\n"
        f'  sum(rate({metric}_bucket{{operation=~"{operations}",result="{ANSWERED}",le="{threshold}"}}[{window}]))\n'
        "  /\n"
        f'  sum(rate({metric}_count{{operation=~"{operations}",result=~"{ANSWERED}|{FAILED}"}}[{window}]))\n'
        ")"
    )


def _indicator(slo: SloConfig, window: str) -> Rule:
    return Rule(name=_RATIO + window, expr=_error_ratio(slo, window), labels={"slo": slo.name})


def _alert(slo: SloConfig, burn: _Burn) -> Rule:
    limit = f"{burn.factor * slo.budget:.9g}"
    selector = f'{{slo="{slo.name}"}}'
    goal_en = f"{slo.objective * 100:g} % within {slo.threshold_ms:g} ms over {slo.window_days} days"
    goal_ja = f"{slo.window_days}日間で{slo.objective * 100:g}%を{slo.threshold_ms:g}ミリ秒以内"
    return Rule(
        name=f"SekishoErrorBudgetBurn{'Page' if burn.severity == 'page' else 'Ticket'}",
        expr=f"{_RATIO}{burn.long}{selector} > {limit}\nand\n{_RATIO}{burn.short}{selector} > {limit}",
        labels={"severity": burn.severity, "slo": slo.name, "long": burn.long, "short": burn.short},
        pending="1m" if burn.severity == "page" else "15m",
        annotations={
            "summary_ja": f"{slo.name}: 誤り予算を{burn.factor:g}倍以上の速さで消費しています",
            "summary_en": f"{slo.name}: the error budget burns at {burn.factor:g} times its rate or more",
            "description_ja": f"直近{burn.long}の不良率は{{{{ $value | humanizePercentage }}}}です(目標: {goal_ja})。",
            "description_en": f"{{{{ $value | humanizePercentage }}}} bad in the last {burn.long} (goal: {goal_en}).",
        },
    )


def _state(name: str, *, expr: str, pending: str, severity: str, ja: str, en: str) -> Rule:
    return Rule(
        name=name,
        expr=expr,
        labels={"severity": severity},
        pending=pending,
        annotations={"summary_ja": ja, "summary_en": en},
    )


_STATES: Final = Group(
    name="sekisho-states",
    interval="15s",
    rules=(
        _state(
            "SekishoNotScraped",
            expr='absent(up{job="sekisho"} == 1)',
            pending="2m",
            severity="page",
            ja="監視情報を取得できません",
            en="No gateway answers its scrape",
        ),
        _state(
            "SekishoHsmDown",
            expr="sekisho_hsm_up == 0",
            pending="1m",
            severity="page",
            ja="HSMに到達できないプロセスがあります",
            en="A process cannot reach its HSM",
        ),
        _state(
            "SekishoDatabaseDown",
            expr="sekisho_database_up == 0",
            pending="1m",
            severity="page",
            ja="データベースに到達できないプロセスがあります",
            en="A process cannot reach the database",
        ),
        _state(
            "SekishoCheckpointLate",
            expr="sekisho_checkpoint_uncovered_blocks > 0 and sekisho_checkpoint_age_seconds > 60",
            pending="1m",
            severity="page",
            ja="チェックポイントが作成されていません",
            en="Blocks wait for a checkpoint that is not made",
        ),
        _state(
            "SekishoNoticesOverdue",
            expr="sekisho_notices_overdue > 0",
            pending="1m",
            severity="page",
            ja="停止等の通知が期限を過ぎています",
            en="Parties were not told in time of a suspension, fee or hours",
        ),
        _state(
            "SekishoLineEnding",
            expr="sekisho_line_good_until_seconds - time() < 2 * 86400",
            pending="5m",
            severity="page",
            ja="回線の証明書または失効リストの期限まで2日を切りました。過ぎると全回線が閉じます",
            en="The line certificate or a revocation list ends within two days: then every line closes",
        ),
        _state(
            "SekishoCardResponderDown",
            expr="sekisho_card_responder_up == 0",
            pending="2m",
            severity="page",
            ja="カードの失効確認 (OCSP) に応答がありません。失効リストが24時間より古くなると全カードを断ります",
            en="The cards' OCSP responder does not answer: once the list is 24 hours old, every card is refused",
        ),
        _state(
            "SekishoBusy",
            expr=(
                'sum(rate(sekisho_requests_total{outcome="busy"}[10m]))\n'
                "/ sum(rate(sekisho_requests_total[10m])) > 0.05"
            ),
            pending="10m",
            severity="ticket",
            ja="要求の5%超を混雑のため断っています",
            en="More than 5 % of requests are turned away as BUSY",
        ),
    ),
)


def groups(slos: Iterable[SloConfig]) -> list[Group]:
    """The rule groups: two of indicators and one of alerts for each objective, and the states."""
    made = []
    for slo in slos:
        budget_window = f"{slo.window_days}d"
        slow = [_indicator(slo, window) for window in dict.fromkeys((*_SLOW_WINDOWS, budget_window))]
        remaining = Rule(
            name=BUDGET_REMAINING,
            expr=f'1 - {_RATIO}{budget_window}{{slo="{slo.name}"}} / {slo.budget:.9g}',
            labels={"slo": slo.name},
        )
        fast = [_indicator(slo, window) for window in _FAST_WINDOWS]
        made += [
            Group(name=f"sekisho-slo-{slo.name}", interval="30s", rules=fast),
            Group(name=f"sekisho-slo-{slo.name}-long", interval="5m", rules=[*slow, remaining]),
            Group(name=f"sekisho-slo-{slo.name}-alerts", interval="30s", rules=[_alert(slo, burn) for burn in BURNS]),
        ]
    return [*made, _STATES]


def render_rules(slos: Iterable[SloConfig]) -> str:
    """A Prometheus rule file; the same objectives give the same bytes."""
    lines = ["# Made by `sekisho slo rules`; change the [[slo]] tables of the configuration instead.", "groups:"]
    for group in groups(slos):
        lines += [f"  - name: {group.name}", f"    interval: {group.interval}", "    rules:"]
        for rule in group.rules:
            lines += _rule_lines(rule)
    return "\n".join(lines) + "\n"


def _rule_lines(rule: Rule) -> list[str]:
    kind = "alert" if rule.annotations else "record"
    lines = [f"      - {kind}: {rule.name}", "        expr: |-"]
    lines += [f"          {line}" for line in rule.expr.split("\n")]
    if rule.pending:
        lines.append(f"        for: {rule.pending}")
    for heading, mapping in (("labels", rule.labels), ("annotations", rule.annotations)):
        if mapping:
            lines.append(f"        {heading}:")
            # A JSON string is a double-quoted YAML string.
            lines += [f"          {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in mapping.items()]
    return lines
