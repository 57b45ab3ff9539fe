"""Volume reserved by day, and the leases workers take of it (migrations/0006_policy.sql).

Every lease is one guarded UPDATE on the row of its subject: reserved never passes the limit, whoever asks at once. A
lease whose answer was lost stays reserved and is nobody's: limits are then reached early, never passed.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from gateway.store.pool import Database, PinnedConnection

Kind = Literal["staff", "line", "party"]
LEASE_SHARE: Final = 8
"""A lease is this part of what remains, or as many as are needed at once."""

# The rows are locked in one order, so that two workers never wait for each other.
_LEASE: Final = """
WITH q AS (
  SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS q (party, kind, subject, needed, most)
), locked AS (
  SELECT v.party, v.kind, v.subject, q.needed, q.most
  FROM inquiry.volume v JOIN q USING (party, kind, subject) WHERE v.day = $1
  ORDER BY v.party, v.kind, v.subject FOR UPDATE OF v
)
UPDATE inquiry.volume v SET
  leased = greatest(0, least(l.most - v.reserved, greatest(l.needed, (l.most - v.reserved) / $7))),
  reserved = v.reserved + greatest(0, least(l.most - v.reserved, greatest(l.needed, (l.most - v.reserved) / $7)))
FROM locked l
WHERE v.day = $1 AND v.party = l.party AND v.kind = l.kind AND v.subject = l.subject
RETURNING v.party, v.kind, v.subject, v.leased"""
_BEGIN: Final = """
INSERT INTO inquiry.volume (day, party, kind, subject)
SELECT $1, q.party, q.kind, q.subject FROM unnest($2::text[], $3::text[], $4::text[]) AS q (party, kind, subject)
ORDER BY q.party, q.kind, q.subject
ON CONFLICT DO NOTHING"""
_GIVE_BACK: Final = """
WITH q AS (
  SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS q (party, kind, subject, held)
), locked AS (
  SELECT v.party, v.kind, v.subject, q.held
  FROM inquiry.volume v JOIN q USING (party, kind, subject) WHERE v.day = $1
  ORDER BY v.party, v.kind, v.subject FOR UPDATE OF v
)
UPDATE inquiry.volume v SET reserved = v.reserved - l.held FROM locked l
WHERE v.day = $1 AND v.party = l.party AND v.kind = l.kind AND v.subject = l.subject"""
_FORGET: Final = "DELETE FROM inquiry.volume WHERE day < $1"


class Subject(msgspec.Struct, frozen=True):
    """Whom a limit is about: a party's member of staff or line by its name, or the party itself (name "")."""

    party: str
    kind: Kind
    name: str


class Wanted(msgspec.Struct, frozen=True):
    """A lease that is asked for: at least `needed` records now, if the day's limit of `most` has them."""

    subject: Subject
    needed: int
    most: int


async def lease(db: Database | PinnedConnection, *, day: dt.date, wanted: Sequence[Wanted]) -> dict[Subject, int]:
    """Reserve for each subject; what was reserved for it by this call, 0 where nothing remains.

    A subject stands once in `wanted`. Raises: StoreError, after which nothing may be counted on.
    """
    if not wanted:
        return {}
    subjects = [w.subject for w in wanted]
    names = [s.party for s in subjects], [s.kind for s in subjects], [s.name for s in subjects]
    counts = [w.needed for w in wanted], [w.most for w in wanted]
    rows = await db.fetch(_LEASE, day, *names, *counts, LEASE_SHARE, commit=True)
    leased = {Subject(row[0], row[1], row[2]): row[3] for row in rows}
    missing = [w for w in wanted if w.subject not in leased]
    if missing:
        begun = [w.subject for w in missing]
        await db.execute(
            _BEGIN, day, [s.party for s in begun], [s.kind for s in begun], [s.name for s in begun], commit=True
        )
        leased |= await lease(db, day=day, wanted=missing)
    return leased


async def give_back(db: Database | PinnedConnection, *, day: dt.date, held: dict[Subject, int]) -> None:
    """Return what was leased and not used. Raises: StoreError, after which it must not be tried again."""
    names = [s.party for s in held], [s.kind for s in held], [s.name for s in held]
    await db.execute(_GIVE_BACK, day, *names, list(held.values()), commit=True)


async def forget(db: Database | PinnedConnection, *, before: dt.date) -> None:
    """Drop the days before a day. Raises: StoreError."""
    await db.execute(_FORGET, before, commit=True)
