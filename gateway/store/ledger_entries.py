"""The projection that people query: `ledger.entry`, and how far each stream has been projected.

Filled from blocks whole, in one transaction with the mark of how far it went, so that a crash repeats or loses nothing.
Not here: what the bytes say (gateway.ledger.projection).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

PROJECTOR_LOCK: Final = 0x5345_4B49_5052  # "SEKIPR"
COLUMNS: Final = (
    "stream",
    "height",
    "idx",
    "at",
    "party",
    "line",
    "request_id",
    "operation",
    "matter",
    "step",
    "counterparty",
    "outcome",
    "kind",
    "yen",
    "commission",
    "terms",
    "application",
    "transition",
    "copies",
    "deposited_at_us",
    "store_day",
    "store",
    "kiosk",
)

_BEHIND: Final = """
select stream, height, entries from (
  select b.*, sum(octet_length(b.entries)) over (order by b.ahead, b.stream) as upto from (
    select k.stream, k.height, k.entries, k.height - coalesce(p.height_next, 0) as ahead
    from ledger.stream s
    left join ledger.projected p on p.stream = s.id
    cross join lateral (
      select k.stream, k.height, k.entries from ledger.block k
      where k.stream = s.id and k.height >= coalesce(p.height_next, 0) order by k.height limit $1
    ) k
    order by ahead, k.stream limit $1
  ) b
) b
where upto - octet_length(entries) < $2
order by ahead, stream
"""


class Connection(Protocol):
    """What is needed of a connection of the pool."""

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Any]:
        """Rows."""

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Status."""

    async def copy_records(
        self, table: str, *, columns: Sequence[str], records: Iterable[Sequence[object]], schema: str | None = None
    ) -> int:
        """How many rows were appended."""


class EntryStore:
    """The projection over one connection inside a transaction. Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def become_writer(self) -> bool:
        """Take the projector's lock until the transaction ends; False when another has it.

        The commit is not flushed: rows that a crash loses are lost with their mark, and made again from the blocks.
        """
        rows = await self._connection.fetch(
            "select pg_catalog.pg_try_advisory_xact_lock($1), pg_catalog.set_config('synchronous_commit', 'off', true)",
            PROJECTOR_LOCK,
        )
        return bool(rows[0][0])

    async def behind(self, blocks: int, octets: int) -> list[tuple[bytes, int, bytes]]:
        """Blocks not projected yet: stream, height, stored entries; at most so many, and of that size, or one.

        Streams in turn, each in the order of its heights.
        """
        return [(row[0], row[1], row[2]) for row in await self._connection.fetch(_BEHIND, blocks, octets)]

    async def append(self, records: Iterable[Sequence[object]]) -> int:
        """Insert rows of COLUMNS. Returns: how many."""
        return await self._connection.copy_records("entry", schema="ledger", columns=COLUMNS, records=records)

    async def mark(self, height_next: Mapping[bytes, int]) -> None:
        """Say up to where each stream is projected."""
        await self._connection.execute(
            "insert into ledger.projected (stream, height_next) select * from unnest($1::bytea[], $2::bigint[])"
            " on conflict (stream) do update set height_next = excluded.height_next",
            list(height_next),
            list(height_next.values()),
        )

    async def clear(self) -> None:
        """Forget the whole projection."""
        await self._connection.execute("truncate ledger.entry, ledger.projected")
