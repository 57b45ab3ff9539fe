"""Writing by all who wait: one commit, one flush of the disk, for everything that came while the last one ran.

Each piece of work is a function of the store; it is a part of the transaction of its own, so one that fails leaves the
others standing. Nobody is told anything before the commit is on the disk.

Cancellation: whoever stops waiting takes nothing back; the work is done or not.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import trio

from gateway.peers.relay.errors import StoreFailed
from gateway.peers.relay.store import Store

BATCH_MAX: Final = 256
SOON_S: Final = 0.5
WAITING_MAX: Final = 8192
"""Pieces of work that may wait; more is refused at once, so that memory stays bounded while a disk hangs."""

T = TypeVar("T")
Work = Callable[[Store], T]


class _Job:
    """A piece of work, and what came of it."""

    __slots__ = ("done", "error", "value", "work")

    def __init__(self, work: Callable[[Store], Any]) -> None:
        self.work = work
        self.done = trio.Event()
        self.value: Any = None
        self.error: Exception | None = None


class Writer:
    """Does work on the store while `run` runs. `commits` counts the transactions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Job] = deque()
        self._due = math.inf
        """When what waits is to be written, on Trio's clock."""
        self._wake = trio.Event()
        self._closed = False
        self._forget = False
        self.commits = 0

    async def __call__(self, work: Work[T]) -> T:
        """Do this work, and return once it is on the disk.

        Raises: whatever the work raised; StoreFailed when the store does not take it.
        """
        if self._closed or len(self._waiting) >= WAITING_MAX:
            raise StoreFailed("the relay's store takes nothing now; see its disk, and send again")
        job = _Job(work)
        self._waiting.append(job)
        self._due = -math.inf
        self._wake.set()
        await job.done.wait()
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    def soon(self, work: Callable[[Store], object]) -> None:
        """Do this work with what is written next, SOON_S from now at the latest. Nobody hears what became of it."""
        if self._closed or len(self._waiting) >= WAITING_MAX:
            return
        if not self._waiting:
            self._due = trio.current_time() + SOON_S
            self._wake.set()
        self._waiting.append(_Job(work))

    async def forget(self) -> None:
        """Leave nothing of what was erased in the write-ahead log. Raises: StoreFailed."""
        self._forget = True
        await self(lambda _: None)

    async def run(self) -> None:
        """Write until cancelled; what is being written then is finished, what still waits is refused."""
        batch: list[_Job] = []
        try:
            while True:
                while not self._waiting or trio.current_time() < self._due:
                    self._wake = trio.Event()
                    with trio.move_on_at(self._due if self._waiting else math.inf):
                        await self._wake.wait()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]
                await trio.to_thread.run_sync(self._commit, batch)
                self._tell(batch)
        finally:
            self._closed = True
            left = [*batch, *self._waiting]
            self._waiting.clear()
            for job in left:
                if not job.done.is_set() and job.error is None:
                    job.error = StoreFailed("the relay is ending; send again")
            self._tell(left)

    @staticmethod
    def _tell(batch: list[_Job]) -> None:
        for job in batch:
            job.done.set()

    def _commit(self, batch: list[_Job]) -> None:
        """In a thread. What cannot be committed is told so, every piece of it."""
        try:
            with self._store.transaction():
                for job in batch:
                    try:
                        with self._store.part():
                            job.value = job.work(self._store)
                    except Exception as error:  # noqa: BLE001 - it is raised again where it was asked for
                        job.error = error
            self.commits += 1
            if self._forget:
                self._forget = False
                self._store.forget()
        except StoreFailed as error:
            for job in batch:
                job.error = error
