"""The register's tables: what is asked of them in one statement, and how rows come in.

The rows are opaque: tokens and sealed bytes made by gateway.inquiry. Both look-ups take arrays and answer one row or more
a question, in the order asked, with the claim of the request id and the version of the directory beside it, so that one
round trip is enough to answer (DESIGN 7, Repeats; DESIGN 8).

Plans. Every probe is a LATERAL ... LIMIT, which PostgreSQL can only run as a nested loop over an index; so the generic
plan of a prepared statement stays right whatever unnest is believed to give and however the tables have grown since.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

LOOKUPS_MAX: Final = 1024
"""Questions one look-up may carry."""
CANDIDATE_ROWS_MAX: Final = 65
"""Candidates brought for one question by name: one more than may be compared, so that too many is seen."""

LOOKUP_SETTINGS: Final[Mapping[str, str]] = {
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
}
"""Settings for connections that run the look-ups: plan once, by index, even while the tables are small."""

_CLAIM: Final = """
left join lateral (
  select c.commitment, c.stream, c.height, c.idx from ledger.claim c
  where c.party = q.party and c.request_id = q.request_id and c.turn = 0 limit 1
) c on true"""

_CLAIM_COLUMNS: Final = """
  c.commitment, c.stream, c.height, c.idx,
  case when c.commitment is not null then
    (select max(t.turn) from ledger.claim t where t.party = q.party and t.request_id = q.request_id) end as turn,
  case when c.commitment is not null then
    exists (select 1 from ledger.claim t
            where t.party = q.party and t.request_id = q.request_id and t.turn = -1) end as disclaimed"""

LOOKUP_BY_CODE: Final = f"""
select r.record_id, r.version, r.key_id, r.schema, r.sealed,
  (select version from directory.version) as directory_version,{_CLAIM_COLUMNS}
from unnest($1::text[], $2::bytea[], $3::bytea[]) with ordinality as q (party, request_id, token, o)
left join lateral (
  select r.record_id, r.version, r.key_id, r.schema, r.sealed from register.record r
  where r.code_token = q.token and r.superseded_on is null and (r.expires_on is null or r.expires_on > $4::date)
  limit 1
) r on true{_CLAIM}
order by q.o
"""
"""Parameters: parties text[], request ids bytea[], code tokens bytea[], today date. One row a question."""

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
"""Parameters: parties, request ids, town tokens, birth tokens (the town's again where none), today. Up to 65 rows each."""


class SealedRow(NamedTuple):
    """A sealed record and its place: 16-byte id, version, key id, schema, nonce and ciphertext."""

    record_id: bytes
    version: int
    key_id: int
    schema: int
    sealed: bytes


class ClaimSeen(NamedTuple):
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


class Connection(Protocol):
    """The part of an asyncpg connection used here."""

    async def fetch(self, query: str, *args: object) -> Sequence[Sequence[object]]: ...

    async def execute(self, query: str, *args: object) -> str: ...

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str], schema_name: str
    ) -> str: ...
