"""Whether a step may be done: on which days, after which steps, and by force of two persons. Pure.

A step that is out of order or outside its days is refused with every reason. Two different persons may do it all the
same with a ground, which stands in the act together with what was in the way; a few things nobody can force, since
they would count an entry twice or lose it. Source: 000仕4-2 to 4-4; DOMAIN I4.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import ClassVar, Final

import msgspec

from gateway.settlement.cycle import Cycle, Step
from gateway.settlement.dates import Sense
from gateway.settlement.errors import SettlementError
from gateway.settlement.periods import Period

TEXT_CHARS_MAX: Final = 100


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who does a step. second and ground: of a forced one, both or neither."""

    by: str
    second: str = ""
    ground: str = ""


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the way of a step. forcible: whether two persons may go on."""

    code: str
    ja: str
    en: str
    forcible: bool = True


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """The days of a step, both inclusive; None: no bound."""

    first: date | None = None
    last: date | None = None


class StepRefused(SettlementError):  # noqa: N818  named after the fact
    """A step was not done. Fields: step, obstacles."""

    code: ClassVar[str] = "step-refused"

    def __init__(self, step: str, obstacles: Sequence[Obstacle]) -> None:
        reasons = "; ".join(f"{each.en} / {each.ja}" for each in obstacles)
        remedy = (
            "two persons may force it with a ground (--force GROUND --with NAME)"
            if all(each.forcible for each in obstacles)
            else "it cannot be forced / 強制できません"
        )
        super().__init__(f"{step}: {reasons}; {remedy}")
        self.step = step
        self.obstacles = tuple(obstacles)


class PersonInvalid(SettlementError):  # noqa: N818  named after the fact
    """Nobody, or one person twice. Fields: field."""

    code: ClassVar[str] = "person-invalid"

    def __init__(self, field: str, why: str, remedy: str) -> None:
        super().__init__(f"{field}: {why}; {remedy}")
        self.field = field


def admit(step: str, obstacles: Iterable[Obstacle], person: Person) -> Person:
    """Who is written into the act: of a step that nothing hinders, the doer alone.

    Raises: StepRefused, PersonInvalid.
    """
    check_person(person)
    found = tuple(obstacles)
    if not found:
        return Person(by=person.by)
    if not person.ground or not all(each.forcible for each in found):
        raise StepRefused(step, found)
    codes = ", ".join(dict.fromkeys(each.code for each in found))
    return Person(by=person.by, second=person.second, ground=f"{codes}: {person.ground}")


def check_person(person: Person) -> None:
    """Raises: PersonInvalid."""
    given = {"by": person.by, "with": person.second, "force": person.ground}
    for field, text in given.items():
        if len(text) > TEXT_CHARS_MAX or not text.isprintable() or text != text.strip():
            raise PersonInvalid(field, "not plain text / 使用できない文字です", f"1 to {TEXT_CHARS_MAX} characters")
    if not person.by:
        raise PersonInvalid("by", "nobody / 実施者がありません", "name who does it (--by NAME)")
    if bool(person.second) != bool(person.ground):
        raise PersonInvalid(
            "with", "a forced step needs a second person and a ground / 2名と理由が必要です", "give both"
        )
    if person.second and _folded(person.second) == _folded(person.by):
        raise PersonInvalid("with", "the same person / 同一人物です", "another person has to agree")


def days_of(step: Step, cycles: Iterable[Cycle], period: Period) -> Days:
    """The days of a step over all the claims it serves: the earliest of their ends, and of none before the period's.

    A step that is to be done `by` a date may be done on any day since the period ended.
    """
    after = period.last + timedelta(days=1)
    first, ends = after, list[date]()
    for each in cycles:
        due = each.of(step)
        if due is None:
            continue
        if due.rule.sense is not Sense.BY:
            first = max(first, due.day)
        if due.rule.sense is not Sense.FROM:
            ends.append(due.deadline)
    return Days(first=first, last=min(ends, default=None))


def outside(name: tuple[str, str], days: Days, today: date) -> Iterator[Obstacle]:
    """The obstacle of a day outside a step's days. name: of the step, in Japanese and English."""
    ja, en = name
    if days.first is not None and today < days.first:
        yield Obstacle(code="too-early", ja=f"{ja}は{days.first}から", en=f"{en}: not before {days.first}")
    if days.last is not None and today > days.last:
        yield Obstacle(code="too-late", ja=f"{ja}は{days.last}まで", en=f"{en}: not after {days.last}")


def not_over(period: Period, today: date) -> Iterator[Obstacle]:
    """The obstacle of a period that still runs: nobody can force it."""
    if today <= period.last:
        yield Obstacle(
            code="not-over", ja=f"対象期間は{period.last}まで", en=f"the period ends on {period.last}", forcible=False
        )


def _folded(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
