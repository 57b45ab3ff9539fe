"""The accepting end of dedicated lines: TLS, who is calling, the handshake, and the pump of bytes.

A stranger costs a bounded handshake slot for at most HANDSHAKE_MS_MAX. After that a connection is a CentreLine, an
Outbox with its writer task, and this reader; requests go to the gate at once and answers come back to the outbox, so
nothing here waits on a database or a key. One watch task, not a timer a line, keeps the heartbeat of all.

Not here: what may pass (admission), what is answered (inquiry), which certificate is good (certs).
Source: DESIGN sections 4 and 6; docs/PROTOCOL.md, Heartbeat and Closing.
"""

import contextlib
import os
import secrets
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from certs.errors import CertificateRefused, ProtocolNotAgreedError
from certs.material import TlsMaterial
from certs.names import LineName
from gateway.line.outbox import Outbox, OutboxFull
from protocol import limits
from protocol.centre import CentreLine, HelloReceived, RequestsReceived
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, RemoteProtocolError
from protocol.keys import Algorithm, PublicKey
from protocol.messages import BlockShare, Notice, Transient

log = structlog.get_logger()

HANDSHAKES_MAX = 256
"""Connections that may be in their handshake at once; further ones wait in the listen queue."""
READ_BYTES = 16 << 10
"""A TLS record holds no more, and a read gives no more than a record."""
FAULT_WRITE_S = 1.0
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
        """A connection ended before its session stood."""


class Connection:
    """One session of one line. All methods are synchronous; the writer task does the waiting."""

    __slots__ = ("closing", "heard_at", "line", "name", "outbox", "pinged", "reason", "scope")

    def __init__(self, name: LineName, line: CentreLine, now: float) -> None:
        self.name = name
        self.line = line
        self.outbox = Outbox()
        self.heard_at = now
        self.pinged = False
        self.reason = "peer"
        self.scope = trio.CancelScope()
        self.closing = False

    def _put(self, make: Callable[[], bytes]) -> None:
        if self.closing:
            return
        try:
            self.outbox.put(make())
        except OutboxFull:
            self.fail(FaultCode.NOT_READING, "the peer does not read its answers")
        except LocalProtocolError as error:
            log.error("line_misused", code=type(error).__name__)
            self.fail(FaultCode.INTERNAL, "internal error")

    def put_sealed(self, frames: bytes) -> None:
        """Send frames the line has sealed already."""
        self._put(lambda: frames)

    def respond(self, share: BlockShare) -> None:
        """Send a share of a block."""
        self._put(lambda: self.line.send_share(share))

    def refuse(self, transients: list[Transient]) -> None:
        """Send unrecorded responses."""
        if transients:
            self._put(lambda: self.line.send_transients(transients))

    def notify(self, notice: Notice) -> None:
        """Send a NOTICE."""
        self._put(lambda: self.line.send_notice(notice))

    def drain(self, within_ms: int) -> None:
        """Ask the peer to go elsewhere."""
        self._put(lambda: self.line.send_drain(within_ms))

    def finish(self) -> None:
        """Close once everything is written."""
        self.reason = "drained"
        self.closing = True
        self.outbox.close()

    def fail(self, code: FaultCode, detail: str) -> None:
        """Close now: tell the peer why if it still reads."""
        if self.closing:
            return
        self.reason = code.name
        with contextlib.suppress(OutboxFull, LocalProtocolError):
            self.outbox.put(self.line.fault(RemoteProtocolError(code, detail)))
        self.closing = True
        self.outbox.close()
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + FAULT_WRITE_S)


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

    def __init__(self, gate: Gate, *, connections_max: int, heartbeat_ms: int = limits.HEARTBEAT_MS) -> None:
        self._gate = gate
        self._connections_max = connections_max
        self._heartbeat_ms = heartbeat_ms
        self._handshakes = trio.Semaphore(HANDSHAKES_MAX)
        self._greeting = 0
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

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        """One connection, from TCP to its end. Only Cancelled leaves it."""
        tls: trio.SSLStream[trio.SocketStream] | None = None
        try:
            try:
                own = self._gate.tls().current
                tls = trio.SSLStream(stream, own.server, server_side=True, https_compatible=True)
                with trio.move_on_after(limits.HANDSHAKE_MS_MAX / 1000) as deadline:
                    connection = await self._greet(tls, own.own.fingerprint)
            finally:
                self._handshakes.release()
            if deadline.cancelled_caught:
                self._gate.turned_away(FaultCode.HANDSHAKE_TIMEOUT)
            elif connection is not None:
                await self._pump(tls, connection)
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError, OSError):
            self._gate.turned_away(FaultCode.CERTIFICATE_REFUSED)
        except Exception as error:  # noqa: BLE001 - invariant 6: no exception of one line reaches another
            log.error("line_failed", code=type(error).__name__)
        finally:
            await trio.aclose_forcefully(tls.transport_stream if tls is not None else stream)

    async def _greet(self, tls: "trio.SSLStream[trio.SocketStream]", own: bytes) -> Connection | None:
        """TLS and HELLO/WELCOME. None after the peer was turned away with a FAULT."""
        await tls.do_handshake()
        gate = self._gate
        refusal: RemoteProtocolError | None = None
        name = LineName("unknown", "unknown")
        binding = bytes(64)
        credit: int | None = None
        try:
            peer = gate.tls().verify_peer(
                tls.getpeercert(binary_form=True),
                alpn=tls.selected_alpn_protocol(),
                usage="client",
                now=datetime.fromtimestamp(gate.now_us() / 1e6, UTC),
            )
            name = peer.name
            binding = peer.fingerprint + own
            credit = gate.line_credit(name)
            if credit is None:
                raise RemoteProtocolError(FaultCode.LINE_UNKNOWN, "the directory does not know this line")
            if len(self.connections) + self._greeting >= self._connections_max:
                raise RemoteProtocolError(FaultCode.SHUTTING_DOWN, "this worker has all the connections it may have")
        except CertificateRefused as error:
            refusal = RemoteProtocolError(FaultCode.CERTIFICATE_REFUSED, error.reason.name)
        except ProtocolNotAgreedError:
            refusal = RemoteProtocolError(FaultCode.CERTIFICATE_REFUSED, f"ALPN {limits.ALPN} is due")
        except RemoteProtocolError as error:
            refusal = error
        line = CentreLine(
            role=gate.role,
            environment=gate.environment,
            binding=binding,
            key_of=lambda key_id: gate.line_key(name, key_id),
            now_us=gate.now_us,
            credit=min(credit or 1, limits.CREDIT_REQUESTS_MAX),
        )
        placed = refusal is None
        self._greeting += placed
        try:
            if refusal is not None:
                raise refusal
            while not line.receive_data(await self._read(tls)):
                pass
            await self._welcome(tls, line)
        except RemoteProtocolError as error:
            gate.turned_away(error.code)
            await tls.send_all(line.fault(error))
            return None
        except FaultReceivedError:
            return None
        finally:
            self._greeting -= placed
        return Connection(name, line, trio.current_time())

    async def _read(self, tls: "trio.SSLStream[trio.SocketStream]") -> bytes | bytearray:
        data = await tls.receive_some(limits.HANDSHAKE_FRAME_BYTES_MAX)
        if not data:
            raise trio.BrokenResourceError("the peer left during the handshake")
        return data

    async def _welcome(self, tls: "trio.SSLStream[trio.SocketStream]", line: CentreLine) -> None:
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        body, signed = line.welcome_to_sign(
            nonce=secrets.token_bytes(32),
            ephemeral=ephemeral,
            slot=self._gate.slot,
            slots=self._gate.slots,
            heartbeat_ms=self._heartbeat_ms,
        )
        algorithm, key_id, signature = await self._gate.sign_welcome(signed)
        await tls.send_all(
            line.welcome(body, ephemeral=ephemeral, algorithm=algorithm, key_id=key_id, signature=signature)
        )

    async def _pump(self, tls: "trio.SSLStream[trio.SocketStream]", connection: Connection) -> None:
        self.connections.add(connection)
        self._gate.opened(connection)
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

    async def _read_requests(self, tls: "trio.SSLStream[trio.SocketStream]", connection: Connection) -> None:
        line = connection.line
        while True:
            data = await tls.receive_some(READ_BYTES)
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
        """Ping the silent, close the dead and those that do not read."""
        beat_s = self._heartbeat_ms / 1000
        while True:
            await trio.sleep(min(WATCH_S, beat_s / 2))
            now = trio.current_time()
            for connection in list(self.connections):
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
