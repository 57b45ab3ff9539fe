"""Screens as text: templates, the two languages, names of kinds and options; no request and no machine here.

Autoescape is on for every template and an undefined name is an error. Templates hold no script and no style of their
own; the Content-Security-Policy allows none.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from gateway.peers.kiosk.screens import Language, say
from gateway.peers.kiosk.steps import State
from protocol.certificates import KINDS, OPTIONS, Kind, Option

_HERE: Final = Path(__file__).parent
ASSETS: Final[Mapping[str, tuple[Path, str]]] = {
    "tokens.css": (_HERE.parent / "ministry" / "static" / "tokens" / "tokens.css", "text/css; charset=utf-8"),
    "kiosk.css": (_HERE / "static" / "kiosk.css", "text/css; charset=utf-8"),
    "kiosk.js": (_HERE / "static" / "kiosk.js", "text/javascript; charset=utf-8"),
}
"""The files of every screen; the design tokens are those the ministry's terminals use."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
}
"""On every response; nothing of a sitting stays in the browser."""

TITLES: Final[Mapping[State, str]] = {
    State.START: "service",
    State.CARD: "card-title",
    State.PIN: "pin-title",
    State.MUNICIPALITY: "municipality-title",
    State.MENU: "menu-title",
    State.OPTIONS: "options-title",
    State.CONFIRM: "confirm-title",
    State.PAY: "pay-title",
    State.RECEIPT: "receipt-title",
    State.TAKE: "take-title",
    State.REFUSED: "refused-title",
    State.REFUNDED: "refunded-title",
    State.OUT_OF_ORDER: "out-title",
}
"""A screen's heading; states that are missing here are the kiosk's own turn."""


def render(template: str, lang: Language, /, *, token: str, **values: Any) -> str:
    """A screen in a language. Templates get `t`, `pick` (of a Japanese and an English text), `csrf()` and values."""

    def t(key: str, **facts: object) -> str:
        return say(key, lang, **facts)

    def pick(ja: str, en: str) -> str:
        return en if lang == "en" else ja

    def kind_name(kind: str) -> str:
        return pick(KINDS[Kind(kind)].ja, KINDS[Kind(kind)].en) if kind in KINDS else kind

    def option_names(options: int) -> list[str]:
        return [pick(OPTIONS[each].ja, OPTIONS[each].en) for each in Option if options & each]

    def csrf() -> Markup:
        return Markup('<input type="hidden" name="token" value="{}">').format(token)

    return _ENVIRONMENT.get_template(template).render(
        lang=lang, t=t, pick=pick, kind_name=kind_name, option_names=option_names, csrf=csrf, token=token, **values
    )


_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway.peers.kiosk", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
