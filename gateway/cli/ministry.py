"""`sekisho ministry`: the ministry's online search server (オンライン検索サーバ) with its users and terminals."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from gateway.cli.fetching import papers_of
from gateway.cli.ministry_people import data_option, record, terminal, user
from gateway.cli.receipt import jst
from gateway.ops.logs import configure_logging
from gateway.peers.line_file import line_from
from gateway.peers.ministry import history as records
from gateway.peers.ministry import paper
from gateway.peers.ministry.desk import EVENT_WORDS, Event, HistoryFilter
from gateway.peers.ministry.errors import SetupIncomplete
from gateway.peers.ministry.office import running_desk
from gateway.peers.ministry.serving import serve_terminals
from gateway.peers.ministry.settings import ALL, changed
from gateway.peers.ministry.setup import HOSTS_DEFAULT, Ministry, make_ministry, opened_ministry
from gateway.peers.proof_book import DIRECTORY, open_proof_book

HISTORY_SHOWN = 50


@click.group()
def command() -> None:
    """The ministry server, its users and its terminals (本人確認端末).

    \b
    Begin with:
      sekisho ministry init --data desk --line centre/ministry
      sekisho ministry user add --data desk clerk --staff staff-001 --right inquire --trained 2026-04-01
      sekisho ministry terminal add --data desk window-1 --out window-1.p12
      sekisho ministry serve --data desk
    """


command.add_command(user)
command.add_command(terminal)


@command.command()
@data_option
@click.option("--line", type=click.Path(path_type=Path), required=True, help="line.toml, or its directory.")
@click.option("--host", "hosts", multiple=True, help="Name or address terminals call; may be given again.")
def init(data: Path, line: Path, hosts: tuple[str, ...]) -> None:
    """Make the directory of a ministry server, over a line that exists."""
    make_ministry(data, line, hosts=hosts or HOSTS_DEFAULT, now=datetime.now(UTC))
    click.echo(f"ministry server in {data}; add users and terminals, then `sekisho ministry serve --data {data}`")


@command.command()
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="Port; 0 for any.")
@click.option("--line-port", type=click.IntRange(1, 65535), help="The centre's port, in place of the line file's.")
def serve(data: Path, host: str, port: int, line_port: int | None) -> None:
    """Serve terminals until Ctrl-C or SIGTERM; every session ends and what it showed is erased."""
    configure_logging()
    with opened_ministry(data, port=line_port) as ministry:
        trio.run(_serve, ministry, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _serve(ministry: Ministry, bind: str) -> None:
    from gateway.peers.ministry.web import make_app  # the other commands need no web framework

    shutdown = trio.Event()
    party = ministry.dialling.target.own.party
    with (
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals,
        open_proof_book(ministry.directory / DIRECTORY) as book,
    ):
        async with (
            line_from(ministry.dialling) as line,
            running_desk(ministry.store, line, ministry.dialling.trust, party=party, book=book) as desk,
            trio.open_nursery() as nursery,
        ):

            async def listen(task_status: trio.TaskStatus[list[str]]) -> None:
                try:
                    await serve_terminals(
                        make_app(desk), desk, ministry.terminals, bind=bind, shutdown=shutdown, task_status=task_status
                    )
                except* OSError as errors:
                    raise SetupIncomplete(f"cannot listen at {bind}; choose another --host or --port") from errors

            for address in await nursery.start(listen):
                click.echo(f"terminals: {address}; Ctrl-C ends")
            async for _ in signals:
                break
            shutdown.set()


@command.command()
@data_option
@click.argument("period", default="")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Fetch them to this directory.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--line-port", type=click.IntRange(1, 65535), help="The centre's port, in place of the line file's.")
def papers(data: Path, period: str, out: Path | None, *, as_json: bool, line_port: int | None) -> None:
    """List invoices and what goes with them, of PERIOD or of all periods; with --out fetch them over the line.

    \b
    Example, the first quarter of the fiscal year 2026:
      sekisho ministry papers 2026-Q1 --data desk --out invoices
    """
    with opened_ministry(data, port=line_port) as ministry:
        papers_of(ministry.dialling, period=period, out=out, as_json=as_json)


@command.command()
@data_option
@click.option("--user", "name", default="", help="Of one user only.")
@click.option("--event", type=click.Choice([event.value for event in Event]), help="Of one kind only.")
@click.option("--case", default="", help="Of one 案件番号 only.")
@click.option("--limit", type=click.IntRange(1, records.PAGE_MAX), default=HISTORY_SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--verify", "check", is_flag=True, help="Recompute the chain instead, and print its head.")
@click.option("--head", help="With --verify: a head printed earlier; finds lines cut off at the end.")
def history(
    data: Path, name: str, event: str | None, case: str, limit: int, *, as_json: bool, check: bool, head: str | None
) -> None:
    """Show or verify the operation history (操作履歴), newest first."""
    with opened_ministry(data) as ministry:
        if check:
            found = records.verify(ministry.store, kept=None if head is None else _head(head))
            click.echo(f"the history is whole: {found.number} lines. Write down its head:\n  {found}")
            return
        query = HistoryFilter(user=name, event=None if event is None else Event(event), case=case, limit=limit)
        _echo(records.read(ministry.store, query).entries, as_json, _history_line)


def _history_line(entry: Any) -> str:
    ja, en = EVENT_WORDS[entry.event]
    parts = [f"{entry.number:>7} {jst(entry.at_us)}", f"{ja} / {en}", entry.user, entry.terminal]
    parts += [f"{entry.affair}/{entry.step} {entry.case}"] if entry.affair else []
    parts += [entry.request_id, entry.detail, "個人番号" if entry.my_number else ""]
    return "  ".join(part for part in parts if part)


def _head(text: str) -> records.Head:
    number, _, mac = text.partition(":")
    try:
        return records.Head(int(number), bytes.fromhex(mac))
    except ValueError as error:
        raise click.BadParameter("a head is NUMBER:HEXADECIMAL, as --verify prints it", param_hint="--head") from error


@command.command()
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def forms(data: Path, *, as_json: bool) -> None:
    """Show the register of printed forms (帳票管理簿), newest first."""
    with opened_ministry(data) as ministry:
        _echo(paper.list_forms(ministry.store, None), as_json, _form_line)


def _form_line(form: Any) -> str:
    gone = f"{form.disposal} {jst(form.disposed_us)} {form.disposed_by}" if form.disposed_us else "not disposed of"
    return (
        f"{form.number}  {form.kind} x{form.copies}  {form.case}  {jst(form.printed_us)} {form.printed_by} "
        f"{form.terminal}  {gone}  {form.request_id}"
    )


@command.command()
@data_option
@click.argument("name", required=False)
@click.argument("value", type=int, required=False)
def settings(data: Path, name: str | None, value: int | None) -> None:
    """Show the settings, or set NAME to VALUE; it counts at once."""
    with opened_ministry(data) as ministry:
        if name is not None:
            if value is None:
                raise click.UsageError("give a VALUE too")
            with ministry.store.transaction():
                ministry.store.keep_settings(changed(ministry.store.settings, name, value))
                record(ministry, Event.SETTINGS, f"{name}={value}")
        for key, number in msgspec.structs.asdict(ministry.store.settings).items():
            bounds = ALL[key]
            click.echo(f"{key:<18} {number:>6}  {bounds.meaning} ({bounds.low} to {bounds.high})")


def _echo(entries: tuple[Any, ...], as_json: bool, text: Callable[[Any], str]) -> None:
    for entry in entries:
        click.echo(msgspec.json.encode(entry).decode() if as_json else text(entry))
