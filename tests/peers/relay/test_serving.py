"""A whole relay: kiosks over TLS on one side, a certificate centre over TLS on the other."""

import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from gateway.ops.logs import KeyFence
from gateway.peers.kiosk.link import RelayLink
from gateway.peers.proof_book import DIRECTORY, open_proof_book
from gateway.peers.relay import courier, filing, notices, outbox, registry, totals, worklist
from gateway.peers.relay.menus import KEPT_MAX, KEPT_S, Menus
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.serving import Ports, serve_relay
from gateway.peers.relay.store import open_store
from protocol import issuance
from protocol.issuance import KioskFact
from protocol.messages import InquiryByCode, Operation, encode
from protocol.outcomes import Outcome
from tests.kit.centre import refusal
from tests.peers.relay.kit import (
    CITY,
    DAY,
    FEE_YEN,
    KIND,
    Centre,
    authenticate,
    call,
    complete,
    erase,
    event,
    new_application,
    statement,
    tell,
    until,
    void,
)  # fmt: skip

pytestmark = [pytest.mark.trio]


def relayed(result) -> issuance.Relayed:
    assert result.outcome == Outcome.RELAYED, Outcome(result.outcome)
    return msgspec.msgpack.decode(result.body, type=issuance.Relayed)


async def begin(client, site, name: str = "kiosk-1") -> bytes:
    told = relayed(await call(client, Operation.AUTHENTICATE, authenticate(site, name)))
    assert told.outcome == Outcome.AUTHENTICATED
    return msgspec.msgpack.decode(told.body, type=issuance.Authenticated).application


@pytest.fixture
async def served(site, data, nursery):
    """Centre and relay: (centre, its place, ports, stop)."""
    centre, stop = Centre(), trio.Event()
    async with site.centre_at(centre) as place:

        async def serve(task_status) -> None:
            await serve_relay(data, centre_port=place.port, stop=stop, task_status=task_status)

        ports: Ports = await nursery.start(serve)
        yield centre, place, ports, stop
        stop.set()


async def test_a_certificate_goes_its_way_and_its_notices_are_delivered_in_order(site, data, served) -> None:
    centre, _, ports, _ = served
    async with site.kiosk(data, ports.line) as client:
        asked = client.new_id()
        told = relayed(await call(client, Operation.CHALLENGE, issuance.Challenge("kiosk-1"), request_id=asked))
        assert told.outcome == Outcome.CHALLENGED
        assert centre.asked[0].request_id == asked
        assert centre.asked[0].deadline_ms == 5_000
        application = await begin(client, site)
        assert relayed(await call(client, Operation.MENU, issuance.MenuQuery(CITY, 1))).outcome == Outcome.MENU
        assert relayed(await call(client, Operation.APPLY, statement(application))).outcome == Outcome.APPLIED
        assert relayed(await call(client, Operation.DOCUMENT, issuance.Fetch(application))).outcome == Outcome.ISSUED
        part = relayed(await call(client, Operation.PART, issuance.Part(application, 0)))
        assert (part.outcome, part.body) == (Outcome.PART, b"sealed part")
        for fact in (KioskFact.IN_USE, KioskFact.DEPOSITED, KioskFact.PRINTING, KioskFact.PRINTED):
            assert await tell(client, event(fact, application, yen=600)) == Outcome.FACT_NOTED
        completing = client.new_id()
        taken = await call(client, Operation.COMPLETE, complete(application), request_id=completing)
        assert taken.outcome == Outcome.TAKEN_OVER
        assert (await call(client, Operation.ERASE, erase(application))).outcome == Outcome.TAKEN_OVER
        with open_store(data) as store:
            await until(lambda: outbox.depth(store).held == 0)
            assert centre.operations()[-2:] == ["COMPLETE", "ERASE"]
            assert centre.asked[-2].request_id == completing
            (total,) = totals.totals(store, DAY[:7])
            assert (total.store, total.municipality, total.kind) == ("store-1", CITY, KIND)
            assert (total.copies, total.yen, total.waiting) == (2, 2 * FEE_YEN, 0)
            assert worklist.in_doubt(store, before_us=2**62) == []
            (state,) = [one for one in registry.states(store) if one.kiosk == "kiosk-1"]
            assert state.connected_us is not None
            await until(lambda: not filing.waits(store))
    with open_proof_book(data / DIRECTORY) as book:
        book.seal()
        assert [month.proofs for month in book.months()] == [2]


async def test_notices_of_while_the_centre_is_away_reach_it_under_their_ids(site, data, nursery) -> None:
    centre, stop = Centre(), trio.Event()
    async with site.centre_at(centre) as place:
        port = place.port

        async def serve(task_status) -> None:
            await serve_relay(data, centre_port=port, stop=stop, task_status=task_status)

        ports = await nursery.start(serve)
        async with site.kiosk(data, ports.line) as client:
            application = await begin(client, site)
    async with site.kiosk(data, ports.line) as client:
        ids = [client.new_id() for _ in range(2)]
        for request_id, operation, body in zip(
            ids, (Operation.COMPLETE, Operation.ERASE), (complete(application), erase(application)), strict=True
        ):
            for _ in range(2):  # the second time as if the first answer had been lost
                taken = await call(client, operation, body, request_id=request_id)
                assert taken.outcome == Outcome.TAKEN_OVER
        with open_store(data) as store:
            assert outbox.depth(store).held == 2
            async with site.centre_at(centre, port=port):
                await until(lambda: outbox.depth(store).held == 0)
    assert [request.request_id for request in centre.asked[-2:]] == ids
    stop.set()


async def test_notices_of_a_suspended_operator_reach_the_centre_once_it_is_suspended_no_more(
    site, data, served, monkeypatch
) -> None:
    monkeypatch.setattr(courier, "SUSPENDED_LOOK_S", 0.02)
    centre, _, ports, _ = served
    async with site.kiosk(data, ports.line) as client:
        application = await begin(client, site)
        assert relayed(await call(client, Operation.APPLY, statement(application))).outcome == Outcome.APPLIED
        centre.fail = lambda _: Outcome.SUSPENDED
        first = client.new_id()
        taken = await call(client, Operation.COMPLETE, complete(application), request_id=first)
        assert taken.outcome == Outcome.TAKEN_OVER
        assert (await call(client, Operation.ERASE, erase(application))).outcome == Outcome.TAKEN_OVER
        await until(lambda: centre.operations().count("STATUS") > 2)
        with open_store(data) as store:
            assert outbox.depth(store).held == 2
            assert worklist.refused(store) == []
            centre.fail = None
            await until(lambda: outbox.depth(store).held == 0)
            assert worklist.refused(store) == []
            assert notices.unacknowledged(store, limit=9) == []
    assert centre.operations()[-2:] == ["COMPLETE", "ERASE"]
    assert centre.recorded[first][0] == Outcome.SUSPENDED
    assert centre.asked[-2].request_id != first
    assert centre.money == {application: 2 * FEE_YEN}


async def test_what_is_not_the_kiosks_own_does_not_pass(site, data, served) -> None:
    centre, _, ports, _ = served
    async with site.kiosk(data, ports.line) as one, site.kiosk(data, ports.line, "kiosk-2") as other:
        application = await begin(one, site)
        before = len(centre.asked)
        mine = authenticate(site)
        theirs = msgspec.structs.replace(mine, session=msgspec.structs.replace(mine.session, operator="another"))
        certificate = msgspec.structs.replace(mine, kiosk_certificate=site.certificate("kiosk-2"))
        inquiry = encode(InquiryByCode("vehicle-12-1", 1, "staff-001", "2026-1", "00000000000"))
        refused = [
            (one, Operation.CHALLENGE, issuance.Challenge("kiosk-2")),
            (other, Operation.AUTHENTICATE, mine),
            (one, Operation.AUTHENTICATE, theirs),
            (one, Operation.AUTHENTICATE, certificate),
            (other, Operation.APPLY, statement(application)),
            (other, Operation.DOCUMENT, issuance.Fetch(application)),
            (other, Operation.PART, issuance.Part(application, 0)),
            (other, Operation.STATUS, issuance.StatusQuery([application])),
            (other, Operation.COMPLETE, complete(application, name="kiosk-2")),
            (other, Operation.ERASE, erase(application)),
            (one, Operation.COMPLETE, complete(application, name="kiosk-2")),
            (one, Operation.APPLY, statement(new_application())),
            (one, Operation.COMPLETE, b"\x00"),
            (one, Operation.INQUIRE_BY_CODE, inquiry),
            (one, Operation.RECEIPT, encode([bytes(16), 0])),
            (one, Operation.REPORTED, encode([])),
            (one, Operation.KIOSK_CALL, encode(issuance.KioskCall(Operation.MENU, b""))),
            (one, 99, b""),
        ]
        for client, operation, body in refused:
            assert (await call(client, operation, body)).outcome == Outcome.NOT_PERMITTED, (operation, body)
        assert await tell(other, event(KioskFact.DEPOSITED, application, yen=300)) == Outcome.NOT_PERMITTED
        assert await tell(one, event(KioskFact.FAULT, detail="山田太郎")) == Outcome.NOT_PERMITTED
        straight = await one.ask(Operation.INQUIRE_BY_CODE, inquiry, retry=False)
        assert straight.outcome == Outcome.NOT_PERMITTED
        assert len(centre.asked) == before
        with open_store(data) as store:
            assert outbox.depth(store).held == 0


async def test_calls_of_one_moment_share_signed_frames(site, data, served) -> None:
    centre, place, ports, _ = served
    async with site.kiosk(data, ports.line) as client, trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(call, client, Operation.CHALLENGE, issuance.Challenge("kiosk-1"))
    assert sum(place.gate.frames) == len(centre.asked) == 40
    assert len(place.gate.frames) <= 20


async def test_while_the_centre_is_silent_the_kiosk_hears_in_time_and_may_ask_again(site, data, served) -> None:
    centre, place, ports, _ = served
    async with site.kiosk(data, ports.line) as client:
        place.gate.silent = True
        asked = client.new_id()
        inner = encode(issuance.KioskCall(Operation.AUTHENTICATE, encode(authenticate(site))))
        silent = await client.ask(Operation.KIOSK_CALL, inner, request_id=asked, deadline_ms=300, retry=False)
        assert silent.outcome in (Outcome.UNAVAILABLE, Outcome.DEADLINE_EXCEEDED)
        begun = msgspec.msgpack.decode(centre.recorded[asked][1], type=issuance.Authenticated)
        # The centre ends the line that still waits; the kiosk's next attempt has the answer of the first.
        place.gate.silent = False
        for connection in list(place.gate.open):
            connection.finish()
        await until(lambda: not place.gate.open or place.gate.frames)
        again = await client.ask(Operation.KIOSK_CALL, inner, request_id=asked, deadline_ms=5_000, retry=False)
        told = msgspec.msgpack.decode(relayed(again).body, type=issuance.Authenticated)
        assert told.application == begun.application
        passes = await call(client, Operation.STATUS, issuance.StatusQuery([begun.application]))
        assert relayed(passes).outcome == Outcome.STATUS


async def test_what_the_centre_refuses_comes_back_as_it_was_said_and_is_not_asked_again(site, data, served) -> None:
    centre, _, ports, _ = served
    async with site.kiosk(data, ports.line) as client:
        for outcome in (Outcome.CARD_UNVERIFIABLE, Outcome.CARD_REVOKED, Outcome.MUNICIPALITY_CLOSED):
            before = len(centre.asked)
            centre.fail = lambda _, outcome=outcome: outcome
            assert relayed(await call(client, Operation.AUTHENTICATE, authenticate(site))).outcome == outcome
            assert len(centre.asked) == before + 1
        answers = [Outcome.BUSY, Outcome.PENDING]
        centre.fail = lambda _: answers.pop(0) if answers else None
        told = relayed(await call(client, Operation.AUTHENTICATE, authenticate(site)))
        assert told.outcome == Outcome.AUTHENTICATED


async def test_a_menu_that_many_kiosks_look_at_is_one_question_to_the_centre(site, data, served) -> None:
    centre, _, ports, _ = served
    looked = [issuance.MenuQuery(CITY, 1)] * 3 + [issuance.MenuQuery(CITY, 2)]
    async with site.kiosk(data, ports.line) as one, site.kiosk(data, ports.line, "kiosk-2") as two:
        answers = [Outcome.CARD_NOT_USABLE]  # a refusal for cause is said again like a menu, what passes is not
        centre.fail = lambda request: answers.pop() if answers and request.body == encode(looked[-1]) else None
        for client in (one, two):
            told = [relayed(await call(client, Operation.MENU, body)).outcome for body in looked]
            assert told == [Outcome.MENU] * 3 + [Outcome.CARD_NOT_USABLE]
        assert centre.operations() == ["MENU", "MENU"]


async def test_a_menu_is_kept_for_seconds_and_what_passes_is_not_kept() -> None:
    clock = [0.0]
    menus = Menus(lambda: clock[0])
    asked = issuance.KioskCall(Operation.MENU, encode(issuance.MenuQuery(CITY, 1)))
    for outcome in (Outcome.BUSY, Outcome.STALE_REQUEST_ID, Outcome.REPEAT_LIMIT, 9999):
        menus.keep(asked, issuance.Relayed(outcome, b""))
        assert menus.find(asked) is None
    said = issuance.Relayed(Outcome.MENU, b"menu")
    menus.keep(asked, said)
    menus.keep(issuance.KioskCall(Operation.CHALLENGE, asked.body), issuance.Relayed(Outcome.CHALLENGED, b""))
    assert menus.find(asked) == said
    assert menus.find(issuance.KioskCall(Operation.CHALLENGE, asked.body)) is None
    clock[0] = KEPT_S
    assert menus.find(asked) is None
    for number in range(KEPT_MAX + 1):
        menus.keep(issuance.KioskCall(Operation.MENU, b"%d" % number), said)
    assert len(menus._kept) == KEPT_MAX


async def test_a_kiosk_lost_while_in_use_and_money_of_nowhere_are_noticed(site, data, served) -> None:
    _, _, ports, _ = served
    with open_store(data) as store:
        async with site.kiosk(data, ports.line) as client:
            await tell(client, event(KioskFact.IN_USE))
            await until(lambda: registry.states(store)[0].in_use)
            unknown = event(KioskFact.DEPOSITED, new_application(), yen=300)
            assert await tell(client, unknown) == Outcome.NOT_PERMITTED
        await until(lambda: len(notices.unacknowledged(store, limit=9)) == 2)
        assert {one.kind for one in notices.unacknowledged(store, limit=9)} == {
            NoticeKind.KIOSK_LOST, NoticeKind.DEPOSIT_UNKNOWN,
        }  # fmt: skip
        (state,) = [one for one in registry.states(store) if one.kiosk == "kiosk-1"]
        assert (state.connected_us, state.in_use) == (None, False)


async def test_a_kiosk_that_is_not_registered_gets_no_line(site, data, served) -> None:
    _, _, ports, _ = served
    with open_store(data) as store:
        store.run("DELETE FROM kiosks WHERE kiosk = 'kiosk-2'")
    async with site.kiosk(data, ports.line, "kiosk-2", wait_s=0) as client:
        assert "LINE_UNKNOWN" in (await refusal(client) or "")


async def test_nothing_of_a_card_or_a_document_is_kept_and_what_is_logged_passes_the_fence(site, data, served) -> None:
    centre, _, ports, _ = served
    with capture_logs() as events:
        async with site.kiosk(data, ports.line) as client:
            card = msgspec.structs.replace(
                authenticate(site), card_certificate=b"MARKED CARD", card_signature=b"MARKED"
            )
            begun = relayed(await call(client, Operation.AUTHENTICATE, card))
            application = msgspec.msgpack.decode(begun.body, type=issuance.Authenticated).application
            centre.part = b"MARKED SEALED PART"
            part = relayed(await call(client, Operation.PART, issuance.Part(application, 0)))
            assert part.body == centre.part
            assert (await call(client, Operation.PART, issuance.Part(new_application(), 0))).outcome == 523
            assert await tell(client, event(KioskFact.FAULT, detail="PAPER-JAM")) == Outcome.FACT_NOTED
            centre.fail = lambda request: Outcome.APPLICATION_STATE if request.operation == Operation.VOID else None
            await call(client, Operation.VOID, void(application))
            with open_store(data) as store:
                await until(lambda: len(worklist.refused(store)) == 1)
    assert not [file.name for file in kept(data) if b"MARKED" in file.read_bytes()]
    names = {one["event"] for one in events}
    assert names >= {"not_permitted", "relay_notice", "notice_refused", "line_opened"}
    fence = KeyFence(strict=True)
    for one in events:
        fence(None, "", {key: value for key, value in one.items() if key != "log_level"})


async def test_a_kiosks_own_link_is_answered_in_its_words(site, data, served) -> None:
    centre, _, ports, _ = served
    async with site.kiosk(data, ports.line) as client, trio.open_nursery() as nursery:
        link = RelayLink(client)
        nursery.start_soon(link.run)
        outcome, body = await link.call(Operation.AUTHENTICATE, encode(authenticate(site)))
        assert outcome == Outcome.AUTHENTICATED
        application = msgspec.msgpack.decode(body, type=issuance.Authenticated).application
        link.tell(event(KioskFact.DEPOSITED, application, yen=600))
        with open_store(data) as store:
            await until(lambda: len(worklist.in_doubt(store, before_us=2**62)) == 1)
        answers = [Outcome.BUSY, Outcome.DEADLINE_EXCEEDED]
        centre.fail = lambda _: answers.pop(0) if answers else None
        assert (await link.call(Operation.DOCUMENT, encode(issuance.Fetch(application))))[0] == Outcome.ISSUED
        assert (await link.call(Operation.VOID, encode(void(application))))[0] == Outcome.TAKEN_OVER
        foreign = encode(issuance.Fetch(new_application()))
        assert (await link.call(Operation.DOCUMENT, foreign))[0] == Outcome.NOT_PERMITTED
        nursery.cancel_scope.cancel()


def kept(data):
    return [file for file in data.rglob("*") if file.is_file()]
