"""Measuring one case: the load in a process of its own, CPU and memory of every part beside it.

Plain Trio. Cancelled, it ends its load process before it returns.
"""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import msgspec
import trio

from bench.cases import Case, CaseResult, goals_missed
from bench.host import cpu_s, family_cpu_s, rss_mb
from bench.plan import Failed, Plan, Report, Said

STALL_S_MAX = 90.0
"""A load process that says nothing for so long is ended."""


class MeasureError(Exception):
    """A case gave no result; the sentence says why."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of a gateway: workers and ops by name, and the database's first."""

    pids: Mapping[str, int]
    postmaster: int

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far: workers together, ops, postgres."""
        workers = sum(cpu_s(pid) for name, pid in self.pids.items() if name.startswith("worker"))
        return {"workers": workers, "ops": cpu_s(self.pids["ops"]), "postgres": family_cpu_s(self.postmaster)}

    def worker_rss_mb(self) -> float:
        """Of the largest worker."""
        return max(rss_mb(pid) for name, pid in self.pids.items() if name.startswith("worker"))


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What all cases of a run share: the ministry's directory, the line's port, the subjects, times, workers."""

    line: Path
    port: int
    subjects: Path
    seconds: float
    warm_up_s: float
    workers: int


async def measure(
    case: Case, setting: Setting, parts: Parts, *, rate: float, seed: int, told: Callable[[int], None]
) -> CaseResult:
    """Run a case. rate: of an open loop, in inquiries/s, or 0. `told` hears how many are answered.

    Raises: MeasureError.
    """
    plan = Plan(
        name=case.name,
        line=str(setting.line),
        port=setting.port,
        subjects=str(setting.subjects),
        requests_per_frame=case.requests_per_frame,
        in_flight=case.in_flight,
        connections=case.connections,
        seconds=setting.seconds,
        warm_up_s=setting.warm_up_s,
        by_name=case.by_name,
        rate=rate,
        inquiries=case.inquiries,
        seed=seed,
        expected_per_s=case.expected_per_s,
    )
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    rss: list[float] = []
    report: Report | None = None
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        async with aclosing(_said(process, plan)) as sayings:
            async for said in sayings:
                if isinstance(said, Failed):
                    raise MeasureError(f"{case.name}: {said.why}")
                if isinstance(said, Report):
                    report = said
                    break
                if said.moment == "started":
                    before = parts.cpu_s()
                elif said.moment == "ended":
                    after = parts.cpu_s()
                rss.append(round(parts.worker_rss_mb(), 1))
                told(said.answered)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
    if report is None:
        raise MeasureError(f"{case.name}: the load process ended without a report (status {process.returncode})")
    return _result(case, report, rate, setting.workers, rss, {part: after[part] - before[part] for part in after})


async def _said(process: trio.Process, plan: Plan) -> AsyncGenerator[Said, None]:
    """What the load process says, until it ends."""
    if process.stdin is None or process.stdout is None:
        raise MeasureError("the load process has no pipes")
    await process.stdin.send_all(msgspec.json.encode(plan) + b"\n")
    buffer = bytearray()
    while True:
        with trio.move_on_after(STALL_S_MAX) as patience:
            data = await process.stdout.receive_some(64 << 10)
        if patience.cancelled_caught:
            raise MeasureError(f"the load process said nothing for {STALL_S_MAX:.0f} s")
        if not data:
            return
        buffer += data
        *lines, rest = buffer.split(b"\n")
        buffer = bytearray(rest)
        for line in lines:
            yield msgspec.json.decode(line, type=Said)


def _result(
    case: Case, report: Report, rate: float, workers: int, rss: list[float], cpu: dict[str, float]
) -> CaseResult:
    per_s = report.answered / report.elapsed_s
    cpu = {**cpu, "load": report.cpu_s}
    return CaseResult(
        name=case.name,
        requests_per_frame=case.requests_per_frame,
        in_flight=case.in_flight * case.connections,
        connections=case.connections,
        workers=workers,
        open_rate_per_s=round(rate, 1),
        seconds=round(report.elapsed_s, 3),
        inquiries_per_s=round(per_s, 1),
        p50_ms=round(report.p50_ms, 3),
        p99_ms=round(report.p99_ms, 3),
        p999_ms=round(report.p999_ms, 3),
        max_ms=round(report.max_ms, 3),
        worker_rss_mb=rss[-1],
        worker_rss_mb_by_s=rss,
        cpu_percent={part: round(100 * each / report.elapsed_s, 1) for part, each in cpu.items()},
        cpu_us={part: round(1e6 * each / max(report.answered, 1), 2) for part, each in cpu.items()},
        outcomes=report.outcomes,
        errors=sum(count for name, count in report.outcomes.items() if name != "EXACT") + report.unanswered,
        verified=report.verified,
        signed_late_frames=report.built_late,
        goals_missed=goals_missed(
            case, inquiries_per_s=per_s, p50_ms=report.p50_ms, p99_ms=report.p99_ms, rss_mb_by_s=rss
        ),
    )
