"""A relay that lies to both sides: what it alters is refused, what it keeps back is found (DESIGN 10).

It is the product's relay with the line to the centre, or what kiosks ask it, in false hands. It has the operator's line
certificate and can answer what it likes; it has neither a kiosk's key, nor a card's, nor a session's.
"""

from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from certs.names import LineName
from gateway.line.dial import LineClient
from gateway.peers.kiosk.sitting import es256, fresh_keys, session_of
from gateway.peers.municipality import reports
from gateway.peers.relay import worklist
from gateway.peers.relay.serving import Running
from protocol.application import Transition
from protocol.issuance import (
    Apply,
    Authenticate,
    Challenge,
    Challenged,
    Issued,
    KioskCall,
    KioskEvent,
    statement_to_sign,
)
from protocol.messages import Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from tests.service.incident_kit import (
    CHIBA,
    Field,
    Handle,
    Sat,
    assert_delivered,
    assert_turned_away,
    at_once,
    sit,
    until,
    wish,
)

SIGNATURE_REFUSED, NONCE_INVALID = (str(int(each)) for each in (Outcome.SIGNATURE_REFUSED, Outcome.NONCE_INVALID))
THEIRS = fresh_keys()
"""The keys of the relay's own, in place of a session's."""


class Liar:
    """A relay's line to the centre that passes everything on as it is, but for what `lie` makes of it."""

    def __init__(self, line: LineClient, lie: Callable[["Liar", Request], Awaitable[Result]]) -> None:
        self.line = line
        self._lie = lie

    @property
    def open_slots(self) -> list[int]:
        """See LineClient."""
        return self.line.open_slots

    async def ask_once(self, request: Request) -> Result:
        """See LineClient."""
        return await self._lie(self, request)

    async def ask(self, operation: int, body: bytes) -> Result:
        """A question of its own."""
        return await self.line.ask(operation, body, timeout_s=10)


def altered(request: Request, **changes: object) -> Request:
    """A request with fields of its body changed."""
    body = decode_body(request.operation, request.body)
    return replace(request, body=encode(replace(body, **changes)))


async def own_keys_in_authenticate(liar: Liar, request: Request) -> Result:
    """The session that the card did not sign: the relay's keys, under the kiosk's name."""
    if request.operation == Operation.AUTHENTICATE:
        body = msgspec.msgpack.decode(request.body, type=Authenticate)
        theirs = session_of(THEIRS, operator=body.session.operator, kiosk=body.session.kiosk)
        request = altered(request, session=theirs)
    return await liar.line.ask_once(request)


async def own_seal_key_in_authenticate(liar: Liar, request: Request) -> Result:
    """Only the key that the document is sealed to."""
    if request.operation == Operation.AUTHENTICATE:
        body = msgspec.msgpack.decode(request.body, type=Authenticate)
        theirs = session_of(THEIRS, operator=body.session.operator, kiosk=body.session.kiosk)
        request = altered(request, session=replace(body.session, seal_key=theirs.seal_key))
    return await liar.line.ask_once(request)


async def own_statement_in_apply(liar: Liar, request: Request) -> Result:
    """Another statement, signed by the relay's key."""
    if request.operation == Operation.APPLY:
        statement = replace(msgspec.msgpack.decode(request.body, type=Apply).statement, kind="inkan")
        signature = es256(THEIRS.sign, statement_to_sign(statement))
        request = altered(request, statement=statement, signature=signature)
    return await liar.line.ask_once(request)


async def own_nonce_in_challenge(liar: Liar, request: Request) -> Result:
    """A nonce that the relay made up, so that it knows what a card will sign."""
    result = await liar.line.ask_once(request)
    if request.operation == Operation.CHALLENGE:
        challenged = msgspec.msgpack.decode(result.body, type=Challenged)
        result = replace(result, body=encode(replace(challenged, nonce=bytes(len(challenged.nonce)))))
    return result


async def another_kiosks_nonce_in_challenge(liar: Liar, request: Request) -> Result:
    """A nonce that the centre gave for another kiosk."""
    if request.operation == Operation.CHALLENGE:
        return await liar.line.ask_once(replace(request, body=encode(Challenge("kiosk-2"))))
    return await liar.line.ask_once(request)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("lie", "trouble"),
    [
        (own_keys_in_authenticate, SIGNATURE_REFUSED),
        (own_seal_key_in_authenticate, SIGNATURE_REFUSED),
        (own_statement_in_apply, SIGNATURE_REFUSED),
        (own_nonce_in_challenge, NONCE_INVALID),
        (another_kiosks_nonce_in_challenge, NONCE_INVALID),
    ],
)
async def test_what_the_relay_puts_in_place_of_the_kiosks_own_is_refused_by_the_centre(
    front_reset: Field, lie: Callable[[Liar, Request], Awaitable[Result]], trouble: str
) -> None:
    field = front_reset
    async with field.front(line=lambda line: Liar(line, lie)) as ([member], _):
        sat = await sit(member, wish(CHIBA, 6))
    assert_turned_away(sat, trouble)
    assert not any(server.bench.made_for for server in field.servers[CHIBA])


@pytest.mark.trio
async def test_an_old_document_replayed_in_place_of_the_new_is_refused_by_the_kiosk(front_reset: Field) -> None:
    field, witness = front_reset, front_reset.witness()
    kept: dict[tuple[int, int], Result] = {}

    async def replay(liar: Liar, request: Request) -> Result:
        """The first answer again, to whoever asks later: of the same person, kind and kiosk."""
        if request.operation not in (Operation.DOCUMENT, Operation.PART):
            return await liar.line.ask_once(request)
        key = (request.operation, getattr(decode_body(request.operation, request.body), "index", 0))
        if key not in kept:
            kept[key] = await liar.line.ask_once(request)
        return kept[key]

    async with field.front(line=lambda line: Liar(line, replay)) as ([member], _):
        before = field.relay_faults("kiosk-1", "document-manifest-binding")
        assert_delivered(await sit(member, wish(CHIBA, 6), witness=witness))
        sat = await sit(member, wish(CHIBA, 6))
        await refused_by_kiosk(field, sat, "manifest-binding", before)


@pytest.mark.trio
async def test_two_kiosks_documents_swapped_are_refused_by_both(front_reset: Field) -> None:
    field = front_reset
    issued: dict[bytes, Result] = {}
    both = trio.Event()

    async def swap(liar: Liar, request: Request) -> Result:
        """Each gets the document, and then the parts, of the other."""
        if request.operation not in (Operation.DOCUMENT, Operation.PART):
            return await liar.line.ask_once(request)
        application = decode_body(request.operation, request.body).application
        if request.operation == Operation.DOCUMENT:
            issued[application] = await liar.line.ask_once(request)
            if len(issued) == 2:
                both.set()
            await both.wait()
        [other] = set(issued) - {application}
        if request.operation == Operation.DOCUMENT:
            return issued[other]
        return await liar.ask(request.operation, altered(request, application=other).body)

    async with field.front(2, line=lambda line: Liar(line, swap)) as (members, _):
        before = [field.relay_faults(f"kiosk-{n}", "document-manifest-binding") for n in (1, 2)]
        sats = await at_once(sit, [(members[0], wish(CHIBA, 6)), (members[1], wish(CHIBA, 9))])
        for sat, kiosk, count in zip(sats, ("kiosk-1", "kiosk-2"), before, strict=True):
            await refused_by_kiosk(field, sat, "manifest-binding", count, kiosk=kiosk)


@pytest.mark.trio
async def test_the_right_manifest_with_an_altered_part_is_refused_by_the_kiosk(front_reset: Field) -> None:
    field = front_reset

    async def alter(liar: Liar, request: Request) -> Result:
        """One bit of one part."""
        result = await liar.line.ask_once(request)
        if request.operation == Operation.PART and decode_body(Operation.PART, request.body).index == 0:
            result = replace(result, body=result.body[:-1] + bytes([result.body[-1] ^ 1]))
        return result

    async with field.front(line=lambda line: Liar(line, alter)) as ([member], _):
        before = field.relay_faults("kiosk-1", "document-seal")
        await refused_by_kiosk(field, await sit(member, wish(CHIBA, 9)), "seal", before)


@pytest.mark.trio
async def test_a_manifest_altered_on_the_way_is_refused_by_the_kiosk(front_reset: Field) -> None:
    field = front_reset

    async def alter(liar: Liar, request: Request) -> Result:
        """A manifest that the municipality did not sign."""
        result = await liar.line.ask_once(request)
        if request.operation == Operation.DOCUMENT and result.outcome == Outcome.ISSUED:
            issued = msgspec.msgpack.decode(result.body, type=Issued)
            forged = replace(issued, signature=es256(ec.generate_private_key(ec.SECP256R1()), issued.manifest))
            result = replace(result, body=encode(forged))
        return result

    async with field.front(line=lambda line: Liar(line, alter)) as ([member], _):
        before = field.relay_faults("kiosk-1", "document-manifest-signature")
        await refused_by_kiosk(field, await sit(member, wish(CHIBA, 9)), "manifest-signature", before)


@pytest.mark.trio
async def test_a_completion_taken_over_and_dropped_stands_on_the_worklist_and_is_made_from_the_journal(
    front_reset: Field,
) -> None:
    field, witness = front_reset, front_reset.witness()
    async with field.front(handle=dropping(Operation.COMPLETE)) as ([member], running):
        sat = await sit(member, wish(CHIBA, 9), witness=witness)
        assert_delivered(sat)

        def doubtful() -> list[worklist.InDoubt]:
            listed = worklist.in_doubt(running.reader, before_us=running.now_us() + 1)
            return [each for each in listed if each.application == sat.hex]

        await until(lambda: [each.journal for each in doubtful()] == [worklist.Journal.PRINTED])
        assert doubtful()[0].yen == sat.yen
        # What the relay's own watch does once the set time is over:
        item, request_id = doubtful()[0], LineClient.new_id()
        now_us = running.now_us()
        await running.writer(
            lambda store: worklist.complete_printed(store, item=item, request_id=request_id, now_us=now_us)
        )
        running.courier.wake()
        await until(lambda: completed(field, sat))
        await until(lambda: not doubtful())
    assert (await field.applications())[sat.application].yen == sat.yen
    await until(lambda: reported(field, sat) == [Transition.COMPLETED])


@pytest.mark.trio
async def test_a_relay_that_drops_every_word_about_money_is_found_by_counting_issues_against_completions(
    front_reset: Field,
) -> None:
    field, witness = front_reset, front_reset.witness()
    async with field.front(handle=dropping(Operation.COMPLETE, events=True)) as ([member], running):
        sat = await sit(member, wish(CHIBA, 9), witness=witness)
        assert_delivered(sat)
        await until(lambda: erased(field, sat))
        # Nothing at the relay, which is the liar, says so ...
        assert [
            each for each in worklist.in_doubt(running.reader, before_us=1 << 53) if each.application == sat.hex
        ] == []
        trail = member.kiosk.journal.trails[sat.application]
    # ... but the kiosk's journal has money and paper, and the centre and the municipality an issue without completion.
    assert (trail.yen, trail.done_at_us is not None, trail.told[Operation.COMPLETE]) == (
        sat.yen,
        True,
        Outcome.TAKEN_OVER,
    )
    line = (await field.applications())[sat.application]
    assert Transition.ISSUED in line.transitions
    assert Transition.COMPLETED not in line.transitions
    assert field.change(
        CHIBA, lambda store: store.row("SELECT copies FROM issues WHERE application = ?", sat.application)
    )() == (1,)
    assert reported(field, sat) == []


def dropping(operation: int, *, events: bool = False) -> Callable[[Running, Handle], Handle]:
    """A relay that says TAKEN_OVER and forgets it; with events, also what the kiosk tells it of money and paper."""

    def wrap(_: Running, handle: Handle) -> Handle:
        async def dropped(name: LineName, request: Request) -> tuple[int, bytes]:
            body = decode_body(request.operation, request.body)
            if isinstance(body, KioskCall) and body.operation == operation:
                return Outcome.TAKEN_OVER, encode(Refusal())
            if events and isinstance(body, KioskEvent):
                return Outcome.FACT_NOTED, encode(Refusal())
            return await handle(name, request)

        return dropped

    return wrap


async def refused_by_kiosk(field: Field, sat: Sat, reason: str, before: int, *, kiosk: str = "kiosk-1") -> None:
    """No paper, no money, and a notice of it; the centre completed nothing."""
    assert_turned_away(sat, "document-refused")
    await until(lambda: field.relay_faults(kiosk, f"document-{reason}") == before + 1)
    assert not await completed(field, sat)


async def completed(field: Field, sat: Sat) -> bool:
    """Whether the centre has a completion."""
    return Transition.COMPLETED in (await field.applications())[sat.application].transitions


async def erased(field: Field, sat: Sat) -> bool:
    """Whether the centre has an erasure."""
    return Transition.ERASED in (await field.applications())[sat.application].transitions


def reported(field: Field, sat: Sat) -> list[int]:
    """What the municipality was told of an application."""
    listed = field.change(CHIBA, reports.reports)()
    return [each.transition for each in listed if each.application == sat.application]
