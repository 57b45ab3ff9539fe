"""gateway.host: the bridge between Trio and the host loop, and the guest run itself."""

import asyncio
import contextlib
import gc
import os
import random
import signal

import pytest
import trio
import trio.testing

from gateway.host import HostCancelled, on_host, on_host_at_once, run_guest
from tests.kit.guest import guest_run


class TroubleError(Exception):
    """Raised on the host loop."""


async def answer(value, *, plus=0):
    await asyncio.sleep(0)
    return value + plus


async def forever(started, ended):
    started.append(1)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append(1)


@pytest.fixture(params=[on_host, on_host_at_once], ids=["as a task", "at once"])
def bridge(request):
    return request.param


@pytest.mark.guest
async def test_a_result_comes_back_with_its_arguments():
    assert await on_host(answer, 40, plus=2) == 42


@pytest.mark.guest
async def test_an_awaitable_that_is_no_coroutine_is_awaited_too():
    def start():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "done")
        return future

    assert await on_host(start) == "done"


@pytest.mark.guest
async def test_an_error_comes_back_as_the_same_object(bridge):
    trouble = TroubleError()

    async def fail():
        raise trouble

    with pytest.raises(TroubleError) as raised:
        await bridge(fail)
    assert raised.value is trouble


@pytest.mark.guest
async def test_cancelling_trio_cancels_the_host_task_and_waits_for_its_end(bridge):
    started, ended = [], []
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bridge, forever, started, ended)
            while not started:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert ended == [1]


@pytest.mark.guest
async def test_nothing_starts_for_a_task_that_is_cancelled_already(bridge):
    started = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await bridge(forever, started, [])
    assert started == []


@pytest.mark.guest
async def test_a_result_beats_a_late_cancellation(bridge):
    async def stubborn():
        started.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "a connection"

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def call():
                got.append(await bridge(stubborn))

            started, got = [], []
            nursery.start_soon(call)
            while not started:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert got == ["a connection"]


@pytest.mark.guest
async def test_a_shield_keeps_the_host_task_running(bridge):
    with trio.CancelScope() as outer:
        outer.cancel()
        with trio.CancelScope(shield=True):
            assert await bridge(answer, 1) == 1


@pytest.mark.guest
async def test_a_foreign_cancellation_is_an_error_not_a_cancellation():
    async def cancel_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    async def raise_it():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    for bridge, fn in ((on_host, cancel_itself), (on_host, raise_it), (on_host_at_once, raise_it)):
        with pytest.raises(HostCancelled):
            await bridge(fn)


@pytest.mark.guest
async def test_what_is_not_cancellable_ends_and_leaves_the_cancellation_for_the_next_checkpoint():
    started, ended = [], []

    async def slowly():
        started.append(1)
        await asyncio.sleep(0.01)
        return "committed"

    async def call():
        ended.append(await on_host_at_once(slowly, cancellable=False))
        await trio.lowlevel.checkpoint()
        ended.append("went on")

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            while not started:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert ended == ["committed"]


@pytest.mark.guest
async def test_a_coroutine_begun_at_once_has_run_to_its_first_wait_before_the_host_has_a_turn():
    ran = []

    async def note():
        ran.append("begun")
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return 5

    async def call():
        assert await on_host_at_once(note) == 5
        ran.append("ended")

    async with trio.open_nursery() as nursery:
        asyncio.get_running_loop().call_soon(ran.append, "host")
        nursery.start_soon(call)
    assert ran == ["begun", "host", "ended"]


@pytest.mark.guest
async def test_an_error_leaves_no_cycle_behind(bridge):
    class Held:
        alive = 0

        def __init__(self):
            Held.alive += 1

        def __del__(self):
            Held.alive -= 1

    async def fail(_held):
        raise TroubleError

    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(TroubleError):
            await bridge(fail, Held())
        await trio.lowlevel.checkpoint()
        await bridge(answer, 1)
        assert Held.alive == 0
    finally:
        gc.enable()


@pytest.mark.guest
async def test_two_thousand_tasks_cancelled_at_random_lose_no_wake_up_and_leak_no_task(bridge):
    dice = random.Random(20_261_121)
    loop = asyncio.get_running_loop()
    free, ends = [object() for _ in range(50)], []
    stock = len(free)

    async def acquire(delay_s):
        await asyncio.sleep(delay_s)
        return free.pop()

    async def release(thing):
        free.append(thing)

    async def one(patience_s, delay_s):
        end = "cancelled"
        with trio.move_on_after(patience_s):
            try:
                thing = await bridge(acquire, delay_s)
            except IndexError:
                end = "none free"
            else:
                with trio.CancelScope(shield=True):
                    await bridge(release, thing)
                end = "served"
        ends.append(end)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(2_000):
                nursery.start_soon(one, dice.uniform(0, 0.02), dice.choice([0, dice.uniform(0, 0.02)]))
                if dice.random() < 0.05:
                    await trio.lowlevel.checkpoint()
    assert len(ends) == 2_000
    assert {"cancelled", "served"} <= set(ends)
    assert len(free) == stock
    assert [task for task in asyncio.all_tasks(loop) if "on_host" in repr(task) or "acquire" in repr(task)] == []


def test_outside_a_guest_run_the_bridge_says_so():
    with pytest.raises(RuntimeError, match="outside run_guest"):
        trio.run(on_host, answer, 1)


def test_a_run_returns_what_the_function_returns_and_raises_what_it_raises():
    async def give(value):
        await trio.lowlevel.checkpoint()
        return value

    async def fail():
        raise TroubleError

    assert run_guest(give, 7) == 7
    with pytest.raises(TroubleError):
        run_guest(fail)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_root_and_lets_it_clean_up(number):
    cleaned = []

    async def main():
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await on_host(answer, 1)
            cleaned.append(1)

    before = signal.getsignal(number)
    assert run_guest(main) is None
    assert cleaned == [1]
    assert signal.getsignal(number) is before


def test_a_signal_with_a_handler_calls_it_and_nothing_else():
    async def main():
        os.kill(os.getpid(), signal.SIGHUP)
        await heard.wait()
        return "went on"

    heard = trio.Event()
    assert run_guest(main, signals={signal.SIGHUP: heard.set}) == "went on"


def test_ctrl_c_without_a_handler_cancels_and_then_interrupts_the_caller():
    cleaned = []

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        finally:
            cleaned.append(1)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            run_guest(main, signals={})
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleaned == [1]


def test_guest_tests_refuse_a_virtual_clock():
    with pytest.raises(TypeError, match="virtual"):
        guest_run(trio.sleep_forever, clock=trio.testing.MockClock())
