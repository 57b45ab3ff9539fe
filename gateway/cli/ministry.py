"""`sekisho ministry`: the ministry's online search server (オンライン検索サーバ) with its users and terminals."""

import secrets
import signal
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import segno
import trio

from gateway.cli.receipt import jst
from gateway.ops.logs import configure_logging
from gateway.peers.line_file import line_from
from gateway.peers.ministry import history as records
from gateway.peers.ministry import paper, people
from gateway.peers.ministry.credentials import TERMINAL_DAYS, issue_terminal, renew_server
from gateway.peers.ministry.desk import EVENT_WORDS, Event, HistoryFilter, Right
from gateway.peers.ministry.errors import SetupIncomplete
from gateway.peers.ministry.factors import enrolment_uri, hash_pin, new_secret
from gateway.peers.ministry.office import running_desk
from gateway.peers.ministry.serving import serve_terminals
from gateway.peers.ministry.settings import ALL, changed
from gateway.peers.ministry.setup import HOSTS_DEFAULT, Ministry, make_ministry, opened_ministry
from hsm.opening import passphrase_from_file

CONSOLE = "console"
"""Stands for the terminal in the history of what is done by these commands."""
HISTORY_SHOWN = 50

data_option = click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Directory of the ministry server."
)


def _record(ministry: Ministry, event: Event, detail: str) -> None:
    records.append(ministry.store, event, terminal=CONSOLE, detail=detail)


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
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with (
            line_from(ministry.dialling) as line,
            running_desk(ministry.store, line, ministry.dialling.trust, party=party) as desk,
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


# --- users


@command.group()
def user() -> None:
    """Users: add, lock, unlock, list."""


@user.command("add")
@data_option
@click.argument("name")
@click.option("--staff", required=True, help="Staff number, as the centre's directory has it.")
@click.option(
    "--right",
    "rights",
    type=click.Choice([right.value for right in Right]),
    multiple=True,
    required=True,
    help="May be repeated.",
)
@click.option("--from", "valid_from", type=click.DateTime(["%Y-%m-%d"]), help="First day; today unless given.")
@click.option("--until", "valid_until", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--trained", type=click.DateTime(["%Y-%m-%d"]), help="Day of the training; without it no use.")
@click.option("--pin-file", type=click.Path(path_type=Path), help="File with the PIN (0600); asked for otherwise.")
@click.option("--no-picture", is_flag=True, help="Print the enrolment as text only.")
def add_user(
    data: Path,
    name: str,
    staff: str,
    rights: tuple[str, ...],
    valid_from: datetime | None,
    valid_until: datetime | None,
    trained: datetime | None,
    pin_file: Path | None,
    *,
    no_picture: bool,
) -> None:
    """Add user NAME; shows the enrolment for the authenticator once."""
    pin_hash, secret = hash_pin(_secret(pin_file, "PIN (暗証番号)")), new_secret()
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.add_user(
            ministry.store,
            user=name,
            staff=staff,
            rights=frozenset(Right(right) for right in rights),
            pin_hash=pin_hash,
            totp_secret=secret,
            valid_from=valid_from.date() if valid_from else _today(),
            valid_until=valid_until.date() if valid_until else None,
            trained_on=trained.date() if trained else None,
        )
        _record(ministry, Event.USER, f"add {name}")
    click.echo(f"user {name} added")
    _show_enrolment(secret, name, picture=not no_picture)


@user.command("set")
@data_option
@click.argument("name")
@click.option(
    "--right",
    "rights",
    type=click.Choice([right.value for right in Right]),
    multiple=True,
    help="The rights from now on.",
)
@click.option("--until", "valid_until", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--trained", type=click.DateTime(["%Y-%m-%d"]), help="Day of the training.")
@click.option("--new-pin", is_flag=True, help="Set another PIN; asked for, or from --pin-file.")
@click.option("--pin-file", type=click.Path(path_type=Path), help="File with the new PIN (0600).")
@click.option("--new-authenticator", is_flag=True, help="Another secret; the old authenticator's codes end.")
def set_user(
    data: Path,
    name: str,
    rights: tuple[str, ...],
    valid_until: datetime | None,
    trained: datetime | None,
    pin_file: Path | None,
    *,
    new_pin: bool,
    new_authenticator: bool,
) -> None:
    """Change user NAME: rights, period, training, PIN, authenticator."""
    change_pin = new_pin or pin_file is not None
    pin_hash = hash_pin(_secret(pin_file, "PIN (暗証番号)")) if change_pin else None
    secret = new_secret() if new_authenticator else None
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.change_user(
            ministry.store,
            name,
            rights=frozenset(Right(right) for right in rights) or None,
            pin_hash=pin_hash,
            totp_secret=secret,
            valid_until=valid_until.date() if valid_until else None,
            trained_on=trained.date() if trained else None,
        )
        parts = {
            "rights": rights,
            "until": valid_until,
            "trained": trained,
            "pin": pin_hash,
            "authenticator": secret,
        }
        _record(ministry, Event.USER, f"set {name} {' '.join(part for part, given in parts.items() if given)}")
    click.echo(f"user {name} changed")
    if secret is not None:
        _show_enrolment(secret, name, picture=True)


def _show_enrolment(secret: str, name: str, *, picture: bool) -> None:
    uri = enrolment_uri(secret, name)
    click.echo(f"Enrol the authenticator now; this is shown once:\n  {uri}")
    if picture:
        segno.make(uri, micro=False).terminal(out=sys.stdout, compact=True)


@user.command("lock")
@data_option
@click.argument("name")
def lock_user(data: Path, name: str) -> None:
    """Lock user NAME until unlocked; sessions end within a second."""
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.set_lock(ministry.store, name, people.FOR_EVER_US)
        _record(ministry, Event.USER, f"lock {name}")
    click.echo(f"user {name} is locked")


@user.command("unlock")
@data_option
@click.argument("name")
def unlock_user(data: Path, name: str) -> None:
    """Unlock user NAME."""
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.set_lock(ministry.store, name, None)
        _record(ministry, Event.USER, f"unlock {name}")
    click.echo(f"user {name} is unlocked")


@user.command("list")
@data_option
def list_users(data: Path) -> None:
    """List users with rights, period, training and lock."""
    with opened_ministry(data) as ministry:
        for each in people.all_users(ministry.store):
            until = each.locked_until_us
            locked = until is not None and until > ministry.store.now_us()
            state = "in use"
            if locked and until is not None:
                state = "locked" if until == people.FOR_EVER_US else f"locked until {jst(until)}"
            click.echo(
                f"{each.id:<16} {each.staff:<16} {' '.join(sorted(each.rights)):<24} "
                f"{each.valid_from}..{each.valid_until:<10} trained {each.trained_on or 'never':<10} {state}"
            )


# --- terminals


@command.group()
def terminal() -> None:
    """Terminals: add, mark as lost, list."""


@terminal.command("add")
@data_option
@click.argument("label")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The PKCS#12 file to write (.p12).")
@click.option("--password-file", type=click.Path(path_type=Path), help="File with its password; made up otherwise.")
@click.option("--days", type=click.IntRange(1, 1095), default=TERMINAL_DAYS, show_default=True, help="Validity.")
def add_terminal(data: Path, label: str, out: Path, password_file: Path | None, days: int) -> None:
    """Register terminal LABEL and write key and certificate for its browser."""
    password = passphrase_from_file(password_file) if password_file is not None else secrets.token_urlsafe(12)
    with opened_ministry(data) as ministry:
        try:
            made = issue_terminal(
                ministry.terminals, out, label=label, password=password, now=datetime.now(UTC), days=days
            )
        except FileExistsError as error:
            raise click.ClickException(f"{out} exists; name another file with --out") from error
        try:
            with ministry.store.transaction():
                people.add_terminal(ministry.store, made)
                _record(ministry, Event.TERMINAL, f"add {label}")
        except BaseException:
            out.unlink()
            raise
    shown = "" if password_file is not None else f"; its password, shown once: {password}"
    click.echo(f"terminal {label} registered until {jst(made.not_after_us)}; import {out} into its browser{shown}")


@terminal.command("lost")
@data_option
@click.argument("label")
def lose_terminal(data: Path, label: str) -> None:
    """Refuse terminal LABEL from now on; its sessions end within a second."""
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.lose_terminal(ministry.store, label)
        _record(ministry, Event.TERMINAL, f"lost {label}")
    click.echo(f"terminal {label} is refused from now on")


@terminal.command("list")
@data_option
def list_terminals(data: Path) -> None:
    """List terminals with validity and state."""
    with opened_ministry(data) as ministry:
        now_us = ministry.store.now_us()
        for each in people.all_terminals(ministry.store):
            why = people.terminal_objection(each, now_us)
            click.echo(
                f"{each.label:<20} until {jst(each.not_after_us)}  {'in use' if why is None else why.value}  "
                f"{each.fingerprint.hex()[:16]}"
            )


@terminal.command("renew-server")
@data_option
@click.option("--host", "hosts", multiple=True, help="Name or address terminals call; may be given again.")
def renew(data: Path, hosts: tuple[str, ...]) -> None:
    """Make the server a new certificate; it counts after the next start."""
    with opened_ministry(data) as ministry:
        renew_server(ministry.terminals, hosts=hosts or HOSTS_DEFAULT, now=datetime.now(UTC))
        _record(ministry, Event.SETTINGS, "server-certificate")
    click.echo("new server certificate; restart `sekisho ministry serve`")


# --- records and settings


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
                _record(ministry, Event.SETTINGS, f"{name}={value}")
        for key, number in msgspec.structs.asdict(ministry.store.settings).items():
            bounds = ALL[key]
            click.echo(f"{key:<18} {number:>6}  {bounds.meaning} ({bounds.low} to {bounds.high})")


def _echo(entries: tuple[Any, ...], as_json: bool, text: Callable[[Any], str]) -> None:
    for entry in entries:
        click.echo(msgspec.json.encode(entry).decode() if as_json else text(entry))


def _secret(file: Path | None, what: str) -> str:
    if file is not None:
        return passphrase_from_file(file)
    entered: str = click.prompt(what, hide_input=True, confirmation_prompt=True)
    return entered


def _today() -> date:
    return (datetime.now(UTC) + timedelta(hours=9)).date()
