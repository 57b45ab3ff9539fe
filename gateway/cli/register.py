"""`sekisho register`: load notifications (法30条の7), see what the register holds, keep its periods."""

import csv
import datetime as dt
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from gateway.app.configuration import read_configuration
from gateway.cli.place import data_option, reached
from gateway.collector import settle_collector
from gateway.directory.hours import jst_date
from gateway.host import run_guest
from gateway.inquiry.file_load import Loaded, load_file
from gateway.inquiry.keys import make_keys
from gateway.inquiry.notification import FIELDS
from gateway.inquiry.notified_file import Format
from gateway.inquiry.preparing import PROCESSES_MAX
from gateway.inquiry.sample import notifications
from gateway.store.pool import Database, open_database
from gateway.store.register_history import (
    Counts,
    Notified,
    RetentionRow,
    count_versions,
    purge_expired,
    read_notified,
    read_retention,
    set_retention,
)
from hsm.opening import open_keystore, passphrase_from_file
from protocol.keys import Purpose

T = TypeVar("T")
SAMPLE_SEED: Final = 20_260
"""Not the seed of a centre's own synthetic residents: the sample's people are not among them."""
_dsn = click.option("--dsn", envvar="SEKISHO_DSN", show_envvar=True, help="Database, as the schema's owner.")
_format = click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), help="As the file's name says, unless given."
)


@click.group(name="register")
def command() -> None:
    """Load residents' notifications, see what the register holds, and purge what is past its period.

    \b
    Example:
      sekisho register sample --count 1000 sample.csv
      sekisho register load sample.csv --data sekisho-demo
      sekisho register status --data sekisho-demo
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_format
@_dsn
@data_option
@click.option(
    "--processes",
    type=click.IntRange(0, PROCESSES_MAX),
    default=PROCESSES_MAX,
    show_default=True,
    help="Processes that read and seal beside this one.",
)
def load(file: Path, form: Format | None, dsn: str | None, data: Path | None, processes: int) -> None:
    """Load a file of notifications, 本人確認情報の通知; the layout is in docs/OPERATIONS.md, The register.

    Rows that are not right go to FILE.rejected with line, field and remedy. Interrupted, by Ctrl-C or a failure, it
    goes on exactly once when it is started again with the same file. The gateway may go on answering. The exit status
    is 0 when every row was taken and 2 when some were rejected.
    """
    if data is None:
        raise click.UsageError("name the centre with --data DIR: its keystore opens the register's keys")
    form = _form(file, form)
    rejected = file.with_name(file.name + ".rejected")
    configuration = read_configuration(data)
    began = time.monotonic()
    with (
        reached(dsn, data) as place,
        Bar(
            TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        ) as bar,
    ):  # fmt: skip
        task = bar.add_task("lines", total=None)

        async def run(database: Database) -> Loaded:
            settle_collector()
            keystore = open_keystore(
                configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file)
            )
            try:
                seal = keystore.current(Purpose.SEAL, time.time_ns() // 1000).key_id
                keys = await make_keys(database, keystore, seal, random=secrets.token_bytes)
            finally:
                keystore.close()
            return await load_file(
                database, keys, file, form, refusals=rejected, today=_today(), processes=processes,
                progress=lambda at, lines: bar.update(task, completed=at.line, total=lines),
            )  # fmt: skip

        loaded = _with_database(run, place)
    if loaded is None:
        click.echo(f"interrupted; start it again with the same file and it goes on: {file}", err=True)
        sys.exit(130)
    _print_loaded(loaded, file, rejected, time.monotonic() - began)
    if loaded.refused:
        sys.exit(2)


def _print_loaded(loaded: Loaded, file: Path, rejected: Path, seconds: float) -> None:
    if loaded.finished_before:
        click.echo(f"{file} was loaded to its end before; nothing was done")
    else:
        if loaded.begun_at:
            click.echo(f"went on behind line {loaded.begun_at:,}")
        lines = loaded.lines - loaded.begun_at
        click.echo(f"{lines:,} lines in {seconds:.1f} s, {lines / max(seconds, 1e-9):,.0f} lines/s")
    click.echo(f"accepted {loaded.accepted:,} 受理, rejected {loaded.refused:,} 不受理")
    if loaded.refused:
        click.echo(f"rejected rows, by line and remedy: {rejected}")


@command.command()
@_dsn
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(dsn: str | None, data: Path | None, *, as_json: bool) -> None:
    """What the register holds, how far each municipality's notifications have come, and the periods in force."""

    async def run(database: Database) -> tuple[Counts, list[Notified], list[RetentionRow]]:
        return (
            await count_versions(database, _today()),
            await read_notified(database),
            await read_retention(database),
        )

    with reached(dsn, data) as place:
        found = _with_database(run, place)
    if found is None:
        sys.exit(130)
    counts, notified, periods = found
    if as_json:
        shown = {
            "versions": counts._asdict(),
            "notified": [each._asdict() for each in notified],
            "retention": [each._asdict() for each in periods],
        }
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
        return
    click.echo(f"standing 現存 {counts.standing:,}, superseded 履歴 {counts.superseded:,}")
    click.echo(f"past their period 保存期間経過 {counts.expired:,}")
    for period in periods:
        click.echo(f"kept {period.years} years if {period.kind} since {period.since} ({period.reference})")
    table = Table("municipality 団体コード", "last number 通知番号", "of 通知年月日", "accepted", "rejected", "missing")
    for each in notified:
        table.add_row(
            each.municipality,
            str(each.sequence),
            str(each.notified_on),
            *(f"{number:,}" for number in (each.accepted, each.refused, each.missing)),
        )
    Console().print(table)


@command.command()
@_dsn
@data_option
def purge(dsn: str | None, data: Path | None) -> None:
    """Delete every version whose period has ended. Until then it is there, but no inquiry finds it."""

    async def run(database: Database) -> int:
        gone = 0
        while portion := await purge_expired(database, _today()):
            gone += portion
        return gone

    with reached(dsn, data) as place:
        gone = _with_database(run, place)
    if gone is None:
        click.echo("interrupted; start it again to purge the rest", err=True)
        sys.exit(130)
    click.echo(f"{gone:,} versions purged 消去")


@command.command()
@_dsn
@data_option
@click.option("--kind", type=click.Choice(["superseded", "removed"]), required=True, help="修正前の記録, or 消除.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First notification date it holds for.")
@click.option("--years", type=click.IntRange(1, 1000), required=True, help="Whole years from the notification.")
@click.option("--reference", required=True, help="The ground, such as 施行令34条1項.")
def retention(dsn: str | None, data: Path | None, kind: str, since: dt.datetime, years: int, reference: str) -> None:
    """Enter a retention period. It holds for what is loaded from now on; periods already counted stay."""

    async def run(database: Database) -> bool:
        await set_retention(database, RetentionRow(kind, since.date(), years, reference))
        return True

    with reached(dsn, data) as place:
        if _with_database(run, place) is None:
            sys.exit(130)
    click.echo(f"{kind}: {years} years from {since.date()} on")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--count", type=click.IntRange(1, 10_000_000), default=1_000, show_default=True, help="Notifications.")
@click.option("--seed", type=int, default=SAMPLE_SEED, show_default=True, help="Another seed, other people.")
@_format
def sample(file: Path, count: int, seed: int, form: Format | None) -> None:
    """Write synthetic notifications to try loading with. Nobody real is meant, and every row is marked so."""
    form = _form(file, form)
    if file.exists():
        raise click.ClickException(f"{file} exists; choose another name")
    with file.open("x", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        if form == "csv":
            writer.writerow(FIELDS)
        for row in notifications(seed, count):
            if form == "csv":
                writer.writerow(msgspec.structs.astuple(row))
            else:
                out.write(msgspec.json.encode(row).decode() + "\n")
    click.echo(f"{count:,} synthetic notifications (合成データ) in {file}")


def _form(file: Path, form: Format | None) -> Format:
    if form is not None:
        return form
    if file.suffix == ".csv":
        return "csv"
    if file.suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    raise click.UsageError("say with --format whether the file is csv or jsonl")


def _today() -> dt.date:
    """The date at the register's office (Japan)."""
    return jst_date(time.time_ns() // 1000)


def _with_database(run: Callable[[Database], Awaitable[T]], dsn: str) -> T | None:
    """`run` with the database; None when a signal ended it."""

    async def opened() -> T:
        async with open_database(dsn, size=2, role="register") as database:
            return await run(database)

    return run_guest(opened)
