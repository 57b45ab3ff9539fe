"""Birth dates as clerks type them: western or by era (和暦), in one field.

Read are 1975-05-03, 1975/5/3, 1975.5.3, 1975年5月3日, 19750503, 昭和50年5月3日, 昭50.5.3, S50.5.3 and 令和元年,
in full or half width. Dates that no calendar has pass where entries have them: 29 February of a common year,
and the day on which an era ended and the next began under either name.

What is only known in words (昭和10年3月頃) cannot be asked for here; the search form then goes without a birth date.

Source: DOMAIN 2.1 (住民記録システム標準仕様書 1.1.8).
"""

import re
import unicodedata
from typing import Final

import msgspec


class Era(msgspec.Struct, frozen=True, kw_only=True):
    """One era: its names, the western year before its first, and its first and last day as YYYYMMDD."""

    ja: str
    letter: str
    before: int
    first: int
    last: int


ERAS: Final = (
    Era(ja="明治", letter="M", before=1867, first=18680125, last=19120730),
    Era(ja="大正", letter="T", before=1911, first=19120730, last=19261225),
    Era(ja="昭和", letter="S", before=1925, first=19261225, last=19890107),
    Era(ja="平成", letter="H", before=1988, first=19890108, last=20190430),
    Era(ja="令和", letter="R", before=2018, first=20190501, last=99991231),
)

_DATE: Final = re.compile(
    r"(?P<era>明治|大正|昭和|平成|令和|[明大昭平令MTSHR])?\s*(?P<year>\d{1,4}|元)\s*(?:年|[-/.])\s*"
    r"(?P<month>\d{1,2})\s*(?:月|[-/.])\s*(?P<day>\d{1,2})\s*日?",
    re.ASCII | re.IGNORECASE,
)
_EIGHT_FIGURES: Final = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})", re.ASCII)
_DASHES: Final = str.maketrans("‐‑‒–—―−ー", "-" * 8)


def read_birth(typed: str) -> str | None:
    """The date as YYYY-MM-DD, or None when it cannot be read or its era has no such day."""
    text = unicodedata.normalize("NFKC", typed).translate(_DASHES).strip()
    found = _EIGHT_FIGURES.fullmatch(text) or _DATE.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    month, day = int(parts["month"]), int(parts["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    year = 1 if parts["year"] == "元" else int(parts["year"])
    if name := parts.get("era"):
        era = next(era for era in ERAS if name.upper() in (era.ja, era.ja[0], era.letter))
        year += era.before
        if not (year > era.before and era.first <= year * 10_000 + month * 100 + day <= era.last):
            return None
    elif parts["year"] == "元" or year < ERAS[0].before:
        return None
    return f"{year:04d}-{month:02d}-{day:02d}"


def in_era(date: str) -> str:
    """YYYY-MM-DD said by era ("昭和50年5月3日"); "" for what is not a date in figures or older than the eras.

    A day that two eras share is given to the later.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", date, re.ASCII) is None:
        return ""
    year, month, day = (int(part) for part in date.split("-"))
    number = year * 10_000 + month * 100 + day
    for era in reversed(ERAS):
        if era.first <= number <= era.last:
            count = year - era.before
            return f"{era.ja}{'元' if count == 1 else count}年{month}月{day}日"
    return ""
