"""Changing the directory: whole revisions, appended by two people, each change decided on the current revision.

A change is read, decided (pure functions here) and appended under the next version; if another change came first, it is
decided again on that one. The database moves the version and sends the hint in the same transaction, which also holds
the notices that the change makes due (gateway.directory.notices).

Applying a file does not lift what `suspend` stopped: suspensions without an end are carried over unless the file itself
names them (scope, target, since), and only `resume` ends them. Stopping is one person's decision when haste is needed
(002 本6-1); everything else takes two.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.directory.directory import Directory
from gateway.directory.errors import ChangeRefused, DirectoryEmpty, DirectoryInvalid
from gateway.directory.model import Document, Scope, Suspension
from gateway.directory.notices import notices_between
from gateway.store import directory as store
from gateway.store.pool import Database, PinnedConnection

TRIES_MAX: Final = 5
TEXT_CHARS_MAX: Final = 100


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a change, who approved it, by which written agreement (DESIGN 8), and when (microseconds)."""

    asked_by: str
    approved_by: str
    reference: str
    at_us: int


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a change: the version now current, and whether this change made it."""

    version: int
    changed: bool


async def load(database: Database | PinnedConnection) -> Directory:
    """The current directory, whole. Raises: DirectoryEmpty; DirectoryInvalid; StoreError."""
    return read(await store.read_current(database))


def read(revision: store.Revision | None) -> Directory:
    """A directory from a revision. Raises: DirectoryEmpty; DirectoryInvalid when the document does not read."""
    if revision is None:
        raise DirectoryEmpty
    return Directory(revision.version, _decode(revision))


async def apply(database: Database | PinnedConnection, document: Document, change: Change) -> Applied:
    """Make a document current, with the open suspensions carried over; nothing is written when it says the same.

    Raises: DirectoryInvalid; ChangeRefused; StoreError (CommitUnknown: apply again, it is idempotent).
    """
    _check_people(change, alone=False)

    def decide(current: Document | None) -> Document:
        return document if current is None else carry_over(document, current)

    return await _change(database, "apply", change, decide)


async def suspend(
    database: Database | PinnedConnection, *, scope: Scope, target: str, ground: str, change: Change
) -> Applied:
    """Stop provision from now on until `resume`; nothing is written when exactly this is stopped already.

    Raises: DirectoryInvalid for a target that the directory does not have; ChangeRefused; DirectoryEmpty; StoreError.
    """
    _check_people(change, alone=True)
    suspension = Suspension(scope=scope, target=target, from_us=change.at_us, until_us=None, ground=ground)

    def decide(current: Document | None) -> Document:
        held = _need(current)
        if any(_names(s, scope, target) and s.until_us is None and s.from_us <= change.at_us for s in held.suspensions):
            return held
        return msgspec.structs.replace(held, suspensions=(*held.suspensions, suspension))

    return await _change(database, "suspend", change, decide)


async def resume(database: Database | PinnedConnection, *, scope: Scope, target: str, change: Change) -> Applied:
    """End the suspensions of exactly this scope and target that hold now; others that cover it stay.

    Raises: ChangeRefused when none holds, or for one person alone; DirectoryEmpty; StoreError.
    """
    _check_people(change, alone=False)

    def decide(current: Document | None) -> Document:
        held = _need(current)
        if not any(_names(s, scope, target) and s.holds_at(change.at_us) for s in held.suspensions):
            raise ChangeRefused(
                field="target",
                why=f"no suspension of {f'{scope.value} {target}'.rstrip()} is in force",
                remedy="see `sekisho directory show`",
            )
        return msgspec.structs.replace(
            held, suspensions=tuple(_ended(s, scope, target, change.at_us) for s in held.suspensions)
        )

    return await _change(database, "resume", change, decide)


def carry_over(document: Document, current: Document) -> Document:
    """A new document with the current one's suspensions that have no end, unless it names them itself. Pure."""
    named = {(s.scope, s.target, s.from_us) for s in document.suspensions}
    kept = tuple(s for s in current.suspensions if s.until_us is None and (s.scope, s.target, s.from_us) not in named)
    return msgspec.structs.replace(document, suspensions=(*document.suspensions, *kept))


def _decode(revision: store.Revision) -> Document:
    try:
        return Document.decode(revision.document)
    except msgspec.DecodeError as error:
        raise DirectoryInvalid(
            table=f"revision {revision.version}",
            field="document",
            why="does not read",
            remedy="run the version of the program that wrote it",
        ) from error


def _names(suspension: Suspension, scope: Scope, target: str) -> bool:
    return suspension.scope is scope and suspension.target == target


def _ended(suspension: Suspension, scope: Scope, target: str, at_us: int) -> Suspension:
    if not _names(suspension, scope, target) or not suspension.holds_at(at_us):
        return suspension
    # one that began in this very microsecond ends in the next, for a span is never empty
    return msgspec.structs.replace(suspension, until_us=max(at_us, suspension.from_us + 1))


def _need(current: Document | None) -> Document:
    if current is None:
        raise DirectoryEmpty
    return current


def _check_people(change: Change, *, alone: bool) -> None:
    for field in ("asked_by", "approved_by", "reference"):
        text: str = getattr(change, field)
        if not 0 < len(text) <= TEXT_CHARS_MAX or not text.isprintable() or text != text.strip():
            remedy = f"write 1 to {TEXT_CHARS_MAX} printable characters"
            raise ChangeRefused(field=field, why="not a name or reference", remedy=remedy)
    if not alone and change.asked_by == change.approved_by:
        raise ChangeRefused(
            field="approved_by", why="the same as who asked", remedy="have a second person approve the change"
        )


async def _change(
    database: Database | PinnedConnection,
    kind: Literal["apply", "suspend", "resume"],
    change: Change,
    decide: Callable[[Document | None], Document],
) -> Applied:
    tries = 0
    while True:
        tries += 1
        revision = await store.read_current(database)
        current = None if revision is None else _decode(revision)
        version = 0 if revision is None else revision.version
        document = decide(current)
        Directory(version + 1, document)  # checked whole before anything is written
        encoded = document.encode()
        if revision is not None and encoded == revision.document:
            return Applied(version=version, changed=False)
        appended = store.Revision(
            version=version + 1,
            kind=kind,
            document=encoded,
            at_us=change.at_us,
            asked_by=change.asked_by,
            approved_by=change.approved_by,
            agreement_reference=change.reference,
        )
        try:
            # Nobody is told of a first directory: what it says was agreed.
            told = [] if current is None else notices_between(current, document, change.at_us)
            await store.append(database, appended, told)
        except store.VersionMoved:
            if tries == TRIES_MAX:
                raise
            continue
        return Applied(version=version + 1, changed=True)
