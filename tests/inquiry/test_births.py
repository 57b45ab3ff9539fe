"""Birth dates as entries have them: what they come to, and what is refused."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inquiry.births import Birth, is_date, parse_birth
from gateway.inquiry.errors import BirthInvalid


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1975-11-23", "1975-11-23"),
        ("1975/11/23", "1975-11-23"),
        ("1975.1.3", "1975-01-03"),
        ("19751123", "1975-11-23"),
        ("1975年11月23日", "1975-11-23"),
        ("１９７５年１１月２３日", "1975-11-23"),
        ("昭和50年11月23日", "1975-11-23"),
        ("昭和５０年１１月２３日", "1975-11-23"),
        ("昭和 五十年 十一月 二十三日", "1975-11-23"),
        ("S50.11.23", "1975-11-23"),
        ("S501123", "1975-11-23"),
        ("昭50.11.23", "1975-11-23"),
        ("平成元年1月8日", "1989-01-08"),
        ("令和元年5月1日", "2019-05-01"),
        # The days on which two eras meet belong to both.
        ("明治45年7月30日", "1912-07-30"),
        ("大正元年7月30日", "1912-07-30"),
        ("大正15年12月25日", "1926-12-25"),
        ("昭和元年12月25日", "1926-12-25"),
        # Days that never were stand in entries.
        ("1951-02-29", "1951-02-29"),
        ("昭和26年2月29日", "1951-02-29"),
        ("慶応4年3月4日", "1868-03-04"),
        ("慶應3年3月4日", "1867-03-04"),
    ],
)
def test_a_full_date_in_any_notation_is_one_text(text: str, date: str) -> None:
    birth = parse_birth(text)
    assert (birth.date, birth.raw, birth.sort) == (date, text, int(date.replace("-", "")))
    assert birth.text() == date
    assert birth.leaves_open(date)


@pytest.mark.parametrize(
    ("text", "sort", "may", "may_not"),
    [
        ("昭和10年3月頃", 19350300, "1935-03-31", "1935-04-01"),
        ("昭和十年三月ごろ", 19350300, "1935-03-01", "1936-03-01"),
        ("昭和10年頃", 19350000, "1935-12-01", "1936-01-01"),
        ("推定昭和10年3月5日", 19350305, "1935-03-05", "1935-03-06"),
        ("昭和10年3月5日(推定)", 19350305, "1935-03-05", "1935-03-04"),
        ("昭和10年3月5日頃", 19350305, "1935-03-05", "1935-03-04"),
        ("昭和10年3月上旬", 19350300, "1935-03-10", "1935-03-11"),
        ("昭和10年3月中旬", 19350300, "1935-03-11", "1935-03-21"),
        ("昭和10年3月下旬頃", 19350300, "1935-03-31", "1935-03-20"),
        ("昭和10年3月日不詳", 19350300, "1935-03-15", "1935-02-15"),
        ("昭和10年月日不詳", 19350000, "1935-03-15", "1934-03-15"),
        ("大正15年12月", 19261200, "1926-12-26", "1926-11-26"),
        ("1935年", 19350000, "1935-01-01", "1934-01-01"),
    ],
)
def test_an_uncertain_date_keeps_its_words_and_what_it_leaves_open(
    text: str, sort: int, may: str, may_not: str
) -> None:
    birth = parse_birth(text)
    assert (birth.date, birth.text(), birth.sort) == (None, text, sort)
    assert birth.leaves_open(may)
    assert not birth.leaves_open(may_not)


@pytest.mark.parametrize("text", ["年月日不詳", "不詳", "生年月日不明"])
def test_of_an_unknown_date_nothing_is_known(text: str) -> None:
    assert parse_birth(text) == Birth(text, None)
    assert parse_birth(text).leaves_open("1935-01-01")


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("", "unreadable"),
        ("いつか", "unreadable"),
        ("5012", "unreadable"),
        ("昭和10年3月5日6時", "unreadable"),
        ("1975-13-01", "no-such-day"),
        ("1975-00-01", "no-such-day"),
        ("1975-01-32", "no-such-day"),
        ("0000-01-01", "unreadable"),
        ("昭和0年1月1日", "outside-era"),
        ("昭和64年1月8日", "outside-era"),
        ("平成31年5月1日", "outside-era"),
        ("昭和65年", "outside-era"),
        ("明治45年7月31日", "outside-era"),
        ("大正元年7月29日", "outside-era"),
        ("1" * 41, "too-long"),
    ],
)
def test_what_is_no_birth_date_is_refused_by_its_ground(text: str, ground: str) -> None:
    with pytest.raises(BirthInvalid) as raised:
        parse_birth(text)
    assert raised.value.ground == ground
    assert not text or text not in str(raised.value)


def test_only_figures_are_a_date() -> None:
    assert is_date("1951-02-29")
    assert not any(map(is_date, ["昭和10年3月頃", "1951-13-01", "1951-2-1", "0000-01-01", "１９５１-01-01"]))


_ERAS = [
    ("令和", "2019-05-01"),
    ("平成", "1989-01-08"),
    ("昭和", "1926-12-25"),
    ("大正", "1912-07-30"),
    ("明治", "1868-01-01"),
]


@given(st.dates(dt.date(1873, 1, 1), dt.date(2026, 12, 31)))
def test_a_day_is_the_same_in_either_calendar(day: dt.date) -> None:
    era, first = next(entry for entry in _ERAS if day.isoformat() >= entry[1])
    written = f"{era}{day.year - int(first[:4]) + 1}年{day.month}月{day.day}日"
    assert parse_birth(written).date == parse_birth(day.isoformat()).date == day.isoformat()


@given(st.text(alphabet="明治大正昭和平成令和年月日頃不詳推定上旬元0123456789一二十-./", max_size=16))
def test_reading_anything_answers_or_refuses(text: str) -> None:
    try:
        birth = parse_birth(text)
    except BirthInvalid:
        return
    assert birth.date is None or is_date(birth.date)
    assert birth.date is None or birth.leaves_open(birth.date)
