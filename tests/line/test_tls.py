"""TLS on the socket itself, and the outbox that sends at once: all arrives in order, or the line ends."""

import itertools
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
import trustme

from gateway.line.outbox import Outbox, OutboxFull
from gateway.line.tls import RECORD_BYTES, TlsStream, fault_in_tls
from protocol import limits

HOST = "127.0.0.1"
LARGE = bytes(range(256)) * (16 << 10)  # 4 MiB: more than two sockets hold

pytestmark = pytest.mark.trio


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The accepting end's and the calling end's."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([limits.ALPN])
    authority.issue_cert(HOST).configure_cert(server)
    authority.configure_trust(client)
    return server, client


async def tcp_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """The accepting end's and the calling end's."""
    [listener] = await trio.open_tcp_listeners(0, host=HOST)
    async with listener:
        calling = await trio.open_tcp_stream(HOST, listener.socket.getsockname()[1])
        return await listener.accept(), calling


@asynccontextmanager
async def tls_pair(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[tuple[TlsStream, TlsStream]]:
    """Both ends of a connection whose handshake is done."""
    accepted, calling = await tcp_pair()
    ends = (
        TlsStream(accepted, contexts[0], server_side=True),
        TlsStream(calling, contexts[1], server_hostname=HOST),
    )
    async with ends[0], ends[1]:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ends[0].do_handshake)
                nursery.start_soon(ends[1].do_handshake)
            yield ends


async def read(stream: TlsStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        some = await stream.receive_some()
        assert some, "it ended"
        assert len(some) <= RECORD_BYTES
        data += some
    return bytes(data)


async def test_both_ends_read_what_the_other_wrote(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer):
        assert (centre.alpn, peer.alpn) == (limits.ALPN, limits.ALPN)
        assert peer.peer_certificate
        assert not centre.peer_certificate
        await peer.send_all(b"question")
        assert await centre.receive_some(5) == b"quest"  # the rest of the record is there without the socket
        assert await centre.receive_some(5) == b"ion"
        assert centre.send_nowait(b"answer") == 6
        assert await peer.receive_some() == b"answer"


async def test_a_slow_reader_gets_everything_in_order(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer), trio.open_nursery() as nursery:
        nursery.start_soon(centre.send_all, LARGE)
        nursery.start_soon(peer.send_all, b"meanwhile, the other way")
        await trio.testing.wait_all_tasks_blocked()
        assert await centre.receive_some() == b"meanwhile, the other way"
        assert await read(peer, len(LARGE)) == LARGE


@pytest.mark.parametrize("piece", [5_000, RECORD_BYTES, 30_000, len(LARGE)])
async def test_what_the_socket_does_not_take_at_once_is_sent_on(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], piece: int
) -> None:
    async with tls_pair(contexts) as (centre, peer), trio.open_nursery() as nursery:
        sent = 0
        while taken := centre.send_nowait(LARGE[sent : sent + piece]):
            sent += taken

        async def send_the_rest() -> None:
            for at in range(sent, len(LARGE), RECORD_BYTES):
                await centre.send_all(LARGE[at : at + RECORD_BYTES])

        nursery.start_soon(send_the_rest)
        assert await read(peer, len(LARGE)) == LARGE


async def test_a_peer_that_left_is_noticed_however_it_left(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer):
        await peer.aclose()
        assert await centre.receive_some() == b""
    async with tls_pair(contexts) as (centre, peer):
        peer._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not an end
        await peer.aclose()
        with suppress(trio.BrokenResourceError):  # as OpenSSL sees it
            assert await centre.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError) as broken:
            centre.send_nowait(b"too late")
        assert fault_in_tls(broken.value) is None
        with pytest.raises(trio.BrokenResourceError):
            await centre.send_all(b"too late")


async def test_whoever_waits_is_told_when_this_end_closes(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, _):

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await centre.receive_some()

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await centre.send_all(LARGE)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            await centre.aclose()
        await centre.aclose()
        for call in (centre.receive_some, centre.wait_send_all_might_not_block):
            with pytest.raises(trio.ClosedResourceError):
                await call()
        with pytest.raises(trio.ClosedResourceError):
            centre.send_nowait(b"x")


async def test_a_handshake_that_fails_says_what_tls_found(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    accepted, calling = await tcp_pair()
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody
    async with (
        TlsStream(accepted, contexts[0], server_side=True) as centre,
        TlsStream(calling, stranger, server_hostname=HOST) as peer,
        trio.open_nursery() as nursery,
    ):

        async def call() -> None:
            with pytest.raises(trio.BrokenResourceError) as broken:
                await peer.do_handshake()
            assert isinstance(fault_in_tls(broken.value), ssl.SSLCertVerificationError)

        nursery.start_soon(call)
        with pytest.raises(trio.BrokenResourceError) as refused:
            await centre.do_handshake()
            await centre.receive_some()
        assert fault_in_tls(refused.value) is not None


async def test_a_connection_that_ended_before_it_began_is_broken(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    accepted, calling = await tcp_pair()
    calling.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await calling.aclose()
    with pytest.raises(trio.BrokenResourceError):
        async with TlsStream(accepted, contexts[0], server_side=True) as centre:
            await centre.do_handshake()


async def test_a_cancelled_read_loses_nothing(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer):
        with trio.move_on_after(0.01) as patience:
            await centre.receive_some()
        assert patience.cancelled_caught
        await peer.send_all(b"question")
        assert await centre.receive_some() == b"question"


# --- the outbox


async def test_a_lone_answer_is_sent_without_its_writer(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer), trio.open_nursery() as nursery:
        box = Outbox()
        box.put(b"early ")
        nursery.start_soon(box.write_to, centre)
        await trio.testing.wait_all_tasks_blocked()
        box.put(b"lone")
        assert not box._wake.is_set()
        assert await read(peer, 10) == b"early lone"
        box.close()


async def test_what_waits_goes_before_what_is_put_later(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with tls_pair(contexts) as (centre, peer), trio.open_nursery() as nursery:
        box = Outbox()
        nursery.start_soon(box.write_to, centre)
        await trio.testing.wait_all_tasks_blocked()
        put = bytearray()
        with pytest.raises(OutboxFull):
            for number in itertools.count():
                box.put(number.to_bytes(4, "big") * 12_500)
                put += number.to_bytes(4, "big") * 12_500
        assert box._size <= limits.OUTPUT_BYTES_MAX
        await trio.testing.wait_all_tasks_blocked()
        assert box.stalled_s(trio.current_time() + 1.0) >= 1.0
        assert await read(peer, len(put)) == put
        await trio.testing.wait_all_tasks_blocked()
        assert (box._size, box.stalled_s(trio.current_time())) == (0, 0.0)
        box.put(b"at once again")
        box.close()
        assert await read(peer, 13) == b"at once again"


async def test_a_line_that_is_gone_is_met_by_the_writer_and_not_by_who_puts(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with tls_pair(contexts) as (centre, peer):
        box = Outbox()
        with pytest.raises(ExceptionGroup) as ended:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(box.write_to, centre)
                await trio.testing.wait_all_tasks_blocked()
                peer._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                await peer.aclose()
                await trio.sleep(0.01)
                box.put(b"to nobody")
        assert ended.group_contains(trio.BrokenResourceError)
        box.put(b"nor this")
        assert box._size == len(b"to nobodynor this")


async def test_what_is_sealed_late_is_asked_for_before_each_write(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with tls_pair(contexts) as (centre, peer), trio.open_nursery() as nursery:
        waiting = [b"one ", b"two ", b"three"]

        def seal() -> None:
            box.put(b"".join(waiting))
            waiting.clear()

        box = Outbox(seal)
        nursery.start_soon(box.write_to, centre)
        assert await read(peer, 13) == b"one two three"
        waiting.append(b"four")
        box.look()
        assert await read(peer, 4) == b"four"
        box.close()
