"""Running a whole certificate service that was made for development: the centre, and the programs around it.

Each program is started by its own command, as a person would start it, in a session of its own, and ended with the
block; tests of the whole kill and restart them by name. Source: gateway.app.development makes what runs here.
"""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from gateway.app import supervisor
from gateway.app.configuration import read_configuration
from gateway.app.development import TOWNS, Ports, read_ports
from gateway.app.supervisor import Running, StartError

READY_S_MAX: Final = 30.0
END_S_MAX: Final = 15.0


class Program:
    """One program of the service, started by its command; its log is appended to a file beside its data."""

    def __init__(self, name: str, arguments: Sequence[str], *, port: int, log: Path) -> None:
        self.name = name
        self._arguments = [sys.executable, "-m", "gateway.cli", *arguments]
        self._port = port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id. Raises: StartError when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise StartError(f"{self.name} does not run; see {self._log}")
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it accepts connections. Raises: StartError."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own command; it does not wait
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with trio.move_on_after(READY_S_MAX):
            while self._process.poll() is None:
                try:
                    stream = await trio.open_tcp_stream("127.0.0.1", self._port)
                except OSError:
                    await trio.sleep(0.05)
                else:
                    await stream.aclose()
                    return
        raise StartError(f"{self.name} did not start; see {self._log}")

    async def kill(self) -> None:
        """End it as a crash does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it as a person does: it drains; killed when it does not end in time."""
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        with trio.CancelScope(shield=True):
            process.send_signal(how)
            with trio.move_on_after(END_S_MAX):
                while process.poll() is None:  # noqa: ASYNC110 - a child has no event to wait for
                    await trio.sleep(0.02)
                return
            process.kill()
            await trio.to_thread.run_sync(process.wait)


class Service:
    """A service that runs: the centre, and the programs around it by name."""

    def __init__(self, data: Path, ports: Ports, centre: Running, programs: dict[str, Program]) -> None:
        self.data = data
        self.ports = ports
        self.centre = centre
        self.programs = programs


def programs_of(data: Path, ports: Ports, *, kiosk_page: bool) -> dict[str, Program]:
    """The programs around the centre. kiosk_page: with a kiosk for people, in a browser."""

    def program(name: str, arguments: Sequence[str], port: int) -> Program:
        return Program(name, arguments, port=port, log=data / f"{name}.log")

    programs = [
        program(
            "cards", ["jpki", "serve", "--dir", str(data / "centre" / "jpki"), "--port", str(ports.cards)], ports.cards
        )
    ]
    for town in TOWNS:
        place = data / "municipalities" / town.code
        programs.append(program(town.party, ["municipality", "serve", "--data", str(place)], ports.towns[town.code]))
    relay = data / "operator" / "relay"
    programs.append(program("relay", ["relay", "serve", "--data", str(relay)], ports.relay))
    if kiosk_page:
        kiosk = data / "operator" / "kiosks" / "kiosk-1"
        programs.append(program("kiosk", ["kiosk", "serve", "--data", str(kiosk)], ports.kiosk_page))
    return {each.name: each for each in programs}


@asynccontextmanager
async def running_service(data: Path, *, kiosk_page: bool = False) -> AsyncIterator[Service]:
    """The whole service, ended with the block: first the kiosk and the relay, then the centre, then the others.

    Raises: StartError naming the program and its log.
    """
    ports = read_ports(data)
    configuration = read_configuration(data / "centre")
    programs = programs_of(data, ports, kiosk_page=kiosk_page)
    async with AsyncExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for name, each in programs.items():
                stack.push_async_callback(each.stop)
                if name not in ("relay", "kiosk"):
                    nursery.start_soon(each.start)
        dsns = await stack.enter_async_context(supervisor.database(configuration))
        centre = await stack.enter_async_context(
            supervisor.running_gateway(configuration, dsns, log_file=data / "centre.log")
        )
        for name in ("relay", "kiosk"):
            if name in programs:
                stack.push_async_callback(programs[name].stop)
                await programs[name].start()
        yield Service(data, ports, centre, programs)
