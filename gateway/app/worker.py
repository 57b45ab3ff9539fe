"""One worker: its lines, its stages, its stream; the place where the parts of a gateway meet.

    line reader -> admit -> [answer] -> record -> outboxes          [x] is a stage with its inbox
                              \\-> [search] -/              (gateway.app.lanes)

What is answered, and how, is the service's (gateway.service.service): a worker knows none by name.

Every request is held from admission until its response leaves (gateway.app.unanswered), and one clerk, the sweep, tells
whoever waits beyond its deadline. A commit in doubt makes PENDING, anything else that is late DEADLINE_EXCEEDED or,
while the database is away, UNAVAILABLE. The same clerk adds up the metrics, twenty times a second.

Source: DESIGN sections 4 and 7.
"""

import time
from collections.abc import Awaitable, Callable

import structlog
import trio

from certs.material import TlsMaterial
from certs.names import LineName
from gateway.app.lanes import Lanes
from gateway.app.tally import Gauges, Tally
from gateway.app.unanswered import Unanswered
from gateway.directory.directory import Directory
from gateway.directory.policy import Granted, Refused, Standing
from gateway.ledger.recording import Final, Recorder
from gateway.line.accept import CONNECTIONS_PER_LINE_MAX, Acceptor
from gateway.line.admission import admit, transient
from gateway.line.connection import Connection
from gateway.service.asked import Asked
from gateway.service.service import Service
from protocol import limits
from protocol.centre import RequestsReceived
from protocol.errors import FaultCode
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Notice, Refusal, encode
from protocol.outcomes import Outcome
from protocol.states import State

log = structlog.get_logger()

SWEEP_S = 0.05
DRAIN_S_MAX = 10.0


class Centre:
    """What this worker is: role, environment, and its place among the workers of the node."""

    __slots__ = ("environment", "role", "slot", "slots")

    def __init__(self, *, role: str, environment: str, slot: int, slots: int) -> None:
        self.role = role
        self.environment = environment
        self.slot = slot
        self.slots = slots


class Worker:
    """Implements the acceptor's Gate and the service's Outlet over the parts it is given."""

    _service: Service

    def __init__(
        self,
        *,
        centre: Centre,
        material: TlsMaterial,
        directory: Callable[[], Directory],
        sign_welcome: Callable[[bytes], Awaitable[tuple[Algorithm, str, bytes]]],
        gauges: Gauges,
        connections_max: int,
        connections_per_line_max: int = CONNECTIONS_PER_LINE_MAX,
        heartbeat_ms: int = limits.HEARTBEAT_MS,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        line_came: Callable[[LineName], object] = lambda _: None,
    ) -> None:
        self.role = centre.role
        self.environment = centre.environment
        self.slot = centre.slot
        self.slots = centre.slots
        self.now_us = now_us
        self.database_up = True
        self.draining = False
        self._material = material
        self._directory = directory
        self._sign_welcome = sign_welcome
        self._gauges = gauges
        self._line_came = line_came
        self._tally = Tally(gauges)
        self._standings: dict[tuple[str, str], Standing] = {}
        self._unanswered = Unanswered(self._tally, again=lambda asked: self._lanes.search_again(asked))
        self._lanes = Lanes(self._tally, busy=self._unanswered.busy)
        self.acceptor = Acceptor(
            self,
            connections_max=connections_max,
            connections_per_line_max=connections_per_line_max,
            heartbeat_ms=heartbeat_ms,
        )

    # --- life

    def use(self, service: Service) -> None:
        """What the lines are for; said once, before the first of them opens."""
        self._service = service

    async def run(
        self,
        *,
        listeners: list[trio.SocketListener],
        recorder: Recorder,
        stop: trio.Event,
        started: Callable[[], None],
    ) -> None:
        """Serve until `stop`, then drain: nothing admitted is lost, and the stream ends with its CLOSE block."""
        async with trio.open_nursery() as nursery:
            self._lanes.start(nursery, service=self._service, recorder=recorder)
            nursery.start_soon(self._sweep)
            await nursery.start(self._service.run)
            async with trio.open_nursery() as lines:
                lines.start_soon(self.acceptor.serve, listeners)
                started()
                await stop.wait()
                await self._drain()
                await self._service.close()
                await recorder.close()
                for connection in list(self.acceptor.connections):
                    connection.finish()
                with trio.move_on_after(1.0):
                    while self.acceptor.connections:  # noqa: ASYNC110 - once in a life; an event would be state
                        await trio.sleep(0.01)
                lines.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        self._tally.show()

    async def _drain(self) -> None:
        self.draining = True
        self.acceptor.stop_accepting()
        for connection in list(self.acceptor.connections):
            connection.drain(int(DRAIN_S_MAX * 1000))
        with trio.move_on_after(DRAIN_S_MAX):
            while self._unanswered:  # noqa: ASYNC110 - once in a life; an event would cost every request
                await trio.sleep(0.005)

    # --- the acceptor's gate

    def tls(self) -> TlsMaterial:
        """See Gate."""
        return self._material

    def line_credit(self, name: LineName) -> int | None:
        """See Gate."""
        line = self._directory().line(name.party, name.line)
        return None if line is None else line.requests_in_flight_max

    def line_key(self, name: LineName, key_id: str) -> PublicKey | None:
        """See Gate."""
        return self._directory().verifying_key(name.party, name.line, key_id, self.now_us())

    async def sign_welcome(self, signed: bytes) -> tuple[Algorithm, str, bytes]:
        """See Gate."""
        return await self._sign_welcome(signed)

    def opened(self, connection: Connection) -> None:
        """See Gate."""
        log.info("line_opened", party=connection.name.party, line=connection.name.line)
        self._line_came(connection.name)

    def closed(self, connection: Connection, reason: str) -> None:
        """See Gate."""
        if reason in FaultCode.__members__:
            self._gauges.count_fault(FaultCode[reason])
        log.info("line_closed", party=connection.name.party, line=connection.name.line, fault=reason)

    def turned_away(self, code: FaultCode) -> None:
        """See Gate."""
        self._gauges.count_fault(code)
        log.info("line_turned_away", fault=code.name)

    def left(self) -> None:
        """See Gate."""
        self._gauges.count_left()
        log.info("line_left")

    def requests(self, connection: Connection, received: RequestsReceived) -> None:
        """See Gate: admit a frame and put what goes on into its lane."""
        requests = received.batch.requests
        if self.draining or connection.line.state is not State.SERVING:
            turned_away = [transient(request.request_id, Outcome.DRAINING) for request in requests]
            self._tally.turned_away(requests, turned_away)
            connection.refuse(turned_away)
            return
        party = connection.name.party
        admitted, refused = admit(
            requests,
            origin=connection,
            party=party,
            line=connection.name.line,
            standing=self.standing(party, connection.name.line),
            decide=self._service.decide,
            now_ms=self.now_us() // 1000,
            arrived=trio.current_time(),
        )
        if refused:
            self._tally.turned_away(requests, refused)
            connection.refuse(refused)
        fresh = self._unanswered.take(party, admitted)
        is_plain = self._service.is_plain
        plain = [asked for asked in fresh if is_plain(asked)]
        if len(plain) < len(fresh):
            self.to_search([asked for asked in fresh if not is_plain(asked)])
        if plain:
            self._lanes.to_answer(party, plain)

    # --- the service's outlet

    def standing(self, party: str, line: str) -> Standing:
        """What holds for a line now, kept while it holds."""
        now_us = self.now_us()
        directory = self._directory()
        held = self._standings.get((party, line))
        if held is None or held.version != directory.version or not held.covers(now_us):
            held = self._standings[party, line] = directory.standing(self.role, party, line, now_us)  # type: ignore[arg-type]
        return held

    def decide(self, asked: Asked, standing: Standing) -> Granted | Refused:
        """Policy once more, after the directory changed."""
        if asked.body is None:
            return asked.decision
        return self._service.decide(standing, asked.request.operation, asked.body)

    def to_search(self, batch: list[Asked]) -> None:
        """Into the lane for what needs more."""
        self._lanes.to_search(batch)

    def record(self, finals: list[Final]) -> None:
        """Into the commit stage; what finds it full was not written and may be sent again."""
        self._lanes.to_record(finals)

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """Answer without recording."""
        self._unanswered.settle(asked, outcome, body)

    def released(self, finals: list[Final]) -> None:
        """The recorder's word: these left, or stand although their asker was told PENDING."""
        self._unanswered.released(finals)

    def lost(self, finals: list[Final]) -> None:
        """Another worker recorded these ids first: they are answered again, as what they are now."""
        again = []
        for final in finals:
            asked = final.source
            if not isinstance(asked, Asked):
                continue
            asked.recording = False
            if asked.done:  # told PENDING meanwhile: kept any longer, it would hold up every later copy of its id
                self._unanswered.forget(asked)
            else:
                again.append(asked)
        self.to_search(again)

    def failed(self, finals: list[Final]) -> None:
        """Nothing was written."""
        for final in finals:
            if isinstance(final.source, Asked):
                self.settle(final.source, Outcome.UNAVAILABLE, encode(Refusal()))

    def block(self, *, entries: int, sign_s: float, commit_s: float) -> None:
        """The recorder's observer."""
        self._tally.block(entries=entries, sign_s=sign_s, commit_s=commit_s)

    def notify(self, notice: Notice) -> None:
        """A NOTICE to every line."""
        for connection in list(self.acceptor.connections):
            connection.notify(notice)

    @property
    def load(self) -> tuple[int, int, int]:
        """Lines open, requests in flight, credit granted."""
        lines = self.acceptor.connections
        return len(lines), len(self._unanswered), sum(connection.line.credit for connection in lines)

    async def _sweep(self) -> None:
        """Tell whoever waited beyond its deadline, and count what was done."""
        while True:
            await trio.sleep(SWEEP_S)
            self._tally.show()
            self._unanswered.expire(Outcome.DEADLINE_EXCEEDED if self.database_up else Outcome.UNAVAILABLE)
