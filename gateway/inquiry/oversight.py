"""Analyses over the provision history and the ledger's refusals: candidates for an incident (牽制). Pure.

Each rule counts over a window that ends (a day in Japan, or a calendar month) and names whoever exceeds its threshold:
a member of staff by number, a line, or a resident by the token of that year. A candidate is a reason to look, not a
finding; it carries counts and pseudonyms only, and is the same however often the analysis runs.

    mass-search        records provided to one member of staff in a day, repeats left out
    off-hours          records provided to one member of staff at night, on a weekend or a holiday
    refusals           refusals for cause on one line in a day
    one-person         members of staff who were provided one resident's record in a month
    failed-approvals   approvals refused on one line in a day

Who asked in vain is not in the history: a search that shows nobody leaves no member of staff here, only an entry.
Source: DOMAIN 2.5 (analyses of the standard: late-night and holiday use, mass searches); 002 別2-2(9)イ.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Annotated, Final, NamedTuple

import msgspec

from protocol.ledger import EntryKind
from protocol.outcomes import Outcome

RULES: Final = ("mass-search", "off-hours", "refusals", "one-person", "failed-approvals")
_JST: Final = dt.timezone(dt.timedelta(hours=9), "JST")
_SATURDAY: Final = 5
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Hour = Annotated[int, msgspec.Meta(ge=0, le=24)]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From which count on a rule names a candidate; night is from one hour until before the other, JST."""

    mass_search: _Count = 100
    off_hours: _Count = 1
    refusals: _Count = 20
    one_person: _Count = 5
    failed_approvals: _Count = 3
    night_from_hour: _Hour = 22
    night_until_hour: _Hour = 6


class Use(NamedTuple):
    """One record provided, as the rules over days see it."""

    at: dt.datetime
    party: str
    staff: str
    kind: int


class Asker(NamedTuple):
    """A member of staff who was provided a resident's record at least once in a month, given by its first day."""

    month: dt.date
    party: str
    staff: str
    subject: bytes


class Refusal(NamedTuple):
    """One refusal for cause in the ledger."""

    at: dt.datetime
    party: str
    line: str
    outcome: int


class Candidate(msgspec.Struct, frozen=True, order=True):
    """What a rule found. `subject`: "staff <party>/<number>", "line <party>/<name>" or "person <token>".

    window_on: the first day of the window. `party` is "" where several are concerned.
    """

    rule: str
    window_on: dt.date
    subject: str
    party: str
    count: int
    threshold: int


def of_days(
    uses: Sequence[Use], refusals: Sequence[Refusal], *, thresholds: Thresholds, holidays: Set[dt.date]
) -> list[Candidate]:
    """The rules over days, given whole days; in an order that does not depend on the rows'."""
    found = [
        *_by_staff("mass-search", uses, thresholds.mass_search, lambda use, _: use.kind != EntryKind.REPEAT),
        *_by_staff("off-hours", uses, thresholds.off_hours, lambda _, at: is_off_hours(at, thresholds, holidays)),
        *_by_line("refusals", refusals, thresholds.refusals, lambda each: each.outcome != Outcome.APPROVAL_INVALID),
        *_by_line(
            "failed-approvals",
            refusals,
            thresholds.failed_approvals,
            lambda each: each.outcome == Outcome.APPROVAL_INVALID,
        ),
    ]
    return sorted(found)


def of_months(askers: Iterable[Asker], *, thresholds: Thresholds) -> list[Candidate]:
    """The rule over months, given for whole months who was provided whose record."""
    by_person: defaultdict[tuple[dt.date, bytes], set[tuple[str, str]]] = defaultdict(set)
    for asker in askers:
        by_person[asker.month, asker.subject].add((asker.party, asker.staff))
    return sorted(
        Candidate(
            "one-person",
            month,
            f"person {subject.hex()}",
            next(iter(who))[0] if len({party for party, _ in who}) == 1 else "",
            len(who),
            thresholds.one_person,
        )
        for (month, subject), who in by_person.items()
        if len(who) >= thresholds.one_person
    )


def is_off_hours(at: dt.datetime, thresholds: Thresholds, holidays: Set[dt.date]) -> bool:
    """Whether a time is at night, on a weekend or on a holiday, in Japan."""
    local = at.astimezone(_JST)
    start, end = thresholds.night_from_hour, thresholds.night_until_hour
    night = local.hour >= start or local.hour < end if start > end else start <= local.hour < end
    return night or local.weekday() >= _SATURDAY or local.date() in holidays


def months(first: dt.date, last: dt.date) -> Iterator[tuple[dt.date, dt.date]]:
    """The first and the last day of every month that a period, both days included, touches."""
    month = first.replace(day=1)
    while month <= last:
        following = (month + dt.timedelta(days=31)).replace(day=1)
        yield month, following - dt.timedelta(days=1)
        month = following


def _by_staff(
    rule: str, uses: Iterable[Use], threshold: int, counts: Callable[[Use, dt.datetime], bool]
) -> Iterator[Candidate]:
    tally: Counter[tuple[dt.date, str, str]] = Counter()
    for use in uses:
        local = use.at.astimezone(_JST)
        if counts(use, local):
            tally[local.date(), use.party, use.staff] += 1
    for (day, party, staff), count in tally.items():
        if count >= threshold:
            yield Candidate(rule, day, f"staff {party}/{staff}", party, count, threshold)


def _by_line(
    rule: str, refusals: Iterable[Refusal], threshold: int, counts: Callable[[Refusal], bool]
) -> Iterator[Candidate]:
    tally = Counter((each.at.astimezone(_JST).date(), each.party, each.line) for each in refusals if counts(each))
    for (day, party, line), count in tally.items():
        if count >= threshold:
            yield Candidate(rule, day, f"line {party}/{line}", party, count, threshold)
