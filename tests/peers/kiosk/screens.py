"""A kiosk's screens in a thread over a fake relay, with real cards and a real tray, for a real Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio

from gateway.peers.jpki.cards import issue_card, make_jpki
from gateway.peers.kiosk.cards import FolderReader
from gateway.peers.kiosk.faults import PowerSwitch
from gateway.peers.kiosk.front import Limits
from gateway.peers.kiosk.running import Running, keep_time
from gateway.peers.kiosk.serving import serve_screens
from gateway.peers.kiosk.tray import TrayPrinter
from tests.peers.kiosk.fakes import PIN, TOWN, Centre, Place

STARTED_S = 20
HOLDERS = ("resident-0", "resident-1")


def make_cards(directory: Path) -> Path:
    """Two cards that work and one that cannot be read; the folder they lie in."""
    now = datetime.now(UTC)
    make_jpki(directory, now=now)
    for holder in HOLDERS:
        issue_card(directory, holder=holder, algorithm="p384", pin=PIN, now=now, days=30)
    issue_card(directory, holder="bent", algorithm="p384", pin=PIN, now=now, days=30, damaged=True)
    return directory / "cards"


class Served:
    """What a test sees of the kiosk behind the screens."""

    def __init__(
        self, address: str, running: Running, place: Place, tray: Path, power: PowerSwitch, printing: trio.Event
    ) -> None:
        self.address = address
        self.running = running
        self.place = place
        self.tray = tray
        self.power = power
        self._printing = printing
        self.token: trio.lowlevel.TrioToken | None = None

    def let_print(self) -> None:
        """The printer, which stood still from the start, prints."""
        trio.from_thread.run_sync(self._printing.set, trio_token=self.token)

    def look(self) -> None:
        """The kiosk asks what stops, now."""
        trio.from_thread.run(self.running.kiosk.announcements.look, trio_token=self.token)


@contextmanager
def served(
    directory: Path,
    centre: Centre,
    cards: Path,
    *,
    operator: bool = False,
    printing: bool = True,
    limits: Limits | None = None,
) -> Iterator[Served]:
    place = Place(directory, centre)
    centre.unplugged = False
    power = PowerSwitch()
    ready = threading.Event()
    held: list[object] = []

    async def run() -> None:
        kiosk = place.kiosk()
        if limits is not None:
            kiosk.front.limits = limits

        may_print = trio.Event()
        if printing:
            may_print.set()
        printer = TrayPrinter(directory / "tray", pace=may_print.wait)
        reader = FolderReader(cards)
        kiosk._reader, kiosk._papers.printer = reader, printer
        kiosk.settling._printer = printer
        running = Running(kiosk, reader, place.slot, printer, centre)
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_time, kiosk)

            async def screens(task_status: trio.TaskStatus[str]) -> None:
                await serve_screens(
                    running,
                    names={TOWN: ("見本市", "Sample City")},
                    hours=("6時30分から23時まで", "6:30 to 23:00"),
                    port=0,
                    operator=power if operator else None,
                    stop=stop,
                    task_status=task_status,
                )

            address = await nursery.start(screens)
            held.extend(
                [
                    trio.lowlevel.current_trio_token(),
                    nursery.cancel_scope,
                    Served(address, running, place, directory / "tray", power, may_print),
                ]
            )
            held[2].token = held[0]
            ready.set()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    try:
        assert ready.wait(STARTED_S), "the kiosk did not start"
        yield held[2]
    finally:
        if held:
            trio.from_thread.run_sync(held[1].cancel, trio_token=held[0])
        thread.join(STARTED_S)
        assert not thread.is_alive()
