"""What the issuing server keeps: one SQLite file, and the key that seals what in it is about residents.

Calls are synchronous and short, and whatever must hold together is one transaction. Several servers of one
municipality, and commands of the command line, may have the file open at once: what must be unique is so by a
constraint of the file, never by the memory of one process, and no name or number in it comes from the time of day.

Nothing about a resident is written but sealed: keys come by HKDF from one data key that the keystore wraps. A card is
found by an HMAC of its key. What is deleted is overwritten (secure_delete), and `forget` truncates the write-ahead log,
in which old pages would otherwise linger.

Source: DESIGN 4 (invariant 4), 10; DOMAIN G, 2.12; 000別2-4.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.peers.municipality.errors import SetupIncomplete
from hsm.interface import KeyStore

FILE_NAME: Final = "municipality.sqlite3"
BUSY_S: Final = 5.0
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
_AAD: Final = b"sekisho/1 municipality\0"

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE residents (
        number INTEGER PRIMARY KEY, household INTEGER NOT NULL, register INTEGER, sealed BLOB NOT NULL, waiting BLOB
    ) STRICT;
    CREATE INDEX residents_household ON residents (household);
    CREATE INDEX residents_register ON residents (register);
    CREATE TABLE registers (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
    CREATE TABLE cards (card BLOB PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
    CREATE TABLE history (number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
    CREATE TABLE issues (
        application BLOB PRIMARY KEY, serial TEXT NOT NULL UNIQUE, nonce BLOB NOT NULL UNIQUE, session BLOB NOT NULL,
        statement BLOB NOT NULL, kind TEXT NOT NULL, copies INTEGER NOT NULL, manifest BLOB NOT NULL,
        key_id TEXT NOT NULL, signature BLOB NOT NULL, size INTEGER NOT NULL, issued_us INTEGER NOT NULL,
        subject BLOB NOT NULL
    ) STRICT;
    CREATE TABLE held (
        application BLOB PRIMARY KEY REFERENCES issues, until_us INTEGER NOT NULL, document BLOB NOT NULL
    ) STRICT;
    CREATE INDEX held_until ON held (until_us);
    CREATE TABLE refusals (
        number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, application BLOB NOT NULL, outcome INTEGER NOT NULL,
        cause BLOB NOT NULL
    ) STRICT;
    CREATE TABLE incidents (
        number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, code TEXT NOT NULL, application BLOB NOT NULL,
        detail TEXT NOT NULL, closed_us INTEGER, closed_by TEXT NOT NULL DEFAULT '', finding TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE reports (
        number INTEGER PRIMARY KEY, body BLOB NOT NULL, application BLOB NOT NULL, noted_us INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX reports_application ON reports (application);
    """,
    """
    CREATE TABLE papers (
        id BLOB PRIMARY KEY, line BLOB NOT NULL, period TEXT NOT NULL, name TEXT NOT NULL, kept INTEGER NOT NULL,
        whole_us INTEGER
    ) STRICT;
    CREATE INDEX papers_period ON papers (period, name);
    CREATE TABLE paper_parts (
        paper BLOB NOT NULL REFERENCES papers, number INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (paper, number)
    ) STRICT;
    CREATE TABLE claims (period TEXT PRIMARY KEY, content BLOB NOT NULL, made_by TEXT NOT NULL) STRICT;
    """,
)
"""Applied in order; PRAGMA user_version counts them."""


class Sealer:
    """Seals small things under one purpose each, bound to the place they stand in."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ciphers: dict[str, AESGCM] = {}

    def derived(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=_AAD + purpose.encode()).derive(self._key)

    def seal(self, purpose: str, place: str, plaintext: bytes) -> bytes:
        """nonce (12 bytes) | ciphertext and tag; place is associated data."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, plaintext, place.encode())

    def open(self, purpose: str, place: str, sealed: bytes) -> bytes:
        """What seal took. Raises: SetupIncomplete when it was altered or moved."""
        try:
            return self._cipher(purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise SetupIncomplete(f"a sealed {purpose} does not open; restore {FILE_NAME} from its back-up") from error

    def blind(self, purpose: str, content: bytes) -> bytes:
        """HMAC-SHA-256 by which something is found without standing there."""
        return hmac.new(self.derived(purpose), content, hashlib.sha256).digest()

    def _cipher(self, purpose: str) -> AESGCM:
        found = self._ciphers.get(purpose)
        if found is None:
            found = self._ciphers[purpose] = AESGCM(self.derived(purpose))
        return found


class Store:
    """The file, open. Not for several threads."""

    def __init__(self, connection: sqlite3.Connection, sealer: Sealer, now_us: Callable[[], int]) -> None:
        self._connection = connection
        self.sealer = sealer
        self.now_us = now_us

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

    def forget(self) -> None:
        """After deletions: leave nothing of them in the write-ahead log."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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
        raise SetupIncomplete(f"{path} does not exist; make it with `sekisho municipality init --data {directory}`")
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
