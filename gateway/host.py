"""Trio as guest of a uvloop loop, and the bridge between the two.

Theory. One thread runs one uvloop loop (the host); Trio runs on it as guest (`trio.lowlevel.start_guest_run`). Our code
is Trio. Libraries that only know asyncio, above all asyncpg, run natively on the host, and `on_host` lets a Trio task
await one of their coroutines: an asyncio task is made, the Trio task parks, and the asyncio task's end wakes it. Both
loops share the thread, so nothing is locked and no value is copied.

Invariants kept here:

- A Trio task that called `on_host` goes on only after its asyncio task has truly ended, also when cancelled: no orphan
  goes on using a connection that its owner has given back.
- A result beats a late cancellation: what the asyncio task returned is handed over, never lost.
- `asyncio.CancelledError` never enters Trio, and `trio.Cancelled` never enters asyncio.
- The host loop never ends while Trio runs.

Not here: what is run on the host (gateway.store), and threads.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, ParamSpec, TypeVar, TypeVarTuple

import trio
import uvloop

from gateway.waiting import HostWait, waiting_in_host

if TYPE_CHECKING:
    from types import FrameType

    import outcome

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CANCEL_ON_SIGNALS: Final[Mapping[int, Callable[[], object] | None]] = {signal.SIGINT: None, signal.SIGTERM: None}
"""The default of `run_guest`: both signals cancel the root."""


class HostCancelled(RuntimeError):  # noqa: N818 (says what happened, as trio.Cancelled does)
    """The asyncio task was cancelled by someone other than the Trio task that awaited it.

    Fields: task, the asyncio task's name.
    """

    code = "host_cancelled"

    def __init__(self, task: str) -> None:
        super().__init__(f"task {task} on the host loop was cancelled from outside Trio")
        self.task = task


_wait: Final[trio.lowlevel.RunVar[HostWait]] = trio.lowlevel.RunVar("host wait")


async def _drive(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def on_host(fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `fn(*args, **kwargs)` and await what it returns as an asyncio task on the host loop.

    Cancellation: a checkpoint. When cancelled before, nothing is started. When cancelled while parked, the asyncio
    task is cancelled and this call waits for its end, however long that takes; then `trio.Cancelled` is raised if the
    task ended cancelled, and otherwise its result is returned or its error raised. A caller that must not be
    interrupted uses `trio.CancelScope(shield=True)` around the call.

    Raises: what `fn` raises, as the same object; HostCancelled; RuntimeError outside `run_guest`.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    wait = _host()
    waiter = trio.lowlevel.current_task()
    raise_cancel: Callable[[], NoReturn] | None = None
    awaitable = fn(*args, **kwargs)
    # Some libraries return awaitables that are no coroutines; create_task takes coroutines only.
    coroutine = awaitable if asyncio.iscoroutine(awaitable) else _drive(awaitable)
    task: asyncio.Task[T] = wait.loop.create_task(coroutine)

    def wake(_: asyncio.Task[T]) -> None:
        wait.wake(waiter)  # noqa: F821 (deleted only after this has run)

    def abort(raise_cancelled: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        nonlocal raise_cancel
        raise_cancel = raise_cancelled
        task.cancel()  # noqa: F821 (deleted only after this can run)
        return trio.lowlevel.Abort.FAILED  # stay parked until the task has ended

    task.add_done_callback(wake)
    await trio.lowlevel.wait_task_rescheduled(abort)
    try:
        if task.cancelled():
            if raise_cancel is not None:
                raise_cancel()
            raise HostCancelled(task.get_name())
        error = task.exception()
        if error is not None:
            if isinstance(error, asyncio.CancelledError):  # set as an exception, not thrown: as foreign to Trio
                raise HostCancelled(task.get_name()) from error
            raise error
        return task.result()
    finally:
        # The frames in the error's traceback hold these names: break the cycles now, not in the collector.
        del task, waiter, coroutine, awaitable, raise_cancel
        error = None


async def on_host_at_once(fn: Callable[[*Ts], Coroutine[Any, Any, T]], /, *args: *Ts, cancellable: bool = True) -> T:
    """`on_host` without a task of asyncio: the coroutine begins within this call and is carried on by its futures.

    An asyncio task costs three rounds of the host loop, begin, wake-up and end, some 30 microseconds an await; this is
    for what is awaited with every request. The coroutine must not ask for its task (`asyncio.timeout`, `wait_for` and
    `TaskGroup` do) and must wait for futures of the host loop only.

    cancellable: False is a shield, cheaper than a scope: a cancellation is left for the next checkpoint.
    Cancellation, errors: else as of `on_host`.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    run = _Run(_host(), trio.lowlevel.current_task(), fn(*args))
    try:
        run.step()
        if not run.ended:
            await trio.lowlevel.wait_task_rescheduled(run.abort if cancellable else _never)
        return run.result()
    finally:
        del run  # the frames in an error's traceback hold it


def attend(seconds: float) -> None:
    """For so long from now, do not let the process sleep while Trio is idle; 0 ends it.

    To be woken takes some 50 microseconds on an idle core. This is for one short wait that somebody waits for; it costs
    the core.
    """
    _host().attend(seconds)


class _Run(Generic[T]):
    """One coroutine, stepped as asyncio's Task would: what it yields is a future, whose end is the next step."""

    __slots__ = ("_coroutine", "_error", "_future", "_raise_cancel", "_value", "_wait", "_waiter", "ended")

    def __init__(self, wait: HostWait, waiter: trio.lowlevel.Task, coroutine: Coroutine[Any, Any, T]) -> None:
        self._wait = wait
        self._waiter = waiter
        self._coroutine = coroutine
        self._future: asyncio.Future[Any] | None = None
        self._raise_cancel: Callable[[], NoReturn] | None = None
        self._value: T
        self._error: BaseException | None = None
        self.ended = False

    def step(self) -> None:
        """Run it until it waits or ends. A future's error is raised inside it, by the future itself."""
        try:
            future = self._coroutine.send(None)
        except StopIteration as end:
            self._value = end.value
            self.ended = True
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._error = error
            self.ended = True
        else:
            self._future = future
            if future is None:  # asyncio.sleep(0)
                self._wait.loop.call_soon(self._on)
            else:
                future._asyncio_future_blocking = False  # the word of who awaits it, as in asyncio.Task
                future.add_done_callback(self._on)
                if self._raise_cancel is not None:
                    future.cancel()

    def _on(self, _future: object = None) -> None:
        self.step()
        if self.ended:
            self._wait.wake(self._waiter)

    def abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        """Trio wants it cancelled: cancel what it waits for, and stay until it has ended."""
        self._raise_cancel = raise_cancel
        if self._future is not None:
            self._future.cancel()
        return trio.lowlevel.Abort.FAILED

    def result(self) -> T:
        """What it returned; raises what it raised."""
        error = self._error
        try:
            if error is None:
                return self._value
            if isinstance(error, asyncio.CancelledError):
                if self._raise_cancel is not None:
                    self._raise_cancel()
                raise HostCancelled(getattr(self._coroutine, "__qualname__", "")) from error
            raise error
        finally:
            self._error = error = None


def _never(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


def _host() -> HostWait:
    try:
        return _wait.get()
    except LookupError:
        raise RuntimeError("no host loop: this runs outside run_guest") from None


def run_guest(
    async_fn: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    signals: Mapping[int, Callable[[], object] | None] = CANCEL_ON_SIGNALS,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T | None:
    """Run `async_fn(*args)` in Trio as guest of a fresh uvloop loop; return or raise what it does.

    signals: number to handler; None as handler cancels Trio's root task. A handler is called in the loop's thread
    between two steps of Trio: it may set a trio.Event or cancel a scope, it must not block or raise. The handlers
    that stood before are put back at the end. Outside the main thread pass an empty mapping.

    Returns: the function's result, or None if a signal cancelled the root before it had one.
    Cancellation: when the host's main task is cancelled, the root is cancelled, Trio runs to its end, and then
    asyncio.CancelledError goes on (from Ctrl-C without a handler: KeyboardInterrupt).
    """
    before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {s: signal.getsignal(s) for s in signals}
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_host_main(async_fn, args, signals, clock, instruments))
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python, and cannot be put back from here
                signal.signal(number, handler)


async def _host_main(
    async_fn: Callable[..., Awaitable[T]],
    args: tuple[Any, ...],
    signals: Mapping[int, Callable[[], object] | None],
    clock: trio.abc.Clock | None,
    instruments: Sequence[trio.abc.Instrument],
) -> T | None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[outcome.Outcome[T | None]] = loop.create_future()
    root = trio.CancelScope()

    async def trio_main() -> T | None:
        _wait.set(wait)
        with root:
            return await async_fn(*args)
        return None

    for number, handler in signals.items():
        loop.add_signal_handler(number, handler or root.cancel)
    try:
        with waiting_in_host(loop) as wait:
            trio.lowlevel.start_guest_run(
                trio_main,
                clock=clock,
                instruments=instruments,
                run_sync_soon_threadsafe=loop.call_soon_threadsafe,
                run_sync_soon_not_threadsafe=wait.soon,
                done_callback=ended.set_result,
                host_uses_signal_set_wakeup_fd=True,
                restrict_keyboard_interrupt_to_checkpoints=True,
            )
            cancelled: asyncio.CancelledError | None = None
            while not ended.done():
                try:
                    await asyncio.shield(ended)
                except asyncio.CancelledError as error:
                    cancelled = error
                    root.cancel()
            result = ended.result().unwrap()
            if cancelled is not None:
                raise cancelled
            return result
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
