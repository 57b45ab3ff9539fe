"""The municipality's own log of what was refused and what must be looked into.

A refusal keeps the real cause, sealed; the operator was told an outcome only. An incident stays open until a person
closes it with a finding, whether or not a later try went well: the real failures of the field announced themselves by
errors that were followed by success (DOMAIN 2.12). Neither says anything of a resident in the clear.
"""

from typing import Final

import msgspec

from gateway.peers.municipality.errors import ChangeRefused, Incident
from gateway.peers.municipality.issuing import Cause, Refused
from gateway.peers.municipality.store import Store

LISTED_MAX: Final = 1000


class RefusalRow(msgspec.Struct, frozen=True):
    """One refusal: when, which application (hexadecimal), what was said (Outcome), and why."""

    number: int
    at_us: int
    application: str
    outcome: int
    cause: str


class IncidentRow(msgspec.Struct, frozen=True):
    """One incident; closed_us is None while it is open. detail is a code without personal data."""

    number: int
    at_us: int
    code: str
    application: str
    detail: str
    closed_us: int | None
    closed_by: str
    finding: str


def keep_refusal(store: Store, application: bytes, refused: Refused) -> None:
    """Keep one refusal with its cause."""
    with store.transaction():
        number = _next(store, "refusals")
        cause = store.sealer.seal("cause", str(number), refused.cause.value.encode())
        store.run(
            "INSERT INTO refusals VALUES (?, ?, ?, ?, ?)",
            number,
            store.now_us(),
            application,
            int(refused.outcome),
            cause,
        )


def refusals(store: Store) -> list[RefusalRow]:
    """The newest refusals, newest first."""
    rows = store.rows(
        "SELECT number, at_us, application, outcome, cause FROM refusals ORDER BY number DESC LIMIT ?", LISTED_MAX
    )
    return [
        RefusalRow(
            number,
            at_us,
            application.hex(),
            outcome,
            Cause(store.sealer.open("cause", str(number), cause).decode()).value,
        )
        for number, at_us, application, outcome, cause in rows
    ]


def raise_incident(store: Store, code: Incident, application: bytes, detail: str = "") -> None:
    """Open an incident."""
    with store.transaction():
        store.run(
            "INSERT INTO incidents (number, at_us, code, application, detail) VALUES (?, ?, ?, ?, ?)",
            _next(store, "incidents"),
            store.now_us(),
            code.value,
            application,
            detail,
        )


def incidents(store: Store, *, closed: bool = False) -> list[IncidentRow]:
    """Open incidents, oldest first; with closed, the closed ones too."""
    rows = store.rows(
        "SELECT number, at_us, code, application, detail, closed_us, closed_by, finding FROM incidents"
        " WHERE ? OR closed_us IS NULL ORDER BY number LIMIT ?",
        closed,
        LISTED_MAX,
    )
    return [IncidentRow(number, at_us, code, found.hex(), *rest) for number, at_us, code, found, *rest in rows]


def close_incident(store: Store, number: int, *, by: str, finding: str) -> None:
    """Close an open incident with what was found. Raises: ChangeRefused."""
    changed = store.run(
        "UPDATE incidents SET closed_us = ?, closed_by = ?, finding = ? WHERE number = ? AND closed_us IS NULL",
        store.now_us(),
        by,
        finding,
        number,
    )
    if not changed:
        raise ChangeRefused(f"there is no open incident {number}")


def _next(store: Store, table: str) -> int:
    row = store.row(f"SELECT coalesce(max(number), 0) + 1 FROM {table}")  # noqa: S608 - our own tables
    return 1 if row is None else int(row[0])
