"""A whole small centre for the tests: made once a run, with its PostgreSQL, and started as real processes.

`Made` is the centre with its database server running. `Made.gateway` starts supervisor, workers and ops on it;
`Made.line` opens the ministry's line to them, over real TLS. `Load` asks under ids of its own and keeps what came back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import trio

from gateway.app.configuration import Configuration, read_configuration
from gateway.app.setup import ENVIRONMENT, SEED, make_centre
from gateway.app.supervisor import Dsns, Running, running_gateway
from gateway.directory.apply import Change, apply, load
from gateway.directory.model import Document
from gateway.host import run_guest
from gateway.inquiry.cases import known_cases
from gateway.line.dial import LineClient
from gateway.peers.line_file import Dialling, line_from, read_line_file
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.pool import open_database
from protocol.messages import InquiryByCode, Operation, encode
from protocol.outcomes import Outcome
from protocol.peer import Result

RESIDENTS = 300
WORKERS = 2


def by_code(key: str = "exact-by-code", *, staff: str = "staff-001") -> bytes:
    """The body of a known question by code."""
    case = next(each for each in known_cases(SEED) if each.key == key)
    body = case.question(affair="vehicle-12-1", step=1, staff=staff, case="2026-0001")
    if not isinstance(body, InquiryByCode):
        raise TypeError(f"{key} is not asked by code")
    return encode(body)


class Made:
    """A centre in `data` whose database server runs."""

    def __init__(self, data: Path, server: EmbeddedPostgres) -> None:
        self.data = data
        self.server = server
        self.configuration: Configuration = read_configuration(data)

    @property
    def dsns(self) -> Dsns:
        """The ways into the database."""
        server = self.server
        return Dsns(gateway=server.dsn("sekisho_gateway"), ops=server.dsn("sekisho_ops"), owner=server.dsn())

    @asynccontextmanager
    async def gateway(self, dsns: Dsns | None = None) -> AsyncIterator[Running]:
        """Supervisor, workers and ops, drained at the end."""
        async with running_gateway(self.configuration, dsns or self.dsns) as running:
            yield running

    @asynccontextmanager
    async def directory(self, alter: Callable[[Document], Document]) -> AsyncIterator[None]:
        """The centre's directory altered, and put back at the end."""
        before = await self._apply(alter)
        try:
            yield
        finally:
            await self._apply(lambda _: before)

    async def _apply(self, alter: Callable[[Document], Document]) -> Document:
        async def change() -> Document:
            async with open_database(self.dsns.owner, size=1, role="test") as database:
                document = (await load(database)).document
                people = Change(asked_by="one", approved_by="two", reference="test", at_us=time.time_ns() // 1000)
                await apply(database, alter(document), people)
                return document

        changed = await trio.to_thread.run_sync(lambda: run_guest(change, signals={}))
        if changed is None:
            raise KeyboardInterrupt
        return changed

    def dialling(self, running: Running) -> Dialling:
        """The ministry's line file, read for the port that was given."""
        return read_line_file(self.data / "ministry", port=running.port)

    @asynccontextmanager
    async def line(self, running: Running, *, all_slots: bool = True) -> AsyncIterator[LineClient]:
        """The ministry's line, open to every worker."""
        async with line_from(self.dialling(running)) as line:
            await line.wait_open(20, all_slots=all_slots)
            assert not all_slots or len(line.open_slots) == line.slots
            yield line

    async def owner(self, sql: str, *args: object) -> list[Any]:
        """One statement as the schema's owner, over a connection of its own."""
        return await fetched(self.server.dsn(), sql, *args)


async def fetched(dsn: str, sql: str, *args: object) -> list[Any]:
    """One statement over a connection of its own."""
    return await trio.to_thread.run_sync(lambda: asyncio.run(_fetch(dsn, sql, args)))


async def _fetch(dsn: str, sql: str, args: tuple[object, ...]) -> list[Any]:
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "test owner"})
    try:
        return list(await connection.fetch(sql, *args))
    finally:
        await connection.close()


@contextmanager
def made_centre(directory: Path, *, environment: str = ENVIRONMENT) -> Iterator[Made]:
    """Make a centre with ephemeral ports and keep its server running."""
    data = directory / "centre"
    make_centre(
        data,
        port=0,
        ops_port=0,
        workers=WORKERS,
        residents=RESIDENTS,
        environment=environment,
        say=lambda _: None,
        progress=lambda _done, _of: None,
    )
    with standing(data) as made:
        yield made


@contextmanager
def standing(data: Path) -> Iterator[Made]:
    """A centre that was made, with its server running. fsync is off: no test cuts the power."""
    with EmbeddedPostgres(data / "postgres", settings={"fsync": "off", "shared_buffers": "64MB"}) as server:
        yield Made(data, server)


class Load:
    """Tasks that ask by code, each request under one id until it is finally answered."""

    def __init__(self, line: LineClient, *, tasks: int = 8, pause_s: float = 0.002) -> None:
        self.asked: set[bytes] = set()
        self.results: dict[bytes, Result] = {}
        self.stopping = False
        self._line = line
        self._tasks = tasks
        self._pause_s = pause_s

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Ask while the block runs; at its end wait until every id that was sent is answered."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._tasks):
                nursery.start_soon(self._ask)
            yield self
            self.stopping = True

    async def answered(self, more: int, *, within_s: float = 30.0) -> None:
        """Wait until so many more are answered: the load runs, and goes on."""
        goal = len(self.results) + more
        with trio.fail_after(within_s):
            while len(self.results) < goal:
                await trio.sleep(0.005)

    async def _ask(self) -> None:
        body = by_code()
        while not self.stopping:
            request_id = self._line.new_id()
            self.asked.add(request_id)
            self.results[request_id] = await self._line.ask(
                Operation.INQUIRE_BY_CODE, body, request_id=request_id, timeout_s=60.0
            )
            await trio.sleep(self._pause_s)

    def outcomes(self) -> set[Outcome]:
        """What the ids came to."""
        return {Outcome(result.outcome) for result in self.results.values()}


async def refusal(line: LineClient, *, within_s: float = 20.0) -> str | None:
    """Why the first connection of a line that was just opened is not let in; None when it is."""
    with trio.fail_after(within_s):
        while line.refused is None and not line.open_slots:
            await line.wait_notice()
    return line.refused


async def poll(condition: Any, *, within_s: float = 10.0, every_s: float = 0.02) -> None:
    """Wait for an async condition to hold. Raises: trio.TooSlowError."""
    began = time.monotonic()
    while not await condition():
        if time.monotonic() - began > within_s:
            raise trio.TooSlowError(f"not within {within_s} s")
        await trio.sleep(every_s)
