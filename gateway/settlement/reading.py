"""Statements from the database: the server adds up, the rule is applied to the corrections, and the sums are proven.

Cost: one scan of the period's entries on the server; here, memory for the cells and the corrections alone.
Source: DESIGN section 11.
"""

from collections.abc import AsyncIterator, Iterable
from typing import ClassVar

from gateway.settlement.entries import taken
from gateway.settlement.errors import SettlementError
from gateway.settlement.statements import Statement, from_sums, prove, whole_of
from gateway.settlement.windows import Cut, Window
from gateway.store.settlement import EntryRow, RangeRow, Scope, SettlementReader
from protocol.checkpoint import Checkpoint, parse_note
from protocol.settlement import Amount


class ProjectionBehind(SettlementError):  # noqa: N818  named after the fact
    """The table of entries has not all blocks that the cut names. Fields: streams."""

    code: ClassVar[str] = "projection-behind"

    def __init__(self, streams: int) -> None:
        super().__init__(
            f"{streams} streams are not projected up to the cut / 台帳の集計表が未了です; run sekisho ledger project"
        )
        self.streams = streams


class NotCovered(SettlementError):  # noqa: N818  named after the fact
    """No checkpoint has all the blocks yet."""

    code: ClassVar[str] = "not-covered"

    def __init__(self) -> None:
        super().__init__(
            "no checkpoint covers all blocks of the period yet / チェックポイント未確定です; wait for the next one"
        )


def scope_of(window: Window) -> Scope:
    """A window as the store asks it."""
    return Scope(
        start_us=window.start_us,
        end_us=window.end_us,
        cut=window.cut.heights if window.cut else None,
        previous=window.previous.heights if window.previous else None,
        by_deposit=window.by_deposit,
    )


async def read_cut(reader: SettlementReader) -> Cut:
    """Where the ledger stands in the reader's snapshot: what a freeze records.

    Raises: StoreError; ProjectionBehind, so that what is frozen can be added up at once.
    """
    cut = Cut(await reader.heights())
    await _whole_projection(reader, cut)
    return cut


async def read_statement(reader: SettlementReader, window: Window) -> Statement:
    """The statement of a period, proven. Raises: StoreError, ProjectionBehind, EntryContradicted, NotConserved."""
    await _whole_projection(reader, window.cut or Cut(await reader.heights()))
    scope = scope_of(window)
    corrections = await reader.corrections(scope)
    statement = from_sums(await reader.sums(scope), corrections, window)
    prove(statement, whole_of(Amount(*await reader.whole(scope)), corrections, window))
    return statement


async def read_entries(reader: SettlementReader, window: Window) -> AsyncIterator[list[EntryRow]]:
    """All entries that have a booking in the period, in the order of their places, a batch at a time.

    Raises: StoreError, EntryContradicted.
    """
    scope = scope_of(window)
    corrections = [row for row in await reader.corrections(scope) if any(taken(row, window))]
    corrections.reverse()
    async for batch in reader.entries(scope):
        merged: list[EntryRow] = []
        for row in batch:
            while corrections and corrections[-1][:3] < row[:3]:
                merged.append(corrections.pop())
            merged.append(row)
        yield merged
    if corrections:
        yield corrections[::-1]


async def read_ranges(
    reader: SettlementReader, window: Window, *, party: str = "", counterparty: str = ""
) -> list[RangeRow]:
    """The blocks that a statement rests on, by stream: those of one party or counterparty, or of all ("").

    Raises: StoreError, EntryContradicted.
    """
    scope = scope_of(window)
    ranges = {each.stream: each for each in await reader.ranges(scope, party=party, counterparty=counterparty)}
    for row in await reader.corrections(scope):
        if party in ("", row.party) and counterparty in ("", row.counterparty) and _moved_only(row, window):
            old = ranges.get(row.stream, RangeRow(row.stream, row.height, row.height, 0))
            ranges[row.stream] = RangeRow(
                row.stream, min(old.first, row.height), max(old.last, row.height), old.entries + 1
            )
    return [ranges[stream] for stream in sorted(ranges)]


async def read_checkpoint(reader: SettlementReader, ranges: Iterable[RangeRow]) -> Checkpoint:
    """The first checkpoint that covers all these blocks. Raises: StoreError, NotCovered, NoteError."""
    wanted = list(ranges)
    position = await reader.position(wanted) if wanted else 0
    note = None if position is None else await reader.note_over(position)
    if note is None:
        raise NotCovered
    return parse_note(note).checkpoint


def _moved_only(row: EntryRow, window: Window) -> bool:
    """Whether a correction is in the period only by what it moved: its own difference is another's."""
    return any(taken(row, window)) and not window.takes(row.deposited_at_us, row.stream, row.height)


async def _whole_projection(reader: SettlementReader, cut: Cut) -> None:
    behind = await reader.behind(cut.heights)
    if behind:
        raise ProjectionBehind(len(behind))
