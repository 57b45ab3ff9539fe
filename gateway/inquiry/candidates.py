"""Running the analyses (gateway.inquiry.oversight) over what the database holds, and keeping what they find.

Days are read one after the other and months already drawn together by the database, so that a run never holds more than
a day in memory; a second run over the same period finds the same and keeps nothing twice.
"""

import datetime as dt
from collections.abc import Set

from gateway.inquiry.history import Transactional
from gateway.inquiry.oversight import Asker, Candidate, Refusal, Thresholds, Use, months, of_days, of_months
from gateway.inquiry.reading import Period
from gateway.store.provision_candidates import CandidateStore

_DAY = dt.timedelta(days=1)


async def oversee(
    database: Transactional, period: Period, *, thresholds: Thresholds, holidays: Set[dt.date], found_us: int
) -> tuple[list[Candidate], int]:
    """Analyse the days of a period and the months it touches.

    Returns: what was found, and how many are new. Raises: StoreError.
    """
    found: list[Candidate] = []
    new = 0
    day = period.first
    while day <= period.last:
        begin, end = Period(day, day).edges
        async with database.transaction() as connection:
            store = CandidateStore(connection)
            uses = [Use(*row) for row in await store.uses(begin, end)]
            refusals = [Refusal(*row) for row in await store.refusals(begin, end)]
            some = of_days(uses, refusals, thresholds=thresholds, holidays=holidays)
            new += await store.keep(some, found_us=found_us)
        found += some
        day += _DAY
    for first, last in months(period.first, period.last):
        begin, end = Period(first, last).edges
        async with database.transaction() as connection:
            store = CandidateStore(connection)
            rows = await store.askers(begin, end, at_least=thresholds.one_person)
            some = of_months([Asker(first, *row) for row in rows], thresholds=thresholds)
            new += await store.keep(some, found_us=found_us)
        found += some
    return found, new
