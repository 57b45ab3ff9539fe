"""Reading the provision history: by tokens of a resident or a case, or by party and period, and the log of readings.

A reading and its line in the access log are one transaction of the caller's: nothing is shown that was not logged.
Rows come with whether their answer was disclaimed later. Not here: tokens and keys (gateway.inquiry.provision).
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.store.ledger_entries import Connection
from gateway.store.provision import Batch

ROWS_MAX: Final = 10_000
"""Rows one reading returns; more is a narrower period's."""

_READ: Final = """
select r.at, r.party, r.line, r.affair, r.step, r.staff, r.request_id, r.outcome, r.kind, r.given,
  r.stream, r.height, r.idx, r.year,
  exists (select from ledger.claim c where c.party = r.party and c.request_id = uuid_send(r.request_id) and c.turn = -1)
from provision.record r
where {found} and r.at >= $2 and r.at < $3
order by r.at, r.stream, r.height, r.idx
limit $4
"""
_BY_TOKEN: Final = {
    column: _READ.format(found=f"r.{column} = any($1::bytea[])") for column in ("subject", "case_token")
}
_BY_PARTY: Final = _READ.format(found="r.party = $1")


class ProvisionRow(NamedTuple):
    """One record provided, as it is searched; `disclaimed`: its party declared later that the answer never came."""

    at: dt.datetime
    party: str
    line: str
    affair: str
    step: int
    staff: str
    request_id: uuid.UUID
    outcome: int
    kind: int
    given: int
    stream: bytes
    height: int
    idx: int
    year: int
    disclaimed: bool


class AccessRow(NamedTuple):
    """One reading. `target`: a party or "". `target_token`: of a resident or case, in the year of the reading."""

    at_us: int
    kind: str
    asked_by: str
    reference: str
    target: str
    target_token: bytes | None
    rows: int


class ProvisionReader:
    """Reads over one connection inside a transaction. Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def by_subject(self, tokens: Sequence[bytes], begin: dt.datetime, end: dt.datetime) -> list[ProvisionRow]:
        """Records provided of whoever has one of these tokens; begin <= at < end, oldest first, at most ROWS_MAX."""
        return await self._read(_BY_TOKEN["subject"], tokens, begin, end)

    async def by_case(self, tokens: Sequence[bytes], begin: dt.datetime, end: dt.datetime) -> list[ProvisionRow]:
        """Records provided for the case that has one of these tokens."""
        return await self._read(_BY_TOKEN["case_token"], tokens, begin, end)

    async def by_party(self, party: str, begin: dt.datetime, end: dt.datetime) -> list[ProvisionRow]:
        """Records provided to a party."""
        return await self._read(_BY_PARTY, party, begin, end)

    async def batches(self, places: Sequence[tuple[bytes, int]]) -> dict[tuple[bytes, int], Batch]:
        """The batches of blocks given by stream and height."""
        rows = await self._connection.fetch(
            "select b.stream, b.height, b.year, b.at_us, b.subjects, b.sealed"
            " from unnest($1::bytea[], $2::bigint[]) as w (stream, height)"
            " join provision.batch b on b.stream = w.stream and b.height = w.height",
            [stream for stream, _ in places],
            [height for _, height in places],
        )
        return {(row[0], row[1]): Batch(*row[2:]) for row in rows}

    async def record_ids(self, code_token: bytes) -> list[bytes]:
        """The register's records, standing or superseded, that have this code."""
        rows = await self._connection.fetch(
            "select distinct record_id from register.record where code_token = $1", code_token
        )
        return [row[0] for row in rows]

    async def log_access(self, row: AccessRow) -> None:
        """Write down who read."""
        await self._connection.execute(
            "insert into provision.access (at_us, kind, asked_by, reference, target, target_token, rows)"
            " values ($1, $2, $3, $4, $5, $6, $7)",
            *row,
        )

    async def _read(self, sql: str, found: object, begin: dt.datetime, end: dt.datetime) -> list[ProvisionRow]:
        return [ProvisionRow(*row) for row in await self._connection.fetch(sql, found, begin, end, ROWS_MAX)]
