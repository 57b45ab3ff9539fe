"""The outcome catalogue: everything a request can come to, with the words a person reads.

An outcome is *recorded* (it becomes a ledger entry with a receipt) or *transient* (nothing is written and the same
request id may be sent again); *retryable* says whether sending it again can help; *charged* whether the tariff
applies. A line that is closed is told a FaultCode instead (protocol.errors).

Source: docs/PROTOCOL.md, Outcomes. Codes never change their meaning; new ones are added.
"""

from enum import IntEnum
from typing import Final

import msgspec


class Outcome(IntEnum):
    """Stable u16 codes: 1xx answers, 2xx refusals for cause, 3xx about an earlier request, 4xx transient.

    5xx stand on the lines beside the centre's own: a municipality's, and a kiosk's to its relay.
    """

    EXACT = 100
    VARIANT = 101
    NONE = 110
    AMBIGUOUS = 111
    RECEIPT = 120
    DISCLAIMED = 121
    APPROVED = 122
    CHALLENGED = 130
    AUTHENTICATED = 131
    MENU = 132
    APPLIED = 133
    ISSUED = 134
    PART = 135
    COMPLETED = 136
    VOIDED = 137
    CORRECTED = 138
    ERASED = 139
    STATUS = 140
    PAPERS = 141
    PAPER = 142
    SETTLED = 143
    RECONCILED = 144
    PART_HELD = 145

    AFFAIR_NOT_GRANTED = 200
    STEP_NOT_GRANTED = 201
    METHOD_NOT_GRANTED = 202
    STAFF_NOT_AUTHORISED = 203
    CASE_REFERENCE_INVALID = 204
    OUTSIDE_HOURS = 205
    SUSPENDED = 206
    VOLUME_EXCEEDED = 207
    CONTRACT_NOT_IN_FORCE = 208
    FIELD_INVALID = 209
    MALFORMED_BODY = 210
    UNKNOWN_OPERATION = 211
    APPROVAL_INVALID = 212
    NOT_PARTICIPATING = 220
    MUNICIPALITY_CLOSED = 221
    KIND_NOT_OFFERED = 222
    NOT_ENTITLED = 223
    CARD_EXPIRED = 224
    CARD_REVOKED = 225
    CARD_NOT_USABLE = 226
    CARD_TYPE_ENDED = 227
    COUNTER_ONLY = 228
    MOVE_PENDING = 229
    TEXT_TOO_LONG = 230
    KIOSK_NOT_REGISTERED = 231
    NONCE_INVALID = 232
    SIGNATURE_REFUSED = 233
    APPLICATION_UNKNOWN = 234
    APPLICATION_STATE = 235
    APPLICATION_EXPIRED = 236
    PERIOD_FROZEN = 240
    RECONCILIATION_INVALID = 241
    PAPER_UNKNOWN = 242

    ID_REUSED = 300
    REPEAT_LIMIT = 301
    REPEAT_COSTS_MORE = 302
    RECEIPT_UNKNOWN = 303
    NOT_DISCLAIMABLE = 304

    BUSY = 400
    UNAVAILABLE = 401
    PENDING = 402
    STALE_REQUEST_ID = 403
    FUTURE_REQUEST_ID = 404
    DUPLICATE_IN_FRAME = 405
    DEADLINE_EXCEEDED = 406
    DRAINING = 407
    CARD_UNVERIFIABLE = 408
    DOCUMENT_WITHHELD = 409

    MADE = 500
    MADE_PART = 501
    NOTED = 502
    MAKING_REFUSED = 503
    CLAIMED = 504
    NOT_CLAIMED = 505
    RELAYED = 520
    TAKEN_OVER = 521
    FACT_NOTED = 522
    NOT_PERMITTED = 523


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What an outcome means to a person and to a program."""

    ja: str
    en: str
    recorded: bool
    retryable: bool
    charged: bool = False


def _final(ja: str, en: str, *, charged: bool = False) -> Meaning:
    return Meaning(ja=ja, en=en, recorded=True, retryable=False, charged=charged)


def _unrecorded(ja: str, en: str) -> Meaning:
    return Meaning(ja=ja, en=en, recorded=False, retryable=False)


def _later(ja: str, en: str) -> Meaning:
    return Meaning(ja=ja, en=en, recorded=False, retryable=True)


CATALOGUE: Final[dict[Outcome, Meaning]] = {
    Outcome.EXACT: _final("該当者あり(完全一致)", "Found, every field the same", charged=True),
    Outcome.VARIANT: _final("該当者あり(異体字等の相違)", "Found, with variant characters or notation", charged=True),
    Outcome.NONE: _final("該当者なし", "No such resident"),
    Outcome.AMBIGUOUS: _final("該当者を特定できません", "More than one candidate; nothing is shown"),
    Outcome.RECEIPT: _unrecorded("受領証を再発行しました", "Receipt fetched"),
    Outcome.DISCLAIMED: _final("未受領の申告を受け付けました", "Disclaimed; the fee is reversed"),
    Outcome.APPROVED: _final("承認を受け付けました", "Approved; the questions may be asked"),
    Outcome.CHALLENGED: _unrecorded("本人確認の準備ができました", "A nonce for the card to sign"),
    Outcome.AUTHENTICATED: _final("本人確認ができました", "The card is authenticated"),
    Outcome.MENU: _unrecorded("取り扱う証明書の一覧です", "What can be applied for"),
    Outcome.APPLIED: _final("申請を受け付けました", "The application is accepted"),
    Outcome.ISSUED: _final("証明書ができました", "The certificate is made"),
    Outcome.PART: _unrecorded("証明書データの一部です", "A part of the sealed document"),
    Outcome.COMPLETED: _final("交付完了を受け付けました", "The delivery is recorded", charged=True),
    Outcome.VOIDED: _final("返金済・無効として受け付けました", "Void; the fee is reversed"),
    Outcome.CORRECTED: _final("訂正を受け付けました", "The correction is recorded"),
    Outcome.ERASED: _final("消去を受け付けました", "The erasure is recorded"),
    Outcome.STATUS: _unrecorded("申請の状態です", "Where the applications stand"),
    Outcome.PAPERS: _unrecorded("精算の文書の一覧です", "The documents of settlement"),
    Outcome.PAPER: _unrecorded("文書の一部です", "A part of the document"),
    Outcome.SETTLED: _final("精算の手続きを記録しました", "A step of settlement is recorded"),
    Outcome.RECONCILED: _final("照合結果を受け付けました", "The result of the reconciliation is recorded"),
    Outcome.PART_HELD: _unrecorded("照合結果の一部を預かりました", "A part of the result is held"),
    Outcome.AFFAIR_NOT_GRANTED: _final("この事務では利用できません", "This affair is not granted to you"),
    Outcome.STEP_NOT_GRANTED: _final("この事務のこの段階では利用できません", "This step of the affair is not granted"),
    Outcome.METHOD_NOT_GRANTED: _final("この提供方式は認められていません", "This method of provision is not granted"),
    Outcome.STAFF_NOT_AUTHORISED: _final("取扱者の権限がありません", "The staff member is not authorised"),
    Outcome.CASE_REFERENCE_INVALID: _final("案件番号の形式が正しくありません", "The case reference is not well formed"),
    Outcome.OUTSIDE_HOURS: _final("提供時間外です", "Outside the hours of provision"),
    Outcome.SUSPENDED: _final("提供を停止しています", "Provision is suspended"),
    Outcome.VOLUME_EXCEEDED: _final(
        "件数の上限を超えています。承認が必要です", "Over the volume limit; approval is needed"
    ),
    Outcome.CONTRACT_NOT_IN_FORCE: _final("有効な協定がありません", "No agreement is in force"),
    Outcome.FIELD_INVALID: _final("入力項目に誤りがあります", "A field of the request is not valid"),
    Outcome.MALFORMED_BODY: _final("電文の形式に誤りがあります", "The request body is malformed"),
    Outcome.UNKNOWN_OPERATION: _final("未対応の処理種別です", "Unknown operation"),
    Outcome.APPROVAL_INVALID: _final(
        "この照会に有効な承認がありません", "No valid approval of this very question; have a second person approve it"
    ),
    Outcome.NOT_PARTICIPATING: _final(
        "この市区町村の証明書は取り扱いできません", "This municipality does not take part"
    ),
    Outcome.MUNICIPALITY_CLOSED: _final("この市区町村の取扱時間外です", "Outside the hours of this municipality"),
    Outcome.KIND_NOT_OFFERED: _final("この証明書は取り扱いできません", "This certificate is not offered here"),
    Outcome.NOT_ENTITLED: _final("この証明書を取得できません", "You cannot obtain this certificate"),
    Outcome.CARD_EXPIRED: _final(
        "カードの電子証明書の有効期限が切れています", "The certificate on the card has expired"
    ),
    Outcome.CARD_REVOKED: _final("カードの電子証明書は失効しています", "The certificate on the card is revoked"),
    Outcome.CARD_NOT_USABLE: _final("このカードは利用できません", "This card cannot be used"),
    Outcome.CARD_TYPE_ENDED: _final(
        "この種類のカードの取扱いは終了しました", "This type of card is no longer accepted"
    ),
    Outcome.COUNTER_ONLY: _final(
        "この端末では取り扱いできません。市区町村の窓口へ", "Not available here; please go to the municipal office"
    ),
    Outcome.MOVE_PENDING: _final(
        "転出・転入の手続き中のため取り扱いできません", "Not available while a move is pending"
    ),
    Outcome.TEXT_TOO_LONG: _final(
        "文字数が多く印刷できません。市区町村の窓口へ",
        "The text is too long to print; please go to the municipal office",
    ),
    Outcome.KIOSK_NOT_REGISTERED: _final("登録されていない端末です", "The kiosk is not registered"),
    Outcome.NONCE_INVALID: _final(
        "本人確認をやり直してください", "The nonce is stale or not this kiosk's; start again"
    ),
    Outcome.SIGNATURE_REFUSED: _final("署名を確認できません", "A signature of kiosk, card or session does not hold"),
    Outcome.APPLICATION_UNKNOWN: _final("該当する申請がありません", "No such application"),
    Outcome.APPLICATION_STATE: _final("この申請では行えません", "Not possible where this application stands"),
    Outcome.APPLICATION_EXPIRED: _final("申請の有効時間が過ぎました", "The application's time is over; start again"),
    Outcome.PERIOD_FROZEN: _final(
        "この対象期間は確定済みです", "The period is frozen; differences go into the next open one"
    ),
    Outcome.RECONCILIATION_INVALID: _final(
        "照合結果が開示データと一致しません", "The result does not fit the data that was disclosed"
    ),
    Outcome.PAPER_UNKNOWN: _final("該当する文書がありません", "No such document"),
    Outcome.ID_REUSED: _unrecorded(
        "この要求番号は別の照会で使用済みです", "This request id was used for another question"
    ),
    Outcome.REPEAT_LIMIT: _unrecorded("再送回数の上限に達しました", "Repeated too often; ask under a new id"),
    Outcome.REPEAT_COSTS_MORE: _unrecorded(
        "再照会は新しい要求番号で行ってください", "The answer would now cost more; ask under a new id"
    ),
    Outcome.RECEIPT_UNKNOWN: _unrecorded("該当する受領証がありません", "No receipt for this request id"),
    Outcome.NOT_DISCLAIMABLE: _unrecorded("未受領の申告ができません", "This answer cannot be disclaimed"),
    Outcome.BUSY: _later("混み合っています。しばらくしてから再送してください", "Busy; send again after the time given"),
    Outcome.UNAVAILABLE: _later(
        "現在利用できません。後ほど再送してください", "Unavailable now; send the same request again"
    ),
    Outcome.PENDING: _later(
        "処理結果を確認中です。同じ要求を再送してください", "Being settled; send the same request again"
    ),
    Outcome.STALE_REQUEST_ID: _unrecorded("要求番号の時刻が古すぎます", "The request id is too old"),
    Outcome.FUTURE_REQUEST_ID: _unrecorded("要求番号の時刻が進みすぎています", "The request id is from the future"),
    Outcome.DUPLICATE_IN_FRAME: _unrecorded(
        "同じ要求番号が重複しています", "The same request id stands twice in a frame"
    ),
    Outcome.DEADLINE_EXCEEDED: _later("期限内に処理できませんでした", "Not done within its deadline"),
    Outcome.DRAINING: _later(
        "この接続は終了します。別の接続で再送してください", "This connection is closing; send on another"
    ),
    Outcome.CARD_UNVERIFIABLE: _later(
        "カードの有効性を確認できません。後ほどお試しください", "The card's validity cannot be checked now; try later"
    ),
    Outcome.DOCUMENT_WITHHELD: _later(
        "証明書を確認できませんでした。もう一度お試しください", "The certificate could not be verified; try again"
    ),
    Outcome.MADE: _unrecorded("証明書を作成しました", "Made and sealed"),
    Outcome.MADE_PART: _unrecorded("証明書データの一部です", "A part of the sealed document"),
    Outcome.NOTED: _unrecorded("報告を受け付けました", "The reports are noted"),
    Outcome.MAKING_REFUSED: _unrecorded("作成できません", "Not made, for the cause given"),
    Outcome.CLAIMED: _unrecorded("請求書です", "The municipality's claim"),
    Outcome.NOT_CLAIMED: _unrecorded("請求はまだありません", "No claim has been made yet"),
    Outcome.RELAYED: _unrecorded("センターの応答です", "What the centre said"),
    Outcome.TAKEN_OVER: _unrecorded("通知を預かりました", "The relay holds the notice and will deliver it"),
    Outcome.FACT_NOTED: _unrecorded("記録しました", "Noted"),
    Outcome.NOT_PERMITTED: _unrecorded("この通信は許可されていません", "The relay does not pass this on"),
}
