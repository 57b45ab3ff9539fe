"""Copies and fees by store business day (000仕3-7): what a store remits, and what the operator reconciles each month.

Every notice the relay takes over adds day lines, signed changes that add up: a completion its copies and fees, a void
the opposite of all that stands of its transaction (every copy, H2) on the day of the refund, a correction the
difference between what stood and what it says. Lines of a notice that the centre refused do not count, and are
numbered in the report, as are those not yet delivered: nothing in it looks settled that is not.

Source: 000仕3-7, 000仕4-1, 000仕4-2; DOMAIN C3, F2, H1, H2, I3.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.peers.relay.store import Store
from protocol import issuance
from protocol.certificates import KINDS

BOM: Final = "\ufeff"


class Change(msgspec.Struct, frozen=True):
    """Copies and yen added to a store business day (YYYY-MM-DD)."""

    store_day: str
    copies: int
    yen: int


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One store, day, municipality and kind: copies and yen, and how many of its notices wait or were refused."""

    store: str
    store_name: str
    store_day: str
    municipality: str
    kind: str
    copies: int
    yen: int
    waiting: int
    refused: int


Notice = issuance.Complete | issuance.Void | issuance.Correct


def changes(notice: Notice, standing: Iterable[Change], *, fee_yen: int) -> list[Change]:
    """What a notice changes, given what stands of its application. Pure."""
    if isinstance(notice, issuance.Complete):
        return [Change(notice.store_day, notice.copies, notice.copies * fee_yen)]
    if isinstance(notice, issuance.Void):
        whole = list(standing)
        copies, yen = sum(each.copies for each in whole), sum(each.yen for each in whole)
        return [Change(notice.store_day, -copies, -yen)] if copies or yen else []
    copies_by_day: Counter[str] = Counter()
    yen_by_day: Counter[str] = Counter()
    for each in standing:
        copies_by_day[each.store_day] -= each.copies
        yen_by_day[each.store_day] -= each.yen
    copies_by_day[notice.store_day] += notice.copies
    yen_by_day[notice.store_day] += notice.copies * fee_yen
    return [
        Change(day, copies_by_day[day], yen_by_day[day])
        for day in sorted(copies_by_day)
        if copies_by_day[day] or yen_by_day[day]
    ]


def standing(store: Store, application: bytes) -> list[Change]:
    """The lines that count of an application."""
    rows = store.rows(
        "SELECT l.store_day, l.copies, l.yen FROM lines l JOIN outbox o ON o.number = l.notice"
        " WHERE l.application = ? AND o.state <> 'refused' ORDER BY l.number",
        application,
    )
    return [Change(*row) for row in rows]


def totals(store: Store, period: str) -> list[Total]:
    """A month's (YYYY-MM) or a day's (YYYY-MM-DD) totals: store, day, municipality, kind."""
    rows = store.rows(
        "SELECT l.store, coalesce((SELECT max(store_name) FROM kiosks k WHERE k.store = l.store), ''), l.store_day,"
        " l.municipality, l.kind,"
        " sum(CASE WHEN o.state <> 'refused' THEN l.copies ELSE 0 END),"
        " sum(CASE WHEN o.state <> 'refused' THEN l.yen ELSE 0 END),"
        " count(DISTINCT CASE WHEN o.state = 'held' THEN l.notice END),"
        " count(DISTINCT CASE WHEN o.state = 'refused' THEN l.notice END)"
        " FROM lines l JOIN outbox o ON o.number = l.notice WHERE substr(l.store_day, 1, ?) = ?"
        " GROUP BY l.store, l.store_day, l.municipality, l.kind ORDER BY 1, 3, 4, 5",
        *(len(period), period),
    )
    names = ("store", "store_name", "store_day", "municipality", "kind", "copies", "yen", "waiting", "refused")
    return [Total(**dict(zip(names, row, strict=True))) for row in rows]


_HEAD: Final = (
    "取扱店",
    "店舗名",
    "営業日",
    "市区町村コード",
    "種別",
    "証明書",
    "通数",
    "手数料(円)",
    "未送達",
    "拒否",
)


def as_csv(found: Sequence[Total]) -> str:
    """取扱い実績 as CSV (RFC 4180, with a byte order mark so that spreadsheets read it as UTF-8)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_HEAD)
    for one in found:
        writer.writerow(
            [
                *(_text(one.store), _text(one.store_name), one.store_day, one.municipality, one.kind),
                *(kind_ja(one.kind), one.copies, one.yen, one.waiting, one.refused),
            ]
        )
    return BOM + out.getvalue()


def _text(value: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_json(found: Sequence[Total], *, operator: str, period: str, made_us: int) -> bytes:
    """取扱い実績 as JSON: operator, period, when it was made, the sums, and the lines."""
    return msgspec.json.encode(
        {
            "operator": operator,
            "period": period,
            "made_at_us": made_us,
            "copies": sum(one.copies for one in found),
            "yen": sum(one.yen for one in found),
            "waiting": sum(one.waiting for one in found),
            "refused": sum(one.refused for one in found),
            "lines": found,
        }
    )


def kind_ja(kind: str) -> str:
    """A kind's Japanese name, or the kind itself."""
    return next((named.ja for known, named in KINDS.items() if known == kind), kind)
