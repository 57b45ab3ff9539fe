"""A past quarter at the inquiry centre, recorded as if it had happened.

As gateway.app.synthetic_month does for certificates: policy, price, finals and blocks are the worker's own; who asked
what is synthetic (合成データ), no resident was looked for and the provision history has nothing of it. Some questions
are repeated, which is free, and a few disclaimed, which takes their fee back.

Source: DESIGN sections 7, 9 and 11; 002本2-1.
"""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, NamedTuple

from gateway.app.synthetic_ledger import DEADLINE_MS, PastLedger, PastNotRecorded, Told
from gateway.directory.directory import Directory
from gateway.directory.hours import jst_date
from gateway.directory.model import Role
from gateway.directory.policy import Granted
from gateway.inquiry.finals import make_final
from gateway.ledger.recording import Final as Recorded
from gateway.service.ground import EMPTY
from protocol.commitment import commitment_key, request_commitment
from protocol.ledger import EntryKind, EntryRef
from protocol.limits import RESPONSES_PER_FRAME_MAX
from protocol.messages import Disclaim, InquiryByCode, Operation, Request, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id

PERSON: Final = b"\x90"
"""In the place of a record in an answer: nobody's."""


class Question(NamedTuple):
    """One request of a ministry: at_us, its id and body, and how it is answered."""

    at_us: int
    request_id: bytes
    body: InquiryByCode | Disclaim
    outcome: Outcome
    records: int
    kind: EntryKind
    of: bytes
    """The id it repeats or disclaims, b"" for a first one."""


class InquiryQuarter:
    """Plays a ministry's questions into an inquiry centre's ledger."""

    def __init__(self, ledger: PastLedger, directory: Directory, *, party: str, line: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self._party = party
        self._line = line
        self._asked: dict[bytes, tuple[EntryRef, int, InquiryByCode]] = {}

    async def play(self, questions: Iterable[Question]) -> AsyncIterator[list[Told]]:
        """Record questions in their order, a block at a time. Raises: PastNotRecorded, StoreError, HsmError."""
        batch: list[Question] = []
        for question in questions:
            new_day = batch and jst_date(batch[0].at_us) != jst_date(question.at_us)
            if new_day or len(batch) == RESPONSES_PER_FRAME_MAX or any(question.of == one.request_id for one in batch):
                yield await self._record(batch)
                batch = []
            if new_day:
                await self._ledger.checkpoint()
            batch.append(question)
        if batch:
            yield await self._record(batch)
            await self._ledger.checkpoint()

    async def _record(self, batch: Sequence[Question]) -> list[Told]:
        ledger = self._ledger
        ledger.clock.set(batch[-1].at_us)
        stream, height = ledger.place
        requests = [self._request(each) for each in batch]
        finals = [await self._final(each, request) for each, request in zip(batch, requests, strict=True)]
        answered = await ledger.record(finals)
        for question, final in zip(batch, answered, strict=True):
            if question.kind == EntryKind.FIRST and isinstance(question.body, InquiryByCode):
                ref = EntryRef(stream, height, final.proof.index, True)
                self._asked[question.request_id] = ref, final.entry.yen, question.body
        return [Told(request, final) for request, final in zip(requests, answered, strict=True)]

    def _request(self, question: Question) -> Request:
        again = question.kind == EntryKind.REPEAT
        body = self._asked[question.of][2] if again else question.body
        operation = Operation.DISCLAIM if isinstance(body, Disclaim) else Operation.INQUIRE_BY_CODE
        return Request(question.of if again else question.request_id, operation, DEADLINE_MS, encode(body))

    async def _final(self, question: Question, request: Request) -> Recorded:
        body = question.body
        standing = self._directory.standing(Role.INQUIRY, self._party, self._line, question.at_us)
        if isinstance(body, InquiryByCode):
            decision = standing.decide(request.operation, body.affair, body.step, body.staff, body.case)
        else:
            decision = standing.decide(request.operation, "", 0, "", "")
        if not isinstance(decision, Granted):
            raise PastNotRecorded(f"an inquiry was refused: {decision.outcome.name}, {decision.field}")
        asked = self._ledger.asked(self._party, self._line, request, body, decision)
        month_key = await self._ledger.months.load(request.request_id)
        yen, also, ref = decision.yen_per_record * question.records, None, None
        if question.kind != EntryKind.FIRST:
            ref, paid, _ = self._asked[question.of]
            yen = -paid if question.kind == EntryKind.DISCLAIM else 0
        if question.kind == EntryKind.DISCLAIM:
            key = commitment_key(month_key, asked.party, request.request_id)
            also = [(asked.party, question.of, -1, request_commitment(key, request.operation, request.body))]
        return make_final(
            asked,
            month_key=month_key,
            outcome=question.outcome,
            body=PERSON if question.records else EMPTY,
            yen=yen,
            commission=0,
            at_us=question.at_us,
            kind=question.kind,
            turn=1 if question.kind == EntryKind.REPEAT else 0,
            ref=ref,
            also=also,
        )


_OUTCOMES: Final = ((Outcome.EXACT, 1), (Outcome.VARIANT, 1), (Outcome.NONE, 0), (Outcome.AMBIGUOUS, 0))
_OUTCOME_WEIGHTS: Final = (84, 5, 9, 2)
_REPEATED: Final = 0.02
_DISCLAIMED: Final = 0.004
_LATER_US: Final = 30_000_000


def questions(
    directory: Directory, *, party: str, staff: str, start_us: int, end_us: int, count: int, seed: int
) -> list[Question]:
    """A ministry's questions in a span of time, in the order of their answers; some repeated, a few disclaimed. Pure.

    Raises: ValueError when the party has no contract that grants an affair then.
    """
    draw = random.Random(seed)  # noqa: S311 - synthetic data, reproducible by its seed
    contract = directory.contract(Role.INQUIRY, party, jst_date(start_us))
    if contract is None or not contract.affairs:
        raise ValueError(f"{party} has no affairs granted on {jst_date(start_us)}; give it a contract")
    pairs = [(affair, step) for affair, steps in sorted(contract.affairs.items()) for step in sorted(steps)]
    made: list[Question] = []
    for number in range(count):
        at_us = start_us + draw.randrange(end_us - start_us - 2 * _LATER_US)
        affair, step = draw.choice(pairs)
        outcome, records = draw.choices(_OUTCOMES, _OUTCOME_WEIGHTS)[0]
        case = f"{jst_date(at_us):%Y}-{number:06d}"
        body = InquiryByCode(affair, step, staff, case, f"{draw.randrange(10**11):011d}")
        request_id = make_request_id(at_us // 1000, draw.randbytes(10))
        made.append(Question(at_us, request_id, body, outcome, records, EntryKind.FIRST, b""))
        chance = draw.random()
        later_us = at_us + _LATER_US
        if chance < _REPEATED:
            made.append(Question(later_us, b"", body, outcome, records, EntryKind.REPEAT, request_id))
        elif chance < _REPEATED + _DISCLAIMED and records:
            own = make_request_id(later_us // 1000, draw.randbytes(10))
            disclaim = Disclaim(request_id, "no answer was received")
            made.append(Question(later_us, own, disclaim, Outcome.DISCLAIMED, 0, EntryKind.DISCLAIM, request_id))
    made.sort(key=lambda question: (question.at_us, question.request_id))
    return made
