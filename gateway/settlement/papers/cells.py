"""Cells of a statement as JSON, as CSV, and as the lists of a document.

On paper cells are added up over their stores, with a sum for each counterparty, and what adjusts frozen months is shown
apart; the list by store follows where it is not too long, and is in the CSV always.
Source: 000仕4-1, 4-3; DOMAIN I3, I9, X 4, X 5.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from gateway.settlement import sheet
from gateway.settlement.paper import Names
from gateway.settlement.papers.figures import number
from gateway.settlement.papers.setting import Both, Column, Notes, Row, Table
from protocol.settlement import NOTHING, Amount, Cell, Key

LISTED_MAX: Final = 1_500
"""Most rows of a list; one that would be longer is left to the CSV, and the document says so."""
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


class View(NamedTuple):
    """From whose side cells are listed: the other side of each key, and what it and the matters are called."""

    other: Callable[[Key], str]
    heads: tuple[Both, Both]


BY_MUNICIPALITY: Final = View(
    lambda key: key.counterparty, (("市区町村", "Municipality"), ("証明書の種別", "Certificate"))
)
BY_OPERATOR: Final = View(lambda key: key.party, (("取扱事業者", "Operator"), ("証明書の種別", "Certificate")))
BY_AFFAIR: Final = View(lambda key: key.party, (("利用機関", "User"), ("事務", "Affair")))


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

    def figures(self) -> tuple[str, ...]:
        net = self.net
        shown = (self.sold.yen, self.voided.yen, self.corrected.yen, net.yen, net.commission, net.due_yen)
        return (number(net.copies), *(number(value) for value in shown))


_FIGURES: Final = tuple(
    Column(head, right=True)
    for head in (
        ("通数", "Copies"),
        ("手数料", "Gross"),
        ("返金", "Refunds"),
        ("訂正等", "Corrected"),
        ("手数料計", "Fees, net"),
        ("委託手数料", "Commission"),
        ("差引額", "Balance"),
    )
)


def view_of(role: str, *, passed_on: bool = False) -> View:
    """How a centre's cells are listed. passed_on: for the municipality, by operator."""
    if role != "certificate":
        return BY_AFFAIR
    return BY_OPERATOR if passed_on else BY_MUNICIPALITY


def cell_lists(cells: Sequence[Cell], names: Names, view: View) -> Iterator[Table | Notes]:
    """The lists of a document: by the other side and matter, what adjusts frozen periods, by store."""
    summary = _summary(cells, names, view)
    short = len(summary) <= LISTED_MAX
    if not short:
        summary = _summary(cells, names, view, matters=False)
    yield Table(
        ("取扱実績", "Business of the period (yen)"),
        (*(Column(head, width=1) for head in view.heads), *_FIGURES),
        summary,
        small=True,
    )
    if any(cell.carried != NOTHING for cell in cells):
        yield _carried(cells, names, view)
    by_store = len({cell.key.store for cell in cells}) > 1
    if by_store and len(cells) <= LISTED_MAX:
        yield _by_store(cells, names, view)
    elif by_store or not short:
        left_out = ("店舗別の明細は同じ番号のCSVにあります。", "The list by store is in the CSV of the same number.")
        yield Notes((left_out,), ("明細", "Lists"))


def cells_json(cells: Iterable[Cell], names: Names) -> list[dict[str, object]]:
    """Cells with names and all their columns."""
    return [
        {
            "party": cell.key.party,
            "counterparty": cell.key.counterparty,
            "counterparty_ja": names.party(cell.key.counterparty)[0],
            "matter": cell.key.matter,
            "matter_ja": names.matter(cell.key.matter)[0],
            "store": cell.key.store,
            "terms": cell.terms,
            **{name: amount_json(amount) for name, amount in zip(_PARTS, _amounts(cell), strict=True)},
            "due_yen": cell.net.due_yen,
        }
        for cell in cells
    ]


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
    return sheet.BOM + sheet.lines([CSV_COLUMNS, *(_csv_row(cell, names, number) for cell in cells)])


def _summary(cells: Iterable[Cell], names: Names, view: View, *, matters: bool = True) -> tuple[Row, ...]:
    rows: list[Row] = []
    total = _Sums()
    for party, group in groupby(
        sorted(cells, key=lambda cell: view.other(cell.key)), lambda cell: view.other(cell.key)
    ):
        found: dict[str, _Sums] = {}
        subtotal = _Sums()
        for cell in group:
            found[cell.key.matter] = found.get(cell.key.matter, _Sums()).plus(cell)
            subtotal, total = subtotal.plus(cell), total.plus(cell)
        if not matters:
            rows.append(Row((names.party(party), "", *subtotal.figures())))
            continue
        first: str | Both = names.party(party)
        for matter, sums in sorted(found.items()):
            rows.append(Row((first, names.matter(matter), *sums.figures())))
            first = ""
        if len(found) > 1:
            rows.append(Row(("", ("小計", "Subtotal"), *subtotal.figures()), strong=True))
    rows.append(Row((("合計", "Total"), "", *total.figures()), strong=True))
    return tuple(rows)


def _carried(cells: Iterable[Cell], names: Names, view: View) -> Table:
    sums: dict[tuple[str, str], Amount] = {}
    total = NOTHING
    for cell in cells:
        if cell.carried != NOTHING:
            place = (view.other(cell.key), cell.key.matter)
            sums[place] = sums.get(place, NOTHING) + cell.carried
            total += cell.carried
    rows = [
        Row((names.party(party), names.matter(matter), *_carried_figures(amount)))
        for (party, matter), amount in sorted(sums.items())[:LISTED_MAX]
    ]
    return Table(
        ("うち確定済み期間の調整", "Of which adjustments of frozen periods (yen)"),
        (*(Column(head, width=1) for head in view.heads), *(_FIGURES[index] for index in (0, 4, 5, 6))),
        (*rows, Row((("合計", "Total"), "", *_carried_figures(total)), strong=True)),
        small=True,
    )


def _carried_figures(amount: Amount) -> tuple[str, ...]:
    return tuple(number(value) for value in (amount.copies, amount.yen, amount.commission, amount.due_yen))


def _by_store(cells: Iterable[Cell], names: Names, view: View) -> Table:
    rows = tuple(
        Row(
            (
                names.party(view.other(cell.key))[0],
                names.matter(cell.key.matter)[0],
                cell.key.store,
                *_Sums().plus(cell).figures(),
            )
        )
        for cell in cells
    )
    return Table(
        ("店舗別明細", "By store (yen)"),
        (*(Column(head, width=1) for head in view.heads), Column(("店舗", "Store")), *_FIGURES),
        rows,
        small=True,
        new_page=True,
    )


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
