"""One worker: its lines, its stages, its stream; the place where the parts of a gateway meet.

    line reader -> admit -> [answer] -> record -> outboxes          [x] is a stage with its inbox
                              \\-> [search] -/

What is answered, and how, is the service's (gateway.service.service): a worker knows none by name.

Every request is held in `_open` from admission until its response leaves, under (party, request id): a second copy of
an id waits for the first, and one clerk, the sweep, tells whoever waits beyond its deadline. A commit in doubt makes
PENDING, anything else that is late DEADLINE_EXCEEDED or, while the database is away, UNAVAILABLE. The same clerk adds
up the metrics, twenty times a second: no answer waits for a counter.

Source: DESIGN sections 4 and 7.
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import structlog
import trio

from certs.material import TlsMaterial
from certs.names import LineName
from gateway.directory.directory import Directory
from gateway.directory.policy import Granted, Refused, Standing
from gateway.ledger.recording import Final, Recorder
from gateway.line.accept import CONNECTIONS_PER_LINE_MAX, Acceptor
from gateway.line.admission import admit, transient
from gateway.line.connection import Connection
from gateway.service.asked import Asked
from gateway.service.service import Service
from gateway.stage import Inbox, InboxFull, run_stage
from protocol import limits
from protocol.centre import RequestsReceived
from protocol.errors import FaultCode
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Notice, Refusal, Request, Transient, encode
from protocol.outcomes import Outcome
from protocol.states import State

log = structlog.get_logger()

SWEEP_S = 0.05
BUSY_RETRY_MS = 100
DRAIN_S_MAX = 10.0
INBOX_REQUESTS_PER_PARTY = 8_192
INBOX_REQUESTS_TOTAL = 65_536
SEARCH_TURN = 128
"""Requests of one turn of the search lane: what they keep the thread for is what a plain question may wait."""
PRESSED_REQUESTS = 16
"""A turn of the plain lane with so many requests: they come faster than one at a time can be answered."""
PRESSED_S = 0.02


class Gauges(Protocol):
    """What a worker says of itself; gateway.ops.metrics.Metrics is one."""

    def observe_requests(self, requests: list[tuple[int, int, int]]) -> None:
        """(operation, outcome, duration in microseconds) of requests that were answered."""

    def observe_batch(self, requests: int) -> None:
        """One look-up answered so many."""

    def observe_block(self, *, entries: int, sign_us: int, commit_us: int) -> None:
        """One block is durable."""

    def count_fault(self, code: int) -> None:
        """A line was closed for cause."""

    def count_left(self) -> None:
        """A peer went away before its session stood."""


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
        self._recording = False
        self._looking: trio.Event | None = None
        self._turns = 0
        self._called = trio.Event()
        self._answered: list[tuple[int, int, int]] = []
        self._batches: list[int] = []
        self._blocks: list[tuple[int, int, int]] = []
        self._standings: dict[tuple[str, str], Standing] = {}
        self._open: dict[tuple[str, bytes], Asked] = {}
        self._answer = self._new_inbox()
        self._search = self._new_inbox(SEARCH_TURN)
        self._pressed_at = float("-inf")
        self._record: Inbox[list[Final]] = Inbox(
            capacity_per_key=INBOX_REQUESTS_TOTAL,
            capacity_total=INBOX_REQUESTS_TOTAL,
            take_max=limits.BLOCK_ENTRIES_MAX,
        )
        self.acceptor = Acceptor(
            self,
            connections_max=connections_max,
            connections_per_line_max=connections_per_line_max,
            heartbeat_ms=heartbeat_ms,
        )

    @staticmethod
    def _new_inbox(take_max: int = limits.BLOCK_ENTRIES_MAX) -> "Inbox[list[Asked]]":
        return Inbox(
            capacity_per_key=INBOX_REQUESTS_PER_PARTY,
            capacity_total=INBOX_REQUESTS_TOTAL,
            take_max=take_max,
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
            then = partial(self._record_waiting, recorder)
            nursery.start_soon(run_stage, self._answer, self._answering, then)
            nursery.start_soon(run_stage, self._search, self._searching, then)
            nursery.start_soon(self._record_called, recorder)
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
        self._show()

    async def _drain(self) -> None:
        self.draining = True
        self.acceptor.stop_accepting()
        for connection in list(self.acceptor.connections):
            connection.drain(int(DRAIN_S_MAX * 1000))
        with trio.move_on_after(DRAIN_S_MAX):
            while self._open:  # noqa: ASYNC110 - once in a life; an event would cost every request
                await trio.sleep(0.005)

    async def _answering(self, batch: list[list[Asked]]) -> None:
        asked = [each for frame in batch for each in frame]
        if len(asked) >= PRESSED_REQUESTS:
            self._pressed_at = trio.current_time()
        self._looking = looking = trio.Event()
        self._turns += 1
        try:
            await self._service.answer(asked)
        finally:
            self._turns -= 1
            looking.set()
            self._looking = None
        self._batches.append(len(asked))

    async def _searching(self, batch: list[list[Asked]]) -> None:
        """Search, and give way: while plain questions come in crowds, searches have a small part of the time."""
        asked = [each for part in batch for each in part]
        began = trio.current_time()
        self._turns += 1
        try:
            await self._service.search(asked)
        finally:
            self._turns -= 1
        self._batches.append(len(asked))
        now = trio.current_time()
        until = now + (now - began) * self._service.search_rest
        while now < until and now - self._pressed_at < PRESSED_S:
            await trio.sleep(min(until - now, PRESSED_S))
            now = trio.current_time()

    async def _record_waiting(self, recorder: Recorder) -> None:
        """Make blocks of what waits; whoever is at it goes on until nothing waits.

        What is being looked up when a block is done goes into the next one: a crowd makes fewer and larger blocks, and
        each costs a signature, a flush and a round trip. A first block waits for nobody.
        """
        if self._recording:
            return
        self._recording = True
        try:
            first = True
            while self._record.weight:
                if not first and self._looking is not None:
                    await self._looking.wait()
                first = False
                finals = [final for part in self._record.take_nowait() for final in part]
                for final in finals:
                    source = final.source
                    if isinstance(source, Asked):
                        source.recording = True
                await recorder.work([final for final in finals if not self._late(final)])
        finally:
            self._recording = False

    async def _record_called(self, recorder: Recorder) -> None:
        """Blocks of what a service records from a task of its own, while neither stage has a turn that would end it."""
        while True:
            await self._called.wait()
            self._called = trio.Event()
            await self._record_waiting(recorder)

    def _late(self, final: Final) -> bool:
        """Dropped before it was committed: its asker has been told already."""
        return isinstance(final.source, Asked) and final.source.done

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
            self._count_transients(requests, turned_away)
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
            self._count_transients(requests, refused)
            connection.refuse(refused)
        fresh = []
        opened = self._open
        for asked in admitted:
            key = (party, asked.request.request_id)
            first = opened.setdefault(key, asked)
            if first is asked:
                fresh.append(asked)
            elif first.parked is None:
                first.parked = [asked]
            else:
                first.parked.append(asked)
        is_plain = self._service.is_plain
        plain = [asked for asked in fresh if is_plain(asked)]
        if len(plain) < len(fresh):
            self.to_search([asked for asked in fresh if not is_plain(asked)])
        if plain:
            try:
                self._answer.put_nowait(party, plain, weight=len(plain))
            except InboxFull:
                for asked in plain:
                    self.settle(asked, Outcome.BUSY, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))

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
        by_party: dict[str, list[Asked]] = {}
        for asked in batch:
            by_party.setdefault(asked.party, []).append(asked)
        for party, all_of_it in by_party.items():
            for at in range(0, len(all_of_it), SEARCH_TURN):
                part = all_of_it[at : at + SEARCH_TURN]
                try:
                    self._search.put_nowait(party, part, weight=len(part))
                except InboxFull:
                    for asked in part:
                        self.settle(asked, Outcome.BUSY, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))

    def record(self, finals: list[Final]) -> None:
        """Into the commit stage; what finds it full was not written and may be sent again."""
        try:
            self._record.put_nowait("block", finals, weight=len(finals))
        except InboxFull:
            for final in finals:
                if isinstance(final.source, Asked):
                    self.settle(final.source, Outcome.BUSY, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
        if not self._turns:
            self._called.set()

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """Answer without recording."""
        if asked.done:
            self._forget(asked)
            return
        asked.done = True
        asked.origin.refuse([Transient(asked.request.request_id, int(outcome), body)])
        self._answered.append((asked.request.operation, int(outcome), self._age_us(asked)))
        self._forget(asked)

    def released(self, finals: list[Final]) -> None:
        """The recorder's word: these left, or stand although their asker was told PENDING."""
        now = trio.current_time()
        opened = self._open
        for final in finals:
            asked = final.source
            if not isinstance(asked, Asked):
                continue
            if not asked.done:
                asked.done = True
                self._answered.append(
                    (asked.request.operation, final.response.outcome, int((now - asked.arrived) * 1_000_000))
                )
            opened.pop((asked.party, asked.request.request_id), None)
            if asked.parked:
                self._unpark(asked)

    def lost(self, finals: list[Final]) -> None:
        """Another worker recorded these ids first: they are answered again, as what they are now."""
        again = []
        for final in finals:
            asked = final.source
            if not isinstance(asked, Asked):
                continue
            asked.recording = False
            if asked.done:  # told PENDING meanwhile: kept any longer, it would hold up every later copy of its id
                self._forget(asked)
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
        self._blocks.append((entries, int(sign_s * 1e6), int(commit_s * 1e6)))

    def notify(self, notice: Notice) -> None:
        """A NOTICE to every line."""
        for connection in list(self.acceptor.connections):
            connection.notify(notice)

    @property
    def load(self) -> tuple[int, int, int]:
        """Lines open, requests in flight, credit granted."""
        lines = self.acceptor.connections
        return len(lines), len(self._open), sum(connection.line.credit for connection in lines)

    # --- bookkeeping

    def _age_us(self, asked: Asked) -> int:
        return int((trio.current_time() - asked.arrived) * 1_000_000)

    def _forget(self, asked: Asked) -> None:
        key = (asked.party, asked.request.request_id)
        if self._open.get(key) is asked:
            del self._open[key]
        if asked.parked:
            self._unpark(asked)

    def _unpark(self, asked: Asked) -> None:
        """The first copy is done: the next one goes in its place, the others wait for that one."""
        waiting = [each for each in asked.parked or () if not each.done]
        asked.parked = None
        if not waiting:
            return
        first, *others = waiting
        try:
            self._search.put_nowait(first.party, [first])
        except InboxFull:  # all of them, one after the other: each would only meet the same full inbox
            for each in waiting:
                self.settle(each, Outcome.BUSY, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
            return
        first.parked = others or None
        self._open[first.party, first.request.request_id] = first

    def _count_transients(self, requests: list[Request], refused: list[Transient]) -> None:
        operation_of = {request.request_id: request.operation for request in requests}
        self._answered.extend([(operation_of[each.request_id], each.outcome, 0) for each in refused])

    def _show(self) -> None:
        """Count what was done since the last time: a request never waits for a counter."""
        answered, self._answered = self._answered, []
        batches, self._batches = self._batches, []
        blocks, self._blocks = self._blocks, []
        if answered:
            self._gauges.observe_requests(answered)
        for requests in batches:
            self._gauges.observe_batch(requests)
        for entries, sign_us, commit_us in blocks:
            self._gauges.observe_block(entries=entries, sign_us=sign_us, commit_us=commit_us)

    async def _sweep(self) -> None:
        """Tell whoever waited beyond its deadline, and count what was done."""
        while True:
            await trio.sleep(SWEEP_S)
            self._show()
            now = trio.current_time()
            late = [asked for asked in self._open.values() if asked.deadline < now and not asked.done]
            parked = [
                each
                for asked in self._open.values()
                if asked.parked
                for each in asked.parked
                if each.deadline < now and not each.done
            ]
            for asked in late:
                self._expire(asked)
            for asked in parked:
                asked.done = True
                asked.origin.refuse([transient(asked.request.request_id, Outcome.PENDING)])
                self._answered.append((asked.request.operation, int(Outcome.PENDING), self._age_us(asked)))

    def _expire(self, asked: Asked) -> None:
        asked.done = True
        if asked.recording:
            outcome = Outcome.PENDING  # its block may stand: it stays in _open until that is known
        else:
            outcome = Outcome.DEADLINE_EXCEEDED if self.database_up else Outcome.UNAVAILABLE
        asked.origin.refuse([transient(asked.request.request_id, outcome)])
        self._answered.append((asked.request.operation, int(outcome), self._age_us(asked)))
        if not asked.recording:
            self._forget(asked)
