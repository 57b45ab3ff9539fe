"""What the ops process does for a certificate centre alone: it watches incidents and what municipalities are owed."""

from typing import Final

import structlog
import trio

from gateway.ops.metrics import OpsMetrics
from gateway.store.errors import StoreError
from gateway.store.issuance_incidents import IncidentStore
from gateway.store.pool import Database

log = structlog.get_logger()

LOOK_S: Final = 5.0


class IssuanceDuties:
    """gateway.app.ops.Duties of a certificate centre. What expired is destroyed by the workers themselves."""

    def __init__(self, database: Database, gauges: OpsMetrics) -> None:
        self._incidents = IncidentStore(database)
        self._gauges = gauges

    async def project_once(self) -> int:
        """See Duties: there is no projection beside that of the entries."""
        return 0

    async def keep_house(self) -> None:
        """See Duties: no table of this role is parted by time."""

    async def watch(self) -> None:
        """See Duties: incidents that nobody closed, and reports that no municipality noted yet."""
        while True:
            try:
                incidents = await self._incidents.listed()
                reports = await self._incidents.reports()
                self._gauges.set_issuance(
                    incidents_open=len(incidents),
                    reports_waiting=sum(each.numbered - each.noted + each.due for each in reports),
                )
            except StoreError as error:
                log.warning("issuance_not_watched", code=error.code)
            await trio.sleep(LOOK_S)
