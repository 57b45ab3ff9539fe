"""The gate for documents: what is not bound to the application reaches nobody, and leaves an incident (DOMAIN 2.12)."""

from datetime import date

import pytest
import trio
import trio.testing
from msgspec.structs import replace

from gateway.directory.participants import Kit
from gateway.issuance.breaker import FAILURES
from gateway.issuance.incidents import IncidentKind
from protocol.application import Transition
from protocol.issuance import Fetch
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.issuance.kit import Kiosk, centre_of, directory_of, municipality
from tests.issuance.town import Town
from tests.ledger.building import Signer


async def incidents(centre):
    """Kind, detail and application of every open incident."""
    rows = await centre.workers[0].database.fetch(
        "select kind, detail, application from issuance.incident where closed_us is null order by id"
    )
    return [tuple(row) for row in rows]


async def applied(centre, worker=None):
    """A kiosk that may fetch its document."""
    kiosk = Kiosk(centre, worker)
    await kiosk.authenticate()
    assert (await kiosk.apply()).outcome is Outcome.APPLIED
    return kiosk


async def until(condition):
    """Poll, with a bound."""
    with trio.fail_after(5):
        while not await condition():
            await trio.sleep(0.01)


FOREIGN = {
    "session": {"session": bytes(32)},
    "pseudonym": {"pseudonym": bytes(16)},
    "application": {"application": bytes(16)},
    "kit": {"kit": "kit-2025.9"},
    "kind": {"kind": "inkan"},
    "options": {"options": 1},
    "copies": {"copies": 1},
    "statement": {"statement": bytes(32)},
    "municipality": {"municipality": "131016"},
    "version": {"version": 2},
    "ciphertext": {"ciphertext": bytes(32)},
    "issued-at": {"issued_at_us": 1},
}


@pytest.mark.guest
async def test_a_foreign_manifest_is_withheld_whatever_of_it_is_foreign_and_stays_an_incident_after_a_success(
    database_dsn, cards
):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        town.again = True
        kiosks = {}
        for what, changes in FOREIGN.items():
            # The breaker counts these: a person who mends the municipality begins anew.
            centre.workers[0].service._municipalities._lines.clear()
            kiosk = kiosks[what] = await applied(centre)
            town.spoil = lambda manifest, changes=changes: replace(manifest, **changes)
            assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD, what
            assert (await kiosk.part(0)).outcome is Outcome.APPLICATION_STATE
            town.spoil = lambda manifest: manifest
            assert (await kiosk.document()).outcome is Outcome.ISSUED, what
        assert await incidents(centre) == [
            (IncidentKind.MISMATCHED, what, kiosk.application) for what, kiosk in kiosks.items()
        ]


@pytest.mark.guest
async def test_a_manifest_signed_by_another_key_is_withheld(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        centre.town.signing = Signer("manifest-1")
        kiosk = await applied(centre)
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        assert await incidents(centre) == [(IncidentKind.MISMATCHED, "signature", kiosk.application)]


@pytest.mark.guest
async def test_two_documents_that_are_swapped_reach_neither_kiosk(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        town = centre.town
        one, two = [await applied(centre, worker) for worker in centre.workers]
        await Kiosk(centre).issued()
        other = next(iter(town.documents.values()))[1]
        town.swap = lambda _: other
        for kiosk in (one, two):
            assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
            assert await kiosk.status() == [Transition.AUTHENTICATED, Transition.APPLIED]
        assert [(kind, detail) for kind, detail, _ in await incidents(centre)] == [("mismatched", "ciphertext")] * 2


@pytest.mark.guest
async def test_the_previous_persons_document_is_withheld(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        before = await Kiosk(centre).issued()
        kiosk = await applied(centre)
        town.documents[kiosk.application] = town.documents[before.application]
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        assert await incidents(centre) == [(IncidentKind.MISMATCHED, "application", kiosk.application)]


@pytest.mark.guest
async def test_a_reply_after_the_deadline_is_dropped_and_an_incident_although_asking_again_succeeds(
    database_dsn, cards
):
    async with centre_of(database_dsn, cards) as centre:
        town = centre.town
        kiosk = await applied(centre)
        gate = town.gate = trio.Event()
        late = await kiosk.document(timeout_s=0.3)
        assert late.outcome is Outcome.UNAVAILABLE
        assert await incidents(centre) == []
        town.gate = None
        kiosk.worker = centre.workers[1]
        assert (await kiosk.document()).outcome is Outcome.ISSUED
        gate.set()

        async def raised():
            return await incidents(centre) == [(IncidentKind.LATE, "reply", kiosk.application)]

        await until(raised)
        assert await kiosk.status() == [Transition.AUTHENTICATED, Transition.APPLIED, Transition.ISSUED]


@pytest.mark.guest
async def test_a_document_for_an_application_whose_document_stands_is_dropped_and_an_incident(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        town = centre.town
        town.again = True
        kiosk = await applied(centre)
        gate = town.gate = trio.Event()
        answers = []

        async def slow():
            answers.append(await kiosk.document(timeout_s=5))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow)

            async def waiting():
                return town.under_way == 1

            await until(waiting)
            town.gate = None
            fast = await centre.workers[1].send(centre.workers[1].asked(Operation.DOCUMENT, Fetch(kiosk.application)))
            assert fast.outcome is Outcome.ISSUED
            gate.set()
        assert answers[0].outcome is Outcome.APPLICATION_STATE
        assert await incidents(centre) == [(IncidentKind.DUPLICATE, "made-twice", kiosk.application)]
        # What the kiosk gets is what stands: the first that was recorded.
        assert (await kiosk.part(0)).outcome is Outcome.PART


@pytest.mark.guest
async def test_replies_that_are_none_are_incidents(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        kiosk = await applied(centre)
        town.outcome = Outcome.NOTED
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        town.outcome = Outcome.MADE  # with a body that is none
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        town.outcome, town.refuses = None, Outcome.COMPLETED
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        town.refuses, town.part = None, lambda _index, _data: (Outcome.NOTED, b"")
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        assert [detail for _, detail, _ in await incidents(centre)] == [
            "outcome-502",
            "made-unreadable",
            "refusal-136",
            "part-outcome-502",
        ]


@pytest.mark.guest
async def test_a_refusal_of_the_municipality_is_recorded_and_costs_nothing(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        centre.town.refuses = Outcome.COUNTER_ONLY
        kiosk = await applied(centre)
        answer = await kiosk.document()
        assert (answer.outcome, answer.entry.yen, answer.entry.matter) == (Outcome.COUNTER_ONLY, 0, "juminhyo")
        assert await incidents(centre) == []


@pytest.mark.guest
async def test_a_worker_that_dies_between_intent_and_making_leaves_the_intent_to_the_others(database_dsn, cards):
    async with centre_of(database_dsn, cards) as centre:
        town = centre.town
        kiosk = await applied(centre)
        town.gate = trio.Event()
        with trio.move_on_after(0.2):  # its asker is gone with it
            await kiosk.document()
        centre.workers[0]._nursery.cancel_scope.cancel()
        town.gate = None
        kiosk.worker = centre.workers[1]
        assert await kiosk.status() == [Transition.AUTHENTICATED, Transition.APPLIED]
        assert (await kiosk.document()).outcome is Outcome.ISSUED


@pytest.mark.guest
async def test_a_municipality_that_fails_is_left_alone_and_holds_up_no_other(database_dsn, cards):
    away, well = Town(), Town("131016", "chiyoda")
    async with centre_of(database_dsn, cards, away, well, workers=1) as centre:
        away.away = True
        for _ in range(FAILURES):
            kiosk = await applied(centre)
            assert (await kiosk.document()).outcome is Outcome.UNAVAILABLE
        away.away = False
        assert (await kiosk.document()).outcome is Outcome.UNAVAILABLE
        assert Operation.ISSUE not in away.asked
        other = Kiosk(centre, municipality="131016")
        await other.issued()
        (of_away, of_well) = centre.workers[0].service.health()
        assert (of_away.breaker, of_away.failed) == ("open", FAILURES)
        assert (of_well.breaker, of_well.succeeded) == ("closed", 1)
        assert await incidents(centre) == []


@pytest.mark.guest
async def test_a_municipality_is_asked_for_no_more_at_once_than_it_bears_and_in_order(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        kiosks = [await applied(centre) for _ in range(9)]
        town.gate = trio.Event()
        answers = []

        async def fetch(kiosk):
            answers.append(await kiosk.document(timeout_s=8))

        async with trio.open_nursery() as nursery:
            for kiosk in kiosks:
                nursery.start_soon(fetch, kiosk)

            async def full():
                return town.under_way == 4

            await until(full)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert town.asked.count(Operation.ISSUE) == 4
            town.gate.set()
        assert {each.outcome for each in answers} == {Outcome.ISSUED}


@pytest.mark.guest
async def test_what_finds_a_municipality_full_is_shed_and_may_come_again(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        centre.directory = directory_of(cards, town, municipalities=(municipality(town, requests_at_once=1),))
        first, second = await applied(centre), await applied(centre)
        gate = town.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.document)

            async def waiting():
                return town.under_way == 1

            await until(waiting)
            assert (await second.document(timeout_s=0.2)).outcome is Outcome.BUSY
            gate.set()
        assert (await second.document()).outcome is Outcome.ISSUED


@pytest.mark.guest
async def test_a_kit_that_was_retired_meanwhile_is_not_accepted(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await applied(centre)
        centre.directory = directory_of(
            cards,
            centre.town,
            kits=(
                Kit(id="kit-2026.1", valid_from=date(2026, 4, 1), retired_on=date(2026, 11, 20)),
                Kit(id="kit-2026.2", valid_from=date(2026, 4, 1)),
            ),
        )
        centre.town.spoil = lambda manifest: replace(manifest, kit="kit-2026.1")
        assert (await kiosk.document()).outcome is Outcome.DOCUMENT_WITHHELD
        assert [detail for _, detail, _ in await incidents(centre)] == ["kit"]


@pytest.mark.guest
async def test_a_busy_municipality_is_asked_again_within_the_deadline(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        kiosk = await applied(centre)
        town.outcome = Outcome.BUSY
        async with trio.open_nursery() as nursery:
            answers = []

            async def fetch():
                answers.append(await kiosk.document(timeout_s=8))

            nursery.start_soon(fetch)

            async def twice():
                return town.asked.count(Operation.ISSUE) >= 2

            await until(twice)
            town.outcome = None
        assert answers[0].outcome is Outcome.ISSUED
        assert await incidents(centre) == []


@pytest.mark.guest
async def test_a_card_in_doubt_at_the_municipality_is_in_doubt_at_the_kiosk(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await applied(centre)
        centre.town.outcome = Outcome.CARD_UNVERIFIABLE
        assert (await kiosk.document()).outcome is Outcome.CARD_UNVERIFIABLE
        centre.town.outcome = None
        assert (await kiosk.document()).outcome is Outcome.ISSUED


@pytest.mark.guest
async def test_a_municipality_that_moves_gets_a_new_line_and_the_old_one_closes_when_nobody_waits(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town = centre.town
        first, second = await applied(centre), await applied(centre)
        gate = town.gate = trio.Event()
        answers = []

        async def fetch():
            answers.append(await first.document(timeout_s=5))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch)

            async def waiting():
                return town.under_way == 1

            await until(waiting)
            town.gate = None
            centre.directory = directory_of(cards, town, municipalities=(municipality(town, port=2),))
            assert (await second.document()).outcome is Outcome.ISSUED
            assert (town.dialled, town.hung_up) == ([1, 2], [])
            gate.set()
        assert answers[0].outcome is Outcome.ISSUED

        async def closed():
            return town.hung_up == [1]

        await until(closed)


@pytest.mark.guest
async def test_a_line_that_cannot_be_had_concerns_its_municipality_alone(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        town, dial = centre.town, centre.town.dial
        kiosk = await applied(centre)

        def broken(_place):
            raise OSError

        town.dial = broken
        assert (await kiosk.document()).outcome is Outcome.UNAVAILABLE
        town.dial = dial
        assert (await kiosk.document()).outcome is Outcome.ISSUED
