"""The cases of a run and what a result says."""

from typing import Final

import msgspec


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A shape of load. in_flight: frames unanswered on each connection. expected_per_s sizes what is signed ahead.

    half_of: an open loop at half the rate that case reached. goals in inquiries/s and milliseconds, 0 for none; they
    hold for one worker with load generator and PostgreSQL on the same two cores.
    """

    name: str
    requests_per_frame: int
    in_flight: int
    connections: int
    expected_per_s: float
    by_name: bool = False
    half_of: str = ""
    inquiries: int = 0
    goal_per_s: float = 0.0
    goal_p50_ms: float = 0.0
    goal_p99_ms: float = 0.0


CASES: Final = (
    Case(
        name="alone",
        requests_per_frame=1,
        in_flight=1,
        connections=1,
        expected_per_s=1_500,
        goal_p50_ms=1.5,
        goal_p99_ms=4.0,
    ),
    Case(name="one-64", requests_per_frame=1, in_flight=16, connections=4, expected_per_s=10_000, goal_per_s=5_000),
    Case(
        name="eight",
        requests_per_frame=8,
        in_flight=8,
        connections=4,
        expected_per_s=30_000,
        goal_per_s=20_000,
        goal_p99_ms=25.0,
    ),
    Case(
        name="thirty-two", requests_per_frame=32, in_flight=8, connections=4, expected_per_s=45_000, goal_per_s=30_000
    ),
    Case(name="best", requests_per_frame=128, in_flight=4, connections=4, expected_per_s=55_000, goal_per_s=30_000),
    Case(name="open-half", requests_per_frame=8, in_flight=64, connections=4, expected_per_s=15_000, half_of="eight"),
    Case(name="names", requests_per_frame=8, in_flight=8, connections=4, expected_per_s=10_000, by_name=True),
)
SOAK: Final = Case(
    name="soak", requests_per_frame=8, in_flight=8, connections=4, expected_per_s=30_000, inquiries=1_000_000
)
SOAK_RSS_MB_MAX: Final = 150.0


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one case came to.

    in_flight: frames unanswered at most, over all connections. worker_rss_mb: the largest worker at the end;
    worker_rss_mb_by_s: each second of the run. cpu_percent: of one core, by part; cpu_us: microseconds an inquiry.
    outcomes: by name; anything but EXACT is an error. goals_missed: in words, empty when all are met.
    """

    name: str
    requests_per_frame: int
    in_flight: int
    connections: int
    workers: int
    open_rate_per_s: float
    seconds: float
    inquiries_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    worker_rss_mb: float
    worker_rss_mb_by_s: list[float]
    cpu_percent: dict[str, float]
    cpu_us: dict[str, float]
    outcomes: dict[str, int]
    errors: int
    verified: int
    signed_late_frames: int
    goals_missed: list[str]


def goals_missed(
    case: Case, *, inquiries_per_s: float, p50_ms: float, p99_ms: float, rss_mb_by_s: list[float]
) -> list[str]:
    """Each goal the figures miss, in words."""
    missed = []
    if inquiries_per_s < case.goal_per_s:
        missed.append(f"{inquiries_per_s:,.0f}/s; the goal is {case.goal_per_s:,.0f}")
    if case.goal_p50_ms and p50_ms >= case.goal_p50_ms:
        missed.append(f"p50 {p50_ms:.2f} ms; the goal is under {case.goal_p50_ms}")
    if case.goal_p99_ms and p99_ms >= case.goal_p99_ms:
        missed.append(f"p99 {p99_ms:.2f} ms; the goal is under {case.goal_p99_ms}")
    if case.inquiries and rss_mb_by_s:
        middle, last = rss_mb_by_s[len(rss_mb_by_s) // 2], rss_mb_by_s[-1]
        if last >= SOAK_RSS_MB_MAX:
            missed.append(f"a worker holds {last:.0f} MB; the goal is under {SOAK_RSS_MB_MAX:.0f}")
        if last > middle * 1.03 + 1:
            missed.append(f"a worker grew from {middle:.0f} to {last:.0f} MB in the second half")
    return missed
