"""A whole relay: kiosks over TLS on one side, a certificate centre over TLS on the other."""

import msgspec
import pytest
import trio

from gateway.peers.relay import outbox, registry, totals, worklist
from gateway.peers.relay.serving import Ports, serve_relay
from gateway.peers.relay.store import open_store
from protocol import issuance
from protocol.issuance import KioskFact
from protocol.messages import InquiryByCode, Operation, encode
from protocol.outcomes import Outcome
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
