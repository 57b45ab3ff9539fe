"""Pages as text: templates, the two languages, times and marks; no request and no desk here.

Autoescape is on for every template and an undefined name is an error, so a page cannot show half of itself. Templates
hold no script and no style of their own; the Content-Security-Policy allows none.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import jinja2
from msgspec.structs import replace

from gateway.peers.ministry.desk import STATE_WORDS, Answer, ShownField
from gateway.peers.ministry.eras import in_era
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.marks import characters, code_points, mark
from gateway.peers.ministry.texts import TEXTS, Language, say

JAPAN: Final = timezone(timedelta(hours=9), "JST")
"""Japanese civil time; there is no daylight saving."""

ASSETS: Final[Mapping[str, str]] = {
    "/static/tokens/tokens.css": "text/css; charset=utf-8",
    "/static/terminal.css": "text/css; charset=utf-8",
    "/static/terminal.js": "text/javascript; charset=utf-8",
}
"""The files of every page by their path, with their types: the same for everybody, and nothing else is served."""
DIFFERENCES_LISTED_MAX: Final = 6
"""Differences listed under a value; an address in another notation has more, and all are marked in the value itself."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "Strict-Transport-Security": "max-age=31536000",
}
"""On every response. connect-src is for /touch alone, by which a clerk who is typing is not locked out."""


def render(template: str, lang: Language, /, **values: Any) -> str:
    """A page in a language.

    The template gets `t` (catalogue), `pick` (of a Japanese and an English text), `when` and values.
    """

    def t(key: str, **facts: object) -> str:
        return say(key, lang, **facts)

    def pick(ja: str, en: str) -> str:
        return en if lang == "en" else ja

    def when(at_us: int) -> str:
        return said_time(at_us, lang)

    return _ENVIRONMENT.get_template(template).render(lang=lang, t=t, pick=pick, when=when, **values)


def compared(answer: Answer) -> tuple[ShownField, ...]:
    """An answer's fields, each beside what was asked: a name asked in kana stands beside the reading (ふりがな)."""
    by_name = {field.name: field for field in answer.fields}
    name, kana = by_name.get("name"), by_name.get("kana")
    if name is None or kana is None or not _in_kana(name.asked) or _in_kana(name.value):
        return answer.fields
    moved = {"name": replace(name, asked=""), "kana": replace(kana, asked=name.asked)}
    return tuple(moved.get(field.name, field) for field in answer.fields)


def _in_kana(text: str) -> bool:
    letters = [c for c in text if not c.isspace()]
    return bool(letters) and all("ぁ" <= c <= "ヿ" or "ｦ" <= c <= "ﾟ" for c in letters)


def said_time(at_us: int, lang: Language) -> str:
    """A time in Japan to the second: "2026年11月21日 14時05分09秒", or "2026-11-21 14:05:09 JST"."""
    at = datetime.fromtimestamp(at_us // 1_000_000, JAPAN)
    if lang == "en":
        return f"{at:%Y-%m-%d %H:%M:%S} JST"
    return f"{at.year}年{at.month}月{at.day}日 {at:%H時%M分%S秒}"


def turned_away(refused: DeskRefused) -> str:
    """The page, in both languages, for a terminal that may not come in; nothing of it needs a session.

    Of the pages' own files it uses ASSETS.
    """
    return render("turned_away.html", "ja", words=refused.words, steps=ADVICE[refused.why], why=refused.why)


ADVICE: Final[Mapping[Why, str]] = {
    Why.TERMINAL_UNKNOWN: "advice.terminal",
    Why.TERMINAL_LOST: "advice.terminal",
    Why.TERMINAL_EXPIRED: "advice.terminal-expired",
    Why.USER_LOCKED: "advice.user-locked",
    Why.CLOCK_OFF: "advice.clock-off",
    Why.LINE_DOWN: "advice.line-down",
}
"""What a clerk can do by hand, step by step: the catalogue's key, its lines being the steps."""

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway.peers.ministry", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(characters=characters, code_points=code_points, in_era=in_era)
_ENVIRONMENT.globals.update(
    compared=compared,
    mark=mark,
    say=say,
    state_words=STATE_WORDS,
    known_fields=TEXTS,
    listed_max=DIFFERENCES_LISTED_MAX,
)
