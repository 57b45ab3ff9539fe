"""A payer's book of proofs: what an operator or a ministry keeps of its entries, month by month, to check its invoices.

    book.sqlite3       the proofs of last hours, one row each, and how long each month's file is
    YYYY-MM.proofs     sealed segments (protocol.proofs), which only grow

A proof is put where its entry stands in the ledger's time: into the month, in Japan, in which the centre answered. So
an invoice needs the files of its own months and of the one after it, in which it was frozen, however late a correction
comes. Added proofs are on the disk when `add` returns. SEAL_AT of them are put together by block and sealed; the file
is written before the rows are deleted, and what it holds beyond the noted length is what a crash left, and is cut off.

Nothing here is about a resident, nothing is verified, and a proof added twice stands once or twice: readers take it as
one. Any number of processes may have the book open. An object is for one thread at a time.

Source: DESIGN section 11; docs/PROTOCOL.md, Proofs.
"""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from protocol.ledger import decode_entry
from protocol.proofs import ProofBlock, encode_segment, gather, read_segments
from protocol.receipt import Proof

DIRECTORY: Final = "proofs"
"""The book's place in the directory of a relay or of a ministry server."""
FILE_NAME: Final = "book.sqlite3"
SUFFIX: Final = ".proofs"
SEAL_AT: Final = 1024
BUSY_S: Final = 5.0
_JST: Final = timezone(timedelta(hours=9))
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY, month TEXT NOT NULL, proof BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS months (month TEXT PRIMARY KEY, bytes INTEGER NOT NULL, proofs INTEGER NOT NULL) STRICT;
"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Proof).decode


class ProofBookError(Exception):
    """The book cannot be kept or read; the sentence says why and what mends it."""

    code: ClassVar[str] = "proof-book"


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a month: the file's length, and how many proofs it has."""

    month: str
    bytes: int
    proofs: int


class ProofBook:
    """An open book. Made by `open_proof_book`. Every method may raise ProofBookError."""

    def __init__(self, connection: sqlite3.Connection, directory: Path) -> None:
        self._connection = connection
        self._directory = directory

    def add(self, proofs: Iterable[Proof]) -> None:
        """Keep proofs that were verified: on the disk when this returns, all or none.

        Raises: ValueError for an entry that cannot be read.
        """
        rows = [(month_of(decode_entry(proof.entry).at_us), _encode(proof)) for proof in proofs]
        with self._transaction() as connection:
            connection.executemany("INSERT INTO waiting (month, proof) VALUES (?, ?)", rows)
            (waiting,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
            if waiting >= SEAL_AT:
                self._seal(connection)

    def seal(self) -> None:
        """Put whatever waits into the months' files."""
        with self._transaction() as connection:
            self._seal(connection)

    def drop(self, before: str) -> int:
        """Remove the sealed months before one (YYYY-MM), whose retention is over; how many."""
        with self._transaction() as connection:
            gone = connection.execute("DELETE FROM months WHERE month < ?", (before,)).rowcount
            for path in self._directory.glob(f"*{SUFFIX}"):
                if path.stem < before:
                    path.unlink()
        return gone

    def months(self) -> list[Month]:
        """What is sealed, ascending."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT month, bytes, proofs FROM months ORDER BY month").fetchall()
        return [Month(month=month, bytes=size, proofs=proofs) for month, size, proofs in rows]

    def segments(self, month: str) -> Iterator[list[ProofBlock]]:
        """All of one month (YYYY-MM), the waiting ones last; one segment in memory at a time.

        Raises: ReceiptError where the file is cut or altered; ValueError for what is no month.
        """
        if not _MONTH.fullmatch(month):
            raise ValueError(f"{month!r} is no month: YYYY-MM")
        with self._transaction() as connection:
            length = self._length(connection, month)
            waiting = connection.execute("SELECT proof FROM waiting WHERE month = ?", (month,)).fetchall()
        if length:
            with self._path(month).open("rb") as file:
                while file.tell() < length and (segment := next(read_segments(file), None)) is not None:
                    yield segment
        if waiting:
            yield gather(_decode(proof) for (proof,) in waiting)

    def _seal(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute("SELECT month, proof FROM waiting ORDER BY number").fetchall()
        by_month: dict[str, list[Proof]] = {}
        for month, proof in rows:
            by_month.setdefault(month, []).append(_decode(proof))
        for month, proofs in by_month.items():
            length = self._append(month, self._length(connection, month), gather(proofs))
            connection.execute(
                "INSERT INTO months VALUES (?1, ?2, ?3)"
                " ON CONFLICT DO UPDATE SET bytes = excluded.bytes, proofs = proofs + excluded.proofs",
                (month, length, len(proofs)),
            )
        connection.execute("DELETE FROM waiting")

    def _append(self, month: str, length: int, blocks: list[ProofBlock]) -> int:
        """Write segments after the noted length; the new length, once they are on the disk."""
        path = self._path(month)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            if file.seek(0, os.SEEK_END) < length:
                raise ProofBookError(f"{path} is shorter than the book says: restore it from its back-up")
            file.seek(length)
            file.truncate()
            for segment in _segments(blocks):
                file.write(segment)
            file.flush()
            os.fsync(file.fileno())
            end = file.tell()
        if not length:
            _sync_directory(self._directory)
        return end

    @staticmethod
    def _length(connection: sqlite3.Connection, month: str) -> int:
        row = connection.execute("SELECT bytes FROM months WHERE month = ?", (month,)).fetchone()
        return row[0] if row else 0

    def _path(self, month: str) -> Path:
        return self._directory / f"{month}{SUFFIX}"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # a failed commit may have ended it already
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            raise ProofBookError(f"the book of proofs in {self._directory} failed: {error}; see its disk") from error


@contextmanager
def open_proof_book(directory: Path) -> Iterator[ProofBook]:
    """Open the book in a directory; an empty or absent one becomes a book. Raises: ProofBookError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            directory / FILE_NAME, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}")
            connection.executescript(_SCHEMA)
            yield ProofBook(connection, directory)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise ProofBookError(f"{directory} is no book of proofs: {error}") from error


def month_of(at_us: int) -> str:
    """The month of a time in Japan: YYYY-MM."""
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(_JST):%Y-%m}"


def _segments(blocks: list[ProofBlock]) -> Iterator[bytes]:
    """As few segments as hold them."""
    try:
        yield encode_segment(blocks)
    except ValueError:
        if len(blocks) == 1:
            raise
        half = len(blocks) // 2
        yield from _segments(blocks[:half])
        yield from _segments(blocks[half:])


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
