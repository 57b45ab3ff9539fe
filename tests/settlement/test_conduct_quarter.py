"""A quarter of an inquiry centre: frozen as it is invoiced, due by the day of receipt, late bookings in the next."""

import datetime as dt

import msgspec
import pytest

from gateway.settlement import states
from gateway.settlement.admission import StepRefused
from gateway.settlement.conduct import disclose, invoice, pay, status
from gateway.settlement.desk import NoContracts, WrongPeriod
from gateway.settlement.toml import contract_of
from protocol.act import ActKind
from protocol.invoice import decode_invoice, decode_signed
from protocol.ledger import EntryKind, EntryRef
from tests.ledger.building import entry, request_id
from tests.settlement.conducting import CLERK, DEPLOY, TWO, day_us, files, house

SUMMER = "2026-Q2"


def _answer(n, day, *, yen=10, party="mlit", **fields):
    at_us = day_us(day) + n
    return msgspec.structs.replace(
        entry(n, party=party, rid=request_id(n, at_us), yen=yen), at_us=at_us, matter="vehicle-67", **fields
    )


@pytest.mark.guest
async def test_a_quarter_is_frozen_and_invoiced_at_once_and_due_by_the_day_of_receipt(database_dsn, tmp_path):
    contract = contract_of((DEPLOY / "002-ministry.toml").read_bytes())
    async with house(database_dsn, tmp_path, role="inquiry") as place:

        def desk(day):
            return place.desk(day, role="inquiry", contracts=(contract,))

        await place.record(*(_answer(n, "2026-08-10", yen=30) for n in range(1, 4)))
        ref = EntryRef(place.writer.stream.id, 0, 1, True)
        repeat = _answer(20, "2026-08-11", yen=0, kind=EntryKind.REPEAT, ref=ref)
        disclaimed = _answer(21, "2026-08-12", yen=-30, kind=EntryKind.DISCLAIM, ref=ref)
        await place.record(repeat, disclaimed, _answer(5, "2026-10-01", yen=10))
        with pytest.raises(WrongPeriod):
            await disclose(desk("2026-10-01"), "2026-09", CLERK)
        with pytest.raises(StepRefused, match="discloses nothing"):
            await disclose(desk("2026-10-01"), SUMMER, TWO)
        with pytest.raises(NoContracts):
            await invoice(place.desk("2026-10-01", role="inquiry", contracts=()), SUMMER, TWO)
        with pytest.raises(StepRefused, match="ends on 2026-09-30"):
            await invoice(desk("2026-09-30"), SUMMER, TWO)
        (act,) = await invoice(desk("2026-10-05"), SUMMER, CLERK, received=dt.date(2026, 10, 31))
        assert (act.party, act.yen) == ("mlit", 60)
        path = tmp_path / SUMMER / "mlit" / "inquiry-2026-Q2-mlit-records.invoice"
        document = decode_invoice(decode_signed(path.read_bytes()).invoice)
        assert (document.due_on, document.tax_supplier, document.items) == ("2026-11-30", "", 4)

        before = files(tmp_path)
        assert await invoice(desk("2027-01-05"), SUMMER, CLERK) == [act]
        assert files(tmp_path) == before
        found = await status(desk("2026-12-01"), SUMMER)
        assert [(each.step, each.deadline) for each in found.late] == [("payment", "2026-11-30")]
        await pay(desk("2026-11-30"), SUMMER, "mlit", CLERK, day=dt.date(2026, 11, 30))
        assert not (await status(desk("2026-12-01"), SUMMER)).late

        late = _answer(
            22, "2026-09-30", yen=-30, kind=EntryKind.DISCLAIM, ref=EntryRef(place.writer.stream.id, 0, 2, True)
        )
        await place.record(late)
        (after,) = await invoice(desk("2027-01-05"), "2026-Q3", CLERK)
        assert after.yen == 10 - 30
        acts = await desk("2027-01-05").acts()
        assert [each.text for each in states.frozen_periods(acts)] == [SUMMER, "2026-Q3"]
        assert len(states.select(acts, ActKind.INVOICED, SUMMER)) == 1


@pytest.mark.guest
async def test_prices_that_are_not_the_contracts_are_refused_naming_both_or_forced_by_two(database_dsn, tmp_path):
    text = (DEPLOY / "002-ministry.toml").read_text().replace("yen = 10\n", "yen = 11\n")
    async with house(database_dsn, tmp_path, role="inquiry") as place:
        desk = place.desk("2026-10-05", role="inquiry", contracts=(contract_of(text.encode()),))
        await place.record(_answer(1, "2026-08-10", yen=30))
        with pytest.raises(StepRefused, match=r"the ledger comes to 30 yen, the terms .* to 22"):
            await invoice(desk, SUMMER, CLERK)
        assert await desk.acts() == []
        (act,) = await invoice(desk, SUMMER, TWO)
        assert (act.yen, act.second, act.ground) == (30, "clerk-2", "terms-differ: agreed by telephone")


@pytest.mark.guest
async def test_who_has_business_and_no_contract_file_stops_the_freeze_and_nobody_can_force_it(database_dsn, tmp_path):
    contract = contract_of((DEPLOY / "002-ministry.toml").read_bytes())
    async with house(database_dsn, tmp_path, role="inquiry") as place:
        await place.record(_answer(1, "2026-08-10", party="mof"), _answer(2, "2026-08-10"))
        desk = place.desk("2026-10-05", role="inquiry", contracts=(contract,))
        with pytest.raises(StepRefused, match=r"mof has business and no contract file.*cannot be forced"):
            await invoice(desk, SUMMER, TWO)
