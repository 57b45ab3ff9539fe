"""The counter: a clerk's question goes to the centre, and the answer comes back to be shown.

That a question was asked is recorded before it is sent, what became of it after; the data goes into the session's
memory only. A question whose answer did not come keeps its request id, so that asking it again is answered and charged
once. Whether the question may be asked is the centre's to say; only what is no question at all is refused here.

Source: 002 別記2(3), 本4-2, 別2-2(4); docs/PROTOCOL.md, Repeats.
"""

import unicodedata
from typing import Final, Protocol

import structlog

from gateway.line.dial import LineError
from gateway.peers.ministry import history
from gateway.peers.ministry.affairs import PAIRS
from gateway.peers.ministry.desk import Answer, Caller, Event, Held, Question, Right
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.gate import Gate, Session
from gateway.peers.ministry.paper import Papers
from gateway.peers.ministry.people import User
from gateway.peers.ministry.showing import Shown, answer_of
from gateway.peers.ministry.store import Store
from protocol import limits
from protocol.messages import InquiryByCode, InquiryByName, Operation, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result

log = structlog.get_logger()

CHARS_MAX: Final = {
    "case": limits.CASE_CHARS_MAX,
    "code": 40,
    "name": limits.NAME_CHARS_MAX,
    "address": limits.ADDRESS_CHARS_MAX,
    "birth": 40,
}


class Line(Protocol):
    """What is needed of gateway.line.dial.LineClient."""

    def new_id(self) -> bytes:
        """A fresh request id."""

    async def ask(self, operation: int, body: bytes, *, request_id: bytes, timeout_s: float) -> Result:
        """A verified result. Raises: LineError."""


def body_of(question: Question, staff: str, approval: bytes | None = None) -> InquiryByCode | InquiryByName:
    """The request's body. Raises: FIELD_INVALID naming the field that is missing or too long."""
    for field, chars_max in CHARS_MAX.items():
        if len(getattr(question, field)) > chars_max:
            raise DeskRefused(Why.FIELD_INVALID, field=field)
    if (question.affair, question.step) not in PAIRS:
        known = any(question.affair == affair for affair, _ in PAIRS)
        raise DeskRefused(Why.FIELD_INVALID, field="step" if known else "affair")
    if not question.case.strip():
        raise DeskRefused(Why.FIELD_INVALID, field="case")
    if question.code.strip():
        code = unicodedata.normalize("NFKC", question.code)
        code = "".join(char for char in code if not char.isspace() and char not in "-‐−ー")
        return InquiryByCode(question.affair, question.step, staff, question.case.strip(), code, approval)
    for field in ("name", "address"):
        if not getattr(question, field).strip():
            raise DeskRefused(Why.FIELD_INVALID, field=field)
    if question.sex not in (None, 1, 2):
        raise DeskRefused(Why.FIELD_INVALID, field="sex")
    return InquiryByName(
        question.affair,
        question.step,
        staff,
        question.case.strip(),
        question.name.strip(),
        question.address.strip(),
        question.birth.strip() or None,
        question.sex,
        approval,
    )


def operation_of(body: InquiryByCode | InquiryByName) -> Operation:
    """The operation that takes this body."""
    return Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME


class Counter:
    """Search, view and erase."""

    def __init__(self, store: Store, gate: Gate, papers: Papers, line: Line) -> None:
        self._store = store
        self._gate = gate
        self._papers = papers
        self._line = line

    async def search(self, caller: Caller, question: Question) -> Answer:
        """Desk.search."""
        session = self._gate.at(caller)
        session.require(Right.INQUIRE)
        body = body_of(question, session.user.staff)
        shown = shown_of(session)
        key = (question, None)
        request_id = shown.unsettled.setdefault(key, self._line.new_id())
        answer = await self.ask(session, question, body, request_id)
        if answer.outcome == Outcome.STALE_REQUEST_ID:  # never recorded, so a new id cannot be charged twice
            shown.unsettled[key] = self._line.new_id()
            answer = await self.ask(session, question, body, shown.unsettled[key])
        if not CATALOGUE[Outcome(answer.outcome)].retryable:
            shown.unsettled.pop(key, None)
        return answer

    async def ask(
        self, session: Session, question: Question, body: InquiryByCode | InquiryByName, request_id: bytes
    ) -> Answer:
        """One question under one id, recorded, its receipt kept and its answer held.

        Raises: LINE_DOWN, ANSWER_UNREADABLE; SESSION_LOCKED or SIGN_IN_NEEDED when the session did not last. Then
        nothing is held.
        """
        operation = operation_of(body)
        self._record(session.user, session, Event.SEARCH, body, request_id, operation.name.lower())
        settings = self._store.settings
        try:
            result = await self._line.ask(
                operation, encode(body), request_id=request_id, timeout_s=float(settings.answer_seconds)
            )
        except LineError as error:
            self._record(session.user, session, Event.ANSWER, body, request_id, Why.LINE_DOWN.value)
            raise DeskRefused(Why.LINE_DOWN) from error
        now_us = self._store.now_us()
        kept = self._papers.keep(session.user.id, body, result)
        try:
            answer, my_number = answer_of(
                question,
                result,
                now_us=now_us,
                erases_us=now_us + settings.shown_minutes * 60_000_000,
                receipt_kept=kept,
            )
        except DeskRefused as refused:
            self._record(session.user, session, Event.ANSWER, body, request_id, refused.why.value)
            raise
        self._record(session.user, session, Event.ANSWER, body, request_id, answer.outcome_name, my_number=my_number)
        log.info("question_answered", outcome=answer.outcome_name, request_id=answer.request_id)
        try:
            self._gate.still(session)
        except DeskRefused:
            self._gate.record_erased(session, [answer.request_id], "not-shown")
            raise
        self._gate.record_erased(session, shown_of(session).hold(answer, my_number=my_number), "made-room")
        return answer

    async def held(self, caller: Caller) -> tuple[Held, ...]:
        """Desk.held."""
        return shown_of(self._gate.at(caller, touch=False)).overview()

    async def view(self, caller: Caller, request_id: str) -> Answer:
        """Desk.view."""
        session = self._gate.at(caller)
        answer, my_number = shown_of(session).get(request_id)
        history.append(
            self._store,
            Event.VIEW,
            user=session.user.id,
            terminal=session.terminal.label,
            affair=answer.question.affair,
            step=answer.question.step,
            case=answer.question.case.strip(),
            request_id=request_id,
            my_number=my_number,
        )
        return answer

    async def erase(self, caller: Caller, request_id: str) -> None:
        """Desk.erase."""
        session = self._gate.at(caller)
        shown_of(session).drop(request_id)
        self._gate.record_erased(session, [request_id], "user")

    def _record(
        self,
        user: User,
        session: Session,
        event: Event,
        body: InquiryByCode | InquiryByName,
        request_id: bytes,
        detail: str,
        *,
        my_number: bool = False,
    ) -> None:
        history.append(
            self._store,
            event,
            user=user.id,
            terminal=session.terminal.label,
            affair=body.affair,
            step=body.step,
            case=body.case,
            request_id=request_id.hex(),
            detail=detail,
            my_number=my_number,
        )


def shown_of(session: Session) -> Shown:
    """What a session holds."""
    if not isinstance(session.holding, Shown):
        raise TypeError("the gate was made with another holding")
    return session.holding
