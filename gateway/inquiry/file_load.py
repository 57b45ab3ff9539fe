"""A file of notifications into the register, so that it can end anywhere and go on exactly once.

The life of a run of lines:
1. read, checked and sealed in a process beside this one, some runs ahead;
2. in one transaction: the loads' lock, what stands under its codes, how far its municipalities have come;
3. applied (gateway.inquiry.applying); what is refused goes to the file of refusals and is synced to disk;
4. rows, tokens, municipalities' numbers and the file's progress are written, and the transaction commits.
A crash before 4's commit leaves the run undone; the next load of the same file cuts the refusals back to the length
that its progress names and goes on behind its last line. Nothing is written anywhere of what a row holds: a refusal
names line, field and remedy.
"""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from gateway.inquiry.applying import Applied, Applying, Read, Refused, read_lines
from gateway.inquiry.errors import FieldInvalid, LoadBusy
from gateway.inquiry.notification import Notification, NotificationRow, read_notification
from gateway.inquiry.notified_file import Format, Lines, read_header, read_rows, read_runs, survey
from gateway.inquiry.preparing import PROCESSES_MAX, bench
from gateway.inquiry.retention import Retention
from gateway.inquiry.sealing import RegisterKeys
from gateway.store.pool import Database, PinnedConnection
from gateway.store.register import refresh_statistics
from gateway.store.register_history import (
    Progress,
    add_versions,
    begin_load,
    find_standing,
    lock_loading,
    move_progress,
    read_notified,
    read_retention,
    write_notified,
)

INLINE_LINES_MAX: Final = 4_000
"""A file of so many lines is not worth starting processes for."""
_PRIVATE: Final = 0o600
_line_of = msgspec.json.Encoder().encode


class Loaded(msgspec.Struct, frozen=True):
    """What a load came to, over all its sittings. `begun_at` is the line it went on behind, 0 for a new file."""

    lines: int
    accepted: int
    refused: int
    begun_at: int
    finished_before: bool


class _Refusal(msgspec.Struct, frozen=True):
    line: int
    municipality: str
    sequence: int
    field: str
    ground: str
    ja: str
    en: str


async def load_file(
    db: Database,
    keys: RegisterKeys,
    path: Path,
    form: Format,
    *,
    refusals: Path,
    today: dt.date,
    progress: Callable[[Progress, int], None],
    processes: int = PROCESSES_MAX,
) -> Loaded:
    """Load a file of notifications, or go on with one begun; one loaded to its end is not touched.

    `db` is the schema owner's; `today` the date at the register's office; `progress` is told how far the file is and
    how many lines it has. Refused lines go to `refusals`, JSON lines for the owner's eyes alone (mode 0600).
    Cancelled, it leaves what was committed, to be gone on with. Raises: FileInvalid, LoadBusy, LoadBroken,
    RegisterCorrupt, RetentionMissing, OSError, StoreUnavailable, CommitUnknown (then load again: it knows).
    """
    header = read_header(path, form)
    digest, breaks = survey(path)
    at = await begin_load(db, digest)
    begun_at = at.line
    if at.finished:
        return Loaded(at.line, at.accepted, at.refused, begun_at, finished_before=True)
    retention = Retention(await read_retention(db))
    few = breaks - at.line <= INLINE_LINES_MAX
    given = ((lines, form, header, today) for lines in read_runs(path, form, after_line=at.line))
    with _refusals(refusals, at) as out, bench(keys, processes=0 if few else processes) as workbench:
        async with aclosing(workbench.each(read_lines, given, list[Read | Refused])) as runs:
            async for (lines, *_), items in runs:
                async with db.transaction() as connection:
                    applying = await _against(connection, keys, items, retention, today)
                    for item in items:
                        applying.take(item, _Rereading(lines, form, header, today))
                    at = await _write(connection, applying.finish(), digest, at, lines, out)
                progress(at, breaks)
    async with db.transaction() as connection:
        if not await move_progress(connection, digest, before=at.line, now=at._replace(finished=True)):
            raise LoadBusy
    await refresh_statistics(db)
    return Loaded(at.line, at.accepted, at.refused, begun_at, finished_before=False)


async def _against(
    connection: PinnedConnection,
    keys: RegisterKeys,
    items: Sequence[Read | Refused],
    retention: Retention,
    today: dt.date,
) -> Applying:
    """A run's start, from what the register has now."""
    if not await lock_loading(connection):
        raise LoadBusy
    read = [item for item in items if isinstance(item, Read)]
    tokens = {item.code_token for item in read} | {item.previous_token for item in read if item.previous_token}
    standing = await find_standing(connection, list(tokens))
    notified = {state.municipality: state for state in await read_notified(connection)}
    return Applying(keys, standing, notified, retention, today)


async def _write(
    connection: PinnedConnection, run: Applied, digest: bytes, at: Progress, lines: Lines, out: BinaryIO
) -> Progress:
    """Write a run, its refusals first; the caller's transaction makes it stand."""
    for refused in run.refused:
        fault = refused.fault._asdict()
        out.write(_line_of(_Refusal(refused.line, refused.municipality, refused.sequence, **fault)) + b"\n")
    if run.refused:
        out.flush()
        os.fsync(out.fileno())
    now = Progress(
        line=lines.first + len(lines.lines) - 1,
        accepted=at.accepted + run.accepted,
        refused=at.refused + len(run.refused),
        rejected_bytes=out.tell(),
        finished=False,
    )
    await add_versions(connection, run.rows, run.tokens, superseded=run.superseded, removed_records=run.gone)
    await write_notified(connection, run.notified)
    if not await move_progress(connection, digest, before=at.line, now=now):
        raise LoadBusy
    return now


class _Rereading:
    """Reads one of a run's lines again, whole; only what changes somebody needs it."""

    def __init__(self, lines: Lines, form: Format, header: Sequence[str], today: dt.date) -> None:
        self._lines = lines
        self._layout = (form, header)
        self._today = today

    def __call__(self, line: int) -> Notification:
        form, header = self._layout
        (row,) = read_rows([self._lines.lines[line - self._lines.first]], form, header)
        if not isinstance(row, NotificationRow):  # it was one a moment ago
            raise FieldInvalid("row", "changed", ja="もう一度読み込んでください", en="load the file again")
        return read_notification(row, today=self._today)


@contextmanager
def _refusals(path: Path, at: Progress) -> Iterator[BinaryIO]:
    """The file of refusals, cut to what was committed. Nobody but its owner reads it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _PRIVATE)
    with os.fdopen(descriptor, "r+b") as file:
        os.fchmod(descriptor, _PRIVATE)
        file.truncate(min(at.rejected_bytes, os.fstat(descriptor).st_size))
        file.seek(0, os.SEEK_END)
        yield file
