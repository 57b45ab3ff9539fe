"""Rounding near money: whole numbers, by magnitude, and no float in the package."""

import ast
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.settlement
from gateway.settlement.rounding import Rounding, cut, divide, whole_hours
from gateway.settlement.terms import Tax

YEN = st.integers(-(10**13), 10**13)


@pytest.mark.parametrize(
    ("rounding", "of_115", "of_116", "of_minus_115"),
    [(Rounding.DOWN, 10, 10, -10), (Rounding.HALF_UP, 10, 11, -10), (Rounding.UP, 11, 11, -11)],
)
def test_the_tax_in_a_copys_commission(rounding: Rounding, of_115: int, of_116: int, of_minus_115: int) -> None:
    tax = Tax(rounding=rounding)
    assert (tax.portion(115), tax.portion(116), tax.portion(-115)) == (of_115, of_116, of_minus_115)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_half_of_three_by_each_rounding(rounding: Rounding) -> None:
    up = rounding is not Rounding.DOWN
    assert (divide(3, 2, rounding), divide(-3, 2, rounding)) == (1 + up, -1 - up)


@given(YEN, st.integers(1, 10**6), st.sampled_from(list(Rounding)))
def test_a_rounding_is_off_by_less_than_one_and_a_credit_takes_back_what_a_charge_brought(
    yen: int, of: int, rounding: Rounding
) -> None:
    rounded = divide(yen, of, rounding)
    assert abs(Fraction(yen, of) - rounded) < 1
    assert divide(-yen, of, rounding) == -rounded


@pytest.mark.parametrize(("yen", "left"), [(99, 0), (100, 100), (8_456, 8_400), (-150, -100)])
def test_what_is_below_a_hundred_is_cut(yen: int, left: int) -> None:
    assert cut(yen, 100) == left


@pytest.mark.parametrize(("minutes", "hours"), [(0, 0), (29, 0), (30, 1), (89, 1), (90, 2), (600, 10)])
def test_thirty_minutes_make_an_hour(minutes: int, hours: int) -> None:
    assert whole_hours(minutes) == hours


def test_there_is_no_float_in_settlement() -> None:
    """No float literal, no true division, no call of what makes or takes a float."""
    files = sorted(Path(gateway.settlement.__path__[0]).rglob("*.py"))
    assert len(files) > 5
    found = [
        f"{file.name}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if _floats(node)
    ]
    assert found == []


def _floats(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float)
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return isinstance(node.op, ast.Div)
    return isinstance(node, ast.Name) and node.id in {"float", "round", "Decimal"}


@pytest.mark.parametrize("text", ["1.0", "x / 2", "float('1')", "round(x)"])
def test_the_search_for_floats_finds_them(text: str) -> None:
    assert any(_floats(node) for node in ast.walk(ast.parse(text)))
