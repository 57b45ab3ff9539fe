"""生年月日 as entries have it: western or by era, uncertain (頃, 推定, 上旬, 不詳), or a day that never was.

A date that is given in full is brought to YYYY-MM-DD, so that 明治45年7月30日 and 大正元年7月30日, which are one day,
are one text; 29 February of a common year stays as it stands in the entry, for such dates are in registers. What is
uncertain keeps its words and gets a number to sort by, with 00 for what is not known.

Pure. Not here: the birth date of a question, which comes as YYYY-MM-DD only (docs/PROTOCOL.md, Operations).
Source: DOMAIN 2.1 (住民記録システム標準仕様書 1.1.8).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from gateway.inquiry.errors import BirthInvalid
from gateway.inquiry.numerals import NUMERALS, in_figures

BIRTH_CHARS_MAX: Final = 40
"""A birth date longer than this is refused unread."""


class Birth(msgspec.Struct, frozen=True):
    """A birth date: `raw` as it was written; `sort` YYYYMMDD with 00 for unknown parts, None when nothing is known;
    `date` YYYY-MM-DD where the day is given and not in doubt, else None; `days` the days of the month left open."""

    raw: str
    sort: int | None
    date: str | None = None
    days: tuple[int, int] = (1, 31)

    def text(self) -> str:
        """What a record holds: the date where there is one, else the entry's own words."""
        return self.date or self.raw

    def leaves_open(self, date: str) -> bool:
        """Whether a person born on `date` (YYYY-MM-DD) could have this entry."""
        if self.date is not None:
            return date == self.date
        if self.sort is None:
            return True
        year, month, day = self.sort // 10_000, self.sort // 100 % 100, self.sort % 100
        asked_day = int(date[8:])
        return (
            year in (int(date[:4]), 0)
            and month in (int(date[5:7]), 0)
            and (day == asked_day if day else self.days[0] <= asked_day <= self.days[1])
        )


class _Era(NamedTuple):
    before: int  # the western year before its first
    first: int  # its first and last day, as YYYYMMDD; both days of a change of era are in both
    last: int


# Before 1873 the calendar was lunar; only the year is western there, and the bounds are whole years.
_NAMED: Final = {
    "令和": _Era(2018, 2019_05_01, 9999_12_31),
    "平成": _Era(1988, 1989_01_08, 2019_04_30),
    "昭和": _Era(1925, 1926_12_25, 1989_01_07),
    "大正": _Era(1911, 1912_07_30, 1926_12_25),
    "明治": _Era(1867, 1868_01_01, 1912_07_30),
    "慶応": _Era(1864, 1865_01_01, 1868_12_31),
    "元治": _Era(1863, 1864_01_01, 1865_12_31),
    "文久": _Era(1860, 1861_01_01, 1864_12_31),
    "万延": _Era(1859, 1860_01_01, 1861_12_31),
    "安政": _Era(1853, 1854_01_01, 1860_12_31),
    "嘉永": _Era(1847, 1848_01_01, 1854_12_31),
}
_SHORT: Final = {
    "R": "令和", "H": "平成", "S": "昭和", "T": "大正", "M": "明治",
    "令": "令和", "平": "平成", "昭": "昭和", "大": "大正", "明": "明治", "慶應": "慶応",
}  # fmt: skip
_ERAS: Final = _NAMED | {short: _NAMED[name] for short, name in _SHORT.items()}
_ERA: Final = "|".join(sorted(_ERAS, key=len, reverse=True))

_FIGURES: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_COMPACT: Final = re.compile(rf"(?:({_ERA})(\d\d)|((?:1[89]|20)\d\d))(\d\d)(\d\d)", re.ASCII)
_WRITTEN: Final = re.compile(
    rf"(?:(?P<era>{_ERA})(?P<count>\d{{1,2}})|(?P<year>(?:1[89]|20)\d\d))(?:年|[-/.]|$)"
    r"(?:(?P<month>\d{1,2})(?:月|[-/.]|$)(?:(?P<day>\d{1,2})日?|(?P<third>[上中下初]旬))?)?"
    r"(?:月日|日|月)?(?:不詳|不明)?",
    re.ASCII,
)
_DOUBT: Final = re.compile(r"\(?推定\)?|頃|ころ|ごろ|およそ|^約")
_NOTHING: Final = re.compile(r"(?:生年月日|年月日|生年|出生日)?(?:不詳|不明)")
_NUMERAL: Final = re.compile(rf"[{NUMERALS}]+")
_THIRDS: Final = {"上": (1, 10), "初": (1, 10), "中": (11, 20), "下": (21, 31)}


def is_date(text: str) -> bool:
    """Whether text is a birth date in figures: YYYY-MM-DD, month 1-12, day 1-31, in the calendar or not."""
    found = _FIGURES.fullmatch(text)
    return found is not None and found[1] != "0000" and 1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31


@lru_cache(maxsize=1 << 13)
def parse_birth(text: str) -> Birth:
    """Read a birth date as an entry has it.

    Accepts: YYYY-MM-DD, YYYY/M/D, YYYYMMDD, 1975年11月23日, 昭和50年11月23日, 昭和五十年…, 大正元年…, S50.11.23,
    S501123; the same with day or month left out or 不詳, with 上旬 中旬 下旬, with 頃 or 推定; 年月日不詳.
    Raises: BirthInvalid, which names what does not fit and repeats nothing of the text.
    """
    if is_date(text):
        return Birth(text, int(text.replace("-", "")), text)
    if len(text) > BIRTH_CHARS_MAX:
        raise BirthInvalid("too-long")
    plain = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).replace("元年", "1年")
    if _NOTHING.fullmatch(plain):
        return Birth(text, None)
    plain = _NUMERAL.sub(lambda run: in_figures(run[0]), plain)
    bare = _DOUBT.sub("", plain)
    compact = _COMPACT.fullmatch(bare)
    if compact is not None:
        return _birth(text, *compact.groups(), third=None, doubt=bare != plain)
    found = _WRITTEN.fullmatch(bare)
    if found is None:
        raise BirthInvalid("unreadable")
    return _birth(
        text, found["era"], found["count"], found["year"], found["month"], found["day"],
        third=found["third"], doubt=bare != plain,
    )  # fmt: skip


def _birth(
    raw: str,
    era: str | None,
    count: str | None,
    western: str | None,
    month_text: str | None,
    day_text: str | None,
    *,
    third: str | None,
    doubt: bool,
) -> Birth:
    month, day = int(month_text or 0), int(day_text or 0)
    if month > 12 or day > 31 or (month_text and not month) or (day_text and not day):
        raise BirthInvalid("no-such-day")
    if era is not None:
        bounds = _ERAS[era]
        year = bounds.before + int(count or 0)
        earliest = year * 10_000 + (month or 1) * 100 + (day or 1)
        latest = year * 10_000 + (month or 12) * 100 + (day or 31)
        if latest < bounds.first or earliest > bounds.last or not int(count or 0):
            raise BirthInvalid("outside-era")
    else:
        year = int(western or 0)
    return Birth(
        raw,
        year * 10_000 + month * 100 + day,
        f"{year:04d}-{month:02d}-{day:02d}" if day and not doubt else None,
        _THIRDS[third[0]] if third else (1, 31),
    )
