"""Which lines are told what of a change, by table: a pure function of two documents."""

from datetime import date

import msgspec
import pytest

from gateway.directory.model import Document, NoticeDeadlines, Scope, Stop, Suspension, Terms
from gateway.directory.notices import notices_between
from gateway.directory.words import DAYS_NAMED_MAX
from protocol.messages import NoticeKind
from tests.directory.sample import CONTRACT, DOCUMENT, NOON, OFFICE, changed, us, with_contract

MLIT = ["mlit/line-1", "mlit/line-2"]
EVERYONE = [*MLIT, "other/line-1"]
HOUR_US = 3_600_000_000


def told(old: Document, new: Document, at_us: int = NOON) -> list[tuple[NoticeKind, list[str]]]:
    """Kind and lines of each thing said."""
    said: dict[tuple[int, str], list[str]] = {}
    for notice in notices_between(old, new, at_us):
        said.setdefault((notice.kind, notice.text), []).append(f"{notice.party}/{notice.line}")
    return [(NoticeKind(kind), lines) for (kind, _), lines in said.items()]


def suspended(scope: Scope, target: str = "", *, from_us: int = NOON, until_us: int | None = None) -> Document:
    return changed(
        suspensions=(Suspension(scope=scope, target=target, from_us=from_us, until_us=until_us, ground="漏えいの疑い"),)
    )


@pytest.mark.parametrize(
    ("scope", "target", "lines"),
    [
        (Scope.ALL, "", EVERYONE),
        (Scope.PARTY, "mlit", MLIT),
        (Scope.PARTY, "other", ["other/line-1"]),
        (Scope.AFFAIR, "vehicle-67", MLIT),
        (Scope.LINE, "mlit/line-2", ["mlit/line-2"]),
    ],
)
def test_a_suspension_and_its_end_are_told_to_the_lines_concerned(scope: Scope, target: str, lines: list[str]) -> None:
    stopped = suspended(scope, target)
    ended = suspended(scope, target, until_us=NOON + HOUR_US)
    assert told(DOCUMENT, stopped) == [(NoticeKind.SUSPENSION, lines)]
    assert told(stopped, ended, NOON + HOUR_US) == [(NoticeKind.RESUMPTION, lines)]
    assert told(stopped, DOCUMENT) == [(NoticeKind.RESUMPTION, lines)]


def test_a_suspension_that_is_prolonged_or_over_is_told_as_what_it_is() -> None:
    shorter, longer = (suspended(Scope.ALL, until_us=NOON + n * HOUR_US) for n in (1, 2))
    assert told(shorter, longer) == [(NoticeKind.SUSPENSION, EVERYONE)]
    assert told(longer, shorter) == [(NoticeKind.RESUMPTION, EVERYONE)]
    assert told(shorter, DOCUMENT, NOON + HOUR_US) == []
    assert told(DOCUMENT, shorter, NOON + HOUR_US) == []


def test_the_words_say_what_from_when_until_when_and_why_in_both_languages() -> None:
    notice = notices_between(DOCUMENT, suspended(Scope.PARTY, "mlit", until_us=us(2026, 11, 26, 9)), NOON)[0]
    assert notice.text == (
        "提供停止 機関 mlit: 2026-11-25 12:00から2026-11-26 09:00まで。理由: 漏えいの疑い / "
        "Suspended, party mlit, from 2026-11-25 12:00 JST until 2026-11-26 09:00 JST: 漏えいの疑い"
    )


def test_a_planned_stop_is_told_to_everyone_and_so_is_its_withdrawal() -> None:
    stop = Stop(from_us=NOON + HOUR_US, until_us=NOON + 2 * HOUR_US, ground="maintenance")
    assert told(DOCUMENT, changed(stops=(stop,))) == [(NoticeKind.STOP, EVERYONE)]
    assert told(changed(stops=(stop,)), DOCUMENT) == [(NoticeKind.STOP, EVERYONE)]
    assert told(DOCUMENT, changed(stops=(stop,)), NOON + 2 * HOUR_US) == []


def test_a_new_fee_is_told_to_its_party_and_so_is_one_that_is_withdrawn() -> None:
    dearer = with_contract(terms=(*CONTRACT.terms, Terms(valid_from=date(2027, 2, 1), version=3, yen_per_record=15)))
    assert told(DOCUMENT, dearer) == [(NoticeKind.TARIFF, MLIT)]
    assert told(dearer, DOCUMENT) == [(NoticeKind.TARIFF, MLIT)]
    assert "15円" in notices_between(DOCUMENT, dearer, NOON)[0].text


def test_other_hours_and_holidays_are_told_to_their_parties() -> None:
    hours = CONTRACT.hours[0]
    later = msgspec.structs.replace(hours, valid_from=date(2026, 12, 1), saturday=None)
    altered = with_contract(hours=(hours, later))
    assert told(DOCUMENT, altered) == [(NoticeKind.HOURS, MLIT)]
    assert told(altered, DOCUMENT) == [(NoticeKind.HOURS, MLIT)]
    text = notices_between(DOCUMENT, altered, NOON)[0].text
    assert f"平日 {OFFICE}" in text
    assert "土曜 休止" in text
    assert told(DOCUMENT, changed(holidays=DOCUMENT.holidays | {date(2026, 12, 29)})) == [(NoticeKind.HOURS, MLIT)]
    assert told(DOCUMENT, changed(holidays=frozenset())) == [], "a day that is past concerns nobody"


def test_many_holidays_make_a_short_notice() -> None:
    days = frozenset(date(2027, 1, day) for day in range(1, 31))
    notice = notices_between(DOCUMENT, changed(holidays=DOCUMENT.holidays | days), NOON)[0]
    assert notice.text.count("2027-01-") == 2 * DAYS_NAMED_MAX
    assert "(30)" in notice.text


def test_what_concerns_no_line_is_told_to_nobody() -> None:
    assert told(DOCUMENT, DOCUMENT) == []
    assert told(DOCUMENT, with_contract(run_off_until=None)) == []
    assert told(changed(contracts=()), DOCUMENT) == [], "what a new agreement says was agreed"
    assert told(DOCUMENT, changed(staff=())) == []


def test_each_kind_is_due_within_the_time_the_directory_sets() -> None:
    within = NoticeDeadlines(suspension_minutes=5, terms_minutes=60)
    new = msgspec.structs.replace(
        suspended(Scope.PARTY, "other"), holidays=DOCUMENT.holidays | {date(2027, 5, 5)}, notices=within
    )
    due = {NoticeKind(n.kind): (n.due_us - n.decided_us) // 60_000_000 for n in notices_between(DOCUMENT, new, NOON)}
    assert due == {NoticeKind.SUSPENSION: 5, NoticeKind.HOURS: 60}
