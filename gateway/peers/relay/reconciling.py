"""Reconciling a month (照合): a disclosure against the stores' reports and the relay's own outbox.

Both sides are put into a private file that is gone when it is closed, and are read side by side, so a month of any
size takes the same memory; there are ids, days and sums in it, and nothing about a resident. Adjustments of earlier,
frozen months are held against the relay's own notices, since no report of the month has them.

A disclosure names municipalities as the centre's parties and a store by its code; which is which is learnt from the
transactions that the relay knows of both.

Source: 000仕4-2; 001-4-2; DOMAIN I4.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from gateway.peers.relay import histories
from gateway.peers.relay.comparing import Sides, compare
from gateway.peers.relay.errors import RelayError
from gateway.peers.relay.store import Store
from gateway.peers.relay.store_reports import Faults, ReportLine, lines_of, read_report
from protocol.application import Transition
from protocol.disclosure import (
    Difference,
    Disclosure,
    Reconciliation,
    Row,
    Standing,
    digest,
    encode_disclosure,
    read_rows,
)
from protocol.settlement import NOTHING, Amount

_SCHEMA: Final = """
CREATE TABLE theirs (
    application BLOB PRIMARY KEY, request_id BLOB NOT NULL, cell INTEGER NOT NULL, copies INTEGER NOT NULL,
    yen INTEGER NOT NULL, commission INTEGER NOT NULL, deposited_us INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE carried (
    request_id BLOB PRIMARY KEY, application BLOB NOT NULL, cell INTEGER NOT NULL, copies INTEGER NOT NULL,
    yen INTEGER NOT NULL, commission INTEGER NOT NULL, deposited_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ours (
    application BLOB PRIMARY KEY, place TEXT NOT NULL, municipality TEXT NOT NULL, kind TEXT NOT NULL,
    store TEXT NOT NULL, copies INTEGER NOT NULL, yen INTEGER NOT NULL, deposited_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE own (
    application BLOB PRIMARY KEY, municipality TEXT NOT NULL, reports TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
_ADD_THEIRS: Final = """
INSERT INTO theirs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT DO UPDATE SET
    copies = copies + excluded.copies, yen = yen + excluded.yen, commission = commission + excluded.commission,
    request_id = iif(excluded.first < first, excluded.request_id, request_id),
    cell = iif(excluded.first < first, excluded.cell, cell), first = min(first, excluded.first),
    deposited_us = iif(excluded.last > last, excluded.deposited_us, deposited_us), last = max(last, excluded.last)
"""
_ADD_CARRIED: Final = """
INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    copies = copies + excluded.copies, yen = yen + excluded.yen, commission = commission + excluded.commission
"""
_BOTH: Final = """
SELECT k.application, o.municipality, o.kind, o.store, o.copies, o.yen, o.deposited_us,
    t.cell, t.copies, t.yen, t.deposited_us, t.commission, t.request_id
FROM (SELECT application FROM ours UNION SELECT application FROM theirs ORDER BY 1) k
LEFT JOIN ours o ON o.application = k.application
LEFT JOIN theirs t ON t.application = k.application AND (t.copies <> 0 OR t.yen <> 0 OR t.last = ?)
"""
"""What comes to nothing without a void was moved out of the month, and is not in it."""
_OWN_WEIGHT: Final = 1_000
"""What the relay took over counts before what stores write."""
_VOIDED: Final = 1_000
"""A void is the last that happens to an application, whatever its number."""


class NotReconcilable(RelayError):  # noqa: N818 - named after the fact
    """A disclosure that this relay cannot hold against anything: another operator's, or not of a month."""

    code = "not-reconcilable"


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The result, and how much was compared: transactions of the month, and adjustments of earlier ones."""

    reconciliation: Reconciliation
    transactions: int
    adjustments: int


def reconcile(
    store: Store, disclosure: Disclosure, rows: BinaryIO, *, reports: Path | None, operator: str, by: str, now_us: int
) -> Reconciled:
    """Hold a verified disclosure and its rows against the reports in a directory; None: against the relay's own data.

    Raises: NotReconcilable, ReportsRefused, DisclosureError, StoreFailed, OSError.
    """
    if disclosure.party != operator:
        raise NotReconcilable(f"{disclosure.party} の開示データです / the disclosure is of {disclosure.party}")
    try:
        bounds = histories.month_bounds(disclosure.period)
    except ValueError as error:
        raise NotReconcilable(f"{disclosure.period} は月ではありません / it is not of a month") from error
    with closing(sqlite3.connect("")) as scratch:
        scratch.executescript(_SCHEMA)
        _load_theirs(scratch, read_rows(rows, disclosure))
        _load_own(scratch, store, bounds)
        if reports is None:
            _load_ours(scratch, _placed(lines_of(histories.of_month(store, *bounds), *bounds)), Faults())
        else:
            _load_reports(scratch, store, reports, disclosure.period)
        return _Comparison(scratch, store, disclosure, bounds).result(operator, by, now_us)


def _load_theirs(scratch: sqlite3.Connection, rows: Iterable[Row]) -> None:
    for row in rows:
        sums = (row.copies, row.yen, row.commission, row.deposited_at_us)
        if row.carried:
            scratch.execute(_ADD_CARRIED, (row.request_id, row.application, row.cell, *sums))
        else:
            place = _VOIDED if row.transition == Transition.VOIDED else row.transition
            scratch.execute(_ADD_THEIRS, (row.application, row.request_id, row.cell, *sums, place))


def _load_own(scratch: sqlite3.Connection, store: Store, bounds: tuple[int, int]) -> None:
    """What the relay knows: an application's municipality, and the store that is to report it ("" for none)."""
    for each in histories.of_month(store, *bounds):
        told = next(lines_of([each], *bounds), None)
        reports = each.store if told is not None and (told.copies or told.yen) else ""
        scratch.execute("INSERT INTO own VALUES (?, ?, ?)", (each.application, each.municipality, reports))


def _placed(lines: Iterable[ReportLine]) -> Iterator[tuple[str, int, ReportLine]]:
    for number, line in enumerate(lines, start=1):
        yield "", number, line


def _load_reports(scratch: sqlite3.Connection, store: Store, reports: Path, period: str) -> None:
    """Take the reports of all stores, or none. Raises: ReportsRefused, OSError."""
    faults = Faults()
    stores = frozenset(row[0] for row in store.rows("SELECT store FROM kiosks UNION SELECT store FROM dealings"))
    files = sorted(reports.glob("*.csv"))
    _load_ours(
        scratch,
        (
            (path.name, number, line)
            for path in files
            for number, line in read_report(path, faults, period=period, stores=stores)
        ),
        faults,
    )
    if not faults.count:  # a file that was not read says nothing about what is missing
        missing = "SELECT reports FROM own WHERE reports <> '' EXCEPT SELECT store FROM ours ORDER BY 1"
        for (name,) in scratch.execute(missing):
            faults.add(str(reports), 0, f"取扱店 {name} の実績がありません", f"the report of store {name} is missing")
    faults.check()


def _load_ours(scratch: sqlite3.Connection, lines: Iterable[tuple[str, int, ReportLine]], faults: Faults) -> None:
    for file, number, line in lines:
        values = (line.municipality, line.kind, line.store, line.copies - line.refunded_copies)
        added = scratch.execute(
            "INSERT INTO ours VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (line.application, f"{file}:{number}", *values, line.yen - line.refunded_yen, line.deposited_us),
        ).rowcount
        if not added:
            known = scratch.execute("SELECT place FROM ours WHERE application = ?", (line.application,)).fetchone()
            faults.add(file, number, f"{known[0]} と重複しています", f"the transaction stands in {known[0]} too")


class _Comparison:
    """Both sides, loaded."""

    def __init__(
        self, scratch: sqlite3.Connection, store: Store, disclosure: Disclosure, bounds: tuple[int, int]
    ) -> None:
        self._scratch = scratch
        self._store = store
        self._disclosure = disclosure
        self._bounds = bounds
        self._codes = self._learnt()
        self._rate = self._usual_rate()
        self._ours = NOTHING
        self._transactions = self._adjustments = 0

    def result(self, operator: str, by: str, now_us: int) -> Reconciled:
        found = [*self._of_month(), *self._of_earlier()]
        return Reconciled(
            reconciliation=Reconciliation(
                party=operator,
                period=self._disclosure.period,
                disclosure_digest=digest(encode_disclosure(self._disclosure)),
                made_us=now_us,
                by=by,
                agreed=not found,
                differences=tuple(found),
                ours=self._ours,
            ),
            transactions=self._transactions,
            adjustments=self._adjustments,
        )

    def _of_month(self) -> Iterator[Difference]:
        for row in self._scratch.execute(_BOTH, (_VOIDED,)):
            application, municipality, kind, store, copies, yen, deposited_us = row[:7]
            theirs, commission, request_id = row[7:11], row[11], row[12]
            self._transactions += 1
            mine = None
            if municipality is not None:
                mine = Standing(municipality, kind, store, copies, yen, histories.day_of(deposited_us))
            other = None if theirs[0] is None else self._standing(*theirs)
            if mine is not None:
                same = other is not None and other.copies == mine.copies
                due = commission if same else mine.copies * self._rate
                self._ours += Amount(1, mine.copies, mine.yen, due)
            if mine == other:
                continue
            yield from self._differences(application, mine, other, request_id or b"")

    def _of_earlier(self) -> Iterator[Difference]:
        """Adjustments: what each request adds to frozen months, here and there."""
        for request_id, application, cell, copies, yen, commission, deposited_us in self._scratch.execute(
            "SELECT * FROM carried ORDER BY application, request_id"
        ):
            self._adjustments += 1
            theirs = self._standing(cell, copies, yen, deposited_us)
            history = histories.of_request(self._store, request_id)
            mine = None
            if history is not None:
                booked = [
                    each
                    for each in history.bookings()
                    if each.request_id == request_id and each.deposited_us < self._bounds[0]
                ]
                own = (sum(each.copies for each in booked), sum(each.yen for each in booked))
                due = commission if own[0] == copies else own[0] * self._rate
                self._ours += Amount(1, *own, due)
                mine = theirs._replace(copies=own[0], yen=own[1])
            if mine != theirs:
                sides = Sides(application=application, ours=mine, theirs=theirs, request_id=request_id, history=history)
                yield from compare(sides, made_us=self._disclosure.made_us)

    def _differences(
        self, application: bytes, ours: Standing | None, theirs: Standing | None, request_id: bytes
    ) -> Iterator[Difference]:
        history = histories.of_application(self._store, application)
        sides = Sides(application=application, ours=ours, theirs=theirs, request_id=request_id, history=history)
        return compare(sides, made_us=self._disclosure.made_us)

    def _standing(self, cell: int, copies: int, yen: int, deposited_us: int) -> Standing:
        key = self._disclosure.cells[cell].key
        municipality = self._codes.get(key.counterparty, key.counterparty)
        return Standing(municipality, key.matter, key.store, copies, yen, histories.day_of(deposited_us))

    def _learnt(self) -> dict[str, str]:
        """The code of each municipality's party: the one that most of its transactions have, at the relay or here."""
        votes: dict[tuple[str, str], int] = {}
        cells = self._disclosure.cells
        for cell, own, ours, count in self._scratch.execute(
            "SELECT t.cell, w.municipality, o.municipality, count(*) FROM theirs t"
            " LEFT JOIN own w ON w.application = t.application LEFT JOIN ours o ON o.application = t.application"
            " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ):
            if code := own or ours:
                place = (cells[cell].key.counterparty, code)
                votes[place] = votes.get(place, 0) + (count * _OWN_WEIGHT if own else count)
        learnt: dict[str, str] = {}
        for (party, code), _ in sorted(votes.items(), key=lambda item: (item[1], item[0])):
            learnt[party] = code
        return learnt

    def _usual_rate(self) -> int:
        """The commission for a copy, as most sales of the disclosure have it; 0 where it has none."""
        row = self._scratch.execute(
            "SELECT commission / copies FROM theirs WHERE copies > 0 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchone()
        return 0 if row is None else row[0]
