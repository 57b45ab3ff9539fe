"""Kiosks that serve one user after another, with print journals, coin slots and trays on disk: a program of its own.

`python -m tests.service.kiosks SEED CARDS DIRECTORY...` begins by settling what a kill left behind; SIGTERM ends it,
once every user has left and every notice is taken over. Beside each kiosk's data it keeps `seen.jsonl` for whoever
judges afterwards: which card asked for which application (taken from what was really sent and answered, not from the
wish), and how every sitting ended.
"""

import random
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import trio
from cryptography import x509

from gateway.app.development import PIN, TOWNS
from gateway.ops.logs import configure_logging
from gateway.peers.kiosk.link import RelayLink
from gateway.peers.kiosk.running import Running, running_kiosk
from gateway.peers.kiosk.setup import open_kiosk
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.visit import Wish, visit
from protocol.certificates import Kind, Option
from protocol.issuance import Authenticate, Authenticated
from protocol.messages import Operation, decode_body
from protocol.outcomes import Outcome

SEEN: Final = "seen.jsonl"
CONNECTED_S: Final = 20.0
PAUSE_S: Final = 0.1
PAGE_S: Final = 0.05
JAMS: Final = 0.08
FAILED_PAYMENTS: Final = 0.03
KINDS: Final = (Kind.RESIDENT, Kind.RESIDENT, Kind.SEAL)


class Told(StrEnum):
    """What a line of seen.jsonl is."""

    BEGUN = "begun"
    ENDED = "ended"


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. serial: of the card's certificate; state and trouble: how a sitting ended."""

    told: Told
    application: bytes = b""
    municipality: str = ""
    serial: str = ""
    state: str = ""
    trouble: str = ""


class Notebook:
    """Appends lines; each is one write, so that a killed program leaves whole ones."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, line: Seen) -> None:
        """Append."""
        with self._path.open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(line) + b"\n")


def read_seen(kiosk: Path) -> list[Seen]:
    """All lines of a kiosk's notebook."""
    path = kiosk / SEEN
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Seen) for line in path.read_bytes().splitlines()]


def witness(link: RelayLink, notebook: Notebook) -> None:
    """Note from now on which card's certificate goes out with AUTHENTICATE, and which application comes back."""
    call = link.call

    async def noted(operation: int, body: bytes, *, request_id: bytes | None = None) -> tuple[int, bytes]:
        outcome, answer = await call(operation, body, request_id=request_id)
        if operation == Operation.AUTHENTICATE and outcome == Outcome.AUTHENTICATED:
            asked = decode_body(Operation.AUTHENTICATE, body)
            assert isinstance(asked, Authenticate)
            notebook.add(
                Seen(
                    told=Told.BEGUN,
                    application=msgspec.msgpack.decode(answer, type=Authenticated).application,
                    municipality=asked.municipality,
                    serial=f"{x509.load_der_x509_certificate(asked.card_certificate).serial_number:x}",
                )
            )
        return outcome, answer

    link.call = noted  # type: ignore[method-assign]


def wish(chance: random.Random, cards: int) -> Wish:
    """What the next user comes for; the first card of a town, which has everything, more often than others."""
    town = chance.choice(TOWNS)
    card = chance.choice([0, 0, *range(cards)])
    kind = chance.choice(KINDS)
    options = chance.choice((0, Option.HOUSEHOLD | Option.RELATION)) if kind is Kind.RESIDENT else 0
    return Wish(
        card=f"{town.party}-{card}",
        pin=PIN,
        municipality=town.code,
        kind=kind,
        options=options,
        copies=chance.choice((1, 1, 2, 3)),
    )


async def serve_users(directory: Path, seed: str, cards: int, stopping: trio.Event) -> None:
    """One kiosk and its users until it is to stop; then until its notices are taken over."""
    chance = random.Random(seed)
    notebook = Notebook(directory / SEEN)

    async def pace() -> None:
        await trio.sleep(chance.random() * PAGE_S)

    async with running_kiosk(open_kiosk(directory), pace=pace) as running:
        witness(running.link, notebook)
        await running.link.wait_open(CONNECTED_S)
        while not stopping.is_set():
            await _serve_one(running, wish(chance, cards), chance, notebook)
        await running.kiosk.settling.delivered()


async def _serve_one(running: Running, wished: Wish, chance: random.Random, notebook: Notebook) -> None:
    running.printer.jam = (chance.randint(1, wished.copies), 1) if chance.random() < JAMS else None
    running.slot.fails = chance.random() < FAILED_PAYMENTS
    seen = await visit(running.kiosk, wished)
    notebook.add(Seen(told=Told.ENDED, municipality=wished.municipality, state=str(seen.state), trouble=seen.trouble))
    if running.kiosk.state is State.OUT_OF_ORDER:
        await running.kiosk.clear_fault()
    if seen.state is State.REFUSED:
        await trio.sleep(PAUSE_S)  # the next user: with the relay away a refusal takes no time at all


def ready(seed: str) -> str:
    """What the program says once SIGTERM is heard."""
    return f"ready {seed}."


async def main(seed: str, directories: list[Path], cards: int) -> None:
    """All kiosks of this process."""
    stopping = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        print(ready(seed), flush=True)  # noqa: T201 - from here on SIGTERM is heard
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as kiosks:
                for directory in directories:
                    kiosks.start_soon(serve_users, directory, f"{seed}-{directory.name}", cards, stopping)

                async def stop() -> None:
                    async for _ in signals:
                        stopping.set()

                nursery.start_soon(stop)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    configure_logging("WARNING")
    trio.run(main, sys.argv[1], [Path(each) for each in sys.argv[3:]], int(sys.argv[2]))
