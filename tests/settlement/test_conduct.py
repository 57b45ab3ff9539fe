"""A month goes through its steps, each once: what is disclosed, agreed, frozen, invoiced and paid is the ledger's."""

import datetime as dt

import pytest

from gateway.settlement import states
from gateway.settlement.admission import StepRefused
from gateway.settlement.conduct import accept, confirm, disclose, invoice, pay, status
from gateway.settlement.conduct_status import Stand
from protocol.act import ActKind
from protocol.application import Transition
from protocol.disclosure import decode_disclosure, read_rows
from protocol.disclosure import decode_signed as decode_disclosure_file
from protocol.invoice import DocumentKind, decode_invoice, decode_signed, read_items, sums_of
from tests.settlement.conducting import CLERK, SEPTEMBER, TWO, difference, files, house, sale


async def _business(place):
    await place.record(*(sale(n) for n in range(1, 5)), sale(5, party="gms-dev", town="takaoka", fee=450))
    await place.record(sale(6, town="takaoka", fee=10, copies=3), sale(2, copies=-1, step=Transition.VOIDED))


async def _frozen(place):
    acts = await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK)
    for act in acts:
        await place.reconcile(place.desk("2026-10-05"), act)
    return await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)


@pytest.mark.guest
async def test_a_month_is_played_to_its_end_and_the_papers_are_the_ledgers(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        await _frozen(place)
        made = await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        assert {act.party: act.yen for act in made} == {"cvs-dev": 3 * 300 + 3 * 10 - 6 * 115, "gms-dev": 450 - 115}
        acts = await place.desk("2026-10-15").acts()
        released = {act.party: act.yen for act in states.select(acts, ActKind.RELEASED, SEPTEMBER)}
        assert released == {"chiba": 3 * (300 - 115), "takaoka": 450 - 115 + 3 * (10 - 115)}
        assert sum(released.values()) == sum(act.yen for act in made)

        path = tmp_path / SEPTEMBER / "cvs-dev" / "certificate-2026-09-cvs-dev-fees"
        document = decode_invoice(decode_signed(path.with_suffix(".invoice").read_bytes()).invoice)
        assert (document.kind, document.due_on, document.issued_on) == (
            DocumentKind.INVOICE,
            "2026-10-20",
            "2026-10-15",
        )
        assert document.tax_supplier == "cvs-dev"
        with path.with_suffix(".items").open("rb") as items:
            sums = sums_of(read_items(items, document))
        assert sum(amount.due_yen for amount in sums.values()) == document.due_yen == 240
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")

        for party, day in (("cvs-dev", "2026-10-20"), ("gms-dev", "2026-10-19")):
            await pay(place.desk("2026-10-20"), SEPTEMBER, party, CLERK, day=dt.date.fromisoformat(day))
        found = await status(place.desk("2026-10-20"), SEPTEMBER)
        assert {(each.step, each.party) for each in found.late} == {
            ("municipal-invoice", "chiba"), ("municipal-invoice", "takaoka"),
        }  # fmt: skip
        paid = [each for each in found.steps if each.step == "payment" and each.incoming]
        assert [(each.party, each.stand, each.yen) for each in paid] == [
            ("cvs-dev", Stand.DONE, 240), ("gms-dev", Stand.DONE, 335),
        ]  # fmt: skip


@pytest.mark.guest
async def test_every_step_done_again_leaves_the_same_acts_and_the_same_bytes(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        await _frozen(place)
        await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        await pay(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
        acts, before = await place.desk("2026-10-20").acts(), files(tmp_path)
        later = place.desk("2026-11-20")
        for path in tmp_path.rglob("*.pdf"):
            path.unlink()
        await disclose(later, SEPTEMBER, CLERK)
        await confirm(later, SEPTEMBER, CLERK)
        await invoice(later, SEPTEMBER, CLERK)
        await pay(later, SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
        assert await later.acts() == acts
        assert files(tmp_path) == before


@pytest.mark.guest
async def test_documents_lost_with_the_database_table_come_again_from_ledger_and_act_to_the_byte(
    database_dsn, tmp_path
):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        await _frozen(place)
        await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        before = files(tmp_path)
        for table in ("document_part", "document"):
            await place.database.execute(f"alter table settlement.{table} disable trigger all")
            await place.database.execute(f"delete from settlement.{table}")
        later = place.desk("2026-11-20", out=tmp_path / "again")
        await disclose(later, SEPTEMBER, CLERK)
        await confirm(later, SEPTEMBER, CLERK)
        await invoice(later, SEPTEMBER, CLERK)
        assert files(tmp_path / "again") == before


@pytest.mark.guest
async def test_a_disclosure_has_the_rows_it_names(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        first, _ = await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK)
        path = tmp_path / SEPTEMBER / "cvs-dev" / "disclosure-2026-09-cvs-dev"
        shown = decode_disclosure(decode_disclosure_file(path.with_suffix(".disclosure").read_bytes()).disclosure)
        with path.with_suffix(".rows").open("rb") as rows:
            assert sum(row.yen - row.commission for row in read_rows(rows, shown)) == first.yen == shown.net.due_yen


@pytest.mark.guest
async def test_what_comes_after_the_freeze_is_an_adjustment_of_the_next_month(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        await _frozen(place)
        await place.record(sale(1, copies=-1, step=Transition.VOIDED), sale(9, day="2026-10-02"))
        made = await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        assert made[0].yen == 240
        shown, _ = await disclose(place.desk("2026-11-02"), "2026-10", CLERK)
        assert shown.yen == (300 - 115) - (300 - 115)


@pytest.mark.guest
async def test_a_step_out_of_order_or_of_its_days_is_refused_with_every_reason_and_two_may_force_it(
    database_dsn, tmp_path
):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        with pytest.raises(StepRefused) as refused:
            await disclose(place.desk("2026-09-30"), SEPTEMBER, TWO)
        assert [each.code for each in refused.value.obstacles] == ["not-over"]
        with pytest.raises(StepRefused) as refused:
            await confirm(place.desk("2026-10-12"), SEPTEMBER, CLERK)
        assert [each.code for each in refused.value.obstacles] == [
            "too-late", "not-agreed-waiting", "not-agreed-waiting",
        ]  # fmt: skip
        with pytest.raises(StepRefused, match="is not frozen"):
            await invoice(place.desk("2026-10-12"), SEPTEMBER, TWO)
        act = await confirm(place.desk("2026-10-12"), SEPTEMBER, TWO)
        assert (act.by, act.second) == ("clerk-1", "clerk-2")
        assert act.ground == "too-late, not-agreed-waiting: agreed by telephone"
        with pytest.raises(StepRefused, match="is frozen"):
            await disclose(place.desk("2026-10-12"), SEPTEMBER, TWO)
        with pytest.raises(StepRefused, match="not after 2026-10-15"):
            await invoice(place.desk("2026-10-16"), SEPTEMBER, CLERK)


@pytest.mark.guest
async def test_differences_are_answered_each_and_corrections_lead_to_another_disclosure(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        acts = await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK)
        one, two = difference(7), difference(8)
        await place.reconcile(place.desk("2026-10-05"), acts[0], one, two)
        await place.reconcile(place.desk("2026-10-05"), acts[1])
        desk = place.desk("2026-10-06")
        answer = await accept(desk, SEPTEMBER, "cvs-dev", CLERK, dispute={two.key: "no deposit was seen"})
        assert (await accept(desk, SEPTEMBER, "cvs-dev", CLERK, dispute={two.key: "no deposit was seen"})) == answer
        assert states.exchange(await desk.acts(), SEPTEMBER, "cvs-dev").agreement == "disputed"
        await accept(desk, SEPTEMBER, "cvs-dev", CLERK)
        with pytest.raises(StepRefused, match="corrections were accepted"):
            await confirm(place.desk("2026-10-07"), SEPTEMBER, CLERK)
        await place.record(sale(7), sale(8))
        again = await disclose(place.desk("2026-10-07"), SEPTEMBER, CLERK, again=True)
        assert [(act.party, act.turn) for act in again] == [("cvs-dev", 1), ("gms-dev", 0)]
        await place.reconcile(place.desk("2026-10-08"), again[0])
        act = await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)
        assert act.ground == ""


@pytest.mark.guest
async def test_a_ledger_that_changed_since_an_operator_agreed_is_not_frozen(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        for act in await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK):
            await place.reconcile(place.desk("2026-10-05"), act)
        await place.record(sale(7))
        with pytest.raises(StepRefused, match="cvs-dev: the ledger changed since it agreed"):
            await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)


@pytest.mark.guest
async def test_a_payment_is_of_a_claim_of_its_sign_and_no_more_than_is_open(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await _business(place)
        desk, day = place.desk("2026-10-20"), dt.date(2026, 10, 20)
        with pytest.raises(StepRefused, match="has no claim"):
            await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=day)
        await _frozen(place)
        await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        for yen, code in ((-1, "sign"), (241, "too-much")):
            with pytest.raises(StepRefused) as refused:
                await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=day, yen=yen)
            assert refused.value.obstacles[0].code == code
        await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=day, yen=100)
        await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=day, yen=100, again=True)
        last = await pay(desk, SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 19))
        assert (last.turn, last.yen) == (2, 40)
