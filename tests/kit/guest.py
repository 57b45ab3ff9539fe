"""Run a test in Trio as guest of uvloop: what the `guest` marker puts in place of trio.run."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import trio

from gateway.host import run_guest

T = TypeVar("T")


def guest_run(
    async_fn: Callable[[], Awaitable[T]],
    *,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T | None:
    """Run `async_fn` as pytest-trio does with trio.run. Ctrl-C cancels the test and ends the run.

    Raises: TypeError for a virtual clock: it jumps while the host loop works, so a test may have one or the other.
    """
    if clock is not None:
        raise TypeError("a guest test has real time; test with virtual time under plain Trio")
    return run_guest(async_fn, signals={}, instruments=instruments)
