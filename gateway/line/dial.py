"""The dialling end of a dedicated line, for programs at the far ends: ask, and get a proven answer.

A LineClient keeps one connection to each worker of the centre (WELCOME names the worker's slot), gathers what waits
into frames of up to 256 requests, signs each once, and sends it where there is credit. When a connection is lost, what
it had in flight goes out again under the same ids on another, so the centre answers once; reconnection backs off with
jitter. A result is handed over only after the protocol's peer half has verified it.

Cancellation: a cancelled `ask` stops waiting; its request may still be answered and charged, and asking again with the
same id is free. Closing the client closes its connections at once, and whoever still asks gets LineError.
Source: DESIGN sections 4 and 6; docs/PROTOCOL.md.
"""

import random
import secrets
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
import trio

from certs.errors import CertificateRefused, CertsError
from certs.material import Material, TlsMaterial
from gateway.line.greeting import Target, greet, welcomed
from gateway.line.outbox import Outbox, OutboxFull
from gateway.line.tls import RECORD_BYTES, TlsStream, fault_in_tls
from protocol import limits
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, ProtocolError, RemoteProtocolError
from protocol.keys import Algorithm
from protocol.messages import Notice, NoticeKind, Request
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import DrainReceived, NoticeReceived, PeerLine, Result, ResultsReceived
from protocol.request_id import make_request_id
from protocol.trust import Trust

log = structlog.get_logger()

BACKOFF_S_FIRST = 0.1
BACKOFF_S_MAX = 5.0
RETRY_S_FIRST = 0.05
RETRY_S_MAX = 1.0
SLOT_TRIES = 16
"""Connections tried for a slot that is still missing before waiting a while."""
NOTICES_KEPT = 64
FAULT_WRITE_S = 1.0
WATCH_S = 2.0
"""How often a session is looked at: silence and certificates are matters of ten seconds and more."""
_CLOSED = "the line is closed"

Sign = Callable[[bytes], Awaitable[tuple[Algorithm, str, bytes]]]
"""Signs with this line's key: content -> algorithm, key id, signature."""


class LineError(Exception):
    """The line cannot be used; the sentence says why and what would mend it."""


class KeyFailed(LineError):  # noqa: N818 - named after the fact
    """This end's own key does not sign: what was to be asked has not gone out now."""


class _Waiting:
    """One request whose answer `askers` await: none, once they were all cancelled."""

    __slots__ = ("answered", "askers", "failure", "request", "result")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answered = trio.Event()
        self.askers = 0
        self.failure: LineError | None = None
        self.result: Result | None = None


class _Shown(NamedTuple):
    """The centre's certificate (DER), until when it was found good, and the material it was judged by."""

    certificate: bytes | None
    good_until: datetime
    judged_by: Material


class _Session:
    """One connection that stands."""

    def __init__(self, line: PeerLine, slot: int, beat_s: float, shown: "_Shown") -> None:
        self.line = line
        self.shown = shown
        self.slot = slot
        self.beat_s = beat_s
        self.outbox = Outbox()
        self.in_flight: dict[bytes, _Waiting] = {}
        self.heard_at = trio.current_time()
        self.pinged = False
        self.leaving = False
        self.scope = trio.CancelScope()
        self.fruitful = False
        self.idle = False
        """Waiting for something to send."""
        self.wake = trio.Event()


class LineClient:
    """Made by open_line. Methods are for Trio tasks of that nursery's run."""

    def __init__(self, target: Target, *, material: TlsMaterial, trust: Trust, sign: Sign) -> None:
        self._target = target
        self._material = material
        self._trust = trust
        self._sign = sign
        self._queue: deque[_Waiting] = deque()
        self._asked: dict[bytes, _Waiting] = {}
        """What is queued or in flight, by request id."""
        self._sessions: dict[int, _Session] = {}
        self._changed = trio.Event()
        self.refused: str | None = None
        """Why the last connection could not be had or was lost; None once an answer came."""
        self._closed = False
        self._backoff_s = BACKOFF_S_FIRST
        self._fruitless = 0
        self._turn = 0
        self.slots = 0
        self.checkpoint: str | None = None
        """The latest checkpoint note that came as a NOTICE (unverified here)."""
        self.notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)

    # --- asking

    @staticmethod
    def new_id() -> bytes:
        """A fresh request id."""
        return make_request_id(time.time_ns() // 1_000_000, secrets.token_bytes(10))

    async def ask(
        self,
        operation: int,
        body: bytes,
        *,
        request_id: bytes | None = None,
        deadline_ms: int = limits.DEADLINE_MS_DEFAULT,
        timeout_s: float = 30.0,
        retry: bool = True,
    ) -> Result:
        """Ask once, under one id, until a verified outcome that will not change by waiting, or the time is over.

        Raises: LineError after timeout_s, naming why the line is down where that is the cause; at once as `ask_once`.
        """
        request = Request(request_id or self.new_id(), operation, deadline_ms, body)
        pause_s = RETRY_S_FIRST
        result: Result | None = None
        with trio.move_on_after(timeout_s):
            while True:
                result = await self.ask_once(request)
                if not retry or not CATALOGUE[Outcome(result.outcome)].retryable:
                    return result
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S_MAX)
        if result is not None:
            return result
        raise LineError(f"no answer within {timeout_s:.0f} s" + (f": {self.refused}" if self.refused else ""))

    async def ask_once(self, request: Request) -> Result:
        """One verified response to this very request, whatever it says; resent only when its connection is lost.

        Whoever asks under an id that is being asked already shares its answer.
        Raises: LineError, when this end cannot sign or another question is being asked under that id.
        """
        if self._closed:
            raise LineError(_CLOSED)
        waiting = self._asked.get(request.request_id)
        if waiting is None:
            waiting = self._asked[request.request_id] = _Waiting(request)
            self._queue.append(waiting)
            self._wake_one()
        elif (waiting.request.operation, waiting.request.body) != (request.operation, request.body):
            raise LineError("another question is being asked under this id; ask under a new one")
        waiting.askers += 1
        try:
            await waiting.answered.wait()
        finally:
            waiting.askers -= 1
            if not waiting.askers and waiting in self._queue:
                self._queue.remove(waiting)
                del self._asked[request.request_id]
        if waiting.result is None:
            raise waiting.failure or LineError(_CLOSED)
        return waiting.result

    def _fail(self, waiting: Iterable[_Waiting], failure: LineError) -> None:
        """Tell whoever asked that it was not sent."""
        for each in waiting:
            del self._asked[each.request.request_id]
            each.failure = failure
            each.answered.set()

    async def wait_open(self, timeout_s: float = 10.0, *, all_slots: bool = False) -> None:
        """Wait for a session, or as long for one with each worker; those that are open then must do.

        Raises: LineError with the last reason when there is none.
        """
        with trio.move_on_after(timeout_s):
            while not self._sessions or (all_slots and len(self._sessions) < self.slots):
                await self._changed.wait()
            return
        if not self._sessions:
            raise LineError(self.refused or f"no connection within {timeout_s:.0f} s")

    @property
    def open_slots(self) -> list[int]:
        """Workers this line is connected to."""
        return sorted(self._sessions)

    # --- keeping connections

    async def run(self) -> None:
        """Keep a connection to each worker until cancelled; whoever waits for an answer then is told."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch)
                await self._connect_all(nursery)
        finally:
            self._closed = True
            self._queue.clear()
            self._fail(list(self._asked.values()), LineError(_CLOSED))

    async def _connect_all(self, nursery: trio.Nursery) -> None:
        spare = 0
        while True:
            if self._sessions and len(self._sessions) >= self.slots:
                spare = 0
                await self._changed.wait()
                continue
            if self._fruitless:  # sessions that stood and were closed before they answered anything
                await self._pause(min(BACKOFF_S_FIRST * 2 ** min(self._fruitless, 8), BACKOFF_S_MAX))
            try:
                with trio.fail_after(limits.HANDSHAKE_MS_MAX / 1000):
                    tls, session = await self._connect()
            except KeyFailed as error:
                self.refused = str(error)
                if not self._sessions:
                    queued, self._queue = list(self._queue), deque()
                    self._fail(queued, error)
                self._note_change()
                await self._back_off()
                continue
            except (ProtocolError, CertsError, LineError, OSError, ssl.SSLError, trio.TooSlowError) as error:
                self.refused = str(error) or type(error).__name__
                self._note_change()
                await self._back_off()
                continue
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                fault = fault_in_tls(error)
                left = "the centre closed the connection during the handshake"
                self.refused = left if fault is None else f"TLS failed: {fault}"
                self._note_change()
                await self._back_off()
                continue
            if session.slot in self._sessions:
                await trio.aclose_forcefully(tls)
                spare += 1
                if spare >= SLOT_TRIES:
                    spare = 0
                    await self._pause(1.0)
                continue
            self._backoff_s = BACKOFF_S_FIRST
            self._sessions[session.slot] = session
            self._note_change()
            nursery.start_soon(self._serve, tls, session)

    async def _back_off(self) -> None:
        pause_s = self._backoff_s
        self._backoff_s = min(pause_s * 2, BACKOFF_S_MAX)
        await self._pause(pause_s)

    async def _pause(self, seconds: float) -> None:
        await trio.sleep(seconds * (0.5 + random.random()))  # noqa: S311 - jitter keeps clients apart, it hides nothing

    async def _connect(self) -> tuple[TlsStream, _Session]:
        target = self._target
        own = self._material.current
        stream = await trio.open_tcp_stream(target.host, target.port)
        tls = TlsStream(stream, own.client, server_hostname=target.host)
        try:
            await tls.do_handshake()
            certificate = tls.peer_certificate
            line, signed, good_until = greet(
                PeerLine,
                target,
                certificate=certificate,
                alpn=tls.alpn,
                own=own,
                material=self._material,
                trust=self._trust,
            )
            algorithm, key_id, signature = await self._signed(signed)
            await tls.send_all(line.hello(algorithm=algorithm, key_id=key_id, signature=signature))
            while data := await tls.receive_some(limits.HANDSHAKE_FRAME_BYTES_MAX):
                welcome = welcomed(line, data)
                if welcome is not None:
                    self.slots = welcome.slots
                    shown = _Shown(certificate, good_until, own)
                    return tls, _Session(line, welcome.slot, welcome.heartbeat_ms / 1000, shown)
            raise LineError("the centre closed the connection during the handshake")
        except BaseException:
            await trio.aclose_forcefully(tls)
            raise

    async def _signed(self, content: bytes) -> tuple[Algorithm, str, bytes]:
        """Raises: KeyFailed, whatever the key store raised."""
        try:
            return await self._sign(content)
        except Exception as error:
            log.warning("line_key_failed", code=type(error).__name__)
            raise KeyFailed(f"this line's key does not sign: {error or type(error).__name__}") from error

    async def _serve(self, tls: TlsStream, session: _Session) -> None:
        try:
            with session.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, session)
                    nursery.start_soon(self._receive, tls, session)
                    await session.outbox.write_to(tls)  # ends once the outbox was closed and is written
                    nursery.cancel_scope.cancel()
        except* (
            ProtocolError,
            LineError,
            OutboxFull,
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            ssl.SSLError,
        ) as errors:
            self.refused = str(errors.exceptions[0]) or "the connection was lost"
            log.info("line_lost", code=type(errors.exceptions[0]).__name__)
        finally:
            if self._sessions.get(session.slot) is session:
                del self._sessions[session.slot]
            if not session.fruitful and not session.leaving:
                self._fruitless += 1
            session.line.close()
            # The same ids go out again on another connection: the centre answers each once.
            for waiting in reversed(session.in_flight.values()):
                if waiting.askers:
                    self._queue.appendleft(waiting)
                else:
                    del self._asked[waiting.request.request_id]
            session.in_flight.clear()
            self._note_change()
            self._wake_sessions()
            await trio.aclose_forcefully(tls)

    async def _send(self, session: _Session) -> None:
        line = session.line
        while True:
            if not self._queue or session.leaving or line.free_credit <= 0:
                session.wake = trio.Event()
                session.idle = True
                await session.wake.wait()
                await trio.lowlevel.checkpoint()  # what is asked in this very pass comes along
                session.idle = False
                continue
            count = min(len(self._queue), line.free_credit, limits.REQUESTS_PER_FRAME_MAX)
            batch = [self._queue.popleft() for _ in range(count)]
            requests = [waiting.request for waiting in batch]
            for waiting in batch:
                session.in_flight[waiting.request.request_id] = waiting
            body, signed = line.requests_to_sign(requests)
            try:
                algorithm, key_id, signature = await self._signed(signed)
            except KeyFailed as error:  # the frame's sequence number is spent, so the connection ends as well
                for waiting in batch:
                    del session.in_flight[waiting.request.request_id]
                self._fail(batch, error)
                raise
            session.outbox.put(
                line.send_requests(requests, body, algorithm=algorithm, key_id=key_id, signature=signature)
            )

    async def _receive(self, tls: TlsStream, session: _Session) -> None:
        line = session.line
        while True:
            data = await tls.receive_some(RECORD_BYTES)
            if not data:
                self.refused = "the centre closed the connection"
                session.scope.cancel()
                return
            session.heard_at = trio.current_time()
            session.pinged = False
            try:
                events = line.receive_data(data)
            except RemoteProtocolError as error:
                self._end(session, error)
                return
            session.outbox.put(line.take_replies())
            for event in events:
                self._take(session, event)
            if self._queue:  # there may be credit for it now
                session.wake.set()

    def _end(self, session: _Session, error: RemoteProtocolError) -> None:
        """Tell the centre why and close, within FAULT_WRITE_S whether it reads or not."""
        self.refused = str(error)
        log.info("line_lost", code=error.code.name)
        with suppress(OutboxFull, LocalProtocolError):
            session.outbox.put(session.line.fault(error))
        session.outbox.close()
        session.scope.deadline = min(session.scope.deadline, trio.current_time() + FAULT_WRITE_S)

    def _take(self, session: _Session, event: object) -> None:
        if isinstance(event, ResultsReceived):
            self.refused = None
            for result in event.results:
                waiting = session.in_flight.pop(result.request.request_id, None)
                self._fruitless = 0
                session.fruitful = True
                if waiting is not None:
                    del self._asked[result.request.request_id]
                    waiting.result = result
                    waiting.answered.set()
        elif isinstance(event, NoticeReceived):
            self.notices.append(event.notice)
            if event.notice.kind == NoticeKind.CHECKPOINT:
                self.checkpoint = event.notice.text
            self._note_change()
        elif isinstance(event, DrainReceived):
            session.leaving = True
            within_s = event.within_ms / 1000 + FAULT_WRITE_S
            session.scope.deadline = min(session.scope.deadline, trio.current_time() + within_s)
            if self._sessions.get(session.slot) is session:
                del self._sessions[session.slot]
            self._note_change()
            self._wake_sessions()

    def _wake_one(self) -> None:
        """Have one idle session take what waits: one that is about to, else the next in turn.

        A session that is signing looks again once it has signed.
        """
        idle = [
            each for each in self._sessions.values() if each.idle and not each.leaving and each.line.free_credit > 0
        ]
        if idle and not any(each.wake.is_set() for each in idle):
            self._turn += 1
            idle[self._turn % len(idle)].wake.set()

    def _wake_sessions(self) -> None:
        for session in self._sessions.values():
            session.wake.set()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_notice(self) -> None:
        """Wait for the next notice or change of connections."""
        await self._changed.wait()

    async def _watch(self) -> None:
        while True:
            await trio.sleep(min([WATCH_S, *(session.beat_s / 2 for session in self._sessions.values())]))
            now = trio.current_time()
            for session in list(self._sessions.values()):
                silent_s = now - session.heard_at
                try:
                    self._judge(session)
                    if silent_s > 2 * session.beat_s:
                        self._end(session, RemoteProtocolError(FaultCode.SILENT, f"nothing heard for {silent_s:.0f} s"))
                    elif silent_s > session.beat_s and not session.pinged:
                        session.pinged = True
                        session.outbox.put(session.line.ping(secrets.token_bytes(8)))
                except (LocalProtocolError, OutboxFull):
                    session.outbox.close()

    def _judge(self, session: _Session) -> None:
        """Judge the centre's certificate again when it is due or the material is new; what is refused is ended."""
        shown, material = session.shown, self._material
        today = datetime.now(UTC)
        if shown.judged_by is material.current and today < shown.good_until:
            return
        try:
            peer = material.verify_peer(
                shown.certificate, alpn=limits.ALPN, usage="server", now=today, expected=self._target.centre
            )
        except CertificateRefused as error:
            self._end(session, RemoteProtocolError(FaultCode.CERTIFICATE_REFUSED, error.reason.name))
        else:
            session.shown = _Shown(shown.certificate, peer.good_until, material.current)


@asynccontextmanager
async def open_line(target: Target, *, material: TlsMaterial, trust: Trust, sign: Sign) -> AsyncIterator[LineClient]:
    """A LineClient that keeps its connections while the block runs.

    Raises nothing at once: `wait_open` or the first `ask` says when the line cannot be had.
    """
    client = LineClient(target, material=material, trust=trust, sign=sign)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        try:
            yield client
        finally:
            nursery.cancel_scope.cancel()


__all__ = ["FaultReceivedError", "KeyFailed", "LineClient", "LineError", "Sign", "Target", "open_line"]
