"""`python -m bench`: measure a centre of its own on this host and write the figures down."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError

import click
import msgspec
import trio

from bench import centre
from bench.cases import CASES, SOAK, Case, CaseResult
from bench.host import Host
from bench.measure import MeasureError, Setting, measure
from bench.verify import GOAL_PER_S, Task, Verified, measure_verification
from gateway.app.configuration import ConfigurationError
from gateway.app.setup import SetupError
from gateway.app.supervisor import StartError
from gateway.store.errors import StoreError

OUT = Path(__file__).parent / "out" / "latest.json"
HEAD = (
    f"{'case':<12}{'a frame':>8}{'in flight':>10}{'inquiries/s':>13}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}"
    f"{'worker MB':>11}"
)


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """bench/out/latest.json."""

    host: Host
    workers: int
    residents: int
    cases: list[CaseResult]
    ledger_verification: Verified


@click.command()
@click.option("--quick", is_flag=True, help="One second a case and 20,000 residents: to see that it runs.")
@click.option(
    "--case",
    "names",
    multiple=True,
    type=click.Choice([case.name for case in CASES]),
    help="Only this case; may be repeated. An open case brings the one it is half of.",
)
@click.option("--soak", is_flag=True, help="Also 1,000,000 inquiries in a row, watching the worker's memory.")
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=None, help="Measured interval of a case (5).")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=os.cpu_count() or 1,
    show_default="one a core",
    help="Worker processes.",
)
@click.option("--residents", type=click.IntRange(100, 5_000_000), default=None, help="In the register (200,000).")
@click.option("--data", type=click.Path(path_type=Path), help="Keep the centre here; without it, made and removed.")
@click.option("--json", "out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="File to write.")
def main(
    quick: bool,
    names: tuple[str, ...],
    soak: bool,
    seconds: float | None,
    workers: int,
    residents: int | None,
    data: Path | None,
    out: Path,
) -> None:
    """Measure inquiries through a whole centre on this host: workers, PostgreSQL and load side by side."""
    cases = [*chosen(names), *([SOAK] if soak else [])]
    count = residents or (20_000 if quick else 200_000)
    directory = data or Path(tempfile.mkdtemp(prefix="sekisho-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        centre.make(directory, workers=workers, count=count, say=click.echo)
        run = partial(run_cases, directory, cases, seconds=seconds or (1.0 if quick else 5.0), residents=count)
        latest = trio.run(run)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(latest), indent=2) + b"\n")
        click.echo(f"written: {out}")
    except* (
        SetupError,
        StartError,
        ConfigurationError,
        MeasureError,
        StoreError,
        CalledProcessError,
        OSError,
    ) as group:
        raise click.ClickException(str(_first(group))) from group
    except* KeyboardInterrupt:
        raise click.Abort from None
    finally:
        if data is None:
            shutil.rmtree(directory, ignore_errors=True)
    if latest.ledger_verification.found:
        raise click.ClickException(f"the ledger does not verify: {latest.ledger_verification.why}")
    wrong = [result for result in latest.cases if result.errors]
    if wrong:
        told = "; ".join(f"{result.name}: {centre.errors(result.outcomes) or 'unanswered'}" for result in wrong)
        raise click.ClickException(f"inquiries without an answer: {told}")


def chosen(names: Sequence[str]) -> list[Case]:
    """The named cases in their order, with those they are half of; all for no names."""
    wanted = {*names, *(case.half_of for case in CASES if case.name in names)}
    return [case for case in CASES if not names or case.name in wanted]


async def run_cases(data: Path, cases: list[Case], *, seconds: float, residents: int) -> Latest:
    """Start the centre, run the cases one after the other, print each as it is done."""
    done: list[CaseResult] = []
    async with centre.standing(data, say=click.echo) as (gateway, parts):
        setting = Setting(
            line=data / "ministry",
            port=gateway.port,
            subjects=centre.subjects_file(data),
            seconds=seconds,
            warm_up_s=min(1.0, seconds / 2),
            workers=gateway.workers,
        )
        click.echo(f"{gateway.workers} workers; {residents:,} residents; {seconds:g} s a case, load on the same cores")
        click.echo(HEAD)
        for seed, case in enumerate(cases):
            rate = next((each.inquiries_per_s / 2 for each in done if each.name == case.half_of), 0.0)
            result = await measure(case, setting, parts, rate=rate, seed=seed, told=partial(_progress, case.name))
            done.append(result)
            _show(result)
        database = gateway.database
        task = Task(dsn=database.ops, owner=database.owner, trust=str(data / "trust.bundle"))
        verified = await measure_verification(task)
        _show_verified(verified)
        return Latest(
            ledger_verification=verified,
            host=centre.host(data),
            workers=gateway.workers,
            residents=residents,
            cases=done,
        )


def _progress(name: str, answered: int) -> None:
    if sys.stdout.isatty():
        click.echo(f"\r\x1b[2K{name}: {answered:,} answered", nl=False)


def _show(result: CaseResult) -> None:
    if sys.stdout.isatty():
        click.echo("\r\x1b[2K", nl=False)
    click.echo(
        f"{result.name:<12}{result.requests_per_frame:>8}{result.in_flight:>10}{result.inquiries_per_s:>13,.0f}"
        f"{result.p50_ms:>9.2f}{result.p99_ms:>9.2f}{result.p999_ms:>10.2f}{result.worker_rss_mb:>11.0f}"
    )
    cpu = ", ".join(f"{part} {each:.0f} % ({result.cpu_us[part]:.1f} µs)" for part, each in result.cpu_percent.items())
    click.echo(f"{'':<12}CPU of one core (an inquiry): {cpu}; {result.verified:,} proofs verified")
    for goal in result.goals_missed:
        click.echo(f"{'':<12}missed: {goal}")


def _show_verified(verified: Verified) -> None:
    click.echo(
        f"ledger verified: {verified.entries:,} entries in {verified.blocks:,} blocks,"
        f" {verified.entries_per_cpu_s:,.0f}/s a core, {verified.entries_per_s:,.0f}/s by the clock;"
        f" {verified.found} findings"
    )
    if verified.entries_per_cpu_s < GOAL_PER_S:
        click.echo(f"{'':<12}missed: {verified.entries_per_cpu_s:,.0f}/s a core; the goal is {GOAL_PER_S:,.0f}")


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


if __name__ == "__main__":
    main()
