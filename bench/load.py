"""The load process: `python -m bench.load`, a Plan on standard input, Marks and a Report on standard output.

One thread and one selector. Closed loop: every connection keeps `in_flight` frames unanswered; a frame's latency runs
from the moment it was due, which is when the answer before it was complete. Open loop: frames are due at a fixed rate
whether or not the centre keeps up, and a latency runs from then; being late makes latencies longer, never shorter.
"""

import random
import select
import sys
import time
from array import array
from collections import Counter, deque
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.figures import Schedule, summarise
from bench.frames import AHEAD_S_MAX, Frame, FrameMaker
from bench.plan import Failed, Mark, Plan, Report, Said, Subjects
from bench.wire import BenchError, Unread, connect
from certs.errors import CertsError
from certs.material import TlsMaterial
from gateway.peers.line_file import LineFileError, read_line_file
from hsm.errors import HsmError
from protocol.errors import ProtocolError
from protocol.messages import Response, ResponseBatch, Transient
from protocol.outcomes import Outcome

AHEAD_INQUIRIES_MAX = 300_000
DRAIN_S_MAX = 15.0
PROGRESS_S = 1.0

_responses = msgspec.msgpack.Decoder(ResponseBatch)
_clock = time.perf_counter


class Load:
    """One case in this process; made with its connections open and its first frames signed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        dialling = read_line_file(Path(plan.line), port=plan.port)
        material = TlsMaterial(dialling.files, now=datetime.now(UTC))
        subjects = msgspec.msgpack.decode(Path(plan.subjects).read_bytes(), type=Subjects)
        self.wires = [connect(dialling, material, slot=number) for number in range(plan.connections)]
        credit = min(wire.line.credit for wire in self.wires)
        if not plan.rate and plan.in_flight * plan.requests_per_frame > credit:
            raise BenchError(f"{plan.in_flight} frames of {plan.requests_per_frame} pass the line's credit of {credit}")
        self.frames_open_max = min(plan.in_flight, credit // plan.requests_per_frame)
        self.makers = [
            FrameMaker(plan, subjects, dialling.keystore, session=wire.line.session, owner=owner)
            for owner, wire in enumerate(self.wires)
        ]
        self.ready: list[deque[Frame]] = [deque() for _ in self.wires]
        self.open_frames = [0] * len(self.wires)
        self.pending: dict[bytes, Frame] = {}
        self.latencies = array("d")
        self.outcomes: Counter[int] = Counter()
        self.samples: list[tuple[int, bytes, list[bytes]]] = []
        self.responses = 0
        self.asked = 0
        self.built_late = 0
        self.from_s = float("inf")
        self.until_s = float("inf")
        self.answered_within = 0
        self._draw = random.Random(plan.seed)

    def prepare(self) -> None:
        """Sign ahead what the interval is expected to take; connections take turns."""
        plan = self.plan
        ahead_s = min(plan.warm_up_s + plan.seconds, AHEAD_S_MAX)
        inquiries = min((plan.rate or plan.expected_per_s) * ahead_s * 1.1, AHEAD_INQUIRIES_MAX)
        for _ in range(int(inquiries / plan.requests_per_frame / plan.connections) + plan.in_flight):
            for maker, ready in zip(self.makers, self.ready, strict=True):
                ready.append(maker.make())

    def send(self, owner: int, due: float) -> None:
        """Send the next frame of a connection, due at that time."""
        ready = self.ready[owner]
        if ready:
            frame = ready.popleft()
        else:
            frame = self.makers[owner].make()
            self.built_late += 1
        frame.due = due
        self.pending.update(dict.fromkeys(frame.ids, frame))
        self.open_frames[owner] += 1
        self.asked += len(frame.ids)
        wire = self.wires[owner]
        wire.write(wire.line.seal_request(frame.content))

    def wait(self, until: float) -> list[int]:
        """Wait for the sockets till a time at most and take what they hold; the connections that completed a frame."""
        sockets = [wire.tls for wire in self.wires]
        writing = [wire.tls for wire in self.wires if wire.out]
        # select, because it alone keeps microseconds; epoll would round the wait up to a millisecond
        readable, writable, _ = select.select(sockets, writing, [], max(0.0, until - _clock()))
        completed: list[int] = []
        for owner, wire in enumerate(self.wires):
            if wire.tls in writable:
                wire.flush()
            if wire.tls in readable:
                for event in wire.read():
                    if isinstance(event, Unread):
                        self._take(owner, event.content, completed)
        return completed

    def _take(self, owner: int, content: bytes, completed: list[int]) -> None:
        now = _clock()
        batch = _responses.decode(content)
        answers: list[Response | Transient] = [*batch.transients, *(batch.share.responses if batch.share else ())]
        sampled = not self.samples or self._draw.random() * self.plan.sample < 1  # the first one always
        asked: dict[int, bytes] = {}
        measured = self.latencies
        for answer in answers:
            frame = self.pending.pop(answer.request_id, None)
            if frame is None or frame.owner != owner:
                raise BenchError("a response to a request that was not asked on this connection")
            if self.from_s <= frame.due < self.until_s:
                measured.append(now - frame.due)
            if sampled:
                asked[id(frame)] = frame.content
            frame.left -= 1
            if not frame.left:
                self.open_frames[owner] -= 1
                completed.append(owner)
        if self.from_s <= now < self.until_s:
            self.answered_within += len(answers)
        self.responses += len(answers)
        self.outcomes.update([answer.outcome for answer in answers])
        if sampled:
            self.samples.append((owner, content, list(asked.values())))

    def run(self) -> Report:
        """Warm up, measure, wait for what is open, verify the sample."""
        start = _clock()
        begin = start + self.plan.warm_up_s
        self.from_s = begin
        end = float("inf") if self.plan.inquiries else begin + self.plan.seconds
        schedule = Schedule(start, self.plan.rate / self.plan.requests_per_frame) if self.plan.rate else None
        number, told, cpu_s, began_at = 0, begin, 0.0, 0
        began = False
        if schedule is None:
            for _ in range(self.plan.in_flight):
                for owner in range(len(self.wires)):
                    self.send(owner, _clock())
        while (now := _clock()) < end:
            if not began and now >= begin:
                began, cpu_s, began_at = True, time.process_time(), self.responses
                tell(Mark(moment="started"))
            if now >= told + PROGRESS_S:
                told = now
                tell(Mark(moment="progress", answered=self.responses))
            if began and self.plan.inquiries and self.responses - began_at >= self.plan.inquiries:
                break
            waking = min(end, told + PROGRESS_S, begin if not began else end)
            if schedule is not None:
                number = self._send_due(schedule, number, now)
                completed = self.wait(min(waking, schedule.due(number)) if self._free() is not None else waking)
            else:
                completed = self.wait(waking)
                for owner in completed:
                    self.send(owner, _clock())
        self.until_s = ended = _clock()
        cpu_s = time.process_time() - cpu_s
        answered = self.answered_within
        tell(Mark(moment="ended", answered=self.responses))
        if schedule is not None:  # what was due in the interval and found no credit is late, not forgotten
            while schedule.due(number) < ended and _clock() < ended + DRAIN_S_MAX:
                number = self._send_due(schedule, number, ended)
                self.wait(_clock() + 0.1)
        while self.pending and _clock() < ended + DRAIN_S_MAX:
            self.wait(_clock() + 0.1)
        found = summarise(self.latencies)
        return Report(
            elapsed_s=ended - begin,
            answered=answered,
            asked=self.asked,
            p50_ms=found.p50_ms,
            p99_ms=found.p99_ms,
            p999_ms=found.p999_ms,
            max_ms=found.max_ms,
            outcomes={Outcome(each).name: count for each, count in self.outcomes.items()},
            verified=self.verify(),
            cpu_s=cpu_s,
            built_late=self.built_late,
            slots=[wire.slot for wire in self.wires],
            unanswered=len(self.pending),
        )

    def _free(self) -> int | None:
        """The connection with the fewest open frames, if one may have another."""
        owner = min(range(len(self.wires)), key=self.open_frames.__getitem__)
        return owner if self.open_frames[owner] < self.frames_open_max else None

    def _send_due(self, schedule: Schedule, number: int, now: float) -> int:
        """Send every frame that is due by now and finds credit; the number of the next."""
        while (due := schedule.due(number)) <= now and (owner := self._free()) is not None:
            self.send(owner, due)
            number += 1
        return number

    def verify(self) -> int:
        """Check the sampled responses in full; how many. Raises: ProtocolError; BenchError for one not charged."""
        checked = 0
        for owner, content, asked in self.samples:
            for result in self.wires[owner].line.check(content, asked):
                if result.outcome == Outcome.EXACT and (result.entry is None or result.entry.yen <= 0):
                    raise BenchError("an answer was not recorded with its fee")
                checked += 1
        return checked

    def close(self) -> None:
        """Close the connections."""
        for wire in self.wires:
            wire.tls.close()


def tell(said: Said) -> None:
    """One line to the measuring process."""
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def main() -> int:
    """Run the plan on standard input."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)
    try:
        load = Load(plan)
        load.prepare()
        tell(load.run())
        load.close()
    except (BenchError, ProtocolError, CertsError, HsmError, LineFileError, OSError) as error:
        tell(Failed(why=f"{type(error).__name__}: {error}"))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
