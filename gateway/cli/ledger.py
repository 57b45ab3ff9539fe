"""`sekisho ledger`: verify a ledger, rebuild what people query of it, export a period for auditors."""

import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import click
import msgspec

from gateway.cli.place import data_option, reached
from gateway.collector import settle_collector
from gateway.host import run_guest
from gateway.ledger.errors import LedgerError
from gateway.ledger.findings import Report
from gateway.ledger.projection import project_all, rebuild
from gateway.ledger.verification import NoteNotBelieved, read_note, verify_ledger
from gateway.settlement.errors import SettlementError
from gateway.settlement.export import export, window_of
from gateway.settlement.periods import period
from gateway.settlement.windows import Window
from gateway.store.errors import StoreError
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, AUDIT_SESSION, open_reader
from gateway.store.pool import Database, open_database
from gateway.store.settlement import open_settlement
from gateway.store.settlement_acts import ActStore
from protocol.checkpoint import NOTE_BYTES_MAX, Checkpoint
from protocol.trust import BUNDLE_BYTES_MAX, Trust, TrustError, decode_trust

T = TypeVar("T")

_dsn = click.option(
    "--dsn", envvar="SEKISHO_DSN", show_envvar=True, help="Database, as a role that may read the ledger."
)


@click.group(name="ledger")
def command() -> None:
    """Verify the ledger, rebuild the projection of it, export a period.

    \b
    Example:
      sekisho ledger verify --data sekisho-demo
      sekisho ledger verify --dsn postgresql://... --trust trust.bundle --checkpoint kept.note
      sekisho ledger export 2026-10 --data sekisho-demo --out 2026-10.csv
    """


@command.command()
@_dsn
@data_option
@click.option(
    "--trust",
    "trust_file",
    type=click.Path(path_type=Path),
    help="The centre's trust bundle; that of --data otherwise.",
)
@click.option(
    "--checkpoint",
    "notes",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint someone kept; may be repeated. What it covers must still be there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(
    dsn: str | None, data: Path | None, trust_file: Path | None, notes: tuple[Path, ...], *, as_json: bool
) -> None:
    """Recompute the whole ledger and name what does not fit.

    Reads one snapshot and writes nothing; the gateway may go on working. The exit status is 0 when everything fits and
    1 when something does not.
    """
    if trust_file is None:
        if data is None:
            raise click.UsageError("name the centre's trust bundle with --trust, or the centre with --data DIR")
        trust_file = data / "trust.bundle"
    trust = _trust(trust_file)
    kept = [_kept(path, trust) for path in notes]
    progress = _Progress()

    async def run(database: Database) -> Report:
        settle_collector()
        async with open_reader(database) as reader:
            return await verify_ledger(reader, trust, kept=kept, progress=progress)

    with _reported(), reached(dsn, data) as place:
        report = _with_database(run, place, statement_ms=0)
    progress.end()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _print(report, kept)
    if not report.sound:
        sys.exit(1)


@command.command()
@_dsn
@data_option
@click.option("--rebuild", "anew", is_flag=True, help="Forget what was projected and begin again.")
def project(dsn: str | None, data: Path | None, *, anew: bool) -> None:
    """Fill the table of entries that people query from the blocks' bytes."""
    with _reported(), reached(dsn, data) as place:
        blocks = _with_database(rebuild if anew else project_all, place)
    click.echo(f"{blocks} blocks projected")


@command.command("export")
@click.argument("of", metavar="PERIOD")
@_dsn
@data_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file in place of standard output.")
def export_period(of: str, dsn: str | None, data: Path | None, out: Path | None) -> None:
    """Write every booking of PERIOD as CSV (UTF-8 with BOM) for auditors; all totals follow from it alone.

    A frozen period is as its freeze left it, whatever came later. PERIOD is a month (2026-10) or a quarter of a fiscal
    year (2026-Q3). Import the file into a table `export` of any database; the cells of the statement are then

    
      SELECT party, counterparty, matter, store,
             COUNT(*), SUM(copies), SUM(yen), SUM(commission), SUM(yen - commission)
      FROM export GROUP BY party, counterparty, matter, store;
    """
    span = period(of)

    async def run(database: Database) -> Window:
        settle_collector()
        acts = [row.act for row in await ActStore(database).acts()]
        async with open_settlement(database) as reader:
            window = await window_of(reader, acts, span)
            with _written(out) as file:
                async for piece in export(reader, window):
                    file.write(piece)
        return window

    with _reported(), reached(dsn, data) as place:
        window = _with_database(run, place, statement_ms=0)
    state = "open" if window.cut is None else "frozen"
    click.echo(f"{span.text} ({state}) in {out or 'standard output'}", err=True)


class _Progress:
    """One line on a terminal, renewed a few times a second."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = self._last = time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if self._shown and now - self._last >= 0.2:
            self._last = now
            rate = report.entries / (now - self._began)
            click.echo(f"\r{report.blocks:,} blocks, {report.entries:,} entries, {rate:,.0f}/s", err=True, nl=False)

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


def _print(report: Report, kept: Sequence[Checkpoint]) -> None:
    for finding in report.findings:
        click.echo(str(finding))
    if report.found > len(report.findings):
        click.echo(f"... and {report.found - len(report.findings)} more")
    click.echo(
        f"{report.streams} streams, {report.blocks} blocks, {report.entries} entries, {report.claims} claims,"
        f" {report.checkpoints} checkpoints over {report.leaves} blocks;"
        f" {report.uncovered} blocks not yet in the tree, {report.unprojected} not yet projected"
    )
    if report.sound:
        covered = f"; what {len(kept)} kept checkpoints cover is all there" if kept else ""
        click.echo(f"everything fits{covered}")
    else:
        click.echo(f"{report.found} things do not fit")


def _trust(path: Path) -> Trust:
    try:
        return decode_trust(_read(path, BUNDLE_BYTES_MAX))
    except TrustError as error:
        raise click.ClickException(f"--trust {path}: {error}") from error


def _kept(path: Path, trust: Trust) -> Checkpoint:
    try:
        return read_note(_read(path, NOTE_BYTES_MAX).decode(), trust)
    except (NoteNotBelieved, UnicodeDecodeError) as error:
        raise click.ClickException(f"--checkpoint {path}: not a checkpoint of this centre: {error}") from error


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}; name a file that can") from error


@contextmanager
def _written(path: Path | None) -> Iterator[IO[bytes]]:
    """A file that appears when it is whole, or standard output. Raises: click.ClickException when it cannot be had."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}; name another --out") from error
    finally:
        part.unlink(missing_ok=True)


def _with_database(run: Callable[[Database], Awaitable[T]], dsn: str, *, statement_ms: int = 600_000) -> T:
    async def connected() -> T:
        async with open_database(
            dsn,
            size=AUDIT_CONNECTIONS,
            role="ledger",
            read_write=False,
            statement_ms=statement_ms,
            session=AUDIT_SESSION,
        ) as database:
            return await run(database)

    result = run_guest(connected)
    if result is None:
        raise click.Abort
    return result


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (StoreError, LedgerError, SettlementError) as error:
        raise click.ClickException(str(error)) from error
