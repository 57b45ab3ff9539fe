"""`sekisho issuance`: what the staff of a certificate centre see: incidents, applications, reports to municipalities.

Nothing here is personal: an application is an id, and no pseudonym, key or content is shown.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import click
import msgspec

from gateway.cli.centre import now_us, with_database
from gateway.cli.place import data_option, reached
from gateway.store.issuance_incidents import ApplicationLine, IncidentRow, IncidentStore
from protocol.application import Transition

T = TypeVar("T")

_OPS: Final = "sekisho_ops"
_TEXT_CHARS_MAX: Final = 200
_KINDS: Final = {
    "late": "締切後の応答",
    "duplicate": "二重の応答",
    "mismatched": "申請と一致しない証明書データ",
    "unexpected": "想定外の応答",
    "reports-lost": "報告の欠落",
    "reports-ahead": "未送信の報告番号",
    "report-refused": "報告の拒否",
}
_TRANSITIONS: Final = {
    Transition.AUTHENTICATED: "本人認証 authenticated",
    Transition.APPLIED: "申請 applied",
    Transition.ISSUED: "作成 issued",
    Transition.COMPLETED: "交付完了 completed",
    Transition.VOIDED: "返金済・無効 voided",
    Transition.ERASED: "消去 erased",
}
_dsn = click.option("--dsn", envvar="SEKISHO_DSN", show_envvar=True, help="Database, as the role of the ops process.")
_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group(name="issuance")
def command() -> None:
    """Certificates: incidents, applications, and what municipalities were told.

    \b
    Example:
      sekisho issuance incidents --data certificate
      sekisho issuance incidents close 3 --by clerk-1 --ground "slow line, case 2026-17" --data certificate
      sekisho issuance applications --limit 20 --data certificate
      sekisho issuance reports --data certificate
    """


@command.group(invoke_without_command=True)
@_dsn
@data_option
@click.option("--all", "everything", is_flag=True, help="Also those that were closed.")
@_json
@click.pass_context
def incidents(ctx: click.Context, *, dsn: str | None, data: Path | None, everything: bool, as_json: bool) -> None:
    """Replies that were dropped, and reports in doubt; exit 1 while one is open.

    An incident stays open until a person closes it, even if asking again succeeded.
    """
    if ctx.invoked_subcommand is not None:
        return
    found = _with_store(dsn, data, lambda store: store.listed(all_of_them=everything))
    if as_json:
        click.echo(_as_json([each._asdict() for each in found]))
    else:
        for each in found:
            click.echo(_incident_line(each))
        if not found:
            click.echo("no incidents" if everything else "no open incidents")
    if any(each.closed_us is None for each in found):
        raise SystemExit(1)


@incidents.command()
@click.argument("number", type=click.IntRange(min=1))
@_dsn
@data_option
@click.option("--by", required=True, help="Who looked into it.")
@click.option("--ground", required=True, help="What it was, or where that is written; nothing personal.")
def close(number: int, *, dsn: str | None, data: Path | None, by: str, ground: str) -> None:
    """Close incident NUMBER, once it is known what happened."""
    for option, text in (("--by", by), ("--ground", ground)):
        if not 0 < len(text) <= _TEXT_CHARS_MAX or not text.isprintable():
            raise click.ClickException(f"{option}: write 1 to {_TEXT_CHARS_MAX} printable characters")
    closed = _with_store(dsn, data, lambda store: store.close(number, by=by, ground=ground, at_us=now_us()))
    if not closed:
        raise click.ClickException(f"incident {number} is not open; see `sekisho issuance incidents --all`")
    click.echo(f"incident {number} closed by {by}")


@command.command()
@_dsn
@data_option
@click.option("--operator", help="Of one operator, by its party id.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="How many.")
@_json
def applications(*, dsn: str | None, data: Path | None, operator: str | None, limit: int, as_json: bool) -> None:
    """The latest applications and where they stand; newest first."""
    found = _with_store(dsn, data, lambda store: store.applications(limit=limit, operator=operator))
    if as_json:
        click.echo(_as_json([each._asdict() for each in found]))
        return
    for each in found:
        click.echo(_application_line(each))
    click.echo(f"{len(found)} 件 / applications")


@command.command()
@_dsn
@data_option
@_json
def reports(*, dsn: str | None, data: Path | None, as_json: bool) -> None:
    """Completions, voids and corrections, told to municipalities or waiting."""
    found = _with_store(dsn, data, lambda store: store.reports())
    if as_json:
        click.echo(_as_json([each._asdict() for each in found]))
        return
    for each in found:
        waiting = each.numbered - each.noted + each.due
        since = f"  since {_time(each.oldest_us)}" if each.oldest_us is not None else ""
        click.echo(f"{each.municipality}  報告済 noted {each.noted}  未報告 waiting {waiting}{since}")
    if not found:
        click.echo("nothing was to be told yet")


def _incident_line(row: IncidentRow) -> str:
    application = f"  {UUID(bytes=row.application)}" if row.application is not None else ""
    closed = ""
    if row.closed_us is not None:
        closed = f"  closed {_time(row.closed_us)} by {row.closed_by}: {row.ground}"
    return (
        f"{row.id}  {_time(row.at_us)}  {row.municipality}  {row.kind} {_KINDS.get(row.kind, '')}"
        f"  {row.detail}{application}{closed}"
    )


def _application_line(line: ApplicationLine) -> str:
    stands = ", ".join(_transition(each) for each in line.transitions)
    kept = "  文書保管中 document kept" if line.document_kept else ""
    return (
        f"{UUID(bytes=line.application)}  {line.operator}/{line.kiosk}  {line.municipality}  {stands}"
        f"  {line.copies} 通  {line.yen} 円{kept}"
    )


def _transition(value: int) -> str:
    if value >= Transition.CORRECTED_1:
        return f"訂正 corrected {value - Transition.CORRECTED_1 + 1}"
    return _TRANSITIONS[Transition(value)]


def _time(at_us: int | None) -> str:
    if at_us is None:
        return ""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_json(rows: list[dict[str, object]]) -> str:
    """Ids as hexadecimal digits."""
    return msgspec.json.format(
        msgspec.json.encode(
            [{key: each.hex() if isinstance(each, bytes) else each for key, each in row.items()} for row in rows]
        )
    ).decode()


def _with_store(dsn: str | None, data: Path | None, work: Callable[[IncidentStore], Awaitable[T]]) -> T:
    with reached(dsn, data, role=_OPS) as place:
        return with_database(place, lambda database: work(IncidentStore(database)))
