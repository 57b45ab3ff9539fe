"""A desk in memory, for the pages alone: two clerks, one approver's inbox, answers by name.

It keeps the contract of gateway.peers.ministry.desk.Desk as far as the pages can tell, and counts what it was asked.
"""

import itertools
from collections.abc import Sequence

import msgspec

from gateway.peers.ministry.affairs import AFFAIRS
from gateway.peers.ministry.desk import (
    Answer,
    Approval,
    ApprovalState,
    Caller,
    Challenge,
    Disposal,
    Event,
    FormRecord,
    Held,
    HistoryEntry,
    HistoryFilter,
    HistoryPage,
    Inbox,
    KeptReceipt,
    PrintedForm,
    Question,
    ReceiptFacts,
    ReceiptFile,
    Right,
    SessionView,
    ShownField,
    SignedIn,
    Status,
    Terminal,
    UserView,
)
from gateway.peers.ministry.errors import DeskRefused, Why
from protocol.outcomes import CATALOGUE, Outcome

NOW_US = 1_795_000_000_000_000
MINUTE_US = 60_000_000
PIN = "246810"
CODE = "123456"
SELECTED = "邉\U000e0104"
FIELDS = (
    ("name", "氏名", "Name", "髙橋　花子"),
    ("kana", "ふりがな", "Reading", "タカハシ　ハナコ"),
    ("birth", "生年月日", "Date of birth", "1975-05-03"),
    ("sex", "性別", "Sex", "女"),
    ("address", "住所", "Address", "千葉県千葉市中央区千葉港一丁目1番1号"),
    ("code", "住民票コード", "Resident record code", "12345678903"),
    ("municipality", "市区町村コード", "Municipality code", "121011"),
    ("changed_reason", "異動事由", "Reason of change", "転居"),
    ("changed_on", "異動年月日", "Date of change", "2021-04-01"),
)
OUTCOMES = {
    "高橋花子": (Outcome.VARIANT, "", ""),
    "髙橋花子": (Outcome.EXACT, "", ""),
    "だれもいない": (Outcome.NONE, "", ""),
    "佐藤太郎": (Outcome.AMBIGUOUS, "", ""),
    "件数超過": (Outcome.VOLUME_EXCEEDED, "", "ask a second person to approve"),
    "時間外": (Outcome.OUTSIDE_HOURS, "", "8:30-17:15"),
    "停止中": (Outcome.SUSPENDED, "", ""),
    "項目誤り": (Outcome.FIELD_INVALID, "birth", "a birth date is YYYY-MM-DD"),
    "時計ずれ": (Outcome.FUTURE_REQUEST_ID, "", "set the clock"),
    "混雑": (Outcome.BUSY, "", ""),
}


class FakeDesk:
    """See the module."""

    def __init__(self, now_us: int = NOW_US) -> None:
        self.now_us = now_us
        self.sessions: dict[str, SessionView] = {}
        self.answers: dict[str, Answer] = {}
        self.approvals: dict[str, Approval] = {}
        self.printed: list[FormRecord] = []
        self.asked: list[Question] = []
        self.line_down = False
        self.refuse_terminal: Why | None = None
        self.refuse_sign_in: DeskRefused | None = None
        self.shown_ms = 300_000
        self.idle_ms = 600_000
        self.test = True
        self.notices: tuple[str, ...] = ()
        self.erased: list[str] = []
        self._numbers = itertools.count(1)

    async def terminal(self, fingerprint: bytes) -> Terminal:
        if self.refuse_terminal is not None:
            raise DeskRefused(self.refuse_terminal)
        return Terminal(fingerprint=fingerprint, label="端末1", not_before_us=0, not_after_us=2 * NOW_US)

    async def sign_in(self, terminal: bytes, user: str, pin: str) -> Challenge:
        if self.refuse_sign_in is not None:
            raise self.refuse_sign_in
        if pin != PIN:
            raise DeskRefused(Why.SIGN_IN_FAILED)
        return Challenge(id=f"challenge-{user}", until_us=self.now_us + MINUTE_US)

    async def second_factor(self, terminal: bytes, challenge: str, code: str) -> SignedIn:
        if not challenge.startswith("challenge-"):
            raise DeskRefused(Why.CHALLENGE_OVER)
        if code == "000000":
            raise DeskRefused(Why.CLOCK_OFF, field="code", drift_s=-190)
        if code != CODE:
            raise DeskRefused(Why.CODE_WRONG, field="code")
        user = challenge.removeprefix("challenge-")
        rights = {Right.INQUIRE} if user == "clerk" else {Right.APPROVE} if user == "approver" else set(Right)
        session = SessionView(
            user=user,
            staff=f"S-{user}",
            rights=frozenset(rights),
            terminal_label="端末1" if terminal == b"1" * 32 else "端末2",
            locked=False,
            idle_lock_us=self.now_us + self.idle_ms * 1000,
            ends_us=self.now_us + 480 * MINUTE_US,
            csrf=f"csrf-{user}",
        )
        self.sessions[f"token-{user}"] = session
        return SignedIn(token=f"token-{user}", session=session)

    async def session(self, caller: Caller, *, touch: bool = False) -> SessionView:
        if caller.token not in self.sessions:
            raise DeskRefused(Why.SIGN_IN_NEEDED)
        return self.sessions[caller.token]

    async def lock(self, caller: Caller) -> None:
        self.answers.clear()
        self.sessions[caller.token] = msgspec.structs.replace(self.sessions[caller.token], locked=True)

    async def unlock(self, caller: Caller, pin: str) -> SessionView:
        if pin != PIN:
            raise DeskRefused(Why.PIN_WRONG, field="pin")
        self.sessions[caller.token] = msgspec.structs.replace(self.sessions[caller.token], locked=False)
        return self.sessions[caller.token]

    async def sign_out(self, caller: Caller) -> None:
        self.sessions.pop(caller.token, None)

    def affairs(self):
        return AFFAIRS

    async def search(self, caller: Caller, question: Question) -> Answer:
        self.asked.append(question)
        if self.line_down:
            raise DeskRefused(Why.LINE_DOWN)
        outcome, field, remedy = OUTCOMES.get(question.name, (Outcome.EXACT, "", ""))
        return self._hold(question, outcome, field, remedy)

    def _hold(self, question: Question, outcome: Outcome, field: str = "", remedy: str = "") -> Answer:
        found = outcome in (Outcome.EXACT, Outcome.VARIANT)
        differing = ("name", "former_address") if outcome is Outcome.VARIANT else ()
        asked = {"name": question.name, "address": question.address, "birth": question.birth, "code": question.code}
        words = {"name": ("氏名", "Name"), "former_address": ("従前の住所", "Former address")}
        answer = Answer(
            request_id=f"01960000{next(self._numbers):024x}",
            question=question,
            outcome=outcome,
            outcome_name=outcome.name,
            ja=CATALOGUE[outcome].ja,
            en=CATALOGUE[outcome].en,
            found=found,
            fields=tuple(
                ShownField(name=n, ja=ja, en=en, value=v, asked=asked.get(n, ""), differs=n in differing)
                for n, ja, en, v in FIELDS
            )
            if found
            else (),
            differing=differing,
            differing_words=tuple(words[name] for name in differing),
            field=field,
            remedy=remedy,
            approval_offered=outcome is Outcome.VOLUME_EXCEEDED,
            yen=10 if found else 0,
            recorded=CATALOGUE[outcome].recorded,
            receipt_kept=True,
            synthetic=found,
            at_us=self.now_us,
            erases_us=self.now_us + self.shown_ms * 1000,
        )
        self.answers[answer.request_id] = answer
        return answer

    async def held(self, caller: Caller) -> tuple[Held, ...]:
        return tuple(
            Held(
                request_id=a.request_id,
                case=a.question.case,
                ja=a.ja,
                en=a.en,
                found=a.found,
                at_us=a.at_us,
                erases_us=a.erases_us,
            )
            for a in self.answers.values()
        )

    async def view(self, caller: Caller, request_id: str) -> Answer:
        if request_id not in self.answers:
            raise DeskRefused(Why.NOT_HELD)
        return self.answers[request_id]

    async def erase(self, caller: Caller, request_id: str) -> None:
        self.erased.append(request_id)
        del self.answers[request_id]

    async def request_approval(self, caller: Caller, questions: Sequence[Question], *, reason: str) -> Approval:
        question = questions[0]
        made = Approval(
            id=f"a{next(self._numbers)}",
            requester=self.sessions[caller.token].user,
            affair=question.affair,
            step=question.step,
            case=question.case,
            count=len(questions),
            reason=reason,
            state=ApprovalState.WAITING,
            requested_us=self.now_us,
            expires_us=self.now_us + 60 * MINUTE_US,
            mine=True,
            questions=tuple(questions),
        )
        self.approvals[made.id] = made
        return made

    async def inbox(self, caller: Caller) -> Inbox:
        user = self.sessions[caller.token].user
        waiting = tuple(a for a in self.approvals.values() if a.state is ApprovalState.WAITING and a.requester != user)
        return Inbox(to_decide=waiting, own=tuple(a for a in self.approvals.values() if a.requester == user))

    async def approval(self, caller: Caller, approval: str) -> Approval:
        if approval not in self.approvals:
            raise DeskRefused(Why.NOT_FOUND)
        found = self.approvals[approval]
        return msgspec.structs.replace(found, mine=found.requester == self.sessions[caller.token].user)

    async def approve(self, caller: Caller, approval: str) -> Approval:
        return self._decide(caller, approval, ApprovalState.APPROVED, "")

    async def reject(self, caller: Caller, approval: str, *, note: str = "") -> Approval:
        return self._decide(caller, approval, ApprovalState.REJECTED, note)

    def _decide(self, caller: Caller, approval: str, state: ApprovalState, note: str) -> Approval:
        user = self.sessions[caller.token].user
        if self.approvals[approval].requester == user:
            raise DeskRefused(Why.OWN_REQUEST)
        self.approvals[approval] = msgspec.structs.replace(
            self.approvals[approval], state=state, decided_by=user, decided_us=self.now_us, decision_note=note
        )
        return self.approvals[approval]

    async def run_approved(self, caller: Caller, approval: str) -> tuple[Answer, ...]:
        found = self.approvals[approval]
        self.approvals[approval] = msgspec.structs.replace(found, state=ApprovalState.USED)
        return tuple(self._hold(question, Outcome.VARIANT) for question in found.questions)

    async def print_form(self, caller: Caller, request_id: str, *, copies: int = 1) -> PrintedForm:
        form = FormRecord(
            number=f"2026-{next(self._numbers):06d}",
            kind="answer",
            request_id=request_id,
            case=self.answers[request_id].question.case,
            copies=copies,
            printed_by=self.sessions[caller.token].user,
            printed_us=self.now_us,
            terminal="端末1",
        )
        self.printed.append(form)
        return PrintedForm(form=form, answer=self.answers[request_id])

    async def forms(self, caller: Caller) -> tuple[FormRecord, ...]:
        return tuple(self.printed)

    async def dispose_form(self, caller: Caller, number: str, how: Disposal) -> FormRecord:
        at = next(n for n, form in enumerate(self.printed) if form.number == number)
        self.printed[at] = msgspec.structs.replace(
            self.printed[at], disposed_us=self.now_us, disposed_by="clerk", disposal=how.value
        )
        return self.printed[at]

    async def receipts(self, caller: Caller) -> tuple[KeptReceipt, ...]:
        return (
            KeptReceipt(
                request_id="0196" * 8,
                case="2026-TR-000123",
                affair=AFFAIRS[0].id,
                step=1,
                outcome=Outcome.EXACT,
                ja=CATALOGUE[Outcome.EXACT].ja,
                en=CATALOGUE[Outcome.EXACT].en,
                at_us=self.now_us,
                opening_until_us=self.now_us + MINUTE_US,
                final=True,
            ),
        )

    async def receipt_file(self, caller: Caller, request_id: str, *, opening: bool = False) -> ReceiptFile:
        return ReceiptFile(name=f"{request_id}.receipt", data=b"opened" if opening else b"proof", opening=opening)

    async def verify_receipt(self, caller: Caller, data: bytes) -> ReceiptFacts:
        if data != b"proof":
            raise DeskRefused(Why.RECEIPT_INVALID)
        return ReceiptFacts(
            request_id="0196" * 8,
            centre="juki-centre",
            environment="test",
            party="mlit",
            line="line-1",
            affair=AFFAIRS[0].id,
            step=1,
            outcome=Outcome.EXACT,
            ja=CATALOGUE[Outcome.EXACT].ja,
            en=CATALOGUE[Outcome.EXACT].en,
            yen=10,
            at_us=self.now_us,
            block="stream 1, height 7, index 0",
            opened=False,
            final_size=8,
            final_us=self.now_us,
        )

    async def own_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        user = self.sessions[caller.token].user
        events = [e for e in (Event.SIGN_IN, Event.SEARCH, Event.VIEW, Event.PRINT) if query.event in (None, e)]
        lines = tuple(
            HistoryEntry(number=n, at_us=self.now_us, event=event, user=user, terminal="端末1", case="2026-TR-000123")
            for n, event in enumerate(events, 1)
        )
        return HistoryPage(entries=lines, more=query.before is None)

    async def all_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        return await self.own_history(caller, query)

    async def users(self, caller: Caller) -> tuple[UserView, ...]:
        return tuple(
            UserView(
                id=user,
                staff=f"S-{user}",
                rights=frozenset({Right.INQUIRE}),
                valid_from="2026-04-01",
                valid_until="",
                trained_on="2026-04-10",
                locked_until_us=locked,
                failures=3,
            )
            for user, locked in (("clerk", None), ("other", self.now_us + MINUTE_US))
        )

    async def lock_user(self, caller: Caller, user: str) -> None:
        self.erased.append(f"lock {user}")

    async def unlock_user(self, caller: Caller, user: str) -> None:
        self.erased.append(f"unlock {user}")

    def status(self) -> Status:
        return Status(
            connected=not self.line_down,
            environment="test" if self.test else "production",
            test=self.test,
            party="mlit",
            notices=self.notices,
        )
