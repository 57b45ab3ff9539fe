"""The ops process: `python -m gateway.app.ops`, started by the supervisor.

Checkpoints every second where there are new blocks, the projection of entries that people query, the partitions to
come, the duties of the centre's role, and the endpoint for metrics and health.
Source: DESIGN sections 2, 4, 9 and 12.
"""

import os
import signal
import time
from typing import Protocol

import structlog
import trio
from prometheus_client import CollectorRegistry

from certs.names import CENTRE_PARTY
from gateway.app.children import Birth, Word, configuration_path, read_birth, say
from gateway.app.configuration import Configuration, ConfigurationError, address, read_configuration
from gateway.app.keys import signer
from gateway.app.telling import watch_overdue
from gateway.app.work import Stop, now_us, refresh_keys, stop_with_parent
from gateway.host import run_guest
from gateway.ledger.checkpointing import Checkpointer
from gateway.ledger.errors import LedgerError
from gateway.ledger.projection import project_once
from gateway.ops.exposition import Exposition, prepare_multiprocess
from gateway.ops.logs import configure_logging
from gateway.ops.metrics import OpsMetrics
from gateway.ops.web import Check, ops_app, serve_ops
from gateway.store.errors import StoreError
from gateway.store.pool import Database, open_database
from gateway.store.unhurried import UnhurriedDatabase
from hsm.errors import HsmError
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file
from protocol.keys import Purpose

log = structlog.get_logger()

CHECKPOINT_S = 1.0
HOUSEKEEPING_S = 3600.0
NICE = 10
"""What this process does can wait, the workers' answers cannot: under load it gets what they leave."""
PROJECTION_S = 1.0
"""At least so long between two rounds of the projections: each has a dozen statements beside its rows."""
PROJECTION_REST = 1.0
"""The projections rest as long as a round took, its own rests with it (gateway.store.unhurried): a backlog takes a
tenth of the time and not the workers'.

Some thousands a second are projected so; what a longer crowd leaves is caught up with afterwards."""


def main() -> None:
    """Run the ops process; the exit status is 1 when it could not start."""
    birth = read_birth()
    configure_logging()
    structlog.contextvars.bind_contextvars(slot=birth.slot, pid=os.getpid())
    try:
        configuration = read_configuration(configuration_path(birth))
        prepare_multiprocess(configuration.metrics, "ops")
        stop = Stop()
        run_guest(
            _serve,
            birth,
            configuration,
            stop,
            signals={signal.SIGTERM: stop.set, signal.SIGINT: stop.set, signal.SIGHUP: stop.reload},
        )
    except (ConfigurationError, HsmError, StoreError, OSError) as error:
        say(Word(ready=False, why=str(error)))
        raise SystemExit(1) from error


class Duties(Protocol):
    """What is done beside for a centre of one role."""

    async def project_once(self) -> int:
        """A round of its own projection. Returns: how many rows; never raises but Cancelled."""

    async def keep_house(self) -> None:
        """Once an hour. Raises: StoreError."""

    async def watch(self) -> None:
        """For ever; never raises but Cancelled."""


def _duties(configuration: Configuration, database: Database, keystore: KeyStore, gauges: OpsMetrics) -> Duties:
    """Those of the role; no other role's modules are loaded (002 別2-2(6))."""
    if configuration.centre.role == "inquiry":
        from gateway.app.inquiry_ops import InquiryDuties

        return InquiryDuties(configuration, database, keystore, gauges, now_us)
    from gateway.app.issuance_ops import IssuanceDuties

    return IssuanceDuties(database, gauges)


class _State:
    """What the health checks read."""

    def __init__(self) -> None:
        self.database_up = False
        self.checkpoints_ok = True


async def _serve(birth: Birth, configuration: Configuration, stop: Stop) -> None:
    os.nice(NICE)
    keystore = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    gauges = OpsMetrics(CollectorRegistry())
    state = _State()
    exposition = Exposition(configuration.metrics, now_s=time.time)
    app = ops_app(render=exposition.render, live=lambda: True, ready=lambda: _checks(state))
    host, port = address(configuration.ops.listen, field="[ops] listen", path=configuration.path)
    try:
        async with open_database(birth.ops_dsn, size=3, role="ops") as database, trio.open_nursery() as nursery:
            duties = _duties(configuration, database, keystore, gauges)
            addresses = await nursery.start(_web, app, f"{host}:{port}")
            nursery.start_soon(stop_with_parent, stop)
            nursery.start_soon(_reload, stop, keystore)
            nursery.start_soon(_checkpoint, database, keystore, gauges, state, configuration)
            nursery.start_soon(_project, database, duties)
            nursery.start_soon(watch_overdue, database, gauges, now_us)
            nursery.start_soon(_keep_house, database, duties)
            nursery.start_soon(duties.watch)
            say(Word(ready=True, port=int(addresses[0].rsplit(":", 1)[1])))
            await stop.stopping.wait()
            nursery.cancel_scope.cancel()
    finally:
        keystore.close()


async def _reload(stop: Stop, keystore: KeyStore) -> None:
    """SIGHUP: the keys anew; the next checkpoint is signed with the newest."""
    while True:
        await stop.reloading.wait()
        stop.reloading = trio.Event()
        await refresh_keys(keystore)


async def _web(app: object, bind: str, *, task_status: "trio.TaskStatus[list[str]]") -> None:
    await serve_ops(app, bind=bind, task_status=task_status)  # type: ignore[arg-type]


async def _checkpoint(
    database: Database, keystore: KeyStore, gauges: OpsMetrics, state: _State, configuration: Configuration
) -> None:
    """A checkpoint every second where there are new blocks."""
    checkpointer = Checkpointer(
        UnhurriedDatabase(database),
        origin=f"sekisho/{CENTRE_PARTY}/{configuration.centre.role}",
        sign=signer(keystore, Purpose.CHECKPOINT, now_us),
        sign_pq=signer(keystore, Purpose.CHECKPOINT_PQ, now_us) if _has_pq(keystore) else None,
        now_us=now_us,
    )
    while True:
        began = trio.current_time()
        try:
            made = await checkpointer.run_once()
            state.database_up = True
            state.checkpoints_ok = True
            if made is not None:
                gauges.set_checkpoint(made_at_us=made.checkpoint.at_us, blocks=made.checkpoint.size)
        except StoreError as error:
            state.database_up = False
            log.warning("checkpoint_waits", code=error.code)
        except (LedgerError, HsmError) as error:
            state.checkpoints_ok = False
            log.error("checkpoint_refused", code=error.code)
        gauges.set_dependencies(hsm=keystore.status().available, database=state.database_up)
        await trio.sleep(max(0.05, CHECKPOINT_S - (trio.current_time() - began)))


async def _project(database: Database, duties: Duties) -> None:
    """The projections follow the blocks at leisure."""
    unhurried = UnhurriedDatabase(database)
    while True:
        began = trio.current_time()
        done = 0
        try:
            done += await project_once(unhurried)
        except (StoreError, LedgerError) as error:
            log.warning("projection_waits", code=error.code)
        done += await duties.project_once()
        took = trio.current_time() - began
        await trio.sleep(max(took * PROJECTION_REST, PROJECTION_S) if done else CHECKPOINT_S)


async def _keep_house(database: Database, duties: Duties) -> None:
    """The next months' partitions, ahead of time, and what the role keeps or drops."""
    while True:
        try:
            await database.execute(
                "select ledger.make_claim_partition((now() + make_interval(months => n))::date)"
                " from generate_series(0, 2) as n"
            )
            await duties.keep_house()
        except StoreError as error:
            log.warning("housekeeping_waits", code=error.code)
        await trio.sleep(HOUSEKEEPING_S)


def _has_pq(keystore: KeyStore) -> bool:
    return any(record.purpose == Purpose.CHECKPOINT_PQ for record in keystore.keys())


def _checks(state: _State) -> list[Check]:
    return [
        Check(name="database", ja="データベース", en="Database", ok=state.database_up),
        Check(name="checkpoints", ja="チェックポイント", en="Checkpoints", ok=state.checkpoints_ok),
    ]


if __name__ == "__main__":
    main()
