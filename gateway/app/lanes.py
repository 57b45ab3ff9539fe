"""The stages of a worker: two lanes in which its service answers, and the one place where blocks are made of it.

    [answer] -> record          [x] is a stage with its inbox
    [search] -/

A party that sends too much fills its own share of an inbox and no other's. Source: DESIGN section 4.
"""

from collections.abc import Callable, Sequence
from functools import partial

import trio

from gateway.app.tally import Tally
from gateway.host import attend
from gateway.ledger.recording import Final, Recorder
from gateway.service.asked import Asked
from gateway.service.service import Service
from gateway.stage import Inbox, InboxFull, run_stage
from protocol import limits

INBOX_REQUESTS_PER_PARTY = 8_192
INBOX_REQUESTS_TOTAL = 65_536
SEARCH_TURN = 128
"""Requests of one turn of the search lane: what they keep the thread for is what a plain question may wait."""
PRESSED_REQUESTS = 16
"""A turn of the plain lane with so many requests: they come faster than one at a time can be answered."""
PRESSED_S = 0.02
ATTENDED_S = 0.0009
"""So long a worker that has one response to record does not sleep: signed and committed, most are by then."""


class Lanes:
    """One worker's. busy: told of what finds no room."""

    def __init__(self, tally: Tally, *, busy: Callable[[Sequence[Asked]], None]) -> None:
        self.answer = _new_inbox(limits.BLOCK_ENTRIES_MAX)
        self.search = _new_inbox(SEARCH_TURN)
        self._record: Inbox[list[Final]] = Inbox(
            capacity_per_key=INBOX_REQUESTS_TOTAL,
            capacity_total=INBOX_REQUESTS_TOTAL,
            take_max=limits.BLOCK_ENTRIES_MAX,
        )
        self._tally = tally
        self._busy = busy
        self._recording = False
        self._hurried = False
        self._looking: trio.Event | None = None
        self._turns = 0
        self._called = trio.Event()
        self._pressed_at = float("-inf")

    def start(self, nursery: trio.Nursery, *, service: Service, recorder: Recorder) -> None:
        """Run both lanes in a nursery, until it is cancelled."""
        self._hurried = service.hurried
        then = partial(self._record_waiting, recorder)
        nursery.start_soon(run_stage, self.answer, partial(self._answering, service), then)
        nursery.start_soon(run_stage, self.search, partial(self._searching, service), then)
        nursery.start_soon(self._record_called, recorder)

    # --- in

    def to_answer(self, party: str, batch: list[Asked]) -> None:
        """Into the lane for what is plain: requests of one party."""
        try:
            self.answer.put_nowait(party, batch, weight=len(batch))
        except InboxFull:
            self._busy(batch)

    def to_search(self, batch: list[Asked]) -> None:
        """Into the lane for what needs more."""
        by_party: dict[str, list[Asked]] = {}
        for asked in batch:
            by_party.setdefault(asked.party, []).append(asked)
        for party, all_of_it in by_party.items():
            for at in range(0, len(all_of_it), SEARCH_TURN):
                part = all_of_it[at : at + SEARCH_TURN]
                try:
                    self.search.put_nowait(party, part, weight=len(part))
                except InboxFull:
                    self._busy(part)

    def search_again(self, asked: Asked) -> None:
        """One that waited behind another copy of it. Raises: InboxFull."""
        self.search.put_nowait(asked.party, [asked])

    def to_record(self, finals: list[Final]) -> None:
        """Into the commit stage; what finds it full was not written and may be sent again."""
        try:
            self._record.put_nowait("block", finals, weight=len(finals))
        except InboxFull:
            self._busy([final.source for final in finals if isinstance(final.source, Asked)])
        if not self._turns:
            self._called.set()

    # --- turns

    async def _answering(self, service: Service, batch: list[list[Asked]]) -> None:
        asked = [each for frame in batch for each in frame]
        if len(asked) >= PRESSED_REQUESTS:
            self._pressed_at = trio.current_time()
        self._looking = looking = trio.Event()
        self._turns += 1
        try:
            await service.answer(asked)
        finally:
            self._turns -= 1
            looking.set()
            self._looking = None
        self._tally.batch(len(asked))

    async def _searching(self, service: Service, batch: list[list[Asked]]) -> None:
        """Search, and give way: while plain questions come in crowds, searches have a small part of the time."""
        asked = [each for part in batch for each in part]
        began = trio.current_time()
        self._turns += 1
        try:
            await service.search(asked)
        finally:
            self._turns -= 1
        self._tally.batch(len(asked))
        now = trio.current_time()
        until = now + (now - began) * service.search_rest
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
                lone = self._hurried and len(finals) == 1
                if lone:
                    attend(ATTENDED_S)
                await recorder.work([final for final in finals if not _late(final)])
                if lone:
                    attend(0.0)
        finally:
            self._recording = False

    async def _record_called(self, recorder: Recorder) -> None:
        """Blocks of what a service records from a task of its own, while neither stage has a turn that would end it."""
        while True:
            await self._called.wait()
            self._called = trio.Event()
            await self._record_waiting(recorder)


def _new_inbox(take_max: int) -> "Inbox[list[Asked]]":
    return Inbox(
        capacity_per_key=INBOX_REQUESTS_PER_PARTY,
        capacity_total=INBOX_REQUESTS_TOTAL,
        take_max=take_max,
    )


def _late(final: Final) -> bool:
    """Dropped before it was committed: its asker has been told already."""
    return isinstance(final.source, Asked) and final.source.done
