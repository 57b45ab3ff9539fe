"""`sekisho hsm`: the keys of a centre or a line, in a software keystore or a PKCS#11 token."""

import base64
import functools
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, cast

import click
from rich import box
from rich.console import Console
from rich.table import Table

from hsm.ceremony import SETS, KeySet, create_standard_keys
from hsm.errors import HsmError
from hsm.interface import KeyStore
from hsm.opening import create_keystore, open_keystore, passphrase_from_file
from protocol.keys import Algorithm, KeyRecord, Purpose

DAY_US: Final = 86_400_000_000
OVERLAP_DAYS_DEFAULT: Final = 30
OVERLAP_DAYS_MAX: Final = 3_660
_STANDARD: Final = {
    Purpose.SEAL: Algorithm.A256GCM_WRAP,
    Purpose.CHECKPOINT_PQ: Algorithm.ML_DSA_65,
}
"""The algorithm of a purpose where it is not ES256."""
P = ParamSpec("P")


class _Keys:
    """Where the keys are and how the passphrase comes."""

    def __init__(self, uri: str, passphrase_file: Path | None) -> None:
        self._uri = uri
        self._file = passphrase_file

    @contextmanager
    def opened(self) -> Iterator[KeyStore]:
        """The store, closed afterwards; errors as one line."""
        try:
            store = open_keystore(self._uri, functools.partial(self._ask, confirm=False))
            try:
                yield store
            finally:
                store.close()
        except (HsmError, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    @contextmanager
    def created(self, owner: str) -> Iterator[KeyStore]:
        """A new, empty store."""
        try:
            # Only a passphrase that is being chosen is typed twice; a token's PIN is set already.
            ask = functools.partial(self._ask, confirm=not self._uri.startswith("pkcs11:"))
            store = create_keystore(self._uri, ask, owner=owner)
            try:
                yield store
            finally:
                store.close()
        except (HsmError, OSError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    def _ask(self, *, confirm: bool) -> str:
        if self._file is not None:
            return passphrase_from_file(self._file)
        answer: str = click.prompt("Passphrase or PIN", hide_input=True, confirmation_prompt=confirm, err=True)
        return answer


def _on_keys(function: Callable[Concatenate[_Keys, P], None]) -> Callable[P, None]:
    """Give a command its --keystore and --passphrase-file as a _Keys."""

    @click.option(
        "--keystore",
        "uri",
        required=True,
        metavar="URI",
        help="software:PATH, or pkcs11:token=LABEL;module-path=PATH of p11-kit-proxy.",
    )
    @click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path),
        help="File with the passphrase or PIN, readable by its owner only; asked for without it.",
    )
    @functools.wraps(function)
    def wrapper(uri: str, passphrase_file: Path | None, *args: P.args, **kwargs: P.kwargs) -> None:
        function(_Keys(uri, passphrase_file), *args, **kwargs)

    return cast(Callable[P, None], wrapper)


_as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
_purpose = click.argument("purpose", type=click.Choice([purpose.value for purpose in Purpose]))
_key_id = click.option("--key-id", help="Id of the new key; made from purpose and date without it.")


@click.group()
def command() -> None:
    """Keys: make, list, rotate."""


@command.command("init")
@click.option("--set", "which", type=click.Choice(list(SETS)), required=True, help="The keys to begin with.")
@click.option("--owner", required=True, help="Party whose keys these are, as in the directory.")
@click.option("--label", help="End of the key ids; the month and four random digits without it.")
@_as_json
@_on_keys
def init(keys: _Keys, which: KeySet, owner: str, label: str | None, *, as_json: bool) -> None:
    """Make a key store with the standard keys."""
    now_us = _now_us()
    with keys.created(owner) as store:
        made = create_standard_keys(store, which, label=label or _label(now_us), now_us=now_us)
        _show(made, now_us, as_json=as_json)
        left_out = [purpose.value for purpose, algorithm in SETS[which] if algorithm not in _able(store)]
        if left_out:
            click.echo(f"left out, as a {store.capabilities().name} cannot: {', '.join(left_out)}", err=True)


@command.command("generate")
@_purpose
@_key_id
@click.option("--days", type=click.IntRange(1), help="Days the key is valid; without an end otherwise.")
@_as_json
@_on_keys
def generate(keys: _Keys, purpose: str, key_id: str | None, days: int | None, *, as_json: bool) -> None:
    """Make one key of a purpose."""
    now_us = _now_us()
    wanted = Purpose(purpose)
    with keys.opened() as store:
        made = store.generate(
            wanted,
            _STANDARD.get(wanted, Algorithm.ES256),
            key_id=key_id or f"{purpose}-{_label(now_us)}",
            now_us=now_us,
            not_after_us=None if days is None else now_us + days * DAY_US,
        )
        _show([made], now_us, as_json=as_json)


@command.command("list")
@_as_json
@_on_keys
def list_keys(keys: _Keys, *, as_json: bool) -> None:
    """List every key, oldest first."""
    with keys.opened() as store:
        _show(store.keys(), _now_us(), as_json=as_json)


@command.command("rotate")
@_purpose
@_key_id
@click.option(
    "--overlap-days",
    type=click.IntRange(0, OVERLAP_DAYS_MAX),
    default=OVERLAP_DAYS_DEFAULT,
    show_default=True,
    help="Days the earlier keys stay valid beside the new one.",
)
@_as_json
@_on_keys
def rotate(keys: _Keys, purpose: str, key_id: str | None, overlap_days: int, *, as_json: bool) -> None:
    """Make a purpose's next key; the earlier ones end after the overlap."""
    now_us = _now_us()
    with keys.opened() as store:
        made = store.rotate(
            Purpose(purpose),
            key_id=key_id or f"{purpose}-{_label(now_us)}",
            now_us=now_us,
            overlap_us=overlap_days * DAY_US,
        )
        _show([r for r in store.keys() if r.purpose == made.purpose], now_us, as_json=as_json)


@command.command("status")
@_as_json
@_on_keys
def status(keys: _Keys, *, as_json: bool) -> None:
    """Say how the key store is and what it can do."""
    with keys.opened() as store:
        found, able = store.status(), sorted(algorithm.name for algorithm in _able(store))
        if as_json:
            _write_json(
                {
                    "owner": store.owner,
                    "available": found.available,
                    "keys": found.keys,
                    "text": found.text,
                    "algorithms": able,
                }
            )
        else:
            click.echo(f"{store.owner}: {found.text}; {found.keys} keys; {', '.join(able)}")
        if not found.available:
            raise click.ClickException("the key store is not available")


@command.command("history")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; standard output without it.")
@_on_keys
def history(keys: _Keys, out: Path | None) -> None:
    """Write the signed key history that peers verify signatures with."""
    with keys.opened() as store:
        data = store.history()
        if out is None:
            click.echo(data, nl=False)
        else:
            out.write_bytes(data)


def _now_us() -> int:
    return time.time_ns() // 1000


def _label(now_us: int) -> str:
    return f"{datetime.fromtimestamp(now_us / 1e6, UTC):%Y-%m}-{secrets.token_hex(2)}"


def _able(store: KeyStore) -> frozenset[Algorithm]:
    return store.capabilities().algorithms


def _time(at_us: int | None) -> str | None:
    if at_us is None:
        return None
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _write_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _show(records: list[KeyRecord] | tuple[KeyRecord, ...], now_us: int, *, as_json: bool) -> None:
    if as_json:
        _write_json(
            [
                {
                    "key_id": record.key_id,
                    "purpose": record.purpose,
                    "algorithm": Algorithm(record.algorithm).name,
                    "public_key": base64.b64encode(record.public_key).decode() or None,
                    "not_before": _time(record.not_before_us),
                    "not_after": _time(record.not_after_us),
                    "valid": record.valid_at(now_us),
                }
                for record in records
            ]
        )
        return
    table = Table("Key id", "Purpose", "Algorithm", "Valid from", "Valid until", "", box=box.SIMPLE_HEAD)
    for record in records:
        table.add_row(
            record.key_id,
            record.purpose,
            Algorithm(record.algorithm).name,
            _time(record.not_before_us),
            _time(record.not_after_us) or "-",
            "valid" if record.valid_at(now_us) else "ended",
        )
    # Into a pipe the table keeps its width, so that lines are not broken in the middle of an id.
    width = None if os.isatty(1) else 160
    with (console := Console(width=width)).capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)
