"""Why the desk does not do what was asked: a stable code, the sentences that a clerk reads, and the field at fault.

What the centre refuses is no error here: it is an answer with an outcome (gateway.peers.ministry.desk.Answer). Nothing
a person typed stands in any of these texts.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class MinistryError(Exception):
    """Root of what this package raises; the sentence is for people."""


class SetupIncomplete(MinistryError):  # noqa: N818 - named after the fact
    """The ministry server's directory cannot be used; the sentence names the remedy."""


class Why(StrEnum):
    """Stable codes of the desk's refusals."""

    SIGN_IN_FAILED = "sign-in-failed"
    USER_LOCKED = "user-locked"
    USER_NOT_VALID = "user-not-valid"
    USER_NOT_TRAINED = "user-not-trained"
    CODE_WRONG = "code-wrong"
    CODE_USED = "code-used"
    CLOCK_OFF = "clock-off"
    CHALLENGE_OVER = "challenge-over"
    SIGN_IN_NEEDED = "sign-in-needed"
    SESSION_LOCKED = "session-locked"
    PIN_WRONG = "pin-wrong"
    TERMINAL_UNKNOWN = "terminal-unknown"
    TERMINAL_LOST = "terminal-lost"
    TERMINAL_EXPIRED = "terminal-expired"
    RIGHT_MISSING = "right-missing"
    FIELD_INVALID = "field-invalid"
    LINE_DOWN = "line-down"
    ANSWER_UNREADABLE = "answer-unreadable"
    NOT_HELD = "not-held"
    NOT_FOUND = "not-found"
    OWN_REQUEST = "own-request"
    ALREADY_DECIDED = "already-decided"
    APPROVAL_OVER = "approval-over"
    APPROVAL_WAITING = "approval-waiting"
    APPROVAL_NOT_TAKEN = "approval-not-taken"
    TOO_MANY = "too-many"
    RECEIPT_INVALID = "receipt-invalid"


class Words(NamedTuple):
    """A refusal for people: what is the matter and what would mend it, in Japanese and English."""

    ja: str
    en: str
    remedy_ja: str
    remedy_en: str


WORDS: Final[dict[Why, Words]] = {
    Why.SIGN_IN_FAILED: Words(
        "利用者番号または暗証番号が正しくありません",
        "The user or the PIN is not right",
        "入力を確かめてください。続けて誤ると利用者は停止されます",
        "Check both; after repeated errors the user is locked",
    ),
    Why.USER_LOCKED: Words(
        "この利用者は停止されています",
        "This user is locked",
        "表示の時刻を過ぎてからやり直すか、管理者に解除を依頼してください",
        "Try again after the time shown, or ask a manager to unlock",
    ),
    Why.USER_NOT_VALID: Words(
        "この利用者の利用期間外です",
        "This user is not valid today",
        "管理者に利用期間の確認を依頼してください",
        "Ask a manager to check the period of use",
    ),
    Why.USER_NOT_TRAINED: Words(
        "研修の受講記録がありません",
        "No training is on record for this user",
        "セキュリティ研修を受講し、管理者に登録を依頼してください",
        "Attend the training and have a manager record its date",
    ),
    Why.CODE_WRONG: Words(
        "認証コードが正しくありません",
        "The code is not right",
        "認証アプリに現在表示されているコードを入力してください",
        "Enter the code that the authenticator shows now",
    ),
    Why.CODE_USED: Words(
        "この認証コードは使用済みです",
        "This code was used already",
        "次のコードが表示されるまで待って入力してください",
        "Wait for the next code and enter that",
    ),
    Why.CLOCK_OFF: Words(
        "認証アプリの時計がずれています",
        "The authenticator's clock is off",
        "認証アプリの端末の時刻を自動設定にしてから、やり直してください",
        "Set the authenticator's clock to automatic time, then try again",
    ),
    Why.CHALLENGE_OVER: Words(
        "認証の途中で時間が過ぎました",
        "The sign-in took too long",
        "最初からやり直してください",
        "Begin again",
    ),
    Why.SIGN_IN_NEEDED: Words("サインインしていません", "Not signed in", "サインインしてください", "Sign in"),
    Why.SESSION_LOCKED: Words(
        "画面はロックされています", "The screen is locked", "暗証番号で解除してください", "Unlock it with the PIN"
    ),
    Why.PIN_WRONG: Words(
        "暗証番号が正しくありません",
        "The PIN is not right",
        "入力を確かめてください。続けて誤ると利用者は停止されます",
        "Check it; after repeated errors the user is locked",
    ),
    Why.TERMINAL_UNKNOWN: Words(
        "この端末は登録されていません",
        "This terminal is not registered",
        "管理者に端末証明書の登録を依頼してください",
        "Ask a manager to register the terminal's certificate",
    ),
    Why.TERMINAL_LOST: Words(
        "この端末は紛失の届出により停止されています",
        "This terminal was reported lost and is stopped",
        "端末を管理者に届け、新しい端末証明書の発行を依頼してください",
        "Take the terminal to a manager and have a new certificate issued",
    ),
    Why.TERMINAL_EXPIRED: Words(
        "端末証明書の有効期間外です",
        "The terminal's certificate is not valid today",
        "端末の時計を確かめ、管理者に新しい端末証明書の発行を依頼してください",
        "Check the terminal's clock, and ask a manager for a new certificate",
    ),
    Why.RIGHT_MISSING: Words(
        "この操作の権限がありません",
        "You do not have the right to do this",
        "権限を持つ利用者に依頼してください",
        "Ask a user who has the right",
    ),
    Why.FIELD_INVALID: Words(
        "入力項目に誤りがあります", "A field is not valid", "項目を直してやり直してください", "Correct the field"
    ),
    Why.LINE_DOWN: Words(
        "センターに接続できません",
        "The centre cannot be reached",
        "しばらくしてから同じ照会をやり直してください。続くときは管理者に連絡してください",
        "Try the same question again later; tell a manager if it goes on",
    ),
    Why.ANSWER_UNREADABLE: Words(
        "センターの回答をこのサーバでは読めません",
        "This server cannot read the centre's answer",
        "管理者にサーバの更新を依頼してください",
        "Ask a manager to install the newer version of the server",
    ),
    Why.NOT_HELD: Words(
        "この回答は消去済みです",
        "This answer was erased",
        "必要なときはもう一度照会してください",
        "Ask again if it is needed",
    ),
    Why.NOT_FOUND: Words(
        "該当する記録がありません",
        "There is no such record",
        "一覧から選び直してください",
        "Choose from the list again",
    ),
    Why.OWN_REQUEST: Words(
        "自分の申請は承認できません",
        "Nobody decides on a request of their own",
        "承認権限を持つ別の利用者に依頼してください",
        "Ask another user who may approve",
    ),
    Why.ALREADY_DECIDED: Words(
        "この申請は処理済みです", "This request was decided already", "一覧を更新してください", "Refresh the list"
    ),
    Why.APPROVAL_OVER: Words(
        "承認の期限が過ぎています",
        "The approval request has expired",
        "もう一度承認を申請してください",
        "Request approval again",
    ),
    Why.APPROVAL_WAITING: Words(
        "この申請はまだ承認されていません",
        "This request has not been approved yet",
        "承認されるまでお待ちください",
        "Wait until it is approved",
    ),
    Why.APPROVAL_NOT_TAKEN: Words(
        "センターが承認を受け付けませんでした",
        "The centre did not take the approval",
        "表示された理由を確かめてください",
        "See the reason shown",
    ),
    Why.TOO_MANY: Words(
        "一度に扱える件数を超えています",
        "More than can be handled at once",
        "件数を減らしてやり直してください",
        "Try again with fewer",
    ),
    Why.RECEIPT_INVALID: Words(
        "受領証を検証できません",
        "The receipt does not prove what it says",
        "元のファイルを確かめてください。変わらないときは管理者に連絡してください",
        "Check the original file; tell a manager if it stays so",
    ),
}


class DeskRefused(MinistryError):  # noqa: N818 - named after the fact
    """What was asked is not done.

    `why` has the words; `field` names the form's field at fault or is empty; `until_us` is when a lock ends, where one
    is; `drift_s` is how far the authenticator's clock is off, positive when it is fast; `outcome` is the centre's, for
    APPROVAL_NOT_TAKEN.
    """

    def __init__(
        self,
        why: Why,
        *,
        field: str = "",
        until_us: int | None = None,
        drift_s: int | None = None,
        outcome: int | None = None,
    ) -> None:
        super().__init__(f"{why}: {WORDS[why].en}")
        self.why = why
        self.field = field
        self.until_us = until_us
        self.drift_s = drift_s
        self.outcome = outcome

    @property
    def words(self) -> Words:
        """What a person reads."""
        return WORDS[self.why]


SIGN_IN_AGAIN: Final = frozenset({Why.SIGN_IN_NEEDED, Why.CHALLENGE_OVER})
"""Refusals that lead to the sign-in page; SESSION_LOCKED leads to the unlock page."""
TERMINAL_REFUSED: Final = frozenset({Why.TERMINAL_UNKNOWN, Why.TERMINAL_LOST, Why.TERMINAL_EXPIRED})
"""Refusals that end before the application: the terminal itself may not come in."""
