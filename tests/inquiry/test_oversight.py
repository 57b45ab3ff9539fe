"""The rules of check and balance, by tables of uses and refusals at chosen times."""

import datetime as dt
import random

import msgspec
import pytest

from gateway.inquiry.candidates import oversee
from gateway.inquiry.history import project_all as project_all_history
from gateway.inquiry.oversight import Asker, Refusal, Thresholds, Use, is_off_hours, months, of_days, of_months
from gateway.inquiry.reading import Period
from gateway.ledger.projection import project_all as project_all_entries
from gateway.store.pool import open_database
from gateway.store.provision_candidates import CandidateStore
from protocol.ledger import EntryKind
from protocol.outcomes import Outcome
from tests.inquiry.providing import Providing, keys_of, shown
from tests.ledger.building import ledger_of

JST = dt.timezone(dt.timedelta(hours=9))
HOLIDAY = dt.date(2026, 11, 23)
LIMITS = Thresholds(mass_search=3, off_hours=2, refusals=3, one_person=3, failed_approvals=2)


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=JST).astimezone(dt.UTC)


def use(when, *, staff="staff-001", kind=EntryKind.FIRST, party="mlit"):
    return Use(at(when), party, staff, kind)


def refused(when, outcome=Outcome.OUTSIDE_HOURS, *, line="line-1"):
    return Refusal(at(when), "mlit", line, outcome)


def found(uses=(), refusals=()):
    return [
        msgspec.structs.astuple(each)[:5] for each in of_days(uses, refusals, thresholds=LIMITS, holidays={HOLIDAY})
    ]


DAY = dt.date(2026, 11, 18)  # a Wednesday


def test_a_search_in_mass_is_counted_by_staff_and_day_without_repeats():
    day = [use(f"2026-11-18T10:0{n}") for n in range(3)]
    assert found(day) == [("mass-search", DAY, "staff mlit/staff-001", "mlit", 3)]
    assert found([*day[:2], use("2026-11-18T10:09", kind=EntryKind.REPEAT)]) == []
    assert found([*day[:2], use("2026-11-18T10:09", staff="staff-002")]) == []
    assert found([*day[:2], use("2026-11-19T10:09")]) == []
    assert found([*day[:2], use("2026-11-18T10:09", party="other")]) == []


def test_the_day_is_that_of_japan():
    before_midnight_utc = [use(f"2026-11-18T0{n}:30") for n in range(6, 9)]  # 21:30 to 23:30 UTC the day before
    assert [each[1] for each in found(before_midnight_utc)] == [DAY]


@pytest.mark.parametrize(
    ("when", "off"),
    [
        ("2026-11-18T05:59", True),
        ("2026-11-18T06:00", False),
        ("2026-11-18T21:59", False),
        ("2026-11-18T22:00", True),
        ("2026-11-21T12:00", True),  # Saturday
        ("2026-11-22T12:00", True),  # Sunday
        ("2026-11-23T12:00", True),  # the directory's holiday, a Monday
        ("2026-11-24T12:00", False),
    ],
)
def test_night_weekend_and_holiday_are_off_hours(when, off):
    assert is_off_hours(at(when), LIMITS, {HOLIDAY}) is off


def test_a_night_within_one_day_is_understood():
    early = Thresholds(night_from_hour=1, night_until_hour=5)
    assert is_off_hours(at("2026-11-18T01:00"), early, set())
    assert not is_off_hours(at("2026-11-18T23:00"), early, set())


def test_use_off_hours_is_counted_by_staff_and_day():
    assert found([use("2026-11-18T23:00"), use("2026-11-18T23:10", kind=EntryKind.REPEAT)]) == [
        ("off-hours", DAY, "staff mlit/staff-001", "mlit", 2)
    ]
    assert found([use("2026-11-18T23:00"), use("2026-11-19T00:10")]) == []


def asker(staff, *, month=dt.date(2026, 11, 1), party="mlit", subject=1):
    return Asker(month, party, staff, subject.to_bytes(16, "big"))


def test_one_person_asked_for_by_many_is_found_within_a_month():
    three = [asker(f"staff-{n}") for n in (1, 2, 3)]
    (found,) = of_months([*three, three[0]], thresholds=LIMITS)
    pseudonym = "person " + (1).to_bytes(16, "big").hex()
    assert msgspec.structs.astuple(found) == ("one-person", dt.date(2026, 11, 1), pseudonym, "mlit", 3, 3)
    for other in (asker("staff-3", month=dt.date(2026, 12, 1)), asker("staff-2"), asker("staff-3", subject=2)):
        assert of_months([*three[:2], other], thresholds=LIMITS) == []
    (both,) = of_months([*three[:2], asker("staff-1", party="other")], thresholds=LIMITS)
    assert (both.party, both.count) == ("", 3)


def test_refusals_and_failed_approvals_are_counted_apart_by_line_and_day():
    refusals = [refused(f"2026-11-18T10:0{n}") for n in range(3)]
    assert found((), refusals) == [("refusals", DAY, "line mlit/line-1", "mlit", 3)]
    approvals = [refused(f"2026-11-18T10:0{n}", Outcome.APPROVAL_INVALID) for n in range(2)]
    assert found((), [*refusals[:2], *approvals]) == [("failed-approvals", DAY, "line mlit/line-1", "mlit", 2)]
    assert found((), [*refusals[:2], refused("2026-11-18T10:09", line="line-2")]) == []


def test_the_order_of_rows_does_not_matter():
    uses = [use(f"2026-11-18T2{n % 4}:{n:02}", staff=f"staff-{n % 5}") for n in range(60)]
    shuffled = random.Random(7).sample(uses, len(uses))
    assert found(uses) == found(shuffled)
    assert len(found(uses)) > 5


def test_a_period_touches_whole_months():
    found = [tuple(map(str, each)) for each in months(dt.date(2026, 12, 31), dt.date(2027, 2, 1))]
    assert found == [("2026-12-01", "2026-12-31"), ("2027-01-01", "2027-01-31"), ("2027-02-01", "2027-02-28")]


@pytest.mark.guest
async def test_a_candidate_is_kept_once_and_a_closed_one_stays_closed(database_dsn):
    uses = [use(f"2026-11-18T10:0{n}") for n in range(3)]
    some = of_days(uses, [], thresholds=LIMITS, holidays=set())
    more = of_days([*uses, use("2026-11-18T11:00")], [], thresholds=LIMITS, holidays=set())
    async with open_database(database_dsn.ops, role="test") as ops:
        store = CandidateStore(ops)
        assert [await store.keep(each, found_us=n) for n, each in enumerate((some, some, more, some))] == [1, 0, 0, 0]
        (one,) = await store.open_ones()
        assert (one.rule, one.count, one.found_us, one.closed_us) == ("mass-search", 4, 0, None)
        assert await store.open_counts() == {"mass-search": 1}
        assert await store.close(one.id, closed_by="auditor-1", finding="a planned check", at_us=9)
        assert not await store.close(one.id, closed_by="auditor-2", finding="again", at_us=10)
        assert await store.keep(more, found_us=11) == 0
        assert await store.open_ones() == []
        assert await store.open_counts() == {}


@pytest.mark.guest
async def test_a_run_reads_days_of_history_and_ledger_and_whole_months_and_finds_nothing_twice(database_dsn):
    async with ledger_of(database_dsn) as (store, ops):
        writer = await Providing(store).open()
        for day in ("02", "28"):  # the same person, by three numbers of staff over the month; twice at night
            at_us = int(at(f"2026-10-{day}T23:00").timestamp() * 1_000_000)
            pairs = [shown(int(day) * 10 + n, at_us=at_us, subject=1, staff=f"staff-{day}-{n}") for n in range(2)]
            await writer.provide(*pairs, year=2026)
        other = int(at("2026-11-04T10:00").timestamp() * 1_000_000)
        await writer.provide(shown(999, at_us=other, subject=1, staff="staff-9"), year=2026)
        await project_all_history(ops, keys_of)
        await project_all_entries(ops)
        await ops.execute("update ledger.entry set outcome = 206 where height = 0")
        limits = Thresholds(mass_search=9, off_hours=1, refusals=2, one_person=4, failed_approvals=9)
        period = Period(dt.date(2026, 10, 2), dt.date(2026, 11, 1))
        day = ["off-hours"] * 2
        for new in (6, 0):
            found, kept = await oversee(ops, period, thresholds=limits, holidays=set(), found_us=1)
            assert kept == new
            assert [each.rule for each in found] == [*day, "refusals", *day, "one-person"]
        assert await CandidateStore(ops).open_counts() == {"off-hours": 4, "one-person": 1, "refusals": 1}
