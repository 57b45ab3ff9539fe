"""Check and balance (牽制体制): questions above the volume limits pass when a second person approved those very ones.

1. A clerk asks for approval: the questions and the reason are kept sealed, waiting.
2. Another user with the right, at any terminal, sees them and approves: the centre is told the digests of the very
   questions, under the approver's staff number. Nobody decides on a request of their own, whichever user they use.
3. The requester asks the questions with the approval, each under an id that is kept, so that a question that was
   interrupted is answered and charged once.
4. Once all have their answer, or the request was rejected or has expired, the questions are erased.

The centre holds all of this anyway (docs/PROTOCOL.md, Approvals); the desk refuses early what it would refuse.
Source: 002 別2-2(9)イ.
"""

import json
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from gateway.line.dial import LineError
from gateway.peers.ministry import history
from gateway.peers.ministry.counter import Counter, Line, body_of, operation_of
from gateway.peers.ministry.desk import Answer, Approval, ApprovalState, Caller, Event, Inbox, Question, Right
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.gate import Gate, Session
from gateway.peers.ministry.paper import Papers
from gateway.peers.ministry.store import Store
from protocol import limits
from protocol.approval import approval_digest
from protocol.messages import Approve, Operation, encode
from protocol.outcomes import CATALOGUE, Outcome

log = structlog.get_logger()

REASON_CHARS_MAX: Final = 400
OWN_LISTED_MAX: Final = 50
LIFETIME_US: Final = (limits.APPROVAL_LIFETIME_MS_MAX - limits.ISSUED_AT_SKEW_MS_MAX) * 1000
"""Of an approval once given: what the centre takes at most, less what clocks may differ by."""
_COLUMNS: Final = (
    "id, requester, requester_staff, affair, step, case_ref, count, state, requested_us, expires_us, decided_by, "
    "decided_us, approve_id, questions_sealed, reason_sealed, note_sealed, request_ids"
)
_NOT_TO_RUN: Final = {
    ApprovalState.WAITING: Why.APPROVAL_WAITING,
    ApprovalState.EXPIRED: Why.APPROVAL_OVER,
}
_encode: Final = msgspec.msgpack.Encoder().encode


class _Row(msgspec.Struct, frozen=True):
    """One row of approvals, in the order of _COLUMNS."""

    id: str
    requester: str
    requester_staff: str
    affair: str
    step: int
    case: str
    count: int
    state: str
    requested_us: int
    expires_us: int
    decided_by: str
    decided_us: int | None
    approve_id: bytes | None
    questions: bytes | None
    reason: bytes | None
    note: bytes | None
    request_ids: str


class Approvals:
    """Approval requests over one store and line."""

    def __init__(self, store: Store, gate: Gate, counter: Counter, papers: Papers, line: Line) -> None:
        self._store = store
        self._gate = gate
        self._counter = counter
        self._papers = papers
        self._line = line
        self._deciding: set[str] = set()

    async def request_approval(self, caller: Caller, questions: Sequence[Question], *, reason: str) -> Approval:
        """Desk.request_approval."""
        session = self._gate.at(caller)
        session.require(Right.INQUIRE)
        if not 1 <= len(questions) <= limits.APPROVAL_DIGESTS_MAX:
            raise DeskRefused(Why.TOO_MANY)
        if not 1 <= len(reason.strip()) <= REASON_CHARS_MAX:
            raise DeskRefused(Why.FIELD_INVALID, field="reason")
        bodies = [body_of(question, session.user.staff) for question in questions]
        first = bodies[0]
        for body in bodies:
            for field in ("affair", "step", "case"):
                if getattr(body, field) != getattr(first, field):
                    raise DeskRefused(Why.FIELD_INVALID, field=field)
        approval, now_us = secrets.token_hex(8), self._store.now_us()
        seal = self._store.sealer.seal
        with self._store.transaction():
            self._store.run(
                "INSERT INTO approvals (id, requester, requester_staff, affair, step, case_ref, count, state, "
                "requested_us, expires_us, questions_sealed, reason_sealed) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                approval,
                session.user.id,
                session.user.staff,
                first.affair,
                first.step,
                first.case,
                len(questions),
                ApprovalState.WAITING.value,
                now_us,
                now_us + self._store.settings.approval_hours * 3_600_000_000,
                seal("questions", approval, _encode(list(questions))),
                seal("reason", approval, reason.strip().encode()),
            )
            row = self._found(approval)
            self._record(session, Event.APPROVAL_REQUEST, row, f"{approval} {row.count}")
        return self._view(row, session)

    async def inbox(self, caller: Caller) -> Inbox:
        """Desk.inbox."""
        session = self._gate.at(caller)
        self.tick()
        waiting = self._rows("state = ? ORDER BY requested_us DESC", ApprovalState.WAITING.value)
        own = self._rows("requester = ? ORDER BY requested_us DESC LIMIT ?", session.user.id, OWN_LISTED_MAX)
        to_decide = [row for row in waiting if not _is_own(row, session)] if _may_decide(session) else []
        return Inbox(
            to_decide=tuple(self._view(row, session) for row in to_decide),
            own=tuple(self._view(row, session) for row in own),
        )

    async def approval(self, caller: Caller, approval: str) -> Approval:
        """Desk.approval."""
        session = self._gate.at(caller)
        self.tick()
        row = self._found(approval)
        if row.requester != session.user.id and not _may_decide(session):
            raise DeskRefused(Why.NOT_FOUND)
        self._record(session, Event.VIEW, row, f"approval {approval}")
        return self._view(row, session, questions=True)

    async def approve(self, caller: Caller, approval: str) -> Approval:
        """Desk.approve."""
        session = self._gate.at(caller)
        row = self._to_decide(session, approval)
        expires_us = self._store.now_us() + LIFETIME_US
        bodies = [body_of(question, row.requester_staff) for question in self._questions(row)]
        asked = Approve(
            row.affair,
            row.step,
            session.user.staff,
            row.case,
            [approval_digest(operation_of(body), body) for body in bodies],
            expires_us,
        )
        request_id = self._line.new_id()
        self._deciding.add(approval)
        try:
            timeout_s = float(self._store.settings.answer_seconds)
            result = await self._line.ask(Operation.APPROVE, encode(asked), request_id=request_id, timeout_s=timeout_s)
        except LineError as error:
            raise DeskRefused(Why.LINE_DOWN) from error
        finally:
            self._deciding.discard(approval)
        outcome = Outcome(result.outcome)
        with self._store.transaction():
            self._papers.keep(session.user.id, asked, result)
            self._record(session, Event.APPROVE, row, f"{approval} {outcome.name}", request_id.hex())
            if outcome is Outcome.APPROVED:
                self._store.run(
                    "UPDATE approvals SET state = ?, decided_by = ?, decided_us = ?, approve_id = ?, expires_us = ? "
                    "WHERE id = ?",
                    ApprovalState.APPROVED.value,
                    session.user.id,
                    self._store.now_us(),
                    request_id,
                    expires_us,
                    approval,
                )
        if outcome is not Outcome.APPROVED:
            raise DeskRefused(Why.APPROVAL_NOT_TAKEN, outcome=outcome.value)
        log.info("approval_given", request_id=request_id.hex(), count=row.count)
        return self._view(self._found(approval), session)

    async def reject(self, caller: Caller, approval: str, *, note: str = "") -> Approval:
        """Desk.reject."""
        session = self._gate.at(caller)
        if len(note) > REASON_CHARS_MAX:
            raise DeskRefused(Why.FIELD_INVALID, field="note")
        row = self._to_decide(session, approval)
        with self._store.transaction():
            self._store.run(
                "UPDATE approvals SET state = ?, decided_by = ?, decided_us = ?, note_sealed = ?, "
                "questions_sealed = NULL WHERE id = ?",
                ApprovalState.REJECTED.value,
                session.user.id,
                self._store.now_us(),
                self._store.sealer.seal("note", approval, note.strip().encode()),
                approval,
            )
            self._record(session, Event.REJECT, row, approval)
        self._store.forget()
        return self._view(self._found(approval), session)

    async def run_approved(self, caller: Caller, approval: str) -> tuple[Answer, ...]:
        """Desk.run_approved."""
        session = self._gate.at(caller)
        session.require(Right.INQUIRE)
        self.tick()
        row = self._found(approval)
        if row.requester != session.user.id or row.requester_staff != session.user.staff:
            raise DeskRefused(Why.NOT_FOUND)
        if row.state != ApprovalState.APPROVED or row.approve_id is None:
            raise DeskRefused(_NOT_TO_RUN.get(ApprovalState(row.state), Why.ALREADY_DECIDED))
        ids = json.loads(row.request_ids) or [self._line.new_id().hex() for _ in range(row.count)]
        self._keep_ids(approval, ids)
        answers = []
        for place, question in enumerate(self._questions(row)):
            body = body_of(question, row.requester_staff, row.approve_id)
            answer = await self._counter.ask(session, question, body, bytes.fromhex(ids[place]))
            if answer.outcome == Outcome.STALE_REQUEST_ID:  # never recorded: a new id cannot be charged twice
                ids[place] = self._line.new_id().hex()
                self._keep_ids(approval, ids)
                answer = await self._counter.ask(session, question, body, bytes.fromhex(ids[place]))
            answers.append(answer)
        if not any(CATALOGUE[Outcome(answer.outcome)].retryable for answer in answers):
            self._store.run(
                "UPDATE approvals SET state = ?, questions_sealed = NULL WHERE id = ?",
                ApprovalState.USED.value,
                approval,
            )
            self._store.forget()
        return tuple(answers)

    def tick(self) -> None:
        """Let expire what is past its time; its questions are erased."""
        gone = self._store.run(
            "UPDATE approvals SET state = ?, questions_sealed = NULL WHERE state IN (?, ?) AND expires_us <= ?",
            ApprovalState.EXPIRED.value,
            ApprovalState.WAITING.value,
            ApprovalState.APPROVED.value,
            self._store.now_us(),
        )
        if gone:
            self._store.forget()

    def _keep_ids(self, approval: str, ids: list[str]) -> None:
        self._store.run("UPDATE approvals SET request_ids = ? WHERE id = ?", json.dumps(ids), approval)

    def _to_decide(self, session: Session, approval: str) -> _Row:
        session.require(Right.APPROVE)
        self.tick()
        row = self._found(approval)
        if _is_own(row, session):
            raise DeskRefused(Why.OWN_REQUEST)
        if row.state == ApprovalState.EXPIRED:
            raise DeskRefused(Why.APPROVAL_OVER)
        if row.state != ApprovalState.WAITING or approval in self._deciding:
            raise DeskRefused(Why.ALREADY_DECIDED)
        return row

    def _found(self, approval: str) -> _Row:
        rows = self._rows("id = ?", approval)
        if not rows:
            raise DeskRefused(Why.NOT_FOUND)
        return rows[0]

    def _rows(self, where: str, *args: object) -> list[_Row]:
        return [
            _Row(*row)
            for row in self._store.rows(f"SELECT {_COLUMNS} FROM approvals WHERE {where}", *args)  # noqa: S608 - fixed
        ]

    def _questions(self, row: _Row) -> list[Question]:
        if row.questions is None:
            return []
        plain = self._store.sealer.open("questions", row.id, row.questions)
        return msgspec.msgpack.decode(plain, type=list[Question])

    def _text(self, purpose: str, row: _Row, sealed: bytes | None) -> str:
        return "" if sealed is None else self._store.sealer.open(purpose, row.id, sealed).decode()

    def _view(self, row: _Row, session: Session, *, questions: bool = False) -> Approval:
        return Approval(
            id=row.id,
            requester=row.requester,
            affair=row.affair,
            step=row.step,
            case=row.case,
            count=row.count,
            reason=self._text("reason", row, row.reason),
            state=ApprovalState(row.state),
            requested_us=row.requested_us,
            expires_us=row.expires_us,
            mine=row.requester == session.user.id,
            decided_by=row.decided_by,
            decided_us=row.decided_us,
            decision_note=self._text("note", row, row.note),
            questions=tuple(self._questions(row)) if questions else (),
        )

    def _record(self, session: Session, event: Event, row: _Row, detail: str, request_id: str = "") -> None:
        history.append(
            self._store,
            event,
            user=session.user.id,
            terminal=session.terminal.label,
            affair=row.affair,
            step=row.step,
            case=row.case,
            request_id=request_id,
            detail=detail,
        )


def _may_decide(session: Session) -> bool:
    return Right.APPROVE in session.user.rights


def _is_own(row: _Row, session: Session) -> bool:
    """A person is known by user and by staff number: two users of one person do not approve for each other."""
    return row.requester == session.user.id or row.requester_staff == session.user.staff
