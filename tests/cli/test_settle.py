"""`sekisho settle`: dates with their rules, late interest, and contract files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import is_known
from gateway.cli.settle import command
from gateway.settlement.errors import PeriodInvalid, TermsInvalid

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTRACTS = DEPLOY / "contracts"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def _dates(*arguments: object) -> dict[str, dict[str, str | None]]:
    shown = _run("calendar", *arguments, "--json")
    assert shown.exit_code == 0, shown.output
    return {each["step"]: each for made in json.loads(shown.output)["cycles"] for each in made["dates"]}


def test_a_month_is_printed_with_the_rule_and_the_clause_of_every_date_in_both_languages() -> None:
    shown = _run("calendar", "2026-04")
    assert shown.exit_code == 0
    assert shown.output.count(" / ") >= 9
    lines = [line.strip() for line in shown.output.splitlines()]
    at = lines.index("2026-05-08(金)  請求金額の確定(以後は修正なし) / Amounts confirmed and frozen")
    assert lines[at + 1 : at + 4] == [
        "対象期間の翌月9日まで。センターの休日のときは直前の営業日  [000仕4-3, 001-4-3]",
        "by the 9th of the month after the period; if the office is closed, the last open day before",
        "5月9日は土曜日 / 2026-05-09: Saturday",
    ]
    assert "契約上の期限 / the contract's deadline: 2026-05-31(日)" in lines


def test_json_says_what_a_clause_set_and_what_was_decided() -> None:
    dates = _dates("2026-04")
    assert len(dates) == 9
    confirm, paid = dates["confirm"], dates["municipal-payment"]
    assert (confirm["named"], confirm["day"], confirm["deadline"]) == ("2026-05-09", "2026-05-08", "2026-05-08")
    assert (confirm["basis"], confirm["clause"]) == ("clause", "000仕4-3, 001-4-3")
    assert (paid["named"], paid["day"], paid["deadline"]) == ("2026-05-31", "2026-05-29", "2026-05-31")
    assert paid["basis"] == "decision"


def test_two_contracts_together_give_the_month_of_the_model() -> None:
    both = _dates(
        "2026-11", "--contract", CONTRACTS / "000-operator.toml", "--contract", CONTRACTS / "001-municipality.toml"
    )
    assert both == _dates("2026-11")


def test_a_quarter_is_due_once_its_claim_was_received() -> None:
    contract = ("--contract", CONTRACTS / "002-ministry.toml")
    assert _dates("2026-Q1", *contract)["payment"]["day"] is None
    paid = _dates("2026-Q1", *contract, "--received", "2026-07-01")["payment"]
    assert (paid["day"], paid["rule_en"]) == ("2026-08-31", "by the last day of the month after receipt")


def test_thirty_days_say_whether_the_day_of_receipt_is_counted() -> None:
    term = _dates("2026-04-01/2027-03-31", "--contract", CONTRACTS / "000-operator.toml", "--received", "2027-04-01")
    month = _dates("2026-06", "--contract", CONTRACTS / "003-prefecture.toml", "--received", "2027-04-01")
    assert (term["payment"]["named"], month["payment"]["named"]) == ("2027-04-30", "2027-05-01")
    assert term["payment"]["rule_ja"] == ("請求の受領日から起算して30日以内。金融機関の休日のときは直前の営業日(決定)")
    assert month["payment"]["rule_ja"] == "請求の受領日から30日以内"
    assert month["payment"]["rule_en"] == "within 30 days of the claim's receipt, not counting that day"


def test_exceptions_of_a_file_move_dates(tmp_path: Path) -> None:
    file = tmp_path / "calendars.toml"
    file.write_text("[office]\nclosed = [2026-06-08]\n", encoding="utf-8")
    assert _dates("2026-05", "--calendars", file)["reconcile"]["day"] == "2026-06-05"
    assert _dates("2026-05", "--calendars", DEPLOY / "calendars.example.toml")["reconcile"]["day"] == "2026-06-08"
    file.write_text("[post]\nclosed = [2026-06-08]\n", encoding="utf-8")
    refused = _run("calendar", "2026-05", "--calendars", file)
    assert isinstance(refused.exception, TermsInvalid)
    assert refused.exception.field == "post"


def test_a_period_nobody_claims_for_is_refused_with_the_remedy() -> None:
    for arguments in (["2026-Q1"], ["2026-Q1", "--contract", CONTRACTS / "003-prefecture.toml"]):
        refused = _run("calendar", *arguments)
        assert refused.exit_code == 2
        assert "--contract FILE" in refused.output


def test_what_is_no_period_is_an_error_of_one_line() -> None:
    refused = _run("calendar", "2026-4")
    assert isinstance(refused.exception, PeriodInvalid)
    assert is_known(refused.exception)


def test_contract_files_are_checked() -> None:
    shown = _run("check", *sorted(CONTRACTS.iterdir()))
    assert shown.exit_code == 0
    assert "version 2 from 2027-04-01: records, once a quarter, ministry to centre" in shown.output
    refused = _run("check", DEPLOY / "calendars.example.toml")
    assert isinstance(refused.exception, TermsInvalid)


@pytest.mark.parametrize(
    ("more", "count", "interest"),
    [
        ((), "10 days late, 10 of them count", "8,400 yen"),
        (("--excluded", "2026-06-24", "2026-06-27"), "6 of", "5,000 yen"),
    ],
)
def test_interest_is_shown_on_the_gross_and_on_the_net(more: tuple[str, ...], count: str, interest: str) -> None:
    shown = _run(
        *("interest", CONTRACTS / "000-operator.toml", "--claim", "fees", "--period", "2026-05"),
        *("--received-yen", 12_345_678, "--unpaid-yen", 7_654_321, "--paid", "2026-07-02", *more),
    )
    assert shown.exit_code == 0, shown.output
    assert count in shown.output
    assert f"遅延利息 / interest      {interest}" in shown.output
    assert "7,654,321 yen" in shown.output


def test_interest_of_a_claim_that_has_none_or_no_known_deadline_is_refused() -> None:
    money = ("--period", "2026-06", "--received-yen", 1, "--unpaid-yen", 1, "--paid", "2026-12-02")
    city = _run("interest", CONTRACTS / "001-municipality.toml", "--claim", "fees", *money)
    assert "no article on late interest" in city.output
    driving = (CONTRACTS / "003-prefecture.toml", "--claim", "operation", *money)
    assert "--received DAY" in _run("interest", *driving).output
    assert "期限 / deadline          2026-07-31" in _run("interest", *driving, "--received", "2026-07-01").output
