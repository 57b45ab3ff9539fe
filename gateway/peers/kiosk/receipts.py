"""領収書 and the note of a refund, as text. No name and no kind of person: what was paid, when, where.

Source: 000仕3-5 (a receipt that shows the 交付手数料); 000契9-1.
"""

from datetime import datetime, timedelta, timezone
from typing import Final

from gateway.peers.kiosk.journal import Trail
from protocol.certificates import KINDS, Kind

_JAPAN: Final = timezone(timedelta(hours=9), "JST")
_RULE: Final = "-" * 40


def receipt_text(trail: Trail, store: str, *, kind: str) -> str:
    """The receipt of a delivery."""
    each = trail.yen // trail.copies if trail.copies else 0
    known = KINDS[Kind(kind)] if kind in KINDS else None
    name = f"{known.ja} / {known.en}" if known else kind
    return "\n".join(
        (
            "領収書 / RECEIPT",
            _RULE,
            *_head(trail, store),
            f"証明書 / certificate: {name}",
            f"交付手数料 / fee: {each:,} 円 x {trail.copies} 通 (copies)",
            f"合計 / total: {trail.yen:,} 円 (yen)",
            _RULE,
            "(合成データによる見本 / sample on synthetic data)",
            "",
        )
    )


def refund_text(trail: Trail, store: str) -> str:
    """The note that goes with money given back."""
    return "\n".join(
        (
            "返金票 / REFUND",
            _RULE,
            *_head(trail, store),
            f"返金額 / refunded: {trail.yen:,} 円 (yen)",
            "証明書はすべて「返金済・無効」です / every copy is refunded and void",
            _RULE,
            "(合成データによる見本 / sample on synthetic data)",
            "",
        )
    )


def _head(trail: Trail, store: str) -> tuple[str, ...]:
    at = datetime.fromtimestamp((trail.paid_at_us or trail.opened_at_us) // 1_000_000, _JAPAN)
    return (
        f"取扱店 / store: {store}",
        f"番号 / slip: {trail.slip}",
        f"入金 / paid: {at:%Y-%m-%d %H:%M:%S} JST",
    )
