"""The end of a year of the provision history: its key, its partitions, and the statement that stays.

Everything is done over one connection in one transaction of the caller's, as the schema's owner. The key goes first:
the triggers let a year's rows go only when its key is gone. Not here: when a year is due, and what the statement says
(gateway.inquiry.retirement).
"""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec

from gateway.store.ledger_entries import Connection
from gateway.store.provision import PROJECTOR_LOCK

_PAGE: Final = 500


class Remains(NamedTuple):
    """What the database still has of a year, and the statement of its end, if there is one."""

    keys: int
    batches: int
    records: int
    statement: bytes | None


class DroppedBatch(msgspec.Struct, frozen=True):
    """A batch on its way out."""

    stream: bytes
    height: int
    subjects: bytes
    sealed: bytes


class RetirementStore:
    """Over one connection inside a transaction. Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def hold(self) -> None:
        """Keep projectors out until the transaction ends."""
        await self._connection.fetch("select pg_catalog.pg_advisory_xact_lock($1)", PROJECTOR_LOCK)

    async def years(self) -> list[int]:
        """The years of which anything is kept."""
        rows = await self._connection.fetch(
            "select year from provision.year_key union select distinct year from provision.batch order by year"
        )
        return [row[0] for row in rows]

    async def key(self, year: int) -> tuple[bytes, str] | None:
        """The year's sealed secret and the key that sealed it."""
        rows = await self._connection.fetch("select sealed, key_id from provision.year_key where year = $1", year)
        return (rows[0][0], rows[0][1]) if rows else None

    async def batches(self, year: int) -> AsyncIterator[DroppedBatch]:
        """A year's batches by stream and height."""
        stream, height = b"", -1
        while True:
            rows = await self._connection.fetch(
                "select stream, height, subjects, sealed from provision.batch"
                " where year = $1 and (stream, height) > ($2, $3) order by stream, height limit $4",
                year,
                stream,
                height,
                _PAGE,
            )
            for row in rows:
                yield DroppedBatch(*row)
            if len(rows) < _PAGE:
                return
            stream, height = rows[-1][0], rows[-1][1]

    async def destroy(self, year: int) -> None:
        """Delete the year's key and everything that was sealed or made with it."""
        await self._connection.execute("delete from provision.year_key where year = $1", year)
        for table in ("batch", "record"):
            await self._connection.execute(f"drop table if exists provision.{table}_{int(year)}")
            await self._connection.execute(f"delete from provision.{table} where year = $1", year)  # noqa: S608

    async def keep(self, year: int, statement: bytes, key_id: str, signature: bytes, at_us: int) -> None:
        """Keep the signed statement. Raises: UniqueViolated for a year that has one."""
        await self._connection.execute(
            "insert into provision.retirement (year, statement, key_id, signature, at_us) values ($1, $2, $3, $4, $5)",
            year,
            statement,
            key_id,
            signature,
            at_us,
        )

    async def rewrite(self) -> None:
        """Rewrite the files the dead rows lie in; outside a transaction."""
        for table in ("year_key", "batch_rest", "record_rest"):
            await self._connection.execute(f"vacuum full provision.{table}")

    async def remains(self, year: int) -> Remains:
        """What is left of a year."""
        rows = await self._connection.fetch(
            "select (select count(*) from provision.year_key where year = $1),"
            " (select count(*) from provision.batch where year = $1),"
            " (select count(*) from provision.record where year = $1),"
            " (select statement from provision.retirement where year = $1)",
            year,
        )
        return Remains(*rows[0])
