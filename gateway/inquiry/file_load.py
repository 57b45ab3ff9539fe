"""A file of notifications into the register, so that it can end anywhere and go on exactly once.

The life of a run of lines:
1. read, checked and sealed in a process beside this one, some runs ahead;
2. applied (gateway.inquiry.applying) to what stands under its codes and to how far its municipalities have come. The
   run before it may still be being written; if they share a person, that is waited for;
3. in one transaction: the loads' lock, and whether the municipalities stand where 2 believed, so that no other load
   came between; what is refused goes to the file of refusals and is synced to disk;
4. rows, tokens, municipalities' numbers and the file's progress are written, and the transaction commits.
A crash before 4's commit leaves the run undone; the next load of the same file cuts the refusals back to the length
that its progress names and goes on behind its last line. Nothing is written anywhere of what a row holds: a refusal
names line, field and remedy.
"""

import datetime as dt
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec
import trio

from gateway.inquiry.applying import Applied, Applying, Read, Refused, Reread, read_lines
from gateway.inquiry.errors import FieldInvalid, LoadBusy
from gateway.inquiry.notification import Notification, NotificationRow, read_notification
from gateway.inquiry.notified_file import Format, Lines, read_header, read_rows, read_runs, survey
from gateway.inquiry.preparing import PROCESSES_MAX, bench
from gateway.inquiry.retention import Retention
from gateway.inquiry.sealing import RegisterKeys
from gateway.store.pool import Database, PinnedConnection
from gateway.store.register import refresh_statistics
from gateway.store.register_history import (
    Notified,
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
_ITEMS_A_TURN: Final = 100
"""So many are applied before the writer gets a turn: a millisecond, which the server works meanwhile."""
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
        writer = _Writer(db, digest, at, out, lambda now: progress(now, breaks))
        notified = {state.municipality: state for state in await read_notified(db)}
        try:
            async with (
                aclosing(workbench.each(read_lines, given, list[Read | Refused])) as runs,
                trio.open_nursery() as nursery,
            ):
                send, receive = trio.open_memory_channel[_Run](0)
                nursery.start_soon(writer.write_all, receive)
                async with send:
                    async for (lines, *_), items in runs:
                        rereading = _Rereading(lines, form, header, today)
                        run = await _apply(db, writer, keys, items, notified, retention, today, lines, rereading)
                        notified = notified | {state.municipality: state for state in run.applied.notified}
                        writer.announce(run)
                        await send.send(run)
        except* Exception as group:  # noqa: BLE001 - of any kind, with one in it
            raise _leaf(group) from None
        at = writer.at
    async with db.transaction() as connection:
        if not await move_progress(connection, digest, before=at.line, now=at._replace(finished=True)):
            raise LoadBusy
    await refresh_statistics(db)
    return Loaded(at.line, at.accepted, at.refused, begun_at, finished_before=False)


class _Run(NamedTuple):
    """A run applied and not yet written: its last line, the codes it speaks of, and the numbers it built on."""

    last_line: int
    codes: set[bytes]
    built_on: dict[str, int]
    applied: Applied


async def _apply(
    db: Database,
    writer: "_Writer",
    keys: RegisterKeys,
    items: Sequence[Read | Refused],
    notified: Mapping[str, Notified],
    retention: Retention,
    today: dt.date,
    lines: Lines,
    reread: Reread,
) -> _Run:
    """Hold a run against what stands, letting the writer of the one before it have its turns."""
    read = [item for item in items if isinstance(item, Read)]
    codes = {item.code_token for item in read} | {item.previous_token for item in read if item.previous_token}
    await writer.wait_for(codes)
    applying = Applying(keys, await find_standing(db, list(codes)), notified, retention, today)
    for number, item in enumerate(items):
        if number % _ITEMS_A_TURN == 0:
            await trio.lowlevel.checkpoint()
        applying.take(item, reread)
    built_on = {code: state.sequence for code, state in notified.items()}
    return _Run(lines.first + len(lines.lines) - 1, codes, built_on, applying.finish())


class _Writer:
    """Writes runs, one after another, each in a transaction of its own. `at` is how far the file has come."""

    def __init__(
        self, db: Database, digest: bytes, at: Progress, out: BinaryIO, told: Callable[[Progress], None]
    ) -> None:
        self.at = at
        self._db = db
        self._digest = digest
        self._out = out
        self._told = told
        self._coming: deque[set[bytes]] = deque()
        self._written = trio.Event()

    def announce(self, run: _Run) -> None:
        """A run will be given to write."""
        self._coming.append(run.codes)

    async def wait_for(self, codes: set[bytes]) -> None:
        """Return when no run that was announced and is not yet committed speaks of any of these codes."""
        while not all(codes.isdisjoint(coming) for coming in self._coming):
            await self._written.wait()

    async def write_all(self, runs: "trio.MemoryReceiveChannel[_Run]") -> None:
        """Write what comes. Raises: LoadBusy, StoreUnavailable, CommitUnknown, OSError."""
        async for run in runs:
            async with self._db.transaction() as connection:
                now = await self._write(connection, run)
            self.at = now
            self._coming.popleft()
            self._written.set()
            self._written = trio.Event()
            self._told(self.at)

    async def _write(self, connection: PinnedConnection, run: _Run) -> Progress:
        """Write a run, its refusals first; the caller's transaction makes it stand."""
        if not await lock_loading(connection):
            raise LoadBusy
        if {state.municipality: state.sequence for state in await read_notified(connection)} != run.built_on:
            raise LoadBusy
        applied, out = run.applied, self._out
        for refused in applied.refused:
            fault = refused.fault._asdict()
            out.write(_line_of(_Refusal(refused.line, refused.municipality, refused.sequence, **fault)) + b"\n")
        if applied.refused:
            out.flush()
            os.fsync(out.fileno())
        now = Progress(
            line=run.last_line,
            accepted=self.at.accepted + applied.accepted,
            refused=self.at.refused + len(applied.refused),
            rejected_bytes=out.tell(),
            finished=False,
        )
        await add_versions(
            connection, applied.rows, applied.tokens, superseded=applied.superseded, removed_records=applied.gone
        )
        await write_notified(connection, applied.notified)
        if not await move_progress(connection, self._digest, before=self.at.line, now=now):
            raise LoadBusy
        return now


def _leaf(group: BaseException) -> BaseException:
    """What went wrong first; the rest of the pipeline ended with it."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


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
