"""The tables of the provision history (提供状況): batches beside their blocks, the keys of the years, what is searched.

A batch is written by the block's own statement (gateway.store.ledger), so that neither ever stands without the other.
The rows people search are a projection of batches and blocks, filled with the mark of how far it came.

Not here: what the bytes say and how they are sealed (gateway.inquiry.provision). Source: DESIGN sections 3 and 9.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.store.errors import StoreUnavailable
from gateway.store.ledger import Riding
from gateway.store.ledger_entries import Connection

PROJECTOR_LOCK: Final = 0x5345_4B49_5056  # "SEKIPV"
COLUMNS: Final = (
    "stream",
    "height",
    "idx",
    "year",
    "subject",
    "at",
    "party",
    "line",
    "affair",
    "step",
    "staff",
    "case_token",
    "request_id",
    "outcome",
    "kind",
    "given",
)
_BEHIND: Final = """
select stream, height, year, at_us, subjects, sealed, entries from (
  select b.*, k.entries, sum(octet_length(k.entries)) over (order by b.ahead, b.stream) as upto from (
    select b.*, b.height - coalesce(p.height_next, 0) as ahead
    from ledger.stream s
    left join provision.projected p on p.stream = s.id
    cross join lateral (
      select * from provision.batch b
      where b.stream = s.id and b.height >= coalesce(p.height_next, 0) order by b.height limit $1
    ) b
    order by ahead, b.stream limit $1
  ) b
  join ledger.block k on k.stream = b.stream and k.height = b.height
) b
where upto - octet_length(entries) < $2
order by ahead, stream
"""


_RIDING: Final = """, p as (
  insert into provision.batch (stream, height, year, at_us, subjects, sealed) values ($1, $2, $12, $13, $14, $15)
)"""


class Batch(NamedTuple):
    """What one block provided: 16 bytes of subject token a record, and the details under one seal."""

    year: int
    at_us: int
    subjects: bytes
    sealed: bytes

    def riding(self) -> Riding:
        """As it goes in with its block."""
        return Riding(_RIDING, self)


class StoredBatch(NamedTuple):
    """A batch as it stands, beside its block's entries in stored form."""

    stream: bytes
    height: int
    year: int
    at_us: int
    subjects: bytes
    sealed: bytes
    entries: bytes


class ProvisionStore:
    """The history over one connection (or a Database). Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def year_key(self, year: int, create: Callable[[], Awaitable[tuple[bytes, str]]]) -> tuple[bytes, str]:
        """The sealed secret of a year and the key that sealed it; made by `create` where there is none.

        Raises: StoreRefused for a year that is retired.
        """
        known = await self.known_key(year)
        if known is not None:
            return known
        sealed, key_id = await create()
        rows = await self._connection.fetch(
            "insert into provision.year_key (year, sealed, key_id) values ($1, $2, $3)"
            " on conflict (year) do nothing returning sealed, key_id",
            year,
            sealed,
            key_id,
            commit=True,
        )
        if rows:
            return rows[0][0], rows[0][1]
        first = await self.known_key(year)
        if first is None:
            raise StoreUnavailable("the key of the year was retired at this very moment")
        return first

    async def known_key(self, year: int) -> tuple[bytes, str] | None:
        """The sealed secret of a year and the key that sealed it, or None."""
        rows = await self._connection.fetch("select sealed, key_id from provision.year_key where year = $1", year)
        return (rows[0][0], rows[0][1]) if rows else None

    async def years(self) -> list[int]:
        """The years that have a key."""
        return [row[0] for row in await self._connection.fetch("select year from provision.year_key order by year")]

    # --- the projection

    async def become_writer(self) -> bool:
        """Take the projector's lock until the transaction ends; False when another has it.

        The commit is not flushed: rows that a crash loses are lost with their mark, and made again from the blocks.
        """
        rows = await self._connection.fetch(
            "select pg_catalog.pg_try_advisory_xact_lock($1), pg_catalog.set_config('synchronous_commit', 'off', true)",
            PROJECTOR_LOCK,
        )
        return bool(rows[0][0])

    async def behind(self, batches: int, octets: int) -> list[StoredBatch]:
        """Batches not projected yet: at most so many, and of blocks of that size together, or one.

        Streams in turn, each in the order of its heights.
        """
        return [StoredBatch(*row) for row in await self._connection.fetch(_BEHIND, batches, octets)]

    async def append(self, records: Iterable[Sequence[object]]) -> int:
        """Insert rows of COLUMNS. Returns: how many."""
        return await self._connection.copy_records("record", schema="provision", columns=COLUMNS, records=records)

    async def mark(self, height_next: Mapping[bytes, int]) -> None:
        """Say up to where each stream is projected."""
        await self._connection.execute(
            "insert into provision.projected (stream, height_next) select * from unnest($1::bytea[], $2::bigint[])"
            " on conflict (stream) do update set height_next = excluded.height_next",
            list(height_next),
            list(height_next.values()),
        )

    async def clear(self) -> None:
        """Forget the whole projection."""
        await self._connection.execute("truncate provision.record, provision.projected")
