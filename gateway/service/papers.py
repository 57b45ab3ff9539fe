"""PAPERS and PAPER: what was made for a party in settlement, listed and handed out in parts. Nothing is recorded of it.

A party is shown its own documents only, at any hour and until its contract has run off: another's look like ones that
do not exist. Source: DESIGN section 11; 000仕4-2, 4-4; 002本2-3; docs/PROTOCOL.md, Papers.
"""

from collections.abc import Sequence
from typing import Final

from gateway.directory.policy import Refused
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground
from gateway.store.errors import StoreError
from gateway.store.settlement_acts import DocumentRow, DocumentStore
from protocol.messages import PapersBody, Refusal, encode
from protocol.outcomes import Outcome
from protocol.papers import PAPER_PART_BYTES, PAPERS_A_PAGE, PaperLine, PaperQuery, Papers, PapersQuery

_UNKNOWN: Final = Refused(outcome=Outcome.PAPER_UNKNOWN, field="id", remedy="use an id that PAPERS gave")
_BEYOND: Final = Refused(
    outcome=Outcome.FIELD_INVALID, field="number", remedy="ask for parts of the size that PAPERS gave"
)


class PaperDesk:
    """Settles what is about documents of settlement."""

    def __init__(self, ground: Ground, *, documents: DocumentStore) -> None:
        self._ground = ground
        self._documents = documents

    @staticmethod
    def serves(asked: Asked) -> bool:
        """Whether a request is this desk's."""
        return isinstance(asked.body, PapersBody)

    async def show(self, batch: Sequence[Asked]) -> None:
        """Settle requests that it serves, once the directory they were decided under is confirmed."""
        try:
            await self._show(batch)
        except StoreError as error:
            self._ground.unavailable([asked for asked in batch if not asked.done], error.code)

    async def _show(self, batch: Sequence[Asked]) -> None:
        parts: list[tuple[Asked, PaperQuery]] = []
        for asked in batch:
            if asked.off_clock is not None:
                self._ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
            elif isinstance(asked.decision, Refused):
                self._refuse(asked, asked.decision)
            elif isinstance(asked.body, PaperQuery):
                parts.append((asked, asked.body))
            elif isinstance(asked.body, PapersQuery):
                await self._list(asked, asked.body)
        if parts:
            await self._hand_out(parts)

    async def _list(self, asked: Asked, query: PapersQuery) -> None:
        rows = await self._documents.page(
            party=asked.party, period=query.period, after=query.after, limit=PAPERS_A_PAGE + 1
        )
        papers = [paper_line(row) for row in rows[:PAPERS_A_PAGE]]
        self._ground.outlet.settle(asked, Outcome.PAPERS, encode(Papers(papers, len(rows) > PAPERS_A_PAGE)))

    async def _hand_out(self, parts: list[tuple[Asked, PaperQuery]]) -> None:
        wanted = [(asked.party, body.id, body.number) for asked, body in parts]
        found = await self._documents.slices(wanted, size=PAPER_PART_BYTES)
        for (asked, body), part in zip(parts, found, strict=True):
            if part is None:
                self._refuse(asked, _UNKNOWN)
            elif body.number and not part[1]:
                self._refuse(asked, _BEYOND)
            else:
                self._ground.outlet.settle(asked, Outcome.PAPER, part[1])

    def _refuse(self, asked: Asked, why: Refused) -> None:
        self._ground.outlet.settle(asked, why.outcome, encode(Refusal(why.field, why.remedy)))


def paper_line(row: DocumentRow) -> PaperLine:
    """A document as the lines name it."""
    return PaperLine(row.id, row.period, row.name, row.media, row.size, row.digest)
