"""Completions, voids and corrections reach their municipality each time, in order, once (F1; 001-14-1)."""

import pytest
import trio

from gateway.issuance import forwarding
from gateway.store.issuance_reports import ReportStore, become_forwarder, leave_forwarding
from gateway.store.pool import open_database
from protocol.application import Transition
from protocol.issuance import Ground, Reported
from protocol.messages import encode
from protocol.outcomes import Outcome
from tests.issuance.kit import FEE, NOW_US, Kiosk, centre_of
from tests.issuance.town import Town


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often, and come back soon."""
    monkeypatch.setattr(forwarding, "LOOK_S", 0.02)
    monkeypatch.setattr(forwarding, "BACKOFF_S_FIRST", 0.02)
    monkeypatch.setattr(forwarding, "BACKOFF_S_MAX", 0.05)


async def until(condition):
    """Poll, with a bound."""
    with trio.fail_after(8):
        while not condition():
            await trio.sleep(0.01)


async def queue(centre):
    """Per municipality: numbered, noted, due."""
    rows = await centre.workers[0].database.fetch(
        "select (select count(*) from issuance.report), (select count(noted_us) from issuance.report),"
        " (select count(*) from issuance.due)"
    )
    return tuple(rows[0])


async def settled(centre, count):
    """Poll until so many are noted and none is left."""
    with trio.fail_after(8):
        while await queue(centre) != (count, count, 0):
            await trio.sleep(0.01)


@pytest.mark.guest
async def test_each_notice_is_told_once_in_order_by_whichever_worker(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        for number in range(6):
            kiosk = await Kiosk(centre, centre.workers[number % 2]).issued()
            await kiosk.complete(2)
            await kiosk.correct(1, 1)
            kiosk.worker = centre.workers[(number + 1) % 2]
            await kiosk.void()
        await settled(centre, 18)
        reports = centre.town.reports
        assert [each.number for each in reports] == list(range(1, 19))
        told = {}
        for each in reports:
            told.setdefault(each.application, []).append((each.transition, each.copies, each.yen, each.ground))
        story = [
            (Transition.COMPLETED, 2, 2 * FEE, 0),
            (Transition.CORRECTED_1, -1, -FEE, Ground.ENTRY_ERROR),
            (Transition.VOIDED, -1, -FEE, Ground.MISPRINT),
        ]
        assert list(told.values()) == [story] * 6
        first = reports[0]
        assert (first.kind, first.operator, first.store, first.store_day, first.deposited_at_us) == (
            "juminhyo",
            "operator-test",
            "store-1",
            "2026-11-20",
            NOW_US,
        )


@pytest.mark.guest
async def test_what_a_municipality_that_is_away_misses_it_is_told_when_it_is_back(database_dsn, cards):
    away, well = Town(), Town("131016", "chiyoda")
    async with centre_of(database_dsn, cards, away, well) as centre:
        one, two = await Kiosk(centre).issued(), await Kiosk(centre, municipality="131016").issued()
        away.away = True
        await one.complete()
        await two.complete()
        await until(lambda: len(well.reports) == 1)
        assert away.reports == []
        away.away = False
        await settled(centre, 2)
        assert len(away.reports) == 1
        assert well.reports[0].number == away.reports[0].number == 1


@pytest.mark.guest
async def test_an_answer_that_was_lost_leads_to_no_second_telling(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        town, note = centre.town, centre.town.note
        lost = []

        def note_and_lose(report):
            answer = note(report)
            if len(lost) < 2:
                lost.append(report.number)
                raise ConnectionError
            return answer

        town.note = note_and_lose
        for _ in range(3):
            await (await Kiosk(centre).issued()).complete()
        await settled(centre, 3)
        assert [each.number for each in town.reports] == [1, 2, 3]
        assert lost == [1, 2]


@pytest.mark.guest
async def test_a_municipality_that_lost_reports_is_told_them_again_and_somebody_hears_of_it(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        town = centre.town
        for _ in range(3):
            await (await Kiosk(centre).issued()).complete()
        await settled(centre, 3)
        before, town.reports = town.reports, town.reports[:1]
        await (await Kiosk(centre).issued()).complete()
        await settled(centre, 4)
        assert town.reports[:3] == before
        rows = await centre.workers[0].database.fetch("select kind, detail from issuance.incident")
        assert [tuple(row) for row in rows] == [("reports-lost", "knows-1-of-3")]


@pytest.mark.guest
async def test_a_municipality_that_knows_what_was_never_sent_is_told_nothing(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        centre.town.known_less = -7
        await (await Kiosk(centre).issued()).complete()

        async def opened():
            return await centre.workers[0].database.fetch("select kind, detail from issuance.incident limit 1")

        with trio.fail_after(5):
            while not (rows := await opened()):
                await trio.sleep(0.01)
        assert tuple(rows[0]) == ("reports-ahead", "knows-7-of-1")
        assert centre.town.reports == []


@pytest.mark.guest
async def test_a_report_that_is_not_taken_waits_for_a_person(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town, note = centre.town, centre.town.note
        town.note = lambda _: (Outcome.MAKING_REFUSED, encode(1))
        kiosk = await Kiosk(centre).issued()
        await kiosk.complete()

        async def opened():
            return await centre.workers[0].database.fetch("select kind, application from issuance.incident limit 1")

        with trio.fail_after(5):
            while not (rows := await opened()):
                await trio.sleep(0.01)
        assert tuple(rows[0]) == ("report-refused", kiosk.application)
        town.note = note
        await settled(centre, 1)


@pytest.mark.guest
async def test_two_workers_number_without_gap_and_without_twice(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosks = [await Kiosk(centre).issued() for _ in range(4)]
        centre.town.away = True
        for kiosk in kiosks:
            await kiosk.complete()
        async with (
            open_database(database_dsn.gateway, size=2, role="test") as one,
            open_database(database_dsn.gateway, size=2, role="test") as two,
            trio.open_nursery() as nursery,
        ):
            for database in (one, two):
                for _ in range(2):
                    nursery.start_soon(ReportStore(database).number, "121002", forwarding.payload)
        centre.town.away = False
        await settled(centre, 4)
        assert [each.number for each in centre.town.reports] == [1, 2, 3, 4]


@pytest.mark.guest
async def test_while_another_forwards_for_a_municipality_nobody_else_does(database_dsn, cards, monkeypatch):
    tried = []

    async def try_it(connection, code):
        mine = await become_forwarder(connection, code)
        tried.append(mine)
        return mine

    monkeypatch.setattr(forwarding, "become_forwarder", try_it)
    async with centre_of(database_dsn, cards) as centre, centre.workers[0].database.pinned() as other:
        assert await become_forwarder(other, "121002")
        await (await Kiosk(centre).issued()).complete()
        await until(lambda: len(tried) >= 4)
        assert not any(tried)
        assert await queue(centre) == (0, 0, 1)
        await leave_forwarding(other, "121002")
        await settled(centre, 1)


def test_a_note_that_cannot_be_read_is_none():
    assert forwarding._noted(Outcome.NOTED, b"\xff") is None
    assert forwarding._noted(Outcome.NOTED, encode(Reported(3))) == 3
