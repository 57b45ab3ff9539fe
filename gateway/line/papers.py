"""A party's side of PAPERS, PAPER and RECONCILE over its own line: what was made for it becomes files of its own.

A document is written beside its place and moved there once its size and digest are those of the list; so a file that
stands is whole, and fetching again leaves it as it is. Source: 000仕4-2, 4-4; docs/PROTOCOL.md, Papers.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import msgspec
import trio

from gateway.line.dial import LineError
from protocol.disclosure import Reconciliation, encode_reconciliation
from protocol.messages import Operation, Refusal, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.papers import (
    PAPER_PART_BYTES,
    RECONCILE_PART_BYTES,
    PaperLine,
    PaperQuery,
    Papers,
    PapersQuery,
    Reconcile,
    ReconcilePart,
    parts_of,
)
from protocol.peer import Result

PARTS_AT_ONCE: Final = 64
"""Parts of one document that are asked for together."""
ASK_S: Final = 30.0


class PapersFailed(LineError):  # noqa: N818 - named after the fact
    """The centre did not give what was asked for. Fields: outcome (0: the answer itself was wrong)."""

    def __init__(self, detail: str, *, outcome: int = 0) -> None:
        super().__init__(detail)
        self.outcome = outcome


class Line(Protocol):
    """What is needed of a line; gateway.line.dial.LineClient is one."""

    async def ask(self, operation: int, body: bytes, *, timeout_s: float = 30.0) -> Result:
        """One verified answer. Raises: LineError."""


class Fetched(NamedTuple):
    """A document, the file it is in, and whether it was there before."""

    paper: PaperLine
    file: Path
    stood: bool


async def list_papers(line: Line, period: str = "") -> list[PaperLine]:
    """All documents there are for this party, of one period or ("") of all. Raises: LineError, PapersFailed."""
    found: list[PaperLine] = []
    after = b""
    while True:
        body = await _asked(line, Operation.PAPERS, encode(PapersQuery(period, after)), Outcome.PAPERS)
        try:
            page = msgspec.msgpack.decode(body, type=Papers)
        except msgspec.DecodeError as error:
            raise PapersFailed("the list of documents cannot be read") from error
        found += page.papers
        if not page.more:
            return found
        if not page.papers or page.papers[-1].id == after:
            raise PapersFailed("the list of documents does not go on")
        after = page.papers[-1].id


async def read_paper(line: Line, paper: PaperLine) -> AsyncIterator[bytes]:
    """The bytes of a document, part by part; its digest is not looked at here. Raises: LineError, PapersFailed."""
    count = max(1, parts_of(paper.size, PAPER_PART_BYTES))
    for first in range(0, count, PARTS_AT_ONCE):
        numbers = range(first, min(first + PARTS_AT_ONCE, count))
        parts: dict[int, bytes] = {}
        failed: list[LineError] = []
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(_read_part, line, PaperQuery(paper.id, number), parts, failed, nursery.cancel_scope)
        if failed:
            raise failed[0]
        for number in numbers:
            yield parts[number]


async def fetch_papers(line: Line, out: Path, *, period: str = "") -> list[Fetched]:
    """Have every document as out/<period>/<name>. Raises: LineError, PapersFailed, OSError."""
    fetched = []
    for paper in await list_papers(line, period):
        file = out / paper.period.replace("/", "_") / paper.name
        stood = file.is_file() and _digest(file) == paper.digest
        if not stood:
            await _fetch(line, paper, file)
        fetched.append(Fetched(paper, file, stood))
    return fetched


async def send_reconciliation(line: Line, reconciliation: Reconciliation) -> Result:
    """Have a 照合結果 recorded, parts of a long one held before. Raises: LineError, PapersFailed, DisclosureError."""
    data = encode_reconciliation(reconciliation)
    digest = hashlib.sha256(data).digest()
    inline = data if len(data) <= RECONCILE_PART_BYTES else b""
    if not inline:
        for number in range(parts_of(len(data), RECONCILE_PART_BYTES)):
            at = number * RECONCILE_PART_BYTES
            part = ReconcilePart(digest, number, data[at : at + RECONCILE_PART_BYTES])
            await _asked(line, Operation.RECONCILE_PART, encode(part), Outcome.PART_HELD)
    result = await line.ask(Operation.RECONCILE, encode(Reconcile(digest, inline)), timeout_s=ASK_S)
    if result.outcome != Outcome.RECONCILED:
        raise _failed(result)
    return result


async def _read_part(
    line: Line, query: PaperQuery, parts: dict[int, bytes], failed: list[LineError], whole: trio.CancelScope
) -> None:
    """One part; the first that fails ends them all."""
    try:
        parts[query.number] = await _asked(line, Operation.PAPER, encode(query), Outcome.PAPER)
    except LineError as error:
        failed.append(error)
        whole.cancel()


async def _fetch(line: Line, paper: PaperLine, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    digest, size = hashlib.sha256(), 0
    try:
        with beside.open("wb") as written:
            async for part in read_paper(line, paper):
                digest.update(part)
                size += len(part)
                written.write(part)
            written.flush()
            os.fsync(written.fileno())
        if (size, digest.digest()) != (paper.size, paper.digest):
            raise PapersFailed(f"{paper.name} is not the document that the list names; fetch it again")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


async def _asked(line: Line, operation: Operation, body: bytes, expected: Outcome) -> bytes:
    result = await line.ask(operation, body, timeout_s=ASK_S)
    if result.outcome != expected:
        raise _failed(result)
    return result.body


def _failed(result: Result) -> PapersFailed:
    try:
        meaning = CATALOGUE[Outcome(result.outcome)]
        words = f"{meaning.ja} / {meaning.en}"
    except ValueError:
        words = f"outcome {result.outcome}"
    try:
        why = msgspec.msgpack.decode(result.body, type=Refusal)
    except msgspec.DecodeError:
        why = Refusal()
    said = ": ".join(each for each in (why.field, why.remedy) if each)
    return PapersFailed(f"{words} ({said})" if said else words, outcome=result.outcome)


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
