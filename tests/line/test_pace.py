"""Those who are slow, silent, many or do not read: each costs a bounded amount, and only their own line."""

import pytest
import trio

from gateway.line import accept
from protocol import limits
from protocol.errors import FaultCode
from protocol.messages import Notice, NoticeKind
from protocol.peer import NoticeReceived
from tests.line.kit import FIRST, HOST, SECOND, Ends, FakeGate, make_request, serving
from tests.line.raw import calling
from tests.line.test_doors import answered

pytestmark = pytest.mark.trio


async def _stays_silent(centre_port: int) -> None:
    """A TCP connection that says nothing, until the centre closes it."""
    async with await trio.open_tcp_stream(HOST, centre_port) as stream:
        with trio.fail_after(5):
            assert not await stream.receive_some(1)


async def test_silence_before_tls_is_ended(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_MS_MAX", 100)
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        await _stays_silent(centre.port)
        assert gate.refused == [FaultCode.HANDSHAKE_TIMEOUT]
        monkeypatch.undo()
        await answered(centre, ends)


async def test_silence_after_tls_is_ended(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_MS_MAX", 300)
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        async with calling(centre, ends.peers[FIRST]) as peer:
            assert await peer.fault() is FaultCode.HANDSHAKE_TIMEOUT
        assert gate.refused == [FaultCode.HANDSHAKE_TIMEOUT]
        monkeypatch.undo()
        await answered(centre, ends)


async def test_a_line_that_answers_no_ping_is_closed_as_silent(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate, heartbeat_ms=100) as centre, calling(centre, ends.peers[FIRST]) as dead:
        await dead.greet()
        async with calling(centre, ends.peers[SECOND], SECOND) as alive:
            await alive.greet()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(alive.events)  # answers every PING
                await gate.until(lambda gate: gate.ended == ["SILENT"])
                assert [each.name for each in gate.open] == [SECOND]
                nursery.cancel_scope.cancel()
            assert await dead.fault() is FaultCode.SILENT


@pytest.mark.parametrize("limit", ["OUTPUT_BYTES_MAX", "WRITE_STALL_MS_MAX"])
async def test_a_line_that_does_not_read_is_closed(ends: Ends, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(limits, limit, {"OUTPUT_BYTES_MAX": 1 << 20, "WRITE_STALL_MS_MAX": 50}[limit])
    monkeypatch.setattr(accept, "WATCH_S", 0.05)
    gate = FakeGate(ends.centre)
    text = "x" * 500_000
    async with serving(gate) as centre, calling(centre, ends.peers[FIRST]) as deaf:
        await deaf.greet()
        async with calling(centre, ends.peers[SECOND], SECOND) as healthy:
            await healthy.greet()
            await gate.until(lambda gate: len(gate.open) == 2)
            (connection,) = [each for each in gate.open if each.name == FIRST]
            for _ in range(20):
                connection.notify(Notice(NoticeKind.HOURS, 0, text))
                await trio.lowlevel.checkpoint()
            await gate.until(lambda gate: gate.ended == ["NOT_READING"])
            await healthy.tls.send_all(healthy.ask([make_request(9)]))
            assert len(await healthy.results(1)) == 1


async def test_a_slow_reader_that_goes_on_reading_keeps_its_line(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WRITE_STALL_MS_MAX", 200)
    monkeypatch.setattr(accept, "WATCH_S", 0.02)
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, calling(centre, ends.peers[FIRST]) as slow:
        await slow.greet()
        await gate.until(lambda gate: len(gate.open) == 1)
        for number in range(24):
            gate.open[0].notify(Notice(NoticeKind.HOURS, number, "x" * 500_000))
        seen: list[int] = []
        while len(seen) < 24:
            seen += [event.notice.at_us for event in await slow.events() if isinstance(event, NoticeReceived)]
            await trio.sleep(0.001)  # the reader's own pace is what is tested
        assert seen == list(range(24))
        assert not gate.ended


async def test_connections_beyond_the_bound_are_turned_away(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate, connections_max=2) as centre:
        async with calling(centre, ends.peers[FIRST]) as one, calling(centre, ends.peers[FIRST]) as two:
            await one.greet()
            await two.greet()
            async with calling(centre, ends.peers[FIRST]) as three:
                assert await three.fault() is FaultCode.CONNECTIONS_EXCEEDED
        await gate.until(lambda gate: len(gate.ended) == 2)
        await answered(centre, ends)


async def test_one_line_cannot_take_the_places_of_the_others(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with (
        serving(gate, connections_max=3, connections_per_line_max=2) as centre,
        calling(centre, ends.peers[FIRST]) as one,
        calling(centre, ends.peers[FIRST]) as two,
    ):
        await one.greet()
        await two.greet()
        async with calling(centre, ends.peers[FIRST]) as three:
            assert await three.fault() is FaultCode.CONNECTIONS_EXCEEDED
        await answered(centre, ends)
        await one.tls.aclose()
        await gate.until(lambda gate: [each.name for each in gate.open] == [FIRST])
        async with calling(centre, ends.peers[FIRST]) as again:
            await again.greet()


async def test_greetings_under_way_count_as_connections(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate, connections_max=1) as centre:
        async with calling(centre, ends.peers[FIRST]) as one, calling(centre, ends.peers[FIRST]) as two:
            await one.tls.send_all(one.hello())
            await two.tls.send_all(two.hello())
            await gate.until(lambda gate: len(gate.open) == 1 and len(gate.refused) == 1)
        assert gate.refused == [FaultCode.CONNECTIONS_EXCEEDED]


async def test_a_flood_of_strangers_is_accepted_only_up_to_its_bound(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_MS_MAX", 200)
    monkeypatch.setattr(accept, "HANDSHAKES_MAX", 4)
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(_stays_silent, centre.port)
        for over in range(1, 13):
            await gate.until(lambda gate, over=over: len(gate.refused) >= over)  # type: ignore[misc]
            assert centre.listener.accepted <= len(gate.refused) + 4
    async with serving(gate) as centre:
        await answered(centre, ends)
