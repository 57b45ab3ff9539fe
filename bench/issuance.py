"""`python -m bench.issuance`: certificates from the card to the printed page, through a whole service on this host.

The centre with its workers, PostgreSQL, two municipalities, the cards' OCSP responder, the operator's relay and the
kiosks, which are a process of their own, all share the same cores. Kiosks are not what is measured, yet their
signatures and their reading of every page are on these cores too.

After every case the ledger is held against the coin slots: each certificate that was printed and paid is completed,
none else is, and the yen are the fee times the copies. At the end the whole ledger is verified.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from bench import centre, service
from bench.host import Host
from bench.issuance_cases import (
    DOCUMENTS_S_GOAL,
    NAMES,
    RATE,
    Case,
    CaseResult,
    PhaseResult,
    cases_of,
    faults,
    goals_missed,
    phase_result,
    recovered_s,
)
from bench.kit import documents_per_s
from bench.measure import MeasureError
from bench.sittings import PRINTED, READY, Fleet, SatDown
from bench.verify import Task, Verified, measure_verification
from gateway.app.configuration import ConfigurationError
from gateway.app.development_running import Service
from gateway.app.setup import SetupError
from gateway.app.supervisor import StartError
from gateway.store.errors import StoreError

OUT: Final = Path(__file__).parent / "out" / "issuance.json"
FEE_YEN: Final = 300
"""Of a 住民票 in the directory that services of development begin with."""
KIOSKS: Final = 300
START_IN_S: Final = 1.5
OPEN_S_MAX: Final = 120.0
SITTING_S_MAX: Final = 120.0
HEAD: Final = (
    f"{'case':<14}{'users/s':>8}{'users':>7}{'printed':>9}{'shed':>6}{'failed':>8}"
    f"{'sealed p50':>12}{'p99':>7}{'checked p50':>13}{'p99 ms':>8}{'sitting p50':>13}{'p99 ms':>8}"
)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """bench/out/issuance.json."""

    host: Host
    workers: int
    municipalities: int
    kiosks: int
    cards: int
    cases: list[CaseResult]
    renderer_documents_s: float
    ledger_verification: Verified
    goals_missed: list[str]


@click.command()
@click.option(
    "--rate", type=click.FloatRange(0.5, 500), default=RATE, show_default=True, help="Applications/s, steady."
)
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=20.0, show_default=True, help="Of a steady rate.")
@click.option(
    "--case", "names", multiple=True, type=click.Choice(NAMES), help="Only this case; may be repeated. All without."
)
@click.option("--kiosks", type=click.IntRange(1, 2000), default=KIOSKS, show_default=True, help="In the service.")
@click.option(
    "--cards",
    type=click.IntRange(10, 20_000),
    default=service.CARDS,
    show_default=True,
    help="Of each municipality. A card is asked about at the responder once a minute at most.",
)
@click.option("--processes", type=click.IntRange(1, 16), default=1, show_default=True, help="That hold the kiosks.")
@click.option("--workers", type=click.IntRange(1, 64), default=os.cpu_count() or 1, show_default="one a core")
@click.option("--data", type=click.Path(path_type=Path), help="Keep the service here; without it, made and removed.")
@click.option("--json", "out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="File to write.")
def main(
    rate: float,
    seconds: float,
    names: tuple[str, ...],
    kiosks: int,
    cards: int,
    processes: int,
    workers: int,
    data: Path | None,
    out: Path,
) -> None:
    """Measure certificates at kiosks: a steady rate, more than that, and ten times that for a while.

    \b
    steady   so many applications a second, each due at its moment whatever became of the others
    ladder   the same at 1.5, 2 and 3 times the rate, to see where it ends
    burst    ten times the rate for 10 s, between times of 5/s: what is shed, and how soon all is as before

    A latency runs from the moment an application was due until the sealed document is at the kiosk ("sealed"), and
    until every page of it was read and checked there ("checked"). "sitting" is all from the card to the receipt.

    \b
    Example:
      python -m bench.issuance --case steady --rate 45 --seconds 10
    """
    directory = data or Path(tempfile.mkdtemp(prefix="sekisho-bench-"))
    try:
        renderer = documents_per_s()
        _show_renderer(renderer)
        service.make(directory, workers=workers, kiosks=kiosks, cards=cards, say=click.echo)
        cases = cases_of(names, rate=rate, seconds=seconds)
        figures = trio.run(partial(_measured, directory, cases, processes=processes, renderer=renderer))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    except* (SetupError, StartError, ConfigurationError, MeasureError, StoreError, OSError) as group:
        raise click.ClickException(str(_first(group))) from group
    except* subprocess.CalledProcessError as group:
        raise click.ClickException(str(_first(group))) from group
    except* KeyboardInterrupt:
        raise click.Abort from None
    finally:
        if data is None:
            shutil.rmtree(directory, ignore_errors=True)
    click.echo(f"written: {out}")
    told = [f"{case.name}: {fault}" for case in figures.cases for fault in case.faults]
    if figures.ledger_verification.found:
        told.append(f"the ledger does not verify: {figures.ledger_verification.why}")
    if told:
        raise click.ClickException("; ".join(told))


async def _measured(data: Path, cases: Sequence[Case], *, processes: int, renderer: float) -> Figures:
    kiosks = service.kiosks_of(data)
    missed = [] if renderer >= DOCUMENTS_S_GOAL else [_renderer_missed(renderer)]
    done = []
    async with service.standing(data) as running:
        click.echo(
            f"{running.centre.workers} workers, {len(running.ports.towns)} municipalities, {len(kiosks)} kiosks in"
            f" {processes} process{'es' if processes > 1 else ''}; all on the same cores"
        )
        click.echo(HEAD)
        for case in cases:
            result = await _run(case, running, kiosks, processes=processes)
            done.append(result)
            _show(result)
            missed += [f"{case.name}: {goal}" for goal in result.goals_missed]
        task = Task(
            dsn=running.centre.database.ops,
            owner=running.centre.database.owner,
            trust=str(data / "centre" / "trust.bundle"),
        )
        verified = await measure_verification(task)
        click.echo(
            f"ledger verified: {verified.entries:,} entries in {verified.blocks:,} blocks; {verified.found} findings"
        )
        return Figures(
            host=centre.host(data / "centre"),
            workers=running.centre.workers,
            municipalities=len(running.ports.towns),
            kiosks=len(kiosks),
            cards=service.cards_of(data),
            cases=done,
            renderer_documents_s=round(renderer, 1),
            ledger_verification=verified,
            goals_missed=missed,
        )


async def _run(case: Case, running: Service, kiosks: Sequence[Path], *, processes: int) -> CaseResult:
    """One case, with processes of kiosks of its own. Raises: MeasureError."""
    since_us = time.time_ns() // 1000
    before: dict[str, float] = {}
    began = 0.0
    people = service.people(service.cards_of(running.data))
    outs = [running.data / f"sat-{share}" for share in range(processes)]
    async with trio.open_nursery() as nursery:
        fleets = []
        for share, out in enumerate(outs):
            fleet = Fleet(
                kiosks=[str(each) for each in kiosks[share::processes]],
                people=people,
                phases=list(case.phases),
                out=str(out),
                share=share,
                of=processes,
            )
            fleets.append(await _start(fleet, running.data / "kiosks.log"))
            nursery.start_soon(_kill_at_end, fleets[-1])
        for each in fleets:
            await _ready(case, each)
        start_us = time.time_ns() // 1000 + round(START_IN_S * 1e6)
        before, began = service.cpu_of(running), time.perf_counter()
        for each in fleets:
            if each.stdin is not None:
                await each.stdin.send_all(b"%d\n" % start_us)
        with trio.move_on_after(sum(phase.seconds for phase in case.phases) + SITTING_S_MAX):
            for each in fleets:
                await each.wait()
        if any(each.returncode != 0 for each in fleets):
            raise MeasureError(f"{case.name}: kiosks did not come to an end; see {running.data / 'kiosks.log'}")
        nursery.cancel_scope.cancel()
    seconds = time.perf_counter() - began
    after = service.cpu_of(running)
    downs = [msgspec.msgpack.decode(out.read_bytes(), type=SatDown) for out in outs]
    for out in outs:
        out.unlink()
    cpu = {part: after[part] - before[part] for part in after} | {"kiosks": sum(each.cpu_s for each in downs)}
    return await _result(case, running, downs, cpu, seconds=seconds, since_us=since_us)


async def _result(
    case: Case, running: Service, downs: Sequence[SatDown], cpu: dict[str, float], *, seconds: float, since_us: int
) -> CaseResult:
    sat = [each for down in downs for each in down.sat]
    printed = [each for each in sat if each.end == PRINTED]
    money = await service.money_of(running, {each.application for each in printed}, since_us=since_us)
    phases = [
        phase_result(phase, [each for each in sat if each.phase == index])
        for index, phase in enumerate(case.phases)
        if not phase.warm_up
    ]
    recovered = recovered_s(case, sat)
    wrong = [each for down in downs for each in down.wrong]
    copies, yen = sum(each.copies for each in printed), sum(each.yen for each in printed)
    return CaseResult(
        name=case.name,
        phases=phases,
        seconds=round(seconds, 3),
        cpu_percent={part: round(100 * each / seconds, 1) for part, each in cpu.items()},
        cpu_ms={part: round(1e3 * each / max(len(printed), 1), 2) for part, each in cpu.items()},
        wrong=wrong,
        rechecked=sum(down.rechecked for down in downs),
        kiosk_copies=copies,
        kiosk_yen=yen,
        fee_yen=FEE_YEN,
        money=money,
        recovered_s=recovered,
        goals_missed=goals_missed(case, phases, recovered),
        faults=faults(wrong=wrong, money=money, copies=copies, yen=yen, fee_yen=FEE_YEN),
    )


async def _start(fleet: Fleet, log: Path) -> trio.Process:
    with log.open("ab") as file:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "bench.kiosks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,
        )
    if process.stdin is None:
        raise MeasureError("a process of kiosks has no pipe")
    await process.stdin.send_all(msgspec.json.encode(fleet) + b"\n")
    return process


async def _kill_at_end(process: trio.Process) -> None:
    try:
        await trio.sleep_forever()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _ready(case: Case, process: trio.Process) -> None:
    said = b""
    with trio.move_on_after(OPEN_S_MAX):
        while process.stdout is not None and READY not in said and (more := await process.stdout.receive_some()):
            said += more
    if READY not in said:
        raise MeasureError(f"{case.name}: the kiosks have no line to the relay; see kiosks.log in the service")


def _show(result: CaseResult) -> None:
    for phase in result.phases:
        _show_phase(phase)
    cpu = ", ".join(f"{part} {each:.0f} % ({result.cpu_ms[part]:.1f} ms)" for part, each in result.cpu_percent.items())
    click.echo(f"{'':<14}CPU of one core (a certificate): {cpu}")
    for phase in result.phases:
        others = ", ".join(f"{end} {count}" for end, count in sorted(phase.ends.items()) if end != PRINTED)
        if others:
            click.echo(f"{'':<14}{phase.name}, not printed: {others}")
    money = result.money
    click.echo(
        f"{'':<14}wrong {len(result.wrong)}, lost {money.lost}; {money.yen:,} yen for {money.copies:,} copies in the"
        f" ledger {money.settled_s:.1f} s after the last receipt; {money.open_incidents} incidents open"
    )
    if result.recovered_s is not None:
        click.echo(f"{'':<14}as before {result.recovered_s:.1f} s after the burst")
    for goal in result.goals_missed:
        click.echo(f"{'':<14}missed: {goal}")
    for fault in result.faults:
        click.echo(f"{'':<14}FAULT: {fault}")


def _show_phase(phase: PhaseResult) -> None:
    click.echo(
        f"{phase.name:<14}{phase.per_s:>8g}{phase.users:>7}{phase.printed:>9}{phase.shed:>6}{phase.failed:>8}"
        f"{phase.sealed.p50_ms:>12.0f}{phase.sealed.p99_ms:>7.0f}{phase.checked.p50_ms:>13.0f}"
        f"{phase.checked.p99_ms:>8.0f}{phase.sitting.p50_ms:>13.0f}{phase.sitting.p99_ms:>8.0f}"
    )


def _renderer_missed(rate: float) -> str:
    return f"{rate:.0f} documents/s a core; the goal is {DOCUMENTS_S_GOAL:.0f}"


def _show_renderer(rate: float) -> None:
    click.echo(f"renderer: {rate:.0f} documents/s a core")
    if rate < DOCUMENTS_S_GOAL:
        click.echo(f"{'':<14}missed: {_renderer_missed(rate)}")


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


if __name__ == "__main__":
    main()
