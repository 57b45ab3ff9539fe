"""Notices to the parties of changes of the directory, and whether their lines were told (migrations/0006_policy.sql).

They are written with the revision they tell of (gateway.store.directory). A worker that has told a line marks its
notices sent; a person may close what could not be told by line. Times are microseconds since 1970 UTC.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from gateway.store.pool import Database, PinnedConnection

NOTICES_MAX: Final = 1_000
"""Notices one reading brings."""

_COLUMNS: Final = "id, version, kind, party, line, text, decided_us, due_us, sent_us, closed_us, closed_by"
_TO_TELL: Final = f"""
SELECT {_COLUMNS} FROM directory.notice
WHERE (id > $1 OR (sent_us IS NULL AND closed_us IS NULL))
  AND (party, line) IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY id LIMIT {NOTICES_MAX}"""  # noqa: S608  our own constants
_LATEST: Final = "SELECT coalesce(max(id), 0) FROM directory.notice"
_SENT: Final = "UPDATE directory.notice SET sent_us = $2 WHERE id = ANY($1::bigint[]) AND sent_us IS NULL"
_OPEN: Final = f"""
SELECT {_COLUMNS} FROM directory.notice WHERE sent_us IS NULL AND closed_us IS NULL
ORDER BY due_us, id LIMIT {NOTICES_MAX}"""  # noqa: S608  our own constants
_RECENT: Final = f"SELECT {_COLUMNS} FROM directory.notice ORDER BY id DESC LIMIT {NOTICES_MAX}"  # noqa: S608  the same
_CLOSE: Final = """
UPDATE directory.notice SET closed_us = $2, closed_by = $3 WHERE id = $1 AND closed_us IS NULL AND sent_us IS NULL"""
_OVERDUE: Final = """
SELECT count(*) FROM directory.notice WHERE sent_us IS NULL AND closed_us IS NULL AND due_us < $1"""


class NewNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What one line must be told: a protocol.messages.NoticeKind, the words, when it was decided, by when it is due."""

    kind: int
    party: str
    line: str
    text: str
    decided_us: int
    due_us: int


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it stands: sent_us when the line was told, closed_us and closed_by when a person saw to it."""

    id: int
    version: int
    kind: int
    party: str
    line: str
    text: str
    decided_us: int
    due_us: int
    sent_us: int | None
    closed_us: int | None
    closed_by: str | None

    @property
    def open(self) -> bool:
        """Whether its clock still runs."""
        return self.sent_us is None and self.closed_us is None


async def latest_id(db: Database | PinnedConnection) -> int:
    """The highest id there is, 0 for none. Raises: StoreError."""
    row = await db.fetchrow(_LATEST)
    return 0 if row is None else int(row[0])


async def to_tell(db: Database | PinnedConnection, *, after: int, lines: Collection[tuple[str, str]]) -> list[Notice]:
    """Of these lines (party, name): what came after an id, and what they were not told yet.

    Oldest first, at most NOTICES_MAX; where there are so many, ask again once they are marked. Raises: StoreError.
    """
    return _notices(await db.fetch(_TO_TELL, after, [party for party, _ in lines], [line for _, line in lines]))


async def mark_sent(db: Database | PinnedConnection, ids: Sequence[int], *, at_us: int) -> None:
    """Say that the lines were told. Raises: StoreError; they are then told once more."""
    await db.execute(_SENT, list(ids), at_us, commit=True)


async def read_open(db: Database | PinnedConnection) -> list[Notice]:
    """What is still to be told, the most urgent first, at most NOTICES_MAX. Raises: StoreError."""
    return _notices(await db.fetch(_OPEN))


async def read_recent(db: Database | PinnedConnection) -> list[Notice]:
    """The latest NOTICES_MAX, newest first. Raises: StoreError."""
    return _notices(await db.fetch(_RECENT))


async def close(db: Database | PinnedConnection, notice: int, *, by: str, at_us: int) -> bool:
    """Say that a person told the party in another way; False when nothing is open under this id. Raises: StoreError."""
    return await db.execute(_CLOSE, notice, at_us, by, commit=True) == "UPDATE 1"


async def count_overdue(db: Database | PinnedConnection, *, now_us: int) -> int:
    """How many lines should have been told by now and were not. Raises: StoreError."""
    row = await db.fetchrow(_OVERDUE, now_us)
    return 0 if row is None else int(row[0])


def _notices(rows: Sequence[Sequence[object]]) -> list[Notice]:
    return [Notice(**dict(zip(Notice.__struct_fields__, row, strict=True))) for row in rows]  # type: ignore[arg-type]
