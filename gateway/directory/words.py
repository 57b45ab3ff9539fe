"""What a kiosk's screen says of hours and of stops ahead, in Japanese and English (000仕7-2, 7-4, 001-8-3). Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from gateway.directory import hours
from gateway.directory.model import Document
from gateway.directory.openings import Hours, Window
from gateway.directory.participants import DayException, Municipality
from protocol.certificates import KINDS, Kind

AHEAD_DAYS: Final = 14
"""Stops and closed days are shown so many days before they begin."""
AHEAD_MAX: Final = 6
AHEAD_BYTES_MAX: Final = 4 << 10
"""Of UTF-8 in both languages, so that a menu of every kind fits an answer's body."""
DAYS_NAMED_MAX: Final = 10
_DAY: Final = timedelta(days=1)


def opening_hours(dated: Hours) -> tuple[str, str]:
    """Hours by class of day, said once when every day is the same."""
    if dated.weekday == dated.saturday == dated.holiday:
        ja, en = _window(dated.weekday)
        return f"毎日 {ja}", f"Every day {en}"
    days = (
        ("平日", "weekdays", dated.weekday),
        ("土曜", "Saturdays", dated.saturday),
        ("日曜・休日", "holidays", dated.holiday),
    )
    ja_parts = [f"{name} {_window(opening)[0]}" for name, _, opening in days]
    en_parts = [f"{name} {_window(opening)[1]}" for _, name, opening in days]
    return "、".join(ja_parts), ", ".join(en_parts)


def offer_hours(usual: Hours | None, today: tuple[Window | None] | None) -> tuple[str, str]:
    """A kind's hours by class of day; `today` is today's window where it differs from its class."""
    ja, en = opening_hours(usual) if usual else ("取扱時間未設定", "No hours set")
    if today is not None:
        today_ja, today_en = _window(today[0])
        ja, en = f"{ja}(本日は{today_ja})", f"{en} (today {today_en})"
    return ja, en


def _window(opening: Window | None) -> tuple[str, str]:
    return ("休止", "closed") if opening is None else (str(opening), str(opening))


def stops_ahead(document: Document, place: Municipality, at_us: int) -> tuple[str, str]:
    """What stops now or within AHEAD_DAYS, by when it begins; as much of it as fits, a line for each."""
    said: list[tuple[int, str, str]] = []
    left = AHEAD_BYTES_MAX
    for each in sorted(_ahead(document, place, at_us))[:AHEAD_MAX]:
        left -= len(each[1].encode()) + len(each[2].encode())
        if left < 0:
            break
        said.append(each)
    return "\n".join(ja for _, ja, _ in said), "\n".join(en for _, _, en in said)


def _ahead(document: Document, place: Municipality, at_us: int) -> Iterator[tuple[int, str, str]]:
    until_us = at_us + AHEAD_DAYS * hours.DAY_US
    today = hours.jst_date(at_us)
    for whose_ja, whose_en, stops in (
        ("証明書交付センター", "The certificate centre", document.stops),
        (place.name_ja, place.name_en, place.stops),
    ):
        for stop in stops:
            if at_us < stop.until_us and stop.from_us < until_us:
                since, until = minute(stop.from_us), minute(stop.until_us)
                yield (
                    stop.from_us,
                    f"{whose_ja}: {since}から{until}まで休止({stop.ground})",
                    f"{whose_en} stops from {since} to {until} JST ({stop.ground})",
                )
    last = hours.jst_date(until_us)
    for first, end in _runs(sorted(day for day in document.closed if today <= day <= last)):
        span = days(first, end)
        yield hours.day_start_us(first), f"証明書交付センター: {span} 休止", f"The certificate centre is closed {span}"
    for each in place.exceptions:
        if each.valid_until < today or each.valid_from > last:
            continue
        ja, en = exception(each)
        yield hours.day_start_us(each.valid_from), f"{place.name_ja}{ja}", f"{place.name_en}{en}"


def exception(each: DayException) -> tuple[str, str]:
    """Days that differ, to follow a municipality's name."""
    kind = KINDS[Kind(each.kind)] if each.kind else None
    about_ja, about_en = (f"の{kind.ja}", f", {kind.en},") if kind else ("", "")
    span = days(each.valid_from, each.valid_until)
    ja, en = _window(each.opening)
    return f"{about_ja}: {span} {ja}", f"{about_en} {span}: {en}"


def some_days(listed: Sequence[date]) -> str:
    """Days by name, the first DAYS_NAMED_MAX of many."""
    named = ", ".join(str(day) for day in listed[:DAYS_NAMED_MAX])
    return named if len(listed) <= DAYS_NAMED_MAX else f"{named}, ... ({len(listed)})"


def _runs(listed: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Consecutive days of a sorted list as (first, last)."""
    known = set(listed)
    ends = (day for day in listed if day + _DAY not in known)
    for first in listed:
        if first - _DAY not in known:
            yield first, next(ends)


def days(first: date, last: date) -> str:
    """A day, or the first and the last of several."""
    return str(first) if first == last else f"{first} - {last}"


def minute(at_us: int) -> str:
    """A time on a Japanese clock, to the minute."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(hours.JST).strftime("%Y-%m-%d %H:%M")
