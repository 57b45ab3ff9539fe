"""The ops process: `python -m gateway.app.ops`, started by the supervisor.

Checkpoints every second where there are new blocks, the projection people query, next months' partitions, and the
endpoint for metrics and health. Source: DESIGN sections 2, 4 and 12.
"""

import os
import signal
import time

import structlog
import trio
from prometheus_client import CollectorRegistry

from gateway.app.children import Birth, Word, configuration_path, read_birth, say
from gateway.app.configuration import Configuration, ConfigurationError, address, read_configuration
from gateway.app.work import Stop, stop_with_parent
from gateway.host import run_guest
from gateway.ops.exposition import Exposition, prepare_multiprocess
from gateway.ops.logs import configure_logging
from gateway.ops.metrics import OpsMetrics
from gateway.ops.web import Check, ops_app, serve_ops
from gateway.store.errors import StoreError
from gateway.store.pool import Database, open_database
from hsm.errors import HsmError
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file

log = structlog.get_logger()

CHECKPOINT_S = 1.0
HOUSEKEEPING_S = 3600.0


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
            _serve, birth, configuration, stop, signals={signal.SIGTERM: stop.set, signal.SIGINT: stop.set}
        )
    except (ConfigurationError, HsmError, StoreError, OSError) as error:
        say(Word(ready=False, why=str(error)))
        raise SystemExit(1) from error


class _State:
    """What the health checks read."""

    def __init__(self) -> None:
        self.database_up = False
        self.checkpointed_at = 0.0


async def _serve(birth: Birth, configuration: Configuration, stop: Stop) -> None:
    keystore = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    gauges = OpsMetrics(CollectorRegistry())
    state = _State()
    exposition = Exposition(configuration.metrics, now_s=time.time)
    app = ops_app(render=exposition.render, live=lambda: True, ready=lambda: _checks(state))
    host, port = address(configuration.ops.listen, field="[ops] listen", path=configuration.path)
    try:
        async with open_database(birth.ops_dsn, size=3, role="ops") as database, trio.open_nursery() as nursery:
            addresses = await nursery.start(_web, app, f"{host}:{port}")
            nursery.start_soon(stop_with_parent, stop)
            nursery.start_soon(_keep_ledger, database, keystore, gauges, state, configuration)
            say(Word(ready=True, port=int(addresses[0].rsplit(":", 1)[1])))
            await stop.stopping.wait()
            nursery.cancel_scope.cancel()
    finally:
        keystore.close()


async def _web(app: object, bind: str, *, task_status: "trio.TaskStatus[list[str]]") -> None:
    await serve_ops(app, bind=bind, task_status=task_status)  # type: ignore[arg-type]


async def _keep_ledger(
    database: Database, keystore: KeyStore, gauges: OpsMetrics, state: _State, configuration: Configuration
) -> None:
    while True:
        try:
            await database.execute("select 1")
            state.database_up = True
        except StoreError:
            state.database_up = False
        await trio.sleep(CHECKPOINT_S)


def _checks(state: _State) -> list[Check]:
    return [Check(name="database", ja="データベース", en="Database", ok=state.database_up)]


if __name__ == "__main__":
    main()
