"""Arithmetic of a run: percentiles and the intended times of an open loop. Nothing here reads a clock."""

import math
from collections.abc import Sequence

import msgspec


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles and the largest of one run, in milliseconds; all 0 when nothing was measured."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The smallest value that at least `fraction` of the values do not exceed (nearest rank: no interpolation).

    `ordered` ascends. Raises: ValueError for no values or a fraction outside (0, 1].
    """
    if not ordered or not 0 < fraction <= 1:
        raise ValueError("a percentile takes values and a fraction above 0, up to 1")
    # The product is rounded so that 0.99 of 100 is the 99th value in spite of binary fractions.
    return ordered[math.ceil(round(fraction * len(ordered), 9)) - 1]


def summarise(seconds: Sequence[float]) -> Latencies:
    """The latencies of a run from its single values in seconds, in any order."""
    if not seconds:
        return Latencies(count=0, p50_ms=0.0, p99_ms=0.0, p999_ms=0.0, max_ms=0.0)
    ordered = sorted(seconds)
    p50, p99, p999 = (percentile(ordered, fraction) * 1e3 for fraction in (0.5, 0.99, 0.999))
    return Latencies(count=len(ordered), p50_ms=p50, p99_ms=p99, p999_ms=p999, max_ms=ordered[-1] * 1e3)


class Schedule:
    """When each frame of an open loop is due, however late the one before it was.

    start: a clock's reading in seconds; frames_per_s: the fixed rate. Frame `number` counts from 0.
    """

    def __init__(self, start: float, frames_per_s: float) -> None:
        if frames_per_s <= 0:
            raise ValueError(f"a rate of {frames_per_s} frames/s has no schedule")
        self.start = start
        self.frames_per_s = frames_per_s

    def due(self, number: int) -> float:
        """The intended time of a frame, computed from the start so that no error adds up."""
        return self.start + number / self.frames_per_s
