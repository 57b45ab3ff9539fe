"""`sekisho ministry user` and `sekisho ministry terminal`: who may use the ministry server, and where from."""

import secrets
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import segno

from gateway.cli.receipt import jst
from gateway.peers.ministry import history, people
from gateway.peers.ministry.credentials import TERMINAL_DAYS, issue_terminal, renew_server
from gateway.peers.ministry.desk import Event, Right
from gateway.peers.ministry.factors import enrolment_uri, hash_pin, new_secret
from gateway.peers.ministry.setup import HOSTS_DEFAULT, Ministry, opened_ministry
from hsm.opening import passphrase_from_file

CONSOLE = "console"
"""Stands for the terminal in the history of what is done by these commands."""

data_option = click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Directory of the ministry server."
)


def record(ministry: Ministry, event: Event, detail: str) -> None:
    """Write what a command did into the operation history."""
    history.append(ministry.store, event, terminal=CONSOLE, detail=detail)


@click.group()
def user() -> None:
    """Users: add, set, lock, unlock, list."""


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
        record(ministry, Event.USER, f"add {name}")
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
        record(ministry, Event.USER, f"set {name} {' '.join(part for part, given in parts.items() if given)}")
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
        record(ministry, Event.USER, f"lock {name}")
    click.echo(f"user {name} is locked")


@user.command("unlock")
@data_option
@click.argument("name")
def unlock_user(data: Path, name: str) -> None:
    """Unlock user NAME."""
    with opened_ministry(data) as ministry, ministry.store.transaction():
        people.set_lock(ministry.store, name, None)
        record(ministry, Event.USER, f"unlock {name}")
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


@click.group()
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
                record(ministry, Event.TERMINAL, f"add {label}")
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
        record(ministry, Event.TERMINAL, f"lost {label}")
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
        record(ministry, Event.SETTINGS, "server-certificate")
    click.echo("new server certificate; restart `sekisho ministry serve`")


def _secret(file: Path | None, what: str) -> str:
    if file is not None:
        return passphrase_from_file(file)
    entered: str = click.prompt(what, hide_input=True, confirmation_prompt=True)
    return entered


def _today() -> date:
    return (datetime.now(UTC) + timedelta(hours=9)).date()
