"""異動事由: why a municipality notified, and what that does to a resident's record.

The official numbers are not public; these are the project's own. The hundreds digit is the group: 記載 enters a person,
消除 removes one, 修正 amends what stands. Source: DOMAIN 2.1 (標準仕様書 1.2.2).
"""

from enum import IntEnum
from typing import Final


class Group(IntEnum):
    """記載・消除・修正."""

    ENTRY = 1
    REMOVAL = 2
    AMENDMENT = 3


class ChangeReason(IntEnum):
    """異動事由; `group` says what it does, `ja` is the term."""

    MOVED_IN = 101
    MOVED_IN_FROM_ABROAD = 102
    BORN = 103
    ENTERED_EX_OFFICIO = 104
    REWRITTEN = 105
    ENTERED_ON_NATURALISATION = 106
    ENTERED_ON_LOSS_OF_NATIONALITY = 107
    REMADE = 108
    REMOVAL_CANCELLED = 109
    MOVED_OUT = 201
    MOVED_ABROAD = 202
    DIED = 203
    REMOVED_EX_OFFICIO = 204
    REMOVED_ON_NATURALISATION = 205
    REMOVED_ON_LOSS_OF_NATIONALITY = 206
    REMOVED_FOR_REWRITING = 207
    REMOVED_FOR_REMAKING = 208
    ENTRY_CANCELLED = 209
    MOVED_WITHIN = 301
    CORRECTED_LIGHTLY = 302
    CORRECTED_EX_OFFICIO = 303
    CODE_CHANGED = 304
    FORMER_SURNAME_ENTERED = 305
    FORMER_SURNAME_REMOVED = 306
    ERROR_CORRECTED = 307
    MY_NUMBER_CHANGED = 308
    MY_NUMBER_CORRECTED = 309
    MY_NUMBER_ENTERED = 310
    CODE_ENTERED = 311
    HOUSEHOLD_SPLIT = 312
    HOUSEHOLD_MERGED = 313
    HOUSEHOLD_CHANGED = 314
    HOUSEHOLD_HEAD_CHANGED = 315
    FORMER_SURNAME_CHANGED = 316
    ALIAS_ENTERED = 317
    ALIAS_REMOVED = 318
    AMENDMENT_CANCELLED = 319

    @property
    def group(self) -> Group:
        """What it does to the record."""
        return Group(self // 100)

    @property
    def ja(self) -> str:
        """The term of the standard."""
        return _JA[self]


_JA: Final = {
    ChangeReason.MOVED_IN: "国内転入",
    ChangeReason.MOVED_IN_FROM_ABROAD: "国外転入等",
    ChangeReason.BORN: "出生",
    ChangeReason.ENTERED_EX_OFFICIO: "職権記載",
    ChangeReason.REWRITTEN: "改製（記載）",
    ChangeReason.ENTERED_ON_NATURALISATION: "職権記載（帰化等）",
    ChangeReason.ENTERED_ON_LOSS_OF_NATIONALITY: "職権記載（国籍喪失）",
    ChangeReason.REMADE: "再製（記載）",
    ChangeReason.REMOVAL_CANCELLED: "異動の取消し（増）",
    ChangeReason.MOVED_OUT: "国内転出",
    ChangeReason.MOVED_ABROAD: "国外転出",
    ChangeReason.DIED: "死亡",
    ChangeReason.REMOVED_EX_OFFICIO: "職権消除",
    ChangeReason.REMOVED_ON_NATURALISATION: "職権消除（帰化等）",
    ChangeReason.REMOVED_ON_LOSS_OF_NATIONALITY: "職権消除（国籍喪失）",
    ChangeReason.REMOVED_FOR_REWRITING: "改製（消除）",
    ChangeReason.REMOVED_FOR_REMAKING: "再製（消除）",
    ChangeReason.ENTRY_CANCELLED: "異動の取消し（減）",
    ChangeReason.MOVED_WITHIN: "転居",
    ChangeReason.CORRECTED_LIGHTLY: "軽微な修正",
    ChangeReason.CORRECTED_EX_OFFICIO: "職権修正",
    ChangeReason.CODE_CHANGED: "住民票コードの変更請求",
    ChangeReason.FORMER_SURNAME_ENTERED: "旧氏の記載",
    ChangeReason.FORMER_SURNAME_REMOVED: "旧氏の削除",
    ChangeReason.ERROR_CORRECTED: "誤記修正",
    ChangeReason.MY_NUMBER_CHANGED: "個人番号の変更請求",
    ChangeReason.MY_NUMBER_CORRECTED: "個人番号の職権修正",
    ChangeReason.MY_NUMBER_ENTERED: "個人番号の職権記載",
    ChangeReason.CODE_ENTERED: "住民票コードの職権記載",
    ChangeReason.HOUSEHOLD_SPLIT: "世帯分離",
    ChangeReason.HOUSEHOLD_MERGED: "世帯合併",
    ChangeReason.HOUSEHOLD_CHANGED: "世帯変更",
    ChangeReason.HOUSEHOLD_HEAD_CHANGED: "世帯主変更",
    ChangeReason.FORMER_SURNAME_CHANGED: "旧氏の変更",
    ChangeReason.ALIAS_ENTERED: "通称の記載",
    ChangeReason.ALIAS_REMOVED: "通称の削除",
    ChangeReason.AMENDMENT_CANCELLED: "異動の取消し（修正）",
}
