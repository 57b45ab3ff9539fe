"""Telling lines what a change of the directory means for them, and watching that it happens in time.

A change writes its notices with its revision (gateway.directory.notices). Every worker, as soon as it takes the new
directory, tells each of its connections of the lines concerned; whoever tells a line first marks the notice sent. A
line that is away is told when it comes back. What nobody could be told is overdue after its time: ops counts
it, and a person tells the party in another way and closes it (`sekisho directory notices`).

A notice may reach a connection more than once, after a failure between telling and marking; it is never left out.
Source: 002 本6-2, 本2-2.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import structlog
import trio

from certs.names import LineName
from gateway.store.errors import StoreError
from gateway.store.notices import NOTICES_MAX, count_overdue, latest_id, mark_sent, to_tell
from gateway.store.pool import Database
from protocol.messages import Notice

log = structlog.get_logger()

LOOK_AGAIN_S = 5.0
"""Without a hint; after a hint at once."""
GATHER_S = 0.05
"""Many lines that come back together are told with one look-up."""
OVERDUE_LOOK_S = 5.0


class Told(Protocol):
    """A connection of a line."""

    name: LineName

    def notify(self, notice: Notice) -> None:
        """Send a NOTICE; returns at once and never raises."""


class Overdue(Protocol):
    """Where the count goes; gateway.ops.metrics.OpsMetrics is one."""

    def set_notices_overdue(self, count: int) -> None:
        """So many lines should have been told by now."""


class Teller:
    """One worker's. It is told when the directory changed and when a line came; `run` tells, for ever."""

    def __init__(
        self, database: Database, *, connections: Callable[[], Iterable[Told]], now_us: Callable[[], int]
    ) -> None:
        self._database = database
        self._connections = connections
        self._now_us = now_us
        self._woken = trio.Event()
        self._all = True
        self._came: set[tuple[str, str]] = set()
        self._last: int | None = None

    def directory_changed(self) -> None:
        """Any line may have to be told."""
        self._all = True
        self._woken.set()

    def line_came(self, name: LineName) -> None:
        """This one may have missed something."""
        self._came.add((name.party, name.line))
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled; a database that is away is asked again."""
        while True:
            try:
                await self._tell()
            except StoreError as error:
                self._all = True
                log.warning("notices_wait", code=error.code)
            with trio.move_on_after(LOOK_AGAIN_S) as patience:
                await self._woken.wait()
                await trio.sleep(GATHER_S)
            self._all = self._all or patience.cancelled_caught
            self._woken = trio.Event()

    async def _tell(self) -> None:
        everyone, came = self._all, self._came
        self._all, self._came = False, set()
        latest = await latest_id(self._database)
        if self._last is None:
            self._last = latest
        here = {(connection.name.party, connection.name.line) for connection in self._connections()}
        lines = here if everyone else here & came
        notices = await to_tell(self._database, after=self._last if everyone else latest, lines=lines)
        by_line: dict[tuple[str, str], list[Told]] = {}
        for connection in self._connections():  # those that are still here
            by_line.setdefault((connection.name.party, connection.name.line), []).append(connection)
        told = []
        for notice in notices:
            connections = by_line.get((notice.party, notice.line), ())
            for connection in connections:
                connection.notify(Notice(notice.kind, notice.decided_us, notice.text))
            if connections and notice.sent_us is None:
                told.append(notice.id)
        if told:
            log.info("lines_told", count=len(told))
            await mark_sent(self._database, told, at_us=self._now_us())
        if len(notices) == NOTICES_MAX:
            self.directory_changed()
        if everyone:
            self._last = notices[-1].id if len(notices) == NOTICES_MAX else max([latest, *(n.id for n in notices)])


async def watch_overdue(database: Database, gauges: Overdue, now_us: Callable[[], int]) -> None:
    """Count what is overdue, for ever."""
    while True:
        try:
            gauges.set_notices_overdue(await count_overdue(database, now_us=now_us()))
        except StoreError as error:
            log.warning("notices_wait", code=error.code)
        await trio.sleep(OVERDUE_LOOK_S)
