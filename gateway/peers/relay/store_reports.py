"""Store reports (取扱店実績): what each store took in a month, one line a transaction, as CSV; written here and read.

A report is UTF-8, with or without a byte order mark, one file a store, named as one likes. First the line of column
names, then a line for each transaction whose deposit (入金日) is in the month, last the totals:

    取扱店,取引番号,入金日時,営業日,市区町村コード,種別,通数,手数料(円),返金通数,返金(円)
    store-1,0198…(32 hexadecimal digits),2026-11-02T10:15:00+09:00,2026-11-02,121002,juminhyo,2,600,0,0
    合計,1,,,,,2,600,0,0

A refund (返金済・無効) is of all copies (H2) and stands in columns of its own. Reports are taken whole or not at all:
one line that is wrong refuses them all, and every line that is wrong is named with its reason.

Source: 000仕3-7, 4-2; DOMAIN H2, I4.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from gateway.peers.relay.errors import RelayError
from gateway.peers.relay.histories import History, day_of, in_japan, micros
from gateway.peers.relay.totals import BOM
from protocol.certificates import KINDS

COLUMNS: Final = (
    "取扱店",
    "取引番号",
    "入金日時",
    "営業日",
    "市区町村コード",
    "種別",
    "通数",
    "手数料(円)",
    "返金通数",
    "返金(円)",
)
TOTAL: Final = "合計"
LINE_BYTES_MAX: Final = 4096
FAULTS_MAX: Final = 1_000
"""So many are listed; more are counted."""
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_PATTERNS: Final = (
    ("取引番号", re.compile(r"[0-9a-f]{32}"), "32 hexadecimal digits", "16進32桁"),
    ("営業日", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "a day as 2026-11-02", "2026-11-02 の形の日付"),
    ("市区町村コード", re.compile(r"[0-9]{6}"), "6 digits", "数字6桁"),
    *((name, _NUMBER, "a whole number, 0 or more", "0以上の整数") for name in COLUMNS[6:]),
)


class ReportLine(NamedTuple):
    """One transaction of a store: copies and yen as taken, and what of them was refunded."""

    application: bytes
    store: str
    deposited_us: int
    store_day: str
    municipality: str
    kind: str
    copies: int
    yen: int
    refunded_copies: int
    refunded_yen: int


class LineFault(msgspec.Struct, frozen=True):
    """What is wrong with a line of a report, 0 for the file as a whole."""

    file: str
    line: int
    ja: str
    en: str


class ReportsRefused(RelayError):  # noqa: N818 - named after the fact
    """No report was taken. faults: the first lines that are wrong; count: how many there are."""

    code = "reports-refused"

    def __init__(self, faults: list[LineFault], count: int) -> None:
        lines = "".join(f"\n{each.file}:{each.line}: {each.ja} / {each.en}" for each in faults)
        more = f"\n… {count - len(faults)} more" if count > len(faults) else ""
        super().__init__(
            f"店舗実績を受け付けません。{count}件の誤りを直してください / no report was taken; correct {count} lines"
            f"{lines}{more}"
        )
        self.faults = faults
        self.count = count


class Faults:
    """Gathers what is wrong."""

    def __init__(self) -> None:
        self._first: list[LineFault] = []
        self.count = 0

    def add(self, file: str, line: int, ja: str, en: str) -> None:
        """One more; beyond FAULTS_MAX only counted."""
        self.count += 1
        if len(self._first) < FAULTS_MAX:
            self._first.append(LineFault(file, line, ja, en))

    def check(self) -> None:
        """Raises: ReportsRefused when there is any."""
        if self.count:
            raise ReportsRefused(self._first, self.count)


def read_report(path: Path, faults: Faults, *, period: str, stores: frozenset[str]) -> Iterator[tuple[int, ReportLine]]:
    """The transactions of one report with their line numbers; what is wrong goes to `faults`, and is not given.

    period: YYYY-MM; stores: the operator's. Raises: OSError.
    """
    with path.open("rb") as file:
        yield from _Reader(path.name, faults, period, stores).read(file)


class _Wrong(Exception):  # noqa: N818 - of one line
    """A line that is wrong."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja
        self.en = en


class _Reader:
    """One report while it is read."""

    def __init__(self, name: str, faults: Faults, period: str, stores: frozenset[str]) -> None:
        self._name = name
        self._faults = faults
        self._period = period
        self._stores = stores
        self._store = ""
        self._sums = [0] * 5
        self._before = faults.count

    def read(self, file: io.BufferedReader) -> Iterator[tuple[int, ReportLine]]:
        number, ended = 0, False
        while raw := file.readline(LINE_BYTES_MAX):
            number += 1
            try:
                cells = _cells(raw, first=number == 1)
                if number == 1:
                    _check_columns(cells)
                    continue
                if ended:
                    raise _Wrong("合計の行の後に行があります", "there is a line after the totals")
                if cells[0] == TOTAL:
                    ended = True
                    self._check_totals(cells)
                    continue
                yield number, self._line(cells)
            except _Wrong as wrong:
                self._faults.add(self._name, number, wrong.ja, wrong.en)
                if number == 1:  # of another form altogether: every line would say so
                    return
        if not ended:
            self._faults.add(self._name, number, "合計の行がありません", "the totals are missing at the end")

    def _line(self, cells: list[str]) -> ReportLine:
        if len(cells) != len(COLUMNS):
            raise _Wrong(f"{len(COLUMNS)}列ではなく{len(cells)}列です", f"{len(cells)} columns, not {len(COLUMNS)}")
        named = dict(zip(COLUMNS, cells, strict=True))
        for column, pattern, form, form_ja in _PATTERNS:
            if not pattern.fullmatch(named[column]):
                raise _Wrong(f"{column}は{form_ja}で書いてください", f"{column} is {form}")
        copies, yen, refunded_copies, refunded_yen = (int(cell) for cell in cells[6:])
        self._sums = [a + b for a, b in zip(self._sums, (1, copies, yen, refunded_copies, refunded_yen), strict=True)]
        deposited_us = _time(cells[2])
        _check_day(cells[3])
        self._check_own(cells[0], day_of(deposited_us), cells[5])
        if (refunded_copies, refunded_yen) not in ((0, 0), (copies, yen)):
            raise _Wrong("返金は全通でなければなりません", "a refund is of all copies and all that was paid")
        return ReportLine(
            bytes.fromhex(cells[1]), cells[0], deposited_us, cells[3], cells[4], cells[5],
            copies, yen, refunded_copies, refunded_yen,
        )  # fmt: skip

    def _check_own(self, store: str, day: str, kind: str) -> None:
        self._store = self._store or store
        if store not in self._stores:
            raise _Wrong("この事業者の取扱店ではありません", "the store is not one of this operator's")
        if store != self._store:
            raise _Wrong("別の取扱店の行です", "the line is of another store than the file")
        if day[:7] != self._period:
            raise _Wrong(f"入金日が{self._period}ではありません", f"the deposit is not in {self._period}")
        if kind not in KINDS:
            raise _Wrong("証明書の種別が不明です", "there is no such kind of certificate")

    def _check_totals(self, cells: list[str]) -> None:
        if self._faults.count > self._before:
            return  # lines that were not taken are not added up
        if [cells[1], *cells[6:]] != [str(each) for each in self._sums] or len(cells) != len(COLUMNS):
            count, copies, yen, refunded_copies, refunded_yen = self._sums
            raise _Wrong(
                f"合計が行と一致しません(件数{count}、{copies}通、{yen}円、返金{refunded_copies}通、{refunded_yen}円)",
                f"the lines come to {count} transactions, {copies} copies, {yen} yen,"
                f" refunded {refunded_copies} copies, {refunded_yen} yen",
            )


def _cells(raw: bytes, *, first: bool) -> list[str]:
    if not raw.endswith(b"\n") and len(raw) == LINE_BYTES_MAX:
        raise _Wrong("行が長すぎます", f"the line is longer than {LINE_BYTES_MAX} bytes")
    try:
        text = raw.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
        found = next(csv.reader([text], strict=True)) or [""]
    except UnicodeDecodeError as error:
        raise _Wrong(
            "UTF-8ではありません。「CSV UTF-8」で保存してください", "not UTF-8: save it as CSV UTF-8"
        ) from error
    except csv.Error as error:
        raise _Wrong("CSVとして読めません", "the line is no CSV") from error
    return [cell[1:] if cell[:2] in ("'=", "'+", "'-", "'@") else cell for cell in found]


def _check_columns(cells: list[str]) -> None:
    if cells != list(COLUMNS):
        wanted = ",".join(COLUMNS)
        raise _Wrong(f"列は {wanted} でなければなりません", f"the columns are to be {wanted}")


def _check_day(text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise _Wrong(f"{text} という日はありません", f"there is no day {text}") from error


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _Wrong(
            "入金日時は 2026-11-02T10:15:00+09:00 の形で書いてください",
            "入金日時 is a time as 2026-11-02T10:15:00+09:00",
        )
    return micros(at)


def lines_of(histories: Iterable[History], start_us: int, end_us: int) -> Iterator[ReportLine]:
    """What the relay itself knows of a month's transactions, as stores report them: those with a deposit in it."""
    for each in histories:
        deposited_us = each.deposited_us
        if deposited_us is None or not start_us <= deposited_us < end_us:
            continue
        counted = [notice for notice in each.notices if notice.state != "refused"]
        taken = [notice for notice in counted if notice.deposited_us is not None]
        refunded = [notice for notice in counted if notice.deposited_us is None]
        yield ReportLine(
            each.application, each.store, deposited_us, each.store_day, each.municipality, each.kind,
            sum(one.copies for one in taken), sum(one.yen for one in taken),
            -sum(one.copies for one in refunded), -sum(one.yen for one in refunded),
        )  # fmt: skip


def write_reports(lines: Iterable[ReportLine], directory: Path, *, period: str) -> list[Path]:
    """One file a store, `<period>-<store>.csv`, from lines by store; the same lines give the same bytes.

    Raises: OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for store, found in groupby(lines, key=lambda line: line.store):
        path = directory / f"{period}-{quote(store, safe='')}.csv"
        path.write_bytes(as_csv(found))
        written.append(path)
    return written


def as_csv(lines: Iterable[ReportLine]) -> bytes:
    """One store's report."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    sums = [0] * 5
    for each in lines:
        at = in_japan(each.deposited_us)
        money = (each.copies, each.yen, each.refunded_copies, each.refunded_yen)
        store = f"'{each.store}" if each.store.startswith(("=", "+", "-", "@")) else each.store
        writer.writerow(
            [store, each.application.hex(), at.isoformat(), each.store_day, each.municipality, each.kind, *money]
        )
        sums = [a + b for a, b in zip(sums, (1, *money), strict=True)]
    writer.writerow([TOTAL, sums[0], "", "", "", "", *sums[1:]])
    return (BOM + out.getvalue()).encode()
