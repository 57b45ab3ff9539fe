"""How amounts, days, periods and bytes are written on documents. Pure."""

from datetime import date
from typing import Final

import msgspec

from gateway.era import in_reiwa
from gateway.settlement.periods import Period, PeriodKind, period
from gateway.settlement.windows import in_japan
from protocol.invoice import TaxRule

PRODUCTION: Final = "production"
TEST: Final = "test"


def number(value: int) -> str:
    """1,234; below 0 with the triangle of Japanese accounts: ▲1,234."""
    return f"▲{-value:,}" if value < 0 else f"{value:,}"


def yen(value: int) -> str:
    """¥1,234, ▲¥1,234."""
    return f"▲¥{-value:,}" if value < 0 else f"¥{value:,}"


def rate(rule: TaxRule) -> str:
    """The tax rate of which this is the part in a tax-included amount: 10/110 is 10%, 8/108 is 8%."""
    whole, rest = divmod(rule.numerator * 100, rule.denominator - rule.numerator)
    return f"{whole}%" if rest == 0 else f"{rule.numerator}/{rule.denominator}"


def day_text(text: str) -> str:
    """A day, YYYY-MM-DD, by era and in figures; "" stays."""
    return f"{in_reiwa(date.fromisoformat(text))} ({text})" if text else ""


def at_text(at_us: int) -> str:
    """A time in Japan to the second."""
    return in_japan(at_us).strftime("%Y-%m-%d %H:%M:%S JST")


def period_text(text: str) -> str:
    """A period with its days: 2026年10月分(令和8年10月1日から令和8年10月31日まで)."""
    of = period(text)
    days = f"{in_reiwa(of.first)}〜{in_reiwa(of.last)}"
    return f"{_span(of)}({days})" if of.kind is not PeriodKind.TERM else days


def _span(of: Period) -> str:
    if of.kind is PeriodKind.MONTH:
        return f"{of.first.year}年{of.first.month}月分"
    year, quarter = of.text.split("-Q")
    return f"{year}年度第{quarter}四半期分"


def mark(environment: str) -> str:
    """What stands on each page of a document that is of no real environment."""
    if environment == PRODUCTION:
        return ""
    return "試験用データ TEST DATA" if environment == TEST else "開発用データ DEVELOPMENT DATA"


def to_json(content: object) -> bytes:
    """JSON for people and programs: indented, UTF-8, the fields in the order given."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def percent(basis_points: int) -> str:
    """A rate of 1/10,000 parts in percent: 250 is 2.5%."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".") + "%" if rest else f"{whole}%"
