"""The register's versions as they come in and go: standing rows to build on, runs of rows, progress, periods, purging.

A run is one transaction: rows and tokens by COPY, what they supersede by one UPDATE, the municipalities' numbers, and
the file's progress, which is moved only from where the caller left it; so two loads of one file cannot both go on.
Reading for inquiries is in gateway.store.register; nothing here takes a lock that an inquiry waits for.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.store.pool import Database, PinnedConnection
from gateway.store.register import RecordRow, SealedRow, add_records

LOAD_LOCK: Final = 0x5345_4B49_5245_47  # "SEKIREG"
PURGE_ROWS_MAX: Final = 5_000

_STANDING: Final = """
select q.token, r.record_id, r.version, r.key_id, r.schema, r.sealed, r.expires_on,
  (select max(v.version) from register.record v where v.record_id = r.record_id) as newest
from unnest($1::bytea[]) as q (token)
cross join lateral (
  select * from register.record r where r.code_token = q.token and r.superseded_on is null limit 1
) r"""

_SUPERSEDE: Final = """
update register.record r set superseded_on = q.superseded_on, expires_on = q.expires_on
from unnest($1::bytea[], $2::int[], $3::date[], $4::date[]) as q (record_id, version, superseded_on, expires_on)
where r.record_id = q.record_id and r.version = q.version and r.superseded_on is null"""

_NOTIFIED: Final = """
insert into register.notified (municipality, sequence, notified_on, accepted, refused, missing)
select * from unnest($1::text[], $2::bigint[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[])
on conflict (municipality) do update set sequence = excluded.sequence, notified_on = excluded.notified_on,
  accepted = excluded.accepted, refused = excluded.refused, missing = excluded.missing"""

_PROGRESS: Final = """
update register.load_progress set line = $3, accepted = $4, refused = $5, rejected_bytes = $6,
  finished_at = case when $7::boolean then now() end
where digest = $1 and line = $2 and finished_at is null"""

_PURGE: Final = """
with gone as (
  delete from register.record r using (
    select record_id, version from register.record where expires_on <= $1::date limit $2
  ) x where r.record_id = x.record_id and r.version = x.version returning r.record_id, r.superseded_on
), tokens as (
  delete from register.name_token n using gone g where n.record_id = g.record_id and g.superseded_on is null
)
select count(*) from gone"""


class Standing(NamedTuple):
    """The standing version a code token finds, when it expires if it was removed, and the highest version there is."""

    token: bytes
    row: SealedRow
    expires_on: dt.date | None
    newest: int


class Superseded(NamedTuple):
    """A version that a notification supersedes: from what day, and the first day on which it is not there any more."""

    record_id: bytes
    version: int
    superseded_on: dt.date
    expires_on: dt.date


class Notified(NamedTuple):
    """How far a municipality's notifications have come: the last number and its date, and counts over all."""

    municipality: str
    sequence: int
    notified_on: dt.date
    accepted: int
    refused: int
    missing: int


class Progress(NamedTuple):
    """How far a file has been loaded: its last line done, counts, bytes of the file of refusals, and if it is done."""

    line: int
    accepted: int
    refused: int
    rejected_bytes: int
    finished: bool


class RetentionRow(NamedTuple):
    """One period: kind ("superseded" or "removed"), the first notification date it holds for, years, its ground."""

    kind: str
    since: dt.date
    years: int
    reference: str


class Counts(NamedTuple):
    """Versions in the register on a day: standing, superseded and kept, and past their period but not yet purged."""

    standing: int
    superseded: int
    expired: int


async def lock_loading(connection: PinnedConnection) -> bool:
    """Take the loads' lock until the caller's transaction ends. Returns: False when another load holds it.

    The transaction's commit is not flushed: rows that a crash of the server loses are lost with their progress, and
    loaded again. The transaction that ends the load is, and everything before it with it.
    """
    row = await connection.fetchrow(
        "select pg_try_advisory_xact_lock($1), pg_catalog.set_config('synchronous_commit', 'off', true)", LOAD_LOCK
    )
    return row is not None and bool(row[0])


async def find_standing(connection: Database | PinnedConnection, tokens: Sequence[bytes]) -> list[Standing]:
    """The standing versions that code tokens find; nothing for a token without one."""
    rows = await connection.fetch(_STANDING, tokens)
    return [Standing(row[0], SealedRow(*row[1:6]), row[6], row[7]) for row in rows]


async def add_versions(
    connection: PinnedConnection,
    records: Sequence[RecordRow],
    tokens: Sequence[tuple[bytes, bytes]],
    *,
    superseded: Sequence[Superseded],
    removed_records: Sequence[bytes] = (),
) -> None:
    """Write one run in the caller's transaction.

    Superseded versions lose their standing and their tokens first; `removed_records` are deleted whole, all versions.
    Raises: UniqueViolated; StoreUnavailable.
    """
    if removed_records:
        await connection.execute("delete from register.record where record_id = any($1::bytea[])", removed_records)
    changed = [*removed_records, *{row.record_id for row in superseded}]
    if superseded:
        await connection.execute(_SUPERSEDE, *map(list, zip(*superseded, strict=True)))
    if changed:
        await connection.execute("delete from register.name_token where record_id = any($1::bytea[])", changed)
    await add_records(connection, records, tokens)


async def read_notified(db: Database | PinnedConnection) -> list[Notified]:
    """Every municipality's state, by its code."""
    rows = await db.fetch(
        "select municipality, sequence, notified_on, accepted, refused, missing from register.notified order by 1"
    )
    return [Notified(*row) for row in rows]


async def write_notified(connection: PinnedConnection, states: Sequence[Notified]) -> None:
    """Set municipalities' states."""
    if states:
        await connection.execute(_NOTIFIED, *map(list, zip(*states, strict=True)))


async def begin_load(db: Database | PinnedConnection, digest: bytes) -> Progress:
    """How far the file of this SHA-256 has come; a new one is entered at line 0."""
    await db.execute(
        "insert into register.load_progress (digest, line, accepted, refused, rejected_bytes)"
        " values ($1, 0, 0, 0, 0) on conflict do nothing",
        digest,
        commit=True,
    )
    row = await db.fetchrow(
        "select line, accepted, refused, rejected_bytes, finished_at is not null"
        " from register.load_progress where digest = $1",
        digest,
    )
    return Progress(0, 0, 0, 0, finished=False) if row is None else Progress(*row)


async def move_progress(connection: PinnedConnection, digest: bytes, *, before: int, now: Progress) -> bool:
    """Move a file's progress on from line `before`. Returns: False when it does not stand there any more."""
    status = await connection.execute(
        _PROGRESS, digest, before, now.line, now.accepted, now.refused, now.rejected_bytes, now.finished
    )
    return status == "UPDATE 1"


async def read_retention(db: Database | PinnedConnection) -> list[RetentionRow]:
    """Every period, by kind and date."""
    rows = await db.fetch("select kind, since, years, reference from register.retention order by kind, since")
    return [RetentionRow(*row) for row in rows]


async def set_retention(db: Database, row: RetentionRow) -> None:
    """Enter a period, in place of one of the same kind and date. It holds for notifications loaded from now on."""
    await db.execute(
        "insert into register.retention values ($1, $2, $3, $4)"
        " on conflict (kind, since) do update set years = excluded.years, reference = excluded.reference",
        *row,
        commit=True,
    )


async def purge_expired(db: Database, today: dt.date) -> int:
    """Delete one portion of the versions whose period has ended, with their tokens. Returns: how many; 0 when none."""
    row = await db.fetchrow(_PURGE, today, PURGE_ROWS_MAX, commit=True)
    return 0 if row is None else int(row[0])


async def count_versions(db: Database | PinnedConnection, today: dt.date) -> Counts:
    """Count the versions by standing."""
    row = await db.fetchrow(
        "select count(*) filter (where superseded_on is null and (expires_on is null or expires_on > $1)),"
        " count(*) filter (where superseded_on is not null and (expires_on is null or expires_on > $1)),"
        " count(*) filter (where expires_on <= $1) from register.record",
        today,
    )
    return Counts(0, 0, 0) if row is None else Counts(*row)
