"""A ministry server's directory: made once, opened by the server and by each command.

    ministry.toml   where the line file is       desk.sqlite3   users, terminals, histories, receipts (store)
    terminals/      the terminals' authority and the server's certificate (credentials)
    proofs/         the book of proofs, against which invoices are held (gateway.peers.proof_book)

The line's keystore gets a SEAL key, under which the store's data key is wrapped: without the keystore the file stays
shut.
"""

import os
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from certs.files import PUBLIC, write_whole
from gateway.peers.line_file import Dialling, read_line_file
from gateway.peers.ministry.credentials import make_authority
from gateway.peers.ministry.errors import SetupIncomplete
from gateway.peers.ministry.store import Store, create_store, open_store
from hsm.errors import KeyUnknown
from hsm.interface import KeyStore
from protocol.keys import Algorithm, Purpose

FILE_NAME: Final = "ministry.toml"
TERMINALS: Final = "terminals"
HOSTS_DEFAULT: Final = ("localhost", "127.0.0.1")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    line: str


class Ministry(msgspec.Struct, frozen=True, kw_only=True):
    """A directory opened: its line and its store."""

    directory: Path
    dialling: Dialling
    store: Store

    @property
    def terminals(self) -> Path:
        """Where the terminals' credentials are."""
        return self.directory / TERMINALS


def now_us() -> int:
    """The clock of the ministry server."""
    return time.time_ns() // 1000


def make_ministry(data: Path, line: Path, *, hosts: Sequence[str] = HOSTS_DEFAULT, now: datetime) -> None:
    """Make the directory of a ministry server over a line file. `ministry.toml` is written last.

    Raises: SetupIncomplete, LineFileError, HsmError.
    """
    if (data / FILE_NAME).exists():
        raise SetupIncomplete(f"{data} holds a ministry server already; use it, or choose another --data directory")
    if data.exists() and any(data.iterdir()):
        raise SetupIncomplete(f"{data} is not empty; choose another --data directory, or empty it and begin again")
    dialling = read_line_file(line)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_authority(data / TERMINALS, hosts=hosts, now=now)
    create_store(data, dialling.keystore, _seal_key(dialling.keystore, now))
    written = os.path.relpath(line.resolve(), data.resolve())
    head = "# A ministry server, made by `sekisho ministry init`. The path is relative to this file.\n"
    write_whole(data / FILE_NAME, f"{head}line = {_quoted(written)}\n".encode(), mode=PUBLIC)


@contextmanager
def opened_ministry(data: Path, *, port: int | None = None, clock: Callable[[], int] = now_us) -> Iterator[Ministry]:
    """Open the directory. `port` overrides the line file's. Raises: SetupIncomplete, LineFileError, HsmError."""
    file = data / FILE_NAME
    try:
        read = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except FileNotFoundError as error:
        raise SetupIncomplete(f"{file} does not exist; make it with `sekisho ministry init --data {data}`") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SetupIncomplete(f"{file}: {error}") from error
    dialling = read_line_file(data / read.line, port=port)
    with open_store(data, dialling.keystore, now_us=clock) as store:
        yield Ministry(directory=data, dialling=dialling, store=store)


def _seal_key(keystore: KeyStore, now: datetime) -> str:
    at_us = int(now.timestamp()) * 1_000_000
    try:
        return keystore.current(Purpose.SEAL, at_us).key_id
    except KeyUnknown:
        label = f"{Purpose.SEAL.value}-{keystore.owner}-desk-{now:%Y%m%d%H%M%S}"
        return keystore.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id=label, now_us=at_us).key_id


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return msgspec.json.encode(text).decode()
