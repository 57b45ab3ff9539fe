"""Contract files that cannot be: each is refused with its table, its field and what would mend it."""

from pathlib import Path

import pytest

from gateway.settlement.billing import bill
from gateway.settlement.errors import NoTerms, TermsInvalid, UsageInvalid
from gateway.settlement.periods import period
from gateway.settlement.toml import contract_of, read_contract

CONTRACTS = Path(__file__).parents[2] / "deploy" / "contracts"
OPERATOR = (CONTRACTS / "000-operator.toml").read_text(encoding="utf-8")
MINISTRY = (CONTRACTS / "002-ministry.toml").read_text(encoding="utf-8")
PREFECTURE = (CONTRACTS / "003-prefecture.toml").read_text(encoding="utf-8")


def _refused(text: str, before: str, after: str) -> TermsInvalid:
    assert before in text
    with pytest.raises(TermsInvalid) as caught:
        contract_of(text.replace(before, after, 1).encode(), file="x.toml")
    assert str(caught.value).startswith("x.toml: ")
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("text", "before", "after", "table", "field"),
    [
        (OPERATOR, "yen = 115", "yen = 115.0", "terms 1.claim 1.item 2", "yen"),
        (OPERATOR, "yen = 115", "yen = -1", "terms 1.claim 1.item 2", "yen"),
        (OPERATOR, "yen = 115", 'yen = "115"', "terms 1.claim 1.item 2", "yen"),
        (OPERATOR, "yen = 115\n", "", "[[terms]] version 1, claim fees, item commission", "yen"),
        (
            OPERATOR,
            'measure = "amount"',
            'measure = "amount"\nyen = 1',
            "[[terms]] version 1, claim fees, item fees",
            "yen",
        ),
        (OPERATOR, "yen = 115", "yen = 115\nabove = 3", "[[terms]] version 1, claim fees, item commission", "above"),
        (OPERATOR, "yen = 115", "yen = 115\nup_to = 3", "[[terms]] version 1, claim fees, item commission", "up_to"),
        (OPERATOR, "yen = 55000", 'yen = 55000\nreads = "x"', "[[terms]] version 1, claim line, item line", "reads"),
        (OPERATOR, "yen = 115", "yen = 115\nyne = 1", "terms 1.claim 1.item 2", "yne"),
        (OPERATOR, 'clause = "000契13-1"\n', "", "terms 1.claim 1.item 2", "clause"),
        (OPERATOR, 'id = "commission"', 'id = "fees"', "[[terms]] version 1, claim fees", "item.id"),
        (OPERATOR, 'id = "line"', 'id = "fees"', "[[terms]] version 1", "claim.id"),
        (OPERATOR, 'operator = "cvs-dev"', 'ministry = "mlit"', "[[terms]] version 1, claim fees", "payer"),
        (OPERATOR, 'payer = "operator"', 'payer = "甲"', "terms 1.claim 1", "payer"),
        (OPERATOR, 'payee = "centre"', 'payee = "operator"', "[[terms]] version 1, claim fees", "payee"),
        (OPERATOR, 'direction = "forward"', 'direction = "sideways"', "terms 1.claim 1.date 2.turn", "direction"),
        (OPERATOR, 'calendar = "office"', 'calendar = "post"', "terms 1.claim 1.date 2.turn", "calendar"),
        (OPERATOR, "day = 8", "day = 32", "terms 1.claim 1.date 3.when", "day"),
        (OPERATOR, 'step = "reconcile"', 'step = "confirm"', "[[terms]] version 1, claim fees", "date.step"),
        (OPERATOR, 'step = "payment"', 'step = "fetch"', "[[terms]] version 1, claim fees", "date"),
        (OPERATOR, "days = 30, first", "days = 0, first", "[[terms]] version 1, claim line", "date payment"),
        (OPERATOR, "basis_points = 260", "basis_points = 2.6", "terms 1.claim 1.interest.rates 1", "basis_points"),
        (
            OPERATOR,
            "valid_from = 2021-04-01",
            "valid_from = 2019-04-01",
            "[[terms]] version 1, claim fees",
            "interest.rates",
        ),
        (OPERATOR, "concluded = 2026-04-01", 'concluded = "spring"', "terms 1", "concluded"),
        (OPERATOR, "[contract.parties]", "[contract.party]", "contract", "party"),
        (MINISTRY, "version = 2", "version = 1", "[[terms]] version 1", "version"),
        (MINISTRY, "valid_from = 2027-04-01", "valid_from = 2027-04-02", "[[terms]] version 2", "valid_from"),
        (
            PREFECTURE,
            "up_to = 240",
            "up_to = 1441",
            "[[terms]] version 1, claim operation, item off-day-short",
            "up_to",
        ),
        (PREFECTURE, 'rounding = "down"', 'rounding = "sideways"', "terms 1.claim 1.tax", "rounding"),
        (PREFECTURE, "denominator = 110", "denominator = 0", "terms 1.claim 1.tax", "denominator"),
        (PREFECTURE, "denominator = 110", "denominator = 10", "terms 1.claim 1", "tax"),
    ],
)
def test_a_wrong_field_is_named(text: str, before: str, after: str, table: str, field: str) -> None:
    refused = _refused(text, before, after)
    assert (refused.table, refused.field) == (table, field)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[contract", b"contract = 1\nterms = 2", b"x" * ((1 << 20) + 1)])
def test_what_is_no_contract_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(TermsInvalid):
        contract_of(data)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(TermsInvalid, match="absent"):
        read_contract(tmp_path / "absent.toml")


def test_a_day_before_every_version_has_no_terms() -> None:
    contract = contract_of(OPERATOR.encode())
    with pytest.raises(NoTerms, match="2026-03-31"):
        contract.on(period("2026-03").last)
    with pytest.raises(TermsInvalid, match="fees, line"):
        contract.terms[0].claim("other")


@pytest.mark.parametrize(
    ("of", "readings", "field"),
    [
        ("2026-06", {"parking": [1]}, "parking"),
        ("2026-06", {"overtime": [-1]}, "overtime"),
        ("2026-06", {"off-day": [1441]}, "off-day"),
        ("2026-06", {"base": [1]}, "base"),
        ("2026-Q1", {}, "period"),
    ],
)
def test_readings_that_do_not_fit_the_terms_are_refused(of: str, readings: dict[str, list[int]], field: str) -> None:
    claim = contract_of(PREFECTURE.encode()).terms[0].claim("operation")
    with pytest.raises(UsageInvalid) as caught:
        bill(claim, period(of), readings)
    assert caught.value.field == field
