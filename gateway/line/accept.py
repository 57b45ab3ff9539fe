"""The accepting end of dedicated lines: TLS, who is calling, the handshake, and the pump of bytes.

A stranger costs a bounded handshake slot for at most HANDSHAKE_MS_MAX. After that a connection is a CentreLine, an
Outbox with its writer task, and this reader; requests go to the gate at once and answers come back to the outbox, so
nothing here waits on a database or a key. One watch task, not a timer a line, keeps the heartbeat of all.

A certificate is judged at the handshake, again by `recheck` when other lists or anchors came into force, and its end of
validity is watched: a line stands no longer than its certificate is good.

Not here: what may pass (admission), what is answered (inquiry), which certificate is good (certs).
Source: DESIGN sections 4 and 6; docs/PROTOCOL.md, Heartbeat and Closing.
"""

import contextlib
import os
import secrets
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Protocol

import structlog
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from certs.errors import CertificateRefused, ProtocolNotAgreedError
from certs.material import TlsMaterial
from certs.names import LineName
from gateway.line.connection import FAULT_WRITE_S, Connection, Shown
from gateway.line.tls import RECORD_BYTES, TlsStream, fault_in_tls
from hsm.errors import HsmError
from protocol import limits
from protocol.centre import CentreLine, HelloReceived, RequestsReceived
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, RemoteProtocolError
from protocol.keys import Algorithm, PublicKey

log = structlog.get_logger()

HANDSHAKES_MAX = 256
"""Connections that may be in their handshake at once; further ones wait in the listen queue."""
CONNECTIONS_PER_LINE_MAX = 64
"""Connections one line may have with this worker, unless configured: no line takes all there are."""
WATCH_S = 0.5


class Gate(Protocol):
    """What the accepting end asks of the worker."""

    role: str
    environment: str
    slot: int
    slots: int

    def tls(self) -> TlsMaterial:
        """The certificates; `current` is what is in force now."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""

    def line_credit(self, name: LineName) -> int | None:
        """Requests a connection of this line may have in flight; None when the directory does not know the line."""

    def line_key(self, name: LineName, key_id: str) -> PublicKey | None:
        """The line's signing key if it is valid now."""

    async def sign_welcome(self, signed: bytes) -> tuple[Algorithm, str, bytes]:
        """The centre's line signature: algorithm, key id, signature."""

    def requests(self, connection: "Connection", received: RequestsReceived) -> None:
        """A verified frame; answers come through the connection later. Never raises."""

    def opened(self, connection: "Connection") -> None:
        """A session stands."""

    def closed(self, connection: "Connection", reason: str) -> None:
        """A session ended; reason is a FaultCode name, "peer", or "drained"."""

    def turned_away(self, code: FaultCode) -> None:
        """A connection was refused before its session stood."""

    def left(self) -> None:
        """A peer went away before its session stood."""


class _Bounded(trio.abc.Listener[trio.SocketStream]):
    """Accepts only while a handshake slot is free; the slot is the connection's until its handler gives it back."""

    def __init__(self, listener: trio.abc.Listener[trio.SocketStream], slots: trio.Semaphore) -> None:
        self._listener = listener
        self._slots = slots

    async def accept(self) -> trio.SocketStream:
        await self._slots.acquire()
        try:
            return await self._listener.accept()
        except BaseException:
            self._slots.release()
            raise

    async def aclose(self) -> None:
        await self._listener.aclose()


class Acceptor:
    """Serves lines on listening sockets until cancelled; `connections` are the sessions that stand."""

    def __init__(
        self,
        gate: Gate,
        *,
        connections_max: int,
        connections_per_line_max: int = CONNECTIONS_PER_LINE_MAX,
        heartbeat_ms: int = limits.HEARTBEAT_MS,
    ) -> None:
        self._gate = gate
        self._connections_max = connections_max
        self._connections_per_line_max = connections_per_line_max
        self._heartbeat_ms = heartbeat_ms
        self._handshakes = trio.Semaphore(HANDSHAKES_MAX)
        self._placed: Counter[LineName] = Counter()
        self._accepting = trio.CancelScope()
        self.connections: set[Connection] = set()

    async def serve(self, listeners: Sequence[trio.abc.Listener[trio.SocketStream]]) -> None:
        """Accept until cancelled. Sessions are children of this call: cancelling it closes them."""
        bounded = [_Bounded(listener, self._handshakes) for listener in listeners]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            with self._accepting:
                await trio.serve_listeners(self._serve_one, bounded, handler_nursery=nursery)
            for listener in listeners:
                await listener.aclose()
            await trio.sleep_forever()

    def stop_accepting(self) -> None:
        """Take no further connection; those that stand go on."""
        self._accepting.cancel()

    async def recheck(self) -> None:
        """Judge the certificate of every line that stands by what is in force now; what is refused is closed."""
        for connection in list(self.connections):
            self._judge(connection)
            await trio.lowlevel.checkpoint()

    def _judge(self, connection: Connection) -> None:
        material = self._gate.tls()
        connection.judged_by = material.current
        try:
            peer = material.verify_peer(connection.certificate, alpn=limits.ALPN, usage="client", now=self._now())
            connection.good_until = peer.good_until
        except CertificateRefused as error:
            connection.fail(FaultCode.CERTIFICATE_REFUSED, error.reason.name)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._gate.now_us() / 1e6, UTC)

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        """One connection, from TCP to its end. Only Cancelled leaves it."""
        closing: trio.abc.AsyncResource = stream
        with ExitStack() as place:
            try:
                try:
                    own = self._gate.tls().current
                    closing = tls = TlsStream(stream, own.server, server_side=True)
                    connection = await self._let_in(tls, own.own.fingerprint, place)
                except trio.BrokenResourceError:  # it ended before a word was said
                    self._gate.left()
                    return
                finally:
                    self._handshakes.release()
                if connection is not None:
                    await self._pump(tls, connection)
            except Exception as error:  # noqa: BLE001 - invariant 6: no exception of one line reaches another
                log.error("line_failed", code=type(error).__name__)
            finally:
                await trio.aclose_forcefully(closing)

    async def _let_in(self, tls: TlsStream, own: bytes, place: ExitStack) -> Connection | None:
        """TLS and the greeting, by HANDSHAKE_MS_MAX. None after the peer left or was turned away."""
        until = trio.current_time() + limits.HANDSHAKE_MS_MAX / 1000
        try:
            with trio.move_on_at(until) as patience:
                await tls.do_handshake()
            if patience.cancelled_caught:
                self._gate.turned_away(FaultCode.HANDSHAKE_TIMEOUT)
                return None
            return await self._greet(tls, own, until, place)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            if fault_in_tls(error) is not None:
                self._gate.turned_away(FaultCode.CERTIFICATE_REFUSED)
            else:
                self._gate.left()
            return None

    async def _greet(self, tls: TlsStream, own: bytes, until: float, place: ExitStack) -> Connection | None:
        """HELLO and WELCOME. None after the peer was turned away with a FAULT, or sent one."""
        gate = self._gate
        refusal: RemoteProtocolError | None = None
        shown: Shown | None = None
        credit: int | None = None
        try:
            shown = self._show(tls)
            credit = gate.line_credit(shown.name)
            if credit is None:
                raise RemoteProtocolError(FaultCode.LINE_UNKNOWN, "the directory does not know this line")
            place.enter_context(self._place(shown.name))
        except CertificateRefused as error:
            refusal = RemoteProtocolError(FaultCode.CERTIFICATE_REFUSED, error.reason.name)
        except ProtocolNotAgreedError:
            refusal = RemoteProtocolError(FaultCode.CERTIFICATE_REFUSED, f"ALPN {limits.ALPN} is due")
        except RemoteProtocolError as error:
            refusal = error
        line = CentreLine(
            role=gate.role,
            environment=gate.environment,
            binding=bytes(64) if shown is None else shown.fingerprint + own,
            key_of=lambda key_id: None if shown is None else gate.line_key(shown.name, key_id),
            now_us=gate.now_us,
            credit=min(credit or 1, limits.CREDIT_REQUESTS_MAX),
        )
        try:
            if refusal is not None or shown is None:
                raise refusal or RemoteProtocolError(FaultCode.INTERNAL, "internal error")
            with trio.move_on_at(until) as patience:
                while not line.receive_data(await self._read(tls)):
                    pass
                await self._welcome(tls, line)
            if patience.cancelled_caught:
                raise RemoteProtocolError(FaultCode.HANDSHAKE_TIMEOUT, "the handshake took too long")
        except RemoteProtocolError as error:
            gate.turned_away(error.code)
            with (
                trio.move_on_after(FAULT_WRITE_S),
                contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError),
            ):
                await tls.send_all(line.fault(error))
            return None
        except FaultReceivedError:
            gate.left()
            return None
        return Connection(shown, line, trio.current_time())

    def _show(self, tls: TlsStream) -> Shown:
        """Who the peer is. Raises: CertificateRefused, ProtocolNotAgreedError."""
        material = self._gate.tls()
        certificate = tls.peer_certificate
        judged_by = material.current
        peer = material.verify_peer(certificate, alpn=tls.alpn, usage="client", now=self._now())
        return Shown(peer.name, certificate, peer.fingerprint, peer.good_until, judged_by)

    @contextlib.contextmanager
    def _place(self, name: LineName) -> Iterator[None]:
        """A place among this worker's connections and its line's. Raises: RemoteProtocolError when there is none."""
        if self._placed.total() >= self._connections_max:
            raise RemoteProtocolError(FaultCode.CONNECTIONS_EXCEEDED, "this worker has all the connections it may have")
        if self._placed[name] >= self._connections_per_line_max:
            raise RemoteProtocolError(
                FaultCode.CONNECTIONS_EXCEEDED, "this line has all the connections it may have with this worker"
            )
        self._placed[name] += 1
        try:
            yield
        finally:
            self._placed[name] -= 1
            if not self._placed[name]:
                del self._placed[name]

    async def _read(self, tls: TlsStream) -> bytes | bytearray:
        data = await tls.receive_some(limits.HANDSHAKE_FRAME_BYTES_MAX)
        if not data:
            raise trio.BrokenResourceError("the peer left during the handshake")
        return data

    async def _welcome(self, tls: TlsStream, line: CentreLine) -> None:
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        body, signed = line.welcome_to_sign(
            nonce=secrets.token_bytes(32),
            ephemeral=ephemeral,
            slot=self._gate.slot,
            slots=self._gate.slots,
            heartbeat_ms=self._heartbeat_ms,
        )
        try:
            algorithm, key_id, signature = await self._gate.sign_welcome(signed)
        except HsmError as error:
            log.error("welcome_not_signed", code=error.code)
            raise RemoteProtocolError(FaultCode.INTERNAL, "the centre's key does not sign now") from error
        await tls.send_all(
            line.welcome(body, ephemeral=ephemeral, algorithm=algorithm, key_id=key_id, signature=signature)
        )

    async def _pump(self, tls: TlsStream, connection: Connection) -> None:
        self.connections.add(connection)
        self._gate.opened(connection)
        if connection.judged_by is not self._gate.tls().current:  # a reload came between its TLS and its WELCOME
            self._judge(connection)
        try:
            with connection.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read_requests, tls, connection)
                    await connection.outbox.write_to(tls)
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass
        finally:
            connection.closing = True
            connection.line.close()
            self.connections.discard(connection)
            self._gate.closed(connection, connection.reason)

    async def _read_requests(self, tls: TlsStream, connection: Connection) -> None:
        line = connection.line
        while True:
            data = await tls.receive_some(RECORD_BYTES)
            if not data:
                connection.scope.cancel()
                return
            if connection.closing:
                continue
            connection.heard_at = trio.current_time()
            connection.pinged = False
            try:
                events = line.receive_data(data)
            except RemoteProtocolError as error:
                connection.fail(error.code, error.detail)
                continue
            except FaultReceivedError:
                connection.closing = True  # the line is closed: an answer that comes now has nowhere to go
                connection.scope.cancel()
                return
            replies = line.take_replies()
            connection.put_sealed(replies)
            for event in events:
                if isinstance(event, RequestsReceived):
                    self._gate.requests(connection, event)
                elif isinstance(event, HelloReceived):  # unreachable by the state table
                    connection.fail(FaultCode.FRAME_UNEXPECTED, "HELLO in a session")

    async def _watch(self) -> None:
        """Ping the silent, close the dead, those that do not read and those whose certificate is no longer good."""
        beat_s = self._heartbeat_ms / 1000
        while True:
            await trio.sleep(min(WATCH_S, beat_s / 2))
            now, today = trio.current_time(), self._now()
            for connection in list(self.connections):
                if connection.good_until <= today and not connection.closing:
                    self._judge(connection)
                if connection.closing:
                    continue
                silent_s = now - connection.heard_at
                if connection.outbox.stalled_s(now) * 1000 > limits.WRITE_STALL_MS_MAX:
                    connection.fail(FaultCode.NOT_READING, "the peer does not read its answers")
                    connection.scope.cancel()
                elif silent_s > 2 * beat_s:
                    connection.fail(FaultCode.SILENT, f"nothing heard for {silent_s:.0f} s")
                elif silent_s > beat_s and not connection.pinged:
                    connection.pinged = True
                    connection.put_sealed(connection.line.ping(os.urandom(8)))
