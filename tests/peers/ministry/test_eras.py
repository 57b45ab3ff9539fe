"""Dates are read as clerks type them and refused where an era has no such day."""

import pytest

from gateway.peers.ministry.eras import in_era, read_birth


@pytest.mark.parametrize(
    "typed",
    [
        "1975-05-03",
        "1975/5/3",
        "1975.5.3",
        "1975年5月3日",
        "19750503",
        "昭和50年5月3日",
        "昭50.5.3",
        "S50.5.3",
        "s50/5/3",
        "１９７５年５月３日",
        "Ｓ５０．５．３",
        "昭和 50 年 5 月 3 日",
        "1975ー5ー3",
    ],
)
def test_all_ways_of_typing_a_date_are_one_date(typed: str) -> None:
    assert read_birth(typed) == "1975-05-03"


@pytest.mark.parametrize(
    ("typed", "date"),
    [
        ("令和元年5月1日", "2019-05-01"),
        ("R1.5.1", "2019-05-01"),
        ("明治45年7月30日", "1912-07-30"),
        ("大正元年7月30日", "1912-07-30"),
        ("大正15年12月25日", "1926-12-25"),
        ("昭和元年12月25日", "1926-12-25"),
        ("1975-02-29", "1975-02-29"),
    ],
)
def test_days_of_two_eras_and_days_of_no_calendar_pass(typed: str, date: str) -> None:
    assert read_birth(typed) == date


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "昭和65年1月1日",
        "平成元年1月7日",
        "昭和64年1月8日",
        "1975-13-01",
        "1975-01-32",
        "昭和0年1月1日",
        "昭和10年3月頃",
        "19755",
        "1975-5",
        "X50.5.3",
        "元年5月3日",
        "0001-01-01",
    ],
)
def test_what_cannot_be_a_birth_date_is_not_read(typed: str) -> None:
    assert read_birth(typed) is None


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("1975-05-03", "昭和50年5月3日"),
        ("2019-05-01", "令和元年5月1日"),
        ("1926-12-25", "昭和元年12月25日"),
        ("昭和10年3月頃", ""),
        ("1800-01-01", ""),
        ("1975-02-29", "昭和50年2月29日"),
    ],
)
def test_a_date_is_said_by_its_era(date: str, said: str) -> None:
    assert in_era(date) == said
