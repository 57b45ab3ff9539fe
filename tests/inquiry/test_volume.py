"""A worker's counting against a store in memory, in any order of questions, crashes, drains and changed limits."""

import datetime as dt
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.model import Volume
from gateway.directory.policy import Granted
from gateway.inquiry.volume import VolumeControl
from gateway.store.errors import StoreUnavailable
from gateway.store.volume import LEASE_SHARE, Subject, Wanted
from protocol.messages import InquiryByCode

DAY = dt.date(2026, 11, 25)


class Store:
    """What gateway.store.volume does, in memory."""

    def __init__(self) -> None:
        self.reserved: dict[tuple[dt.date, Subject], int] = {}
        self.away = False
        self.calls = 0

    async def lease(self, day: dt.date, wanted: Sequence[Wanted]) -> dict[Subject, int]:
        if self.away:
            raise StoreUnavailable("away")
        found = {}
        for want in wanted:
            self.calls += 1
            held = self.reserved.get((day, want.subject), 0)
            count = max(0, min(want.most - held, max(want.needed, (want.most - held) // LEASE_SHARE)))
            self.reserved[day, want.subject] = held + count
            found[want.subject] = count
        return found

    async def give_back(self, day: dt.date, held: dict[Subject, int]) -> None:
        for subject, count in held.items():
            self.reserved[day, subject] -= count
            assert self.reserved[day, subject] >= 0

    def worker(self) -> VolumeControl:
        control = VolumeControl(lease=self.lease, give_back=self.give_back)
        control.turn(DAY)
        return control


def limits(staff: int, line: int = 1_000, party: int = 1_000) -> Volume:
    return Volume(
        records_per_request_max=1,
        records_per_staff_day_max=staff,
        records_per_line_day_max=line,
        records_per_party_day_max=party,
    )


def question(volume: Volume | None, *, staff: str = "s-1", line: str = "line-1") -> Any:
    decision = Granted(terms_version=1, yen_per_record=10, commission=0, counterparty="centre", volume=volume)
    body = InquiryByCode("vehicle-12-1", 1, staff, "2026-0001", "00000000000")
    return SimpleNamespace(party="mlit", line=line, body=body, decision=decision)


async def ask(worker: VolumeControl, *questions: Any) -> int:
    """How many of these pass, in the lanes' order: inside the leases, else by leasing."""
    rest = [each for each in questions if not worker.take(each, each.body.staff, each.decision)]
    return len(questions) - len(await worker.admit(rest) if rest else ())


def test_the_plain_lane_counts_without_the_store_while_a_lease_lasts() -> None:
    async def main() -> None:
        store = Store()
        worker, within = store.worker(), limits(800, 8_000, 80_000)
        assert await ask(worker, question(within)) == 1
        calls = store.calls
        assert all(worker.take(question(within), "s-1", question(within).decision) for _ in range(99))
        assert store.calls == calls == 3
        assert not worker.take(question(within), "s-1", question(within).decision)

    trio.run(main)


def test_a_question_without_limits_never_passes() -> None:
    async def main() -> None:
        assert await ask(Store().worker(), question(None)) == 0

    trio.run(main)


def test_the_line_counts_over_its_staff_and_the_party_over_its_lines() -> None:
    async def main() -> None:
        store = Store()
        worker, within = store.worker(), limits(10, line=3, party=5)
        assert await ask(worker, *(question(within, staff=f"s-{n}") for n in range(5))) == 3
        assert await ask(worker, *(question(within, line="line-2") for _ in range(5))) == 2

    trio.run(main)


def test_a_store_that_is_away_counts_nothing_and_passes_nothing() -> None:
    async def main() -> None:
        store = Store()
        worker = store.worker()
        store.away = True
        with pytest.raises(StoreUnavailable):
            await worker.admit([question(limits(10))])
        store.away = False
        assert await ask(worker, *(question(limits(10)) for _ in range(11))) == 10

    trio.run(main)


def test_a_new_day_begins_anew() -> None:
    async def main() -> None:
        store = Store()
        worker, within = store.worker(), limits(2)
        assert await ask(worker, *[question(within)] * 3) == 2
        worker.turn(DAY + dt.timedelta(days=1))
        assert await ask(worker, *[question(within)] * 3) == 2

    trio.run(main)


def test_a_day_that_ends_while_a_lease_is_taken_counts_on_the_new_one() -> None:
    async def main() -> None:
        store, tomorrow = Store(), DAY + dt.timedelta(days=1)
        worker = store.worker()
        lease = store.lease

        async def slow(day: dt.date, wanted: Sequence[Wanted]) -> dict[Subject, int]:
            found = await lease(day, wanted)
            worker.turn(tomorrow)
            return found

        worker._lease = slow
        assert await ask(worker, *[question(limits(2))] * 3) == 2
        assert store.reserved[tomorrow, Subject("mlit", "staff", "s-1")] == 2

    trio.run(main)


_STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "ask", "crash", "drain"]), st.integers(0, 2), st.integers(1, 9)),
    max_size=40,
)


@given(steps=_STEPS, staff=st.integers(1, 60), line=st.integers(1, 60))
def test_no_order_of_questions_drains_and_crashes_passes_a_limit(
    steps: list[tuple[str, int, int]], staff: int, line: int
) -> None:
    async def main() -> None:
        store, within = Store(), limits(staff, line=line)
        workers = [store.worker() for _ in range(3)]
        passed = lost = 0
        for what, which, count in steps:
            if what == "ask":
                passed += await ask(workers[which], *(question(within) for _ in range(count)))
            elif what == "drain":
                await workers[which].give_back()
            else:
                workers[which] = store.worker()
                lost += 1
        assert passed <= min(staff, line)
        for worker in workers:
            await worker.give_back()
        counted = store.reserved.get((DAY, Subject("mlit", "staff", "s-1")), 0)
        assert passed <= counted <= staff
        if not lost:
            assert counted == passed, "without a crash nothing is lost"
            more = await ask(store.worker(), *(question(within) for _ in range(70)))
            assert passed + more == min(staff, line), "and the limit is reached exactly"

    trio.run(main)


@given(first=st.integers(1, 40), second=st.integers(1, 40), asked=st.integers(1, 40))
def test_after_a_limit_is_lowered_no_more_passes_than_the_new_one_allows(first: int, second: int, asked: int) -> None:
    async def main() -> None:
        worker = Store().worker()
        before = await ask(worker, *(question(limits(first)) for _ in range(asked)))
        after = await ask(worker, *(question(limits(second)) for _ in range(50)))
        assert before == min(first, asked)
        assert before + after == max(before, second)

    trio.run(main)
