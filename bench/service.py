"""The certificate service a run measures: made in a directory of its own, started, and what its ledger says then."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import trio

from bench.centre import make_segments
from bench.host import cpu_s, family_cpu_s
from bench.sittings import Person
from gateway.app.development import SEED, TOWNS, is_made, make_service
from gateway.app.development_running import Service, running_service
from gateway.peers.jpki.cards import SUFFIX
from gateway.peers.municipality import synthetic
from gateway.peers.municipality.synthetic import RESIDENTS_MIN
from gateway.store.embedded import EmbeddedPostgres
from protocol.application import Transition

CARDS: Final = 400
REFUSED: Final = frozenset({2, 3, 5, 8})
"""Test cases that get no 住民票 at a kiosk: protected, about to move, a name too long, a child."""
SETTLED_S_MAX: Final = 90.0
"""How long the relay may take to hand over what it has taken over, after a run."""


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger holds of a set of printed applications, and of all since `since_us`.

    lost: printed and paid, and not recorded as completed within SETTLED_S_MAX. unexplained: completed, and not printed
    by any kiosk. yen, copies: of the completed. open_incidents: replies that were dropped, for a person to look at.
    """

    completed: int
    lost: int
    unexplained: int
    copies: int
    yen: int
    settled_s: float
    open_incidents: int


def make(data: Path, *, workers: int, kiosks: int, cards: int, say: Callable[[str], None]) -> None:
    """Make the service unless it is there already. cards: of each municipality. Raises: errors of the parts."""
    if is_made(data):
        return
    residents = max(cards, RESIDENTS_MIN)
    make_service(data, say=say, workers=workers, kiosks=kiosks, cards=cards, residents=residents)
    with EmbeddedPostgres(data / "centre" / "postgres") as server:
        asyncio.run(make_segments(server.dsn()))


def kiosks_of(data: Path) -> list[Path]:
    """Directories of the service's kiosks."""
    return sorted(path.parent for path in (data / "operator" / "kiosks").glob("*/kiosk.toml"))


def cards_of(data: Path) -> int:
    """How many residents of each municipality have a card."""
    return min(len(list((data / "centre" / "jpki" / "cards").glob(f"{town.party}-*{SUFFIX}"))) for town in TOWNS)


def people(cards: int) -> list[Person]:
    """Everyone with a card who gets a 住民票, the municipalities in turn."""
    found = []
    towns = {
        town: synthetic.make(place=town.name_ja, count=max(cards, RESIDENTS_MIN), seed=SEED, today=date(2026, 1, 1))[0]
        for town in TOWNS
    }
    for number in range(cards):
        if number in REFUSED:
            continue
        for town, residents in towns.items():
            name = residents[number].name
            found.append(Person(card=f"{town.party}-{number}", municipality=town.code, name=name))
    return found


@asynccontextmanager
async def standing(data: Path) -> AsyncIterator[Service]:
    """The whole service, ended with the block. Raises: StartError."""
    async with running_service(data) as service:
        yield service


def cpu_of(service: Service) -> dict[str, float]:
    """CPU seconds so far of every part but the kiosks."""
    pids: Mapping[str, int] = service.centre.pids
    cluster = service.data / "centre" / "postgres" / "cluster"
    postmaster = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    return {
        "workers": sum(cpu_s(pid) for name, pid in pids.items() if name.startswith("worker")),
        "ops": cpu_s(pids["ops"]),
        "postgres": family_cpu_s(postmaster),
    } | {name: cpu_s(program.pid) for name, program in service.programs.items()}


async def money_of(service: Service, printed: set[bytes], *, since_us: int) -> Money:
    """Hold the ledger's applications against those that were printed; waits until all are there, to a bound."""
    return await trio.to_thread.run_sync(asyncio.run, _money_of(service.centre.database.owner, printed, since_us))


async def _money_of(dsn: str, printed: set[bytes], since_us: int) -> Money:
    began = time.monotonic()
    connection = await asyncpg.connect(dsn)
    try:
        while True:
            rows = await connection.fetch(
                "select application, copies, yen from issuance.event where transition = $1 and at_us >= $2",
                int(Transition.COMPLETED),
                since_us,
            )
            found = {row["application"] for row in rows}
            if printed <= found or time.monotonic() - began >= SETTLED_S_MAX:
                break
            await asyncio.sleep(0.1)
        incidents = await connection.fetchval(
            "select count(*) from issuance.incident where closed_us is null and at_us >= $1", since_us
        )
    finally:
        await connection.close()
    return Money(
        completed=len(found),
        lost=len(printed - found),
        unexplained=len(found - printed),
        copies=sum(row["copies"] for row in rows),
        yen=sum(row["yen"] for row in rows),
        settled_s=round(time.monotonic() - began, 2),
        open_incidents=incidents,
    )
