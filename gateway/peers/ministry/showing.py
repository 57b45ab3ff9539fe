"""From a verified result to what a clerk sees, and the memory in which a session holds it.

The provided record is read by its schema; a schema this program does not know is refused rather than guessed at.
What is held lives in one Holding a session and nowhere else; erasing drops the last reference (CPython frees it at
once; pages of memory are not overwritten, so the server's machine must not swap to an unencrypted disk).

Source: docs/PROTOCOL.md, Resident record; 002 別2-2(9)ウ; DOMAIN 2.1.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.peers.ministry.desk import Answer, Held, Question, ShownField
from gateway.peers.ministry.errors import DeskRefused, Why
from protocol import limits
from protocol.messages import Answer as AnswerBody
from protocol.messages import Refusal
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result
from protocol.request_id import time_ms

ANSWERS_HELD_MAX: Final = 128
"""A session's memory: the oldest answers go first."""

_PROVIDED: Final = (
    *("schema", "code", "name", "kana", "birth", "birth_sort", "sex", "address", "municipality"),
    *("changed_reason", "changed_on", "former_surname", "alias", "my_number", "synthetic"),
)
SCHEMA: Final = 2

LABELS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("氏名", "Name"),
    "kana": ("ふりがな", "Reading"),
    "former_surname": ("旧氏", "Former surname"),
    "alias": ("通称", "Alias"),
    "birth": ("生年月日", "Date of birth"),
    "sex": ("性別", "Sex"),
    "address": ("住所", "Address"),
    "code": ("住民票コード", "Resident record code"),
    "my_number": ("個人番号", "Individual number"),
    "municipality": ("市区町村コード", "Municipality code"),
    "changed_reason": ("異動事由", "Reason of change"),
    "changed_on": ("異動年月日", "Date of change"),
    "former_name": ("従前の氏名", "Former name"),
    "former_address": ("従前の住所", "Former address"),
}
"""Fields in the order they are shown, then those that only ever differ."""
SEXES: Final = {0: "", 1: "男", 2: "女"}
REASONS: Final = {
    101: "国内転入",
    102: "国外転入等",
    103: "出生",
    104: "職権記載",
    105: "改製（記載）",
    106: "職権記載（帰化等）",
    107: "職権記載（国籍喪失）",
    108: "再製（記載）",
    109: "異動の取消し（増）",
    201: "国内転出",
    202: "国外転出",
    203: "死亡",
    204: "職権消除",
    205: "職権消除（帰化等）",
    206: "職権消除（国籍喪失）",
    207: "改製（消除）",
    208: "再製（消除）",
    209: "異動の取消し（減）",
    301: "転居",
    302: "軽微な修正",
    303: "職権修正",
    304: "住民票コードの変更請求",
    305: "旧氏の記載",
    306: "旧氏の削除",
    307: "誤記修正",
    308: "個人番号の変更請求",
    309: "個人番号の職権修正",
    310: "個人番号の職権記載",
    311: "住民票コードの職権記載",
    312: "世帯分離",
    313: "世帯合併",
    314: "世帯変更",
    315: "世帯主変更",
    316: "旧氏の変更",
    317: "通称の記載",
    318: "通称の削除",
    319: "異動の取消し（修正）",
}


def answer_of(
    question: Question, result: Result, *, now_us: int, erases_us: int, receipt_kept: bool
) -> tuple[Answer, bool]:
    """What a clerk sees of a result, and whether 個人番号 is in it. Raises: ANSWER_UNREADABLE, when the centre
    is newer than this program."""
    if result.outcome not in list(Outcome):
        raise DeskRefused(Why.ANSWER_UNREADABLE)
    outcome = Outcome(result.outcome)
    words = CATALOGUE[outcome]
    answer = Answer(
        request_id=result.request.request_id.hex(),
        question=question,
        outcome=outcome.value,
        outcome_name=outcome.name,
        ja=words.ja,
        en=words.en,
        found=outcome in (Outcome.EXACT, Outcome.VARIANT),
        yen=result.entry.yen if result.entry is not None else 0,
        recorded=result.entry is not None,
        receipt_kept=receipt_kept,
        at_us=result.entry.at_us if result.entry is not None else now_us,
        erases_us=erases_us,
    )
    if not answer.found:
        refusal = msgspec.msgpack.decode(result.body, type=Refusal)
        return msgspec.structs.replace(
            answer,
            field=refusal.field,
            remedy=refusal.remedy,
            retry_after_ms=refusal.retry_after_ms,
            approval_offered=outcome is Outcome.VOLUME_EXCEEDED,
        ), False
    body = msgspec.msgpack.decode(result.body, type=AnswerBody)
    record = _read(bytes(body.record))
    shown = msgspec.structs.replace(
        answer,
        fields=_fields(question, record, frozenset(body.differing)),
        differing=tuple(body.differing),
        differing_words=tuple(LABELS.get(name, (name, name)) for name in body.differing),
        synthetic=bool(record["synthetic"]),
    )
    return shown, record["my_number"] is not None


def _read(data: bytes) -> dict[str, Any]:
    values = msgspec.msgpack.decode(data)
    if not isinstance(values, list) or not values or values[0] != SCHEMA or len(values) != len(_PROVIDED):
        raise DeskRefused(Why.ANSWER_UNREADABLE)
    return dict(zip(_PROVIDED, values, strict=True))


def _fields(question: Question, record: Mapping[str, Any], differing: frozenset[str]) -> tuple[ShownField, ...]:
    asked = {
        "code": question.code,
        "name": question.name,
        "address": question.address,
        "birth": question.birth,
        "sex": SEXES.get(question.sex or 0, ""),
    }
    words = {"sex": SEXES, "changed_reason": REASONS}
    fields = []
    for name, (ja, en) in LABELS.items():
        value = record.get(name)
        if name in words:
            value = words[name].get(value or 0, str(value))
        if value:
            fields.append(
                ShownField(name=name, ja=ja, en=en, value=value, asked=asked.get(name, ""), differs=name in differing)
            )
    return tuple(fields)


class _Kept(msgspec.Struct):
    answer: Answer
    my_number: bool


class Shown:
    """The answers one session holds, by request id; and the ids of questions whose answers are still owed."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self.unsettled: dict[tuple[Question, bytes | None], bytes] = {}
        """Asking the same question again uses the same id, so that it is answered and charged once."""

    def hold(self, answer: Answer, *, my_number: bool) -> list[str]:
        """Hold an answer; the request ids that had to give way."""
        self._kept.pop(answer.request_id, None)
        self._kept[answer.request_id] = _Kept(answer, my_number)
        gone = list(self._kept)[: max(0, len(self._kept) - ANSWERS_HELD_MAX)]
        for request_id in gone:
            del self._kept[request_id]
        return gone

    def get(self, request_id: str) -> tuple[Answer, bool]:
        """An answer, and whether 個人番号 is in it. Raises: NOT_HELD."""
        kept = self._kept.get(request_id)
        if kept is None:
            raise DeskRefused(Why.NOT_HELD)
        return kept.answer, kept.my_number

    def drop(self, request_id: str) -> None:
        """Erase one. Raises: NOT_HELD."""
        if self._kept.pop(request_id, None) is None:
            raise DeskRefused(Why.NOT_HELD)

    def overview(self) -> tuple[Held, ...]:
        """What is held, without its data, newest first."""
        return tuple(
            Held(
                request_id=request_id,
                case=kept.answer.question.case,
                ja=kept.answer.ja,
                en=kept.answer.en,
                found=kept.answer.found,
                at_us=kept.answer.at_us,
                erases_us=kept.answer.erases_us,
            )
            for request_id, kept in reversed(self._kept.items())
        )

    def clear(self) -> list[str]:
        """Erase everything; the request ids of what was there."""
        gone = list(self._kept)
        self._kept.clear()
        self.unsettled.clear()
        return gone

    def expire(self, now_us: int) -> list[str]:
        """Erase what is past its time; its request ids. Questions whose id is too old to be sent again go too."""
        oldest_ms = now_us // 1000 - limits.REQUEST_ID_AGE_MS_MAX
        for key in [key for key, value in self.unsettled.items() if time_ms(value) < oldest_ms]:
            del self.unsettled[key]
        gone = [request_id for request_id, kept in self._kept.items() if kept.answer.erases_us <= now_us]
        for request_id in gone:
            del self._kept[request_id]
        return gone
