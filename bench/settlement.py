"""`python -m bench.settlement`: a month's statements of 3,000,000 entries, and a payer's check of 1,000,000 proofs.

Each is measured in a process of its own, first with a third and then with the whole, so that the figures say whether
the cost grows linearly. The entries stand in the projection that settlement reads, unsigned; the payer's proofs are
of real blocks, of which each has two entries of the payer at least (a payer whose blocks have more of its entries
has fewer signatures to check). Making the data is not measured.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click
import msgspec

from bench.host import Host, describe_host
from bench.settlement_data import fill, make_payer
from bench.settlement_runs import Run, Task
from gateway.host import run_guest
from gateway.store.embedded import OWNER, ROLES, EmbeddedPostgres
from gateway.store.errors import StoreError
from gateway.store.migrate import migrate_now
from gateway.store.pool import open_database

OUT: Final = Path(__file__).parent / "out" / "settlement.json"
STATEMENT_S_MAX: Final = 60.0
STATEMENT_MB_MAX: Final = 500
STATEMENT_ENTRIES: Final = 3_000_000
PROVE_S_MAX: Final = 60.0
PROVE_PROOFS: Final = 1_000_000
GROWTH_MAX: Final = 1.3
"""The whole may cost so much more an entry than the third."""
RUN_S_MAX: Final = 1800


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """bench/out/settlement.json. Each pair is of a third and of the whole; share: a payer's entries in a block.

    proof_bytes: of a proof in the payer's book, by share.
    """

    host: Host
    statements: tuple[Run, Run]
    items: tuple[Run, Run]
    proofs: dict[int, tuple[Run, Run]]
    proof_bytes: dict[int, int]
    goals_missed: list[str]


def growth(third: Run, whole: Run) -> float:
    """How much more an entry of the whole cost than one of the third; 1.0 is linear."""
    if not third.seconds or not third.count or not whole.count:
        return 1.0
    return (whole.seconds / whole.count) / (third.seconds / third.count)


def _of_goal(run: Run, count: int) -> float:
    """How long as many would have taken as the goal says; 0.0 where the run is too small to say."""
    return run.seconds * count / run.count if run.count >= count // 10 else 0.0


def goals_missed(statements: tuple[Run, Run], items: tuple[Run, Run], proofs: dict[int, tuple[Run, Run]]) -> list[str]:
    """Each goal the figures miss, in words; times are of as many as the goal says, by the rate measured.

    A run of less than a tenth of that is all beginning and end: only its memory is judged.
    """
    missed = []
    statement_s = _of_goal(statements[1], STATEMENT_ENTRIES)
    if statement_s >= STATEMENT_S_MAX:
        missed.append(f"statements: {statement_s:.0f} s for 3,000,000 entries; the goal is under {STATEMENT_S_MAX:.0f}")
    missed += [
        f"{run.what}: {run.memory_mb} MB; the goal is under {STATEMENT_MB_MAX}"
        for run in (statements[1], items[1])
        if run.memory_mb >= STATEMENT_MB_MAX
    ]
    for share, (_, whole) in proofs.items():
        prove_s = _of_goal(whole, PROVE_PROOFS)
        if prove_s >= PROVE_S_MAX:
            missed.append(
                f"proofs, {share} to a block: {prove_s:.0f} s for 1,000,000; the goal is under {PROVE_S_MAX:.0f}"
            )
    for (third, whole), goal in ((statements, STATEMENT_ENTRIES), *((pair, PROVE_PROOFS) for pair in proofs.values())):
        if _of_goal(whole, goal) and growth(third, whole) > GROWTH_MAX:
            missed.append(f"{whole.what}: an entry of the whole costs {growth(third, whole):.2f} of one of the third")
    return missed


@click.command()
@click.option("--entries", type=click.IntRange(3_000, 30_000_000), default=STATEMENT_ENTRIES, show_default=True)
@click.option("--proofs", type=click.IntRange(300, 10_000_000), default=PROVE_PROOFS, show_default=True)
@click.option(
    "--share", "shares", type=click.IntRange(1, 64), multiple=True, default=(2, 8), show_default=True,
    help="A payer's entries in a block; may be repeated.",
)  # fmt: skip
@click.option("--json", "out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="File to write.")
def main(entries: int, proofs: int, shares: tuple[int, ...], out: Path) -> None:
    """Measure statements, the items of invoices, and the payer's check: a third, then the whole."""
    directory = Path(tempfile.mkdtemp(prefix="sekisho-bench-"))
    try:
        host, statements, items = _ledger(directory / "postgres", entries)
        checked, sizes = {}, {}
        for share in shares:
            checked[share], sizes[share] = _payer(directory / f"payer-{share}", proofs, share)
    except (StoreError, OSError, subprocess.SubprocessError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    figures = Figures(
        host=host,
        statements=statements,
        items=items,
        proofs=checked,
        proof_bytes=sizes,
        goals_missed=goals_missed(statements, items, checked),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    for goal in figures.goals_missed:
        click.echo(f"missed: {goal}")
    click.echo(f"written: {out}")


def _ledger(directory: Path, entries: int) -> tuple[Host, tuple[Run, Run], tuple[Run, Run]]:
    with EmbeddedPostgres(directory) as server:
        migrate_now(server.dsn(), passwords={role: server.passwords[role] for role in ROLES if role != OWNER})
        click.echo(f"making {entries // 3:,} and {entries:,} entries ...")

        async def filled() -> str:
            async with open_database(server.dsn(), size=1, role="bench", statement_ms=0) as owner:
                await fill(owner, entries)
                return str((await owner.fetch("show server_version"))[0][0])

        version = run_guest(filled, signals={})
        host = describe_host(postgres=version or "", fsync=True)
        pairs = [
            _pair(Task(what=what, place=server.dsn("sekisho_ops"), entries=entries)) for what in ("statement", "items")
        ]
    return host, pairs[0], pairs[1]


def _pair(task: Task) -> tuple[Run, Run]:
    return (
        _measured(msgspec.structs.replace(task, whole=False)),
        _measured(task),
    )


def _payer(directory: Path, proofs: int, share: int) -> tuple[tuple[Run, Run], int]:
    runs, size = [], 0
    for count in (proofs // 3, proofs):
        click.echo(f"making {count:,} proofs, {share} to a block ...")
        place = directory / str(count)
        size = make_payer(place, proofs=count, share=share)
        runs.append(_measured(Task(what="prove", place=str(place), entries=count)))
        shutil.rmtree(place)
    each = size // proofs
    click.echo(f"  {each} bytes a proof in the book: {each * 3_000_000 / 1e9:.2f} GB for 3,000,000 a month")
    return (runs[0], runs[1]), each


def _measured(task: Task) -> Run:
    ended = subprocess.run(
        [sys.executable, "-m", "bench.settlement_runs"],
        input=msgspec.json.encode(task),
        stdout=subprocess.PIPE,
        timeout=RUN_S_MAX,
        check=True,
    )
    run = msgspec.json.decode(ended.stdout, type=Run)
    server = f", PostgreSQL {run.server_mb:,} MB" if run.server_mb else ""
    click.echo(
        f"  {run.what:<10}{run.count:>10,} in {run.seconds:>7.2f} s, {run.cells:,} cells, {run.memory_mb:,} MB{server}"
    )
    return run


if __name__ == "__main__":
    main()
