"""What the measuring process tells the load process, and what it gets back; both as one line of JSON.

The load process writes `Mark`s: `started` when the measured interval begins, `ended` when it is over, and at last the
`Report`. Between the marks the measuring process reads the CPU time of everything.
"""

from typing import Final, Literal

import msgspec

SAMPLE_FRAMES_DEFAULT: Final = 64


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One case as the load process runs it.

    line: path of the ministry's directory; subjects: path of a Subjects file. rate: inquiries/s of an open loop, or 0
    for a closed one. inquiries: end the interval after so many instead of after `seconds`, or 0. sample: one response
    frame in so many is verified in full after the clock stops.
    """

    name: str
    line: str
    port: int
    subjects: str
    requests_per_frame: int
    in_flight: int
    connections: int
    seconds: float
    warm_up_s: float
    by_name: bool = False
    rate: float = 0.0
    inquiries: int = 0
    sample: int = SAMPLE_FRAMES_DEFAULT
    seed: int = 1
    expected_per_s: float = 30_000.0


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask for: codes of current records, and (name, address) that lead to one record only."""

    codes: list[str]
    names: list[tuple[str, str]]


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A moment of the load process; answered is the inquiries answered so far."""

    moment: Literal["started", "progress", "ended"]
    answered: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the load process measured.

    answered: responses within the interval of elapsed_s; latencies in ms of every inquiry sent or due in it, awaited
    to the end. outcomes: responses of the whole run by name of outcome. verified: responses whose proof was checked in
    full. cpu_s: this process's CPU time within the interval. built_late: frames that had to be signed within it.
    """

    elapsed_s: float
    answered: int
    asked: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    outcomes: dict[str, int]
    verified: int
    cpu_s: float
    built_late: int
    slots: list[int]
    unanswered: int = 0


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The load process could not finish; the sentence says why."""

    why: str


Said = Mark | Report | Failed
