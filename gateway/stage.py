"""The one primitive of the worker: a bounded inbox of queues, and a function that takes what waits.

Theory. A stage takes everything that waits when it is free, so a lone item passes at once and a crowd passes together;
there is no timer. Items belong to a key (a party) and have a weight (requests). What one turn takes is chosen by
deficit round-robin (Shreedhar and Varghese, 1995): keys are visited in turn, each visit adds a quantum to the key's
deficit, and the key's items go while the deficit covers them. The quantum is never below the heaviest item seen, so
every visit serves at least one item and the work an item costs does not depend on how many keys wait.

Two classes: interactive before batch, each with a round of its own. While both wait, an eighth of a turn is kept for
batch, and after a turn in which no batch item fitted, batch goes first: it is slowed, never starved.

Invariants kept here:

- Within a key and a class, order in is order out; nothing is lost or doubled, also when a taker is cancelled.
- A key's waiting weight, and the sum of all, never pass their capacities: a full inbox is that party's alone as long as
  the total is not reached.
- Between an item's arrival at the head of its key's queue and its taking, every other key of its class gets at most two
  quanta.
- A turn's weight stays within `take_max`, except for a single heavier item, which goes alone.

Not here: what is done with a batch, deadlines, metrics. Pure Trio, one thread; works as guest and with virtual time.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import trio

T = TypeVar("T")

BATCH_SHARE: Final = 8
"""One part in this many of a turn is kept for batch while both classes wait."""


class InboxFull(Exception):  # noqa: N818 (a state that callers answer, with BUSY)
    """There is no room for the item. Fields: key; of_key, whether the key's own capacity was reached or the total's."""

    code = "inbox_full"

    def __init__(self, key: str, *, of_key: bool) -> None:
        super().__init__(f"no room for {key}: {'its own share' if of_key else 'the inbox'} is full")
        self.key = key
        self.of_key = of_key


class InboxClosed(Exception):  # noqa: N818 (a state, as trio.EndOfChannel)
    """Put: the inbox takes no more. Take: it is closed and everything in it was taken."""

    code = "inbox_closed"


class _Queue(Generic[T]):
    """One key's items of one class, with its deficit."""

    __slots__ = ("deficit", "items", "key", "visited")

    def __init__(self, key: str) -> None:
        self.key = key
        self.items: deque[tuple[T, int]] = deque()
        self.deficit = 0
        self.visited = False  # has its quantum for the visit under way, which the end of a turn may have cut


class _Round(Generic[T]):
    """Deficit round-robin over the keys of one class."""

    __slots__ = ("_by_key", "_order", "quantum")

    def __init__(self, quantum: int) -> None:
        self._by_key: dict[str, _Queue[T]] = {}
        self._order: deque[_Queue[T]] = deque()
        self.quantum = quantum

    def __bool__(self) -> bool:
        return bool(self._order)

    def put(self, key: str, item: T, weight: int) -> None:
        queue = self._by_key.get(key)
        if queue is None:
            queue = self._by_key[key] = _Queue(key)
            self._order.append(queue)
        queue.items.append((item, weight))
        self.quantum = max(self.quantum, weight)

    def take(self, taken: list[T], weights: dict[str, int], budget: int) -> int:
        """Move items to `taken` while they fit; take their weights off `weights`. Returns: the budget left."""
        order = self._order
        while order:
            queue = order[0]
            items = queue.items
            if not queue.visited:
                queue.deficit += self.quantum
                queue.visited = True
            while items:
                item, weight = items[0]
                if weight > queue.deficit:
                    break
                if weight > budget and taken:
                    return budget  # it is first in the next turn
                items.popleft()
                taken.append(item)
                queue.deficit -= weight
                budget -= weight
                left = weights[queue.key] - weight
                if left:
                    weights[queue.key] = left
                else:
                    del weights[queue.key]
            order.popleft()
            if items:
                queue.visited = False
                order.append(queue)
            else:
                del self._by_key[queue.key]  # a deficit is not saved up while there is nothing to send
            if budget <= 0:
                break
        return budget


class Inbox(Generic[T]):
    """A bounded inbox of queues by key, taken from fairly.

    capacity_per_key, capacity_total: weight that may wait. take_max: weight of one turn. All at least 1.
    For any number of putting tasks; takers may be several, each item goes to one.
    """

    def __init__(self, *, capacity_per_key: int, capacity_total: int, take_max: int) -> None:
        if not (1 <= capacity_per_key <= capacity_total and take_max >= 1):
            raise ValueError("an inbox needs 1 <= capacity_per_key <= capacity_total and take_max >= 1")
        self._capacity_per_key = capacity_per_key
        self._capacity_total = capacity_total
        self._take_max = take_max
        quantum = max(1, take_max // 4)  # a turn has room for several keys
        self._interactive: _Round[T] = _Round(quantum)
        self._batch: _Round[T] = _Round(quantum)
        self._batch_share = take_max // BATCH_SHARE
        self._batch_owed = False
        self._weights: dict[str, int] = {}
        self._total = 0
        self._closed = False
        self._takers = trio.lowlevel.ParkingLot()

    @property
    def weight(self) -> int:
        """The weight that waits, of all keys."""
        return self._total

    def weight_of(self, key: str) -> int:
        """The weight that waits for `key`."""
        return self._weights.get(key, 0)

    def put_nowait(self, key: str, item: T, *, weight: int = 1, interactive: bool = True) -> None:
        """Add an item. weight: at least 1. Raises: InboxFull, and nothing has changed; InboxClosed."""
        if weight < 1:
            raise ValueError("an item weighs at least 1")
        if self._closed:
            raise InboxClosed
        waiting = self._weights.get(key, 0) + weight
        if waiting > self._capacity_per_key:
            raise InboxFull(key, of_key=True)
        if self._total + weight > self._capacity_total:
            raise InboxFull(key, of_key=False)
        (self._interactive if interactive else self._batch).put(key, item, weight)
        self._weights[key] = waiting
        self._total += weight
        self._takers.unpark()

    async def take(self) -> list[T]:
        """Wait until something waits, then take what fits in one turn; never an empty list.

        A checkpoint, always: what becomes ready in the same pass of the scheduler comes along.
        Cancellation: nothing is taken. Raises: InboxClosed when closed and empty.
        """
        await trio.lowlevel.checkpoint()
        while not self._total:
            if self._closed:
                raise InboxClosed
            await self._takers.park()
        return self._take_turn()

    def take_nowait(self) -> list[T]:
        """Take what fits in one turn; an empty list when nothing waits."""
        return self._take_turn() if self._total else []

    def close(self) -> None:
        """Take no more items; what waits can still be taken. May be called again."""
        self._closed = True
        self._takers.unpark_all()

    def _take_turn(self) -> list[T]:
        taken: list[T] = []
        budget = self._take_max
        interactive, batch, weights = self._interactive, self._batch, self._weights
        if interactive and batch:
            kept = self._batch_share
            if self._batch_owed:
                budget = batch.take(taken, weights, kept) + budget - kept
                self._batch_owed = False
            else:
                budget = interactive.take(taken, weights, budget - kept) + kept
                before = len(taken)
                if budget > 0:
                    budget = batch.take(taken, weights, budget)
                self._batch_owed = len(taken) == before
        # One class alone, or what the other left.
        if interactive and budget > 0:
            budget = interactive.take(taken, weights, budget)
        if batch and budget > 0:
            budget = batch.take(taken, weights, budget)
        self._total -= self._take_max - budget
        return taken


async def run_stage(
    inbox: Inbox[T], work: Callable[[list[T]], Awaitable[None]], then: Callable[[], Awaitable[None]]
) -> None:
    """Take and work, turn by turn, until the inbox is closed and empty; after each turn do `then`.

    Two tasks take turns: while one is at `then`, the other takes and works. So a lone item is carried through by one
    task without waiting for another to be woken, and a crowd is worked on while what went before is still being ended.

    Errors: what `work` or `then` raises ends the stage, in an ExceptionGroup; a stage that must go on handles its
    errors itself. Cancellation: passes; the batch in hand is `work`'s to finish or to give up.
    """
    turn = trio.Lock()

    async def take_turns() -> None:
        while True:
            async with turn:
                try:
                    batch = await inbox.take()
                except InboxClosed:
                    return
                await work(batch)
            await then()

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(take_turns)
