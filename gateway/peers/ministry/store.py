"""What the ministry server keeps: one SQLite file, and the key that seals what in it is about residents.

Calls are synchronous and short, and whatever must hold together is one transaction; nothing waits in between. Commands
of the command line and the server may have the file open at once.

Nothing about a resident is written but sealed: the keys come by HKDF from one data key that the keystore wraps, so the
file alone gives nothing away. What is deleted is overwritten (secure_delete), and `forget` truncates the write-ahead
log, in which old pages would otherwise linger.

Source: 002 別2-2(4), (5), (9); DESIGN 12.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.peers.ministry.errors import SetupIncomplete
from gateway.peers.ministry.settings import Settings
from hsm.interface import KeyStore

FILE_NAME: Final = "desk.sqlite3"
BUSY_S: Final = 5.0
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
_AAD: Final = b"sekisho/1 ministry desk\0"

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE users (
        id TEXT PRIMARY KEY, staff TEXT NOT NULL, rights TEXT NOT NULL, pin_hash TEXT NOT NULL,
        totp_sealed BLOB NOT NULL, totp_step INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
        locked_until_us INTEGER, valid_from TEXT NOT NULL, valid_until TEXT NOT NULL, trained_on TEXT NOT NULL
    ) STRICT;
    CREATE TABLE terminals (
        fingerprint BLOB PRIMARY KEY, label TEXT NOT NULL UNIQUE, not_before_us INTEGER NOT NULL,
        not_after_us INTEGER NOT NULL, lost_us INTEGER
    ) STRICT;
    CREATE TABLE history (
        number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, event TEXT NOT NULL, user TEXT NOT NULL,
        terminal TEXT NOT NULL, affair TEXT NOT NULL, step INTEGER NOT NULL, case_ref TEXT NOT NULL,
        request_id TEXT NOT NULL, detail TEXT NOT NULL, my_number INTEGER NOT NULL, mac BLOB NOT NULL
    ) STRICT;
    CREATE INDEX history_user ON history (user, number);
    CREATE TABLE history_base (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, mac BLOB NOT NULL)
        STRICT;
    INSERT INTO history_base VALUES (1, 0, x'');
    CREATE TRIGGER history_not_changed BEFORE UPDATE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is not changed'); END;
    CREATE TRIGGER history_not_deleted BEFORE DELETE ON history
        WHEN OLD.number > (SELECT number FROM history_base)
        BEGIN SELECT RAISE(ABORT, 'the history is not deleted'); END;
    CREATE TABLE forms (
        number TEXT PRIMARY KEY, kind TEXT NOT NULL, request_id TEXT NOT NULL, case_ref TEXT NOT NULL,
        copies INTEGER NOT NULL, printed_by TEXT NOT NULL, printed_us INTEGER NOT NULL, terminal TEXT NOT NULL,
        disposed_us INTEGER, disposed_by TEXT NOT NULL DEFAULT '', disposal TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE receipts (
        request_id TEXT PRIMARY KEY, user TEXT NOT NULL, affair TEXT NOT NULL, step INTEGER NOT NULL,
        case_ref TEXT NOT NULL, outcome INTEGER NOT NULL, at_us INTEGER NOT NULL, proof BLOB NOT NULL,
        finality BLOB, tries INTEGER NOT NULL DEFAULT 0, opening_sealed BLOB, opening_until_us INTEGER
    ) STRICT;
    CREATE INDEX receipts_user ON receipts (user, at_us);
    CREATE INDEX receipts_unfinal ON receipts (at_us) WHERE finality IS NULL;
    CREATE TABLE approvals (
        id TEXT PRIMARY KEY, requester TEXT NOT NULL, requester_staff TEXT NOT NULL, affair TEXT NOT NULL,
        step INTEGER NOT NULL, case_ref TEXT NOT NULL, count INTEGER NOT NULL, state TEXT NOT NULL,
        requested_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, decided_by TEXT NOT NULL DEFAULT '',
        decided_us INTEGER, approve_id BLOB, questions_sealed BLOB, reason_sealed BLOB, note_sealed BLOB,
        request_ids TEXT NOT NULL DEFAULT '[]'
    ) STRICT;
    """,
    """
    ALTER TABLE receipts ADD COLUMN booked INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX receipts_unbooked ON receipts (at_us) WHERE booked = 0;
    """,
)
"""Applied in order; PRAGMA user_version counts them."""


class Sealer:
    """Seals small things under one purpose each, bound to the place they stand in."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=_AAD + purpose.encode()).derive(self._key)

    def seal(self, purpose: str, place: str, plaintext: bytes) -> bytes:
        """nonce (12 bytes) | ciphertext and tag; place is associated data."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.derived(purpose)).encrypt(nonce, plaintext, place.encode())

    def open(self, purpose: str, place: str, sealed: bytes) -> bytes:
        """What seal took. Raises: SetupIncomplete when it was altered or moved."""
        try:
            return AESGCM(self.derived(purpose)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SetupIncomplete(f"a sealed {purpose} does not open; restore {FILE_NAME} from its back-up") from error


class Store:
    """The file, open. Not for several threads."""

    def __init__(self, connection: sqlite3.Connection, sealer: Sealer, now_us: Callable[[], int]) -> None:
        self._connection = connection
        self.sealer = sealer
        self.now_us = now_us
        self.chain_key = sealer.derived("history")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, with the write lock from the start. Inside another it is part of that."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def run(self, sql: str, *args: object) -> int:
        """One statement; how many rows it touched."""
        return self._connection.execute(sql, args).rowcount

    def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """All rows of one query."""
        return self._connection.execute(sql, args).fetchall()

    def row(self, sql: str, *args: object) -> tuple[Any, ...] | None:
        """The first row or None."""
        found: tuple[Any, ...] | None = self._connection.execute(sql, args).fetchone()
        return found

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        found = self.row("SELECT value FROM meta WHERE name = 'settings'")
        return Settings() if found is None else msgspec.json.decode(found[0], type=Settings)

    def keep_settings(self, settings: Settings) -> None:
        """Put settings in force."""
        self.run("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", msgspec.json.encode(settings))

    def forget(self) -> None:
        """After deletions: leave nothing of them in the write-ahead log."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def create_store(directory: Path, keystore: KeyStore, seal_key_id: str) -> None:
    """Make the file, with a new data key wrapped by the keystore. Raises: SetupIncomplete if it exists; HsmError."""
    path = directory / FILE_NAME
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise SetupIncomplete(f"{path} exists; choose another --data directory") from error
    connection = _connect(path)
    try:
        _migrate(connection)
        wrapped = keystore.wrap(seal_key_id, secrets.token_bytes(KEY_BYTES), _AAD)
        connection.execute("INSERT INTO meta VALUES ('data_key', ?)", (wrapped,))
        connection.execute("INSERT INTO meta VALUES ('data_key_id', ?)", (seal_key_id.encode(),))
    finally:
        connection.close()


@contextmanager
def open_store(directory: Path, keystore: KeyStore, *, now_us: Callable[[], int]) -> Iterator[Store]:
    """Open the file with the keystore that wraps its key. Raises: SetupIncomplete, HsmError."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise SetupIncomplete(f"{path} does not exist; make it with `sekisho ministry init --data {directory}`")
    connection = _connect(path)
    try:
        _migrate(connection)
        found = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'data_key%'").fetchall())
        if len(found) != 2:
            raise SetupIncomplete(f"{path} has no data key; its making was interrupted: remove it and make it again")
        key = keystore.unwrap(found["data_key_id"].decode(), found["data_key"], _AAD)
        yield Store(connection, Sealer(key), now_us)
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SetupIncomplete(f"the file has schema {version}, this program knows {len(MIGRATIONS)}: use a newer one")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
