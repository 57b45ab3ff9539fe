"""Cells of a statement as JSON and as CSV: all of them, with all their columns. Source: 000仕4-1; DOMAIN I3."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from gateway.settlement import sheet
from gateway.settlement.paper import Names
from gateway.settlement.papers.figures import to_json
from protocol.settlement import NOTHING, Amount, Cell

_LINES_AT_ONCE: Final = 10_000
_PARTS: Final = ("sold", "voided", "corrected", "moved", "net", "carried")
_PARTS_JA: Final = ("交付", "返金", "訂正", "月間移動", "差引", "うち確定済み期間の調整")
_WHAT: Final = ("entries", "copies", "yen", "commission")
_WHAT_JA: Final = ("件数", "通数", "手数料", "委託手数料")
CSV_COLUMNS: Final = (
    "番号 (number)",
    "事業者ID (party)",
    "事業者 (party_name)",
    "相手方ID (counterparty)",
    "相手方 (counterparty_name)",
    "種別ID (matter)",
    "種別 (matter_name)",
    "店舗 (store)",
    "適用条件 (terms)",
    *(
        f"{part_ja} {what_ja} ({part}_{what})"
        for part, part_ja in zip(_PARTS, _PARTS_JA, strict=True)
        for what, what_ja in zip(_WHAT, _WHAT_JA, strict=True)
    ),
    "差引額 (due_yen)",
)


def with_cells(content: dict[str, object], cells: Iterable[Cell], names: Names) -> bytes:
    """A document's JSON, its cells put in at its end, a line each and no more of them in memory than one.

    An amount of which all is 0 is left out of its cell.
    """
    written = bytearray(to_json(content).removesuffix(b"\n}\n"))
    written += b',\n  "cells": ['
    between = b"\n    "
    for cell in cells:
        written += between + msgspec.json.encode(_cell_json(cell, names))
        between = b",\n    "
    written += b"\n  ]\n}\n"
    return bytes(written)


def _cell_json(cell: Cell, names: Names) -> dict[str, object]:
    key = cell.key
    return {
        "party": key.party,
        "counterparty": key.counterparty,
        "counterparty_ja": names.party(key.counterparty)[0],
        "matter": key.matter,
        "matter_ja": names.matter(key.matter)[0],
        "store": key.store,
        "terms": cell.terms,
        **{name: amount_json(part) for name, part in zip(_PARTS, _amounts(cell), strict=True) if part != NOTHING},
        "due_yen": cell.net.due_yen,
    }


def amount_json(amount: Amount) -> dict[str, int]:
    """An amount, field by field."""
    return {
        "entries": amount.entries,
        "copies": amount.copies,
        "yen": amount.yen,
        "commission": amount.commission,
    }


def cells_csv(cells: Iterable[Cell], names: Names, *, number: str) -> bytes:
    """Cells as a table, a line each. number: of the document, on each line."""
    written, left = bytearray(sheet.BOM + sheet.lines([CSV_COLUMNS])), iter(cells)
    while some := list(islice(left, _LINES_AT_ONCE)):
        written += sheet.lines(_csv_row(cell, names, number) for cell in some)
    return bytes(written)


def _amounts(cell: Cell) -> tuple[Amount, ...]:
    return cell.sold, cell.voided, cell.corrected, cell.moved, cell.net, cell.carried


def _csv_row(cell: Cell, names: Names, number: str) -> tuple[object, ...]:
    key = cell.key
    return (
        number,
        key.party,
        names.party(key.party)[0],
        key.counterparty,
        names.party(key.counterparty)[0],
        key.matter,
        names.matter(key.matter)[0],
        key.store,
        " ".join(str(version) for version in cell.terms),
        *(value for amount in _amounts(cell) for value in amount_json(amount).values()),
        cell.net.due_yen,
    )
