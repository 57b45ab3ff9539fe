"""Delivering the outbox: each application's notices in their order, each under its one id, until the centre has proven
what became of it. An erasure goes beside what is about money: at the centre neither waits for the other.

Up to AT_ONCE applications are carried at the same time, so notices of the same moment share a signed frame. While the
centre is away or says "later", an application waits, longer each time up to PAUSE_S_MAX, and then goes on with the very
same request. A crash anywhere is a restart of this loop: the centre answers a known id again.

An operator that is suspended gets its notices refused, and the refusal stands under their ids. They wait: one question
that is recorded nowhere (STATUS) is asked again and again until it is answered; then they go out under new ids. So does
at once what was held for longer than the centre takes an id it has not seen.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import structlog
import trio

from gateway.line.dial import LineClient, LineError
from gateway.peers.relay import outbox
from gateway.peers.relay.errors import StoreFailed
from gateway.peers.relay.store import Store
from gateway.peers.relay.writer import Writer
from protocol.issuance import StatusQuery
from protocol.ledger import EntryKind
from protocol.messages import Operation, ReceiptQuery, Request, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.trust import Trust

log = structlog.get_logger()

AT_ONCE: Final = 256
PAUSE_S_FIRST: Final = 0.2
PAUSE_S_MAX: Final = 30.0
LOOKED_AT_S: Final = 2.0
SUSPENDED_LOOK_S: Final = 30.0
"""While the operator is suspended: how often it is asked whether it still is."""
ANSWER_S_MAX: Final = 15.0
"""An answer that takes longer is waited for anew, under the same id."""


class Line(Protocol):
    """What a courier needs of the dedicated line: LineClient has it."""

    async def ask_once(self, request: Request) -> Result:
        """One verified response. Raises: LineError."""


class Courier:
    """Delivers while `run` runs. party: the operator; trust: the centre's keys; settled: told operation and state."""

    def __init__(
        self,
        line: Line,
        *,
        reader: Store,
        writer: Writer,
        party: str,
        trust: Trust,
        now_us: Callable[[], int],
        settled: Callable[[int, str], object] = lambda _operation, _state: None,
    ) -> None:
        self._line = line
        self._reader = reader
        self._writer = writer
        self._party = party
        self._trust = trust
        self._now_us = now_us
        self._settled = settled
        self._busy: set[bytes] = set()
        self._wake = trio.Event()
        self._suspended = trio.Lock()
        """Held by the one who asks whether the suspension has ended."""
        self._admitted_at = float("-inf")

    def wake(self) -> None:
        """Something was taken over."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                try:
                    found = outbox.next_held(self._reader, limit=AT_ONCE)
                except StoreFailed as error:
                    log.warning("relay_store_failed", code=error.code)
                    found = []
                for held in found:
                    if held.application not in self._busy and len(self._busy) < AT_ONCE:
                        self._busy.add(held.application)
                        nursery.start_soon(self._carry, held.application)
                with trio.move_on_after(LOOKED_AT_S):  # a command beside the server puts notices there too
                    await self._wake.wait()

    async def _carry(self, application: bytes) -> None:
        """Everything held of one application, in order."""
        try:
            while held := outbox.next_of(self._reader, application):
                async with trio.open_nursery() as nursery:
                    for each in held:
                        nursery.start_soon(self._deliver, each)
            if len(self._busy) >= AT_ONCE:
                self._wake.set()  # there is a place for another
        except StoreFailed as error:  # looked for again with the others
            log.warning("relay_store_failed", code=error.code)
        finally:
            self._busy.discard(application)

    async def _deliver(self, held: outbox.Held) -> None:
        pause_s = PAUSE_S_FIRST
        while True:
            if self._suspended.locked():
                await self._resumed(held)
            try:
                with trio.fail_after(ANSWER_S_MAX):
                    result = await self._line.ask_once(held.request)
                    said = await self._said(held, result)
                if said is not None and said.outcome in outbox.ANOTHER_ID:
                    log.info("notice_waits", operation=held.request.operation, code=outbox.outcome_name(said.outcome))
                    held = await self._writer(partial(outbox.renew, held=held, request_id=LineClient.new_id()))
                    if said.outcome == Outcome.SUSPENDED:
                        await self._resumed(held)
                        continue
                elif said is not None:
                    state = await self._writer(partial(outbox.settle, held=held, said=said, now_us=self._now_us()))
                    self._settled(held.request.operation, state)
                    if state == outbox.REFUSED:
                        log.warning("notice_refused", operation=held.request.operation, outcome=said.outcome)
                    return
            except (LineError, trio.TooSlowError, StoreFailed) as error:
                log.info("notice_waits", operation=held.request.operation, code=type(error).__name__)
            await trio.sleep(pause_s * (0.5 + random.random()))  # noqa: S311 - jitter keeps retries apart
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    async def _resumed(self, held: outbox.Held) -> None:
        """Return once the centre answers this operator again. One asks; all who wait meanwhile go on with it."""
        since = trio.current_time()
        async with self._suspended:
            while self._admitted_at < since:
                if await self._is_admitted(held.application):
                    self._admitted_at = trio.current_time()
                else:
                    await trio.sleep(SUSPENDED_LOOK_S)

    async def _is_admitted(self, application: bytes) -> bool:
        query = encode(StatusQuery([application]))
        try:
            with trio.fail_after(ANSWER_S_MAX):
                result = await self._line.ask_once(
                    Request(LineClient.new_id(), Operation.STATUS, outbox.DEADLINE_MS, query)
                )
        except (LineError, trio.TooSlowError):
            return False
        return result.outcome == Outcome.STATUS

    async def _said(self, held: outbox.Held, result: Result) -> outbox.Settled | None:
        """What became of a notice; None while that is not known. Raises: LineError.

        An answer that was lost is said again by an entry that moves no money, a bounded number of times. Its receipt
        proves the entry that does; if it cannot be had now, a repeat must do, and the invoice's check names what lacks.
        """
        again = result.entry is not None and result.entry.kind == EntryKind.REPEAT
        if result.outcome == Outcome.REPEAT_LIMIT or again:
            return await self._receipt(held) or (outbox.settled(result) if again else None)
        return outbox.settled(result) if outbox.is_final(result) else None

    async def _receipt(self, held: outbox.Held) -> outbox.Settled | None:
        """What the centre's receipt proves of a notice. Raises: LineError."""
        query = encode(ReceiptQuery(held.request.request_id))
        fetched = await self._line.ask_once(
            Request(LineClient.new_id(), Operation.RECEIPT, held.request.deadline_ms, query)
        )
        if fetched.outcome != Outcome.RECEIPT:
            return None
        return outbox.settled_by(fetched.body, held=held, party=self._party, trust=self._trust)
