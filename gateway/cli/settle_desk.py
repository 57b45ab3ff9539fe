"""What the commands of `sekisho settle` share: the desk of a centre, who does a step, and how acts are shown."""

import getpass
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway.app.settling import CONNECTIONS, SETTLEMENT, desk_of
from gateway.cli.centre import Centre, in_centre, now_us
from gateway.settlement.conduct import Desk
from protocol.act import Act, ActKind

T = TypeVar("T")
Command = Callable[..., Any]

by_option = click.option("--by", default=getpass.getuser, show_default="your account", help="Who does it.")


def who(step: Command) -> Command:
    """The options that say who does a step, and who forces it."""
    options = (
        by_option,
        click.option("--force", "ground", default="", metavar="GROUND", help="Do it all the same, for this reason."),
        click.option("--with", "second", default="", metavar="NAME", help="Of a forced step: the second person."),
    )
    for option in reversed(options):
        step = option(step)
    return step


def at_desk(data: Path, dsn: str | None, work: Callable[[Desk], Awaitable[T]]) -> T:
    """Do a step at the desk of a centre, now."""

    async def opened(centre: Centre) -> T:
        return await work(await desk_of(centre.configuration, centre.database, centre.keystore, now_us))

    return in_centre(data, dsn, opened, connections=CONNECTIONS)


def show(acts: Iterable[Act], *, as_json: bool, place: Path | None = None) -> None:
    """Acts as lines, or as JSON; then the place of their documents, if there are any."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([shown(each) for each in acts])).decode())
        return
    for each in acts:
        forced = f"  (+ {each.second}: {each.ground})" if each.second else ""
        party = each.party or "全体 / all"
        click.echo(f"{each.day}  {ActKind(each.kind).name}  {each.period}  {party}  {each.yen:,}円  {each.by}{forced}")
    if place is not None and place.exists():
        click.echo(str(place))


def documents_of(data: Path, period: str) -> Path:
    """Where the documents of a period are written."""
    return data / SETTLEMENT / period.replace("/", "_")


def shown(act: Act) -> dict[str, Any]:
    """An act without its facts."""
    fields = {name: getattr(act, name) for name in act.__struct_fields__ if name not in {"facts", "kind", "version"}}
    return {"kind": ActKind(act.kind).name.lower(), **fields}


def echo(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=1))


def read(file: Path) -> bytes:
    """A file that was named. Raises: click.ClickException."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from error
