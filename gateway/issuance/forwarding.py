"""Reports to municipalities: each completion, void and correction, in order, once, whatever is down (F1; 001-14-1).

A block's own statement says what is due (gateway.store.issuance), so nothing recorded can be forgotten. One worker at a
time forwards for a municipality: an advisory lock, held by a connection, is lost with the worker. It numbers what is
due, asks REPORTED where to go on, and sends from there, each after the one before it was noted. A municipality notes a
number it knows again and does nothing else, so a report that is sent twice is told once.

Source: DESIGN section 10; DOMAIN F1, F2, X 11.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.issuance.errors import MunicipalityAway
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.municipalities import Client, Municipalities
from gateway.store.errors import StoreError
from gateway.store.issuance_reports import Due, ReportStore, become_forwarder, leave_forwarding
from gateway.store.pool import Database, PinnedConnection
from protocol.application import Transition
from protocol.issuance import Correct, Report, Reported, ReportsQuery, Void
from protocol.messages import Operation, decode_body, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

LOOK_S: Final = 0.5
"""How often a worker looks whether anything is to be told."""
ASK_S: Final = 10.0
BACKOFF_S_FIRST: Final = 1.0
BACKOFF_S_MAX: Final = 60.0
AT_ONCE: Final = 16
"""Municipalities that one worker tells at the same time."""
SENT_AT_ONCE: Final = 64
"""Reports read from the store at a time."""


class _Stopped(Exception):  # noqa: N818  named after the fact
    """Nothing more can be told to this municipality now."""


class Forwarder:
    """Forwards for one worker."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Callable[[], Directory],
        municipalities: Municipalities,
        incidents: Incidents,
        now_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._reports = ReportStore(database)
        self._directory = directory
        self._municipalities = municipalities
        self._incidents = incidents
        self._now_us = now_us
        self._locking = trio.Lock()
        self._busy: set[str] = set()
        self._backoff_s: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self.noted = 0

    async def run(self) -> None:
        """Until cancelled."""
        async with self._database.pinned() as locks, trio.open_nursery() as nursery:
            while True:
                try:
                    waiting = await self._reports.waiting()
                except StoreError:
                    waiting = []
                now = trio.current_time()
                for code in waiting:
                    if len(self._busy) >= AT_ONCE:
                        break
                    if code not in self._busy and self._not_before.get(code, 0.0) <= now:
                        self._busy.add(code)
                        nursery.start_soon(self._forward, locks, code)
                await trio.sleep(LOOK_S)

    async def _forward(self, locks: PinnedConnection, code: str) -> None:
        """locks: the connection that holds this worker's locks, used by one task at a time."""
        try:
            async with self._locking:
                mine = await become_forwarder(locks, code)
            if not mine:
                return
            try:
                await self.forward(code)
            finally:
                with trio.CancelScope(shield=True):
                    async with self._locking:
                        await leave_forwarding(locks, code)
            self._backoff_s.pop(code, None)
        except (StoreError, MunicipalityAway, _Stopped) as error:
            self._back_off(code, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a line's own error: it is this municipality's alone
            self._back_off(code, type(error).__name__)
        finally:
            self._busy.discard(code)

    def _back_off(self, code: str, error: str) -> None:
        pause_s = self._backoff_s.get(code, BACKOFF_S_FIRST)
        self._backoff_s[code] = min(pause_s * 2, BACKOFF_S_MAX)
        self._not_before[code] = trio.current_time() + pause_s
        log.warning("reports_wait", municipality=code, error=error)

    async def forward(self, code: str) -> None:
        """Tell a municipality everything there is, under its lock. Raises: StoreError, MunicipalityAway, the line's."""
        place = offers.municipality_of(self._directory(), code)
        if place is None or not place.trust:
            raise MunicipalityAway("away")
        while await self._reports.number(code, payload):
            pass
        client = await self._municipalities.access(place).client()
        known = await self._where_to_go_on(client, code)
        while True:
            reports = await self._reports.after(code, known, SENT_AT_ONCE)
            for report in reports:
                noted = await self._tell(client, code, report.payload, report.application)
                if noted != report.number:  # it has not what came before, or says so: ask again where to go on
                    raise _Stopped
                known = noted
            if reports:
                self.noted += await self._reports.noted(code, known, self._now_us())
                log.debug("reports_noted", municipality=code, count=len(reports))
            if not reports and not await self._reports.number(code, payload):
                return

    async def _where_to_go_on(self, client: Client, code: str) -> int:
        result = await client.ask(Operation.REPORTED, encode(ReportsQuery()), timeout_s=ASK_S)
        known = _noted(result.outcome, result.body)
        top, noted = await self._reports.bounds(code)
        if known is None or known > top:
            detail = f"outcome-{result.outcome}" if known is None else f"knows-{known}-of-{top}"
            await self._incidents.open(
                IncidentKind.REPORTS_AHEAD if known is not None else IncidentKind.REPORT_REFUSED,
                municipality=code,
                application=None,
                detail=detail,
            )
            raise _Stopped
        if known < noted:
            await self._incidents.open(
                IncidentKind.REPORTS_LOST, municipality=code, application=None, detail=f"knows-{known}-of-{noted}"
            )
        elif known > noted:
            self.noted += await self._reports.noted(code, known, self._now_us())
        return known

    async def _tell(self, client: Client, code: str, body: bytes, application: bytes) -> int:
        result = await client.ask(Operation.REPORT, body, timeout_s=ASK_S)
        noted = _noted(result.outcome, result.body)
        if noted is None:
            await self._incidents.open(
                IncidentKind.REPORT_REFUSED,
                municipality=code,
                application=application,
                detail=f"outcome-{result.outcome}",
            )
            raise _Stopped
        return noted


def payload(number: int, due: Due) -> bytes:
    """The report's bytes, which never change once they are numbered."""
    event, row = due.event, due.application
    ground = 0
    kind = decode_body(Operation.APPLY, due.applied).statement.kind  # type: ignore[union-attr]
    if event.transition == Transition.VOIDED:
        ground = msgspec.msgpack.decode(event.request, type=Void).ground
    elif event.transition >= Transition.CORRECTED_1:
        ground = msgspec.msgpack.decode(event.request, type=Correct).ground
    return encode(
        Report(
            number,
            event.transition,
            row.application,
            kind,
            row.operator,
            event.store,
            event.copies,
            event.yen,
            event.deposited_at_us,
            event.store_day,
            event.at_us,
            ground,
        )
    )


def _noted(outcome: int, body: bytes) -> int | None:
    if outcome != Outcome.NOTED:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Reported).number
    except msgspec.DecodeError:
        return None
