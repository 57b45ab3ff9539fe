"""What the analyses read and what they leave: rows of a period, and candidates kept once each.

A candidate stands once a rule, window and subject. While it is open a later run may raise its count; once a person has
closed it with a finding it stays as it is. Not here: the rules (gateway.inquiry.oversight).
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from gateway.store.ledger_entries import Connection


class Found(Protocol):
    """A candidate as a rule gives it (gateway.inquiry.oversight.Candidate is one)."""

    @property
    def rule(self) -> str: ...
    @property
    def window_on(self) -> dt.date: ...
    @property
    def subject(self) -> str: ...
    @property
    def party(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def threshold(self) -> int: ...


class StoredCandidate(msgspec.Struct, frozen=True):
    """A candidate as it stands; open while closed_us is None."""

    id: int
    rule: str
    window_on: dt.date
    subject: str
    party: str
    count: int
    threshold: int
    found_us: int
    closed_us: int | None
    closed_by: str | None
    finding: str | None


class CandidateStore:
    """Over one connection (or a Database). Raises the errors of gateway.store.errors."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def uses(self, begin: dt.datetime, end: dt.datetime) -> list[Any]:
        """Records provided in begin <= at < end: at, party, staff, kind."""
        return await self._connection.fetch(
            "select at, party, staff, kind from provision.record where at >= $1 and at < $2", begin, end
        )

    async def askers(self, begin: dt.datetime, end: dt.datetime, *, at_least: int) -> list[Any]:
        """Who was provided whose record in begin <= at < end, for residents that so many or more were: party, staff,
        subject token, each once."""
        return await self._connection.fetch(
            "with asked as (select distinct subject, party, staff from provision.record where at >= $1 and at < $2)"
            " select party, staff, subject from asked where subject in"
            " (select subject from asked group by subject having count(*) >= $3)",
            begin,
            end,
            at_least,
        )

    async def refusals(self, begin: dt.datetime, end: dt.datetime) -> list[Any]:
        """Refusals for cause (2xx) in begin <= at < end: at, party, line, outcome."""
        return await self._connection.fetch(
            "select at, party, line, outcome from ledger.entry"
            " where outcome between 200 and 299 and at >= $1 and at < $2",
            begin,
            end,
        )

    async def keep(self, candidates: Sequence[Found], *, found_us: int) -> int:
        """Keep what was found. Returns: how many are new."""
        rows = await self._connection.fetch(
            "insert into provision.candidate (rule, window_on, subject, party, count, threshold, found_us)"
            " select *, $7::bigint from unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::int[], $6::int[])"
            " on conflict (rule, window_on, subject) do update set count = excluded.count"
            " where candidate.closed_us is null and candidate.count < excluded.count"
            " returning xmax = 0",
            [each.rule for each in candidates],
            [each.window_on for each in candidates],
            [each.subject for each in candidates],
            [each.party for each in candidates],
            [each.count for each in candidates],
            [each.threshold for each in candidates],
            found_us,
        )
        return sum(1 for row in rows if row[0])

    async def open_ones(self) -> list[StoredCandidate]:
        """Those nobody has closed, oldest window first."""
        rows = await self._connection.fetch(
            "select id, rule, window_on, subject, party, count, threshold, found_us, closed_us, closed_by, finding"
            " from provision.candidate where closed_us is null order by window_on, id"
        )
        return [StoredCandidate(*row) for row in rows]

    async def open_counts(self) -> dict[str, int]:
        """How many are open by rule; rules without any are left out."""
        rows = await self._connection.fetch(
            "select rule, count(*) from provision.candidate where closed_us is null group by rule"
        )
        return {row[0]: row[1] for row in rows}

    async def close(self, candidate_id: int, *, closed_by: str, finding: str, at_us: int) -> bool:
        """Close one with what was found out; False when there is none open of this number."""
        rows = await self._connection.fetch(
            "update provision.candidate set closed_us = $2, closed_by = $3, finding = $4"
            " where id = $1 and closed_us is null returning id",
            candidate_id,
            at_us,
            closed_by,
            finding,
        )
        return bool(rows)
