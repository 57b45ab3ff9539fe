"""Running the analyses (gateway.inquiry.oversight) over what the database holds, and keeping what they find.

Whole months are read, one after the other, so that a run never holds more than one in memory; a second run over the
same months finds the same and keeps nothing twice.
"""

import datetime as dt
from collections.abc import Set

from gateway.inquiry.history import Transactional
from gateway.inquiry.oversight import Candidate, Refusal, Thresholds, Use, analyse, windows
from gateway.inquiry.reading import Period
from gateway.store.provision_candidates import CandidateStore


async def oversee(
    database: Transactional, period: Period, *, thresholds: Thresholds, holidays: Set[dt.date], found_us: int
) -> tuple[list[Candidate], int]:
    """Analyse the months a period touches. Returns: what was found, and how many are new. Raises: StoreError."""
    found: list[Candidate] = []
    new = 0
    month, last = windows(period.first, period.last)
    while month <= last:
        _, month_end = windows(month, month)
        begin, end = Period(month, month_end).edges
        async with database.transaction() as connection:
            store = CandidateStore(connection)
            uses = [Use(*row) for row in await store.uses(begin, end)]
            refusals = [Refusal(*row) for row in await store.refusals(begin, end)]
            some = analyse(uses, refusals, thresholds=thresholds, holidays=holidays)
            new += await store.keep(some, found_us=found_us)
        found += some
        month = month_end + dt.timedelta(days=1)
    return found, new
