"""Steps that were cut off, raced, or asked too early: nothing is half done, and done again they come to the same."""

import datetime as dt

import pytest

from gateway.settlement import conduct_issuing, states
from gateway.settlement.conduct import confirm, disclose, invoice, pay
from gateway.settlement.desk import Overtaken
from gateway.settlement.reading import NotCovered
from protocol.act import ActKind
from protocol.invoice import DocumentKind, decode_invoice, decode_signed
from tests.settlement.conducting import CLERK, SEPTEMBER, TWO, house, sale


class KilledError(Exception):
    """A command that was killed."""


@pytest.mark.guest
async def test_a_command_killed_between_act_and_documents_is_finished_by_the_next(database_dsn, tmp_path, monkeypatch):
    async with house(database_dsn, tmp_path) as place:
        await place.record(sale(1), sale(2, party="gms-dev", town="takaoka"))
        await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK)
        await confirm(place.desk("2026-10-09"), SEPTEMBER, TWO)
        made = conduct_issuing.invoice_papers

        def killed(*_, **__):
            raise KilledError

        monkeypatch.setattr(conduct_issuing, "invoice_papers", killed)
        with pytest.raises(KilledError):
            await invoice(place.desk("2026-10-15"), SEPTEMBER, CLERK)
        monkeypatch.setattr(conduct_issuing, "invoice_papers", made)
        acts = await place.desk("2026-10-15").acts()
        assert len(states.select(acts, ActKind.INVOICED, SEPTEMBER)) == 2
        assert not list(tmp_path.rglob("*cvs-dev-fees.invoice"))
        again = await invoice(place.desk("2026-11-30"), SEPTEMBER, CLERK)
        assert await place.desk("2026-11-30").acts() == acts
        path = tmp_path / SEPTEMBER / "cvs-dev" / "certificate-2026-09-cvs-dev-fees.invoice"
        document = decode_invoice(decode_signed(path.read_bytes()).invoice)
        assert (document.issued_on, document.due_yen) == ("2026-10-15", again[0].yen)


@pytest.mark.guest
async def test_a_freeze_stands_while_no_checkpoint_covers_it_and_is_finished_when_one_does(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:

        async def nothing():
            pass

        await place.writer.append([sale(1)])
        await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK)
        with pytest.raises(NotCovered):
            await confirm(place.desk("2026-10-09", cover=nothing), SEPTEMBER, TWO)
        acts = await place.desk("2026-10-09").acts()
        assert states.frozen(acts, SEPTEMBER) is not None
        assert states.select(acts, ActKind.RELEASED, SEPTEMBER) == []
        await confirm(place.desk("2026-10-10"), SEPTEMBER, CLERK)
        acts = await place.desk("2026-10-10").acts()
        (released,) = states.select(acts, ActKind.RELEASED, SEPTEMBER)
        assert (released.party, released.by, released.day) == ("chiba", "clerk-1", "2026-10-10")


@pytest.mark.guest
async def test_of_two_at_once_one_writes_and_the_other_writes_nothing(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await place.record(sale(1))
        desk = place.desk("2026-10-01")
        seen = await desk.acts(of=SEPTEMBER)
        standing = await disclose(desk, SEPTEMBER, CLERK)
        with pytest.raises(Overtaken):
            await desk.write(standing, seen=seen, of=SEPTEMBER)
        assert await desk.acts() == standing


@pytest.mark.guest
async def test_a_negative_month_is_a_credit_note_and_is_paid_back(database_dsn, tmp_path):
    async with house(database_dsn, tmp_path) as place:
        await place.record(sale(1, fee=10), sale(2, fee=100))
        for act in await disclose(place.desk("2026-10-01"), SEPTEMBER, CLERK):
            await place.reconcile(place.desk("2026-10-02"), act)
        await confirm(place.desk("2026-10-09"), SEPTEMBER, CLERK)
        (act,) = await invoice(place.desk("2026-10-09"), SEPTEMBER, CLERK)
        path = tmp_path / SEPTEMBER / "cvs-dev" / "certificate-2026-09-cvs-dev-fees.invoice"
        document = decode_invoice(decode_signed(path.read_bytes()).invoice)
        assert (document.kind, document.due_yen, act.yen) == (DocumentKind.CREDIT_NOTE, -120, -120)
        assert document.tax_yen == 230 * 10 // 110
        paid = await pay(place.desk("2026-10-20"), SEPTEMBER, "cvs-dev", CLERK, day=dt.date(2026, 10, 20))
        assert paid.yen == -120
