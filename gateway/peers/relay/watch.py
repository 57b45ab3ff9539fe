"""What the relay looks after by itself every few seconds: money unsettled, notices to send, pages to overwrite.

A deposit that is older than the set time and has no outcome becomes a notice, once; where the print journal says that
it was printed, its completion is made here. Notices go out through the Notifier, and again when it failed.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
import trio

from gateway.line.dial import LineClient
from gateway.peers.relay import notices, registry, worklist
from gateway.peers.relay.errors import StoreFailed
from gateway.peers.relay.notices import Notice, NoticeKind, Notifier
from gateway.peers.relay.store import Store
from gateway.peers.relay.worklist import InDoubt, Journal
from gateway.peers.relay.writer import Writer

log = structlog.get_logger()

EVERY_S: Final = 5.0
NOTIFY_S_MAX: Final = 10.0
LINE_DOWN_AFTER_S: Final = 30.0
FORGET_EVERY_S: Final = 60.0
IDLE_APPLICATIONS_KEPT_US: Final = 92 * 86_400_000_000
"""An application without money and notices is forgotten after so long: a kiosk that was off may still tell of it."""
BATCH: Final = 64


class Watch:
    """Looks while `run` runs; `wake` makes it look now."""

    def __init__(
        self,
        reader: Store,
        writer: Writer,
        *,
        in_doubt_after_s: int,
        now_us: Callable[[], int],
        notifier: Notifier,
        took: Callable[[], object],
        line_up: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._after_us = in_doubt_after_s * 1_000_000
        self._now_us = now_us
        self._notifier = notifier
        self._took = took
        self._line_up = line_up
        self._wake = trio.Event()
        self._down_since: float | None = None
        self._down_told = False
        self._forgot_at = trio.current_time()

    def wake(self) -> None:
        """There is something to look at."""
        self._wake.set()

    def in_doubt(self) -> list[InDoubt]:
        """What is paid and unsettled for longer than the set time."""
        return worklist.in_doubt(self._reader, before_us=self._now_us() - self._after_us)

    async def run(self) -> None:
        """Look until cancelled. A store that takes nothing is tried again."""
        while True:
            self._wake = trio.Event()
            try:
                await self.look()
            except StoreFailed as error:
                log.warning("relay_store_failed", code=error.code)
            with trio.move_on_after(EVERY_S):
                await self._wake.wait()

    async def look(self) -> None:
        """Once: settle, tell, send, clear away. Raises: StoreFailed."""
        await self._look_at_money()
        await self._look_at_line()
        for notice in notices.unsent(self._reader, limit=BATCH):
            await self._send(notice)
        if trio.current_time() - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = trio.current_time()
            before_us = self._now_us() - IDLE_APPLICATIONS_KEPT_US
            await self._writer(lambda store: registry.drop_old(store, before_us=before_us))
            await self._writer.forget()

    async def _look_at_money(self) -> None:
        items = self.in_doubt()
        for item in [item for item in items if item.journal is Journal.PRINTED and not item.refused][:BATCH]:
            made = partial(worklist.complete_printed, item=item, request_id=LineClient.new_id(), now_us=self._now_us())
            await self._writer(made)
            self._took()
        for item in [item for item in items if not item.told][:BATCH]:
            if item.journal is not Journal.PRINTED or item.refused:
                await self._writer(partial(worklist.tell, item=item, now_us=self._now_us()))

    async def _look_at_line(self) -> None:
        if self._line_up():
            self._down_since, self._down_told = None, False
        elif self._down_since is None:
            self._down_since = trio.current_time()
        elif not self._down_told and trio.current_time() - self._down_since >= LINE_DOWN_AFTER_S:
            self._down_told = True
            await self._tell(NoticeKind.LINE_DOWN, "", "")

    async def _tell(self, kind: NoticeKind, kiosk: str, store_id: str) -> None:
        now_us = self._now_us()
        await self._writer(lambda store: notices.add(store, kind, kiosk=kiosk, store_id=store_id, now_us=now_us))

    async def _send(self, notice: Notice) -> None:
        try:
            with trio.fail_after(NOTIFY_S_MAX):
                await self._notifier(notice)
        except Exception as error:  # noqa: BLE001 - a notifier is anybody's; the notice stays and is sent again
            log.warning("notice_not_sent", record=notice.number, code=type(error).__name__)
            return
        now_us = self._now_us()
        await self._writer(lambda store: notices.sent(store, notice.number, now_us=now_us))
