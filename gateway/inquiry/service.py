"""The answering stages: what waits is looked up together, decided, and handed on to be recorded.

Two lanes. `answer` takes everything: one query for all that waits brings the sealed record, the claim of the request
id and the directory's version; plain questions by code are finished there. What needs more (a question by name, a
repeat, a receipt, a disclaimer) goes to `search`, a lane of its own, so that it never holds up the plain path.

Invariants kept here: an id that is known is never answered as if it were new; a directory that changed is read before
anything is answered by it; a row that is not what it claims releases nothing (1, 2, 9).
Not here: committing (gateway.ledger.recording), policy (gateway.directory.policy), bytes (protocol).
Source: DESIGN sections 4, 7, 8, 9.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused, Standing
from gateway.inquiry.answering import Answered, answer_by_code, answer_by_name
from gateway.inquiry.asked import Asked
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.finals import make_final
from gateway.inquiry.index import code_token, query_tokens
from gateway.inquiry.sealing import RegisterKeys
from gateway.ledger.recording import Final
from gateway.store.errors import StoreError
from gateway.store.ledger import LedgerStore
from gateway.store.register import LOOKUP_BY_CODE, LOOKUP_BY_NAME, LOOKUP_NEW, ClaimSeen, SealedRow
from protocol import limits
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.ledger import Entry, EntryKind, EntryRef, decode_entry
from protocol.merkle import Tree, leaf_hash
from protocol.messages import (
    Approve,
    BatchInquiry,
    Disclaim,
    InquiryByCode,
    InquiryByName,
    ReceiptQuery,
    Refusal,
    encode,
)
from protocol.outcomes import CATALOGUE, Outcome
from protocol.receipt import Finality, Proof, Receipt, encode_receipt

log = structlog.get_logger()

NO_TOKEN = bytes(16)
"""A token no record has: for requests that look nothing up in the register but still need their claim."""
_JST_US = 9 * 3_600_000_000
_DAY_US = 86_400_000_000
_ORDINAL_1970 = dt.date(1970, 1, 1).toordinal()
_EMPTY = encode(Refusal())


class Rows(Protocol):
    """A connection of the store that answers a query."""

    async def fetch(self, sql: str, *args: object) -> Sequence[Sequence[object]]:
        """Rows. Raises: StoreError."""


class Finalities(Protocol):
    """Where a block stands in the checkpoints."""

    async def finality(self, stream: bytes, height: int, size: int) -> Finality | None:
        """The block's finality in the checkpoint of that size, or in the latest for 0; None when none covers it."""


class Outlet(Protocol):
    """Where results go; both return at once."""

    def record(self, finals: list[Final]) -> None:
        """Responses to be recorded."""

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """An unrecorded response."""


class Service:
    """Answers for one worker. `answer` and `search` are stages' functions over admitted requests."""

    def __init__(
        self,
        *,
        fast: Rows,
        slow: Rows,
        ledger: LedgerStore,
        finalities: Finalities,
        keys: RegisterKeys,
        month_key: Callable[[bytes], Awaitable[bytes]],
        months: dict[int, bytes],
        confirm: Callable[[int], Awaitable[int]],
        standing: Callable[[str, str], Standing],
        decide: Callable[[Asked, Standing], Granted | Refused],
        to_search: Callable[[list[Asked]], None],
        outlet: Outlet,
        now_us: Callable[[], int],
    ) -> None:
        """month_key loads the commitment key of a request id's month into `months`, which is keyed by day since 1970;
        confirm(version) gives the directory's version after making sure that it is not older than the one seen;
        what was admitted by another is decided again."""
        self._fast = fast
        self._slow = slow
        self._ledger = ledger
        self._finalities = finalities
        self._keys = keys
        self._month_key = month_key
        self._months = months
        self._confirm = confirm
        self._standing = standing
        self._decide = decide
        self._to_search = to_search
        self._outlet = outlet
        self._now_us = now_us
        self._day = -1, dt.date.min

    # --- the plain lane

    async def answer(self, batch: list[Asked]) -> None:
        """Answer what waits. Every request of the batch is recorded, settled, or passed to the other lane."""
        plain = [asked for asked in batch if not asked.done]
        others = [asked for asked in plain if not _is_plain(asked)]
        if others:
            self._to_search(others)
            plain = [asked for asked in plain if _is_plain(asked)]
        if not plain:
            return
        try:
            rows = await self._look_up(self._fast, LOOKUP_NEW, plain)
            await self._load_months(plain)
        except (StoreError, DirectoryStale) as error:
            self._unavailable(plain, error.code)
            return
        except Exception as error:
            log.error("batch_failed", exc_info=True)
            self._unavailable(plain, type(error).__name__)
            return
        finals: list[Final] = []
        known: list[Asked] = []
        now_us = self._now_us()
        for asked, row in zip(plain, rows, strict=True):
            if row[6] is not None:
                known.append(asked)
                continue
            if asked.off_clock is not None:
                self._outlet.settle(asked, Outcome(asked.off_clock), _EMPTY)
                continue
            try:
                final = self._first(asked, row, now_us)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                self._unavailable([asked], type(error).__name__)
                continue
            if final is not None:
                finals.append(final)
        if known:
            self._to_search(known)
        if finals:
            self._outlet.record(finals)

    async def _look_up(self, rows: Rows, sql: str, batch: list[Asked]) -> Sequence[Sequence[object]]:
        """One row a request: record columns, directory version, claim columns (gateway.store.register)."""
        index_key = self._keys.index_key
        found = await rows.fetch(
            sql,
            [asked.party for asked in batch],
            [asked.request.request_id for asked in batch],
            [
                code_token(index_key, asked.body.code)
                if isinstance(asked.body, InquiryByCode) and isinstance(asked.decision, Granted)
                else NO_TOKEN
                for asked in batch
            ],
            self._today(),
        )
        version = found[0][5]
        if not isinstance(version, int):
            raise DirectoryStale(held=0, seen=0)
        current = await self._confirm(version)
        moved = [asked for asked in batch if asked.version != current]
        if moved:
            for asked in moved:
                standing = self._standing(asked.party, asked.line)
                asked.decision = self._decide(asked, standing)
                asked.version = standing.version
            return await self._look_up(rows, sql, batch)
        return found

    def _today(self) -> dt.date:
        """The date in Japan; made once a day."""
        number = (self._now_us() + _JST_US) // _DAY_US
        if number != self._day[0]:
            self._day = number, dt.date.fromordinal(_ORDINAL_1970 + number)
        return self._day[1]

    def _first(self, asked: Asked, row: Sequence[object], now_us: int) -> Final | None:
        decision = asked.decision
        if isinstance(decision, Granted):
            if not isinstance(asked.body, InquiryByCode):
                self._outlet.settle(asked, Outcome.UNAVAILABLE, _EMPTY)
                return None
            try:
                answered = answer_by_code(asked.body, _sealed(row), self._keys)
            except RegisterCorrupt as error:
                self._corrupt(asked, error)
                return None
            return self._final(asked, decision, answered, now_us)
        return self._refusal(asked, decision, now_us)

    def _refusal(self, asked: Asked, refused: Refused, now_us: int) -> Final:
        return make_final(
            asked,
            month_key=self._month_of(asked),
            outcome=refused.outcome,
            body=encode(Refusal(refused.field, refused.remedy)),
            yen=0,
            commission=0,
            at_us=now_us,
        )

    def _final(self, asked: Asked, granted: Granted, answered: Answered, now_us: int) -> Final:
        # 002 本2-1: the fee is per record provided, not per inquiry.
        return make_final(
            asked,
            month_key=self._month_of(asked),
            outcome=answered.outcome,
            body=answered.body,
            yen=granted.yen_per_record * answered.count,
            commission=granted.commission * answered.count,
            at_us=now_us,
        )

    def _month_of(self, asked: Asked) -> bytes:
        return self._months[int.from_bytes(asked.request.request_id[:6], "big") // 86_400_000]

    async def _load_months(self, batch: list[Asked]) -> None:
        for asked in batch:
            request_id = asked.request.request_id
            if int.from_bytes(request_id[:6], "big") // 86_400_000 not in self._months and asked.off_clock is None:
                await self._month_key(request_id)

    def _corrupt(self, asked: Asked, error: RegisterCorrupt) -> None:
        log.error("register_corrupt", code=error.code)
        self._outlet.settle(asked, Outcome.UNAVAILABLE, _EMPTY)

    def _unavailable(self, batch: Sequence[Asked], code: str) -> None:
        log.warning("unavailable", code=code, count=len(batch))
        for asked in batch:
            self._outlet.settle(asked, Outcome.UNAVAILABLE, _EMPTY)

    # --- the lane for what needs more

    async def search(self, batch: list[Asked]) -> None:
        """Answer names, repeats, receipts and disclaimers."""
        batch = [asked for asked in batch if not asked.done]
        if not batch:
            return
        try:
            rows = await self._look_up(self._slow, LOOKUP_BY_CODE, batch)
            found = await self._candidates([a for a in batch if isinstance(a.body, InquiryByName)])
        except (StoreError, DirectoryStale) as error:
            self._unavailable(batch, error.code)
            return
        finals: list[Final] = []
        for asked, row in zip(batch, rows, strict=True):
            try:
                final = await self._one(asked, row, found.get(id(asked), []))
            except RegisterCorrupt as error:
                self._corrupt(asked, error)
            except StoreError as error:
                self._unavailable([asked], error.code)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                self._unavailable([asked], type(error).__name__)
            else:
                if final is not None:
                    finals.append(final)
        if finals:
            self._outlet.record(finals)

    async def _candidates(self, names: list[Asked]) -> dict[int, list[SealedRow]]:
        asked_for = [
            (asked, asked.body)
            for asked in names
            if isinstance(asked.body, InquiryByName) and isinstance(asked.decision, Granted)
        ]
        if not asked_for:
            return {}
        tokens = [query_tokens(self._keys.index_key, body.name, body.address, body.birth) for _, body in asked_for]
        rows = await self._slow.fetch(
            LOOKUP_BY_NAME,
            [asked.party for asked, _ in asked_for],
            [asked.request.request_id for asked, _ in asked_for],
            [town for town, _ in tokens],
            [birth for _, birth in tokens],
            self._today(),
        )
        found: dict[int, list[SealedRow]] = {id(asked): [] for asked, _ in asked_for}
        for row in rows:
            sealed = _sealed(row)
            place = row[-1]
            if sealed is not None and isinstance(place, int):
                found[id(asked_for[place - 1][0])].append(sealed)
        return found

    async def _one(self, asked: Asked, row: Sequence[object], candidates: list[SealedRow]) -> Final | None:
        claim = ClaimSeen(*row[6:12]) if row[6] is not None else None  # type: ignore[arg-type]
        if claim is None and asked.off_clock is not None:
            self._outlet.settle(asked, Outcome(asked.off_clock), _EMPTY)
            return None
        await self._load_months([asked])
        if isinstance(asked.body, ReceiptQuery):
            await self._receipt(asked, asked.body)
            return None
        if claim is None:
            return await self._new(asked, row, candidates)
        return await self._repeat(asked, row, candidates, claim)

    async def _new(self, asked: Asked, row: Sequence[object], candidates: list[SealedRow]) -> Final | None:
        if isinstance(asked.decision, Refused):
            return self._refusal(asked, asked.decision, self._now_us())
        if isinstance(asked.body, Disclaim):
            return await self._disclaim(asked, asked.body)
        if isinstance(asked.body, Approve) or _approval(asked.body) is not None:
            self._outlet.settle(asked, Outcome.UNAVAILABLE, _EMPTY)
            return None
        return self._final(asked, asked.decision, self._ask_register(asked, row, candidates), self._now_us())

    def _ask_register(self, asked: Asked, row: Sequence[object], candidates: list[SealedRow]) -> Answered:
        if isinstance(asked.body, InquiryByName):
            return answer_by_name(asked.body, candidates, self._keys)
        if isinstance(asked.body, InquiryByCode):
            return answer_by_code(asked.body, _sealed(row), self._keys)
        raise RegisterCorrupt(b"", "is not asked for by this operation")

    async def _repeat(
        self, asked: Asked, row: Sequence[object], candidates: list[SealedRow], claim: ClaimSeen
    ) -> Final | None:
        """The id is known: the same question again is answered anew and free; another question is not answered."""
        request = asked.request
        if not self._months.get(int.from_bytes(request.request_id[:6], "big") // 86_400_000):
            await self._month_key(request.request_id)
        key = commitment_key(self._month_of(asked), asked.party, request.request_id)
        if request_commitment(key, request.operation, request.body) != claim.commitment:
            self._outlet.settle(asked, Outcome.ID_REUSED, encode(Refusal("request_id", "ask under a new id")))
            return None
        turn = claim.turn + 1
        if turn > limits.REPEATS_MAX:
            self._outlet.settle(asked, Outcome.REPEAT_LIMIT, _EMPTY)
            return None
        original = await self._original(claim)
        now_us = self._now_us()
        decision = asked.decision
        if isinstance(decision, Refused):
            outcome, body, cost = int(decision.outcome), encode(Refusal(decision.field, decision.remedy)), 0
        elif isinstance(asked.body, Disclaim | Approve):
            outcome, body, cost = original.outcome, _EMPTY, 0
        else:
            answered = self._ask_register(asked, row, candidates)
            outcome, body = int(answered.outcome), answered.body
            cost = decision.yen_per_record * answered.count
        if cost > original.yen or (claim.disclaimed and cost):
            self._outlet.settle(asked, Outcome.REPEAT_COSTS_MORE, encode(Refusal("request_id", "ask under a new id")))
            return None
        same = outcome == original.outcome and response_commitment(key, outcome, body) == original.response_commitment
        return make_final(
            asked,
            month_key=self._month_of(asked),
            outcome=outcome,
            body=body,
            yen=0,
            commission=0,
            at_us=now_us,
            kind=EntryKind.REPEAT,
            turn=turn,
            ref=EntryRef(claim.stream, claim.height, claim.index, same),
        )

    async def _original(self, claim: ClaimSeen) -> Entry:
        block = await self._ledger.read_block(claim.stream, claim.height)
        if block is None:
            raise RegisterCorrupt(b"", "has a claim without its block")
        return decode_entry(block.entries[claim.index])

    async def _receipt(self, asked: Asked, query: ReceiptQuery) -> None:
        """RECEIPT: the proof of a known id, without data, unrecorded."""
        if isinstance(asked.decision, Refused):
            self._outlet.settle(
                asked, asked.decision.outcome, encode(Refusal(asked.decision.field, asked.decision.remedy))
            )
            return
        material = await self._ledger.receipt_material(asked.party, query.request_id)
        if material is None:
            self._outlet.settle(asked, Outcome.RECEIPT_UNKNOWN, _EMPTY)
            return
        block, index = material.block, material.index
        tree = Tree([leaf_hash(entry) for entry in block.entries])
        finality = await self._finalities.finality(block.stream, block.height, query.tree_size)
        receipt = Receipt(
            Proof(
                block.entries[index],
                index,
                tree.range_proof(index, index + 1),
                block.header,
                block.key_id,
                block.signature,
            ),
            None,
            finality,
        )
        self._outlet.settle(asked, Outcome.RECEIPT, encode_receipt(receipt))

    async def _disclaim(self, asked: Asked, body: Disclaim) -> Final | None:
        """DISCLAIM: an entry that reverses the fee of an answer its party declares never received."""
        material = await self._ledger.receipt_material(asked.party, body.request_id)
        original = decode_entry(material.block.entries[material.index]) if material is not None else None
        if (
            material is None
            or original is None
            or original.yen <= 0
            or not CATALOGUE[Outcome(original.outcome)].charged
            or material.turn_max != 0
            or material.disclaimed
        ):
            self._outlet.settle(asked, Outcome.NOT_DISCLAIMABLE, encode(Refusal("request_id")))
            return None
        key = commitment_key(self._month_of(asked), asked.party, asked.request.request_id)
        commitment = request_commitment(key, asked.request.operation, asked.request.body)
        log.warning("disclaimed", party=asked.party)
        return make_final(
            asked,
            month_key=self._month_of(asked),
            outcome=Outcome.DISCLAIMED,
            body=_EMPTY,
            yen=-original.yen,
            commission=-original.commission,
            at_us=self._now_us(),
            kind=EntryKind.DISCLAIM,
            ref=EntryRef(material.block.stream, material.block.height, material.index, True),
            also=[(asked.party, body.request_id, -1, commitment)],
        )


def _is_plain(asked: Asked) -> bool:
    body = asked.body
    return body is None or isinstance(body, BatchInquiry) or (isinstance(body, InquiryByCode) and body.approval is None)


def _approval(body: object) -> bytes | None:
    return body.approval if isinstance(body, InquiryByCode | InquiryByName) else None


def _sealed(row: Sequence[object]) -> SealedRow | None:
    if row[0] is None:
        return None
    return SealedRow(row[0], row[1], row[2], row[3], row[4])  # type: ignore[arg-type]
