"""Statements: every entry in exactly one period, all sums equal, the same bytes again, whoever adds."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settlement.entries import EntryContradicted, bookings, taken
from gateway.settlement.periods import month, quarter
from gateway.settlement.reading import read_entries, read_ranges, read_statement, scope_of
from gateway.settlement.statements import NotConserved, add_up, from_sums, prove, whole_of
from gateway.settlement.windows import Cut, CutLower, Window, midnight_us
from gateway.store.pool import open_database
from gateway.store.settlement import Prior, open_settlement
from protocol.application import Transition
from protocol.ledger import EntryKind
from protocol.settlement import Amount, Column
from tests.settlement.building import COMMISSION, NOVEMBER, STREAMS, cuts, empty, entry, histories, insert, windows

OPEN = Window(NOVEMBER)


def _us(*day):
    return midnight_us(dt.date(*day))


def _moved(**fields):
    """A correction of the day alone: two copies of 300 yen that stood in October are November's."""
    values = {"transition": 11, "copies": 0, "yen": 0, "commission": 0, "deposited_at_us": _us(2026, 11, 1)}
    values["prior"] = Prior(_us(2026, 10, 31), 2, 600, 2 * COMMISSION)
    return entry(7, **{**values, **fields})


def test_a_month_is_japans():
    window = OPEN
    assert window.start_us == _us(2026, 11, 1) == 1_793_458_800_000_000
    assert window.end_us == _us(2026, 12, 1)
    assert window.takes(window.start_us, STREAMS[0], 0)
    assert not window.takes(window.end_us, STREAMS[0], 0)
    assert not window.takes(window.start_us - 1, STREAMS[0], 0)


def test_refunds_and_corrections_stand_in_columns_of_their_own_and_a_net_may_be_negative():
    rows = [
        entry(1, copies=2, yen=20, commission=230),
        entry(2, transition=int(Transition.VOIDED), copies=-1, yen=-10, commission=-115),
        entry(3, transition=11, copies=1, yen=10, commission=115, prior=Prior(_us(2026, 11, 2), 1, 10, 115)),
    ]
    (cell,) = add_up(rows, OPEN).cells
    assert cell.sold == Amount(1, 2, 20, 230)
    assert cell.voided == Amount(1, -1, -10, -115)
    assert cell.corrected == Amount(1, 1, 10, 115)
    assert cell.reversed == Amount(2, 0, 0, 0)
    assert cell.net.due_yen == 20 - 230


def test_a_day_corrected_into_another_month_leaves_the_old_one_while_that_is_open():
    row = _moved()
    october, november = Window(month(2026, 10)), OPEN
    assert [b[2:] for b in taken(row, october)] == [(-2, -600, -230)]
    assert [b[2:] for b in taken(row, november)] == [(0, 0, 0), (2, 600, 230)]


def test_a_day_corrected_out_of_a_frozen_month_is_an_adjustment_of_the_next_open_one():
    row = _moved(height=9)
    cut = Cut({STREAMS[0]: 9})
    assert list(taken(row, Window(month(2026, 10), cut))) == []
    (cell,) = add_up([row], Window(NOVEMBER, previous=cut)).cells
    assert cell.moved == Amount(2, 0, 0, 0)
    assert cell.carried == Amount(1, -2, -600, -230)


def test_a_day_corrected_within_a_month_moves_nothing():
    row = _moved(prior=Prior(_us(2026, 11, 30), 2, 600, 230))
    assert [b.column for b in bookings(row)] == [Column.CORRECTED]


def test_money_without_a_deposit_is_refused():
    with pytest.raises(EntryContradicted, match="names no deposit"):
        bookings(entry(1, deposited_at_us=0))
    assert bookings(entry(1, deposited_at_us=0, yen=0, copies=0, commission=0)) == ()
    with pytest.raises(EntryContradicted, match="transition 3"):
        bookings(entry(1, transition=int(Transition.ISSUED)))


def test_a_cut_below_the_one_before_is_refused():
    with pytest.raises(CutLower):
        Window(NOVEMBER, Cut({STREAMS[0]: 3}), Cut({STREAMS[0]: 4}))


def test_sums_that_differ_are_refused():
    statement = add_up([entry(1)], OPEN)
    with pytest.raises(NotConserved, match="parties"):
        prove(statement, Amount(1, 1, 301, 115))


@given(st.data())
def test_every_entry_is_in_exactly_one_period_and_nothing_is_lost(data):
    rows = data.draw(histories())
    statements = [add_up(rows, window) for window in windows(*data.draw(cuts(rows)))]
    for each in statements:
        for sums in (each.by_party(), each.by_counterparty()):
            assert sum(amount.yen for amount in sums.values()) == each.net.yen
    assert sum(each.net.yen for each in statements) == sum(row.yen for row in rows)
    assert sum(each.net.copies for each in statements) == sum(row.copies for row in rows)
    assert sum(each.net.commission for each in statements) == sum(row.commission for row in rows)
    assert sum(each.net.entries for each in statements) == sum(len(bookings(row)) for row in rows)


@given(st.data())
def test_a_frozen_statement_has_the_same_bytes_whatever_comes_later_and_in_whatever_order(data):
    rows = data.draw(histories())
    october, november = data.draw(cuts(rows))
    window = windows(october, november)[1]
    before = add_up([row for row in rows if november.covers(row.stream, row.height)], window)
    assert add_up(data.draw(st.permutations(rows)), window).encode() == before.encode()


@pytest.mark.guest
async def test_the_server_adds_up_what_entry_by_entry_comes_to(database_dsn):
    seen = []

    @settings(max_examples=25, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def draw(data):
        rows = data.draw(histories())
        seen.append((rows, data.draw(cuts(rows))))

    draw()
    async with open_database(database_dsn.ops, size=1, role="test") as ops:
        for rows, (october, november) in seen:
            await empty(database_dsn)
            await insert(database_dsn, rows)
            for window in windows(october, november):
                async with open_settlement(ops) as reader:
                    scope = scope_of(window)
                    corrections = await reader.corrections(scope)
                    statement = from_sums(await reader.sums(scope), corrections, window)
                    prove(statement, whole_of(Amount(*await reader.whole(scope)), corrections, window))
                    read = [row async for batch in read_entries(reader, window) for row in batch]
                    ranges = await read_ranges(reader, window)
                wanted = sorted((row for row in rows if any(taken(row, window))), key=lambda row: row[:3])
                assert read == wanted
                assert statement.encode() == add_up(rows, window).encode()
                assert sum(each.entries for each in ranges) == len(wanted)


@pytest.mark.guest
async def test_an_inquiry_centre_is_settled_by_the_time_of_the_answer(database_dsn):
    asked = {"application": b"", "transition": 0, "copies": 0, "commission": 0, "deposited_at_us": 0, "store_day": "",
             "store": "", "kiosk": "", "party": "ministry-1", "counterparty": "", "matter": "pension"}  # fmt: skip
    window = Window(quarter(2026, 3), by_deposit=False)
    rows = [
        entry(1, index=1, yen=30, **asked, at_us=window.start_us),
        entry(2, index=2, yen=0, **asked, at_us=window.end_us - 1),
        entry(6, index=6, yen=0, **{**asked, "kind": int(EntryKind.REPEAT)}, at_us=window.end_us - 1),
        entry(3, index=3, yen=-10, **{**asked, "kind": int(EntryKind.DISCLAIM)} , at_us=window.end_us - 2),
        entry(4, index=4, yen=50, **asked, at_us=window.end_us),
        entry(5, index=5, yen=50, **asked, at_us=window.start_us - 1),
    ]  # fmt: skip
    await insert(database_dsn, rows)
    async with open_database(database_dsn.ops, size=1, role="test") as ops, open_settlement(ops) as reader:
        statement = await read_statement(reader, window)
    (cell,) = statement.cells
    assert (cell.key.party, cell.key.matter) == ("ministry-1", "pension")
    assert cell.sold == Amount(2, 0, 30, 0)
    assert cell.voided == Amount(1, 0, -10, 0)
    assert statement.encode() == add_up(rows, window).encode()
