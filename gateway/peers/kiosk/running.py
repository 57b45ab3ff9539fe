"""A kiosk put together from its directory: line, devices, journal, machine, and the tasks that go with them."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import trio
from msgspec.structs import replace

from certs.material import TlsMaterial
from gateway.line.dial import LineClient, open_line
from gateway.peers.kiosk.cards import FolderReader
from gateway.peers.kiosk.coins import SimulatedCoinSlot
from gateway.peers.kiosk.journal import Journal, Power, steady
from gateway.peers.kiosk.link import RelayLink
from gateway.peers.kiosk.machine import Devices, Kiosk
from gateway.peers.kiosk.reading import read_codes
from gateway.peers.kiosk.setup import COINS, JOURNAL, TRAY, Opened
from gateway.peers.kiosk.tray import Pace, TrayPrinter

TICK_S: Final = 0.5


class Running(NamedTuple):
    """A kiosk while it runs, with the parts that a person can play faults on."""

    kiosk: Kiosk
    reader: FolderReader
    slot: SimulatedCoinSlot
    printer: TrayPrinter
    link: RelayLink


def now_us() -> int:
    """The kiosk's clock."""
    return time.time_ns() // 1000


@asynccontextmanager
async def running_kiosk(
    opened: Opened,
    *,
    relay_port: int | None = None,
    cards: dict[str, Path] | None = None,
    power: Power = steady,
    pace: Pace = trio.lowlevel.checkpoint,
) -> AsyncIterator[Running]:
    """A kiosk while the block runs; what a power cut left behind has been settled when it begins.

    Raises: CertsError, JournalDamaged. Whether the relay can be reached is the machine's to say.
    """
    target = opened.target if relay_port is None else replace(opened.target, port=relay_port)
    material = TlsMaterial(opened.files, now=datetime.now(UTC))
    async with AsyncExitStack() as stack:
        line: LineClient = await stack.enter_async_context(
            open_line(target, material=material, trust=opened.relay_trust, sign=opened.sign_line)
        )
        journal = stack.enter_context(Journal(opened.directory / JOURNAL, power=power))
        slot = SimulatedCoinSlot(opened.directory / COINS, power=power)
        stack.callback(slot.close)
        printer = TrayPrinter(opened.directory / TRAY, power=power, pace=pace)
        reader = FolderReader(opened.cards, cards)
        link = RelayLink(line)
        kiosk = Kiosk(
            opened.stand,
            relay=link,
            devices=Devices(reader, slot, printer),
            journal=journal,
            trusts=opened.trusts,
            kits=frozenset(opened.settings.kits),
            read_pages=read_codes,
            now_us=now_us,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.run)
            await kiosk.recover()
            nursery.start_soon(keep_delivering, kiosk)
            nursery.start_soon(keep_time, kiosk)
            nursery.start_soon(kiosk.announcements.run)
            yield Running(kiosk, reader, slot, printer, link)
            nursery.cancel_scope.cancel()


async def keep_delivering(kiosk: Kiosk) -> None:
    """Tell the centre what waits, again and again while the relay is away."""
    while True:
        await kiosk.settling.notices_wait.wait()
        await kiosk.settling.delivered()


async def keep_time(kiosk: Kiosk) -> None:
    """The silent user's clock."""
    while True:
        await trio.sleep(TICK_S)
        await kiosk.tick()
