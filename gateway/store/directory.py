"""Revisions of the directory in PostgreSQL, as bytes; what they say is read one layer up (gateway.directory).

A revision is appended whole; the database moves the version row and sends the hint in the same transaction, and lets
no revision follow another than the current one (migrations/0002_directory.sql).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Literal

import asyncpg
import msgspec
import trio

from gateway.host import HostCancelled, on_host
from gateway.store.errors import StoreError, StoreUnavailable, UniqueViolated
from gateway.store.notices import NewNotice
from gateway.store.pool import Database, PinnedConnection

CHANNEL: Final = "sekisho_directory"
VERSION_SQL: Final = "(SELECT version FROM directory.version)"
"""An expression for the select list of any look-up: the version the answer must be decided under."""
CONNECT_S_MAX: Final = 5.0
CLOSE_S_MAX: Final = 2.0

_READ: Final = """
SELECT r.version, r.kind, r.document, r.at_us, r.asked_by, r.approved_by, r.agreement_reference
FROM directory.version v JOIN directory.revision r ON r.version = v.version"""
_APPEND: Final = """
WITH appended AS (
  INSERT INTO directory.revision (version, kind, document, at_us, asked_by, approved_by, agreement_reference)
  VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING version
)
INSERT INTO directory.notice (version, kind, party, line, text, decided_us, due_us)
SELECT a.version, n.kind, n.party, n.line, n.text, n.decided_us, n.due_us FROM appended a,
  unnest($8::smallint[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])
    WITH ORDINALITY AS n (kind, party, line, text, decided_us, due_us, o)
ORDER BY n.o"""
_FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, HostCancelled)


class VersionMoved(StoreError):  # noqa: N818 - named after the fact
    """Another revision was appended first; read again and decide again. Fields: version, the one refused."""

    code: ClassVar[str] = "version_moved"
    retryable: ClassVar[bool] = True

    def __init__(self, version: int) -> None:
        super().__init__(f"revision {version} no longer follows the current version of the directory")
        self.version = version


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One row of directory.revision; at_us is microseconds since 1970 UTC."""

    version: int
    kind: Literal["apply", "suspend", "resume"]
    document: bytes
    at_us: int
    asked_by: str
    approved_by: str
    agreement_reference: str


async def read_current(database: Database | PinnedConnection) -> Revision | None:
    """The current revision, or None before the first. Raises: StoreError."""
    row = await database.fetchrow(_READ)
    return None if row is None else Revision(**dict(row))


async def append(database: Database | PinnedConnection, revision: Revision, notices: Sequence[NewNotice] = ()) -> None:
    """Append a revision that follows the current one, with the notices it makes due: both, or neither.

    Durable when it returns. Raises: VersionMoved; StoreRefused without the right to; CommitUnknown, after which the
    current revision tells.
    """
    values = [getattr(revision, field) for field in revision.__struct_fields__]
    told = [[getattr(notice, field) for notice in notices] for field in NewNotice.__struct_fields__]
    try:
        await database.execute(_APPEND, *values, *told, commit=True)
    except UniqueViolated as error:
        raise VersionMoved(revision.version) from error


async def listen(dsn: str, heard: Callable[[], object], *, connected: Callable[[], object]) -> None:
    """Call `heard` for every hint that the directory changed, until the connection is lost.

    `connected` is called once hints can arrive; what happened before is not heard. Both are called in the loop's
    thread and must not block or raise. A hint may be lost or doubled: the version of a look-up is the truth.
    Raises: StoreUnavailable, always in the end. Cancellation closes the connection.
    """
    lost = trio.Event()
    connection: Any = None
    try:
        connection = await on_host(asyncpg.connect, dsn, timeout=CONNECT_S_MAX)
        connection.add_termination_listener(lambda _connection: lost.set())
        await on_host(connection.add_listener, CHANNEL, lambda *_hint: heard())
        connected()
        await lost.wait()
    except _FAILURES as error:
        raise StoreUnavailable(f"cannot listen for changes of the directory ({type(error).__name__})") from error
    finally:
        if connection is not None and not connection.is_closed():
            with trio.CancelScope(shield=True):
                await _close(connection)
    raise StoreUnavailable("the connection that listens for changes of the directory was lost")


async def _close(connection: Any) -> None:
    try:
        await on_host(connection.close, timeout=CLOSE_S_MAX)
    except _FAILURES:
        connection.terminate()
