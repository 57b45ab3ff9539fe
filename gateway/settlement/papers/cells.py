"""Cells of a statement as JSON, as CSV, and as the lists of a document.

On paper cells are added up over their stores, with a sum for each counterparty, and what adjusts frozen periods is
shown apart; the list by store follows where it is not too long, and is in the CSV always.
Source: 000仕4-1, 4-3; DOMAIN I3, I9, X 4, X 5.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from gateway.settlement import sheet
from gateway.settlement.paper import Names
from gateway.settlement.papers.figures import number, to_json
from gateway.settlement.papers.setting import SUBTOTAL, TOTAL, Both, Column, Notes, Row, Table
from protocol.settlement import NOTHING, Amount, Cell, Key

LISTED_MAX: Final = 1_500
"""Most rows of a list; one that would be longer is left to the CSV, and the document says so."""
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


class _Sums(NamedTuple):
    """What a row of a list shows."""

    net: Amount = NOTHING
    sold: Amount = NOTHING
    voided: Amount = NOTHING
    corrected: Amount = NOTHING

    def plus(self, cell: Cell) -> "_Sums":
        return _Sums(
            self.net + cell.net,
            self.sold + cell.sold,
            self.voided + cell.voided,
            self.corrected + cell.corrected + cell.moved,
        )


class _Figure(NamedTuple):
    """A column of amounts. net: it is of the net, so it can be told of carried amounts too."""

    head: Both
    of: Callable[[_Sums], int]
    net: bool = True


_COPIES: Final = _Figure(("通数", "Copies"), lambda sums: sums.net.copies)
_BOOKINGS: Final = _Figure(("記録数", "Bookings"), lambda sums: sums.net.entries)
_GROSS: Final = _Figure(("手数料", "Gross"), lambda sums: sums.sold.yen, net=False)
_REFUNDS: Final = _Figure(("返金", "Refunds"), lambda sums: sums.voided.yen, net=False)
_DISCLAIMED: Final = _Figure(("取消", "Disclaimed"), lambda sums: sums.voided.yen, net=False)
_CORRECTED: Final = _Figure(("訂正等", "Corrected"), lambda sums: sums.corrected.yen, net=False)
_FEES: Final = _Figure(("手数料計", "Fees, net"), lambda sums: sums.net.yen)
_COMMISSION: Final = _Figure(("委託手数料", "Commission"), lambda sums: sums.net.commission)
_BALANCE: Final = _Figure(("差引額", "Balance"), lambda sums: sums.net.due_yen)
_CERTIFICATES: Final = (_COPIES, _GROSS, _REFUNDS, _CORRECTED, _FEES, _COMMISSION, _BALANCE)


class View(NamedTuple):
    """From whose side cells are listed: the other side of each key, what it and the matters are called, the amounts.

    heads: of the other side and the matters, or of the matters alone.
    """

    other: Callable[[Key], str]
    heads: tuple[Both, ...]
    figures: tuple[_Figure, ...]

    def row(self, party: str | Both, matter: str | Both, sums: _Sums, *, level: int = 0) -> Row:
        """A row of a list."""
        labels = (party, matter) if len(self.heads) > 1 else (matter,)
        return Row((*labels, *(number(each.of(sums)) for each in self.figures)), level)


_BY_MUNICIPALITY: Final = View(
    lambda key: key.counterparty,
    (("市区町村", "Municipality"), ("証明書の種別", "Certificate")),
    _CERTIFICATES,
)
_BY_OPERATOR: Final = View(
    lambda key: key.party,
    (("取扱事業者", "Operator"), ("証明書の種別", "Certificate")),
    _CERTIFICATES,
)
_BY_AFFAIR: Final = View(lambda _: "", (("事務", "Affair"),), (_BOOKINGS, _GROSS, _DISCLAIMED, _FEES))


def view_of(role: str, *, passed_on: bool = False) -> View:
    """How a centre's cells are listed. passed_on: for the municipality, by operator."""
    if role != "certificate":
        return _BY_AFFAIR
    return _BY_OPERATOR if passed_on else _BY_MUNICIPALITY


def cell_lists(cells: Sequence[Cell], names: Names, view: View) -> Iterator[Table | Notes]:
    """The lists of a document's first pages: by the other side and matter, and what adjusts frozen periods."""
    summary = _summary(cells, names, view)
    if len(summary) > LISTED_MAX:
        summary = _summary(cells, names, view, matters=False)
    yield _table(("取扱実績", "Business of the period (yen)"), view, summary)
    if any(cell.carried != NOTHING for cell in cells):
        of_net = view._replace(figures=tuple(each for each in view.figures if each.net))
        heading = ("うち確定済み期間の調整", "Of which adjustments of frozen periods (yen)")
        yield _table(heading, of_net, _carried(cells, names, of_net))


def store_lists(cells: Sequence[Cell], names: Names, view: View) -> Iterator[Table | Notes]:
    """The list by store at a document's end, or where it is found."""
    if len({cell.key.store for cell in cells}) < 2:
        return
    if len(cells) > LISTED_MAX:
        found = ("店舗別の明細は同じ番号のCSVにあります。", "The list by store is in the CSV of the same number.")
        yield Notes((found,), ("店舗別明細", "By store"))
        return
    rows = []
    for cell in cells:
        row = view.row(names.party(view.other(cell.key))[0], names.matter(cell.key.matter)[0], _Sums().plus(cell))
        rows.append(Row((cell.key.store, *row.cells)))
    table = _table(("店舗別明細", "By store (yen)"), view, tuple(rows))
    yield msgspec.structs.replace(table, columns=(Column(("店舗", "Store")), *table.columns))


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


def _table(heading: Both, view: View, rows: tuple[Row, ...]) -> Table:
    figures = tuple(Column(each.head, right=True) for each in view.figures)
    return Table(heading, (*(Column(head, width=1) for head in view.heads), *figures), rows, small=True)


def _summary(cells: Iterable[Cell], names: Names, view: View, *, matters: bool = True) -> tuple[Row, ...]:
    rows: list[Row] = []
    total = _Sums()
    groups = _by_other(cells, view)
    for party, found in groups.items():
        subtotal = _Sums()
        by_matter: dict[str, _Sums] = {}
        for cell in found:
            by_matter[cell.key.matter] = by_matter.get(cell.key.matter, _Sums()).plus(cell)
            subtotal, total = subtotal.plus(cell), total.plus(cell)
        if not matters:
            rows.append(view.row(names.party(party), "", subtotal))
            continue
        label: str | Both = names.party(party)
        for matter, sums in sorted(by_matter.items()):
            rows.append(view.row(label, names.matter(matter), sums))
            label = names.party(party)[0]
        if len(by_matter) > 1 and len(groups) > 1:
            rows.append(view.row(label, ("小計", "Subtotal"), subtotal, level=SUBTOTAL))
    return (*rows, _total(view, total))


def _carried(cells: Iterable[Cell], names: Names, view: View) -> tuple[Row, ...]:
    sums: dict[tuple[str, str], Amount] = {}
    total = NOTHING
    for cell in cells:
        if cell.carried != NOTHING:
            place = (view.other(cell.key), cell.key.matter)
            sums[place] = sums.get(place, NOTHING) + cell.carried
            total += cell.carried
    rows = [
        view.row(names.party(party), names.matter(matter), _Sums(amount))
        for (party, matter), amount in sorted(sums.items())
    ]
    return (*(rows if len(rows) <= LISTED_MAX else ()), _total(view, _Sums(total)))


def _by_other(cells: Iterable[Cell], view: View) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(view.other(cell.key), []).append(cell)
    return dict(sorted(found.items()))


def _total(view: View, sums: _Sums) -> Row:
    total: Both = ("合計", "Total")
    return view.row(total, "" if len(view.heads) > 1 else total, sums, level=TOTAL)


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
