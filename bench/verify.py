"""How fast the ledger is verified: `python -m bench.verify`, a Task on standard input, a Verified on standard output.

The projection is brought up to the last block before the clock starts, so that all there is to verify is verified, and
what the cases left the server to clean up is cleaned up: a ledger is verified at rest, not in the minute of its making.
A process of its own on the host loop, over the ledger that the cases of the run have just written. Its own CPU time is
one core at most; PostgreSQL's is beside it.
"""

import sys
import time
from pathlib import Path

import msgspec
import trio

from gateway.collector import settle_collector
from gateway.host import run_guest
from gateway.ledger.projection import project_all
from gateway.ledger.verification import verify_ledger
from gateway.store.errors import StoreError
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, AUDIT_SESSION, open_reader
from gateway.store.ledger_entries import EntryStore
from gateway.store.pool import Database, open_database
from protocol.trust import Trust, decode_trust

GOAL_PER_S = 200_000.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Whose ledger: the ops role's DSN, the owner's, and the trust bundle's path."""

    dsn: str
    owner: str
    trust: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What the verification read, how long it took, and how much CPU time the verifier itself used.

    entries_per_cpu_s: of the verifier's one processor, the server's work and the waiting for it left out; the goal is
    on it. entries_per_s: by the clock, with the server beside on the same cores.
    """

    entries: int
    blocks: int
    found: int
    seconds: float
    entries_per_s: float
    entries_per_cpu_s: float
    cpu_percent: float
    why: str = ""


async def verify(dsn: str, owner: str, trust: Trust) -> Verified:
    """Verify once. Raises: StoreError."""
    async with open_database(
        dsn, size=AUDIT_CONNECTIONS, role="bench", statement_ms=0, session=AUDIT_SESSION
    ) as database:
        while await project_all(database) or await _behind(database):  # noqa: ASYNC110 - another process
            await trio.sleep(0.1)  # the gateway's own projector is at it
        await _clean_up(owner)
        settle_collector()
        start, cpu_s = time.perf_counter(), time.process_time()
        async with open_reader(database) as reader:
            report = await verify_ledger(reader, trust)
        seconds = time.perf_counter() - start
        cpu_s = time.process_time() - cpu_s
    return Verified(
        entries=report.entries,
        blocks=report.blocks,
        found=report.found,
        seconds=round(seconds, 3),
        entries_per_s=round(report.entries / seconds, 1),
        entries_per_cpu_s=round(report.entries / cpu_s, 1),
        cpu_percent=round(100 * cpu_s / seconds, 1),
        why="; ".join(str(finding) for finding in report.findings[:3]),
    )


async def _clean_up(owner: str) -> None:
    """What autovacuum and the checkpointer would do by themselves within minutes."""
    async with open_database(owner, size=1, role="bench", statement_ms=0) as database:
        for table in ("block", "claim", "entry", "checkpoint_leaf", "checkpoint_node"):
            await database.execute(f"vacuum (analyze) ledger.{table}")
        await database.execute("checkpoint")


async def _behind(database: Database) -> bool:
    return bool(await EntryStore(database).behind(1, 1))


async def measure_verification(task: Task) -> Verified:
    """Run it in a process of its own; plain Trio. Raises: OSError, subprocess.CalledProcessError."""
    done = await trio.run_process(
        [sys.executable, "-m", "bench.verify"], stdin=msgspec.json.encode(task), capture_stdout=True
    )
    return msgspec.json.decode(done.stdout, type=Verified)


def main() -> int:
    """Run the task on standard input."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    try:
        found = run_guest(verify, task.dsn, task.owner, decode_trust(Path(task.trust).read_bytes()))
    except StoreError as error:
        sys.stderr.write(f"bench.verify: {error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
