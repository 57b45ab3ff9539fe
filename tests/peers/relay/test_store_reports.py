"""Store reports: what is written is read again, and one line that is wrong refuses all, each named with its reason."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.peers.relay import histories
from gateway.peers.relay.errors import RelayError
from gateway.peers.relay.reconciling import reconcile
from gateway.peers.relay.store_reports import (
    COLUMNS,
    FAULTS_MAX,
    Faults,
    ReportLine,
    ReportsRefused,
    as_csv,
    lines_of,
    read_report,
    write_reports,
)
from gateway.settlement.windows import midnight_us
from tests.peers.relay.kit import NOW_US, OPERATOR
from tests.peers.relay.month_kit import NOVEMBER, made_month

START_US = midnight_us(NOVEMBER.first)
STORES = frozenset({"store-1", "store-2", "=store"})


def line(n=1, **fields):
    values = {
        "application": n.to_bytes(16, "big"), "store": "store-1", "deposited_us": START_US + n * 1_000_000,
        "store_day": "2026-11-01", "municipality": "121002", "kind": "juminhyo", "copies": 2, "yen": 600,
        "refunded_copies": 0, "refunded_yen": 0,
    }  # fmt: skip
    return ReportLine(**{**values, **fields})


def read(tmp_path, data, *, name="report.csv", faults=None):
    """The lines of a report, and what is wrong with it."""
    faults = Faults() if faults is None else faults
    (tmp_path / name).write_bytes(data)
    found = [each for _, each in read_report(tmp_path / name, faults, period="2026-11", stores=STORES)]
    try:
        faults.check()
    except ReportsRefused as refused:
        return found, refused.faults
    return found, []


@given(st.lists(st.integers(1, 10_000), unique=True, max_size=20), st.booleans(), st.sampled_from([0, 2]))
def test_what_is_written_is_read_again_with_or_without_a_byte_order_mark(tmp_path_factory, numbers, bom, refunded):
    lines = [line(n, refunded_copies=refunded, refunded_yen=300 * refunded) for n in numbers]
    data = as_csv(lines)
    assert data.startswith(codecs.BOM_UTF8)
    data = data if bom else data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    assert read(tmp_path_factory.mktemp("reports"), data) == (lines, [])


def test_a_store_whose_name_a_spreadsheet_takes_for_a_formula_comes_through(tmp_path):
    lines = [line(store="=store")]
    assert b"'=store" in as_csv(lines)
    assert read(tmp_path, as_csv(lines)) == (lines, [])


def _changed(before, after, data=None):
    data = (as_csv([line(1), line(2)]) if data is None else data).decode()
    assert before in data
    return data.replace(before, after, 1).encode()


GOOD = as_csv([line(1), line(2)])


@pytest.mark.parametrize(
    ("data", "number", "said"),
    [
        (GOOD.decode("utf-8-sig").encode("shift_jis"), 1, "not UTF-8"),
        (GOOD.decode("utf-8-sig").encode("utf-16"), 1, "not UTF-8"),
        (b"", 0, "totals are missing"),
        (_changed("通数,", ""), 1, "columns are to be"),
        (_changed("juminhyo,2,600,0,0", "juminhyo,2,600,0"), 2, "9 columns"),
        (_changed("juminhyo,2,600,0,0", 'juminhyo,2,"600,0,0'), 2, "no CSV"),
        (_changed("juminhyo,2,600", "juminhyo,2,600.0"), 2, "手数料(円) is a whole number"),
        (_changed("juminhyo,2,600", "juminhyo,２,600"), 2, "通数 is a whole number"),
        (_changed("juminhyo,2,600", "juminhyo,-2,600"), 2, "通数 is a whole number"),
        (_changed("juminhyo", "passport"), 2, "no such kind"),
        (_changed("121002", "12100"), 2, "6 digits"),
        (_changed("2026-11-01,121002", "2026/11/01,121002"), 2, "a day as"),
        (_changed("2026-11-01,121002", "2026-11-31,121002"), 2, "no day 2026-11-31"),
        (_changed("00:00:01+09:00", "00:00:01"), 2, "a time as"),
        (_changed("2026-11-01T00:00:01+09:00", "2026-10-31T23:59:59+09:00"), 2, "not in 2026-11"),
        (_changed("2026-11-01T00:00:01+09:00", "yesterday"), 2, "a time as"),
        (_changed("store-1,", "store-9,"), 2, "not one of this operator's"),
        (_changed("\r\nstore-1,", "\r\nstore-2,"), 3, "of another store than"),
        (_changed("00000001,", "0000000G,"), 2, "32 hexadecimal digits"),
        (_changed("juminhyo,2,600,0,0", "juminhyo,2,600,1,300"), 2, "a refund is of all copies"),
        (_changed("合計,2,", "合計,3,"), 4, "the lines come to 2 transactions, 4 copies, 1200 yen"),
        (_changed(",4,1200,0,0", ",4,1201,0,0"), 4, "the lines come to"),
        (_changed(",4,1200,0,0", ",4,1200,0"), 4, "the lines come to"),
        (GOOD.rsplit("合計".encode(), 1)[0], 3, "totals are missing"),
        (GOOD + b"store-1\r\n", 5, "after the totals"),
        (GOOD + b"\r\n", 5, "after the totals"),
        (_changed("juminhyo", "j" * 5_000), 2, "longer than"),
        (_changed("\r\n", "\r\n\r\n"), 2, "columns"),
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_named_with_its_reason(tmp_path, data, number, said):
    _, faults = read(tmp_path, data)
    assert faults[0].line == number
    assert said in faults[0].en
    assert faults[0].ja
    assert faults[0].ja != faults[0].en


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_breaks(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("reports")
    assert read(directory, data)[1]
    assert read(directory, GOOD[:-40] + data + b"\n")[1]


def test_every_wrong_line_is_named_and_more_than_a_thousand_are_counted(tmp_path):
    lines = [line(n, kind="passport") for n in range(1, FAULTS_MAX + 20)]
    faults = Faults()
    _, named = read(tmp_path, as_csv(lines), faults=faults)
    assert len(named) == FAULTS_MAX
    assert faults.count == FAULTS_MAX + 19
    with pytest.raises(ReportsRefused, match="19 more"):
        faults.check()


# --- all reports of a month


@pytest.fixture
def m(tmp_path):
    (tmp_path / "relay").mkdir()
    with made_month(tmp_path / "relay") as made:
        yield made


def _reports(m, directory):
    bounds = histories.month_bounds("2026-11")
    return write_reports(lines_of(histories.of_month(m.store, *bounds), *bounds), directory, period="2026-11")


def _reconcile(m, directory):
    disclosure, rows = m.disclosure()
    return reconcile(m.store, disclosure, rows, reports=directory, operator=OPERATOR, by="x", now_us=NOW_US)


def test_one_file_a_store_and_the_same_bytes_again(m, tmp_path):
    for name in ("kiosk-2", "kiosk-1", "kiosk-2"):
        m.sale(at_us=START_US + 1_000_000, name=name)
    files = _reports(m, tmp_path / "reports")
    assert [file.name for file in files] == ["2026-11-store-1.csv", "2026-11-store-2.csv"]
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in _reports(m, tmp_path / "reports")] == before
    assert before[1].count(b"store-2,") == 2


def test_a_refund_stands_in_its_columns_and_a_correction_shows_what_it_says(m, tmp_path):
    refunded, corrected = (m.sale(at_us=START_US + 1_000_000, copies=2) for _ in range(2))
    m.void(refunded)
    m.correct(corrected, copies=3, at_us=START_US + 86_400_000_000)
    (file,) = _reports(m, tmp_path)
    _, one, other, totals, _ = file.read_bytes().decode("utf-8-sig").split("\r\n")
    assert one.endswith(",2026-11-01,121002,juminhyo,2,600,2,600")
    assert other.endswith("T00:00:00+09:00,2026-11-02,121002,juminhyo,3,900,0,0")
    assert totals == "合計,2,,,,,5,1500,2,600"


def test_a_transaction_reported_twice_refuses_all_reports_and_names_both_places(m, tmp_path):
    m.sale(at_us=START_US + 1_000_000)
    (file,) = _reports(m, tmp_path / "reports")
    (tmp_path / "reports" / "again.csv").write_bytes(file.read_bytes())
    with pytest.raises(ReportsRefused) as refused:
        _reconcile(m, tmp_path / "reports")
    (fault,) = refused.value.faults
    assert (fault.file, fault.line) == ("again.csv", 2) or (fault.file, fault.line) == (file.name, 2)
    assert ":2 too" in fault.en
    assert isinstance(refused.value, RelayError)


def test_a_store_with_business_and_no_report_refuses_all_reports(m, tmp_path):
    m.sale(at_us=START_US + 1_000_000)
    m.sale(at_us=START_US + 1_000_000, name="kiosk-2")
    files = _reports(m, tmp_path / "reports")
    files[1].unlink()
    with pytest.raises(ReportsRefused, match="report of store store-2 is missing"):
        _reconcile(m, tmp_path / "reports")
    with pytest.raises(ReportsRefused, match="store-1 is missing"):
        _reconcile(m, tmp_path / "nothing")


def test_columns_are_those_that_are_written():
    assert as_csv([]).decode("utf-8-sig").split("\r\n")[:2] == [",".join(COLUMNS), "合計,0,,,,,0,0,0,0"]
