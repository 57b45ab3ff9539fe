"""What a kiosk tells its user beside the centre's own words: troubles of the kiosk, in Japanese and English.

A refusal of the centre is shown with the words of protocol.outcomes.CATALOGUE, neutral where its cause is sensitive;
`trouble_words` finds either. The screens' own texts are in .screens.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from protocol.outcomes import CATALOGUE, Outcome


class Trouble(StrEnum):
    """Stable codes."""

    CARD_UNREADABLE = "card-unreadable"
    PIN_WRONG = "pin-wrong"
    PIN_LOCKED = "pin-locked"
    RELAY_AWAY = "relay-away"
    STOPPED = "stopped"
    FEE_CHANGED = "fee-changed"
    TIME_OVER = "time-over"
    DOCUMENT_REFUSED = "document-refused"
    DOCUMENT_REFUSED_PAID = "document-refused-paid"
    PAYMENT_FAILED = "payment-failed"
    PAPER_JAM = "paper-jam"


class Words(NamedTuple):
    """What is the matter and what to do."""

    ja: str
    en: str
    remedy_ja: str
    remedy_en: str


_NOT_CHARGED: Final = ("手数料はいただいていません。", "Nothing has been charged. ")
_AGAIN: Final = ("カードを取り、はじめからやり直してください", "Take your card and begin again")
_OFFICE: Final = (
    "カードを取り、お住まいの市区町村の窓口へお問い合わせください",
    "Take your card and ask your municipal office",
)
_LATER: Final = ("カードを取り、しばらくしてからお試しください", "Take your card and try again later")
_STAFF: Final = ("店員にお声がけください", "Please ask the store's staff")


def _words(ja: str, en: str, remedy: tuple[str, str], before: tuple[str, str] = ("", "")) -> Words:
    return Words(ja, en, before[0] + remedy[0], before[1] + remedy[1])


_CHECK: Final = (
    "カードの向きと汚れを確かめ、もう一度お試しください。それでも読めないときは市区町村の窓口へ",
    "Check how it lies and that it is clean, and try again; if it still fails, ask your municipal office",
)

TROUBLES: Final[dict[Trouble, Words]] = {
    Trouble.CARD_UNREADABLE: _words("カードを読み取れません", "The card cannot be read", _CHECK, _NOT_CHARGED),
    Trouble.PIN_WRONG: _words(
        "暗証番号が正しくありません",
        "The PIN is not right",
        ("利用者証明用電子証明書の数字4桁を入力してください", "Enter the 4 digits of the user certificate"),
    ),
    Trouble.PIN_LOCKED: _words(
        "暗証番号がロックされています",
        "The PIN is locked",
        (
            "カードを取り、市区町村の窓口で暗証番号の再設定をしてください",
            "Take your card and have the PIN set anew at your municipal office",
        ),
        _NOT_CHARGED,
    ),
    Trouble.RELAY_AWAY: _words("ただいま取り扱いできません", "Not available at the moment", _LATER, _NOT_CHARGED),
    Trouble.STOPPED: _words(
        "ただいま取扱いを休止しています",
        "The service is stopped at the moment",
        ("はじめの画面のお知らせをご覧ください", "Please see the notices on the first screen"),
        _NOT_CHARGED,
    ),
    Trouble.FEE_CHANGED: _words("手数料が変わりました", "The fee has changed", _AGAIN, _NOT_CHARGED),
    Trouble.TIME_OVER: _words(
        "手続きの有効時間が過ぎました", "The time for this application is over", _AGAIN, _NOT_CHARGED
    ),
    Trouble.DOCUMENT_REFUSED: _words(
        "証明書を交付できません", "The certificate cannot be issued", _LATER, _NOT_CHARGED
    ),
    Trouble.DOCUMENT_REFUSED_PAID: _words(
        "証明書を交付できません。手数料は返金しました",
        "The certificate cannot be issued; the fee was given back",
        _LATER,
    ),
    Trouble.PAYMENT_FAILED: _words(
        "お金を受け取れませんでした。入れたお金はお返しします",
        "The payment failed; what you put in is given back",
        _AGAIN,
    ),
    Trouble.PAPER_JAM: _words(
        "印刷に失敗しました。手数料は返金し、出た証明書はすべて「返金済・無効」です",
        "Printing failed; the fee was given back and every copy that came out is void",
        _STAFF,
    ),
}

_AT_THE_OFFICE: Final = frozenset(
    {
        Outcome.NOT_ENTITLED,
        Outcome.CARD_EXPIRED,
        Outcome.CARD_REVOKED,
        Outcome.CARD_NOT_USABLE,
        Outcome.CARD_TYPE_ENDED,
        Outcome.COUNTER_ONLY,
        Outcome.MOVE_PENDING,
        Outcome.TEXT_TOO_LONG,
        Outcome.NOT_PARTICIPATING,
        Outcome.KIND_NOT_OFFERED,
    }
)


def trouble_words(trouble: str) -> Words:
    """The words for a view's trouble: one of Trouble, or an outcome's number; 取扱いできない for what is neither."""
    for own, words in TROUBLES.items():
        if own == trouble:
            return words
    try:
        outcome = Outcome(int(trouble))
    except ValueError:
        return TROUBLES[Trouble.RELAY_AWAY]
    meaning = CATALOGUE[outcome]
    return _words(meaning.ja, meaning.en, _OFFICE if outcome in _AT_THE_OFFICE else _LATER, _NOT_CHARGED)
