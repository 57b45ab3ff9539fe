"""`sekisho directory`: check a directory file, make it current, show it, stop and resume provision."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click

from gateway.cli.directory_summary import counts, summary
from gateway.cli.directory_summary import menu as menu_text
from gateway.cli.place import data_option, reached
from gateway.directory import apply as changes
from gateway.directory.apply import Applied, Change
from gateway.directory.errors import DirectoryError
from gateway.directory.hours import JST
from gateway.directory.model import Scope
from gateway.directory.offers import menu as menu_of
from gateway.directory.policy import Refused
from gateway.directory.toml import read
from gateway.directory.toml_participants import CARD_TYPE_NAMES
from gateway.host import run_guest
from gateway.store import notices as notice_store
from gateway.store.errors import StoreError
from gateway.store.notices import Notice
from gateway.store.pool import Database, open_database
from protocol.messages import NoticeKind
from protocol.outcomes import CATALOGUE

T = TypeVar("T")

_file = click.argument("file", type=click.Path(path_type=Path))
_dsn = click.option("--dsn", envvar="SEKISHO_DSN", show_envvar=True, help="Database, as a role that may change it.")
_asked_by = click.option("--asked-by", required=True, help="Who asks for the change.")
_approved_by = click.option("--approved-by", required=True, help="Who approves it; another person.")
_reference = click.option("--reference", required=True, help="Reference of the written agreement or decision.")
_scope = click.argument("scope", type=click.Choice([scope.value for scope in Scope]))
_target = click.argument("target", default="")


@click.group(name="directory")
def command() -> None:
    """Who may do what: parties, lines, contracts, staff, municipalities and what they offer, suspensions.

    \b
    Example:
      sekisho directory check directory.toml
      sekisho directory apply directory.toml --asked-by A --approved-by B --reference 2026-12
      sekisho directory menu cvs-dev 121002
      sekisho directory suspend line mlit/line-1 --ground "key in doubt" --asked-by A
    """


@command.command()
@_file
def check(file: Path) -> None:
    """Read FILE and say whether it can be a directory; no database is needed."""
    with _reported():
        document = read(file)
    click.echo(f"{file}: good; {counts(document)}")


@command.command()
@_file
@_dsn
@data_option
@_asked_by
@_approved_by
@_reference
def apply(file: Path, dsn: str | None, data: Path | None, asked_by: str, approved_by: str, reference: str) -> None:
    """Make FILE the current directory; suspensions without an end stay in force."""
    change = Change(asked_by=asked_by, approved_by=approved_by, reference=reference, at_us=_now_us())
    with _reported():
        document = read(file)
        applied = _with_database(dsn, data, lambda database: changes.apply(database, document, change))
    click.echo(_said(applied, counts(document)))


@command.command()
@_dsn
@data_option
@click.option("--json", "as_json", is_flag=True, help="The whole document, as it is stored.")
def show(dsn: str | None, data: Path | None, as_json: bool) -> None:
    """Show the current directory."""
    with _reported():
        directory = _with_database(dsn, data, changes.load)
    click.echo(directory.document.encode().decode() if as_json else summary(directory, _now_us()))


@command.command()
@click.argument("operator")
@click.argument("municipality")
@click.option(
    "--card",
    type=click.Choice(list(CARD_TYPE_NAMES)),
    default="my-number-card",
    show_default=True,
    help="The type of card that is used.",
)
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="A time in Japan; now when left out.")
@_dsn
@data_option
def menu(operator: str, municipality: str, card: str, at: datetime | None, dsn: str | None, data: Path | None) -> None:
    """Show what kiosks of OPERATOR are told MUNICIPALITY (six digits) offers; exit 1 when they are refused.

    \b
    Example:
      sekisho directory menu cvs-dev 121002 --at 2026-12-29T12:00
    """
    at_us = _now_us() if at is None else int(at.replace(tzinfo=JST).timestamp()) * 1_000_000
    with _reported():
        directory = _with_database(dsn, data, changes.load)
    shown = menu_of(
        directory, operator=operator, municipality=municipality, card_type=CARD_TYPE_NAMES[card], at_us=at_us
    )
    if isinstance(shown, Refused):
        said = CATALOGUE[shown.outcome]
        raise click.ClickException(f"{shown.outcome.name}: {said.ja} / {said.en}; {shown.field}: {shown.remedy}")
    click.echo(menu_text(shown))


@command.command()
@_scope
@_target
@_dsn
@data_option
@click.option("--ground", required=True, help="Why; the parties concerned read it.")
@_asked_by
@click.option("--approved-by", help="Who approves it; left out, it is the asker's own decision.")
@click.option("--reference", default="002 本6-1", show_default=True, help="Reference of the decision.")
def suspend(
    scope: str,
    target: str,
    dsn: str | None,
    data: Path | None,
    ground: str,
    asked_by: str,
    approved_by: str | None,
    reference: str,
) -> None:
    """Stop provision now: all, or a party, an affair, a kind of certificate, or a line given as party/line."""
    change = Change(asked_by=asked_by, approved_by=approved_by or asked_by, reference=reference, at_us=_now_us())
    with _reported():
        applied = _with_database(
            dsn,
            data,
            lambda database: changes.suspend(database, scope=Scope(scope), target=target, ground=ground, change=change),
        )
    click.echo(_said(applied, f"suspended: {scope} {target}".rstrip()))


@command.command()
@_scope
@_target
@_dsn
@data_option
@_asked_by
@_approved_by
@_reference
def resume(
    scope: str, target: str, dsn: str | None, data: Path | None, asked_by: str, approved_by: str, reference: str
) -> None:
    """End the suspensions of exactly this scope and target."""
    change = Change(asked_by=asked_by, approved_by=approved_by, reference=reference, at_us=_now_us())
    with _reported():
        applied = _with_database(
            dsn, data, lambda database: changes.resume(database, scope=Scope(scope), target=target, change=change)
        )
    click.echo(_said(applied, f"resumed: {scope} {target}".rstrip()))


@command.command()
@_dsn
@data_option
@click.option("--all", "everything", is_flag=True, help="Also those that were told or closed, newest first.")
def notices(dsn: str | None, data: Path | None, everything: bool) -> None:
    """Show what lines must still be told of changes, and the time left; exit 1 when something is overdue."""
    read_them = notice_store.read_recent if everything else notice_store.read_open
    with _reported():
        found = _with_database(dsn, data, read_them)
    now_us = _now_us()
    for notice in found:
        click.echo(_notice_line(notice, now_us))
    if not found:
        click.echo("no notices" if everything else "nothing to tell: every line was told")
    if any(notice.open and notice.due_us < now_us for notice in found):
        raise SystemExit(1)


@command.command(name="close-notice")
@click.argument("number", type=click.IntRange(min=1))
@_dsn
@data_option
@click.option("--by", required=True, help="Who told the party in another way, or saw that nobody need be told.")
def close_notice(number: int, dsn: str | None, data: Path | None, by: str) -> None:
    """Stop the clock of notice NUMBER, whose line could not be told."""
    if not 0 < len(by) <= changes.TEXT_CHARS_MAX or not by.isprintable():
        raise click.ClickException(f"--by: write 1 to {changes.TEXT_CHARS_MAX} printable characters")
    with _reported():
        closed = _with_database(
            dsn, data, lambda database: notice_store.close(database, number, by=by, at_us=_now_us())
        )
    if not closed:
        raise click.ClickException(f"notice {number} is not open; see `sekisho directory notices`")
    click.echo(f"notice {number} closed by {by}")


def _notice_line(notice: Notice, now_us: int) -> str:
    if notice.closed_us is not None:
        state = f"closed by {notice.closed_by}"
    elif notice.sent_us is not None:
        late = " late" if notice.sent_us > notice.due_us else ""
        state = f"told{late} after {_span(notice.sent_us - notice.decided_us)}"
    elif notice.due_us < now_us:
        state = f"OVERDUE by {_span(now_us - notice.due_us)}"
    else:
        state = f"{_span(notice.due_us - now_us)} left"
    kind = NoticeKind(notice.kind).name
    return (
        f"{notice.id:>6}  {kind:<10}  {notice.party}/{notice.line}  {state}  (version {notice.version})  {notice.text}"
    )


def _span(us: int) -> str:
    minutes, seconds = divmod(us // 1_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _with_database(dsn: str | None, data: Path | None, ask: Callable[[Database], Awaitable[T]]) -> T:
    with reached(dsn, data) as place:

        async def run() -> T:
            async with open_database(place, size=1, role="directory") as database:
                return await ask(database)

        result = run_guest(run)
    if result is None:  # a signal ended the run
        raise click.Abort
    return result


def _now_us() -> int:
    return time.time_ns() // 1_000


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (DirectoryError, StoreError) as error:
        raise click.ClickException(str(error)) from error


def _said(applied: Applied, what: str) -> str:
    return f"version {applied.version}: {what}" if applied.changed else f"version {applied.version}: nothing to change"
