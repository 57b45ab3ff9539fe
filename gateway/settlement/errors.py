"""What can go wrong in settlement. One root; every leaf has a stable code and its facts, and names the remedy."""

from datetime import date
from typing import ClassVar

from protocol.act import Act, ActKind


class SettlementError(Exception):
    """Root of this package's errors. `code` never changes its meaning."""

    code: ClassVar[str] = "settlement"


class TermsInvalid(SettlementError):  # noqa: N818  named after the fact
    """A contract file that cannot be one: where it is wrong, and what would mend it."""

    code: ClassVar[str] = "terms-invalid"

    def __init__(self, *, table: str, field: str, why: str, remedy: str, file: str = "") -> None:
        where = f"{file}: " if file else ""
        super().__init__(f"{where}{table}: {field}: {why}; {remedy}")
        self.file = file
        self.table = table
        self.field = field
        self.why = why
        self.remedy = remedy


class PeriodInvalid(SettlementError):  # noqa: N818  named after the fact
    """A text that names no period."""

    code: ClassVar[str] = "period-invalid"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"{text!r} is no period / 対象期間として読めません; write a month as 2026-05, a quarter of a fiscal year "
            "as 2026-Q1 (April to June 2026), or a contract's term as 2026-04-01/2027-03-31"
        )
        self.text = text


class DayOutOfRange(SettlementError):  # noqa: N818  named after the fact
    """A day for which Japan's national holidays cannot be told."""

    code: ClassVar[str] = "day-out-of-range"

    def __init__(self, day: date, *, first: date, last: date) -> None:
        super().__init__(
            f"the holidays of {day} are not known / 暦の範囲外です; give a day from {first} to {last}",
        )
        self.day = day
        self.first = first
        self.last = last


class NoOpenDay(SettlementError):  # noqa: N818  named after the fact
    """A calendar whose exceptions close it for longer than any deadline may move."""

    code: ClassVar[str] = "no-open-day"

    def __init__(self, day: date, *, calendar: str, days: int) -> None:
        super().__init__(
            f"the calendar {calendar} has no open day within {days} days of {day} / 営業日がありません; "
            "correct its exceptions"
        )
        self.day = day
        self.calendar = calendar


class NoTerms(SettlementError):  # noqa: N818  named after the fact
    """A contract has no terms in force on a day."""

    code: ClassVar[str] = "no-terms"

    def __init__(self, contract: str, day: date) -> None:
        super().__init__(
            f"contract {contract} has no terms in force on {day} / 適用される条件がありません; add a [[terms]] table "
            "that begins by then"
        )
        self.contract = contract
        self.day = day


class NoRate(SettlementError):  # noqa: N818  named after the fact
    """A table of rates says nothing of a day."""

    code: ClassVar[str] = "no-rate"

    def __init__(self, day: date) -> None:
        super().__init__(
            f"no rate of late interest is written for {day} / 遅延利息の率がありません; add the rate that was in force "
            "to the contract's table"
        )
        self.day = day


class UsageInvalid(SettlementError):  # noqa: N818  named after the fact
    """What is to be billed does not fit the contract's terms."""

    code: ClassVar[str] = "usage-invalid"

    def __init__(self, *, field: str, why: str, remedy: str) -> None:
        super().__init__(f"{field}: {why}; {remedy}")
        self.field = field
        self.why = why
        self.remedy = remedy


class InterestInvalid(SettlementError):  # noqa: N818  named after the fact
    """Late interest was asked for with values that cannot be."""

    code: ClassVar[str] = "interest-invalid"

    def __init__(self, *, field: str, why: str, remedy: str) -> None:
        super().__init__(f"{field}: {why}; {remedy}")
        self.field = field
        self.why = why
        self.remedy = remedy


class GivenInvalid(SettlementError):  # noqa: N818  named after the fact
    """What was given for a step cannot be: the field, and what would mend it."""

    code: ClassVar[str] = "given-invalid"

    def __init__(self, *, field: str, why: str, remedy: str) -> None:
        super().__init__(f"{field}: {why}; {remedy}")
        self.field = field
        self.why = why
        self.remedy = remedy


class ActStands(SettlementError):  # noqa: N818  named after the fact
    """The step was done already; what stands is shown by the status."""

    code: ClassVar[str] = "act-stands"

    def __init__(self, act: Act) -> None:
        super().__init__(
            f"{ActKind(act.kind).name} of {act.claim or 'all claims'}, {act.period}, {act.party or 'all parties'} was "
            "done already / 既に実施済みです; see sekisho settle status"
        )
        self.act = act


class NotWritten(SettlementError):  # noqa: N818  named after the fact
    """Nothing was written: database or keystore are away."""

    code: ClassVar[str] = "not-written"

    def __init__(self) -> None:
        super().__init__("nothing was written / 記録できませんでした; see to database and keystore, and do it again")
