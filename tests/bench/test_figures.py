"""Percentiles, the schedule of an open loop, and the words about missed goals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases import CASES, SOAK, goals_missed
from bench.figures import Schedule, percentile, summarise

SECONDS = st.lists(st.floats(0, 100), min_size=1, max_size=300)


def test_the_99th_percentile_of_100_values_is_the_99th_value():
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile(list(range(1, 1001)), 0.999) == 999
    assert percentile([7.0], 0.5) == 7.0


@given(SECONDS, st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, fraction):
    found = percentile(sorted(values), fraction)
    needed = fraction * len(values) - 1e-6
    assert sum(each <= found for each in values) >= needed
    assert sum(each < found for each in values) < needed + 1


@pytest.mark.parametrize("fraction", [0.0, 1.1, -1.0])
def test_a_fraction_outside_its_bounds_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        percentile([1.0], fraction)


def test_one_stall_shows_in_the_largest_and_not_in_the_median():
    found = summarise([0.001] * 999 + [0.5])
    assert (found.count, found.p50_ms, found.p99_ms, found.max_ms) == (1000, 1.0, 1.0, 500.0)
    assert summarise([]).count == 0


def test_a_frame_is_due_by_its_number_alone():
    schedule = Schedule(10.0, 1_000.0)
    assert schedule.due(0) == 10.0
    assert schedule.due(1_000_000) == pytest.approx(1_010.0, abs=1e-9)
    assert all(schedule.due(n) < schedule.due(n + 1) for n in range(1000))


def test_a_rate_of_nothing_has_no_schedule():
    with pytest.raises(ValueError, match="schedule"):
        Schedule(0.0, 0.0)


def test_goals_that_are_missed_are_named_and_those_met_are_not():
    alone = next(case for case in CASES if case.name == "alone")
    assert goals_missed(alone, inquiries_per_s=800, p50_ms=1.2, p99_ms=3.0, rss_mb_by_s=[100.0]) == []
    missed = goals_missed(alone, inquiries_per_s=800, p50_ms=1.6, p99_ms=5.0, rss_mb_by_s=[100.0])
    assert [each.split()[0] for each in missed] == ["p50", "p99"]


def test_a_worker_that_grows_through_a_soak_misses_its_goal():
    steady = goals_missed(SOAK, inquiries_per_s=1, p50_ms=1, p99_ms=1, rss_mb_by_s=[60.0, 90.0, 90.0, 90.5])
    growing = goals_missed(SOAK, inquiries_per_s=1, p50_ms=1, p99_ms=1, rss_mb_by_s=[60.0, 80.0, 100.0, 120.0])
    assert steady == []
    assert len(growing) == 1


def test_every_case_fits_the_credit_of_a_line_and_follows_the_case_it_halves():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for number, case in enumerate(CASES):
        assert case.requests_per_frame <= 256
        assert case.half_of in {"", *names[:number]}
        if not case.half_of:
            assert case.in_flight * case.requests_per_frame <= 1024
