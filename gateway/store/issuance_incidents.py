"""Incidents of the issuance: a reply that was dropped stays in the table until a person closes it.

Not here: what makes an incident (gateway.issuance.incidents). Source: DESIGN section 3, invariant 3; DOMAIN 2.12.
"""

from typing import Final, NamedTuple

from gateway.store.ledger_entries import Connection

LISTED_MAX: Final = 1_000


class IncidentRow(NamedTuple):
    """One incident; application is None where none can be told; closed_* are None and ground is None while open."""

    id: int
    at_us: int
    kind: str
    municipality: str
    application: bytes | None
    detail: str
    closed_us: int | None
    closed_by: str | None
    ground: str | None


class ApplicationLine(NamedTuple):
    """An application as the centre's staff see it: no pseudonym, no keys."""

    application: bytes
    operator: str
    kiosk: str
    municipality: str
    expires_at_us: int
    transitions: list[int]
    copies: int
    yen: int
    document_kept: bool


class ReportsLine(NamedTuple):
    """A municipality's queue: reports numbered, of these noted, due and not numbered, and since when."""

    municipality: str
    numbered: int
    noted: int
    due: int
    oldest_us: int | None


class IncidentStore:
    """Incidents, and what is listed beside them, over one connection. Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open(self, *, at_us: int, kind: str, municipality: str, application: bytes | None, detail: str) -> None:
        """Write an incident, durably. detail is a code of at most 80 characters, never content."""
        await self._connection.execute(
            "insert into issuance.incident (at_us, kind, municipality, application, detail)"
            " values ($1, $2, $3, $4, $5)",
            at_us,
            kind,
            municipality,
            application,
            detail,
            commit=True,
        )

    async def listed(self, *, all_of_them: bool = False) -> list[IncidentRow]:
        """Open incidents, or all, oldest first; LISTED_MAX at most."""
        rows = await self._connection.fetch(
            "select id, at_us, kind, municipality, application, detail, closed_us, closed_by, ground"
            " from issuance.incident where $1 or closed_us is null order by id limit $2",
            all_of_them,
            LISTED_MAX,
        )
        return [IncidentRow(*row) for row in rows]

    async def close(self, incident: int, *, by: str, ground: str, at_us: int) -> bool:
        """Close an open incident. Returns: False where there is no open one of that number."""
        status = await self._connection.execute(
            "update issuance.incident set closed_us = $2, closed_by = $3, ground = $4"
            " where id = $1 and closed_us is null",
            incident,
            at_us,
            by,
            ground,
            commit=True,
        )
        return status == "UPDATE 1"

    async def applications(self, *, limit: int, operator: str | None = None) -> list[ApplicationLine]:
        """The latest applications, newest first."""
        rows = await self._connection.fetch(
            "select a.application, a.operator, a.kiosk, a.municipality, a.expires_at_us, e.transitions, e.copies,"
            " e.yen,"
            " exists (select d.application from issuance.document d where d.application = a.application)"
            " from (select * from issuance.application where $2::text is null or operator = $2"
            "   order by application desc limit $1) a"
            " cross join lateral (select array_agg(e.transition order by e.at_us) as transitions,"
            "   coalesce(sum(e.copies), 0)::int as copies, coalesce(sum(e.yen), 0)::bigint as yen"
            "   from issuance.event e where e.application = a.application) e order by a.application desc",
            limit,
            operator,
        )
        return [ApplicationLine(*row) for row in rows]

    async def reports(self) -> list[ReportsLine]:
        """Every municipality that has or had anything to be told."""
        rows = await self._connection.fetch(
            "select m.municipality, coalesce(r.numbered, 0), coalesce(r.noted, 0), coalesce(d.due, 0), d.oldest"
            " from (select municipality from issuance.report union select municipality from issuance.due) m"
            " left join (select municipality, count(*) as numbered, count(noted_us) as noted"
            "   from issuance.report group by municipality) r using (municipality)"
            " left join (select municipality, count(*) as due, min(at_us) as oldest"
            "   from issuance.due group by municipality) d using (municipality) order by 1"
        )
        return [ReportsLine(*row) for row in rows]
