"""A relay that serves: kiosks on one side, the dedicated line on the other, its page on loopback.

It listens at the kiosks' port and the page's, and dials the certificate centre; it opens no other connection. It has no
route between the two networks but what Relay.handle lets pass (K2, K3).
"""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import structlog
import trio

from certs.errors import CertsError
from certs.material import TlsMaterial
from certs.names import LineName
from gateway.line.dial import LineClient
from gateway.line.serving import LineServer
from gateway.peers.line_file import line_from
from gateway.peers.proof_book import DIRECTORY, open_proof_book
from gateway.peers.relay import notices, outbox, registry, watch
from gateway.peers.relay.courier import Courier
from gateway.peers.relay.errors import SetupIncomplete, StoreFailed
from gateway.peers.relay.filing import keep_filing
from gateway.peers.relay.metrics import RelayMetrics
from gateway.peers.relay.notices import NoticeKind, Notifier
from gateway.peers.relay.relay import Relay
from gateway.peers.relay.setup import ROLE, Opened, now_us, opened_relay
from gateway.peers.relay.store import Store, open_store
from gateway.peers.relay.writer import Writer

log = structlog.get_logger()

REQUESTS_AT_ONCE: Final = 2048
"""Calls in hand: each may wait for the centre to have a certificate made."""
TLS_LOOKED_AT_S: Final = 60.0


class Ports(NamedTuple):
    """Where a relay listens."""

    line: int
    page: int


class Running:
    """A relay's parts while it serves, as its page shows and uses them."""

    def __init__(
        self, opened: Opened, line: LineClient, *, writer: Writer, clock: Callable[[], int], notifier: Notifier
    ) -> None:
        self.settings = opened.settings
        self.reader: Store = opened.store
        self.writer = writer
        self.line = line
        self.now_us = clock
        self.metrics = RelayMetrics()
        self.watch = watch.Watch(
            self.reader,
            writer,
            in_doubt_after_s=opened.settings.in_doubt_after_s,
            now_us=clock,
            notifier=notifier,
            took=lambda: self.courier.wake(),
            line_up=lambda: bool(line.open_slots),
        )
        self.courier = Courier(
            line,
            reader=self.reader,
            writer=writer,
            party=opened.settings.operator,
            trust=opened.dialling.trust,
            now_us=clock,
            settled=self._settled,
        )
        self.relay = Relay(
            line,
            operator=opened.settings.operator,
            reader=self.reader,
            writer=writer,
            metrics=self.metrics,
            now_us=clock,
            took=self.courier.wake,
            noticed=self.watch.wake,
        )
        self._connections: Counter[str] = Counter()
        self._moves: trio.MemorySendChannel[tuple[str, bool]]
        self._moves, self._moved = trio.open_memory_channel(4096)
        self._gauges()

    def _settled(self, operation: int, state: str) -> None:
        self.metrics.settled(operation, state)
        if state == outbox.REFUSED:
            self.watch.wake()

    def _gauges(self) -> None:
        reader, watched = self.reader, self.metrics.watch

        def oldest_s() -> float:
            oldest_us = outbox.depth(reader).oldest_us
            return 0.0 if oldest_us is None else max(self.now_us() - oldest_us, 0) / 1e6

        watched("outbox_held", lambda: outbox.depth(reader).held)
        watched("outbox_oldest_s", oldest_s)
        watched("in_doubt", lambda: len(self.watch.in_doubt()))
        watched("refused_open", lambda: _count(reader, "outbox WHERE state = 'refused' AND closed_us IS NULL"))
        watched("kiosks", lambda: _count(reader, "kiosks"))
        watched("kiosks_connected", lambda: _count(reader, "kiosks WHERE connected_us IS NOT NULL"))
        watched("kiosks_faulty", lambda: _count(reader, "kiosks WHERE fault <> ''"))
        watched("notices_open", lambda: _count(reader, "notices WHERE acknowledged_us IS NULL"))
        watched("line_up", lambda: float(bool(self.line.open_slots)))

    # --- the kiosks' connections

    def opened(self, name: LineName) -> None:
        """A kiosk's connection stands."""
        self._connections[name.line] += 1
        self._move(name.line, up=True)

    def closed(self, name: LineName) -> None:
        """A kiosk's connection ended."""
        self._connections[name.line] -= 1
        if not self._connections[name.line]:
            del self._connections[name.line]
            self._move(name.line, up=False)

    def _move(self, kiosk: str, *, up: bool) -> None:
        try:
            self._moves.send_nowait((kiosk, up))
        except trio.WouldBlock:  # thousands at once while the disk hangs: the page is late, and nothing else
            log.warning("kiosk_states_late")

    async def follow_connections(self) -> None:
        """Keep who is connected; a kiosk that is lost while in use makes a notice (K6(8))."""
        async for kiosk, up in self._moved:
            at_us = self.now_us()
            try:
                await self.writer(partial(_moved, kiosk=kiosk, at_us=at_us, up=up))
            except StoreFailed:
                log.warning("kiosk_states_late")
            self.watch.wake()


def _moved(store: Store, kiosk: str, at_us: int, *, up: bool) -> None:
    if up:
        registry.connected(store, kiosk, at_us)
        return
    row = store.row("SELECT store FROM kiosks WHERE kiosk = ? AND in_use <> 0", kiosk)
    if row is not None:
        notices.add(store, NoticeKind.KIOSK_LOST, kiosk=kiosk, store_id=row[0], now_us=at_us)
    registry.disconnected(store, kiosk, at_us)


def _count(store: Store, what: str) -> int:
    row = store.row(f"SELECT count(*) FROM {what}")  # noqa: S608 - from constants above
    return 0 if row is None else int(row[0])


@asynccontextmanager
async def running_relay(
    opened: Opened, line: LineClient, *, clock: Callable[[], int] = now_us, notifier: Notifier = notices.to_the_log
) -> AsyncIterator[Running]:
    """A relay's own parts over a line, without its ports: writer, courier, watch, the book of proofs."""
    with open_store(opened.directory) as written, open_proof_book(opened.directory / DIRECTORY) as book:
        with written.transaction():
            registry.begin(written)
        writer = Writer(written)
        running = Running(opened, line, writer=writer, clock=clock, notifier=notifier)
        async with trio.open_nursery() as writing:
            writing.start_soon(writer.run)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(running.courier.run)
                nursery.start_soon(keep_filing, running.reader, writer, book)
                nursery.start_soon(running.watch.run)
                nursery.start_soon(running.follow_connections)
                yield running
                nursery.cancel_scope.cancel()
            writing.cancel_scope.cancel()


async def serve_relay(
    data: Path,
    *,
    port: int | None = None,
    page_port: int | None = None,
    centre_port: int | None = None,
    stop: trio.Event,
    notifier: Notifier = notices.to_the_log,
    task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`; kiosks' calls in hand are answered first. Ports override the settings', 0 for any.

    task_status.started gets Ports. What the outbox holds then is delivered when the relay serves again.
    Raises: SetupIncomplete, LineFileError, CertsError, HsmError.
    """
    from gateway.peers.relay.web import serve_page  # commands that do not serve need no web framework

    with opened_relay(data, centre_port=centre_port) as opened:
        settings = opened.settings
        material = TlsMaterial(opened.tls, now=datetime.now(UTC))
        listener = _listen(settings.host, settings.port if port is None else port)
        async with (
            line_from(opened.dialling) as line,
            running_relay(opened, line, notifier=notifier) as running,
            trio.open_nursery() as nursery,
        ):
            server = LineServer(
                role=ROLE,
                environment=settings.environment,
                material=material,
                sign=opened.dialling.sign,
                key_of=running.relay.key_of,
                handle=running.relay.handle,
                knows=running.relay.knows,
                requests_at_once=REQUESTS_AT_ONCE,
                connections_max=settings.kiosks_max,
                opened=running.opened,
                closed=running.closed,
            )
            page = await nursery.start(
                serve_page, running, settings.page_host, settings.page_port if page_port is None else page_port
            )
            nursery.start_soon(_keep_certificates, material, server)
            task_status.started(Ports(listener.socket.getsockname()[1], page))
            await server.serve([listener], stop=stop)
            nursery.cancel_scope.cancel()


def _listen(host: str, port: int) -> trio.SocketListener:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise SetupIncomplete(f"cannot listen at {host} port {port}: {error.strerror}; choose another port") from error
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


async def _keep_certificates(material: TlsMaterial, server: LineServer) -> None:
    """Put renewed files and revocation lists in force, and end what they no longer allow."""
    while True:
        await trio.sleep(TLS_LOOKED_AT_S)
        try:
            material.reload(now=datetime.now(UTC))
        except CertsError as error:
            log.warning("tls_not_reloaded", code=type(error).__name__)
        else:
            await server.recheck()
