"""The lists of a document: cells added up along one axis or two, with sums, as tables.

What adjusts frozen periods is shown apart. The list by store follows where it is not too long; it is in the CSV always.
Source: 000仕4-1, 4-3; DOMAIN I3, I9, X 4, X 5.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from gateway.settlement.paper import Names
from gateway.settlement.papers.figures import number
from gateway.settlement.papers.setting import SUBTOTAL, TOTAL, Both, Column, Notes, Row, Table
from protocol.settlement import NOTHING, Amount, Cell, Key

LISTED_MAX: Final = 1_500
"""Most rows of a list; one that would be longer is left to the CSV, and the document says so."""
_TOTAL: Final[Both] = ("合計", "Total")
_SUBTOTAL: Final[Both] = ("小計", "Subtotal")
_NO_MATTER: Final[Both] = ("取消分(事務の記載なし)", "Disclaimed, of no affair")


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
_INQUIRIES: Final = (_BOOKINGS, _GROSS, _DISCLAIMED, _FEES)


class _Axis(NamedTuple):
    """By what cells are added up, and what its values are called."""

    head: Both
    of: Callable[[Key], str]
    name: Callable[[Names, str], Both]


_MUNICIPALITY: Final = _Axis(("市区町村", "Municipality"), lambda key: key.counterparty, Names.party)
_OPERATOR: Final = _Axis(("取扱事業者", "Operator"), lambda key: key.party, Names.party)
_USER: Final = _Axis(("利用機関", "User"), lambda key: key.party, Names.party)
_KIND: Final = _Axis(("証明書の種別", "Certificate"), lambda key: key.matter, Names.matter)
_AFFAIR: Final = _Axis(
    ("事務", "Affair"), lambda key: key.matter, lambda names, matter: names.matter(matter) if matter else _NO_MATTER
)


class View(NamedTuple):
    """From whose side cells are listed: along one axis, or two with a sum for each value of the first."""

    axes: tuple[_Axis, ...]
    figures: tuple[_Figure, ...]

    def key(self, key: Key) -> tuple[str, ...]:
        """Where a cell belongs."""
        return tuple(axis.of(key) for axis in self.axes)

    def labels(self, names: Names, place: Sequence[str]) -> tuple[Both, ...]:
        """What its places are called."""
        return tuple(axis.name(names, value) for axis, value in zip(self.axes, place, strict=True))

    def row(self, labels: Iterable[str | Both], sums: _Sums, level: int = 0) -> Row:
        """A row of a list."""
        return Row((*labels, *(number(each.of(sums)) for each in self.figures)), level)

    def table(self, heading: Both, rows: Iterable[Row]) -> Table:
        """A list."""
        heads = (Column(axis.head, width=1) for axis in self.axes)
        figures = (Column(each.head, right=True) for each in self.figures)
        return Table(heading, (*heads, *figures), tuple(rows), small=True)


def view_of(role: str, *, passed_on: bool = False) -> View:
    """How a centre's cells are listed for a party. passed_on: for the municipality, by operator."""
    if role != "certificate":
        return View((_AFFAIR,), _INQUIRIES)
    return View((_OPERATOR if passed_on else _MUNICIPALITY, _KIND), _CERTIFICATES)


def cell_lists(cells: Sequence[Cell], names: Names, view: View) -> Iterator[Table]:
    """The lists of a document's first pages: by the view, and what of it adjusts frozen periods."""
    yield _listed(("取扱実績", "Business of the period (yen)"), cells, names, view)
    if any(cell.carried != NOTHING for cell in cells):
        yield _carried(cells, names, view)


def whole_lists(cells: Sequence[Cell], names: Names, role: str) -> Iterator[Table]:
    """The lists of a statement of the whole centre: by every axis, and by the two parties of each cell."""
    if role != "certificate":
        yield _listed(("利用機関別", "By user (yen)"), cells, names, View((_USER,), _INQUIRIES))
        yield _listed(("事務別", "By user and affair (yen)"), cells, names, View((_USER, _AFFAIR), _INQUIRIES))
        return
    for heading, axes in (
        (("事業者別", "By operator (yen)"), (_OPERATOR,)),
        (("市区町村別", "By municipality (yen)"), (_MUNICIPALITY,)),
        (("種別ごと", "By certificate (yen)"), (_KIND,)),
        (("事業者・市区町村別", "By operator and municipality (yen)"), (_OPERATOR, _MUNICIPALITY)),
    ):
        yield _listed(heading, cells, names, View(axes, _CERTIFICATES))
    if any(cell.carried != NOTHING for cell in cells):
        yield _carried(cells, names, View((_OPERATOR, _MUNICIPALITY), _CERTIFICATES))


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
        labels = (label[0] for label in view.labels(names, view.key(cell.key)))
        rows.append(view.row((cell.key.store, *labels), _Sums().plus(cell)))
    table = view.table(("店舗別明細", "By store (yen)"), rows)
    yield msgspec.structs.replace(table, columns=(Column(("店舗", "Store")), *table.columns))


def _listed(heading: Both, cells: Iterable[Cell], names: Names, view: View) -> Table:
    """A list, along fewer axes where it would be too long."""
    sums: dict[tuple[str, ...], _Sums] = {}
    for cell in cells:
        place = view.key(cell.key)
        sums[place] = sums.get(place, _Sums()).plus(cell)
    if len(sums) > LISTED_MAX and len(view.axes) > 1:
        return _listed(heading, cells, names, view._replace(axes=view.axes[:1]))
    return view.table(heading, _rows(sums if len(sums) <= LISTED_MAX else {}, _added(sums.values()), names, view))


def _carried(cells: Iterable[Cell], names: Names, view: View) -> Table:
    sums: dict[tuple[str, ...], _Sums] = {}
    for cell in cells:
        if cell.carried != NOTHING:
            place = view.key(cell.key)
            sums[place] = _Sums(sums.get(place, _Sums()).net + cell.carried)
    of_net = view._replace(figures=tuple(each for each in view.figures if each.net))
    shown = sums if len(sums) <= LISTED_MAX else {}
    heading = ("うち確定済み期間の調整", "Of which adjustments of frozen periods (yen)")
    return of_net.table(heading, _rows(shown, _added(sums.values()), names, of_net))


def _rows(sums: dict[tuple[str, ...], _Sums], total: _Sums, names: Names, view: View) -> Iterator[Row]:
    """Rows in the order of their places; the first axis' English name stands once, its Japanese in each row."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for place in sorted(sums):
        groups.setdefault(place[0], []).append(place)
    for places in groups.values():
        for index, place in enumerate(places):
            first, *rest = view.labels(names, place)
            yield view.row((first[0] if index else first, *rest), sums[place])
        if len(places) > 1 and len(groups) > 1:
            first, *_ = view.labels(names, places[0])
            yield view.row((first[0], _SUBTOTAL), _added(sums[place] for place in places), SUBTOTAL)
    yield view.row((_TOTAL, *("" for _ in view.axes[1:])), total, TOTAL)


def _added(sums: Iterable[_Sums]) -> _Sums:
    total = _Sums()
    for each in sums:
        total = _Sums(*(mine + its for mine, its in zip(total, each, strict=True)))
    return total
