"""Cells of a statement as JSON, as CSV, and as the lists of a document.

On paper cells are added up over their stores, with a sum for each counterparty; the list by store follows where it is
not too long, and is in the CSV always. Source: 000仕4-1; DOMAIN I3, X 4, X 5.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple

from gateway.settlement import sheet
from gateway.settlement.paper import Names
from gateway.settlement.papers.figures import number
from gateway.settlement.papers.setting import Both, Column, Row, Table
from protocol.invoice import DocumentKind, Invoice
from protocol.settlement import NOTHING, Amount, Cell

LISTED_MAX: Final = 1_500
"""Most rows of the list by store; beyond it a document names the CSV instead."""
CSV_COLUMNS: Final = (
    "number",
    "party",
    "party_name",
    "counterparty",
    "counterparty_name",
    "matter",
    "matter_name",
    "store",
    "terms",
    *(
        f"{column}_{what}"
        for column in ("sold", "voided", "corrected", "moved", "net", "carried")
        for what in ("entries", "copies", "yen", "commission")
    ),
    "due_yen",
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

    def figures(self) -> tuple[str, ...]:
        return (
            number(self.net.copies),
            number(self.sold.yen),
            number(self.voided.yen),
            number(self.corrected.yen),
            number(self.net.yen),
            number(self.net.commission),
            number(self.net.due_yen),
        )


_FIGURES: Final = tuple(
    Column(head, right=True)
    for head in (
        ("通数", "Copies"),
        ("手数料", "Gross"),
        ("返金", "Refunds"),
        ("訂正", "Corrected"),
        ("手数料計", "Fees, net"),
        ("委託手数料", "Commission"),
        ("差引額", "Balance"),
    )
)


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
            **{name: _amount(amount) for name, amount in _columns(cell)},
            "due_yen": cell.net.due_yen,
        }
        for cell in cells
    ]


def cells_csv(cells: Iterable[Cell], names: Names, *, number: str) -> bytes:
    """Cells as a table, a line each. number: of the document, on each line."""
    return sheet.BOM + sheet.lines([CSV_COLUMNS, *(_csv_row(cell, names, number) for cell in cells)])


def cell_lists(invoice: Invoice, names: Names) -> Iterator[Table]:
    """The lists of a document: by counterparty and matter, then by store."""
    cells = invoice.cells
    passed_on = invoice.kind == DocumentKind.STATEMENT

    def other(cell: Cell) -> str:
        return cell.key.party if passed_on else cell.key.counterparty

    heads = (("取扱事業者", "Operator") if passed_on else ("市区町村", "Municipality"), ("種別", "Matter"))
    yield _summary(cells, names, other=other, heads=heads)
    if any(cell.key.store for cell in cells) and len(cells) <= LISTED_MAX:
        yield _by_store(cells, names, other=other, heads=heads)


def _summary(cells: Iterable[Cell], names: Names, *, other: Callable[[Cell], str], heads: tuple[Both, Both]) -> Table:
    rows: list[Row] = []
    total = _Sums()
    for party, group in groupby(sorted(cells, key=other), key=other):
        matters: dict[str, _Sums] = {}
        subtotal = _Sums()
        for cell in group:
            matters[cell.key.matter] = matters.get(cell.key.matter, _Sums()).plus(cell)
            subtotal, total = subtotal.plus(cell), total.plus(cell)
        rows += [
            Row((names.party(party), names.matter(matter), *sums.figures())) for matter, sums in sorted(matters.items())
        ]
        if len(matters) > 1:
            rows.append(Row((names.party(party), ("小計", "Subtotal"), *subtotal.figures()), strong=True))
    rows.append(Row((("合計", "Total"), "", *total.figures()), strong=True))
    return Table(
        ("取扱実績", "Business of the period (yen)"),
        (*(Column(head, width=1) for head in heads), *_FIGURES),
        tuple(rows),
        small=True,
    )


def _by_store(cells: Iterable[Cell], names: Names, *, other: Callable[[Cell], str], heads: tuple[Both, Both]) -> Table:
    rows = tuple(
        Row(
            (
                names.party(other(cell))[0],
                names.matter(cell.key.matter)[0],
                cell.key.store,
                *_Sums().plus(cell).figures(),
            )
        )
        for cell in cells
    )
    return Table(
        ("店舗別明細", "By store (yen)"),
        (*(Column(head, width=1) for head in heads), Column(("店舗", "Store")), *_FIGURES),
        rows,
        small=True,
        new_page=True,
    )


def _columns(cell: Cell) -> tuple[tuple[str, Amount], ...]:
    return (
        ("sold", cell.sold),
        ("voided", cell.voided),
        ("corrected", cell.corrected),
        ("moved", cell.moved),
        ("net", cell.net),
        ("carried", cell.carried),
    )


def _amount(amount: Amount) -> dict[str, int]:
    return {
        "entries": amount.entries,
        "copies": amount.copies,
        "yen": amount.yen,
        "commission": amount.commission,
    }


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
        *(value for _, amount in _columns(cell) for value in _amount(amount).values()),
        cell.net.due_yen,
    )
