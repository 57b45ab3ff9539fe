"""What the relay keeps: one SQLite file with its kiosks, outbox, dealings, day lines and notices.

Two connections: one writes, in a thread of the Writer, so that a disk that is slow stops no line; one reads, on Trio's
thread, and sees what is committed and nothing else. The write-ahead log is on, and a commit is on the disk when it
returns (synchronous = FULL): that is what TAKEN_OVER promises. Commands may have the file open beside the server.

Nothing here is about a resident: no card, no name, nothing of a document; what a notice says (ids, times, sums, a
store's slip number) goes when the erasure was delivered, and is overwritten then (secure_delete).

Source: DESIGN 10; 000仕13, 000仕14; 000別1-1.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gateway.peers.relay.errors import SetupIncomplete, StoreFailed

FILE_NAME: Final = "relay.sqlite3"
BUSY_S: Final = 5.0

MIGRATIONS: Final = (
    """
    CREATE TABLE kiosks (
        kiosk TEXT PRIMARY KEY, store TEXT NOT NULL, store_name TEXT NOT NULL, certificate BLOB NOT NULL,
        spki BLOB NOT NULL, added_us INTEGER NOT NULL, connected_us INTEGER, last_us INTEGER,
        in_use INTEGER NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT '', fault_us INTEGER
    ) STRICT;
    CREATE TABLE applications (
        application BLOB PRIMARY KEY, kiosk TEXT NOT NULL, at_us INTEGER NOT NULL, erasing_us INTEGER,
        municipality TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '', copies INTEGER NOT NULL DEFAULT 0,
        fee_yen INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX applications_at ON applications (at_us);
    CREATE TABLE dealings (
        application BLOB PRIMARY KEY, kiosk TEXT NOT NULL, store TEXT NOT NULL, municipality TEXT NOT NULL,
        kind TEXT NOT NULL, copies INTEGER NOT NULL, fee_yen INTEGER NOT NULL, yen INTEGER NOT NULL,
        deposited_us INTEGER NOT NULL, noted_us INTEGER NOT NULL, printed_us INTEGER, unprinted_us INTEGER,
        told_us INTEGER, settled_us INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX dealings_open ON dealings (noted_us) WHERE settled_us IS NULL;
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT, application BLOB NOT NULL, operation INTEGER NOT NULL,
        turn INTEGER NOT NULL, request_id BLOB NOT NULL UNIQUE, kiosk TEXT NOT NULL, by_relay INTEGER NOT NULL,
        asked BLOB NOT NULL, body BLOB, taken_us INTEGER NOT NULL, state TEXT NOT NULL, outcome INTEGER,
        done_us INTEGER, proof BLOB, opening BLOB, closed_us INTEGER, closed_by TEXT NOT NULL DEFAULT '',
        UNIQUE (application, operation, turn)
    ) STRICT;
    CREATE INDEX outbox_held ON outbox (number) WHERE state = 'held';
    CREATE INDEX outbox_refused ON outbox (number) WHERE state = 'refused' AND closed_us IS NULL;
    CREATE TABLE lines (
        number INTEGER PRIMARY KEY, notice INTEGER NOT NULL REFERENCES outbox, application BLOB NOT NULL,
        store TEXT NOT NULL, store_day TEXT NOT NULL, municipality TEXT NOT NULL, kind TEXT NOT NULL,
        copies INTEGER NOT NULL, yen INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX lines_day ON lines (store_day);
    CREATE INDEX lines_application ON lines (application);
    CREATE TABLE notices (
        number INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL, kiosk TEXT NOT NULL,
        store TEXT NOT NULL, code TEXT NOT NULL, sent_us INTEGER, acknowledged_us INTEGER,
        acknowledged_by TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX notices_unsent ON notices (number) WHERE sent_us IS NULL;
    CREATE INDEX notices_open ON notices (number) WHERE acknowledged_us IS NULL;
    """,
    "CREATE INDEX outbox_unfiled ON outbox (number) WHERE proof IS NOT NULL;",
    """
    ALTER TABLE outbox ADD COLUMN deposited_us INTEGER;
    UPDATE outbox SET deposited_us = (SELECT deposited_us FROM dealings d WHERE d.application = outbox.application)
        WHERE operation = 26;
    CREATE INDEX outbox_deposited ON outbox (deposited_us, application) WHERE deposited_us IS NOT NULL;
    CREATE INDEX lines_notice ON lines (notice);
    """,
)
"""Applied in order; PRAGMA user_version counts them."""


class Store:
    """One connection to the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, with the write lock from the start; inside another a part of it. Raises: StoreFailed."""
        began = not self._connection.in_transaction
        if began:
            self.run("BEGIN IMMEDIATE")
        try:
            yield
            if began:
                self.run("COMMIT")
        except BaseException:
            if began:
                with suppress(sqlite3.OperationalError):  # a failed commit may have ended it already
                    self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """Inside a transaction: what fails in it is undone, and the rest of the transaction stands."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO part")
            raise
        finally:
            self._connection.execute("RELEASE part")

    def run(self, sql: str, *args: object) -> int:
        """One statement; how many rows it touched. Raises: StoreFailed."""
        with _told():
            return self._connection.execute(sql, args).rowcount

    def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """All rows of one query. Raises: StoreFailed."""
        with _told():
            return self._connection.execute(sql, args).fetchall()

    def each(self, sql: str, *args: object) -> Iterator[tuple[Any, ...]]:
        """The rows of one query, one after another, while nothing else is asked. Raises: StoreFailed."""
        with _told():
            yield from self._connection.execute(sql, args)

    def row(self, sql: str, *args: object) -> tuple[Any, ...] | None:
        """The first row or None. Raises: StoreFailed."""
        with _told():
            found: tuple[Any, ...] | None = self._connection.execute(sql, args).fetchone()
            return found

    def forget(self) -> None:
        """After an erasure: leave nothing of it in the write-ahead log, as far as no reader still needs it."""
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _told() -> Iterator[None]:
    """What SQLite says of the disk or the file, as an error of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreFailed(f"the relay's store failed: {type(error).__name__}; see its disk") from error


def create_store(directory: Path) -> None:
    """Make the file. Raises: SetupIncomplete if it exists."""
    path = directory / FILE_NAME
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise SetupIncomplete(f"{path} exists; choose another --data directory") from error
    with open_store(directory):
        pass


@contextmanager
def open_store(directory: Path) -> Iterator[Store]:
    """One connection to the file, which any one thread at a time may use. Raises: SetupIncomplete."""
    path = directory / FILE_NAME
    if not path.is_file():
        raise SetupIncomplete(f"{path} does not exist; make it with `sekisho relay init --data {directory}`")
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        _migrate(connection)
        yield Store(connection)
    finally:
        connection.close()


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise SetupIncomplete(f"the file has schema {version}, this program knows {len(MIGRATIONS)}: use a newer one")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
