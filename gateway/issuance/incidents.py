"""Incidents: a reply that was dropped is kept in mind until a person closes it, even if asking again succeeded.

In the field the error that was followed by a success was the one nobody looked at (DOMAIN 2.12, Adachi). So every late,
duplicate, mismatched or unexpected reply becomes a row; while the database is away it waits here, and is in the log
already. Source: DESIGN section 3, invariant 3.
"""

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

import structlog
import trio

from gateway.store.errors import StoreError
from gateway.store.issuance_incidents import IncidentStore

log = structlog.get_logger()

WAITING_MAX: Final = 10_000
RETRY_S: Final = 1.0


class IncidentKind(StrEnum):
    """What happened; the values are stable."""

    LATE = "late"  # a reply after the asker had been told that there is none
    DUPLICATE = "duplicate"  # a document for an application whose document stands already
    MISMATCHED = "mismatched"  # a document, or a part of one, that is not bound to what was asked
    UNEXPECTED = "unexpected"  # a reply that is none
    REPORTS_LOST = "reports-lost"  # a municipality no longer knows reports that it had noted
    REPORTS_AHEAD = "reports-ahead"  # a municipality knows reports that were never sent
    REPORT_REFUSED = "report-refused"  # a municipality does not take a report
    PAPER_REFUSED = "paper-refused"  # a municipality does not take confirmed data
    CLAIM_REFUSED = "claim-refused"  # a municipality's claim does not hold


class _Incident(NamedTuple):
    at_us: int
    kind: str
    municipality: str
    application: bytes | None
    detail: str


class Incidents:
    """Writes incidents for one worker; `run` writes those that could not be written at once."""

    def __init__(self, store: IncidentStore, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us
        self._waiting: deque[_Incident] = deque(maxlen=WAITING_MAX)
        self._writing = trio.Lock()
        self.counted = 0

    async def open(self, kind: IncidentKind, *, municipality: str, application: bytes | None, detail: str) -> None:
        """Log an incident and write it; returns whether or not it could be written now."""
        self.counted += 1
        log.error(
            "incident_opened",
            code=kind.value,
            reason=detail,
            municipality=municipality,
            application=application.hex() if application else "",
        )
        self._waiting.append(_Incident(self._now_us(), kind.value, municipality, application, detail))
        await self._write()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(RETRY_S)
            await self._write()

    async def _write(self) -> None:
        async with self._writing:
            while self._waiting:
                try:
                    await self._store.open(**self._waiting[0]._asdict())
                except StoreError as error:
                    log.warning("incident_not_written", code=error.code)
                    return
                self._waiting.popleft()
