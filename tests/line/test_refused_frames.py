"""Whatever a line sends that it must not ends that line alone, with a FAULT that names the cause."""

from collections.abc import Callable

import msgspec
import pytest
import trio

from protocol import limits
from protocol.envelope import pack
from protocol.errors import FaultCode
from protocol.frames import FrameType
from protocol.keys import Algorithm
from protocol.messages import RequestBatch, encode
from tests.kit.lines import STRANGER
from tests.line.kit import FIRST, SECOND, Ends, FakeGate, make_request, now_us, serving
from tests.line.raw import RawPeer, calling, clear

pytestmark = pytest.mark.trio


def _signed(peer: RawPeer, body: bytes) -> bytes:
    return peer.seal(pack(Algorithm.ES256, peer.signer.key_id, peer.sign(body), body))


def _batch(
    peer: RawPeer, *, session: bytes | None = None, sequence: int = 0, late_us: int = 0, count: int = 1
) -> bytes:
    requests = [make_request(n) for n in range(count)]
    return encode(RequestBatch(session or peer.line.session, sequence, now_us() - late_us, requests))


def _altered(peer: RawPeer) -> bytes:
    frame = bytearray(peer.ask([make_request()]))
    frame[-1] ^= 1
    return bytes(frame)


def _skipped(peer: RawPeer) -> bytes:
    peer.ask([make_request(1)])
    return peer.ask([make_request(2)])


def _repeated(peer: RawPeer) -> bytes:
    return peer.ask([make_request(1)]) * 2


def _sequence_again(peer: RawPeer) -> bytes:
    return peer.ask([make_request(1)]) + _signed(peer, _batch(peer, sequence=0))


def _by_key(peer: RawPeer, key_id: str, algorithm: Algorithm = Algorithm.ES256) -> bytes:
    body = _batch(peer)
    return peer.seal(pack(algorithm, key_id, peer.sign(body), body))


def _forged(peer: RawPeer) -> bytes:
    body = _batch(peer)
    return peer.seal(pack(Algorithm.ES256, peer.signer.key_id, STRANGER.sign(body), body))


def _loose(peer: RawPeer) -> bytes:
    body = _batch(peer)
    assert body[1:3] == b"\xc4\x20"
    return _signed(peer, body[:1] + b"\xc5\x00\x20" + body[3:])  # bin 16 where bin 8 holds the session


def _not_an_id(peer: RawPeer) -> bytes:
    request = msgspec.structs.replace(make_request(), request_id=bytes(16))
    return _signed(peer, encode(RequestBatch(peer.line.session, 0, now_us(), [request])))


CASES: dict[str, tuple[Callable[[RawPeer], bytes], FaultCode]] = {
    "oversized": (lambda peer: (limits.FRAME_BYTES_MAX + 1).to_bytes(4, "big"), FaultCode.FRAME_TOO_LARGE),
    "no type": (lambda peer: bytes(4), FaultCode.MALFORMED),
    "unknown type": (lambda peer: clear(77, bytes(32)), FaultCode.FRAME_UNKNOWN),
    "type of the other end": (lambda peer: peer.seal(b"", FrameType.RESPONSE), FaultCode.FRAME_UNEXPECTED),
    "second HELLO": (lambda peer: peer.seal(b"", FrameType.HELLO), FaultCode.FRAME_UNEXPECTED),
    "not sealed": (lambda peer: clear(FrameType.REQUEST, bytes(40)), FaultCode.SEAL_BROKEN),
    "altered ciphertext": (_altered, FaultCode.SEAL_BROKEN),
    "repeated frame": (_repeated, FaultCode.SEAL_BROKEN),
    "skipped frame": (_skipped, FaultCode.SEAL_BROKEN),
    "repeated sequence": (_sequence_again, FaultCode.SEQUENCE_WRONG),
    "skipped sequence": (lambda peer: _signed(peer, _batch(peer, sequence=5)), FaultCode.SEQUENCE_WRONG),
    "other session": (lambda peer: _signed(peer, _batch(peer, session=bytes(32))), FaultCode.SESSION_WRONG),
    "no envelope": (lambda peer: peer.seal(b"\x01"), FaultCode.MALFORMED),
    "not canonical": (_loose, FaultCode.NOT_CANONICAL),
    "deeply nested": (lambda peer: _signed(peer, b"\x91" * 100_000), FaultCode.MALFORMED),
    "trailing bytes": (lambda peer: _signed(peer, _batch(peer) + b"\xc0"), FaultCode.MALFORMED),
    "forged": (_forged, FaultCode.SIGNATURE_INVALID),
    "unknown key": (lambda peer: _by_key(peer, "nobody-1"), FaultCode.KEY_UNKNOWN),
    "key of another line": (lambda peer: _by_key(peer, "peer-second"), FaultCode.KEY_UNKNOWN),
    "other algorithm": (
        lambda peer: _by_key(peer, peer.signer.key_id, Algorithm.ML_DSA_65),
        FaultCode.ALGORITHM_UNKNOWN,
    ),
    "algorithm that does not sign": (
        lambda peer: _by_key(peer, peer.signer.key_id, Algorithm.A256GCM_WRAP),
        FaultCode.ALGORITHM_UNKNOWN,
    ),
    "old frame": (lambda peer: _signed(peer, _batch(peer, late_us=61_000_000)), FaultCode.CLOCK_SKEWED),
    "frame of the future": (lambda peer: _signed(peer, _batch(peer, late_us=-61_000_000)), FaultCode.CLOCK_SKEWED),
    "no requests": (lambda peer: _signed(peer, _batch(peer, count=0)), FaultCode.MALFORMED),
    "too many requests": (lambda peer: _signed(peer, _batch(peer, count=257)), FaultCode.MALFORMED),
    "not a request id": (_not_an_id, FaultCode.MALFORMED),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_frame_ends_its_line_with_its_fault_and_no_other_line(ends: Ends, case: str) -> None:
    make, due = CASES[case]
    gate = FakeGate(ends.centre)
    async with (
        serving(gate) as centre,
        calling(centre, ends.peers[FIRST]) as bad,
        calling(centre, ends.peers[SECOND], SECOND) as healthy,
    ):
        await bad.greet()
        await healthy.greet()
        await bad.tls.send_all(make(bad))
        assert await bad.fault() is due
        await gate.until(lambda gate: gate.ended == [due.name])
        await healthy.tls.send_all(healthy.ask([make_request(9)]))
        assert len(await healthy.results(1)) == 1
    assert all(name == SECOND or "repeated" in case for name, _ in gate.asked)


async def test_a_frame_cut_short_ends_the_line_quietly(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, calling(centre, ends.peers[SECOND], SECOND) as healthy:
        await healthy.greet()
        async with calling(centre, ends.peers[FIRST]) as bad:
            await bad.greet()
            await bad.tls.send_all(bad.ask([make_request()])[:-3])
        await gate.until(lambda gate: gate.ended == ["peer"])
        await healthy.tls.send_all(healthy.ask([make_request(9)]))
        assert len(await healthy.results(1)) == 1
    assert [name for name, _ in gate.asked] == [SECOND]


async def test_a_conversation_byte_by_byte_is_answered(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, calling(centre, ends.peers[FIRST]) as peer:
        for byte in peer.hello():
            await peer.tls.send_all(bytes((byte,)))
        assert len(await peer.events()) == 1
        for byte in peer.ask([make_request(1), make_request(2)]):
            await peer.tls.send_all(bytes((byte,)))
        results = await peer.results(2)
    assert all(result.receipt() is not None for result in results)


async def test_more_requests_than_the_credit_end_the_line(ends: Ends) -> None:
    gate = FakeGate(ends.centre, credit=2)
    gate.answer = "nothing"
    async with serving(gate) as centre, calling(centre, ends.peers[FIRST]) as peer:
        await peer.greet()
        assert peer.line.credit == 2
        await peer.tls.send_all(peer.ask([make_request(1), make_request(2)]))
        await gate.until(lambda gate: len(gate.asked) == 2)
        await peer.tls.send_all(_signed(peer, _batch(peer, sequence=1)))
        assert await peer.fault() is FaultCode.CREDIT_EXCEEDED
        with trio.fail_after(5):
            await gate.until(lambda gate: not gate.open)
