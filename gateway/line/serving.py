"""A line's accepting end for programs other than the gateway: a request in, an answer out, nothing recorded.

A municipality's issuing server and an operator's relay listen with this. TLS, the handshake, heartbeats and the pump of
bytes are the Acceptor's; here is what stands behind them: every verified request is handled in a task of its own, at
most `requests_at_once` at a time, within its own deadline, and answered with a Transient. A second copy of an id in
flight gets the first one's answer, so that whoever lost a connection may ask again at once. A connection that is lost
cancels nothing: its peer comes back for the answer under the same id.

What a handler may rely on: the line's name is proven, the frame's signature holds. What it must do itself: be
idempotent on its request's meaning, as any request may come again after its answer was given.

Source: DESIGN sections 4, 6 and 10; docs/PROTOCOL.md.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio

from certs.material import TlsMaterial
from certs.names import LineName
from gateway.line.accept import CONNECTIONS_PER_LINE_MAX, Acceptor
from gateway.line.connection import Connection
from gateway.line.dial import Sign
from protocol import limits
from protocol.centre import RequestsReceived
from protocol.errors import FaultCode
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Refusal, Request, Transient, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.states import State

log = structlog.get_logger()

DRAIN_S_MAX: Final = 10.0
"""What is being handled when `stop` is set has so long to end."""
CLOSE_S_MAX: Final = 1.0
REQUESTS_AT_ONCE: Final = 256
CREDIT: Final = 256
CONNECTIONS_MAX: Final = 1024
_NOTHING: Final = encode(Refusal())


class _Open:
    """One request in hand, and the connections that wait for its answer: the one it came on, then those of copies."""

    __slots__ = ("connections", "request")

    def __init__(self, request: Request, connection: Connection) -> None:
        self.request = request
        self.connections = [connection]


class LineServer:
    """Serves one role on listening sockets; implements the acceptor's Gate.

    `material` is this end's certificate (profile HOST) and the peers' anchors; `sign` its line key. `key_of` gives a
    line's signing key while it is valid, `knows` says which lines may come at all. `handle` answers a request with an
    outcome that is not recorded and a body of at most TRANSIENT_BODY_BYTES_MAX; whatever else it gives or raises
    becomes UNAVAILABLE. `opened` and `closed` are told of sessions. `credit` is what one connection may have
    unanswered.
    """

    slot = 0
    slots = 1

    def __init__(
        self,
        *,
        role: str,
        environment: str,
        material: TlsMaterial,
        sign: Sign,
        key_of: Callable[[LineName, str], PublicKey | None],
        handle: Callable[[LineName, Request], Awaitable[tuple[int, bytes]]],
        knows: Callable[[LineName], bool] = lambda _: True,
        requests_at_once: int = REQUESTS_AT_ONCE,
        credit: int = CREDIT,
        connections_max: int = CONNECTIONS_MAX,
        connections_per_line_max: int = CONNECTIONS_PER_LINE_MAX,
        heartbeat_ms: int = limits.HEARTBEAT_MS,
        opened: Callable[[LineName], object] = lambda _: None,
        closed: Callable[[LineName], object] = lambda _: None,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self.role = role
        self.environment = environment
        self.now_us = now_us
        self._material = material
        self._sign = sign
        self._key_of = key_of
        self._handle = handle
        self._knows = knows
        self._credit = credit
        self._opened = opened
        self._closed = closed
        self._places = trio.Semaphore(requests_at_once)
        self._open: dict[tuple[LineName, bytes], _Open] = {}
        self._handling: trio.Nursery | None = None
        self._draining = False
        self._idle = trio.Event()
        self._acceptor = Acceptor(
            self,
            connections_max=connections_max,
            connections_per_line_max=connections_per_line_max,
            heartbeat_ms=heartbeat_ms,
        )

    # --- life

    async def serve(self, listeners: list[trio.SocketListener], *, stop: trio.Event) -> None:
        """Serve until `stop`, then drain: what is in hand is answered, what comes is told DRAINING.

        A server serves once. Cancelling closes everything at once.
        """
        async with trio.open_nursery() as lines:
            lines.start_soon(self._acceptor.serve, listeners)
            async with trio.open_nursery() as self._handling:
                await stop.wait()
                await self._drain()
                self._handling.cancel_scope.cancel()
            await self._close()
            lines.cancel_scope.cancel()

    @property
    def connections(self) -> list[LineName]:
        """Who is on, a name for every connection, in order."""
        return sorted(connection.name for connection in self._acceptor.connections)

    @property
    def in_hand(self) -> int:
        """Requests that are being handled or wait for their turn."""
        return len(self._open)

    async def recheck(self) -> None:
        """Judge every peer's certificate by the lists and anchors that `material` holds now."""
        await self._acceptor.recheck()

    async def _drain(self) -> None:
        self._draining = True
        self._acceptor.stop_accepting()
        for connection in list(self._acceptor.connections):
            connection.drain(int(DRAIN_S_MAX * 1000))
        with trio.move_on_after(DRAIN_S_MAX):
            while self._open:
                await self._idle.wait()
        for key in list(self._open):
            self._answer(key, Outcome.UNAVAILABLE, _NOTHING)

    async def _close(self) -> None:
        for connection in list(self._acceptor.connections):
            connection.finish()
        with trio.move_on_after(CLOSE_S_MAX):
            while self._acceptor.connections:  # noqa: ASYNC110 - once in a life; an event would be state
                await trio.sleep(0.01)

    # --- the acceptor's gate

    def tls(self) -> TlsMaterial:
        """See Gate."""
        return self._material

    def line_credit(self, name: LineName) -> int | None:
        """See Gate."""
        return self._credit if self._knows(name) else None

    def line_key(self, name: LineName, key_id: str) -> PublicKey | None:
        """See Gate."""
        return self._key_of(name, key_id)

    async def sign_welcome(self, signed: bytes) -> tuple[Algorithm, str, bytes]:
        """See Gate."""
        return await self._sign(signed)

    def opened(self, connection: Connection) -> None:
        """See Gate."""
        log.info("line_opened", party=connection.name.party, line=connection.name.line)
        self._opened(connection.name)

    def closed(self, connection: Connection, reason: str) -> None:
        """See Gate."""
        log.info("line_closed", party=connection.name.party, line=connection.name.line, fault=reason)
        self._closed(connection.name)

    def turned_away(self, code: FaultCode) -> None:
        """See Gate."""
        log.info("line_turned_away", fault=code.name)

    def left(self) -> None:
        """See Gate."""
        log.info("line_left")

    def requests(self, connection: Connection, received: RequestsReceived) -> None:
        """See Gate: begin with every request of a frame that is not in hand already."""
        seen: set[bytes] = set()
        refused = []
        for request in received.batch.requests:
            outcome = self._begin(connection, request, seen)
            if outcome is not None:
                refused.append(Transient(request.request_id, int(outcome), _NOTHING))
        connection.refuse(refused)

    # --- requests

    def _begin(self, connection: Connection, request: Request, seen: set[bytes]) -> Outcome | None:
        """Take a request in hand; an outcome when it is answered at once instead."""
        if request.request_id in seen:
            return Outcome.DUPLICATE_IN_FRAME
        seen.add(request.request_id)
        key = (connection.name, request.request_id)
        first = self._open.get(key)
        if first is not None:
            if (first.request.operation, first.request.body) != (request.operation, request.body):
                return Outcome.ID_REUSED
            first.connections.append(connection)
            return None
        if self._draining or self._handling is None or connection.line.state is not State.SERVING:
            return Outcome.DRAINING
        self._open[key] = _Open(request, connection)
        self._handling.start_soon(self._work, key, request)
        return None

    async def _work(self, key: tuple[LineName, bytes], request: Request) -> None:
        """Handle one request within its deadline, which counts from its arrival; only Cancelled leaves."""
        outcome, body = int(Outcome.DEADLINE_EXCEEDED), _NOTHING
        with trio.move_on_after(min(request.deadline_ms, limits.DEADLINE_MS_MAX) / 1000):
            async with self._places:
                outcome, body = await self._handled(key[0], request)
        self._answer(key, outcome, body)

    async def _handled(self, name: LineName, request: Request) -> tuple[int, bytes]:
        try:
            outcome, body = await self._handle(name, request)
        except Exception as error:  # noqa: BLE001 - no exception of one request reaches another
            log.error("request_failed", operation=request.operation, code=type(error).__name__)
            return Outcome.UNAVAILABLE, _NOTHING
        if outcome not in _UNRECORDED or len(body) > limits.TRANSIENT_BODY_BYTES_MAX:
            log.error("answer_not_sendable", operation=request.operation, outcome=outcome)
            return Outcome.UNAVAILABLE, _NOTHING
        return outcome, body

    def _answer(self, key: tuple[LineName, bytes], outcome: int, body: bytes) -> None:
        """To everyone who waits for it."""
        for connection in self._open.pop(key).connections:
            connection.refuse([Transient(key[1], int(outcome), body)])
        if not self._open:
            self._idle.set()
            self._idle = trio.Event()


_UNRECORDED: Final = frozenset(int(outcome) for outcome, meaning in CATALOGUE.items() if not meaning.recorded)
"""What may be answered without a proof; the peer closes the line on anything else."""
