"""Dates as Japanese offices write them. Pure."""

from datetime import date
from typing import Final

_REIWA: Final = date(2019, 5, 1)


def in_reiwa(day: date) -> str:
    """The day by its era: 令和8年11月21日; a day before 令和 in figures."""
    if day < _REIWA:
        return day.isoformat()
    year = day.year - 2018
    return f"令和{'元' if year == 1 else year}年{day.month}月{day.day}日"
