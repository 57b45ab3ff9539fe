"""Making disclosures: rows that come to the cells, whoever's history and whatever is frozen, the same bytes again."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settlement.disclosing import make_disclosure
from gateway.settlement.entries import taken
from gateway.settlement.statements import add_up
from gateway.store.pool import open_database
from gateway.store.settlement import open_settlement
from protocol.application import Transition
from protocol.disclosure import decode_disclosure, encode_disclosure, read_rows
from tests.settlement.building import cuts, empty, histories, insert, windows


async def _disclosed(ops, window, party):
    spool = io.BytesIO()
    async with open_settlement(ops) as reader:
        disclosure = await make_disclosure(
            reader, window, party=party, issuer="centre", role="certificate", environment="test", made_us=1, spool=spool
        )
    return disclosure, spool.getvalue()


async def _projected(dsn, rows):
    async with open_database(dsn.owner, size=1, role="test") as owner:
        for stream in {row.stream for row in rows}:
            await owner.execute(
                "insert into ledger.projected (stream, height_next) values ($1, 1000) on conflict do nothing", stream
            )


@pytest.mark.guest
async def test_an_operator_is_shown_every_booking_of_its_own_and_no_other(database_dsn):
    seen = []

    @settings(max_examples=15, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def draw(data):
        rows = data.draw(histories())
        seen.append((rows, data.draw(cuts(rows))))

    draw()
    async with open_database(database_dsn.ops, size=1, role="test") as ops:
        for rows, (october, november) in seen:
            await empty(database_dsn)
            await insert(database_dsn, rows)
            await _projected(database_dsn, rows)
            for window in windows(october, november):
                for party in ("operator-1", "operator-2"):
                    disclosure, data = await _disclosed(ops, window, party)
                    assert disclosure.cells == add_up(rows, window).of(party=party).cells
                    assert decode_disclosure(encode_disclosure(disclosure)) == disclosure
                    found = list(read_rows(io.BytesIO(data), disclosure))
                    mine = sorted((row for row in rows if row.party == party), key=lambda row: row[:3])
                    assert [(row.request_id, row.application, row.yen, row.column) for row in found] == [
                        (row.request_id, row.application, each.yen, each.column)
                        for row in mine
                        for each in taken(row, window)
                    ]
                    assert all(row.transition >= Transition.COMPLETED for row in found)
                    assert sum(row.yen for row in found if row.carried) == sum(
                        cell.carried.yen for cell in disclosure.cells
                    )
                    assert await _disclosed(ops, window, party) == (disclosure, data)
