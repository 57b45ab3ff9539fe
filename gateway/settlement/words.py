"""What settlement calls its steps and rules, in Japanese and English. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from gateway.settlement.calendars import CalendarName
from gateway.settlement.cycle import Step
from gateway.settlement.dates import LAST, Anchor, Basis, DaysFrom, Direction, Due, DueRule, Sense, Turn, When
from gateway.settlement.proving import Fault

STEPS: Final[Mapping[Step, tuple[str, str]]] = {
    Step.CLOSE: ("締切り", "Period closes"),
    Step.DISCLOSE: ("取扱い実績データの開示(センター)", "Centre discloses the data"),
    Step.RECONCILE: ("照合・修正の通知(コンビニ事業者)", "Operator reconciles"),
    Step.CONFIRM: ("請求金額の確定(以後は修正なし)", "Amounts confirmed and frozen"),
    Step.FETCH: ("確定データの取得(市区町村)", "Municipality fetches the data"),
    Step.INVOICE: ("請求書の送付", "Invoice sent"),
    Step.MUNICIPAL_INVOICE: ("請求書の送付(市区町村)", "Municipality's invoice"),
    Step.PAYMENT: ("支払期限", "Payment"),
    Step.MUNICIPAL_PAYMENT: ("市区町村への支払期限", "Payment to the municipality"),
}
FAULTS: Final[Mapping[Fault, tuple[str, str, str]]] = {
    Fault.NO_PROOF: (
        "受領証のない請求",
        "billed without a receipt of yours",
        "fetch it (sekisho invoice fetch, operation RECEIPT); if you never had the answer, contest it (DISCLAIM)",
    ),
    Fault.DOUBLE: ("二重の請求", "billed twice", "contest the second"),
    Fault.OTHER_AMOUNT: (
        "受領証と異なる金額",
        "billed with another amount than the receipt says",
        "contest it; the receipt is signed by the centre",
    ),
    Fault.OTHER_CELL: (
        "受領証と異なる市区町村・種別・店舗",
        "billed for another municipality, kind or store",
        "contest it; the receipt is signed by the centre",
    ),
    Fault.OTHER_PERIOD: ("対象期間外の請求", "of another period", "see the invoices of the periods around this one"),
    Fault.OTHER_TARIFF: (
        "合意した料金と異なる単価",
        "not at the price you agreed to",
        "hold the tariff file against the written terms, then contest it",
    ),
    Fault.NOT_BILLED: (
        "請求から漏れた受領証",
        "a receipt that the invoice leaves out",
        "a void or a correction among them is money of yours: ask for it",
    ),
    Fault.OUTSIDE: (
        "請求の根拠範囲外のブロック",
        "in no block that the invoice rests on",
        "ask for an invoice that names its blocks",
    ),
    Fault.CONTRADICTION: (
        "矛盾する受領証",
        "two receipts of one request differ",
        "keep both: they prove that the centre's ledger is not one",
    ),
    Fault.SUM: ("明細と合わない集計", "a cell is not the sum of its lines", "contest the invoice as a whole"),
}
"""What does not fit an invoice, in Japanese and English, and what to do about it."""
_WEEKDAYS: Final = "月火水木金土日"
_CALENDARS: Final = {
    CalendarName.OFFICE: ("センターの休日", "the office is closed"),
    CalendarName.BANKS: ("金融機関の休日", "banks are closed"),
}
_DIRECTIONS: Final = {
    Direction.BACK: ("直前の営業日", "the last open day before"),
    Direction.FORWARD: ("翌営業日", "the next open day"),
}
_SENSES: Final = {Sense.ON: ("", "on "), Sense.BY: ("まで", "by "), Sense.FROM: ("以降", "from ")}


def rule_ja(rule: DueRule) -> str:
    """A rule in Japanese: 翌月8日まで。センターの休日のときは直前の営業日."""
    within = isinstance(rule.when, DaysFrom) and rule.when.days > 0
    return f"{_when_ja(rule.when)}{'以内' if within else _SENSES[rule.sense][0]}{_turn_ja(rule.turn)}"


def rule_en(rule: DueRule) -> str:
    """A rule in English: by the 8th of the next month; if the office is closed, the last open day before."""
    within = isinstance(rule.when, DaysFrom) and rule.when.days > 0
    return f"{'within ' if within else _SENSES[rule.sense][1]}{_when_en(rule.when)}{_turn_en(rule.turn)}"


def moved_ja(due: Due) -> str:
    """Why a date moved, in Japanese: 5月9日は土曜日; nothing when it did not."""
    return "" if due.moved is None else f"{due.nominal.month}月{due.nominal.day}日は{due.moved.ja}"


def moved_en(due: Due) -> str:
    """The same in English."""
    return "" if due.moved is None else f"{due.nominal}: {due.moved.en}"


def day_ja(day: date) -> str:
    """A date with its day of the week: 2026-05-08(金)."""
    return f"{day}({_WEEKDAYS[day.weekday()]})"


def _turn_ja(turn: Turn | None) -> str:
    if turn is None or turn.direction is Direction.STAYS:
        return ""
    decided = "(決定)" if turn.basis is Basis.DECISION else ""
    return f"。{_CALENDARS[turn.calendar][0]}のときは{_DIRECTIONS[turn.direction][0]}{decided}"


def _turn_en(turn: Turn | None) -> str:
    if turn is None or turn.direction is Direction.STAYS:
        return ""
    decided = " (decided)" if turn.basis is Basis.DECISION else ""
    return f"; if {_CALENDARS[turn.calendar][1]}, {_DIRECTIONS[turn.direction][1]}{decided}"


def _when_ja(when: When) -> str:
    if isinstance(when, DaysFrom):
        anchor = "請求の受領日" if when.anchor is Anchor.RECEIPT else "期間の末日"
        if when.days == 0:
            return anchor
        return f"{anchor}から{'起算して' if when.first_day_counts else ''}{when.days}日"
    anchor = "請求の受領月" if when.anchor is Anchor.RECEIPT else "対象期間"
    month = {0: f"{anchor}の", 1: f"{anchor}の翌月"}.get(when.months, f"{anchor}の{when.months}か月後の月の")
    return f"{month}{'末日' if when.day == LAST else f'{when.day}日'}"


def _when_en(when: When) -> str:
    if isinstance(when, DaysFrom):
        anchor = "the claim's receipt" if when.anchor is Anchor.RECEIPT else "the period's end"
        if when.days == 0:
            return f"the day of {anchor}"
        counted = "counting that day" if when.first_day_counts else "not counting that day"
        return f"{when.days} days of {anchor}, {counted}"
    if when.anchor is Anchor.PERIOD and (when.months, when.day) == (0, LAST):
        return "the last day of the period"
    anchor = "receipt" if when.anchor is Anchor.RECEIPT else "the period"
    month = {0: f"the month of {anchor}", 1: f"the month after {anchor}"}
    day = "the last day" if when.day == LAST else f"the {_ordinal(when.day)}"
    return f"{day} of {month.get(when.months, f'the month {when.months} after {anchor}')}"


def _ordinal(day: int) -> str:
    ending = "th" if day in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
