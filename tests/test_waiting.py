"""A guest Trio waits in the host loop, not in a thread: the fast way is taken, and nothing is lost by it."""

import threading
from itertools import pairwise

import pytest
import trio

from gateway import host, waiting
from gateway.host import attend, on_host, run_guest


def test_this_trio_has_the_shape_that_is_looked_for() -> None:
    async def main() -> tuple[int, int]:
        await trio.sleep(0.01)
        a, b = trio.socket.socketpair()
        with a, b:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(b.recv, 1)
                await trio.sleep(0.01)
                await a.send(b"x")
        wait = host._wait.get()
        return wait.waits, threading.active_count()

    before = threading.active_count()
    taken = run_guest(main)
    assert taken is not None
    waits, threads = taken
    assert waits >= 2
    assert threads == before


def test_timers_sockets_and_the_host_all_wake_an_idle_guest() -> None:
    async def main() -> list[str]:
        woken = []
        a, b = trio.socket.socketpair()

        async def by_socket() -> None:
            await b.recv(1)
            woken.append("socket")

        async def by_host() -> None:
            import asyncio

            await on_host(asyncio.sleep, 0.02)
            woken.append("host")

        async def by_thread() -> None:
            await trio.to_thread.run_sync(threading.Event().wait, 0.03)
            woken.append("thread")

        with a, b, trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for wake in (by_socket, by_host, by_thread):
                    nursery.start_soon(wake)
                await trio.sleep(0.01)
                woken.append("timer")
                await trio.sleep(0.05)
                await a.send(b"x")
        return sorted(woken)

    assert run_guest(main) == ["host", "socket", "thread", "timer"]


def test_an_attended_wait_goes_round_the_host_and_sleeps_again_when_it_is_over() -> None:
    async def main() -> list[int]:
        wait = host._wait.get()
        rounds = 0
        go_round = wait._go_round

        def count() -> None:
            nonlocal rounds
            rounds += 1
            go_round()

        wait._go_round = count  # type: ignore[method-assign]
        counted = [rounds]
        a, b = trio.socket.socketpair()
        with a, b, trio.fail_after(5):
            await trio.sleep(0.01)
            counted.append(rounds)  # nobody attends
            attend(1.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(b.recv, 1)
                await trio.sleep(0.01)
                await a.send(b"x")  # whoever waits is woken all the same
            counted.append(rounds)
            attend(0)
            await trio.sleep(0.01)
            counted.append(rounds)  # it was ended
            attend(0.01)
            await trio.sleep(0.05)
            counted.append(rounds)
            await trio.sleep(0.01)
            counted.append(rounds)  # it ended by itself
        return [after - before for before, after in pairwise(counted)]

    counted = run_guest(main)
    assert counted is not None
    before, attended, ended, bounded, after = counted
    assert before == after == 0
    assert attended > 10
    assert ended <= 1  # the one that was on its way
    assert bounded > 10


def test_a_guest_goes_to_the_thread_where_the_shape_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SHAPE", "something else")

    async def main() -> int:
        await trio.sleep(0.01)
        wait = host._wait.get()
        return wait.waits

    assert run_guest(main) == 0


@pytest.mark.guest
async def test_many_tasks_between_the_loops_all_return() -> None:
    import asyncio

    done = []

    async def one(number: int) -> None:
        await on_host(asyncio.sleep, (number % 7) / 1000)
        await trio.sleep((number % 5) / 1000)
        done.append(number)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(one, number)
    assert sorted(done) == list(range(500))
