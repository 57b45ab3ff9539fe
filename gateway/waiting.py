"""How a guest Trio waits for its sockets: through the host loop itself, in place of a thread.

Theory. When a guest Trio has nothing to run it hands its wait for I/O to a thread, because a host loop cannot be asked
to wait for it in general. Every wake-up then costs two hand-overs between threads, some 50 microseconds, and an
inquiry alone has three of them. On Linux Trio's wait is an epoll file descriptor, and an epoll descriptor can itself be
watched: uvloop watches it like any socket, and a wake-up costs a few microseconds.

Trio has no public hook for this. The one private thing used is the name through which its guest state starts that
thread; what it is given is recognised by shape, and anything unexpected (another Trio, another platform) goes to the
thread as before. So a newer Trio can make this slower, not wrong; tests/test_waiting.py says which of the two it is.

Source: docs/decisions/0010-waiting-in-the-host-loop.md.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import outcome
import trio._core._run as trio_run  # the guest state's way to its thread; see above

TIMER_S_MAX: Final = 3600.0
"""Longer waits are waited for in parts: timers of a loop have bounds."""
_SHAPE: Final = "GuestState.guest_tick.<locals>.deliver"
_FREE: Final = ("self", "timeout")


class HostWait:
    """One run's waiting. While `_state` is set, Trio is idle and the next event or the timer ticks it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = -1
        self._state: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._when = 0.0
        self.waits = 0
        """Waits taken over from the thread."""

    def take(self, state: Any, timeout: float) -> None:
        """Trio is idle: tick it at the next event of its descriptor, or after `timeout` seconds."""
        if self._fd < 0:
            self._fd = state.runner.io_manager._epoll.fileno()
            self._loop.add_reader(self._fd, self._tick)
        self.waits += 1
        self._state = state
        # A timer that comes too early only ticks Trio for nothing; making one for every wait would cost more.
        when = self._loop.time() + min(timeout, TIMER_S_MAX)
        if self._timer is None or when < self._when:
            if self._timer is not None:
                self._timer.cancel()
            self._when = when
            self._timer = self._loop.call_at(when, self._ring)

    def hasten(self) -> None:
        """A task of Trio is about to be woken from the host: if Trio is idle, tick it without asking its descriptor.

        Trio would write to its own wake-up socket for this, and be told of that by the host: some 40 microseconds.
        """
        if self._state is not None and not self._state.runner.guest_tick_scheduled:
            self._state.runner.guest_tick_scheduled = True
            self._loop.call_soon(self._tick)

    def close(self) -> None:
        """Watch no longer."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._fd = -1
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self) -> None:
        self._timer = None
        self._tick()

    def _tick(self) -> None:
        state, self._state = self._state, None
        if state is None:
            return  # a tick is on its way already
        state.unrolled_run_next_send = outcome.capture(state.runner.io_manager.get_events, 0)
        state.runner.guest_tick_scheduled = True
        state.guest_tick()


_waits: dict[asyncio.AbstractEventLoop, HostWait] = {}
_thread = trio_run.start_thread_soon  # type: ignore[attr-defined] # see the module


def _start(get_events: Callable[[], Any], deliver: Callable[[Any], object], name: str | None = None) -> None:
    """In place of starting a thread: leave the wait to the host where it is ours to take."""
    closure = getattr(get_events, "__closure__", None)
    if getattr(deliver, "__qualname__", "") == _SHAPE and closure and get_events.__code__.co_freevars == _FREE:
        state, timeout = (cell.cell_contents for cell in closure)
        wait = _waits.get(asyncio.get_running_loop())
        if wait is not None and hasattr(state.runner.io_manager, "_epoll"):
            wait.take(state, timeout)
            return
    _thread(get_events, deliver, name)


def hasten(loop: asyncio.AbstractEventLoop) -> None:
    """Say that a task of the guest on this loop is about to be woken; to be called in the loop's thread."""
    wait = _waits.get(loop)
    if wait is not None:
        wait.hasten()


@contextmanager
def waiting_in_host(loop: asyncio.AbstractEventLoop) -> Iterator[HostWait]:
    """While the block runs, a guest Trio on this loop waits through it."""
    trio_run.start_thread_soon = _start  # type: ignore[attr-defined,assignment] # see the module
    wait = _waits[loop] = HostWait(loop)
    try:
        yield wait
    finally:
        del _waits[loop]
        wait.close()
