"""The export for auditors: a file that any office opens, out of which every cell of the statement is added up again."""

import csv
import io
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settlement import export as module
from gateway.settlement.entries import bookings
from gateway.settlement.export import COLUMNS, TOTALS, export, heading, lines
from gateway.settlement.reading import ProjectionBehind, read_statement
from gateway.settlement.sheet import BOM
from gateway.settlement.statements import NotConserved, add_up
from gateway.settlement.windows import Cut, Window
from gateway.store.pool import open_database
from gateway.store.settlement import open_settlement
from protocol.settlement import Amount, Key
from tests.settlement.building import NOVEMBER, STREAMS, cuts, entry, histories, insert, windows

OPEN = Window(NOVEMBER)


def read(data):
    """The file's lines by column, as office software reads it."""
    assert data.startswith(BOM)
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def totals(data):
    """What an auditor's own database makes of the file by the documented query."""
    database = sqlite3.connect(":memory:")
    numbers = {"height", "index", "carried", "copies", "yen", "commission", "terms"}
    columns = ", ".join(f'"{name}" {"INTEGER" if name in numbers else "TEXT"}' for name in COLUMNS)
    database.execute(f"CREATE TABLE export ({columns})")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))[1:]
    database.executemany(f"INSERT INTO export VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    found = {Key(*row[:4]): (Amount(*row[4:8]), row[8]) for row in database.execute(TOTALS)}
    database.close()
    return found


def cells(statement):
    return {cell.key: (cell.net, cell.net.due_yen) for cell in statement.cells}


@given(st.data())
def test_the_documented_query_gives_every_cell_of_the_statement(data):
    rows = data.draw(histories())
    for window in windows(*data.draw(cuts(rows))):
        assert totals(heading() + lines(rows, window)) == cells(add_up(rows, window))


def test_a_line_says_whose_booking_it_is_when_and_where_it_stands():
    (line,) = read(heading() + lines([entry(1, height=3, index=2, copies=2, yen=600, commission=230)], OPEN))
    assert line == {
        "period": "2026-11", "stream": STREAMS[0].hex(), "height": "3", "index": "2",
        "request_id": (1).to_bytes(16, "big").hex(), "application": (500_001).to_bytes(16, "big").hex(),
        "recorded_at": "2026-11-02T00:00:00.000001+09:00", "settled_at": "2026-11-02T00:00:00.000001+09:00",
        "store_day": "2026-11-02", "party": "operator-1", "counterparty": "chiba", "matter": "juminhyo",
        "store": "0042", "kiosk": "kiosk-1", "column": "sold", "carried": "0", "copies": "2", "yen": "600",
        "commission": "230", "terms": "1",
    }  # fmt: skip


def test_lines_end_as_office_software_wants_them_and_no_text_is_a_formula():
    data = lines([entry(1, store="=1+1", kiosk='a,"b"', party="@x")], OPEN)
    assert data.endswith(b"\r\n")
    assert data.count(b"\n") == 1
    (line,) = read(heading() + data)
    assert (line["store"], line["kiosk"], line["party"]) == ("'=1+1", 'a,"b"', "'@x")


def test_an_adjustment_of_an_earlier_month_is_marked():
    old = entry(1, height=9, deposited_at_us=OPEN.start_us - 1)
    (line,) = read(heading() + lines([old], Window(NOVEMBER, previous=Cut({STREAMS[0]: 9}))))
    assert (line["carried"], line["period"], line["settled_at"][:10]) == ("1", "2026-11", "2026-10-31")


@pytest.mark.guest
async def test_it_is_written_while_the_ledger_is_read_and_held_against_the_statement(database_dsn, monkeypatch):
    rows = [entry(n, height=n, index=0, store=str(n % 7)) for n in range(300)]
    monkeypatch.setattr("gateway.store.settlement.ROWS_A_FETCH", 64)
    await insert(database_dsn, rows)
    async with open_database(database_dsn.ops, size=1, role="test") as ops:
        async with open_settlement(ops) as reader:
            pieces = [piece async for piece in export(reader, OPEN)]
            statement = await read_statement(reader, OPEN)
        data = b"".join(pieces)
        assert len(pieces) == 1 + 5
        assert [line["height"] for line in read(data)] == [str(n) for n in range(300)]
        assert totals(data) == cells(statement)
        with monkeypatch.context() as lost:
            lost.setattr(module, "taken", lambda row, _: [] if row.height == 5 else list(bookings(row)))
            async with open_settlement(ops) as reader:
                with pytest.raises(NotConserved, match="the lines of the export"):
                    _ = [piece async for piece in export(reader, OPEN)]
        async with open_settlement(ops) as reader:
            with pytest.raises(ProjectionBehind):
                _ = [piece async for piece in export(reader, Window(NOVEMBER, Cut({STREAMS[0]: 1})))]
