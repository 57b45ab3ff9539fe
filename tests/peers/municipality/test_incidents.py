"""The failures of the field, played by an issuing server that does wrong: gateway and kiosk refuse what it made.

The checks are those both ends make of every document (protocol.document); here is shown that each fault meets one.
"""

import msgspec
import pytest
import trio

from gateway.line.dial import LineClient
from protocol.document import DocumentError, decode_manifest
from protocol.issuance import Issue, Issued
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from tests.peers.municipality.faults import (
    AnswersTwice,
    Delayed,
    ForeignPage,
    OtherSession,
    PreviousFile,
    PreviousPerson,
    Stale,
)
from tests.peers.municipality.kit import Sitting, Town, World, ask, fetched, made, opened_by_kiosk


@pytest.fixture(autouse=True)
def _fresh_faults() -> None:
    PreviousPerson.previous = PreviousFile.previous = ForeignPage.previous = OtherSession.previous = None


async def taken(client: LineClient, body: Issue) -> tuple[Issued, bytes]:
    """Manifest and sealed document."""
    issued = await made(client, body)
    return issued, await fetched(client, body.application.statement.application, issued.size)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (PreviousPerson, "page 1 is not of this application"),
        (PreviousFile, "page 1 is not of this application"),
        (ForeignPage, "page 3 is not of this application"),
        (OtherSession, "the manifest is of another application"),
        (Stale, "the manifest is of another kit"),
    ],
)
async def test_what_a_faulty_server_makes_does_not_pass_gateway_and_kiosk(
    town: Town, world: World, fault: type, found: str
) -> None:
    one, two = Sitting(world, resident=1), Sitting(world, resident=1)
    first, second = one.issue(options=15), two.issue(options=15)
    async with town.answering(workshop=fault) as client:
        issued, sealed = await taken(client, first)
        if fault is not Stale:  # the others begin with the second
            opened_by_kiosk(one, first, issued, sealed)
            issued, sealed = await taken(client, second)
    with pytest.raises(DocumentError, match=found):
        opened_by_kiosk(two if fault is not Stale else one, second if fault is not Stale else first, issued, sealed)


@pytest.mark.trio
async def test_a_document_opens_for_no_other_session(town: Town, world: World) -> None:
    mine, other = Sitting(world), Sitting(world, resident=6)
    body = mine.issue()
    async with town.answering() as client:
        issued, sealed = await taken(client, body)
    with pytest.raises(DocumentError, match="another session"):
        opened_by_kiosk(other, body, issued, sealed)
    forged = msgspec.structs.replace(decode_manifest(issued.manifest), copies=2)
    assert decode_manifest(encode(forged)) == forged
    with pytest.raises(ValueError, match="signature"):
        opened_by_kiosk(mine, body, msgspec.structs.replace(issued, manifest=encode(forged)), sealed)


@pytest.mark.trio
async def test_an_answer_beyond_its_time_is_none_and_nothing_was_issued(town: Town, world: World) -> None:
    body = Sitting(world).issue()
    async with town.answering(workshop=Delayed) as client:
        outcome, _ = await ask(client, body, deadline_ms=200)
        assert outcome == Outcome.DEADLINE_EXCEEDED
        with town.opened() as municipality:
            assert municipality.store.row("SELECT count(*) FROM issues") == (0,)
        outcome, _ = await ask(client, body)
        assert outcome == Outcome.MADE


@pytest.mark.trio
async def test_an_answer_given_twice_reaches_nobody_elses_question(town: Town, world: World) -> None:
    sittings = [Sitting(world, resident=number) for number in (0, 6, 7, 9)]
    bodies = [sitting.issue() for sitting in sittings]
    issued: list[Issued | None] = [None] * len(bodies)
    async with town.answering(server=AnswersTwice) as client:

        async def one(index: int) -> None:
            result = await client.ask(Operation.ISSUE, encode(bodies[index]), deadline_ms=20_000)
            assert result.outcome == Outcome.MADE
            issued[index] = msgspec.msgpack.decode(result.body, type=Issued)

        async with trio.open_nursery() as nursery:
            for index in range(len(bodies)):
                nursery.start_soon(one, index)
    for body, each in zip(bodies, issued, strict=True):
        assert each is not None
        assert decode_manifest(each.manifest).application == body.application.statement.application
