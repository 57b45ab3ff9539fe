"""A real service with faults in it: the centre with two workers, two issuing servers a municipality, relay and kiosks.

The centre is its own command with its processes and its database. The issuing servers are the product's, in a thread of
their own behind a balancer as a municipality has one, each with a workshop and a line that can be told to do wrong.
Relay and kiosks are the product's, made by each test in its own run. All residents are synthetic (合成データ).
"""

import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from certs.material import TlsMaterial
from certs.names import LineName
from gateway.app.development import PIN, Ports, make_service, read_ports
from gateway.app.development_running import Program
from gateway.directory import toml
from gateway.directory.apply import Change, apply
from gateway.host import run_guest
from gateway.line.dial import LineClient
from gateway.line.serving import LineServer
from gateway.peers.jpki.responder import serve_responder
from gateway.peers.kiosk.fleet import Member, Witness, fleet_of
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import trouble_words
from gateway.peers.kiosk.visit import Seen, Wish, visit
from gateway.peers.kit.content import Certificate
from gateway.peers.kit.rendering import Renderer
from gateway.peers.line_file import line_from
from gateway.peers.municipality import journal, records
from gateway.peers.municipality.crafting import Commission, Made, Workshop
from gateway.peers.municipality.serving import serve_municipality
from gateway.peers.municipality.setup import now_us, opened_municipality
from gateway.peers.municipality.store import Store
from gateway.peers.relay import notices
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.serving import Running, running_relay
from gateway.peers.relay.setup import ROLE, opened_relay
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.issuance_incidents import ApplicationLine, IncidentRow, IncidentStore
from gateway.store.pool import open_database
from hsm.interface import KeyStore
from protocol import limits
from protocol.messages import Request

CHIBA, TAKAOKA = "121002", "162027"
PARTIES = {CHIBA: "chiba", TAKAOKA: "takaoka"}
SLOW_MS = 2_500
"""How long 高岡市 may take."""
KIOSKS, CARDS, RESIDENTS = 4, 10, 24

Handle = Callable[[LineName, Request], Awaitable[tuple[int, bytes]]]


class Bench(Workshop):
    """The workshop of one server, which can be changed for a faulty one; keeps the applications it made for."""

    def __init__(self, renderers: Sequence[Renderer], keystore: KeyStore) -> None:
        super().__init__(renderers, keystore)
        self._parts = renderers, keystore
        self.made_for: list[bytes] = []
        self.play(Workshop)

    def play(self, fault: type[Workshop]) -> None:
        """Work like this from now on."""
        self._playing = fault(*self._parts)

    async def make(self, certificate: Certificate, commission: Commission) -> Made:
        """See Workshop."""
        self.made_for.append(commission.statement.application)
        return await self._playing.make(certificate, commission)


class Timeless(LineServer):
    """Answers whenever it is done where its `server` is told to keep no time."""

    def __init__(self, server: "Server", **parts: Any) -> None:
        super().__init__(**parts)
        self._server = server

    async def _work(self, key: tuple[LineName, bytes], request: Request) -> None:
        long_ms = limits.DEADLINE_MS_MAX
        await super()._work(key, replace(request, deadline_ms=long_ms) if self._server.timeless else request)


class Server:
    """One issuing server of a municipality."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.frozen_us = 0
        """Its clock stands at this moment; 0 while it goes."""
        self.timeless = False
        self.held = False
        """What it answers lies on the way."""
        self.answering: Callable[[Handle, LineName, Request], Awaitable[tuple[int, bytes]]] = _as_it_is
        self.benches: list[Bench] = []
        self.asked: list[int] = []
        """Operations that came."""

    @property
    def bench(self) -> Bench:
        """Its workshop."""
        return self.benches[0]

    def reset(self) -> None:
        """No fault."""
        self.frozen_us, self.timeless, self.held, self.answering = 0, False, False, _as_it_is
        self.bench.play(Workshop)
        self.bench.made_for.clear()
        self.asked.clear()

    async def serve(self, stop: trio.Event, *, task_status: trio.TaskStatus[int]) -> None:
        """See serve_municipality."""

        def workshop(renderers: list[Renderer], keystore: KeyStore) -> Bench:
            self.benches.append(Bench(renderers, keystore))
            return self.bench

        def line(*, handle: Handle, **parts: object) -> LineServer:
            async def handled(name: LineName, request: Request) -> tuple[int, bytes]:
                self.asked.append(request.operation)
                answer = await self.answering(handle, name, request)
                while self.held:
                    await trio.sleep(0.01)
                return answer

            return Timeless(self, handle=handled, **parts)

        await serve_municipality(
            self.data,
            port=0,
            stop=stop,
            clock=lambda: self.frozen_us or now_us(),
            workshop=workshop,
            server=line,
            task_status=task_status,
        )


async def _as_it_is(handle: Handle, name: LineName, request: Request) -> tuple[int, bytes]:
    return await handle(name, request)


class Balancer:
    """What the centre dials: connections go to the servers in turn."""

    def __init__(self) -> None:
        self._connections: dict[int, int] = {}

    async def serve(self, port: int, behind: list[int], *, task_status: trio.TaskStatus[object]) -> None:
        """Until cancelled."""
        self._connections = dict.fromkeys(behind, 0)
        await trio.serve_tcp(self._carry, port, host="127.0.0.1", task_status=task_status)

    async def _carry(self, near: trio.SocketStream) -> None:
        port = min(self._connections, key=self._connections.__getitem__)
        self._connections[port] += 1
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as far, trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, near, far)
                nursery.start_soon(self._pump, far, near)
        finally:
            self._connections[port] -= 1

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await trio.aclose_forcefully(sink)
        await trio.aclose_forcefully(source)


@dataclass
class Field:
    """The service that runs, and what stands in its books."""

    data: Path
    ports: Ports
    servers: dict[str, tuple[Server, Server]]

    def town(self, code: str) -> Path:
        """A municipality's directory."""
        return self.data / "municipalities" / code

    def play(self, code: str, fault: type[Workshop]) -> None:
        """Both servers of a municipality work like this from now on."""
        for server in self.servers[code]:
            server.bench.play(fault)

    def hold_up(self, code: str) -> None:
        """What a municipality answers lies on the way until `let_go`, and its servers keep no time."""
        for server in self.servers[code]:
            server.timeless = server.held = True

    def let_go(self, code: str) -> None:
        """All that was held up arrives."""
        for server in self.servers[code]:
            server.held = False

    def asked(self, code: str, operation: int) -> int:
        """How often the servers of a municipality were asked this."""
        return sum(server.asked.count(operation) for server in self.servers[code])

    def reset(self) -> None:
        """No fault anywhere."""
        for servers in self.servers.values():
            for server in servers:
                server.reset()

    def change(self, code: str, change: Callable[[Store], object]) -> Callable[[], object]:
        """A change as another program of the municipality makes it."""

        def do() -> object:
            with opened_municipality(self.town(code)) as municipality:
                return change(municipality.store)

        return do

    def name(self, code: str, number: int) -> str:
        """A synthetic resident's name."""
        return str(self.change(code, lambda store: records.resident(store, number).name)())

    def witness(self) -> Witness:
        """Holds paper against the residents of the cards that are used here."""
        return Witness({(code, f"{PARTIES[code]}-{n}"): self.name(code, n) for code in PARTIES for n in (0, 1, 6, 9)})

    def town_incidents(self, code: str, application: str) -> list[str]:
        """What stands open at a municipality about an application (hexadecimal)."""
        listed = self.change(code, journal.incidents)()
        return [f"{row.code} {row.detail}" for row in listed if row.application == application]

    def relay_faults(self, kiosk: str, code: str) -> int:
        """How many notices of such a fault of a kiosk nobody has acknowledged at the relay."""
        with opened_relay(self.data / "operator" / "relay") as opened:
            found = notices.unacknowledged(opened.store, limit=1000)
        return sum((each.kind, each.kiosk, each.code) == (NoticeKind.KIOSK_FAULT, kiosk, code) for each in found)

    async def centre_incidents(self) -> list[IncidentRow]:
        """Open incidents of the centre."""
        return await trio.to_thread.run_sync(partial(self._asked, lambda store: store.listed()))

    async def kinds(self, sat: "Sat") -> list[str]:
        """Kind and detail of what stands open at the centre about a sitting's application."""
        return [
            f"{row.kind} {row.detail}" for row in await self.centre_incidents() if row.application == sat.application
        ]

    async def applications(self) -> dict[bytes, ApplicationLine]:
        """What the centre knows of applications."""
        listed = await trio.to_thread.run_sync(partial(self._asked, lambda store: store.applications(limit=500)))
        return {line.application: line for line in listed}

    def _asked(self, question: Callable[[IncidentStore], Awaitable[object]]) -> object:
        async def ask() -> object:
            dsn = EmbeddedPostgres(self.data / "centre" / "postgres").running_dsn()
            async with open_database(dsn, size=1, role="setup") as database:
                return await question(IncidentStore(database))

        return run_guest(ask, signals={})

    @asynccontextmanager
    async def front(
        self,
        kiosks: int = 1,
        *,
        line: Callable[[LineClient], object] = lambda line: line,
        handle: Callable[[Running, Handle], Handle] = lambda _, handle: handle,
    ) -> AsyncIterator[tuple[list[Member], Running]]:
        """The operator's relay and kiosks. line wraps the relay's line to the centre, handle what kiosks ask it."""
        directories = [self.data / "operator" / "kiosks" / f"kiosk-{n}" for n in range(1, kiosks + 1)]
        with opened_relay(self.data / "operator" / "relay") as opened:
            material = TlsMaterial(opened.tls, now=datetime.now(UTC))
            stop = trio.Event()
            async with (
                line_from(opened.dialling) as dialled,
                running_relay(opened, line(dialled)) as running,
                trio.open_nursery() as nursery,
            ):
                server = LineServer(
                    role=ROLE,
                    environment=opened.settings.environment,
                    material=material,
                    sign=opened.dialling.sign,
                    key_of=running.relay.key_of,
                    handle=handle(running, running.relay.handle),
                    knows=running.relay.knows,
                    opened=running.opened,
                    closed=running.closed,
                )
                listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
                port = listeners[0].socket.getsockname()[1]
                nursery.start_soon(partial(server.serve, listeners, stop=stop))
                await dialled.wait_open(30.0, all_slots=True)
                assert dialled.open_slots == [0, 1]
                async with fleet_of(directories, relay_port=port) as members:
                    yield members, running
                stop.set()


def wish(code: str, number: int, *, kind: str = "juminhyo", options: int = 0, copies: int = 1) -> Wish:
    """What the holder of a card comes for."""
    card = f"{PARTIES[code]}-{number}"
    return Wish(card=card, pin=PIN, municipality=code, kind=kind, options=options, copies=copies)


@dataclass
class Sat:
    """A sitting, its application, and what it left at the kiosk."""

    seen: Seen
    application: bytes
    papers: int
    yen: int

    @property
    def hex(self) -> str:
        """The application, for the municipality's lists."""
        return self.application.hex()


async def sit(member: Member, wish: Wish, *, witness: Witness | None = None) -> Sat:
    """One sitting; its paper is judged where a witness is given, and its notices are told to the relay."""
    before = set(member.kiosk.journal.trails)
    yen = member.slot.total_yen
    member.stack.papers.clear()
    seen = await visit(member.kiosk, wish)
    with trio.fail_after(30):
        await member.kiosk.settling.delivered()
    if witness is not None and seen.state is State.RECEIPT:
        assert witness.judge(seen, seen.pages) == []
    new = [each for each in member.kiosk.journal.trails if each not in before]
    return Sat(seen, new[0] if new else b"", len(member.stack.papers), member.slot.total_yen - yen)


def assert_turned_away(sat: Sat, *troubles: str) -> None:
    """No paper, no money, and words that say nothing of the cause and that nothing was charged."""
    assert sat.seen.state is State.REFUSED
    assert sat.seen.trouble in troubles
    assert (sat.papers, sat.yen, sat.seen.pages) == (0, 0, ())
    words = trouble_words(sat.seen.trouble)
    assert "手数料はいただいていません" in words.remedy_ja
    told = words.ja + words.en
    assert not any(cause in told for cause in ("他人", "別人", "another person", "改ざん", "廃止", "支援", "suppress"))


def assert_delivered(sat: Sat) -> None:
    """Paper for money."""
    assert (sat.seen.state, sat.papers) == (State.RECEIPT, sat.seen.wish.copies), sat.seen.trouble
    assert sat.yen > 0


async def at_once(
    sitting: Callable[..., Awaitable[Sat]], arguments: Sequence[tuple[Member, Wish]], **common: object
) -> list[Sat]:
    """Sittings at the same time; what came of each, in order."""
    found: dict[int, Sat] = {}

    async def one(index: int) -> None:
        found[index] = await sitting(*arguments[index], **common)

    async with trio.open_nursery() as nursery:
        for index in range(len(arguments)):
            nursery.start_soon(one, index)
    return [found[index] for index in range(len(arguments))]


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]], *, within_s: float = 30.0) -> None:
    """Wait for something that another program does. Raises: TooSlowError."""
    with trio.fail_after(within_s):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await trio.sleep(0.05)


@pytest.fixture(scope="session")
def field() -> Iterator[Field]:
    """The service, once a run."""
    # Not under pytest's own directory: a second pytest would close that to the database's user.
    with tempfile.TemporaryDirectory(prefix="sekisho-tests-", ignore_cleanup_errors=True) as directory:
        data = Path(directory) / "service"
        make_service(data, say=lambda _: None, workers=2, kiosks=KIOSKS, cards=CARDS, residents=RESIDENTS)
        _hurry(data)
        towns = data / "municipalities"
        made = Field(data, read_ports(data), {code: (Server(towns / code), Server(towns / code)) for code in PARTIES})
        with _running(made):
            yield made


@contextmanager
def _running(made: Field) -> Iterator[None]:
    ready, leave = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            trio.run(_serve, made, ready, leave)
        except BaseException as error:  # noqa: BLE001 - told to the tests' thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="field")
    thread.start()
    try:
        assert ready.wait(120)
        if failed:
            raise failed[0]
        yield
    finally:
        leave.set()
        thread.join(60)


@pytest.fixture
def front_reset(field: Field) -> Iterator[Field]:
    """The service without the faults of earlier tests, and without its own afterwards."""
    field.reset()
    yield field
    field.reset()


async def _serve(field: Field, ready: threading.Event, leave: threading.Event) -> None:
    """Cards, municipalities and the centre, until `leave`."""
    stop = trio.Event()
    serve = ["serve", "--role", "certificate", "--data", str(field.data / "centre")]
    centre = Program("centre", serve, port=field.ports.line, log=field.data / "centre.log")
    async with trio.open_nursery() as nursery:
        jpki = field.data / "centre" / "jpki"
        await nursery.start(partial(serve_responder, jpki, port=field.ports.cards, stop=stop))
        for code, servers in field.servers.items():
            behind = [await nursery.start(server.serve, stop) for server in servers]
            await nursery.start(Balancer().serve, field.ports.towns[code], behind)
        try:
            await centre.start()
            ready.set()
            await trio.to_thread.run_sync(leave.wait, abandon_on_cancel=True)
        finally:
            await centre.stop()
            stop.set()
            nursery.cancel_scope.cancel()


def _hurry(data: Path) -> None:
    """Give 高岡市 less time than the other."""
    file = data / "centre" / "directory.toml"
    before, town, after = file.read_text(encoding="utf-8").partition(f'code = "{TAKAOKA}"')
    file.write_text(
        before + town + after.replace("deadline_ms = 10000", f"deadline_ms = {SLOW_MS}", 1), encoding="utf-8"
    )
    change = Change(asked_by="tests", approved_by="set-up", reference="hurry", at_us=time.time_ns() // 1000)

    async def applied(dsn: str) -> None:
        async with open_database(dsn, size=1, role="setup") as database:
            await apply(database, toml.read(file), change)

    with EmbeddedPostgres(data / "centre" / "postgres") as server:
        run_guest(applied, server.dsn(), signals={})
