"""Where in a directory a fact stands: a check raises with the table's name, the field, and what would mend it."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from gateway.directory.errors import DirectoryInvalid
from gateway.directory.model import DAY_MINUTES, IDENT_PATTERN
from gateway.directory.openings import Hours, Stop, Window
from protocol import limits

GROUND_CHARS_MAX: Final = 200

_ident = re.compile(IDENT_PATTERN).fullmatch


class At:
    """One table of the document; raises with its name when a fact does not hold."""

    def __init__(self, table: str) -> None:
        self.table = table

    def need(self, holds: bool, field: str, why: str, remedy: str) -> None:
        if not holds:
            raise DirectoryInvalid(table=self.table, field=field, why=why, remedy=remedy)

    def ident(self, value: str, field: str) -> None:
        remedy = f"write 1 to {limits.IDENT_CHARS_MAX} of a-z, 0-9 and inner hyphens"
        self.need(_ident(value) is not None, field, f"{value!r} is not an id", remedy)

    def text(self, value: str, field: str, chars_max: int) -> None:
        fits = 0 < len(value) <= chars_max and value.isprintable() and not value.isspace()
        self.need(fits, field, "not a text", f"write 1 to {chars_max} printable characters")

    def days(self, first: date, last: date | None, field: str) -> None:
        self.need(last is None or first <= last, field, f"{last} is before {first}", "let it end after it begins")

    def unique(self, values: Iterable[object], field: str) -> None:
        seen: set[object] = set()
        for value in values:
            self.need(value not in seen, field, f"{value} stands twice", "keep one of them")
            seen.add(value)

    def ascending(self, values: Sequence[date] | Sequence[int], field: str) -> None:
        """Each value above the one before."""
        # mypy cannot relate the two elements of a union of sequences; each sequence is of one type
        rises = all(a < b for a, b in pairwise(values))  # type: ignore[operator]
        self.need(rises, field, "not in rising order", "list them oldest first, each once")

    def window(self, window: Window | None, field: str) -> None:
        """A window within one day, or closed."""
        fits = window is None or 0 <= window.open_minute < window.close_minute <= DAY_MINUTES
        self.need(fits, field, f"{window}", 'write "HH:MM-HH:MM" within one day, or "closed"')

    def hours(self, dated: Sequence[Hours]) -> None:
        """At least one, in rising order, each with windows."""
        self.need(bool(dated), "hours", "none are given", "add one")
        self.ascending([hours.valid_from for hours in dated], "hours.valid_from")
        for hours in dated:
            self.window(hours.weekday, "hours.weekday")
            self.window(hours.saturday, "hours.saturday")
            self.window(hours.holiday, "hours.holiday")


def check_stop(at: At, stop: Stop) -> None:
    """A stop ends after it begins, and says why."""
    at.need(stop.from_us < stop.until_us, "until", "ends before it begins", "let it end after it begins")
    at.text(stop.ground, "ground", GROUND_CHARS_MAX)
