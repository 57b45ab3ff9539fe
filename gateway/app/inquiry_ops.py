"""What the ops process does for an inquiry centre alone: the provision history, and who looks into it."""

import datetime as dt
from collections.abc import Callable

import structlog

from gateway.app.configuration import Configuration
from gateway.app.overseeing import watch_candidates
from gateway.app.year_keys import YearKeys
from gateway.directory.hours import DAY_US, jst_date
from gateway.inquiry.errors import InquiryError
from gateway.inquiry.history import project_once
from gateway.inquiry.oversight import RULES
from gateway.ops.metrics import OpsMetrics
from gateway.store import approvals, volume
from gateway.store.errors import StoreError
from gateway.store.pool import Database
from gateway.store.provision import ProvisionStore
from gateway.store.unhurried import UnhurriedDatabase
from hsm.errors import HsmError
from hsm.interface import KeyStore

log = structlog.get_logger()

COUNTS_KEPT_DAYS = 7
"""Counts of volume and approvals are kept so long for who looks into them; the ledger has what came of them."""


class InquiryDuties:
    """gateway.app.ops.Duties of an inquiry centre. The history's keys are unwrapped here and nowhere shown."""

    def __init__(
        self,
        configuration: Configuration,
        database: Database,
        keystore: KeyStore,
        gauges: OpsMetrics,
        now_us: Callable[[], int],
    ) -> None:
        gauges.know_candidates(RULES)
        self._database = database
        self._unhurried = UnhurriedDatabase(database)
        self._gauges = gauges
        self._now_us = now_us
        self._thresholds = configuration.history.candidates
        self._years = YearKeys(ProvisionStore(database), keystore, now_us)

    async def project_once(self) -> int:
        """See Duties: what was provided of whom."""
        try:
            return await project_once(self._unhurried, self._years.existing)
        except (StoreError, InquiryError, HsmError) as error:
            log.warning("history_waits", code=error.code)
            return 0

    async def keep_house(self) -> None:
        """See Duties: the years' partitions, ahead of time; counts and approvals whose day is long over are dropped."""
        now_us = self._now_us()
        await self._database.execute(
            "select provision.make_year(extract(year from now() at time zone 'Asia/Tokyo')::int + n)"
            " from generate_series(0, 1) as n"
        )
        await volume.forget(self._database, before=jst_date(now_us) - dt.timedelta(days=COUNTS_KEPT_DAYS))
        await approvals.forget(self._database, expired_before_us=now_us - COUNTS_KEPT_DAYS * DAY_US)

    async def watch(self) -> None:
        """See Duties: candidates for an incident."""
        await watch_candidates(self._database, self._gauges, self._thresholds, self._now_us)
