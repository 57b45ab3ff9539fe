"""The relay team's pages as text: templates, two languages, times; no request here.

Japanese stands first, English beside it in the template itself. No page has a script or a style of its own; the two
style sheets are those of the ministry's terminals, so that all of Sekisho's pages look and work alike.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, Literal

import jinja2

from gateway.peers.relay.totals import kind_ja
from protocol.certificates import KINDS
from protocol.issuance import Ground
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE

Language = Literal["ja", "en"]
JAPAN: Final = timezone(timedelta(hours=9), "JST")

_STATIC: Final = Path(__file__).parents[1] / "ministry" / "static"
ASSETS: Final[Mapping[str, Path]] = {
    "tokens.css": _STATIC / "tokens" / "tokens.css",
    "terminal.css": _STATIC / "terminal.css",
}
"""The files pages are drawn with, by their name under /static/."""

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
}
"""On every response."""

GROUNDS: Final[Mapping[int, tuple[str, str]]] = {
    Ground.MISPRINT: ("印刷不良", "Misprint"),
    Ground.NOT_PRINTED: ("印刷されなかった", "Nothing was printed"),
    Ground.DOCUMENT_REFUSED: ("証明書を確認できなかった", "The document was not accepted"),
    Ground.STAFF: ("店舗の判断", "Decided by the store"),
}
JOURNALS: Final[Mapping[str, tuple[str, str]]] = {
    "printed": ("印刷済み", "Printed"),
    "not-printed": ("印刷なし", "Not printed"),
    "silent": ("端末から報告なし", "Nothing heard"),
}
OPERATIONS: Final[Mapping[int, tuple[str, str]]] = {
    Operation.COMPLETE: ("交付完了通知", "Completion"),
    Operation.VOID: ("返金済・無効", "Void"),
    Operation.CORRECT: ("訂正", "Correction"),
    Operation.ERASE: ("消去通知", "Erasure"),
}


def render(template: str, lang: Language, /, **values: Any) -> str:
    """A page. The template gets `pick` (Japanese, English), `when` and `ago` (times in us), and values."""

    def pick(ja: str, en: str) -> str:
        return en if lang == "en" else ja

    def when(at_us: int) -> str:
        at = datetime.fromtimestamp(at_us // 1_000_000, JAPAN)
        if lang == "en":
            return f"{at:%Y-%m-%d %H:%M:%S} JST"
        return f"{at.year}年{at.month}月{at.day}日 {at:%H時%M分%S秒}"

    def kind(name: str) -> str:
        if lang == "ja":
            return kind_ja(name)
        return next((named.en for known, named in KINDS.items() if known == name), name)

    def outcome(code: int) -> str:
        meaning = next((each for known, each in CATALOGUE.items() if known == code), None)
        return str(code) if meaning is None else f"{code} {pick(meaning.ja, meaning.en)}"

    return _ENVIRONMENT.get_template(template).render(
        lang=lang, pick=pick, when=when, kind=kind, outcome=outcome, **values
    )


_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("gateway.peers.relay", "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals.update(grounds=GROUNDS, journals=JOURNALS, operations=OPERATIONS)
