"""Who gets in: what each wrong certificate, wrong TLS and wrong greeting meets, and how long a stranger may take."""

import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.profiles import CENTRE, LINE
from protocol import limits
from protocol.envelope import pack
from protocol.errors import FaultCode
from protocol.frames import FrameType
from protocol.handshake import Hello
from protocol.handshake import encode as encode_hello
from protocol.keys import Algorithm
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
