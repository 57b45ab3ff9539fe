"""The lane for what needs more than the plain look-up: names, repeats, receipts, papers, disclaimers, approvals.

A lane of its own, with a connection of its own, so that the plain path never waits for it.

Invariants kept here: an id that is known is never answered as if it were new; another question under it is shown
nothing; a repeat never costs more than its original (2). Source: DESIGN section 7, Repeats, and 9.
"""

from collections.abc import Sequence
from typing import Final as Const

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused
from gateway.inquiry.answering import Answered, answer_by_code, answer_by_name
from gateway.inquiry.approval import INVALID, Approvals
from gateway.inquiry.disclaiming import Disclaimers
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.finals import make_final
from gateway.inquiry.index import query_tokens
from gateway.inquiry.lane import Lane, sealed_row
from gateway.inquiry.volume import EXCEEDED, VolumeControl
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Rows
from gateway.service.papers import PaperDesk
from gateway.service.receipts import Receipts
from gateway.store.errors import StoreError
from gateway.store.ledger import LedgerStore
from gateway.store.register import LOOKUP_BY_CODE, LOOKUP_BY_NAME, ClaimSeen, SealedRow
from protocol import limits
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.ledger import Entry, EntryKind, EntryRef, decode_entry
from protocol.messages import Approve, Disclaim, InquiryByCode, InquiryByName, ReceiptQuery, Refusal, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

_STANDING: Const = {int(refused.outcome): refused for refused in (EXCEEDED, INVALID)}
"""Refusals that a repeat meets again."""


class SearchLane:
    """Answers what is not plain for one worker; `search` is a stage's function over admitted requests."""

    def __init__(
        self,
        lane: Lane,
        *,
        rows: Rows,
        ledger: LedgerStore,
        receipts: Receipts,
        disclaimers: Disclaimers,
        volume: VolumeControl,
        approvals: Approvals,
        papers: PaperDesk,
    ) -> None:
        self._lane = lane
        self._papers = papers
        self._volume = volume
        self._approvals = approvals
        self._rows = rows
        self._ledger = ledger
        self._receipts = receipts
        self._disclaimers = disclaimers

    async def search(self, batch: list[Asked]) -> None:
        """Answer what waits. Every request of the batch is recorded or settled."""
        lane = self._lane
        batch = [asked for asked in batch if not asked.done]
        if not batch:
            return
        try:
            rows = await lane.look_up(self._rows, LOOKUP_BY_CODE, batch)
            found = await self._candidates([a for a in batch if isinstance(a.body, InquiryByName)])
            over = await self._count([a for a, row in zip(batch, rows, strict=True) if row[6] is None])
        except (StoreError, DirectoryStale) as error:
            lane.ground.unavailable(batch, error.code)
            return
        await self._papers.show([asked for asked in batch if self._papers.serves(asked)])
        finals: list[Final] = []
        for asked, row in zip(batch, rows, strict=True):
            if self._papers.serves(asked):
                continue
            try:
                final = await self._one(asked, row, found.get(id(asked), []), over=id(asked) in over)
            except RegisterCorrupt as error:
                lane.corrupt(asked, error)
            except StoreError as error:
                lane.ground.unavailable([asked], error.code)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                lane.ground.unavailable([asked], type(error).__name__)
            else:
                if final is not None:
                    finals.append(final)
        if finals:
            lane.ground.outlet.record(finals)

    async def _candidates(self, names: list[Asked]) -> dict[int, list[SealedRow]]:
        asked_for = [
            (asked, asked.body)
            for asked in names
            if isinstance(asked.body, InquiryByName) and isinstance(asked.decision, Granted)
        ]
        if not asked_for:
            return {}
        index_key = self._lane.keys.index_key
        tokens = [query_tokens(index_key, body.name, body.address, body.birth) for _, body in asked_for]
        rows = await self._rows.fetch(
            LOOKUP_BY_NAME,
            [asked.party for asked, _ in asked_for],
            [asked.request.request_id for asked, _ in asked_for],
            [town for town, _ in tokens],
            [birth for _, birth in tokens],
            self._lane.today(),
        )
        found: dict[int, list[SealedRow]] = {id(asked): [] for asked, _ in asked_for}
        for row in rows:
            sealed = sealed_row(row)
            place = row[-1]
            if sealed is not None and isinstance(place, int):
                found[id(asked_for[place - 1][0])].append(sealed)
        return found

    async def _count(self, new: list[Asked]) -> set[int]:
        """Which of these new requests (by id()) are over the volume; an approval is looked at in its place."""
        questions = [
            asked
            for asked in new
            if isinstance(asked.decision, Granted)
            and isinstance(asked.body, InquiryByCode | InquiryByName)
            and asked.body.approval is None
            and asked.off_clock is None
        ]
        if not questions:
            return set()
        self._volume.turn(self._lane.today())
        return await self._volume.admit(questions)

    async def _one(
        self, asked: Asked, row: Sequence[object], candidates: list[SealedRow], *, over: bool
    ) -> Final | None:
        claim = ClaimSeen(*row[6:12]) if row[6] is not None else None  # type: ignore[arg-type]
        if claim is None and asked.off_clock is not None:
            self._lane.ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
            return None
        await self._lane.ground.load_months([asked], known=True)
        if isinstance(asked.body, ReceiptQuery):
            await self._receipts.receipt(asked, asked.body)
            return None
        if claim is None:
            return await self._new(asked, row, candidates, over=over)
        return await self._repeat(asked, row, candidates, claim)

    async def _new(
        self, asked: Asked, row: Sequence[object], candidates: list[SealedRow], *, over: bool
    ) -> Final | None:
        lane = self._lane
        if isinstance(asked.decision, Refused):
            return lane.refusal(asked, asked.decision, lane.ground.now_us())
        if isinstance(asked.body, Disclaim):
            return await self._disclaimers.disclaim(asked, asked.body)
        if isinstance(asked.body, Approve):
            return await self._approvals.approve(asked, asked.body)
        if over:
            return lane.refusal(asked, EXCEEDED, lane.ground.now_us())
        if isinstance(asked.body, InquiryByCode | InquiryByName):
            approval = asked.body.approval
            if approval is not None and not await self._approvals.spend(asked, asked.body, approval):
                return lane.refusal(asked, INVALID, lane.ground.now_us())
        return lane.answer(
            asked, asked.decision, self._ask_register(asked, asked.decision, row, candidates), lane.ground.now_us()
        )

    def _ask_register(
        self, asked: Asked, granted: Granted, row: Sequence[object], candidates: list[SealedRow]
    ) -> Answered:
        lane = self._lane
        keys, history, my_number = lane.keys, granted.history_searched, granted.my_number_allowed
        if isinstance(asked.body, InquiryByName):
            answered = answer_by_name(asked.body, candidates, keys, history=history, my_number=my_number)
            return lane.releasable(answered)
        if isinstance(asked.body, InquiryByCode):
            return lane.releasable(answer_by_code(asked.body, sealed_row(row), keys, my_number=my_number))
        raise RegisterCorrupt(b"", "is not asked for by this operation")

    async def _repeat(
        self, asked: Asked, row: Sequence[object], candidates: list[SealedRow], claim: ClaimSeen
    ) -> Final | None:
        """The id is known: the same question again is answered anew and free; another question is not answered."""
        request = asked.request
        lane = self._lane
        settle = lane.ground.outlet.settle
        month_key = lane.ground.month_of(asked)
        key = commitment_key(month_key, asked.party, request.request_id)
        if request_commitment(key, request.operation, request.body) != claim.commitment:
            settle(asked, Outcome.ID_REUSED, encode(Refusal("request_id", "ask under a new id")))
            return None
        turn = claim.turn + 1
        if turn > limits.REPEATS_MAX:
            settle(asked, Outcome.REPEAT_LIMIT, EMPTY)
            return None
        original = await self._original(claim)
        now_us = lane.ground.now_us()
        decision = asked.decision
        subject, given = None, 0
        if isinstance(decision, Refused):
            outcome, body, cost = int(decision.outcome), encode(Refusal(decision.field, decision.remedy)), 0
        elif original.outcome in _STANDING:
            # Volume and approvals are decided once an id: asked again, it must not show what was refused at first.
            refused = _STANDING[original.outcome]
            outcome, body, cost = original.outcome, encode(Refusal(refused.field, refused.remedy)), 0
        elif isinstance(asked.body, Disclaim | Approve):
            outcome, body, cost = original.outcome, EMPTY, 0
        else:
            answered = self._ask_register(asked, decision, row, candidates)
            outcome, body = int(answered.outcome), answered.body
            subject, given = answered.subject, answered.given
            cost = decision.yen_per_record * answered.count
        if cost > original.yen or (claim.disclaimed and cost):
            settle(asked, Outcome.REPEAT_COSTS_MORE, encode(Refusal("request_id", "ask under a new id")))
            return None
        same = outcome == original.outcome and response_commitment(key, outcome, body) == original.response_commitment
        return make_final(
            asked,
            month_key=month_key,
            outcome=outcome,
            body=body,
            yen=0,
            commission=0,
            at_us=now_us,
            kind=EntryKind.REPEAT,
            turn=turn,
            ref=EntryRef(claim.stream, claim.height, claim.index, same),
            subject=subject,
            given=given,
        )

    async def _original(self, claim: ClaimSeen) -> Entry:
        block = await self._ledger.read_block(claim.stream, claim.height)
        if block is None:
            raise RegisterCorrupt(b"", "has a claim without its block")
        return decode_entry(block.entries[claim.index])
