"""Documents of all sides made in one reading: what they bill, together and alone, is what the entries come to."""

import datetime as dt

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settlement.issuing import held_against, read_drafts
from gateway.settlement.reading import read_ranges, read_statement
from gateway.settlement.sides import shares, sides
from gateway.settlement.statements import add_up
from gateway.settlement.toml import contract_of
from gateway.settlement.windows import Cut, Window, midnight_us
from gateway.store.pool import open_database
from gateway.store.settlement import open_settlement
from protocol.application import Transition
from protocol.invoice import read_items, sums_of
from protocol.settlement import NOTHING, Amount
from tests.settlement.building import NOVEMBER, STREAMS, cuts, empty, entry, histories, insert, windows
from tests.settlement.conducting import DEPLOY, contracts
from tests.settlement.test_disclosing import _projected

PARTIES = {"cvs-dev": "operator-1", "gms-dev": "operator-2"}


def _contracts():
    """The shipped contracts for the parties of the histories."""
    made = []
    for each in contracts():
        parties = {role: PARTIES.get(party, party) for role, party in each.parties.items()}
        made.append(msgspec.structs.replace(each, parties=parties))
    return tuple(made)


def _total(amounts):
    total = NOTHING
    for each in amounts:
        total += each
    return total


@pytest.mark.guest
async def test_operators_and_municipalities_are_billed_every_booking_once(database_dsn, tmp_path):
    seen = []

    @settings(max_examples=15, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def draw(data):
        rows = data.draw(histories())
        seen.append((rows, data.draw(cuts(rows))))

    draw()
    async with open_database(database_dsn.ops, size=1, role="test") as ops:
        for number, (rows, (october, november)) in enumerate(seen):
            await empty(database_dsn)
            await insert(database_dsn, rows)
            await _projected(database_dsn, rows)
            for window in windows(october, november):
                out = tmp_path / f"{number}-{window.period.text}"
                out.mkdir()
                async with open_settlement(ops) as reader:
                    statement = await read_statement(reader, window)
                    known = sides(_contracts(), window.period)
                    own = {incoming: shares(statement, incoming=incoming) for incoming in (True, False)}
                    made = [(side, own[side.incoming].get(side.party)) for side in known]
                    drafts = await read_drafts(reader, window, [each for each in made if each[1]], out)
                    for draft in drafts:
                        party = "" if not draft.side.incoming else draft.side.party
                        town = "" if draft.side.incoming else draft.side.party
                        assert draft.ranges == await read_ranges(reader, window, party=party, counterparty=town)
                        assert (await held_against(reader, window, draft.side, draft.statement))[1] == []
                        assert _billed(draft) == draft.statement.net
                net = add_up(rows, window).net
                for incoming in (True, False):
                    assert _total(_billed(each) for each in drafts if each.side.incoming is incoming) == net


def _billed(draft):
    """What the items of a draft's file come to."""

    class Named(msgspec.Struct):
        cells: tuple
        items: int
        items_digest: bytes

    with draft.spool.open("rb") as file:
        named = Named(draft.statement.cells, draft.items.count, draft.items.digest)
        return _total(sums_of(read_items(file, named)).values())


@pytest.mark.guest
async def test_adjustments_of_a_time_with_other_prices_are_held_against_those(database_dsn):
    text = (DEPLOY / "000-operator.toml").read_text().replace("cvs-dev", "operator-1")
    later = text[text.index("[[terms]]") :].replace("version = 1", "version = 2", 1)
    later = later.replace("valid_from = 2026-04-01", "valid_from = 2026-11-01", 1).replace("yen = 115", "yen = 120")
    (side, *_) = sides((contract_of((text + later).encode()),), NOVEMBER)
    october = midnight_us(dt.date(2026, 10, 3))
    sold = entry(1, commission=120)
    voided = entry(
        2, height=5, transition=int(Transition.VOIDED), copies=-1, yen=-300, commission=-115, deposited_at_us=october
    )
    own = add_up([sold, voided], Window(NOVEMBER, previous=Cut({STREAMS[0]: 5})))
    assert own.cells[0].carried == Amount(1, -1, -300, -115)
    async with open_database(database_dsn.ops, size=1, role="test") as ops, open_settlement(ops) as reader:
        bills, differ = await held_against(reader, Window(NOVEMBER), side, own)
    assert differ == []
    assert [each.total_yen for each in bills] == [180, -185]
