"""The test card authority's register: every certificate it issued and whether it is taken back. SQLite.

A holder is a synthetic label; who a card belongs to is known to a municipality alone.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from gateway.peers.jpki.errors import JpkiAbsent, JpkiRefused

FILE_NAME: Final = "register.sqlite"
_SCHEMA: Final = """
create table authority (responder text not null, crl_number integer not null) strict;
create table card (
    serial text primary key, holder text not null, algorithm text not null, type integer not null,
    not_before integer not null, not_after integer not null, revoked_at integer, reason text,
    check ((revoked_at is null) = (reason is null))
) strict, without rowid;
create trigger revoked_for_ever before update of revoked_at, reason on card when old.revoked_at is not null
begin select raise(abort, 'what is revoked stays revoked'); end;
create trigger never_forgotten before delete on card begin select raise(abort, 'no card is forgotten'); end;
"""


class CardRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One issued certificate; times are UTC. revoked_at and reason (RFC 5280, 5.3.1) are set together, once."""

    serial: int
    holder: str
    algorithm: str
    type: int
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None
    reason: str | None = None


class Register:
    """The register in an authority's directory. Every call is one short transaction."""

    _held: sqlite3.Connection | None = None

    def __init__(self, directory: Path) -> None:
        """Raises: JpkiAbsent when there is none."""
        self._path = directory / FILE_NAME
        if not self._path.is_file():
            raise JpkiAbsent(f"{directory} holds no test card authority; make one with `sekisho jpki init`")

    @classmethod
    def create(cls, directory: Path, *, responder: str) -> "Register":
        """Make an empty one."""
        with closing(sqlite3.connect(directory / FILE_NAME)) as database, database:
            database.executescript(_SCHEMA)
            database.execute("insert into authority values (?, 0)", (responder,))
        return cls(directory)

    @property
    def responder(self) -> str:
        """The URL at which the responder is said to be."""
        with self._open() as database:
            return str(database.execute("select responder from authority").fetchone()[0])

    def next_crl_number(self) -> int:
        """The number of the next revocation list; each is given once."""
        with self._open() as database:
            found = database.execute("update authority set crl_number = crl_number + 1 returning crl_number").fetchall()
            return int(found[0][0])

    def add(self, record: CardRecord) -> None:
        """Note a certificate before it is signed."""
        values = (
            f"{record.serial:x}", record.holder, record.algorithm, record.type,
            int(record.not_before.timestamp()), int(record.not_after.timestamp()),
        )  # fmt: skip
        with self._open() as database:
            database.execute("insert into card values (?, ?, ?, ?, ?, ?, null, null)", values)

    def revoke(self, serial: int, *, reason: str, at: datetime) -> None:
        """Take a certificate back, for ever. Raises: JpkiRefused when it was not issued here or is revoked already."""
        with self._open() as database:
            changed = database.execute(
                "update card set revoked_at = ?, reason = ? where serial = ? and revoked_at is null",
                (int(at.timestamp()), reason, f"{serial:x}"),
            ).rowcount
        if not changed:
            known = self.card(serial) is not None
            raise JpkiRefused(f"serial {serial:x} " + ("is revoked already" if known else "was not issued here"))

    def card(self, serial: int) -> CardRecord | None:
        """One certificate, or None when it was not issued here."""
        with self._open() as database:
            row = database.execute("select * from card where serial = ?", (f"{serial:x}",)).fetchone()
        return None if row is None else _record(row)

    def cards(self) -> list[CardRecord]:
        """All, by holder."""
        with self._open() as database:
            return [_record(row) for row in database.execute("select * from card order by holder, not_before")]

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """While the block runs, calls share one connection; for one thread."""
        with closing(sqlite3.connect(self._path, timeout=10)) as self._held:
            try:
                yield
            finally:
                self._held = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._held is not None:
            with self._held as database:
                yield database
            return
        with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            yield database


def _record(row: tuple[str, str, str, int, int, int, int | None, str | None]) -> CardRecord:
    serial, holder, algorithm, kind, not_before, not_after, revoked_at, reason = row
    return CardRecord(
        serial=int(serial, 16),
        holder=holder,
        algorithm=algorithm,
        type=kind,
        not_before=datetime.fromtimestamp(not_before, UTC),
        not_after=datetime.fromtimestamp(not_after, UTC),
        revoked_at=None if revoked_at is None else datetime.fromtimestamp(revoked_at, UTC),
        reason=reason,
    )
