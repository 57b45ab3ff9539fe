"""A worker's bookkeeping under virtual time: copies wait, the late are told, a full inbox and a drain turn away."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from certs.names import LineName
from gateway.app import lanes
from gateway.app.worker import Centre, Worker
from gateway.directory.policy import Granted
from gateway.inquiry.service import InquiryService
from protocol.centre import RequestsReceived
from protocol.messages import InquiryByCode, Request, RequestBatch, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id
from protocol.states import State

BODY = encode(InquiryByCode("vehicle-12-1", 1, "staff-001", "2026-0001", "00000000000"))
GRANTED = Granted(terms_version=1, yen_per_record=10, commission=0, counterparty="centre")


class Standing:
    version = 1

    def covers(self, at_us: int) -> bool:
        return True

    def decide(self, *facts: object) -> Granted:
        return GRANTED


class Gauges:
    def __init__(self) -> None:
        self.counted: list[Outcome] = []

    def observe_requests(self, requests: Any) -> None:
        self.counted += [Outcome(outcome) for _, outcome, _ in requests]

    def observe_batch(self, requests: int) -> None: ...

    def observe_block(self, **facts: int) -> None: ...

    def count_fault(self, code: int) -> None: ...

    def count_left(self) -> None: ...


class Line:
    """A connection that keeps what it was told."""

    def __init__(self, state: State = State.SERVING) -> None:
        self.name = LineName("mlit", "line-1")
        self.line = SimpleNamespace(state=state, credit=1024)
        self.told: list[tuple[bytes, Outcome]] = []

    def refuse(self, transients: list[Any]) -> None:
        self.told += [(each.request_id, Outcome(each.outcome)) for each in transients]

    def outcomes(self) -> list[Outcome]:
        return [outcome for _, outcome in self.told]


def make_worker(gauges: Gauges | None = None) -> Worker:
    directory = SimpleNamespace(version=1, standing=lambda *_: Standing())
    worker = Worker(
        centre=Centre(role="inquiry", environment="test", slot=0, slots=1),
        material=SimpleNamespace(),  # type: ignore[arg-type]
        directory=lambda: directory,  # type: ignore[arg-type,return-value]
        sign_welcome=None,  # type: ignore[arg-type]
        gauges=gauges or Gauges(),
        connections_max=10,
    )
    worker.use(InquiryService.__new__(InquiryService))  # its policy and its choice of lane; no lane runs here
    return worker


def ask(worker: Worker, line: Line, *ids: bytes, deadline_ms: int = 1000) -> None:
    requests = [Request(each, 1, deadline_ms, BODY) for each in ids]
    worker.requests(line, RequestsReceived(RequestBatch(b"", 0, 0, requests)))  # type: ignore[arg-type]


def new_id(number: int = 0) -> bytes:
    return make_request_id(time.time_ns() // 1_000_000, number.to_bytes(10, "big"))


async def taken(worker: Worker) -> list[Any]:
    return [asked for frame in await worker._lanes.answer.take() for asked in frame]


@pytest.mark.trio
async def test_a_second_copy_of_an_id_waits_for_the_first_and_then_takes_its_place() -> None:
    worker, one, other = make_worker(), Line(), Line()
    request_id = new_id()
    ask(worker, one, request_id)
    ask(worker, other, request_id)
    (first,) = await taken(worker)
    assert first.origin is one
    assert worker._lanes.answer.weight == 0
    worker.settle(first, Outcome.UNAVAILABLE, b"\x90")
    assert one.outcomes() == [Outcome.UNAVAILABLE]
    ((second,),) = await worker._lanes.search.take()
    assert second.origin is other
    worker.settle(second, Outcome.UNAVAILABLE, b"\x90")
    assert worker.load[1] == 0


@pytest.mark.trio
async def test_many_copies_behind_a_full_inbox_are_all_told_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, line = make_worker(), Line()
    request_id = new_id()
    for _ in range(3000):
        ask(worker, line, request_id)
    (first,) = await taken(worker)
    filler = lanes.INBOX_REQUESTS_PER_PARTY
    worker._lanes.search.put_nowait("mlit", [], weight=filler)
    worker.settle(first, Outcome.UNAVAILABLE, b"\x90")
    assert len(line.told) == 3000
    assert set(line.outcomes()[1:]) == {Outcome.BUSY}
    assert worker.load[1] == 0


@pytest.mark.parametrize(
    ("recording", "database_up", "told"),
    [
        (False, True, Outcome.DEADLINE_EXCEEDED),
        (False, False, Outcome.UNAVAILABLE),
        (True, True, Outcome.PENDING),
        (True, False, Outcome.PENDING),
    ],
)
@pytest.mark.trio
async def test_whoever_waits_beyond_its_deadline_is_told_once(
    recording: bool, database_up: bool, told: Outcome, autojump_clock: MockClock
) -> None:
    gauges = Gauges()
    worker, line = make_worker(gauges), Line()
    worker.database_up = database_up
    ask(worker, line, new_id(), deadline_ms=1000)
    (asked,) = await taken(worker)
    asked.recording = recording
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker._sweep)
        await trio.sleep(0.99)
        assert line.told == []
        await trio.sleep(0.2)
        assert line.outcomes() == [told]
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert line.outcomes() == [told]
    assert gauges.counted == [told]
    # What is in doubt keeps its id until it is known; what was given up lets it go.
    assert worker.load[1] == (1 if recording else 0)


@pytest.mark.trio
async def test_a_copy_behind_one_in_doubt_is_told_pending(autojump_clock: MockClock) -> None:
    worker, one, other = make_worker(), Line(), Line()
    request_id = new_id()
    ask(worker, one, request_id, deadline_ms=30_000)
    ask(worker, other, request_id, deadline_ms=500)
    (first,) = await taken(worker)
    first.recording = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker._sweep)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert other.outcomes() == [Outcome.PENDING]
    assert one.told == []


@pytest.mark.trio
async def test_a_party_over_its_share_is_busy_and_another_is_not() -> None:
    worker, greedy, modest = make_worker(), Line(), Line()
    modest.name = LineName("other", "line-1")
    size = 256
    for frame in range(lanes.INBOX_REQUESTS_PER_PARTY // size + 1):
        ask(worker, greedy, *(new_id(frame * size + n) for n in range(size)))
    assert greedy.outcomes() == [Outcome.BUSY] * size
    ask(worker, modest, new_id())
    assert modest.told == []


@pytest.mark.parametrize("draining", ["worker", "connection"])
@pytest.mark.trio
async def test_a_drain_turns_new_requests_away(draining: str) -> None:
    worker = make_worker()
    line = Line(State.DRAINING if draining == "connection" else State.SERVING)
    worker.draining = draining == "worker"
    ask(worker, line, new_id())
    assert line.outcomes() == [Outcome.DRAINING]
    assert worker.load[1] == 0


class Recording:
    """A recorder that keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    async def work(self, finals: list[Any]) -> None:
        await trio.lowlevel.checkpoint()
        self.given += finals


@pytest.mark.trio
async def test_what_a_task_records_between_the_stages_turns_waits_for_no_other_request(
    autojump_clock: MockClock,
) -> None:
    worker, recorder = make_worker(), Recording()
    final = SimpleNamespace(source=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker._lanes._record_called, recorder)
        for count in (1, 2):
            worker.record([final])  # type: ignore[list-item]
            with trio.fail_after(1.0):
                while len(recorder.given) < count:
                    await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_what_a_stage_records_is_left_to_the_end_of_its_turn(autojump_clock: MockClock) -> None:
    worker, recorder = make_worker(), Recording()

    async def answer(_batch: object) -> None:
        worker.record([SimpleNamespace(source=None)])  # type: ignore[list-item]
        await trio.sleep(1.0)

    service: Any = SimpleNamespace(answer=answer, search=answer, search_rest=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker._lanes._record_called, recorder)
        await worker._lanes._answering(service, [[]])
        await worker._lanes._searching(service, [[]])
        assert recorder.given == []
        assert worker._lanes._record.weight == 2
        nursery.cancel_scope.cancel()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("hurried", "count", "attended"), [(True, 1, [lanes.ATTENDED_S, 0]), (True, 2, []), (False, 1, [])]
)
async def test_only_a_lone_response_of_a_hurried_service_is_attended(
    monkeypatch: pytest.MonkeyPatch, hurried: bool, count: int, attended: list[float]
) -> None:
    said: list[float] = []
    monkeypatch.setattr(lanes, "attend", said.append)
    worker, recorder = make_worker(), Recording()
    worker._lanes._hurried = hurried
    worker.record([SimpleNamespace(source=None)] * count)  # type: ignore[list-item]
    await worker._lanes._record_waiting(recorder)  # type: ignore[arg-type]
    assert len(recorder.given) == count
    assert said == attended
