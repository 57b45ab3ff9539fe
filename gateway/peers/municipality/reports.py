"""What the centre reports: completions, voids and corrections, each time (000仕13-1, 001-14), in order without a gap.

A report is durable before it is noted. A known number is noted again and changes nothing; if it says something else
than before, or speaks of what was not issued here, an incident is raised. The original stays beside its correction, so
the municipality sees what was corrected (001-14-2). Nothing here is about a person.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.peers.municipality.errors import Incident
from gateway.peers.municipality.journal import raise_incident
from gateway.peers.municipality.store import Store
from protocol.application import CORRECTIONS_MAX, Transition
from protocol.issuance import Report, Reported

_encode: Final = msgspec.msgpack.Encoder().encode
_read: Final = msgspec.msgpack.Decoder(Report).decode
_ENDS: Final = frozenset({Transition.COMPLETED, Transition.VOIDED})


class Total(msgspec.Struct, frozen=True):
    """Sums over reports of one kind: how many reports, copies and yen that stand."""

    kind: str
    completions: int
    voids: int
    corrections: int
    copies: int
    yen: int


def note(store: Store, report: Report) -> Reported:
    """Take a report in, if it is the next; says up to which number all is durable."""
    with store.transaction():
        highest = noted(store)
        if report.number <= highest:
            row = store.row("SELECT body FROM reports WHERE number = ?", report.number)
            if row is None or row[0] != _encode(report):
                raise_incident(store, Incident.REPORT_DIFFERS, report.application, f"number {report.number}")
            return Reported(highest)
        if report.number > highest + 1:
            raise_incident(store, Incident.REPORT_GAP, report.application, f"{report.number} after {highest}")
            return Reported(highest)
        store.run(
            "INSERT INTO reports VALUES (?, ?, ?, ?)",
            report.number,
            _encode(report),
            report.application,
            store.now_us(),
        )
        _match(store, report)
        if report.transition in _ENDS:
            store.run("DELETE FROM held WHERE application = ?", report.application)
        return Reported(report.number)


def noted(store: Store) -> int:
    """The highest number that is durable; 0 before the first."""
    row = store.row("SELECT coalesce(max(number), 0) FROM reports")
    return 0 if row is None else int(row[0])


def reports(store: Store, *, day_from: str = "", day_to: str = "9999-12-31") -> list[Report]:
    """All reports of store business days in a range, both ends included, in their order."""
    read = (_read(body) for (body,) in store.rows("SELECT body FROM reports ORDER BY number"))
    return [report for report in read if day_from <= report.store_day <= day_to]


def totals(listed: Iterable[Report]) -> list[Total]:
    """Sums a kind, and over all under the kind ""; copies and yen of reports are signed changes. Pure."""
    found: dict[str, list[int]] = {}
    for report in listed:
        for kind in (report.kind, ""):
            sums = found.setdefault(kind, [0] * 5)
            sums[0] += report.transition == Transition.COMPLETED
            sums[1] += report.transition == Transition.VOIDED
            sums[2] += is_correction(report.transition)
            sums[3] += report.copies
            sums[4] += report.yen
    return [Total(kind, *sums) for kind, sums in sorted(found.items(), key=lambda each: (not each[0], each[0]))]


def is_correction(transition: int) -> bool:
    """Whether a transition is one of the corrections of an application."""
    return Transition.CORRECTED_1 <= transition < Transition.CORRECTED_1 + CORRECTIONS_MAX


def _match(store: Store, report: Report) -> None:
    """A report must be of an issue of ours, its kind, and leave no more copies standing than were issued."""
    row = store.row("SELECT kind, copies FROM issues WHERE application = ?", report.application)
    if row is None:
        raise_incident(store, Incident.REPORT_UNMATCHED, report.application, "not issued here")
        return
    of_it = store.rows("SELECT body FROM reports WHERE application = ?", report.application)
    standing = sum(_read(body).copies for (body,) in of_it)
    if report.kind != row[0] or not 0 <= standing <= row[1]:
        raise_incident(store, Incident.REPORT_UNMATCHED, report.application, "another kind or number of copies")
