"""The kiosk's line to its relay: calls that wait for the centre, and facts that go out when they can.

A call is KIOSK_CALL under one request id, sent again under that very id while waiting helps, so the centre does it
once. What the relay takes over itself comes back as TAKEN_OVER, what it does not pass on as NOT_PERMITTED.

Facts about money and faults go out at once. What only says whether the kiosk is in use shares the frame of the next
call, and waits for one FACTS_WAIT_S at most.

Source: DESIGN 10; docs/PROTOCOL.md, Certificates.
"""

from collections import deque
from contextlib import suppress
from typing import Final

import msgspec
import structlog
import trio

from gateway.line.dial import LineClient, LineError
from gateway.peers.kiosk.errors import AnswerUnreadable, RelayAway
from protocol import limits
from protocol.issuance import KioskCall, KioskEvent, KioskFact, Relayed
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

CALL_S: Final = 15.0
DOCUMENT_S: Final = 45.0
"""A municipality may be busy; the user sees that it goes on."""
EVENT_S: Final = 10.0
EVENTS_MAX: Final = 256
FACTS_WAIT_S: Final = 0.5
PAUSE_S_FIRST: Final = 0.1
PAUSE_S_MAX: Final = 2.0
WAITED_FOR: Final = frozenset(
    {Outcome.BUSY, Outcome.UNAVAILABLE, Outcome.PENDING, Outcome.DEADLINE_EXCEEDED, Outcome.DRAINING}
)
"""Not CARD_UNVERIFIABLE and DOCUMENT_WITHHELD: that is for the user to try again."""


_WAITING: Final = frozenset({KioskFact.IN_USE, KioskFact.PRINTING, KioskFact.PRINTED, KioskFact.IDLE})
"""PRINTED among them: COMPLETE, which follows at once, says more."""


class RelayLink:
    """devices.Relay over a LineClient. `run` sends the facts."""

    def __init__(self, line: LineClient) -> None:
        self.unplugged = False
        """A fault that can be played: the relay is away."""
        self._line = line
        self._events: deque[KioskEvent] = deque(maxlen=EVENTS_MAX)
        self._more = trio.Event()
        self._now = trio.Event()
        """Set when the facts are to go out without waiting longer."""

    @property
    def connected(self) -> bool:
        """Whether a session with the relay stands."""
        return bool(self._line.open_slots) and not self.unplugged

    async def wait_open(self, timeout_s: float) -> None:
        """Wait for a session with the relay, so long and no longer: that it is away is the machine's to say."""
        with suppress(LineError):
            await self._line.wait_open(timeout_s)

    async def call(self, operation: int, body: bytes, *, request_id: bytes | None = None) -> tuple[int, bytes]:
        """One of the operator's operations. Raises: RelayAway, AnswerUnreadable."""
        if self.unplugged:
            raise RelayAway("the line to the relay is unplugged")
        asked = encode(KioskCall(operation, body))
        under = request_id or self._line.new_id()
        self._now.set()
        within_s = DOCUMENT_S if operation == Operation.DOCUMENT else CALL_S
        ends = trio.current_time() + within_s
        pause_s = PAUSE_S_FIRST
        while True:
            left_s = ends - trio.current_time()
            try:
                result = await self._line.ask(
                    Operation.KIOSK_CALL,
                    asked,
                    request_id=under,
                    deadline_ms=min(int(within_s * 1000), limits.DEADLINE_MS_MAX),
                    timeout_s=max(left_s, PAUSE_S_FIRST),
                )
            except LineError as error:
                raise RelayAway(str(error)) from error
            if result.outcome != Outcome.RELAYED:
                return result.outcome, result.body
            try:
                said = msgspec.msgpack.decode(result.body, type=Relayed)
            except msgspec.DecodeError:
                raise AnswerUnreadable(operation) from None
            if said.outcome not in WAITED_FOR or left_s <= pause_s:
                return said.outcome, said.body
            await trio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    def tell(self, event: KioskEvent) -> None:
        """Queue a fact; the oldest is dropped when the relay was away for very long."""
        self._events.append(event)
        self._more.set()
        if event.fact not in _WAITING:
            self._now.set()

    async def run(self) -> None:
        """Send facts in their order until cancelled; each under one id until the relay has noted it."""
        while True:
            if not self._events:
                self._more, self._now = trio.Event(), trio.Event()
                await self._more.wait()
                with trio.move_on_after(FACTS_WAIT_S):
                    await self._now.wait()
            await self._send(self._events.popleft())

    async def _send(self, event: KioskEvent) -> None:
        request_id = self._line.new_id()
        while True:
            if self.unplugged:
                await trio.sleep(PAUSE_S_MAX)
                continue
            try:
                result = await self._line.ask(
                    Operation.KIOSK_EVENT, encode(event), request_id=request_id, timeout_s=EVENT_S
                )
            except LineError:
                await trio.sleep(PAUSE_S_MAX)
                continue
            if result.outcome == Outcome.STALE_REQUEST_ID:
                request_id = self._line.new_id()
                continue
            if result.outcome != Outcome.FACT_NOTED:
                log.warning("fact_not_noted", code=str(event.fact), outcome=result.outcome)
            return
