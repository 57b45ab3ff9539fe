"""What settlement keeps of the lines: parts of a result that is on its way, what was brought, claims that came.

Source: DESIGN section 11; migration 0013.
"""

from typing import Final, NamedTuple

from gateway.store.ledger import Connection
from gateway.store.pool import Database, PinnedConnection
from gateway.store.settlement_acts import JOURNAL_LOCK, DocumentRow

BRINGER_LOCK: Final = 0x5345_4342  # "SECB"
_HOLD: Final = """
with gone as (delete from settlement.held_part where party = $1 and digest <> $2)
insert into settlement.held_part (party, digest, number, data) values ($1, $2, $3, $4) on conflict do nothing
"""
_TO_BRING: Final = """
select d.id, d.party, d.period, d.name, d.media, d.size, d.digest, d.made_us from settlement.document d
where d.party = any($1::text[]) and not exists (select from settlement.brought b where b.document = d.id)
order by d.party, d.period, d.name
"""
_TO_ASK: Final = """
select distinct d.party, d.period from settlement.document d
where d.party = any($1::text[])
  and exists (select from settlement.brought b where b.document = d.id)
  and not exists (select from settlement.received_claim c where c.party = d.party and c.period = d.period)
order by 1, 2
"""


class ClaimRow(NamedTuple):
    """A municipality's claim as it came. day: YYYY-MM-DD; content: its signed file (protocol.papers.SignedClaim)."""

    party: str
    period: str
    number: str
    yen: int
    day: str
    content: bytes
    received_us: int


class HeldParts:
    """Parts of results, over a Database. Raises: StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, party: str, digest: bytes, number: int, data: bytes) -> None:
        """Keep a part; parts of the party's other results are dropped."""
        await self._database.execute(_HOLD, party, digest, number, data, commit=True)

    async def held(self, party: str, digest: bytes) -> bytes:
        """The parts of a result, one after another as far as they go on without a gap."""
        rows = await self._database.fetch(
            "select number, data from settlement.held_part where party = $1 and digest = $2 order by number",
            party,
            digest,
        )
        return b"".join(row[1] for place, row in enumerate(rows) if row[0] == place)

    async def drop(self, party: str) -> None:
        """Keep no part of the party's any more."""
        await self._database.execute("delete from settlement.held_part where party = $1", party, commit=True)


class BringingStore:
    """What municipalities are still to be brought and asked, over a Database. Raises: StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def to_bring(self, parties: list[str]) -> list[DocumentRow]:
        """Documents of these parties that are not whole there, by party, period and name."""
        return [DocumentRow(*row) for row in await self._database.fetch(_TO_BRING, parties)]

    async def to_ask(self, parties: list[str]) -> list[tuple[str, str]]:
        """(party, period) of which something was brought and no claim has come."""
        return [(row[0], row[1]) for row in await self._database.fetch(_TO_ASK, parties)]

    async def brought(self, document: bytes, at_us: int) -> None:
        """A document is whole at the municipality."""
        await self._database.execute(
            "insert into settlement.brought (document, brought_us) values ($1, $2) on conflict do nothing",
            document,
            at_us,
            commit=True,
        )

    async def receive(self, claim: ClaimRow) -> None:
        """Keep a claim; one of that number stands as it came first."""
        await self._database.execute(
            "insert into settlement.received_claim (party, period, number, yen, day, content, received_us)"
            " values ($1, $2, $3, $4, $5::text::date, $6, $7) on conflict do nothing",
            *claim,
            commit=True,
        )

    async def claims(self, *, period: str | None = None) -> list[ClaimRow]:
        """What came, of one period or of all, in the order of arrival."""
        rows = await self._database.fetch(
            "select party, period, number, yen, day::text, content, received_us from settlement.received_claim"
            " where $1::text is null or period = $1 order by received_us, party, number",
            period,
        )
        return [ClaimRow(*row) for row in rows]


async def try_journal(connection: Connection) -> bool:
    """Be the one writer of acts until this transaction ends; False while somebody else is."""
    rows = await connection.fetch("select pg_catalog.pg_try_advisory_xact_lock($1)", JOURNAL_LOCK)
    return bool(rows[0][0])


async def become_bringer(connection: PinnedConnection) -> bool:
    """Be the worker that visits municipalities for as long as this connection lives; False when another one is."""
    rows = await connection.fetch("select pg_catalog.pg_try_advisory_lock($1)", BRINGER_LOCK)
    return bool(rows[0][0])
