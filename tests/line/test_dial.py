"""The dialling end: it covers the workers, comes back after a loss with the same ids, and believes only the centre."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import CENTRE, LINE
from gateway.line import dial
from gateway.line.dial import KeyFailed, LineClient, LineError, open_line
from gateway.line.outbox import Outbox
from hsm.errors import HsmUnavailable
from protocol.errors import FaultCode
from protocol.keys import Algorithm
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.trust import Trust
from tests.kit.centre import refusal
from tests.kit.lines import STRANGER
from tests.line.kit import (
    CENTRE_NAME,
    FIRST,
    SIGNERS,
    TRUST,
    UNLISTED,
    Centre,
    Ends,
    FakeGate,
    Pki,
    make_request,
    make_trust,
    serving,
)

pytestmark = pytest.mark.trio


@asynccontextmanager
async def dialling(
    centre: Centre, ends: Ends, *, own: LineName = FIRST, name: LineName | None = None, trust: Trust = TRUST
) -> AsyncIterator[LineClient]:
    """A client of a centre."""

    async def sign(signed: bytes) -> tuple[Algorithm, str, bytes]:
        await trio.lowlevel.checkpoint()
        return Algorithm.ES256, SIGNERS[own].key_id, SIGNERS[own].sign(signed)

    target = centre.target(own) if name is None else centre.target(own, name)
    async with open_line(target, material=ends.peers[own], trust=trust, sign=sign) as client:
        yield client


async def _ask(client: LineClient, timeout_s: float = 5.0) -> int:
    result = await client.ask(Operation.INQUIRE_BY_CODE, make_request().body, timeout_s=timeout_s)
    return result.outcome


async def test_a_client_connects_to_every_worker(ends: Ends) -> None:
    async with serving(FakeGate(ends.centre, slot=0, slots=2)) as one:
        second = FakeGate(ends.centre, slot=1, slots=2)
        async with serving(second, port=one.port), dialling(one, ends) as client:
            await client.wait_open(all_slots=True)
            assert client.open_slots == [0, 1]
            assert await _ask(client) == Outcome.NONE


async def test_what_was_in_flight_goes_out_again_under_the_same_id(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    async with serving(gate) as centre, dialling(centre, ends) as client, trio.open_nursery() as nursery:
        nursery.start_soon(_ask, client)
        await gate.until(lambda gate: len(gate.asked) == 1)
        gate.answer = "block"
        gate.open[0].fail(FaultCode.INTERNAL, "for the test")
        await gate.until(lambda gate: len(gate.asked) == 2)
    assert gate.asked[0] == gate.asked[1]


async def test_a_cancelled_ask_is_not_sent_again(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    async with serving(gate) as centre, dialling(centre, ends) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ask, client)
            await gate.until(lambda gate: len(gate.asked) == 1)
            nursery.cancel_scope.cancel()
        gate.answer = "block"
        gate.open[0].fail(FaultCode.INTERNAL, "for the test")
        await gate.until(lambda gate: len(gate.ended) == 1)
        assert await _ask(client) == Outcome.NONE
    assert len(gate.asked) == 2
    assert gate.asked[0] != gate.asked[1]


async def test_one_id_asked_twice_at_once_is_sent_once_and_both_get_the_answer(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    results: list[Result] = []
    request = make_request()

    async def ask(client: LineClient) -> None:
        results.append(await client.ask_once(request))

    async with serving(gate) as centre, dialling(centre, ends) as client:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, client)
                await gate.until(lambda gate: len(gate.asked) == 1)
                async with trio.open_nursery() as leaving:
                    leaving.start_soon(ask, client)
                    await trio.testing.wait_all_tasks_blocked()
                    leaving.cancel_scope.cancel()
                nursery.start_soon(ask, client)
                await trio.testing.wait_all_tasks_blocked()
                for share in gate.shares(FIRST, [request]):
                    gate.open[0].respond(share)
    assert len(gate.asked) == 1
    assert len(results) == 2
    assert results[0] is results[1]


async def test_an_id_given_up_and_asked_again_takes_the_answer_of_the_first_sending(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    request = make_request()
    async with serving(gate) as centre, dialling(centre, ends) as client:
        with trio.move_on_after(30) as giving_up:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.ask_once, request)
                await gate.until(lambda gate: len(gate.asked) == 1)
                giving_up.cancel()
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.ask_once, request)
                await trio.testing.wait_all_tasks_blocked()
                for share in gate.shares(FIRST, [request]):
                    gate.open[0].respond(share)
    assert len(gate.asked) == 1


async def test_another_question_under_an_id_that_is_being_asked_is_refused_at_once(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    request = make_request()
    async with serving(gate) as centre, dialling(centre, ends) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.ask_once, request)
        await gate.until(lambda gate: len(gate.asked) == 1)
        with pytest.raises(LineError, match="ask under a new one"):
            await client.ask_once(msgspec.structs.replace(request, body=request.body + b"x"))
        nursery.cancel_scope.cancel()


async def test_a_key_that_does_not_sign_fails_the_asks_and_not_the_client(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    working = True

    async def sign(signed: bytes) -> tuple[Algorithm, str, bytes]:
        await trio.lowlevel.checkpoint()
        if not working:
            raise HsmUnavailable("the token is away")
        return Algorithm.ES256, SIGNERS[FIRST].key_id, SIGNERS[FIRST].sign(signed)

    async with (
        serving(gate) as centre,
        open_line(centre.target(FIRST), material=ends.peers[FIRST], trust=TRUST, sign=sign) as client,
    ):
        assert await _ask(client) == Outcome.NONE
        working = False
        for _ in range(2):  # in a frame, then in the HELLO of the next connection
            with pytest.raises(KeyFailed, match="the token is away"):
                await _ask(client)
        await gate.until(lambda gate: not gate.open)
        working = True
        assert await _ask(client) == Outcome.NONE
    assert len(gate.asked) == 2


async def test_drain_moves_the_client_to_another_connection(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, dialling(centre, ends) as client:
        await client.wait_open()
        await gate.until(lambda gate: len(gate.open) == 1)
        old = gate.open[0]
        old.drain(5_000)
        await gate.until(lambda gate: len(gate.open) == 2)
        assert await _ask(client) == Outcome.NONE
        assert old.line.in_flight == 0


async def test_a_centre_that_falls_silent_loses_the_client_and_its_requests(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "WATCH_S", 0.02)
    monkeypatch.setattr(dial, "FAULT_WRITE_S", 0.05)
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    async with serving(gate, heartbeat_ms=100) as centre, dialling(centre, ends) as client:
        await client.wait_open()
        await gate.until(lambda gate: len(gate.open) == 1)
        gate.open[0].outbox = Outbox()  # whatever the centre says from now on is never written
        assert client.open_slots == [0]
        await gate.until(lambda gate: len(gate.open) == 1 and bool(gate.ended))
        gate.answer = "block"
        assert await _ask(client) == Outcome.NONE


async def test_an_altered_answer_ends_the_line_and_the_centre_is_told(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.tamper = True
    async with serving(gate) as centre, dialling(centre, ends) as client:
        with pytest.raises(LineError, match="PROOF_INVALID"):
            await _ask(client, timeout_s=0.4)
        assert len(gate.asked) < 8  # it backs off


@pytest.mark.parametrize(
    ("trust", "why"),
    [(make_trust(line=STRANGER), "SIGNATURE_INVALID"), (make_trust(block=STRANGER), "PROOF_INVALID")],
)
async def test_a_wrong_trust_bundle_is_named(ends: Ends, trust: Trust, why: str) -> None:
    async with serving(FakeGate(ends.centre)) as centre, dialling(centre, ends, trust=trust) as client:
        with pytest.raises(LineError, match=why):
            await _ask(client, timeout_s=0.5)


async def test_whoever_still_asks_when_the_client_closes_is_told(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    gate.answer = "nothing"
    told: list[LineError] = []

    async def ask(client: LineClient) -> None:
        with pytest.raises(LineError, match="closed") as caught:
            await client.ask_once(make_request())
        told.append(caught.value)

    with trio.fail_after(5):
        async with serving(gate) as centre, trio.open_nursery() as nursery:
            async with dialling(centre, ends) as client:
                nursery.start_soon(ask, client)
                await gate.until(lambda gate: len(gate.asked) == 1)
            await trio.testing.wait_all_tasks_blocked()
            await ask(client)
            assert len(told) == 2
            nursery.cancel_scope.cancel()


async def test_another_centres_name_is_refused(ends: Ends) -> None:
    other = LineName("centre", "other")
    async with serving(FakeGate(ends.centre)) as centre, dialling(centre, ends, name=other) as client:
        assert "not centre/other" in str(await refusal(client))


async def test_a_centre_of_another_authority_is_refused(ends: Ends, tmp_path: Path) -> None:
    foreign = Ends(ends.pki, ends.centre, {FIRST: Pki(tmp_path / "other").material(LINE, FIRST)})
    async with serving(FakeGate(ends.centre)) as centre, dialling(centre, foreign) as client:
        assert "certificate verify failed" in str(await refusal(client))
        assert not client.open_slots


async def test_the_centres_fault_is_the_reason_given(ends: Ends) -> None:
    async with serving(FakeGate(ends.centre)) as centre, dialling(centre, ends, own=UNLISTED) as client:
        assert "LINE_UNKNOWN" in str(await refusal(client))
        with pytest.raises(LineError, match="LINE_UNKNOWN"):
            await client.wait_open(0.01)


async def test_a_line_is_left_when_the_centres_certificate_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "WATCH_S", 0.02)
    pki = Pki(tmp_path)
    centre_files, centre_serial = pki.issue(CENTRE, CENTRE_NAME)
    own_files, _ = pki.issue(LINE, FIRST)
    own = TlsMaterial(own_files, now=datetime.now(UTC))
    ends = Ends(pki, TlsMaterial(centre_files, now=datetime.now(UTC)), {FIRST: own})
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, dialling(centre, ends) as client:
        await client.wait_open()
        pki.authority.revoke(centre_serial, now=datetime.now(UTC))
        own_files.crls.write_bytes(pki.authority.write_crl(now=datetime.now(UTC)))
        own.reload(now=datetime.now(UTC))
        await gate.until(lambda gate: not gate.open)
        with pytest.raises(LineError, match="revoked"):
            await client.wait_open(1.0)
