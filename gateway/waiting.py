"""How a guest Trio and its host loop take turns: the waits and the passes, without a thread and without going round.

Theory. When a guest Trio has nothing to run it hands its wait for I/O to a thread, because a host loop cannot be asked
to wait for it in general. Every wake-up then costs two hand-overs between threads, some 50 microseconds, and an
inquiry alone has three of them. On Linux Trio's wait is an epoll file descriptor, and an epoll descriptor can itself be
watched: uvloop watches it like any socket, and a wake-up costs a few microseconds.

And when Trio has more to run, it asks the host to call it again soon. Each time round the host loop costs a system call
and some ten microseconds, so a few short passes are made in a row; what the host has to do waits PASSES_S at most.

Whoever sleeps must be woken, and on an idle core that takes some 50 microseconds, a tenth of the wait for a commit.
Where one short wait is all there is, `attend` has the host go round instead of sleeping, for a bounded time.

Trio has no public hook for the wait. The one private thing used is the name through which its guest state starts that
thread; what it is given is recognised by shape, and anything unexpected (another Trio, another platform) goes to the
thread as before. So a newer Trio can make this slower, not wrong; tests/test_waiting.py says which of the two it is.

Source: docs/decisions/0010-waiting-in-the-host-loop.md.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import outcome
import trio
import trio._core._run as trio_run  # the guest state's way to its thread; see above

TIMER_S_MAX: Final = 3600.0
"""Longer waits are waited for in parts: timers of a loop have bounds."""
PASSES_S: Final = 0.0002
"""Passes of Trio follow each other without the host only so long; a pass itself is never cut."""
_SHAPE: Final = "GuestState.guest_tick.<locals>.deliver"
_FREE: Final = ("self", "timeout")


class HostWait:
    """One run's turns. While `_state` is set, Trio is idle and the next event, the timer or `wake` ticks it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._fd = -1
        self._state: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._when = 0.0
        self._passing = False
        self._next: Callable[[], object] | None = None
        self._attend_until = 0.0
        self._going_round = False
        self.waits = 0
        """Waits taken over from the thread."""

    def soon(self, tick: Callable[[], object]) -> None:
        """Trio's `run_sync_soon_not_threadsafe`: run its next pass, in this row of passes or from the host."""
        if self._passing and self._next is None:
            self._next = tick
        else:
            self.loop.call_soon(self._pass, tick)

    def take(self, state: Any, timeout: float) -> None:
        """Trio is idle: tick it at the next event of its descriptor, or after `timeout` seconds."""
        if self._fd < 0:
            self._fd = state.runner.io_manager._epoll.fileno()
            self.loop.add_reader(self._fd, self._tick)
        self.waits += 1
        self._state = state
        if self._attend_until and not self._going_round:
            self._going_round = True
            self.loop.call_soon(self._go_round)
        # A timer that comes too early only ticks Trio for nothing; making one for every wait would cost more.
        when = self.loop.time() + min(timeout, TIMER_S_MAX)
        if self._timer is None or when < self._when:
            if self._timer is not None:
                self._timer.cancel()
            self._when = when
            self._timer = self.loop.call_at(when, self._ring)

    def attend(self, seconds: float) -> None:
        """For so long from now, look for events without a pause while Trio is idle; 0 ends it."""
        self._attend_until = time.perf_counter() + seconds if seconds else 0.0

    def _go_round(self) -> None:
        """Have the host look for events at once: it does not sleep while something is to be called."""
        if time.perf_counter() >= self._attend_until:
            self._attend_until = 0.0
        if self._state is not None and self._attend_until:
            self.loop.call_soon(self._go_round)
        else:
            self._going_round = False

    def wake(self, task: trio.lowlevel.Task) -> None:
        """Reschedule a task from a callback of the host; if Trio is idle it runs at once, within this call.

        Trio itself would write to its own wake-up socket and be told of that by the host: some 40 microseconds.
        """
        idle = self._state is not None and not self._state.runner.guest_tick_scheduled
        if idle:
            self._state.runner.guest_tick_scheduled = True
        trio.lowlevel.reschedule(task)
        if idle:
            self._tick(outcome.Value([]))  # no events: there is something to run, and the rest is asked for after it

    def close(self) -> None:
        """Watch no longer."""
        if self._fd >= 0:
            self.loop.remove_reader(self._fd)
            self._fd = -1
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._tick()

    def _tick(self, events: outcome.Outcome[Any] | None = None) -> None:
        state, self._state = self._state, None
        if state is None:
            return  # a tick is on its way already
        state.unrolled_run_next_send = events or outcome.capture(state.runner.io_manager.get_events, 0)
        state.runner.guest_tick_scheduled = True
        self._pass(state.guest_tick)

    def _pass(self, tick: Callable[[], object] | None) -> None:
        """Let Trio run a pass, and those it asks for, until the row has lasted PASSES_S."""
        until = time.perf_counter() + PASSES_S
        while tick is not None:
            self._passing, self._next = time.perf_counter() < until, None
            try:
                tick()
            finally:
                self._passing = False
            tick, self._next = self._next, None


_thread = trio_run.start_thread_soon  # type: ignore[attr-defined] # see the module


def _start(get_events: Callable[[], Any], deliver: Callable[[Any], object], name: str | None = None) -> None:
    """In place of starting a thread: leave the wait to the host where it is ours to take."""
    closure = getattr(get_events, "__closure__", None)
    if getattr(deliver, "__qualname__", "") == _SHAPE and closure and get_events.__code__.co_freevars == _FREE:
        state, timeout = (cell.cell_contents for cell in closure)
        wait = getattr(getattr(state, "run_sync_soon_not_threadsafe", None), "__self__", None)
        if isinstance(wait, HostWait) and hasattr(state.runner.io_manager, "_epoll"):
            wait.take(state, timeout)
            return
    _thread(get_events, deliver, name)


@contextmanager
def waiting_in_host(loop: asyncio.AbstractEventLoop) -> Iterator[HostWait]:
    """While the block runs, the guest Trio that is given `soon` of what is yielded waits through it."""
    trio_run.start_thread_soon = _start  # type: ignore[attr-defined,assignment] # see the module
    wait = HostWait(loop)
    try:
        yield wait
    finally:
        wait.close()
