"""The register's tables: what is asked of them in one statement, and how rows come in.

The rows are opaque: tokens and sealed bytes made by gateway.inquiry. Both look-ups take arrays and answer one row or
more a question, in the order asked, with the claim of the request id and the directory's version beside it, so that one
round trip is enough to answer (DESIGN 7, Repeats; DESIGN 8).

Plans. Every probe is a LATERAL ... LIMIT, which PostgreSQL can only run as a nested loop over an index; so the generic
plan of a prepared statement stays right whatever unnest is believed to give and however the tables have grown since.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from gateway.store.errors import UniqueViolated
from gateway.store.pool import Database, PinnedConnection, Row

LOOKUPS_MAX: Final = 1024
"""Questions one look-up may carry."""
CANDIDATE_ROWS_MAX: Final = 65
"""Candidates brought for one question by name: one more than may be compared, so that too many is seen."""

_CLAIM: Final = """
left join lateral (
  select c.commitment, c.stream, c.height, c.idx from ledger.claim c
  where c.party = q.party and c.request_id = q.request_id and c.turn = 0 limit 1
) c on true"""

# Not EXISTS: that may be planned as a hash over every disclaimed claim there is.
_CLAIM_COLUMNS: Final = """
  c.commitment, c.stream, c.height, c.idx,
  case when c.commitment is not null then
    (select max(t.turn) from ledger.claim t where t.party = q.party and t.request_id = q.request_id) end as turn,
  case when c.commitment is not null then
    (select true from ledger.claim t
     where t.party = q.party and t.request_id = q.request_id and t.turn = -1 limit 1) is true end as disclaimed"""

_RECORD_AND_VERSION: Final = """
select r.record_id, r.version, r.key_id, r.schema, r.sealed,
  (select version from directory.version) as directory_version,"""
_QUESTIONS_BY_CODE: Final = f"""
from unnest($1::text[], $2::bytea[], $3::bytea[]) with ordinality as q (party, request_id, token, o)
left join lateral (
  select r.record_id, r.version, r.key_id, r.schema, r.sealed from register.record r
  where r.code_token = q.token and r.superseded_on is null and (r.expires_on is null or r.expires_on > $4::date)
  limit 1
) r on true{_CLAIM}
order by q.o
"""  # noqa: S608  only our own constants are set in

LOOKUP_BY_CODE: Final = f"{_RECORD_AND_VERSION}{_CLAIM_COLUMNS}{_QUESTIONS_BY_CODE}"
"""Parameters: parties text[], request ids bytea[], code tokens bytea[], today date. One row a question."""

LOOKUP_NEW: Final = f"{_RECORD_AND_VERSION} c.commitment{_QUESTIONS_BY_CODE}"
"""LOOKUP_BY_CODE for ids that are nearly always new: of a claim, only whether there is one. A third less work."""

LOOKUP_BY_NAME: Final = f"""
select r.record_id, r.version, r.key_id, r.schema, r.sealed,
  (select version from directory.version) as directory_version,{_CLAIM_COLUMNS}, q.o
from unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) with ordinality
  as q (party, request_id, town, birth, o)
left join lateral (
  select r.record_id, r.version, r.key_id, r.schema, r.sealed from (
    select n.record_id from register.name_token n where n.token = q.town
    union select n.record_id from register.name_token n where n.token = q.birth and q.birth <> q.town
  ) n cross join lateral (
    select r.record_id, r.version, r.key_id, r.schema, r.sealed from register.record r
    where r.record_id = n.record_id and r.superseded_on is null
      and (r.expires_on is null or r.expires_on > $5::date)
    limit 1
  ) r
  limit {CANDIDATE_ROWS_MAX}
) r on true{_CLAIM}
order by q.o
"""  # noqa: S608  the only value set in is our own constant
"""Parameters: parties, request ids, town tokens, birth tokens (the town's where none), today. Up to 65 rows each."""


class SealedRow(NamedTuple):
    """A sealed record and its place: 16-byte id, version, key id, schema, nonce and ciphertext."""

    record_id: bytes
    version: int
    key_id: int
    schema: int
    sealed: bytes


class ClaimSeen(msgspec.Struct, frozen=True):
    """What the ledger knows of a request id: its first turn, the highest turn, and whether it was disclaimed."""

    commitment: bytes
    stream: bytes
    height: int
    index: int
    turn: int
    disclaimed: bool


class Found(NamedTuple):
    """One question's findings by code."""

    row: SealedRow | None
    directory_version: int
    claim: ClaimSeen | None


class FoundByName(NamedTuple):
    """One question's findings by name; more than 64 rows means too many."""

    rows: list[SealedRow]
    directory_version: int
    claim: ClaimSeen | None


class RecordRow(NamedTuple):
    """A row of register.record as it is loaded, in the order of its columns."""

    record_id: bytes
    code_token: bytes
    version: int
    key_id: int
    schema: int
    sealed: bytes
    superseded_on: dt.date | None
    expires_on: dt.date | None


class KeyRow(NamedTuple):
    """A row of register.data_key: number, purpose ("index" or "data"), wrapped key, and what key wrapped it."""

    key_id: int
    purpose: str
    sealed: bytes
    wrapped_by: str


async def look_up_by_code(
    db: Database | PinnedConnection,
    *,
    parties: Sequence[str],
    request_ids: Sequence[bytes],
    tokens: Sequence[bytes],
    today: dt.date,
) -> list[Found]:
    """One round trip for up to LOOKUPS_MAX questions by code; the answer has their order and number.

    `today` is the date of the register's office (Japan), by which periods end. Raises: StoreUnavailable.
    """
    rows = await db.fetch(LOOKUP_BY_CODE, parties, request_ids, tokens, today)
    return [Found(_sealed(row), row[5], _claim(row)) for row in rows]


async def look_up_by_name(
    db: Database | PinnedConnection,
    *,
    parties: Sequence[str],
    request_ids: Sequence[bytes],
    tokens: Sequence[tuple[bytes, bytes]],
    today: dt.date,
) -> list[FoundByName]:
    """One round trip for questions by name; tokens from inquiry.index.query_tokens. Raises: StoreUnavailable."""
    towns, births = [town for town, _ in tokens], [birth for _, birth in tokens]
    rows = await db.fetch(LOOKUP_BY_NAME, parties, request_ids, towns, births, today)
    found: list[FoundByName] = []
    for row in rows:
        if row[12] > len(found):
            found.append(FoundByName([], row[5], _claim(row)))
        sealed = _sealed(row)
        if sealed is not None:
            found[-1].rows.append(sealed)
    return found


def _sealed(row: Row) -> SealedRow | None:
    return None if row[0] is None else SealedRow(row[0], row[1], row[2], row[3], row[4])


def _claim(row: Row) -> ClaimSeen | None:
    return None if row[6] is None else ClaimSeen(row[6], row[7], row[8], row[9], row[10], row[11])


async def add_records(
    connection: PinnedConnection, records: Sequence[RecordRow], tokens: Sequence[tuple[bytes, bytes]]
) -> None:
    """Append records and their (token, record id) rows by COPY, as the schema's owner, in the caller's transaction.

    Raises: UniqueViolated for an id, or a standing code, that is there already.
    """
    await connection.copy_records("record", columns=RecordRow._fields, records=records, schema="register")
    await connection.copy_records("name_token", columns=("token", "record_id"), records=tokens, schema="register")


async def refresh_statistics(db: Database | PinnedConnection) -> None:
    """ANALYZE after a load, so that plans know the size of things."""
    await db.execute("analyze register.record, register.name_token")


async def count_records(db: Database | PinnedConnection) -> int:
    """Records in the register, of every standing."""
    row = await db.fetchrow("select count(*) from register.record")
    return 0 if row is None else int(row[0])


async def read_keys(db: Database | PinnedConnection) -> list[KeyRow]:
    """The register's wrapped keys by number."""
    rows = await db.fetch("select id, purpose, sealed, wrapped_by from register.data_key order by id")
    return [KeyRow(*row) for row in rows]


async def add_keys(db: Database | PinnedConnection, keys: Sequence[KeyRow]) -> bool:
    """Store wrapped keys in one statement, all, or none when any number is taken. Returns: whether stored."""
    try:
        await db.execute(
            "insert into register.data_key select * from unnest($1::int[], $2::text[], $3::bytea[], $4::text[])",
            [key.key_id for key in keys],
            [key.purpose for key in keys],
            [key.sealed for key in keys],
            [key.wrapped_by for key in keys],
        )
    except UniqueViolated:
        return False
    return True
