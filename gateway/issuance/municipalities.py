"""The lines to municipalities: one client each, its own bound, breaker and health. A slow one holds up no other.

A line is dialled when it is first needed and kept. When the directory gives a municipality another address or trust,
the next asker gets a new line, and the old one closes once nobody waits on it.

Source: DESIGN section 10.
"""

from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec
import structlog
import trio

from gateway.directory.participants import Municipality
from gateway.issuance.breaker import Breaker, BreakerState
from gateway.issuance.errors import MunicipalityAway
from protocol.peer import Result

log = structlog.get_logger()

OPEN_S_MAX: Final = 30.0
"""Dialling is a matter of making a client, not of reaching anybody."""


class Client(Protocol):
    """What is needed of a line; gateway.line.dial.LineClient is one."""

    async def ask(
        self,
        operation: int,
        body: bytes,
        *,
        request_id: bytes | None = None,
        deadline_ms: int = 2_000,
        timeout_s: float = 30.0,
        retry: bool = True,
    ) -> Result:
        """One verified answer. Raises: an Exception of the line's, when there is none."""

    async def wait_open(self, timeout_s: float = 10.0) -> None:
        """Until there is a connection. Raises: an Exception of the line's, when there is none in time."""


Dial = Callable[[Municipality], AbstractAsyncContextManager[Client]]
"""The port that the composition root fills: a client of a municipality's line, for as long as it is held."""


class Health(msgspec.Struct, frozen=True):
    """What is known of a municipality's line: asks under way, failures and successes so far, and what passes."""

    municipality: str
    breaker: BreakerState
    under_way: int
    at_once: int
    succeeded: int
    failed: int
    late: int


class Access:
    """One municipality's line."""

    def __init__(self, place: Municipality) -> None:
        self.place = place
        self.breaker = Breaker()
        self.under_way = 0
        self.succeeded = 0
        self.failed = 0
        self.late = 0
        self._client: Client | None = None
        self._ready = trio.Event()
        self._queue: deque[trio.Event] = deque()
        self._retired = False
        self._end = trio.Event()

    async def keep(self, dial: Dial) -> None:
        """Hold the line open until it is retired and nobody waits on it."""
        try:
            async with dial(self.place) as client:
                self._client = client
                self._ready.set()
                await self._end.wait()
        except Exception as error:  # noqa: BLE001 - whatever a line raises, it is this municipality's alone
            log.error("municipality_line_failed", municipality=self.place.code, error=type(error).__name__)
        finally:
            self._client = None
            self._ready.set()

    @property
    def broken(self) -> bool:
        """The line ended by itself; the next asker has another made."""
        return self._ready.is_set() and self._client is None

    async def client(self) -> Client:
        """The line's client. Raises: MunicipalityAway."""
        with trio.move_on_after(OPEN_S_MAX):
            await self._ready.wait()
        if self._client is None:
            raise MunicipalityAway("away")
        return self._client

    async def acquire(self, deadline: float) -> None:
        """Take one of the municipality's places, in the order of asking, until `deadline` on Trio's clock.

        Raises: MunicipalityAway.
        """
        if self.under_way < self.place.requests_at_once and not self._queue:
            self.under_way += 1
            return
        turn = trio.Event()
        self._queue.append(turn)
        try:
            with trio.move_on_at(deadline):
                await turn.wait()
        except trio.Cancelled:
            self._leave(turn)
            raise
        if not turn.is_set():
            self._leave(turn)
            raise MunicipalityAway("full")

    def _leave(self, turn: trio.Event) -> None:
        if turn.is_set():
            self.release()
        else:
            self._queue.remove(turn)

    def release(self) -> None:
        """Give the place back, to whoever waited longest."""
        self.under_way -= 1
        while self._queue and self.under_way < self.place.requests_at_once:
            self._queue.popleft().set()
            self.under_way += 1
        if self._retired and not self.under_way:
            self._end.set()

    def retire(self) -> None:
        """No further asker; close once nobody waits."""
        self._retired = True
        if not self.under_way:
            self._end.set()


class Municipalities:
    """All lines of one worker, held by the nursery that is handed in."""

    def __init__(self, dial: Dial, nursery: trio.Nursery) -> None:
        self._dial = dial
        self._nursery = nursery
        self._lines: dict[str, Access] = {}

    def access(self, place: Municipality) -> Access:
        """The line of a municipality as the directory has it now."""
        held = self._lines.get(place.code)
        if held is not None and _address(held.place) == _address(place) and not held.broken:
            held.place = place
            return held
        made = Access(place)
        if held is not None:
            made.breaker = held.breaker
            held.retire()
        self._lines[place.code] = made
        self._nursery.start_soon(made.keep, self._dial)
        return made

    def health(self) -> list[Health]:
        """Every line there is."""
        now = trio.current_time()
        return [
            Health(
                code,
                each.breaker.state(now),
                each.under_way,
                each.place.requests_at_once,
                each.succeeded,
                each.failed,
                each.late,
            )
            for code, each in sorted(self._lines.items())
        ]


def _address(place: Municipality) -> tuple[str, str, int, str, bytes]:
    return place.party, place.host, place.port, place.server_name, place.trust
