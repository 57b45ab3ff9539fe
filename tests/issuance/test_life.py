"""The life of an application, in its order and out of it, under two workers that share a database."""

import pytest
import trio

from protocol.application import Transition
from protocol.issuance import Applied, Fetch, Issued, MenuQuery, Part, StatusQuery
from protocol.ledger import EntryKind
from protocol.messages import Disclaim, Operation
from protocol.outcomes import Outcome
from tests.issuance.kit import COMMISSION, FEE, NOW_US, OTHER, Kiosk, centre_of, read
from tests.kit.sitting import OPERATOR

MINUTE_US = 60_000_000


@pytest.mark.guest
async def test_a_certificate_from_the_card_to_the_erasure(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = Kiosk(centre)
        assert (await kiosk.authenticate()).outcome is Outcome.AUTHENTICATED
        assert read(await kiosk.apply(2), Applied) == Applied(FEE, 2)
        kiosk.worker = centre.workers[1]
        issued = read(await kiosk.document(), Issued)
        sealed = b"".join([(await kiosk.part(n)).body for n in range(2)])
        assert sealed == centre.town.documents[kiosk.application][1]
        assert len(sealed) == issued.size
        completed = await kiosk.complete(2)
        assert completed.outcome is Outcome.COMPLETED
        assert (completed.entry.yen, completed.entry.commission) == (2 * FEE, 2 * COMMISSION)
        assert (completed.entry.matter, completed.entry.counterparty) == ("juminhyo", "chiba")
        delivery = completed.entry.delivery
        assert (delivery.application, delivery.copies, delivery.store) == (kiosk.application, 2, "store-1")
        assert (delivery.store_day, delivery.deposited_at_us) == ("2026-11-20", NOW_US)
        assert (await kiosk.erase()).outcome is Outcome.ERASED
        assert (await kiosk.part(0)).outcome is Outcome.APPLICATION_STATE
        assert await kiosk.status() == [
            Transition.AUTHENTICATED,
            Transition.APPLIED,
            Transition.ISSUED,
            Transition.COMPLETED,
            Transition.ERASED,
        ]


@pytest.mark.guest
async def test_erasure_destroys_document_and_signatures_with_its_own_block(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        database = centre.workers[0].database
        held = "select (select count(*) from issuance.document), (select count(*) from issuance.authentication)"
        assert tuple((await database.fetch(held))[0]) == (1, 1)
        assert (await kiosk.erase()).outcome is Outcome.ERASED
        assert tuple((await database.fetch(held))[0]) == (0, 0)


@pytest.mark.guest
async def test_an_erasure_without_the_kiosks_attestation_is_refused(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        refused = await kiosk.erase(attestation=bytes(64))
        assert refused.outcome is Outcome.SIGNATURE_REFUSED
        moved = await kiosk.erase(kiosk_at_us=NOW_US + 1)
        assert moved.outcome is Outcome.SIGNATURE_REFUSED
        assert (await kiosk.part(0)).outcome is Outcome.PART


@pytest.mark.guest
async def test_nothing_happens_out_of_order(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = Kiosk(centre)
        await kiosk.authenticate()
        early = [await kiosk.document(), await kiosk.complete(), await kiosk.void(), await kiosk.correct(1, 1)]
        assert [each.outcome for each in early] == [Outcome.APPLICATION_STATE] * 3 + [Outcome.APPLICATION_STATE]
        assert all(each.entry.yen == 0 and each.entry.delivery is None for each in early)
        assert (await kiosk.part(0)).outcome is Outcome.APPLICATION_STATE
        assert (await kiosk.apply()).outcome is Outcome.APPLIED
        assert (await kiosk.apply()).outcome is Outcome.APPLICATION_STATE
        assert (await kiosk.complete()).outcome is Outcome.APPLICATION_STATE
        assert centre.town.asked == []


@pytest.mark.guest
async def test_after_its_time_an_application_is_neither_applied_for_nor_fetched(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        idle, applied, issued = Kiosk(centre), Kiosk(centre), Kiosk(centre)
        await idle.authenticate()
        await applied.authenticate()
        await applied.apply()
        await issued.issued()
        centre.shift_us = 10 * MINUTE_US
        assert (await idle.apply()).outcome is Outcome.APPLICATION_EXPIRED
        assert (await applied.document()).outcome is Outcome.APPLICATION_EXPIRED
        assert (await issued.part(0)).outcome is Outcome.APPLICATION_EXPIRED


@pytest.mark.guest
async def test_another_operator_finds_no_such_application(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        kiosk.party = OTHER
        answers = [
            await kiosk.document(),
            await kiosk.complete(),
            await kiosk.void(),
            await kiosk.correct(1, 1),
            await kiosk.erase(),
            await kiosk.apply(),
            await kiosk.part(0),
        ]
        assert {each.outcome for each in answers} == {Outcome.APPLICATION_UNKNOWN}
        assert await kiosk.status() == []
        kiosk.party = OPERATOR
        assert await kiosk.status() == [Transition.AUTHENTICATED, Transition.APPLIED, Transition.ISSUED]


@pytest.mark.guest
async def test_the_same_request_again_gets_the_stored_answer_and_names_its_original(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        request_id, body = centre.new_id(), kiosk.complete_body()
        first = await kiosk.ask(Operation.COMPLETE, body, request_id=request_id)
        for turn in range(1, 9):
            kiosk.worker = centre.workers[turn % 2]
            again = await kiosk.ask(Operation.COMPLETE, body, request_id=request_id)
            assert (again.outcome, again.body) == (first.outcome, first.body)
            assert (again.entry.kind, again.entry.yen, again.entry.delivery) == (EntryKind.REPEAT, 0, None)
            assert again.entry.ref.same
        assert (await kiosk.ask(Operation.COMPLETE, body, request_id=request_id)).outcome is Outcome.REPEAT_LIMIT
        other = await kiosk.ask(Operation.COMPLETE, kiosk.complete_body(copies=1), request_id=request_id)
        assert other.outcome is Outcome.ID_REUSED


@pytest.mark.guest
async def test_a_lost_manifest_is_had_again_under_its_id_and_without_asking_the_municipality(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = Kiosk(centre)
        await kiosk.authenticate()
        await kiosk.apply()
        request_id = centre.new_id()
        first = await kiosk.document(request_id=request_id)
        asked = list(centre.town.asked)
        kiosk.worker = centre.workers[1]
        again = await kiosk.document(request_id=request_id)
        assert (again.outcome, again.body, again.entry.kind) == (Outcome.ISSUED, first.body, EntryKind.REPEAT)
        assert (await kiosk.document()).outcome is Outcome.APPLICATION_STATE
        assert centre.town.asked == asked


@pytest.mark.guest
async def test_a_refusal_is_recorded_once_and_said_again_for_nothing(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = Kiosk(centre)
        await kiosk.authenticate()
        request_id = centre.new_id()
        for kind in (EntryKind.FIRST, EntryKind.REPEAT):
            answer = await kiosk.document(request_id=request_id)
            assert (answer.outcome, answer.entry.kind, answer.entry.yen) == (Outcome.APPLICATION_STATE, kind, 0)


@pytest.mark.guest
async def test_a_notice_that_stands_is_said_again_under_a_new_id_and_counts_once(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = await Kiosk(centre).issued()
        steps = (
            (Operation.COMPLETE, kiosk.complete_body(2), 2 * FEE),
            (Operation.CORRECT, kiosk.correct_body(1, 1), -FEE),
            (Operation.VOID, kiosk.void_body(), -FEE),
        )
        for operation, body, yen in steps:
            first = await kiosk.ask(operation, body)
            kiosk.worker = centre.workers[1]
            again = await kiosk.ask(operation, body)
            assert first.outcome is again.outcome
            assert (first.entry.yen, again.entry.yen, again.entry.delivery) == (yen, 0, None)
        assert (await kiosk.erase()).entry.delivery is not None
        assert (await kiosk.erase()).entry.delivery is None
        other = await kiosk.complete(1)
        assert other.outcome is Outcome.APPLICATION_STATE


@pytest.mark.guest
async def test_every_transition_stands_once_whoever_asks_at_the_same_moment(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        kiosk = Kiosk(centre)
        await kiosk.authenticate()
        steps = (
            (Operation.APPLY, kiosk.apply_body),
            (Operation.DOCUMENT, lambda: Fetch(kiosk.application)),
            (Operation.COMPLETE, kiosk.complete_body),
            (Operation.VOID, kiosk.void_body),
        )
        for operation, body in steps:
            wanted, answers = body(), []

            async def ask(worker, operation=operation, wanted=wanted, answers=answers):
                answers.append(await worker.ask(operation, wanted))

            async with trio.open_nursery() as nursery:
                for n in range(6):
                    nursery.start_soon(ask, centre.workers[n % 2])
            moved = [each for each in answers if each.entry is not None and each.entry.delivery is not None]
            assert len(moved) == 1, (operation, answers)
        rows = await centre.workers[0].database.fetch(
            "select transition, count(*), sum(yen)::int from issuance.event group by 1 order by 1"
        )
        assert [tuple(row) for row in rows] == [
            (Transition.AUTHENTICATED, 1, 0),
            (Transition.APPLIED, 1, 0),
            (Transition.ISSUED, 1, 0),
            (Transition.COMPLETED, 1, 2 * FEE),
            (Transition.VOIDED, 1, -2 * FEE),
        ]


@pytest.mark.guest
async def test_what_is_only_shown_leaves_no_trace(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = Kiosk(centre)
        menu = await kiosk.ask(Operation.MENU, MenuQuery("121002", 1))
        assert menu.outcome is Outcome.MENU
        nowhere = await kiosk.ask(Operation.MENU, MenuQuery("131016", 1))
        assert (nowhere.outcome, nowhere.entry) == (Outcome.NOT_PARTICIPATING, None)
        unknown = bytes(16)
        assert (await kiosk.ask(Operation.PART, Part(unknown, 0))).outcome is Outcome.APPLICATION_UNKNOWN
        assert (await kiosk.ask(Operation.STATUS, StatusQuery([unknown]))).outcome is Outcome.STATUS
        assert await centre.workers[0].database.fetch("select from ledger.block") == []


@pytest.mark.guest
async def test_parts_beyond_the_document_are_refused(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        assert (await kiosk.part(2)).outcome is Outcome.FIELD_INVALID


@pytest.mark.guest
async def test_an_operation_of_another_centre_is_unknown_here(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        answer = await centre.workers[0].ask(Operation.DISCLAIM, Disclaim(bytes(16), ""))
        assert answer.outcome is Outcome.UNKNOWN_OPERATION
