"""A database for what can wait: small statements, and rests between them.

What a process does beside the answers (projections, checkpoints) would otherwise come in rows of statements that hold
one core for ten milliseconds: the scheduler lets whoever runs end its slice, and an answer that needs that core waits
as long. So rows are copied a few at a time, and whoever has worked for BURST_S rests REST times as long. The work
itself takes longer, and an answer meets a millisecond of it.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final, TypeVar

import trio

from gateway.store.pool import Database, PinnedConnection, Row

T = TypeVar("T")

BURST_S: Final = 0.001
REST: Final = 4.0
ROWS_A_COPY: Final = 32


class _Pace:
    """How long was worked since the last rest."""

    def __init__(self) -> None:
        self._worked_s = 0.0

    async def rested(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do one piece of work, then rest if it is time."""
        began = trio.current_time()
        result = await work()
        self._worked_s += trio.current_time() - began
        if self._worked_s >= BURST_S:
            rest_s, self._worked_s = self._worked_s * REST, 0.0
            await trio.sleep(rest_s)
        return result


class UnhurriedConnection:
    """A connection inside a transaction, as gateway.store.pool.PinnedConnection: same results, same errors."""

    def __init__(self, connection: PinnedConnection, pace: _Pace) -> None:
        self._connection = connection
        self._pace = pace

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Row]:
        """Rows."""
        return await self._pace.rested(lambda: self._connection.fetch(sql, *args, commit=commit))

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Status."""
        return await self._pace.rested(lambda: self._connection.execute(sql, *args, commit=commit))

    async def copy_records(
        self, table: str, *, columns: Sequence[str], records: Iterable[Sequence[object]], schema: str | None = None
    ) -> int:
        """How many rows were appended. Making the records is part of the work."""
        source = iter(records)

        async def copy_some() -> int:
            some = list(islice(source, ROWS_A_COPY))
            if not some:
                return 0
            return await self._connection.copy_records(table, columns=columns, records=some, schema=schema)

        total = 0
        while copied := await self._pace.rested(copy_some):
            total += copied
        return total


class UnhurriedDatabase:
    """A Database's statements and transactions, with rests between. One pace for all who share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pace = _Pace()

    async def fetch(self, sql: str, *args: object, commit: bool = False) -> list[Row]:
        """Rows."""
        return await self._pace.rested(lambda: self._database.fetch(sql, *args, commit=commit))

    async def execute(self, sql: str, *args: object, commit: bool = False) -> str:
        """Status."""
        return await self._pace.rested(lambda: self._database.execute(sql, *args, commit=commit))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[UnhurriedConnection]:
        """Database.transaction."""
        async with self._database.transaction() as connection:
            yield UnhurriedConnection(connection, self._pace)
