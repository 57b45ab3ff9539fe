"""The centre a run measures: made in a directory of its own, started, and its subjects drawn from the same seed."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import msgspec
import trio

from bench.host import Host, describe_host
from bench.measure import Parts
from bench.plan import Subjects
from gateway.app.configuration import read_configuration
from gateway.app.setup import SEED, is_made, make_centre
from gateway.app.supervisor import Running, database, running_gateway
from gateway.inquiry.cases import known_residents
from gateway.inquiry.synthetic import residents
from gateway.store.embedded import SETTINGS, EmbeddedPostgres
from protocol.outcomes import Outcome

NAMES_MAX = 5_000
SEGMENTS = 64
"""Of 16 MiB: min_wal_size of the embedded server."""


def make(
    data: Path,
    *,
    workers: int,
    count: int,
    say: Callable[[str], None],
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> None:
    """Make the centre unless it is there already, and the subjects file beside it. Raises: SetupError."""
    if not is_made(data):
        make_centre(
            data,
            port=free_port(),
            ops_port=free_port(),
            workers=workers,
            residents=count,
            say=say,
            progress=progress,
        )
        with EmbeddedPostgres(data / "postgres") as server:
            asyncio.run(make_segments(server.dsn()))
    subjects_file(data).write_bytes(msgspec.msgpack.encode(subjects(count)))


async def make_segments(dsn: str) -> None:
    """Write through as many WAL segments as the server keeps, so that it is measured as one that has run for a while.

    A new server makes each segment when it comes to it, which holds up every commit for some 60 ms.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for _ in range(SEGMENTS):
            await connection.execute("select pg_logical_emit_message(true, 'bench', ''), pg_switch_wal()")
        await connection.execute("checkpoint")
    finally:
        await connection.close()


def subjects_file(data: Path) -> Path:
    """Where the subjects of a centre lie."""
    return data / "bench-subjects"


def subjects(count: int) -> Subjects:
    """Everyone of the register whose record is current, and some who share name and address with nobody."""
    codes: list[str] = []
    held: dict[tuple[str, str], int] = {}
    for each in residents(SEED, count, known_residents(SEED)):
        if each.expires_on is None and each.superseded_on is None:
            codes.append(each.record.code)
            key = each.record.name, each.record.address
            if key in held or len(held) < 2 * NAMES_MAX:
                held[key] = held.get(key, 0) + 1
    names = [key for key, times in held.items() if times == 1]
    return Subjects(codes=codes, names=names[:NAMES_MAX])


@asynccontextmanager
async def standing(data: Path, *, say: Callable[[str], None]) -> AsyncIterator[tuple[Running, Parts]]:
    """The centre with all its processes, its register in memory as far as it fits; ended with the block.

    Its log goes to a file, not between the figures. Raises: StartError, ConfigurationError.
    """
    configuration = read_configuration(data)
    with _standard_error_to(data / "bench.log"):
        async with database(configuration) as dsns, running_gateway(configuration, dsns, say=say) as gateway:
            await trio.to_thread.run_sync(asyncio.run, _read_register(dsns.owner))
            await trio.to_thread.run_sync(os.sync)  # what making the centre left to the disk
            postmaster = int((_cluster(data) / "postmaster.pid").read_text().split("\n", 1)[0])
            yield gateway, Parts(pids=gateway.pids, postmaster=postmaster)


async def _read_register(dsn: str) -> None:
    """Read every record by its code, so that the server has what it would have after a day's questions."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off")
        await connection.execute(
            "select sum(length(sealed)) from ("
            "select sealed from register.record where superseded_on is null order by code_token) r"
        )
    finally:
        await connection.close()


@contextmanager
def _standard_error_to(log: Path) -> Iterator[None]:
    """Standard error of this process, which its children inherit, goes to a file for a while."""
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def host(data: Path) -> Host:
    """This host, with the centre's database."""
    version = (_cluster(data) / "PG_VERSION").read_text().strip()
    return describe_host(postgres=version, fsync=SETTINGS["fsync"] == "on")


def errors(outcomes: dict[str, int]) -> dict[str, int]:
    """The outcomes that a run must not have."""
    return {name: count for name, count in outcomes.items() if name != Outcome.EXACT.name}


def free_port() -> int:
    """A TCP port of this host that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _cluster(data: Path) -> Path:
    return data / "postgres" / "cluster"
