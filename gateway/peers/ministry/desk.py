"""What a terminal's pages ask of the ministry server: one interface, and the values that cross it.

A page translates a form into one call and renders what comes back. The caller is the pair of the terminal, as its TLS
certificate proved it, and the session's token; every call checks both, and a token is worth nothing on another
terminal. A refusal of the desk is raised (gateway.peers.ministry.errors.DeskRefused); what the centre said, a refusal
included, is an Answer.

What an answer shows lives in the server's memory alone and is gone at lock, sign-out, erasure or its time limit.
The pages are one ASGI application over a Desk (web.make_app(desk)). The server puts the SHA-256 of the terminal's
certificate into every connection's state, scope["state"]["terminal"] (32 bytes), and answers terminals that are not
registered itself, so that the application sees registered ones only.

Times are microseconds since 1970 UTC. Source: 002 別2-1(2)ウ, 1(3), 別2-2(4), (5), (9).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class Right(StrEnum):
    """What a user may do (002 別2-2(4)): ask, approve another's request, manage users, terminals and histories."""

    INQUIRE = "inquire"
    APPROVE = "approve"
    MANAGE = "manage"


class Caller(msgspec.Struct, frozen=True):
    """Who calls: SHA-256 of the terminal's certificate (32 bytes), and its cookie's session token, "" for none."""

    terminal: bytes
    token: str


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """A registered terminal (本人確認端末): certificate's SHA-256, label, validity, and since when it is lost."""

    fingerprint: bytes
    label: str
    not_before_us: int
    not_after_us: int
    lost_us: int | None = None


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The PIN was right; the second factor is asked for under this id until a time."""

    id: str
    until_us: int


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session began: the token for a Secure, HttpOnly, SameSite=Strict cookie."""

    token: str
    session: "SessionView"


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its user sees it. `rights` are Right values; when locked only unlock and sign_out work.

    `csrf` belongs in every form that changes something; the page compares it with what the form brings.
    """

    user: str
    staff: str
    rights: frozenset[Right]
    terminal_label: str
    locked: bool
    idle_lock_us: int
    ends_us: int
    csrf: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A step of an affair (段階)."""

    number: int
    ja: str
    en: str


class AffairChoice(msgspec.Struct, frozen=True, kw_only=True):
    """An affair (事務) of the agreement with its steps."""

    id: str
    ja: str
    en: str
    steps: tuple[Choice, ...]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a clerk asks. By code when `code` is not empty, otherwise by name and address.

    affair: its id; step: its number; case: 案件番号; code: 住民票コード; birth: YYYY-MM-DD or ""; sex: 1, 2 or None.
    """

    affair: str
    step: int
    case: str
    code: str = ""
    name: str = ""
    address: str = ""
    birth: str = ""
    sex: int | None = None


class ShownField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a record as shown: name, label, value, what was asked.

    `differs`: the centre says that it differs from the question.
    `name` is one of code, name, kana, former_surname, alias, birth, sex, address, municipality, changed_reason,
    changed_on, my_number. Sexes and reasons of change are words already.
    """

    name: str
    ja: str
    en: str
    value: str
    asked: str = ""
    differs: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the centre said to one question.

    `outcome` is the number of protocol.outcomes.Outcome and `outcome_name` its name, ja and en its words. `found` has
    fields to show. `differing` are the field names that differ by variant; names without a shown field (former_name,
    former_address) stand there too, with their words in `differing_words`. For a refusal `field` is the form's field
    at fault or "", `remedy` what would mend it as the centre says it. `approval_offered`: a second person's approval
    can lift this refusal. `receipt_kept`: the proof was kept. `synthetic`: the data is test data. `erases_us`: when
    what is shown is erased by itself.
    """

    request_id: str
    question: Question
    outcome: int
    outcome_name: str
    ja: str
    en: str
    found: bool
    fields: tuple[ShownField, ...] = ()
    differing: tuple[str, ...] = ()
    differing_words: tuple[tuple[str, str], ...] = ()
    field: str = ""
    remedy: str = ""
    retry_after_ms: int = 0
    approval_offered: bool = False
    yen: int = 0
    recorded: bool = False
    receipt_kept: bool = False
    synthetic: bool = False
    at_us: int = 0
    erases_us: int = 0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that this session still holds in memory, without its data."""

    request_id: str
    case: str
    ja: str
    en: str
    found: bool
    at_us: int
    erases_us: int


class ApprovalState(StrEnum):
    """Where an approval request stands; the words for people are STATE_WORDS."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    USED = "used"


STATE_WORDS: dict[ApprovalState, tuple[str, str]] = {
    ApprovalState.WAITING: ("承認待ち", "Waiting"),
    ApprovalState.APPROVED: ("承認済み", "Approved"),
    ApprovalState.REJECTED: ("却下", "Rejected"),
    ApprovalState.EXPIRED: ("期限切れ", "Expired"),
    ApprovalState.USED: ("使用済み", "Used"),
}


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval request (承認申請): who asks for what and why, and what became of it.

    `questions` is empty in lists and filled by Desk.approval. `mine`: the caller made it.
    """

    id: str
    requester: str
    affair: str
    step: int
    case: str
    count: int
    reason: str
    state: ApprovalState
    requested_us: int
    expires_us: int
    mine: bool
    decided_by: str = ""
    decided_us: int | None = None
    decision_note: str = ""
    questions: tuple[Question, ...] = ()


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """Approval requests: those the caller may decide, and the caller's own, newest first."""

    to_decide: tuple[Approval, ...]
    own: tuple[Approval, ...]


class Event(StrEnum):
    """What the operation history (操作履歴) records; the words for people are EVENT_WORDS."""

    SIGN_IN = "sign-in"
    SIGN_IN_FAILED = "sign-in-failed"
    SECOND_FACTOR = "second-factor"
    SECOND_FACTOR_FAILED = "second-factor-failed"
    LOCK = "lock"
    UNLOCK = "unlock"
    UNLOCK_FAILED = "unlock-failed"
    SIGN_OUT = "sign-out"
    SESSION_END = "session-end"
    SEARCH = "search"
    ANSWER = "answer"
    VIEW = "view"
    PRINT = "print"
    DISPOSE = "dispose"
    ERASE = "erase"
    APPROVAL_REQUEST = "approval-request"
    APPROVE = "approve"
    REJECT = "reject"
    RECEIPT = "receipt"
    HISTORY = "history"
    USER = "user"
    TERMINAL = "terminal"
    TERMINAL_REFUSED = "terminal-refused"
    SETTINGS = "settings"
    SERVER = "server"
    RETENTION = "retention"


EVENT_WORDS: dict[Event, tuple[str, str]] = {
    Event.SIGN_IN: ("サインイン", "Sign-in"),
    Event.SIGN_IN_FAILED: ("サインイン失敗", "Failed sign-in"),
    Event.SECOND_FACTOR: ("二要素認証", "Second factor"),
    Event.SECOND_FACTOR_FAILED: ("二要素認証失敗", "Failed second factor"),
    Event.LOCK: ("画面ロック", "Lock"),
    Event.UNLOCK: ("ロック解除", "Unlock"),
    Event.UNLOCK_FAILED: ("ロック解除失敗", "Failed unlock"),
    Event.SIGN_OUT: ("サインアウト", "Sign-out"),
    Event.SESSION_END: ("時間切れ終了", "Session ended"),
    Event.SEARCH: ("照会", "Search"),
    Event.ANSWER: ("照会結果", "Answer"),
    Event.VIEW: ("表示", "View"),
    Event.PRINT: ("印刷", "Print"),
    Event.DISPOSE: ("帳票廃棄", "Form disposed of"),
    Event.ERASE: ("消去", "Erasure"),
    Event.APPROVAL_REQUEST: ("承認申請", "Approval requested"),
    Event.APPROVE: ("承認", "Approved"),
    Event.REJECT: ("却下", "Rejected"),
    Event.RECEIPT: ("受領証", "Receipt"),
    Event.HISTORY: ("履歴閲覧", "History read"),
    Event.USER: ("利用者管理", "User management"),
    Event.TERMINAL: ("端末管理", "Terminal management"),
    Event.TERMINAL_REFUSED: ("端末拒否", "Terminal refused"),
    Event.SETTINGS: ("設定変更", "Settings changed"),
    Event.SERVER: ("サーバの起動・停止", "Server started or stopped"),
    Event.RETENTION: ("保存期間満了の消去", "Erased at end of retention"),
}


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the operation history: no resident data.

    `detail` is a short fixed code of what happened (an outcome's name, a refusal's code, a reason of erasure, a form
    number). `my_number`: whether 個人番号 was in what was shown.
    """

    number: int
    at_us: int
    event: Event
    user: str
    terminal: str
    affair: str = ""
    step: int = 0
    case: str = ""
    request_id: str = ""
    detail: str = ""
    my_number: bool = False


class HistoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines of the history: empty fields do not narrow. `before` continues after the last number of a page."""

    user: str = ""
    event: Event | None = None
    case: str = ""
    from_us: int | None = None
    until_us: int | None = None
    before: int | None = None
    limit: int = 50


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first; `more`: older lines match too."""

    entries: tuple[HistoryEntry, ...]
    more: bool


class FormRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the register of printed forms (帳票管理簿, 002 別2-2(9)エ): no resident data, no copy of the form."""

    number: str
    kind: str
    request_id: str
    case: str
    copies: int
    printed_by: str
    printed_us: int
    terminal: str
    disposed_us: int | None = None
    disposed_by: str = ""
    disposal: str = ""


class PrintedForm(msgspec.Struct, frozen=True, kw_only=True):
    """What goes on paper, once: the register's line and the answer."""

    form: FormRecord
    answer: Answer


class Disposal(StrEnum):
    """How a printed form was disposed of; words in DISPOSAL_WORDS."""

    SHREDDED = "shredded"
    DISSOLVED = "dissolved"
    INCINERATED = "incinerated"
    FILED = "filed"


DISPOSAL_WORDS: dict[Disposal, tuple[str, str]] = {
    Disposal.SHREDDED: ("裁断", "Shredded"),
    Disposal.DISSOLVED: ("溶解", "Dissolved"),
    Disposal.INCINERATED: ("焼却", "Incinerated"),
    Disposal.FILED: ("文書管理へ引継ぎ", "Handed to records management"),
}


class KeptReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt kept for a request: the proof for years, the opening until its retention is over."""

    request_id: str
    case: str
    affair: str
    step: int
    outcome: int
    ja: str
    en: str
    at_us: int
    opening_until_us: int | None
    final: bool


class ReceiptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt to save: file name and bytes. With `opening` the question and the answer are in it."""

    name: str
    data: bytes
    opening: bool


class ReceiptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt proves, checked offline."""

    request_id: str
    centre: str
    environment: str
    party: str
    line: str
    affair: str
    step: int
    outcome: int
    ja: str
    en: str
    yen: int
    at_us: int
    block: str
    opened: bool
    final_size: int | None
    final_us: int | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user as a manager sees one. Dates are YYYY-MM-DD, Japanese civil, `valid_until` inclusive or ""."""

    id: str
    staff: str
    rights: frozenset[Right]
    valid_from: str
    valid_until: str
    trained_on: str
    locked_until_us: int | None
    failures: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the line is. `environment` is the centre's; `test` asks for a banner: nothing here is about real people."""

    connected: bool
    environment: str
    test: bool
    party: str
    notices: tuple[str, ...]


class Desk(Protocol):
    """The ministry server behind its pages. Every method may raise DeskRefused.

    Cancellation: a cancelled search may still have been answered and charged; the same request id is asked again by
    the line, and the history has the search.
    """

    # --- the terminal and signing in

    async def terminal(self, fingerprint: bytes) -> Terminal:
        """The registered terminal of a certificate. Raises: TERMINAL_UNKNOWN, TERMINAL_LOST, TERMINAL_EXPIRED."""

    async def sign_in(self, terminal: bytes, user: str, pin: str) -> Challenge:
        """First factor. Raises: SIGN_IN_FAILED, USER_LOCKED (until_us), USER_NOT_VALID, USER_NOT_TRAINED."""

    async def second_factor(self, terminal: bytes, challenge: str, code: str) -> SignedIn:
        """Second factor. Raises: CODE_WRONG, CODE_USED, CLOCK_OFF (drift_s), CHALLENGE_OVER, USER_LOCKED."""

    async def session(self, caller: Caller, *, touch: bool = False) -> SessionView:
        """The session, locked or not; touch defers the idle lock. Raises: SIGN_IN_NEEDED."""

    async def lock(self, caller: Caller) -> None:
        """Lock the screen; everything shown is erased."""

    async def unlock(self, caller: Caller, pin: str) -> SessionView:
        """Raises: PIN_WRONG, USER_LOCKED (the session has then ended), SIGN_IN_NEEDED."""

    async def sign_out(self, caller: Caller) -> None:
        """End the session; everything shown is erased. Without a session nothing happens."""

    # --- asking

    def affairs(self) -> tuple[AffairChoice, ...]:
        """The affairs and steps of the agreement."""

    async def search(self, caller: Caller, question: Question) -> Answer:
        """Ask the centre. Raises: FIELD_INVALID (field) for what is not even a question, LINE_DOWN, RIGHT_MISSING."""

    async def held(self, caller: Caller) -> tuple[Held, ...]:
        """The answers this session still holds, newest first."""

    async def view(self, caller: Caller, request_id: str) -> Answer:
        """An answer held in memory, once more; recorded. Raises: NOT_HELD."""

    async def erase(self, caller: Caller, request_id: str) -> None:
        """Erase an answer from memory now; recorded. Raises: NOT_HELD."""

    # --- check and balance, 牽制体制

    async def request_approval(self, caller: Caller, questions: Sequence[Question], *, reason: str) -> Approval:
        """Ask for another person's approval of these very questions: one affair, step and case, 1 to 64.

        Raises: FIELD_INVALID (reason, or the question's field), TOO_MANY, RIGHT_MISSING.
        """

    async def inbox(self, caller: Caller) -> Inbox:
        """What waits for a decision by the caller, and the caller's own requests."""

    async def approval(self, caller: Caller, approval: str) -> Approval:
        """One request with its questions, for its requester or one who may decide. Raises: NOT_FOUND."""

    async def approve(self, caller: Caller, approval: str) -> Approval:
        """Approve at the centre under the caller's staff number.

        Raises: OWN_REQUEST, ALREADY_DECIDED, APPROVAL_OVER, APPROVAL_NOT_TAKEN (outcome), LINE_DOWN, RIGHT_MISSING.
        """

    async def reject(self, caller: Caller, approval: str, *, note: str = "") -> Approval:
        """Raises: OWN_REQUEST, ALREADY_DECIDED, APPROVAL_OVER, RIGHT_MISSING."""

    async def run_approved(self, caller: Caller, approval: str) -> tuple[Answer, ...]:
        """Ask the approved questions, in their order; only by the requester.

        Raises: APPROVAL_WAITING, APPROVAL_OVER, ALREADY_DECIDED (used or rejected), NOT_FOUND, LINE_DOWN.
        """

    # --- paper and receipts

    async def print_form(self, caller: Caller, request_id: str, *, copies: int = 1) -> PrintedForm:
        """Number and record a form, and give what goes on it; no copy is kept. Raises: NOT_HELD, FIELD_INVALID."""

    async def forms(self, caller: Caller) -> tuple[FormRecord, ...]:
        """The caller's forms, or all for one who manages; newest first."""

    async def dispose_form(self, caller: Caller, number: str, how: Disposal) -> FormRecord:
        """Record a form's disposal. Raises: NOT_FOUND, ALREADY_DECIDED."""

    async def receipts(self, caller: Caller) -> tuple[KeptReceipt, ...]:
        """Receipts of the caller's questions, newest first."""

    async def receipt_file(self, caller: Caller, request_id: str, *, opening: bool = False) -> ReceiptFile:
        """A receipt to save. Raises: NOT_FOUND; NOT_HELD when the opening is asked for and gone."""

    async def verify_receipt(self, caller: Caller, data: bytes) -> ReceiptFacts:
        """Check a receipt file offline. Raises: RECEIPT_INVALID."""

    # --- histories and users

    async def own_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        """The caller's own lines; the filter's user is ignored."""

    async def all_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        """Everybody's lines, for one who manages; that it was read is recorded. Raises: RIGHT_MISSING."""

    async def users(self, caller: Caller) -> tuple[UserView, ...]:
        """All users, for one who manages."""

    async def lock_user(self, caller: Caller, user: str) -> None:
        """Lock a user until a manager unlocks; their sessions end. Raises: NOT_FOUND, RIGHT_MISSING."""

    async def unlock_user(self, caller: Caller, user: str) -> None:
        """Unlock a user. Raises: NOT_FOUND, RIGHT_MISSING, OWN_REQUEST for oneself."""

    def status(self) -> Status:
        """How the line is; needs no session."""
