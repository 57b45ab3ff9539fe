"""One measurement of settlement in a process of its own: a Task as JSON on standard input, a Run on standard output.

What a process takes at most is the kernel's own figure (VmHWM), so nothing of making the data is in it.
"""

import os
import sys
import time
from pathlib import Path

import msgspec

from bench.settlement_data import STREAMS, THIRD, WHOLE, heights
from gateway.collector import settle_collector
from gateway.host import run_guest
from gateway.peers.proof_book import DIRECTORY
from gateway.settlement.invoices import Items
from gateway.settlement.proving import prove_invoice
from gateway.settlement.reading import read_entries, read_statement
from gateway.settlement.receipts import Kept
from gateway.settlement.statements import Statement
from gateway.settlement.tariff import read_tariff
from gateway.settlement.windows import Cut, Window
from gateway.store.pool import open_database
from gateway.store.settlement import SETTLEMENT_SESSION, EntryRow, SettlementReader, open_settlement
from protocol.invoice import decode_signed, read_items, verify_invoice
from protocol.trust import decode_trust


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. statement, items: place is a DSN; prove: a payer's directory. entries: of the larger month."""

    what: str
    place: str
    entries: int
    whole: bool = True


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came out: how many entries or proofs, cells, seconds, and the most memory.

    server_mb: of PostgreSQL's one process for it, its shared buffers with it.
    """

    what: str
    count: int
    cells: int
    seconds: float
    memory_mb: int
    server_mb: int = 0


def windows(entries: int) -> dict[bool, Window]:
    """The smaller month and the larger, both frozen: False and True."""
    october, november = (Cut(dict.fromkeys(STREAMS, height)) for height in heights(entries))
    return {False: Window(THIRD, october), True: Window(WHOLE, november, october)}


def peak_mb(pid: int) -> int:
    """The most memory a process had; 0 when it cannot be seen."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def of_ledger(task: Task) -> Run:
    """A month's statement, or beside it the items of every operator's invoice. Raises: StoreError."""
    window = windows(task.entries)[task.whole]
    async with open_database(task.place, size=1, role="bench", statement_ms=0, session=SETTLEMENT_SESSION) as database:
        settle_collector()
        async with open_settlement(database) as reader:
            start = time.perf_counter()
            statement = await read_statement(reader, window)
            if task.what == "items":
                start = time.perf_counter()
                await _make_items(reader, statement, window)
            seconds = time.perf_counter() - start
        server = (await database.fetch("select pg_backend_pid()"))[0][0]
        return Run(
            what=task.what,
            count=statement.net.entries,
            cells=len(statement.cells),
            seconds=round(seconds, 2),
            memory_mb=peak_mb(os.getpid()),
            server_mb=peak_mb(server),
        )


async def _make_items(reader: SettlementReader, statement: Statement, window: Window) -> None:
    items = {party: Items(statement.of(party=party)) for party in statement.by_party()}
    async for rows in read_entries(reader, window):
        shares: dict[str, list[EntryRow]] = {}
        for row in rows:
            shares.setdefault(row.party, []).append(row)
        for party, share in shares.items():
            items[party].pack(share, window)


def prove(task: Task) -> Run:
    """A payer's month: the invoice's signature, every proof, every line."""
    directory = Path(task.place)
    trust = decode_trust((directory / "trust.bundle").read_bytes())
    settle_collector()
    start = time.perf_counter()
    invoice = verify_invoice(decode_signed((directory / "november.invoice").read_bytes()), trust)
    kept = Kept(directory / DIRECTORY, trust)
    tariff = read_tariff((directory / "tariff.toml").read_text())
    with (directory / "november.items").open("rb") as file:
        verdict = prove_invoice(invoice, read_items(file, invoice), kept, tariff=tariff)
    seconds = time.perf_counter() - start
    if not verdict.sound or verdict.proven != task.entries:
        raise SystemExit(f"{verdict.proven} of {task.entries} proven: {verdict.counts}")
    return Run(
        what=task.what,
        count=verdict.proven,
        cells=len(invoice.cells),
        seconds=round(seconds, 2),
        memory_mb=peak_mb(os.getpid()),
    )


def main() -> None:
    """Read the task, write the run."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    run = prove(task) if task.what == "prove" else run_guest(lambda: of_ledger(task), signals={})
    sys.stdout.buffer.write(msgspec.json.encode(run) + b"\n")


if __name__ == "__main__":
    main()
