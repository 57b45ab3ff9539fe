"""The cases of `python -m bench.issuance` and what a result says. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from bench.figures import Latencies, summarise
from bench.service import Money
from bench.sittings import PRINTED, Phase, Sat

RATE: Final = 30.0
SEALED_MS_MAX: Final = 250.0
"""From application to sealed document, 99 of 100."""
DOCUMENTS_S_GOAL: Final = 100.0
RECOVERED_S_MAX: Final = 20.0
"""Users who came last wait 10 s for a kiosk (Fleet.patience_s) and then sit down: nothing can be as before sooner."""
BURST_TIMES: Final = 10
BURST_S: Final = 10.0
AROUND_PER_S: Final = 5.0
WARM_UP_S: Final = 6.0
"""At half the rate: a rate that is sustained is not one that begins at a cold service."""
NAMES: Final = ("steady", "ladder", "burst")
LADDER: Final = (1.5, 2.0, 3.0)
"""Times the steady rate."""
LADDER_S_MAX: Final = 10.0


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Users in phases. judged: the goal of the latency holds. burst: index of the phase that is more than can be."""

    name: str
    phases: tuple[Phase, ...]
    judged: bool = False
    burst: int | None = None


def cases_of(names: Sequence[str], *, rate: float, seconds: float) -> list[Case]:
    """The named cases, all for no names. rate: applications/s of the steady one; seconds: its length."""
    warm_up = Phase(name="warm-up", per_s=rate / 2, seconds=min(WARM_UP_S, seconds), warm_up=True)
    found = []
    for name in NAMES:
        if names and name not in names:
            continue
        if name == "steady":
            steady = Phase(name=name, per_s=rate, seconds=seconds)
            found.append(Case(name=name, phases=(warm_up, steady), judged=True))
        elif name == "ladder":
            for times in LADDER:
                step = Phase(name=f"at {rate * times:g}/s", per_s=rate * times, seconds=min(seconds, LADDER_S_MAX))
                found.append(Case(name=step.name, phases=(warm_up, step)))
        else:
            length = min(BURST_S, seconds)
            before = Phase(name="before", per_s=AROUND_PER_S, seconds=length / 2)
            burst = Phase(name="burst", per_s=rate * BURST_TIMES, seconds=length)
            after = Phase(name="after", per_s=AROUND_PER_S, seconds=length * 3)
            found.append(Case(name=name, phases=(before, burst, after), burst=1))
    return found


class PhaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the users of a phase.

    sealed: from the moment the application was due to the sealed document whole at the kiosk; checked: until every page
    of it was read and checked; sitting: the whole sitting. All over those that came to it. ready_late: users who were
    ready to apply only after their moment. shed: told "not now", nothing charged; failed: all else not printed.
    """

    name: str
    per_s: float
    users: int
    printed: int
    shed: int
    failed: int
    ends: dict[str, int]
    ready_late: int
    sealed: Latencies
    checked: Latencies
    sitting: Latencies


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a case came to. cpu_percent: of one core, by part; cpu_ms: a printed certificate. wrong: must be empty.

    recovered_s: from the end of the burst until users were served as ever again; None where they never were, or where
    there was no burst. kiosk_yen: what the coin slots kept; money: what the ledger says.
    """

    name: str
    phases: list[PhaseResult]
    seconds: float
    cpu_percent: dict[str, float]
    cpu_ms: dict[str, float]
    wrong: list[str]
    rechecked: int
    kiosk_copies: int
    kiosk_yen: int
    fee_yen: int
    money: Money
    recovered_s: float | None
    goals_missed: list[str]
    faults: list[str]


def phase_result(phase: Phase, sat: Sequence[Sat]) -> PhaseResult:
    """From the sittings of the phase."""
    ends = Counter(each.end for each in sat)
    shed = sum(each.shed for each in sat)
    return PhaseResult(
        name=phase.name,
        per_s=phase.per_s,
        users=len(sat),
        printed=ends[PRINTED],
        shed=shed,
        failed=len(sat) - shed - ends[PRINTED],
        ends=dict(ends),
        ready_late=sum(each.ready_late_us > 0 for each in sat),
        sealed=_summary([each.sealed_us for each in sat]),
        checked=_summary([each.checked_us for each in sat]),
        sitting=_summary([each.sitting_us for each in sat]),
    )


def recovered_s(case: Case, sat: Sequence[Sat]) -> float | None:
    """From the end of the burst to the first user after whom everybody was served, and at the goal's pace."""
    if case.burst is None:
        return None
    ended_us = round(1e6 * sum(phase.seconds for phase in case.phases[: case.burst + 1]))
    after = sorted((each for each in sat if each.phase > case.burst), key=lambda each: each.due_us)
    since: float | None = None
    for each in after:
        if each.end != PRINTED or each.checked_us is None or each.checked_us >= SEALED_MS_MAX * 1000:
            since = None
        elif since is None:
            since = max(0.0, (each.due_us - ended_us) / 1e6)
    return since


def goals_missed(case: Case, phases: Sequence[PhaseResult], recovered: float | None) -> list[str]:
    """Each goal the figures miss, in words."""
    missed = []
    if case.judged:
        for phase in phases:
            if phase.printed < phase.users:
                missed.append(f"{phase.users - phase.printed} of {phase.users} were not served at {phase.per_s:g}/s")
            if phase.checked.p99_ms >= SEALED_MS_MAX:
                missed.append(f"p99 {phase.checked.p99_ms:.0f} ms; the goal is under {SEALED_MS_MAX:.0f}")
    if case.burst is not None and (recovered is None or recovered > RECOVERED_S_MAX):
        when = "not again" if recovered is None else f"only {recovered:.1f} s later"
        missed.append(f"after the burst service was as before {when}; the goal is {RECOVERED_S_MAX:.0f} s")
    return missed


def faults(*, wrong: Sequence[str], money: Money, copies: int, yen: int, fee_yen: int) -> list[str]:
    """What must never be, in words. copies, yen: of the kiosks."""
    found = []
    if wrong:
        found.append(f"{len(wrong)} wrong documents: {'; '.join(wrong[:3])}")
    if money.lost:
        found.append(f"{money.lost} printed and paid, and not completed in the ledger")
    if money.unexplained:
        found.append(f"{money.unexplained} completed in the ledger that no kiosk printed")
    if not yen == money.yen == fee_yen * copies or money.copies != copies:
        found.append(
            f"{money.yen} yen for {money.copies} copies in the ledger, {yen} yen for {copies} copies at the kiosks,"
            f" {fee_yen} yen a copy"
        )
    return found


def _summary(values: Sequence[int | None]) -> Latencies:
    return summarise([max(0, each) / 1e6 for each in values if each is not None])
