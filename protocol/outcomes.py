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
    """Stable u16 codes: 1xx answers, 2xx refusals for cause, 3xx about an earlier request, 4xx transient."""

    EXACT = 100
    VARIANT = 101
    NONE = 110
    AMBIGUOUS = 111
    RECEIPT = 120
    DISCLAIMED = 121
    APPROVED = 122

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
}
