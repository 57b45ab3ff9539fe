"""`python -m bench.inquiry`: the register at its size: loading it, finding by code, finding by name, and both at once.

The centre is made with the residents asked for, which is the load that is timed. A file of notifications goes through
`sekisho register load` twice, while the gateway stands: into the register of a centre of its own that has hardly
anybody yet, and onto the one of the size asked for, where every row touches a page of its own. Questions are asked as
in `python -m bench`, by processes of their own on the same cores; so what searches take from questions by code is both
their work and their share of them.
"""

import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from bench import centre
from bench.cases import CASES, Case, CaseResult
from bench.host import Host
from bench.measure import MeasureError, Setting, measure
from gateway.app.setup import SetupError
from gateway.app.supervisor import StartError
from gateway.store.errors import StoreError

OUT: Final = Path(__file__).parent / "out" / "inquiry.json"
LOAD_ROWS_PER_S_GOAL: Final = 20_000.0
LOAD_S_MILLION_MAX: Final = 90.0
BESIDE_RATIO_GOAL: Final = 0.9
"""A question by code may be slowed by searches at full rate by a tenth at most."""
NOTIFICATIONS_MAX: Final = 300_000
SMALL: Final = "small"
HARDLY_ANYBODY: Final = 1_000


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """One way of loading: rows, seconds, rows a second."""

    rows: int
    seconds: float
    rows_per_s: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """bench/out/inquiry.json. The loadings are None when the centre was there already.

    beside: by code while searches run, and those searches; beside_ratio: its inquiries/s over those of by_code alone.
    """

    host: Host
    workers: int
    residents: int
    synthetic: Loading | None
    notifications: Loading | None
    notifications_onto: Loading | None
    by_code: CaseResult
    by_name: CaseResult
    beside: tuple[CaseResult, CaseResult]
    beside_ratio: float
    worker_rss_mb: float
    goals_missed: list[str]


def case_of(name: str) -> Case:
    """A case of `python -m bench` without the goals, which are of another register."""
    found = next(case for case in CASES if case.name == name)
    return msgspec.structs.replace(found, goal_per_s=0.0, goal_p50_ms=0.0, goal_p99_ms=0.0)


BY_CODE: Final = case_of("eight")
BY_NAME: Final = case_of("names")


class _Clock:
    """Times a load from what it tells of its progress; the first run is not counted, for its start is not known."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)

    def __call__(self, done: int, of: int) -> None:
        self._last = done, time.perf_counter()
        if self._first is None:
            self._first = self._last
        if sys.stdout.isatty():
            click.echo(f"\r\x1b[2K{done:,} of {of:,}", nl=False)

    def loading(self) -> Loading | None:
        if self._first is None or self._last[0] == self._first[0]:
            return None
        rows, seconds = self._last[0] - self._first[0], self._last[1] - self._first[1]
        per_s = rows / seconds
        return Loading(rows=self._last[0], seconds=round(self._last[0] / per_s, 2), rows_per_s=round(per_s, 1))


def goals_missed(synthetic: Loading | None, notifications: Loading | None, ratio: float) -> list[str]:
    """Each goal the figures miss, in words."""
    missed = []
    if notifications is not None and notifications.rows_per_s < LOAD_ROWS_PER_S_GOAL:
        missed.append(f"notifications: {notifications.rows_per_s:,.0f} rows/s; the goal is {LOAD_ROWS_PER_S_GOAL:,.0f}")
    for what, loading in (("synthetic residents", synthetic), ("notifications", notifications)):
        if loading is not None and (million := 1e6 / loading.rows_per_s) >= LOAD_S_MILLION_MAX:
            missed.append(f"{what}: {million:.0f} s a million; the goal is under {LOAD_S_MILLION_MAX:.0f}")
    if ratio < BESIDE_RATIO_GOAL:
        missed.append(f"by code beside searches at {ratio:.2f} of its rate; the goal is {BESIDE_RATIO_GOAL}")
    return missed


@click.command()
@click.option("--residents", type=click.IntRange(100, 5_000_000), default=1_000_000, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=5.0, show_default=True, help="Interval of a case.")
@click.option("--workers", type=click.IntRange(1, 64), default=os.cpu_count() or 1, show_default="one a core")
@click.option("--data", type=click.Path(path_type=Path), help="Keep the centre here; without it, made and removed.")
@click.option("--json", "out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="File to write.")
def main(residents: int, seconds: float, workers: int, data: Path | None, out: Path) -> None:
    """Measure the register with so many residents: loading, by code, by name, by code while names are searched."""
    directory = data or Path(tempfile.mkdtemp(prefix="sekisho-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    clock = _Clock()
    try:
        centre.make(directory, workers=workers, count=residents, say=click.echo, progress=clock)
        synthetic = clock.loading()
        if synthetic is not None:
            _show_loading("synthetic residents", synthetic)
            centre.make(directory / SMALL, workers=1, count=HARDLY_ANYBODY, say=lambda _: None)
        figures = trio.run(partial(_measured, directory, synthetic, residents=residents, seconds=seconds))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    except* (SetupError, StartError, MeasureError, StoreError, OSError) as group:
        leaf: BaseException = group
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        raise click.ClickException(str(leaf)) from group
    finally:
        if data is None:
            shutil.rmtree(directory, ignore_errors=True)
    for goal in figures.goals_missed:
        click.echo(f"missed: {goal}")
    click.echo(f"written: {out}")
    wrong = [case.name for case in (figures.by_code, figures.by_name, *figures.beside) if case.errors]
    if wrong:
        raise click.ClickException(f"inquiries without an answer: {', '.join(wrong)}")


async def _measured(data: Path, synthetic: Loading | None, *, residents: int, seconds: float) -> Figures:
    notifications = None
    if synthetic is not None:
        async with centre.standing(data / SMALL, say=lambda _: None):
            notifications = await _load_file(data / SMALL, min(residents, NOTIFICATIONS_MAX))
        _show_loading("notifications", notifications)
    async with centre.standing(data, say=click.echo) as (gateway, parts):
        setting = Setting(
            line=data / "ministry",
            port=gateway.port,
            subjects=centre.subjects_file(data),
            seconds=seconds,
            warm_up_s=min(1.0, seconds / 2),
            workers=gateway.workers,
        )

        async def run(case: Case, seed: int) -> CaseResult:
            return await measure(case, setting, parts, rate=0.0, seed=seed, told=lambda _: None)

        by_code = await run(BY_CODE, 1)
        _show("by code", by_code)
        by_name = await run(BY_NAME, 2)
        _show("by name", by_name)
        beside: dict[str, CaseResult] = {}

        async def keep(case: Case, seed: int) -> None:
            beside[case.name] = await run(case, seed)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep, BY_CODE, 3)
            nursery.start_soon(keep, BY_NAME, 4)
        code, name = beside[BY_CODE.name], beside[BY_NAME.name]
        _show("by code, beside", code)
        _show("by name, beside", name)
        ratio = code.inquiries_per_s / by_code.inquiries_per_s if by_code.inquiries_per_s else 0.0
        click.echo(f"by code while names are searched: {ratio:.2f} of its rate alone")
        onto = None
        if synthetic is not None:
            onto = await _load_file(data, min(residents, NOTIFICATIONS_MAX))
            _show_loading(f"notifications, onto {residents:,}", onto)
        return Figures(
            host=centre.host(data),
            workers=gateway.workers,
            residents=residents,
            synthetic=synthetic,
            notifications=notifications,
            notifications_onto=onto,
            by_code=by_code,
            by_name=by_name,
            beside=(code, name),
            beside_ratio=round(ratio, 3),
            worker_rss_mb=round(parts.worker_rss_mb(), 1),
            goals_missed=goals_missed(synthetic, notifications, ratio),
        )


async def _load_file(data: Path, count: int) -> Loading:
    """Load so many notifications through the command, with the gateway standing beside."""
    file = data / "notifications.csv"
    sekisho = [sys.executable, "-m", "gateway.cli"]
    await trio.run_process([*sekisho, "register", "sample", str(file), "--count", str(count)])
    began = time.perf_counter()
    done = await trio.run_process(
        [*sekisho, "register", "load", str(file), "--data", str(data)], check=False, capture_stdout=True
    )
    seconds = time.perf_counter() - began
    file.unlink()
    if done.returncode != 0:
        raise MeasureError(f"the load of notifications ended with status {done.returncode}")
    return Loading(rows=count, seconds=round(seconds, 2), rows_per_s=round(count / seconds, 1))


def _show_loading(what: str, loading: Loading) -> None:
    click.echo(f"{what}: {loading.rows:,} rows in {loading.seconds:.1f} s, {loading.rows_per_s:,.0f} rows/s")


def _show(what: str, result: CaseResult) -> None:
    click.echo(
        f"{what:<18}{result.inquiries_per_s:>10,.0f}/s  p50 {result.p50_ms:.2f} ms  p99 {result.p99_ms:.2f} ms"
        f"  worker {result.worker_rss_mb:.0f} MB"
    )


if __name__ == "__main__":
    main()
