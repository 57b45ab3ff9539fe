"""A worker process: `python -m gateway.app.work`, started by the supervisor (gateway.app.children).

It opens keys, certificates, directory and database, ends the streams that its predecessor in this slot left open,
opens its own, binds the line's port beside its brothers, says that it is ready, and serves until SIGTERM.
"""

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
import trio
from prometheus_client import CollectorRegistry

from certs.errors import CertsError
from certs.material import TlsMaterial
from gateway.app.children import Birth, Word, configuration_path, read_birth, say
from gateway.app.configuration import Configuration, ConfigurationError, read_configuration
from gateway.app.keys import MonthKeys, line_signer, signer
from gateway.app.serving import Parts, opened
from gateway.app.telling import Teller
from gateway.app.worker import Centre, Worker
from gateway.collector import settle_collector
from gateway.directory.errors import DirectoryError
from gateway.directory.holder import DirectoryHolder
from gateway.host import run_guest
from gateway.ledger.closing import close_abandoned
from gateway.ledger.recording import Recorder
from gateway.ledger.stream import Stream
from gateway.ops.exposition import prepare_multiprocess
from gateway.ops.logs import configure_logging
from gateway.ops.metrics import Metrics
from gateway.service.ground import Ground
from gateway.store.errors import StoreError
from gateway.store.ledger import LedgerStore
from gateway.store.pool import Database, PinnedConnection, open_database
from hsm import calls
from hsm.errors import HsmError
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file
from protocol.keys import Purpose
from protocol.limits import check_relations
from protocol.messages import Notice, NoticeKind

log = structlog.get_logger()

LISTEN_BACKLOG = 512
CHECKPOINT_POLL_S = 0.5
STATEMENT_MS_MAX = 5_000
COMMIT_S_MAX = 10.0
PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan"}
"""A worker's statements are few and their plans do not depend on values: planning anew costs more than running."""
LOAD_S = 1.0
CONNECTIONS = {"inquiry": 2, "certificate": 6}
"""Of a worker, beside those that its stages keep: an application's tasks and its lanes read at the same time."""


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def main() -> None:
    """Run one worker; the exit status is 1 when it could not start."""
    check_relations()
    birth = read_birth()
    configure_logging()
    structlog.contextvars.bind_contextvars(slot=birth.slot, pid=os.getpid())
    try:
        configuration = read_configuration(configuration_path(birth))
        prepare_multiprocess(configuration.metrics, f"worker-{birth.slot}")
        stop = Stop()
        run_guest(
            _serve,
            birth,
            configuration,
            stop,
            signals={signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: stop.reload},
        )
    except (ConfigurationError, CertsError, HsmError, DirectoryError, StoreError, OSError) as error:
        say(Word(ready=False, why=str(error)))
        raise SystemExit(1) from error


class Stop:
    """What signals set; the events are made inside Trio's run."""

    def __init__(self) -> None:
        self.stopping = trio.Event()
        self.reloading = trio.Event()

    def set(self) -> None:
        self.stopping.set()

    def reload(self) -> None:
        self.reloading.set()


async def _serve(birth: Birth, configuration: Configuration, stop: Stop) -> None:
    keystore = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    try:
        async with (
            open_database(
                birth.gateway_dsn,
                size=CONNECTIONS[configuration.centre.role],
                role=f"worker {birth.slot}",
                statement_ms=STATEMENT_MS_MAX,
                commit_s=COMMIT_S_MAX,
                session=PLANNED_ONCE,
            ) as database,
            database.pinned() as fast,
            database.pinned() as slow,
            database.pinned() as writing,
        ):
            await _run(birth, configuration, stop, keystore, database, fast, slow, writing)
    finally:
        keystore.close()


async def _run(
    birth: Birth,
    configuration: Configuration,
    stop: Stop,
    keystore: KeyStore,
    database: Database,
    fast: PinnedConnection,
    slow: PinnedConnection,
    writing: PinnedConnection,
) -> None:
    role, node, slot = configuration.centre.role, configuration.centre.node, birth.slot
    material = TlsMaterial(configuration.tls, now=datetime.now(UTC))
    holder = await DirectoryHolder.open(database)
    sign_block = signer(keystore, Purpose.BLOCK, now_us)
    ledger = LedgerStore(writing)
    gauges = Metrics(CollectorRegistry(), role)
    teller = Teller(database, connections=lambda: list(worker.acceptor.connections), now_us=now_us)
    holder.on_change(teller.directory_changed)
    worker = Worker(
        centre=Centre(role=role, environment=configuration.centre.environment, slot=slot, slots=birth.slots),
        material=material,
        directory=lambda: holder.current,
        sign_welcome=line_signer(keystore, now_us),
        gauges=gauges,
        connections_max=configuration.line.connections_max,
        connections_per_line_max=configuration.line.connections_per_line_max,
        heartbeat_ms=configuration.line.heartbeat_ms,
        now_us=now_us,
        line_came=teller.line_came,
    )

    async def open_stream(predecessor: bytes | None = None) -> Stream:
        stream = Stream(id=secrets.token_bytes(16), role=role, node=node, slot=slot)
        await ledger.open_stream(stream, opened_us=now_us(), predecessor=predecessor)
        return stream

    predecessor = None
    for stream_id, height, previous in await ledger.open_streams_of(role=role, node=node, slot=slot):
        left = Stream(id=stream_id, role=role, node=node, slot=slot, height_next=height, previous=previous)
        await close_abandoned(ledger, sign_block, left, now_us())
        predecessor = stream_id

    months = MonthKeys(LedgerStore(database), keystore, now_us)  # both lanes load them: no lane's own connection

    async def confirm(version: int) -> int:
        return (await holder.confirm(version)).version

    ground = Ground(
        month_key=months.load,
        months=months.by_day,
        confirm=confirm,
        standing=worker.standing,
        decide=worker.decide,
        outlet=worker,
        now_us=now_us,
        certificate=role == "certificate",
    )
    parts = Parts(
        configuration=configuration,
        keystore=keystore,
        database=database,
        fast=fast,
        slow=slow,
        ground=ground,
        directory=lambda: holder.current,
        now_us=now_us,
    )
    async with opened(parts) as serving:
        worker.use(serving.service)
        recorder = Recorder(
            store=ledger,
            sign=sign_block,
            rider=serving.rider,
            open_stream=open_stream,
            stream=await open_stream(predecessor),
            now_us=now_us,
            lost=worker.lost,
            failed=worker.failed,
            released=worker.released,
            observer=worker,
        )
        listener = _listen(birth)
        settle_collector()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(holder.listen, birth.gateway_dsn)
            nursery.start_soon(_reload, stop, (material, *serving.materials), holder, keystore, worker)
            nursery.start_soon(_watch, worker, gauges, holder, database, keystore, serving.responder_up)
            nursery.start_soon(teller.run)
            nursery.start_soon(stop_with_parent, stop)
            await worker.run(
                listeners=[listener],
                recorder=recorder,
                stop=stop.stopping,
                started=lambda: say(Word(ready=True, port=0)),
            )
            nursery.cancel_scope.cancel()


def _listen(birth: Birth) -> trio.SocketListener:
    family = socket.AF_INET6 if ":" in birth.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind((birth.host, birth.port))
    sock.listen(LISTEN_BACKLOG)
    sock.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


async def _reload(
    stop: Stop, materials: Sequence[TlsMaterial], holder: DirectoryHolder, keystore: KeyStore, worker: Worker
) -> None:
    """SIGHUP: keys, certificates, revocation lists and directory anew; what is bad leaves the old of it in force.

    Lines whose certificate the new lists refuse are closed; the others do not notice.
    """
    while True:
        await stop.reloading.wait()
        stop.reloading = trio.Event()
        await refresh_keys(keystore)
        try:
            for material in materials:
                material.reload(now=datetime.now(UTC))
            await worker.acceptor.recheck()
            await holder.refresh()
            log.info("reloaded", version=holder.current.version)
        except (CertsError, DirectoryError, StoreError) as error:
            log.error("reload_refused", code=type(error).__name__)


async def refresh_keys(keystore: KeyStore) -> None:
    """Take over rotated keys: whatever is signed from now on is signed with the newest."""
    try:
        if await calls.refresh(keystore):
            log.info("keys_refreshed", count=len(keystore.keys()))
    except HsmError as error:
        log.error("reload_refused", code=error.code)


async def stop_with_parent(stop: Stop) -> None:
    """The supervisor's end of the pipe closes when it dies: then drain, rather than serve on unwatched."""
    await trio.to_thread.run_sync(_wait_for_end_of_input, abandon_on_cancel=True)
    stop.set()


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass


async def _watch(
    worker: Worker,
    gauges: Metrics,
    holder: DirectoryHolder,
    database: Database,
    keystore: KeyStore,
    responder_up: Callable[[], bool],
) -> None:
    """Once a second: gauges, whether the database answers, and the newest checkpoint to every line."""
    size = 0
    while True:
        lines, in_flight, credit = worker.load
        gauges.set_load(lines_open=lines, requests_in_flight=in_flight, credit_granted=credit)
        gauges.set_directory_version(holder.current.version)
        gauges.set_card_responder(up=responder_up())
        gauges.set_good_until(worker.tls().current.good_until.timestamp())
        try:
            with trio.move_on_after(LOAD_S) as patience:
                row = await database.fetchrow(
                    "select size, note, at_us from ledger.checkpoint order by size desc limit 1"
                )
                worker.database_up = True
                if row is not None and row[0] > size:
                    size = row[0]
                    worker.notify(Notice(NoticeKind.CHECKPOINT, row[2], row[1]))
            if patience.cancelled_caught:
                worker.database_up = False
        except StoreError:
            worker.database_up = False
        gauges.set_dependencies(hsm=keystore.status().available, database=worker.database_up)
        await trio.sleep(CHECKPOINT_POLL_S)


if __name__ == "__main__":
    main()
