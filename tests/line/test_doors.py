"""Who gets in: what each wrong certificate, wrong TLS and wrong greeting meets, and how long a stranger may take."""

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.profiles import CENTRE, LINE
from gateway.line import accept
from hsm.errors import HsmUnavailable
from protocol import limits
from protocol.envelope import pack
from protocol.errors import FaultCode
from protocol.frames import FrameType
from protocol.handshake import Hello
from protocol.handshake import encode as encode_hello
from protocol.keys import Algorithm
from protocol.peer import DrainReceived
from tests.kit.lines import STRANGER
from tests.line.kit import (
    CENTRE_NAME,
    ENVIRONMENT,
    FIRST,
    HOST,
    ROLE,
    SECOND,
    UNLISTED,
    Centre,
    Ends,
    FakeGate,
    Pki,
    make_request,
    serving,
)
from tests.line.raw import RawPeer, calling, clear

pytestmark = pytest.mark.trio


async def answered(centre: Centre, ends: Ends) -> None:
    """A second, healthy line still gets in and gets its answer."""
    async with calling(centre, ends.peers[SECOND], SECOND) as healthy:
        await healthy.greet()
        await healthy.tls.send_all(healthy.ask([make_request(9)]))
        assert len(await healthy.results(1)) == 1


def plain(files: LineFiles) -> ssl.SSLContext:
    """A client context that judges nothing, so that only the centre's judgement shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols([limits.ALPN])
    return context


def _hello(versions: list[int], role: str = ROLE, environment: str = ENVIRONMENT) -> Callable[[RawPeer], bytes]:
    def make(peer: RawPeer) -> bytes:
        peer.hello()
        assert peer.line._hello is not None
        body = encode_hello(Hello(versions, role, environment, bytes(32), peer.line._hello.ephemeral))
        return clear(FrameType.HELLO, pack(Algorithm.ES256, peer.signer.key_id, bytes(64), body))

    return make


GREETINGS: dict[str, tuple[Callable[[RawPeer], bytes], FaultCode]] = {
    "unknown version": (_hello([2, 3]), FaultCode.VERSION_UNKNOWN),
    "other role": (_hello([1], role="civil"), FaultCode.WRONG_CENTRE),
    "other environment": (_hello([1], environment="production"), FaultCode.WRONG_CENTRE),
    "forged": (_hello([1]), FaultCode.SIGNATURE_INVALID),
    "unknown key": (lambda peer: peer.hello(STRANGER), FaultCode.KEY_UNKNOWN),
    "request first": (lambda peer: clear(FrameType.REQUEST, bytes(40)), FaultCode.FRAME_UNEXPECTED),
    "large": (lambda peer: (limits.HANDSHAKE_FRAME_BYTES_MAX + 1).to_bytes(4, "big"), FaultCode.FRAME_TOO_LARGE),
    "request behind": (
        lambda peer: peer.hello() + clear(FrameType.REQUEST, bytes(40)),
        FaultCode.FRAME_UNEXPECTED,
    ),
    "web request": (lambda peer: b"GET / HTTP/1.1\r\nHost: centre\r\n\r\n", FaultCode.FRAME_TOO_LARGE),
}


@pytest.mark.parametrize("case", GREETINGS)
async def test_a_bad_greeting_is_turned_away_by_name(ends: Ends, case: str) -> None:
    make, due = GREETINGS[case]
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        async with calling(centre, ends.peers[FIRST]) as peer:
            await peer.tls.send_all(make(peer))
            assert await peer.fault() is due
        assert gate.refused == [due]
        assert not gate.open
        await answered(centre, ends)


async def test_a_line_the_directory_does_not_know_is_turned_away(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        async with calling(centre, ends.peers[UNLISTED], UNLISTED) as peer:
            assert await peer.fault() is FaultCode.LINE_UNKNOWN
        assert gate.refused == [FaultCode.LINE_UNKNOWN]
        await answered(centre, ends)


async def test_a_revoked_certificate_is_refused_after_the_lists_were_reloaded(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    centre_files, _ = pki.issue(CENTRE, CENTRE_NAME)
    files, serial = pki.issue(LINE, FIRST)
    good = Ends(pki, TlsMaterial(centre_files, now=datetime.now(UTC)), {SECOND: pki.material(LINE, SECOND)})
    gate = FakeGate(good.centre)
    async with serving(gate) as centre:
        own = TlsMaterial(files, now=datetime.now(UTC))
        async with calling(centre, own) as peer:
            await peer.greet()
        pki.authority.revoke(serial, now=datetime.now(UTC))
        centre_files.crls.write_bytes(pki.authority.write_crl(now=datetime.now(UTC)))
        good.centre.reload(now=datetime.now(UTC))
        async with calling(centre, own) as peer:
            assert await peer.fault() is FaultCode.CERTIFICATE_REFUSED
        assert gate.refused == [FaultCode.CERTIFICATE_REFUSED]
        await answered(centre, good)


async def test_a_line_that_stands_is_closed_when_its_certificate_is_revoked_and_the_others_stay(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    centre_files, _ = pki.issue(CENTRE, CENTRE_NAME)
    files, serial = pki.issue(LINE, FIRST)
    material = TlsMaterial(centre_files, now=datetime.now(UTC))
    gate = FakeGate(material)
    async with (
        serving(gate) as centre,
        calling(centre, TlsMaterial(files, now=datetime.now(UTC))) as revoked,
        calling(centre, pki.material(LINE, SECOND), SECOND) as good,
    ):
        await revoked.greet()
        await good.greet()
        await centre.acceptor.recheck()
        assert len(gate.open) == 2, "nothing was revoked yet"
        pki.authority.revoke(serial, now=datetime.now(UTC))
        centre_files.crls.write_bytes(pki.authority.write_crl(now=datetime.now(UTC)))
        material.reload(now=datetime.now(UTC))
        await centre.acceptor.recheck()
        assert await revoked.fault() is FaultCode.CERTIFICATE_REFUSED
        await gate.until(lambda gate: gate.ended == ["CERTIFICATE_REFUSED"])
        assert [each.name for each in gate.open] == [SECOND]
        await good.tls.send_all(good.ask([make_request(1)]))
        assert len(await good.results(1)) == 1


async def test_a_line_whose_greeting_a_reload_overtook_is_judged_by_the_new_lists(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    centre_files, _ = pki.issue(CENTRE, CENTRE_NAME)
    files, serial = pki.issue(LINE, FIRST)
    material = TlsMaterial(centre_files, now=datetime.now(UTC))
    gate = FakeGate(material)
    async with serving(gate) as centre:
        async with calling(centre, TlsMaterial(files, now=datetime.now(UTC))) as peer:
            signing = gate.sign_welcome

            async def reload_first(signed: bytes) -> tuple[Algorithm, str, bytes]:
                pki.authority.revoke(serial, now=datetime.now(UTC))
                centre_files.crls.write_bytes(pki.authority.write_crl(now=datetime.now(UTC)))
                material.reload(now=datetime.now(UTC))
                await centre.acceptor.recheck()
                return await signing(signed)

            gate.sign_welcome = reload_first  # type: ignore[method-assign]
            await peer.greet()
            assert await peer.fault() is FaultCode.CERTIFICATE_REFUSED
        await gate.until(lambda gate: gate.ended == ["CERTIFICATE_REFUSED"])


async def test_a_line_that_stands_is_closed_when_its_certificate_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "WATCH_S", 0.02)
    pki = Pki(tmp_path)
    gate = FakeGate(pki.material(CENTRE, CENTRE_NAME))
    short, _ = pki.issue(LINE, FIRST, days=1)
    async with (
        serving(gate) as centre,
        calling(centre, TlsMaterial(short, now=datetime.now(UTC))) as ending,
        calling(centre, pki.material(LINE, SECOND), SECOND) as good,
    ):
        await ending.greet()
        await good.greet()
        gate.ahead_us = 2 * 86_400_000_000
        assert await ending.fault() is FaultCode.CERTIFICATE_REFUSED
        await gate.until(lambda gate: gate.ended == ["CERTIFICATE_REFUSED"])
        assert [each.name for each in gate.open] == [SECOND]


async def test_lines_that_stand_are_closed_when_the_revocation_list_goes_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "WATCH_S", 0.02)
    pki = Pki(tmp_path)
    files, _ = pki.issue(CENTRE, CENTRE_NAME)
    material = TlsMaterial(files, now=datetime.now(UTC))
    gate = FakeGate(material)
    async with serving(gate) as centre, calling(centre, pki.material(LINE, FIRST)) as peer:
        await peer.greet()
        days = timedelta(days=1) + (material.current.revocation.next_update - datetime.now(UTC))
        gate.ahead_us = days // timedelta(microseconds=1)
        assert await peer.fault() is FaultCode.CERTIFICATE_REFUSED
        await gate.until(lambda gate: gate.ended == ["CERTIFICATE_REFUSED"])


async def test_a_peer_that_leaves_before_its_session_is_not_a_refused_certificate(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        await (await trio.open_tcp_stream(HOST, centre.port)).aclose()
        await gate.until(lambda gate: gate.gone == 1)
        async with calling(centre, ends.peers[FIRST]):
            pass
        await gate.until(lambda gate: gate.gone == 2)
        async with calling(centre, ends.peers[FIRST]) as peer:
            await peer.tls.send_all(peer.hello()[:10])
            await peer.tls.aclose()
        await gate.until(lambda gate: gate.gone == 3)
        assert not gate.refused


async def test_a_peer_that_is_refused_and_does_not_wait_for_the_fault_counts_once(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        for count in range(1, 11):
            async with calling(centre, ends.peers[UNLISTED], UNLISTED):
                pass
            await gate.until(lambda gate, count=count: len(gate.refused) + gate.gone == count)  # type: ignore[misc]
        await answered(centre, ends)
        assert len(gate.refused) + gate.gone == 10
        assert set(gate.refused) <= {FaultCode.LINE_UNKNOWN}


async def test_asking_a_line_twice_to_drain_is_asking_once(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre, calling(centre, ends.peers[FIRST]) as peer:
        await peer.greet()
        await gate.until(lambda gate: len(gate.open) == 1)
        for _ in range(2):
            gate.open[0].drain(5_000)
        gate.open[0].finish()
        seen: list[object] = []
        while events := await peer.events():
            seen += events
        assert [type(event) for event in seen] == [DrainReceived]
        await gate.until(lambda gate: gate.ended == ["drained"])


async def test_a_centre_whose_key_does_not_sign_says_so_and_takes_the_next_once_it_does(ends: Ends) -> None:
    gate = FakeGate(ends.centre)
    signing = gate.sign_welcome

    async def away(signed: bytes) -> tuple[Algorithm, str, bytes]:
        raise HsmUnavailable("the token is away")

    async with serving(gate) as centre:
        gate.sign_welcome = away  # type: ignore[method-assign]
        async with calling(centre, ends.peers[FIRST]) as peer:
            await peer.tls.send_all(peer.hello())
            assert await peer.fault() is FaultCode.INTERNAL
        assert gate.refused == [FaultCode.INTERNAL]
        gate.sign_welcome = signing  # type: ignore[method-assign]
        await answered(centre, ends)


async def _fails_in_tls(ends: Ends, call: Callable[[Centre], Awaitable[None]]) -> None:
    """The centre ends such a connection inside TLS, without a FAULT."""
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        with trio.fail_after(5):
            await call(centre)
        await gate.until(lambda gate: len(gate.refused) == 1)
        assert gate.refused == [FaultCode.CERTIFICATE_REFUSED]
        await answered(centre, ends)


async def _ends_without_welcome(centre: Centre, ends: Ends, context: ssl.SSLContext) -> None:
    with pytest.raises((trio.BrokenResourceError, AssertionError)):
        async with calling(centre, ends.peers[FIRST], context=context) as peer:
            await peer.tls.send_all(peer.hello())
            await peer.fault()


async def test_an_expired_certificate_fails_in_tls(ends: Ends, tmp_path: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=3)
    issued = ends.pki.authority.issue(LINE, FIRST, now=past, days=1)
    files = LineFiles.in_directory(tmp_path)
    files.certificate.write_bytes(issued.certificate_pem)
    files.key.write_bytes(issued.key_pem)
    await _fails_in_tls(ends, lambda centre: _ends_without_welcome(centre, ends, plain(files)))


async def test_a_centres_certificate_at_the_calling_end_fails_in_tls(ends: Ends) -> None:
    files, _ = ends.pki.issue(CENTRE, CENTRE_NAME)
    await _fails_in_tls(ends, lambda centre: _ends_without_welcome(centre, ends, plain(files)))


async def test_a_certificate_of_another_authority_fails_in_tls(ends: Ends, tmp_path: Path) -> None:
    files, _ = Pki(tmp_path / "other").issue(LINE, FIRST)
    await _fails_in_tls(ends, lambda centre: _ends_without_welcome(centre, ends, plain(files)))


async def test_no_certificate_fails_in_tls(ends: Ends) -> None:
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    bare.set_alpn_protocols([limits.ALPN])
    await _fails_in_tls(ends, lambda centre: _ends_without_welcome(centre, ends, bare))


async def test_tls_1_2_fails_in_tls(ends: Ends) -> None:
    context = plain(ends.pki.issue(LINE, FIRST)[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    await _fails_in_tls(ends, lambda centre: _ends_without_welcome(centre, ends, context))


async def test_plain_tcp_fails_in_tls(ends: Ends) -> None:
    async def call(centre: Centre) -> None:
        stream = await trio.open_tcp_stream(HOST, centre.port)
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(trio.BrokenResourceError):  # reset, as the rest of what was said is left unread
                while await stream.receive_some(100):
                    pass

    await _fails_in_tls(ends, call)


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
async def test_another_alpn_gets_no_session(ends: Ends, protocols: list[str]) -> None:
    files, _ = ends.pki.issue(LINE, FIRST)
    context = plain(files)
    if protocols:
        context.set_alpn_protocols(protocols)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(files.certificate, files.key)
    gate = FakeGate(ends.centre)
    async with serving(gate) as centre:
        async with calling(centre, ends.peers[FIRST], context=context) as peer:
            assert await peer.fault() is FaultCode.CERTIFICATE_REFUSED
        assert gate.refused == [FaultCode.CERTIFICATE_REFUSED]
        await answered(centre, ends)
