"""The requests that need somebody else, a task each, and what came of it until the lane takes it up again.

Whatever a task comes to goes through the lane once more: it is decided upon what stands then, not upon what stood when
it began. Bounded, and one task a request. Source: DESIGN section 4.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
import trio

from gateway.directory.policy import Refused
from gateway.issuance.making import Made
from gateway.issuance.states import Move
from gateway.service.asked import Asked
from gateway.service.ground import Ground
from protocol.outcomes import Outcome

log = structlog.get_logger()

TASKS_MAX: Final = 512
"""Applications of one worker that wait for a revocation service or a municipality."""

Result = Move | Made | Refused | Outcome
"""What a task came to; an Outcome is one that is not recorded."""
_Key = tuple[str, bytes]


class Tasks:
    """Those of one worker."""

    def __init__(self, ground: Ground, nursery: trio.Nursery) -> None:
        self._ground = ground
        self._nursery = nursery
        self._running: set[_Key] = set()
        self._results: dict[_Key, Result] = {}

    def take(self, asked: Asked) -> Result | None:
        """What a request's task came to, once."""
        return self._results.pop(_key(asked), None)

    def forget_done(self, batch: Iterable[Asked]) -> None:
        """Drop what came of requests whose askers were told already: it concerns nobody."""
        for asked in batch:
            if asked.done:
                self.take(asked)

    def begin(self, asked: Asked, work: Callable[[], Awaitable[Result]]) -> Outcome | None:
        """Start a request's task; None when one is at it, else why it cannot be now."""
        key = _key(asked)
        if key in self._running:
            return None
        if len(self._running) >= TASKS_MAX:
            return Outcome.BUSY
        self._running.add(key)
        self._nursery.start_soon(self._run, key, asked, work)
        return None

    async def _run(self, key: _Key, asked: Asked, work: Callable[[], Awaitable[Result]]) -> None:
        try:
            result = await work()
        except Exception as error:
            log.error("request_failed", exc_info=True)
            self._ground.unavailable([asked], type(error).__name__)
            return
        finally:
            self._running.discard(key)
        if not asked.done:
            self._results[key] = result
            self._ground.outlet.to_search([asked])
            self.forget_done([asked])  # turned away there


def _key(asked: Asked) -> _Key:
    return asked.party, asked.request.request_id
