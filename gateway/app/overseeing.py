"""The ops process's eye on the provision history: candidates for an incident, looked for and counted.

Source: DESIGN section 9; gateway.inquiry.oversight has the rules.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog
import trio

from gateway.directory.apply import load
from gateway.directory.errors import DirectoryError
from gateway.directory.hours import jst_date
from gateway.inquiry.candidates import oversee
from gateway.inquiry.oversight import Thresholds
from gateway.inquiry.reading import Period
from gateway.store.errors import StoreError
from gateway.store.pool import Database
from gateway.store.provision_candidates import CandidateStore

log = structlog.get_logger()

COUNT_S = 60.0
RUN_S = 3600.0
DAY = dt.timedelta(days=1)


class Gauges(Protocol):
    """Where the count is shown; gateway.ops.metrics.OpsMetrics is one."""

    def set_candidates(self, open_by_rule: Mapping[str, int]) -> None:
        """How many are open of each rule."""


async def watch_candidates(
    database: Database, gauges: Gauges, thresholds: Thresholds, now_us: Callable[[], int]
) -> None:
    """Look for candidates once an hour, from yesterday on, and count the open ones once a minute; for ever."""
    next_run = trio.current_time()
    while True:
        try:
            if trio.current_time() >= next_run:
                today = jst_date(now_us())
                holidays = (await load(database)).holidays
                await oversee(
                    database, Period(today - DAY, today), thresholds=thresholds, holidays=holidays, found_us=now_us()
                )
                next_run = trio.current_time() + RUN_S
            gauges.set_candidates(await CandidateStore(database).open_counts())
        except (StoreError, DirectoryError) as error:
            log.warning("oversight_waits", code=error.code)
        await trio.sleep(COUNT_S)
