"""Reading the provision history (提供状況) and leaving a trace of it.

Whoever reads says who they are and for which reference; question and log line are one transaction, so nothing is shown
that was not logged. A resident is found by the register's record id and a case by its reference, both as tokens of
every year that still has its key. The case reference itself is opened from the sealed batch.

Not here: how a resident's 住民票コード becomes a record id (the register), how rows look (gateway.inquiry.disclosure).
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.directory.affairs import AFFAIRS, STEP_NAMES
from gateway.directory.hours import day_start_us
from gateway.inquiry.history import Transactional
from gateway.inquiry.provision import Detail, Given, HistoryKeys, ProvisionCorrupt, YearGone
from gateway.store.provision_reading import AccessRow, ProvisionReader, ProvisionRow
from protocol.ledger import EntryKind
from protocol.outcomes import Outcome

_JST: Final = dt.timezone(dt.timedelta(hours=9), "JST")


class Period(msgspec.Struct, frozen=True):
    """Whole days in Japan, both included."""

    first: dt.date
    last: dt.date

    @property
    def edges(self) -> tuple[dt.datetime, dt.datetime]:
        """From when until before when."""
        return _instant(day_start_us(self.first)), _instant(day_start_us(self.last + dt.timedelta(days=1)))


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads, for which reference (a disclosure request, an audit), and when (microseconds since 1970 UTC)."""

    asked_by: str
    reference: str
    at_us: int


class OfSubject(msgspec.Struct, frozen=True):
    """What was provided of one resident, by every record id the register has of them."""

    record_ids: tuple[bytes, ...]
    disclosure: bool = False


class OfCase(msgspec.Struct, frozen=True):
    """What was provided for one case reference."""

    case: str


class OfParty(msgspec.Struct, frozen=True):
    """What was provided to one party."""

    party: str


Question = OfSubject | OfCase | OfParty


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One record provided: when (JST), to whom, for what, by whose hand, and what of it.

    approval: request id of the second person's approval in hex, "" where none was needed.
    """

    at: str
    party: str
    line: str
    affair: str
    affair_ja: str
    affair_en: str
    step: int
    step_ja: str
    staff: str
    case: str
    approval: str
    request_id: str
    outcome: str
    repeated: bool
    disclaimed: bool
    given: int
    given_ja: str
    given_en: str


async def read(
    database: Transactional, keys: Sequence[HistoryKeys], question: Question, period: Period, reading: Reading
) -> list[Line]:
    """Answer a question about the history and log that it was asked; oldest first.

    keys: of every year that has some. Raises: ProvisionCorrupt, YearGone, StoreError.
    """
    async with database.transaction() as connection:
        reader = ProvisionReader(connection)
        begin, end = period.edges
        now_keys = keys[-1] if keys else None
        if isinstance(question, OfSubject):
            found = [each.subject_token(record_id) for each in keys for record_id in question.record_ids]
            rows = await reader.by_subject(found, begin, end)
            kind, target = "disclosure" if question.disclosure else "subject", ""
            token = now_keys.subject_token(question.record_ids[0]) if now_keys and question.record_ids else None
        elif isinstance(question, OfCase):
            rows = await reader.by_case([each.case_token(question.case) for each in keys], begin, end)
            kind, target = "case", ""
            token = now_keys.case_token(question.case) if now_keys else None
        else:
            rows = await reader.by_party(question.party, begin, end)
            kind, target, token = "party", question.party, None
        lines = await _lines(reader, {each.year: each for each in keys}, rows)
        await reader.log_access(
            AccessRow(reading.at_us, kind, reading.asked_by, reading.reference, target, token, len(rows))
        )
    return lines


async def _lines(reader: ProvisionReader, keys: dict[int, HistoryKeys], rows: Sequence[ProvisionRow]) -> list[Line]:
    places = sorted({(row.stream, row.height) for row in rows})
    details: dict[tuple[bytes, int, int], Detail] = {}
    for (stream, height), batch in (await reader.batches(places)).items():
        if batch.year not in keys:
            raise YearGone(batch.year)
        for detail in keys[batch.year].details(stream, height, batch):
            details[stream, height, detail.index] = detail
    lines = []
    for row in rows:
        found = details.get((row.stream, row.height, row.idx))
        if found is None:
            raise ProvisionCorrupt(row.stream, row.height, "has no detail for a row; rebuild the history")
        lines.append(_line(row, found))
    return lines


def _line(row: ProvisionRow, detail: Detail) -> Line:
    affair = AFFAIRS.get(row.affair)
    given = Given(row.given)
    return Line(
        at=row.at.astimezone(_JST).isoformat(sep=" ", timespec="seconds"),
        party=row.party,
        line=row.line,
        affair=row.affair,
        affair_ja=affair.title_ja if affair else row.affair,
        affair_en=affair.title_en if affair else row.affair,
        step=row.step,
        step_ja=STEP_NAMES.get(row.step, str(row.step)),
        staff=row.staff,
        case=detail.case,
        approval=(detail.approval or b"").hex(),
        request_id=row.request_id.hex,
        outcome=Outcome(row.outcome).name,
        repeated=row.kind == EntryKind.REPEAT,
        disclaimed=row.disclaimed,
        given=row.given,
        given_ja=given.ja,
        given_en=given.en,
    )


def _instant(at_us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=at_us)
