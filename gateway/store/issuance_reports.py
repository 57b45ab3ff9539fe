"""The durable queue of reports to municipalities: numbering, what is open, and what was noted.

A block's statement only says that a report is due. Numbers are given here, by whoever holds the municipality's lock
for one transaction: no two are alike, none is left out (a transaction that fails gives its numbers back), and no block
ever waits for another because of them. The order is that in which the transitions were recorded.

Source: DESIGN section 10; 000仕13-1, 001-14-1; DOMAIN X 11.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.store.issuance import ApplicationRow, EventRow
from gateway.store.pool import Database, PinnedConnection

FORWARDER_LOCK: Final = 0x5345_4946  # "SEIF", with the municipality's code as the second key
NUMBERING_LOCK: Final = 0x5345_494E  # "SEIN"
NUMBERED_AT_ONCE: Final = 256

_DUE: Final = """
select d.transition, a.application, a.operator, a.kiosk, a.municipality, a.card_type, a.pseudonym, a.kiosk_key,
  a.expires_at_us, e.application, e.transition, e.stream, e.height, e.idx, e.at_us, e.request, e.answer, e.fee_yen,
  e.commission_yen, e.terms, e.copies, e.yen, e.commission, e.deposited_at_us, e.store_day, e.store, e.place,
  e.counterparty, (select p.request from issuance.event p where p.application = d.application and p.transition = 2)
from issuance.due d
join issuance.application a on a.application = d.application
join issuance.event e on e.application = d.application and e.transition = d.transition
where d.municipality = $1
order by d.at_us, d.application, e.place
limit $2
"""


class Due(NamedTuple):
    """A report that waits for its number: the application, what happened, and the body of its APPLY."""

    application: ApplicationRow
    event: EventRow
    applied: bytes


class OpenReport(NamedTuple):
    """A numbered report as it travels."""

    number: int
    application: bytes
    transition: int
    payload: bytes


class ReportStore:
    """The queue over a Database. Raises the errors of gateway.store.errors."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self) -> list[str]:
        """Municipalities that have something to be told."""
        rows = await self._database.fetch(
            "select distinct municipality from issuance.due"
            " union select distinct municipality from issuance.report where noted_us is null"
        )
        return sorted(row[0] for row in rows)

    async def number(self, municipality: str, payload_of: Callable[[int, Due], bytes]) -> int:
        """Give what is due its numbers, in order, exactly once. Returns: how many (NUMBERED_AT_ONCE at most)."""
        async with self._database.transaction() as connection:
            await connection.fetch("select pg_catalog.pg_advisory_xact_lock($1, $2)", NUMBERING_LOCK, int(municipality))
            rows = await connection.fetch(_DUE, municipality, NUMBERED_AT_ONCE)
            if not rows:
                return 0
            first = await connection.fetch(
                "select coalesce(max(number), 0) + 1 from issuance.report where municipality = $1", municipality
            )
            due = [Due(ApplicationRow(*row[1:9]), EventRow(*row[9:28]), row[28]) for row in rows]
            numbers = range(first[0][0], first[0][0] + len(due))
            applications = [each.application.application for each in due]
            transitions = [each.event.transition for each in due]
            await connection.execute(
                "insert into issuance.report (municipality, number, application, transition, payload)"
                " select $1, * from unnest($2::bigint[], $3::bytea[], $4::smallint[], $5::bytea[])",
                municipality,
                list(numbers),
                applications,
                transitions,
                [payload_of(number, each) for number, each in zip(numbers, due, strict=True)],
            )
            await connection.execute(
                "delete from issuance.due d using unnest($1::bytea[], $2::smallint[]) as g (application, transition)"
                " where d.application = g.application and d.transition = g.transition",
                applications,
                transitions,
            )
            return len(due)

    async def after(self, municipality: str, number: int, limit: int) -> list[OpenReport]:
        """Reports that follow a number, in order."""
        rows = await self._database.fetch(
            "select number, application, transition, payload from issuance.report"
            " where municipality = $1 and number > $2 order by number limit $3",
            municipality,
            number,
            limit,
        )
        return [OpenReport(*row) for row in rows]

    async def bounds(self, municipality: str) -> tuple[int, int]:
        """The highest number given, and the highest up to which all are noted; 0 for none."""
        rows = await self._database.fetch(
            "select coalesce(max(number), 0), coalesce("
            "  (select min(number) - 1 from issuance.report where municipality = $1 and noted_us is null),"
            "  max(number), 0) from issuance.report where municipality = $1",
            municipality,
        )
        return rows[0][0], rows[0][1]

    async def noted(self, municipality: str, upto: int, at_us: int) -> int:
        """Mark reports up to a number as durable at the municipality. Returns: how many were not marked before."""
        status = await self._database.execute(
            "update issuance.report set noted_us = $3 where municipality = $1 and number <= $2 and noted_us is null",
            municipality,
            upto,
            at_us,
            commit=True,
        )
        return int(status.rpartition(" ")[2])


async def become_forwarder(connection: PinnedConnection, municipality: str) -> bool:
    """Take a municipality's forwarding for as long as this connection lives; False when another worker has it."""
    rows = await connection.fetch("select pg_catalog.pg_try_advisory_lock($1, $2)", FORWARDER_LOCK, int(municipality))
    return bool(rows[0][0])


async def leave_forwarding(connection: PinnedConnection, municipality: str) -> None:
    """Give it back."""
    await connection.fetch("select pg_catalog.pg_advisory_unlock($1, $2)", FORWARDER_LOCK, int(municipality))
