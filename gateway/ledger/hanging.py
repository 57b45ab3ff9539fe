"""What hangs on the blocks, held against them: claims, projected rows, and what repeats and disclaimers refer to.

The blocks come checked, as `Due`, and the tables' rows as digests; both in the order (stream, height). Where a digest
differs, the block is read again and the row is named.

Not here: the blocks themselves (gateway.ledger.auditing). Source: DESIGN section 7.
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.ledger.due import Due, Reference, expected_of
from gateway.ledger.findings import Fault, Finding, Report
from gateway.store.ledger_audit import DigestRow, LedgerReader, Merged, mark_of, marked_id
from protocol.ledger import EntryKind
from protocol.limits import REPEATS_MAX

if TYPE_CHECKING:
    import trio

EXACT_SEARCHES_MAX: Final = 20
"""So many blocks with wrong claims or rows are searched to name the row; each search reads the whole table."""
_REFERENCES_A_QUESTION: Final = 1000


async def check_hanging(
    reader: LedgerReader,
    due: "trio.MemoryReceiveChannel[list[Due]]",
    digests: Merged[DigestRow],
    projected_to: dict[bytes, int],
    report: Report,
) -> None:
    """Compare until both have ended. Raises: StoreError."""
    await _Hanging(reader, projected_to, report).run(due, digests)


def _turn(turn: int) -> int:
    """As an entry's claims are expected: 1 for any repeat."""
    return 1 if 1 <= turn <= REPEATS_MAX else turn


class _Hanging:
    def __init__(self, reader: LedgerReader, projected_to: dict[bytes, int], report: Report) -> None:
        self._reader = reader
        self._projected_to = projected_to
        self._report = report
        self._references: list[Reference] = []
        self._searches = EXACT_SEARCHES_MAX

    async def run(self, due: "trio.MemoryReceiveChannel[list[Due]]", digests: Merged[DigestRow]) -> None:
        row = await digests.one()
        async for turn in due:
            for block in turn:
                row = await self._hold(block, row, digests)
        while row is not None:
            self._stray(row)
            row = await digests.one()
        await self._check_references()

    async def _hold(self, block: Due, row: DigestRow | None, digests: Merged[DigestRow]) -> DigestRow | None:
        """Compare one block with what hangs on it, if anything. Returns: the next row."""
        here = (block.stream, block.height)
        while row is not None and (row.stream, row.height) < here:
            self._stray(row)
            row = await digests.one()
        own = row is not None and (row.stream, row.height) == here
        found = row if own and row is not None else DigestRow(*here, None, None, None, None, None)
        if block.readable:
            await self._compare(block, found)
        if own:
            row = await digests.one()
        if len(self._references) >= _REFERENCES_A_QUESTION:
            await self._check_references()
        return row

    def _stray(self, row: DigestRow) -> None:
        if row.claims or row.marks:
            count = (row.claims or 0) + len(row.marks or [])
            self._find(Fault.CLAIM, row, f"{count} claims name a block that is not there")
        if row.projected:
            self._find(Fault.PROJECTION, row, f"{row.projected} projected rows name a block that is not there")

    async def _compare(self, block: Due, row: DigestRow) -> None:
        self._report.claims += (row.claims or 0) + len(row.marks or [])
        if block.special or row.marks:
            self._marks(block, row)
        wrong_claims = block.claims != row.claims_digest
        wrong_rows = block.rows != row.projected_digest
        if wrong_claims or wrong_rows:
            await self._name(block, claims=wrong_claims, projected=wrong_rows)

    def _marks(self, block: Due, row: DigestRow) -> None:
        """Repeats and disclaimers: what they refer to, and the marks disclaimers leave on the id they give up."""
        marks: dict[int, list[bytes]] = {}
        for mark in row.marks or []:
            marks.setdefault(int.from_bytes(mark[:4], "big"), []).append(mark)
        for each in block.special:
            index = each.index
            if each.ref is None:
                self._find(Fault.REFERENCE, row, "a repeat or disclaimer that names no earlier entry", index)
            elif each.kind != EntryKind.DISCLAIM:
                self._references.append(each)
            else:
                own = marks.pop(index, [])
                request_id = marked_id(own[0]) if own else b""
                if own != [mark_of(index, request_id, each.commitment, each.party.encode())]:
                    self._find(Fault.CLAIM, row, "the disclaimer's mark (turn -1) is not its own", index)
                else:
                    self._references.append(msgspec.structs.replace(each, request_id=request_id))
        for index in marks:
            self._find(Fault.CLAIM, row, "a claim of turn -1 stands for no disclaimer", index)

    async def _name(self, block: Due, *, claims: bool, projected: bool) -> None:
        """Say which claim or projected row of a block does not fit; after many such blocks, only that some do not."""
        self._searches -= 1
        if self._searches < 0:
            if claims:
                self._find(Fault.CLAIM, block, "the claims are not those of the entries")
            if projected:
                self._find(Fault.PROJECTION, block, "the projected rows are not those of the entries")
            return
        expected = expected_of(await self._reader.entries_of(block.stream, block.height))
        if claims:
            await self._name_claims(block, expected.claims)
        if projected:
            due = block.height < self._projected_to.get(block.stream, 0)
            await self._name_projected(block, expected.projected if due else [])

    async def _name_claims(self, block: Due, expected: list[list[tuple[int, bytes, bytes, str]]]) -> None:
        rows: dict[int, list[Any]] = {}
        for row in await self._reader.claims_of(block.stream, block.height):
            if row[1] != -1:
                rows.setdefault(row[0], []).append(row)
        for index, wanted in enumerate(expected):
            self._name_claims_of(block, index, wanted, rows.pop(index, []))
        for index, strays in rows.items():
            for row in strays:
                self._find(Fault.CLAIM, block, f"the claim of party {row[2]}, id {row[3].hex()} has no entry", index)

    def _name_claims_of(
        self, block: Due, index: int, wanted: list[tuple[int, bytes, bytes, str]], standing: list[Any]
    ) -> None:
        """One entry's claims: what does not fit is named by what stands, and what is missing by what should."""
        left = list(standing)
        missing = []
        for each in wanted:
            own = next((row for row in left if (_turn(row[1]), row[3], row[4], row[2]) == each), None)
            if own is None:
                missing.append(each)
            else:
                left.remove(own)
        for turn, request_id, commitment, party in missing:
            near = next((row for row in left if (row[3], row[4], row[2]) == (request_id, commitment, party)), None)
            if near is not None:
                left.remove(near)
                what = f"the claim's turn {near[1]} does not fit the entry's kind"
            else:
                what = f"party {party}, id {request_id.hex()}, turn {turn}: no claim stands for the entry"
            self._find(Fault.CLAIM, block, what, index)
        for row in left:
            what = f"the claim of party {row[2]}, id {row[3].hex()} is not that of the entry"
            self._find(Fault.CLAIM, block, what, index)

    async def _name_projected(self, block: Due, expected: list[bytes]) -> None:
        rows = await self._reader.projected_of(block.stream, block.height)
        standing = {int.from_bytes(row[:4], "big"): row for row in rows}
        for index, wanted in enumerate(expected):
            if standing.pop(index, None) != wanted:
                what = "the projected row is missing or says something else than the entry"
                self._find(Fault.PROJECTION, block, what, index)
        for index in standing:
            what = "a projected row has no entry, or its block was not to be projected yet"
            self._find(Fault.PROJECTION, block, what, index)

    async def _check_references(self) -> None:
        references, self._references = self._references, []
        for at in range(0, len(references), _REFERENCES_A_QUESTION):
            part = references[at : at + _REFERENCES_A_QUESTION]
            firsts = await self._reader.firsts([(each.party, each.request_id) for each in part])
            for each, first in zip(part, firsts, strict=True):
                if each.ref is None or first != (each.ref.stream, each.ref.height, each.ref.index):
                    what = f"names another entry than the first of request id {each.request_id.hex()}"
                    self._find(Fault.REFERENCE, each, what, each.index)

    def _find(self, fault: Fault, place: Due | DigestRow | Reference, what: str, index: int | None = None) -> None:
        self._report.add(Finding(fault=fault, stream=place.stream.hex(), height=place.height, index=index, what=what))
