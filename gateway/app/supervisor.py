"""The supervisor: starts the database where it is ours, the workers and the ops process, and keeps them.

Each worker binds the line's port with SO_REUSEPORT; the supervisor holds the port so that it stays ours between two
workers' lives. A child that dies is started again after a back-off that grows while it keeps dying. SIGTERM or Ctrl-C:
the workers drain (each ends its stream), then ops, then the database, each within a bound. SIGHUP goes on to
the children, which read keys, certificates and directory anew and drop no line that is still good.

Plain Trio: nothing here needs the host loop. Source: DESIGN section 4.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import msgspec
import structlog
import trio

from gateway.app.children import Birth, Word
from gateway.app.configuration import Configuration, ConfigurationError, address
from gateway.ops.exposition import clear_directory, forget_slot
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.errors import EmbeddedError
from protocol.limits import check_relations

log = structlog.get_logger()

READY_S_MAX = 30.0
DRAIN_S_MAX = 15.0
BACKOFF_S_FIRST = 0.2
BACKOFF_S_MAX = 10.0
STEADY_S = 30.0
"""A child that lived this long begins its back-off anew."""


class StartError(Exception):
    """The gateway could not start; the sentence says why."""


class Running:
    """A gateway that stands: where its lines and its metrics are, and its children's process ids by name."""

    def __init__(self, *, host: str, port: int, workers: int, database: "Dsns") -> None:
        self.host = host
        self.port = port
        self.workers = workers
        self.ops_port = 0
        self.database = database
        self.pids: dict[str, int] = {}
        self.restarts = 0


class Dsns(msgspec.Struct, frozen=True, kw_only=True):
    """How each role reaches the database."""

    gateway: str
    ops: str
    owner: str


@asynccontextmanager
async def database(configuration: Configuration) -> AsyncIterator[Dsns]:
    """The database of a configuration, started here when it is embedded. Raises: StartError."""
    if configuration.embedded is None:
        tables = configuration.database
        yield Dsns(gateway=tables.gateway_dsn, ops=tables.ops_dsn, owner=tables.owner_dsn)
        return
    server = EmbeddedPostgres(configuration.embedded)
    try:
        server.start()
    except EmbeddedError as error:
        raise StartError(str(error)) from error
    try:
        yield Dsns(gateway=server.dsn("sekisho_gateway"), ops=server.dsn("sekisho_ops"), owner=server.dsn())
    finally:
        server.stop()


@asynccontextmanager
async def running_gateway(
    configuration: Configuration,
    dsns: Dsns,
    *,
    say: Callable[[str], None] = lambda _: None,
    log_file: Path | None = None,
    at_once: trio.Event | None = None,
) -> AsyncIterator[Running]:
    """A gateway with all its children ready; drained and ended when the block is left, also by cancellation.

    log_file: where the children's logs are appended; standard error otherwise. at_once: set while they are ending, it
    kills those that are left.
    Raises: StartError when a child cannot start.
    """
    check_relations()
    host, port = address(configuration.line.listen, field="[line] listen", path=configuration.path)
    holder = _hold_port(host, port, configuration)
    workers = configuration.line.workers or os.cpu_count() or 1
    try:
        clear_directory(configuration.metrics)
        gateway = Running(host=host, port=holder.getsockname()[1], workers=workers, database=dsns)
        births = {f"worker-{slot}": _birth("worker", slot, configuration, gateway, dsns) for slot in range(workers)}
        births["ops"] = _birth("ops", workers, configuration, gateway, dsns)
        async with trio.open_nursery() as nursery:
            children = {
                name: _Child(name, birth, gateway, configuration.metrics, log_file) for name, birth in births.items()
            }
            await _start_all(list(children.values()))
            say(f"{workers} workers on {host}:{gateway.port}")
            for child in children.values():
                nursery.start_soon(child.keep)
            nursery.start_soon(_pass_on_reload, children)
            try:
                yield gateway
            finally:
                with trio.CancelScope(shield=True):
                    for child in children.values():
                        child.keeping = False
                    await _end_all(children, at_once)
                nursery.cancel_scope.cancel()
    finally:
        holder.close()


async def _end_all(children: "dict[str, _Child]", at_once: trio.Event | None) -> None:
    """The workers together, ops after them."""
    async with trio.open_nursery() as watching:
        if at_once is not None:
            watching.start_soon(_kill_at, at_once, children)
        async with trio.open_nursery() as ending:
            for name, child in children.items():
                if name != "ops":
                    ending.start_soon(child.end)
        await children["ops"].end()
        watching.cancel_scope.cancel()


async def _kill_at(at_once: trio.Event, children: "dict[str, _Child]") -> None:
    await at_once.wait()
    for child in children.values():
        child.kill()


async def _start_all(children: "list[_Child]") -> None:
    """All or none. Raises: StartError, the first."""
    failures: list[StartError] = []

    async def start(child: _Child) -> None:
        try:
            await child.start()
        except StartError as error:
            failures.append(error)

    try:
        async with trio.open_nursery() as starting:
            for child in children:
                starting.start_soon(start, child)
    except BaseException:
        with trio.CancelScope(shield=True):
            for child in children:
                await child.end()
        raise
    if failures:
        for child in children:
            await child.end()
        raise failures[0]


async def _pass_on_reload(children: "dict[str, _Child]") -> None:
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for number in signals:
            for child in children.values():
                child.send(number)


def _hold_port(host: str, port: int, configuration: Configuration) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not _port_free(family, host, port):
        holder.close()
        raise ConfigurationError(
            f"{configuration.path}: [line] listen: {host}:{port} is in use; stop what holds it or choose another port"
        )
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        raise ConfigurationError(
            f"{configuration.path}: [line] listen: cannot bind {host}:{port}: {error.strerror}; choose another port"
        ) from error
    return holder


def _port_free(family: int, host: str, port: int) -> bool:
    """Without SO_REUSEPORT nobody shares a port unnoticed."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _birth(kind: str, slot: int, configuration: Configuration, gateway: Running, dsns: Dsns) -> Birth:
    return Birth(
        kind="ops" if kind == "ops" else "worker",
        slot=slot,
        slots=gateway.workers,
        configuration=str(configuration.path),
        gateway_dsn=dsns.gateway,
        ops_dsn=dsns.ops,
        host=gateway.host,
        port=gateway.port,
    )


class _Child:
    """One child process, started again when it dies."""

    def __init__(self, name: str, birth: Birth, gateway: Running, metrics: Path, log_file: Path | None) -> None:
        self.name = name
        self._log_file = log_file
        self.keeping = True
        self._birth = birth
        self._metrics = metrics
        self._gateway = gateway
        self._process: trio.Process | None = None
        self._ready = False
        self._owed: int | None = None

    async def start(self) -> None:
        """Start and wait until it is ready. Raises: StartError."""
        module = "gateway.app.ops" if self._birth.kind == "ops" else "gateway.app.work"
        with self._log_file.open("ab") if self._log_file is not None else nullcontext() as errors:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._process = process
        self._ready = False
        try:
            await self._begin(process)
        except trio.Cancelled:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            raise

    async def _begin(self, process: trio.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise StartError(f"{self.name}: no pipes")
        word = Word(ready=False, why="it ended without a word")
        with trio.move_on_after(READY_S_MAX) as patience:
            try:
                await process.stdin.send_all(msgspec.json.encode(self._birth) + b"\n")
                line = bytearray()
                while not line.endswith(b"\n"):
                    data = await process.stdout.receive_some(4096)
                    if not data:
                        break
                    line += data
                if line:
                    word = msgspec.json.decode(line, type=Word)
            except (trio.BrokenResourceError, msgspec.DecodeError):
                pass
        if patience.cancelled_caught:
            word = Word(ready=False, why=f"not ready within {READY_S_MAX:.0f} s")
        if not word.ready:
            process.kill()
            await process.wait()
            raise StartError(f"{self.name} could not start: {word.why}")
        self._ready = True
        if self._owed is not None:
            self.send(self._owed)
        self._gateway.pids[self.name] = process.pid
        if word.port:
            self._gateway.ops_port = word.port

    async def keep(self) -> None:
        """Start it again whenever it dies, with a growing pause."""
        backoff_s = BACKOFF_S_FIRST
        while self._process is not None:
            born = trio.current_time()
            status = await self._process.wait()
            if not self.keeping:
                return
            log.warning("child_died", slot=self._birth.slot, exit_code=status)
            forget_slot(self._metrics, self.name)
            if trio.current_time() - born > STEADY_S:
                backoff_s = BACKOFF_S_FIRST
            while True:
                await trio.sleep(backoff_s)
                if self._leaving():
                    return
                backoff_s = min(backoff_s * 2, BACKOFF_S_MAX)
                try:
                    await self.start()
                except StartError:
                    log.error("child_not_started", slot=self._birth.slot)
                    continue
                self._gateway.restarts += 1
                break

    def _leaving(self) -> bool:
        """Asked anew after every wait."""
        return not self.keeping

    def send(self, number: int) -> None:
        """A signal, if it lives. One that is still starting, and would die of it, gets it once it is ready."""
        self._owed = None if self._ready else number
        if self._ready and self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, if it lives; its successor closes the stream."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL after DRAIN_S_MAX."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        with trio.move_on_after(DRAIN_S_MAX):
            await process.wait()
        if process.returncode is None:
            log.error("child_killed", slot=self._birth.slot)
            process.kill()
            await process.wait()
