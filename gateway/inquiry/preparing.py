"""The work of a load that needs no table: reading, checking, indexing and sealing, a run at a time.

It may be done in this process or in others beside it, which get the register's keys through their pipe when they are
started and keep them in memory alone. Results come in the order of the work given, however many do it.
"""

import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import get_context
from typing import Any, Final, TypeVar

import msgspec
import trio

from gateway.collector import settle_collector
from gateway.inquiry.errors import LoadBroken
from gateway.inquiry.sealing import RegisterKeys

PROCESSES_MAX: Final = 2
"""More would only wait for the one that writes to the database."""
AHEAD: Final = 6
"""Runs in work or waiting to be written; bounds the memory of a load."""

Args = TypeVar("Args", bound=tuple[Any, ...])
Result = TypeVar("Result")
_keys: RegisterKeys | None = None


class Bench:
    """Where runs are prepared. Made by `bench`."""

    def __init__(self, keys: RegisterKeys, pool: ProcessPoolExecutor | None) -> None:
        self._keys = keys
        self._pool = pool

    async def each(
        self, work: Callable[..., Result], given: Iterable[Args], result: Any
    ) -> AsyncGenerator[tuple[Args, Result], None]:
        """Each of `given` with what `work(keys, *args)` made of it, in order; close it (contextlib.aclosing).

        result: the type of what is made; it comes from another process as MessagePack, at a seventh of pickle's cost.
        Raises: LoadBroken.
        """
        if self._pool is None:
            for args in given:
                await trio.lowlevel.checkpoint()
                yield args, work(self._keys, *args)
            return
        decode = msgspec.msgpack.Decoder(result).decode
        waiting: deque[tuple[Args, Future[bytes]]] = deque()
        left = iter(given)
        try:
            while True:
                for args in islice(left, AHEAD - len(waiting)):
                    waiting.append((args, self._pool.submit(_with_keys, work, *args)))
                if not waiting:
                    return
                args, future = waiting.popleft()
                yield args, decode(await _result(future))
        except BrokenProcessPool:
            raise LoadBroken from None
        finally:
            for _, future in waiting:
                future.cancel()


@contextmanager
def bench(keys: RegisterKeys, *, processes: int = PROCESSES_MAX) -> Iterator[Bench]:
    """A Bench with so many processes beside this one, at most one a processor; 0 works in this one."""
    processes = min(processes, os.cpu_count() or 1)
    if processes == 0:
        yield Bench(keys, None)
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin, initargs=keys.material)
    try:
        yield Bench(keys, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


async def _result(future: "Future[bytes]") -> bytes:
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def tell(_: object) -> None:
        with suppress(trio.RunFinishedError):  # nobody waits any more
            token.run_sync_soon(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return future.result()


def _begin(index_key: bytes, data_keys: dict[int, bytes], current: int) -> None:
    global _keys  # a process of the pool has one set of keys for its life
    os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the first process ends this one
    _keys = RegisterKeys(index_key, data_keys, current)
    settle_collector()


def _with_keys(work: Callable[..., object], *args: object) -> bytes:
    return msgspec.msgpack.encode(work(_keys, *args))
