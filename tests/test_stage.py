"""gateway.stage: fair, bounded, nothing lost."""

from collections import Counter, defaultdict

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from gateway.stage import Inbox, InboxClosed, InboxFull, run_stage

KEYS = "abcde"
PUTS = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 20), st.booleans()), max_size=120)


def inbox_of(capacity_per_key=10_000, capacity_total=100_000, take_max=16):
    return Inbox(capacity_per_key=capacity_per_key, capacity_total=capacity_total, take_max=take_max)


async def nothing():
    """After a turn."""


def drain(inbox):
    """Every turn until the inbox is closed and empty."""
    turns = []

    async def keep(batch):
        turns.append(batch)

    async def main():
        inbox.close()
        await run_stage(inbox, keep, nothing)

    trio.run(main)
    return turns


def take_one_turn(inbox):
    assert inbox.weight, "a turn from an empty inbox would wait for ever"
    return trio.run(inbox.take)


@given(puts=PUTS, take_max=st.integers(1, 40))
def test_nothing_is_lost_or_doubled_and_order_is_kept_within_a_key_and_class(puts, take_max):
    inbox = inbox_of(take_max=take_max)
    sent = defaultdict(list)
    for number, (key, weight, interactive) in enumerate(puts):
        inbox.put_nowait(key, (key, interactive, number), weight=weight, interactive=interactive)
        sent[key, interactive].append(number)
    got = defaultdict(list)
    for batch in drain(inbox):
        for key, interactive, number in batch:
            got[key, interactive].append(number)
    assert got == sent
    assert inbox.weight == 0
    assert all(inbox.weight_of(key) == 0 for key in KEYS)


@given(puts=PUTS, take_max=st.integers(1, 40))
def test_a_turn_stays_within_its_weight_unless_one_heavier_item_goes_alone(puts, take_max):
    inbox = inbox_of(take_max=take_max)
    for key, weight, interactive in puts:
        inbox.put_nowait(key, weight, weight=weight, interactive=interactive)
    for batch in drain(inbox):
        assert batch
        assert sum(batch) <= take_max or len(batch) == 1


@given(puts=PUTS, per_key=st.integers(1, 60), spare=st.integers(0, 60))
def test_no_put_passes_a_bound_and_a_refused_one_changes_nothing(puts, per_key, spare):
    inbox = inbox_of(capacity_per_key=per_key, capacity_total=per_key + spare)
    waiting = Counter()
    for key, weight, interactive in puts:
        before = inbox.weight
        of_key = waiting[key] + weight > per_key
        if of_key or before + weight > per_key + spare:
            with pytest.raises(InboxFull) as full:
                inbox.put_nowait(key, key, weight=weight, interactive=interactive)
            assert (full.value.key, full.value.of_key) == (key, of_key)
        else:
            inbox.put_nowait(key, key, weight=weight, interactive=interactive)
            waiting[key] += weight
        assert inbox.weight == waiting.total() <= per_key + spare
        assert all(inbox.weight_of(each) == waiting[each] <= per_key for each in KEYS)


@given(
    floods=st.lists(st.lists(st.integers(1, 20), min_size=30, max_size=60), min_size=1, max_size=4),
    turns_before=st.integers(0, 8),
    light=st.integers(1, 20),
    take_max=st.integers(1, 64),
    interactive=st.booleans(),
)
def test_a_light_party_waits_for_at_most_two_quanta_of_each_other(floods, turns_before, light, take_max, interactive):
    inbox = inbox_of(take_max=take_max)
    for number, flood in enumerate(floods):
        for weight in flood:
            inbox.put_nowait(f"flood {number}", (number, weight), weight=weight, interactive=interactive)
    for _ in range(turns_before):
        if inbox.weight:
            take_one_turn(inbox)
    inbox.put_nowait("light", ("light", light), weight=light, interactive=interactive)
    quantum = max(1, take_max // 4, light, *(weight for flood in floods for weight in flood))
    passed = Counter()
    for batch in drain(inbox):
        for who, weight in batch:
            if who == "light":
                assert all(served <= 2 * quantum for served in passed.values())
                return
            passed[who] += weight
    pytest.fail("the light party was never served")


def test_a_frame_served_last_in_its_visit_does_not_let_its_party_go_twice():
    inbox = inbox_of(take_max=4)
    for number in range(12):
        inbox.put_nowait("flood", ("flood", number))
    inbox.put_nowait("light", ("light", 0))
    assert ("light", 0) in take_one_turn(inbox)


def test_interactive_goes_before_batch_which_keeps_its_share():
    inbox = inbox_of(take_max=16)
    for _ in range(40):
        inbox.put_nowait("a", "batch", interactive=False)
        inbox.put_nowait("b", "interactive")
    first = take_one_turn(inbox)
    assert first == ["interactive"] * 14 + ["batch"] * 2


@pytest.mark.parametrize("take_max", [1, 2, 8, 64])
@pytest.mark.parametrize("weight", [1, 7, 200])
def test_batch_is_never_starved_by_interactive_whatever_the_weights(take_max, weight):
    inbox = inbox_of(capacity_per_key=100_000, take_max=take_max)
    inbox.put_nowait("patient", "batch", weight=weight, interactive=False)
    for _ in range(300):
        inbox.put_nowait("busy", "interactive", weight=weight)
    assert "batch" in take_one_turn(inbox) + take_one_turn(inbox)


def test_a_heavy_item_waits_for_the_next_turn_and_then_goes_first():
    inbox = inbox_of(take_max=10)
    inbox.put_nowait("a", "light", weight=3)
    inbox.put_nowait("b", "heavy", weight=25)
    inbox.put_nowait("c", "late", weight=1)
    assert drain(inbox) == [["light"], ["heavy"], ["late"]]


@pytest.mark.trio
async def test_a_waiting_taker_gets_a_lone_item_and_what_came_with_it():
    inbox = inbox_of()
    got = []
    async with trio.open_nursery() as nursery:

        async def consume():
            got.append(await inbox.take())

        nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        inbox.put_nowait("a", 1)
        inbox.put_nowait("b", 2)
    assert got == [[1, 2]]


@pytest.mark.trio
async def test_a_cancelled_taker_leaves_everything_in_place():
    inbox = inbox_of()
    inbox.put_nowait("a", 1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await inbox.take()
    assert scope.cancelled_caught
    assert await inbox.take() == [1]


@pytest.mark.trio
async def test_a_taker_cancelled_while_it_waits_takes_nothing_from_the_next():
    inbox = inbox_of()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.take)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    inbox.put_nowait("a", 1)
    assert await inbox.take() == [1]


@pytest.mark.trio
async def test_each_item_goes_to_exactly_one_of_several_takers():
    inbox = inbox_of(take_max=3)
    got = []

    async def consume():
        async def work(batch):
            got.extend(batch)

        await run_stage(inbox, work, nothing)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(consume)
        for number in range(50):
            inbox.put_nowait(KEYS[number % 5], number)
            if number % 7 == 0:
                await trio.lowlevel.checkpoint()
        inbox.close()
    assert sorted(got) == list(range(50))


@pytest.mark.trio
async def test_a_closed_inbox_refuses_gives_out_the_rest_and_then_ends():
    inbox = inbox_of()
    inbox.put_nowait("a", 1)
    inbox.close()
    inbox.close()
    with pytest.raises(InboxClosed):
        inbox.put_nowait("a", 2)
    assert await inbox.take() == [1]
    with pytest.raises(InboxClosed):
        await inbox.take()


@pytest.mark.trio
async def test_an_error_of_the_work_ends_the_stage():
    inbox = inbox_of()
    inbox.put_nowait("a", 1)

    async def work(batch):
        raise LookupError(batch)

    with pytest.raises(ExceptionGroup) as raised:
        await run_stage(inbox, work, nothing)
    assert raised.group_contains(LookupError)


@pytest.mark.trio
async def test_while_one_turn_is_being_ended_the_next_is_worked_on_but_never_two_at_once():
    inbox = inbox_of(take_max=1)
    ending = trio.Event()
    told = []
    working = 0

    async def work(batch):
        nonlocal working
        working += 1
        assert working == 1
        await trio.lowlevel.checkpoint()
        working -= 1
        told.append(batch[0])

    async def then():
        await ending.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_stage, inbox, work, then)
        for number in range(4):
            inbox.put_nowait("a", number)
        await trio.testing.wait_all_tasks_blocked()
        assert told == [0, 1]
        ending.set()
        await trio.testing.wait_all_tasks_blocked()
        assert told == [0, 1, 2, 3]
        inbox.close()


@pytest.mark.guest
async def test_a_stage_works_as_guest():
    inbox = inbox_of()
    got = []

    async def work(batch):
        got.extend(batch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_stage, inbox, work, nothing)
        await trio.testing.wait_all_tasks_blocked()
        inbox.put_nowait("a", 1)
        inbox.close()
    assert got == [1]


@pytest.mark.parametrize(
    "bounds",
    [
        {"capacity_per_key": 0, "capacity_total": 1, "take_max": 1},
        {"capacity_per_key": 2, "capacity_total": 1, "take_max": 1},
        {"capacity_per_key": 1, "capacity_total": 1, "take_max": 0},
    ],
)
def test_bounds_that_contradict_each_other_are_refused(bounds):
    with pytest.raises(ValueError, match="capacity"):
        Inbox(**bounds)
