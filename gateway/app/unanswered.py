"""Who still waits for an answer: each request once, by (party, request id), from admission until its response leaves.

A second copy of an id waits for the first, parked behind it, and then takes its place. Whoever waits beyond its
deadline is told: PENDING where a block may hold its answer, which keeps the id here until that is known.

Source: DESIGN sections 4 and 7.
"""

from collections.abc import Callable, Sequence
from typing import Final as Const

import trio

from gateway.app.tally import Tally
from gateway.ledger.recording import Final
from gateway.line.admission import transient
from gateway.service.asked import Asked
from gateway.stage import InboxFull
from protocol.messages import Refusal, Transient, encode
from protocol.outcomes import Outcome

BUSY_RETRY_MS: Const = 100
_BUSY: Const = encode(Refusal(retry_after_ms=BUSY_RETRY_MS))


class Unanswered:
    """One worker's. again: puts a request into a lane once more. Raises: InboxFull."""

    def __init__(self, tally: Tally, *, again: Callable[[Asked], None]) -> None:
        self._tally = tally
        self._again = again
        self._open: dict[tuple[str, bytes], Asked] = {}

    def __len__(self) -> int:
        return len(self._open)

    def take(self, party: str, admitted: Sequence[Asked]) -> list[Asked]:
        """Hold a frame's requests; the ones to go on, which are the first copies of their ids."""
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
        return fresh

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """Answer without recording."""
        if asked.done:
            self.forget(asked)
            return
        asked.done = True
        asked.origin.refuse([Transient(asked.request.request_id, int(outcome), body)])
        self._tally.answered([_counted(asked, outcome, trio.current_time())])
        self.forget(asked)

    def busy(self, batch: Sequence[Asked]) -> None:
        """There is no room for these; they may be sent again."""
        for asked in batch:
            self.settle(asked, Outcome.BUSY, _BUSY)

    def released(self, finals: Sequence[Final]) -> None:
        """These left, or stand although their asker was told PENDING."""
        now = trio.current_time()
        opened = self._open
        answered = []
        for final in finals:
            asked = final.source
            if not isinstance(asked, Asked):
                continue
            if not asked.done:
                asked.done = True
                answered.append(_counted(asked, final.response.outcome, now))
            opened.pop((asked.party, asked.request.request_id), None)
            if asked.parked:
                self._unpark(asked)
        self._tally.answered(answered)

    def forget(self, asked: Asked) -> None:
        """Its id is free again, for the next copy if one waits."""
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
            self._again(first)
        except InboxFull:  # all of them, one after the other: each would only meet the same full inbox
            self.busy(waiting)
            return
        first.parked = others or None
        self._open[first.party, first.request.request_id] = first

    def expire(self, unwritten: Outcome) -> None:
        """Tell whoever waited beyond its deadline; `unwritten` is what those hear that no block can hold."""
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
            self._tell_late(asked, Outcome.PENDING if asked.recording else unwritten, now=now)
            if not asked.recording:  # one that is being recorded may stand: it stays until that is known
                self.forget(asked)
        for asked in parked:
            self._tell_late(asked, Outcome.PENDING, now=now)

    def _tell_late(self, asked: Asked, outcome: Outcome, *, now: float) -> None:
        asked.done = True
        asked.origin.refuse([transient(asked.request.request_id, outcome)])
        self._tally.answered([_counted(asked, outcome, now)])


def _counted(asked: Asked, outcome: int, now: float) -> tuple[int, int, int]:
    """What the tally takes of a request that was answered, at a time of Trio's clock."""
    return asked.request.operation, int(outcome), int((now - asked.arrived) * 1_000_000)
