"""The instruments: bulk against single observation, what counts as what, and how many series there can be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from gateway.inquiry.oversight import RULES
from gateway.ops.metrics import (
    ANSWERED,
    DECLINED,
    DURATION_BUCKETS_S,
    FAILED,
    OPERATIONS,
    RESULTS,
    Metrics,
    OpsMetrics,
    operations_of,
    outcomes_of,
    result_of,
)
from protocol.errors import FaultCode
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE, Outcome

DURATION = "sekisho_request_duration_seconds"


def made() -> tuple[CollectorRegistry, Metrics]:
    registry = CollectorRegistry()
    return registry, Metrics(registry)


def series_count(registry: CollectorRegistry) -> int:
    return sum(len(family.samples) for family in registry.collect())


@settings(deadline=None, max_examples=25)  # each example makes every series twice
@given(st.lists(st.integers(0, 40_000_000) | st.sampled_from([100, 1500, 100_000, 30_000_000]), max_size=200))
def test_a_block_observed_at_once_equals_each_request_observed_alone(durations_us: list[int]) -> None:
    registry, metrics = made()
    half = len(durations_us) // 2
    for part in (durations_us[:half], durations_us[half:]):
        metrics.observe_requests([(Operation.INQUIRE_BY_CODE, Outcome.EXACT, us) for us in part])
    other = CollectorRegistry()
    single = Histogram(DURATION, "one by one", ("operation", "result"), buckets=DURATION_BUCKETS_S, registry=other)
    for us in durations_us:
        single.labels("inquire_by_code", "answered").observe(us / 1e6)
    labels = {"operation": "inquire_by_code", "result": "answered"}
    single.labels(*labels.values())
    for bound in (*(str(b) for b in DURATION_BUCKETS_S), "+Inf"):
        name, full = f"{DURATION}_bucket", {**labels, "le": bound}
        assert registry.get_sample_value(name, full) == other.get_sample_value(name, full)
    assert registry.get_sample_value(f"{DURATION}_count", labels) == len(durations_us)
    assert registry.get_sample_value(f"{DURATION}_sum", labels) == pytest.approx(sum(durations_us) / 1e6)


def test_requests_are_counted_by_operation_and_outcome() -> None:
    registry, metrics = made()
    metrics.observe_requests(
        [
            (Operation.INQUIRE_BY_CODE, Outcome.EXACT, 900),
            (Operation.INQUIRE_BY_NAME, Outcome.NONE, 900),
            (Operation.INQUIRE_BY_CODE, Outcome.EXACT, 900),
            (200, Outcome.UNKNOWN_OPERATION, 900),
        ]
    )

    def total(operation: str, outcome: str) -> float | None:
        return registry.get_sample_value("sekisho_requests_total", {"operation": operation, "outcome": outcome})

    assert total("inquire_by_code", "exact") == 2
    assert total("inquire_by_name", "none") == 1
    assert total("unknown", "unknown_operation") == 1
    assert total("disclaim", "exact") == 0


def test_every_final_outcome_is_answered_and_what_was_owed_is_failed() -> None:
    results = {outcome: result_of(outcome) for outcome in CATALOGUE}
    assert {o for o, r in results.items() if r == FAILED} == {
        Outcome.UNAVAILABLE,
        Outcome.PENDING,
        Outcome.DEADLINE_EXCEEDED,
    }
    assert {o for o, r in results.items() if r == ANSWERED} == {o for o in CATALOGUE if o < 400}
    assert results[Outcome.BUSY] == results[Outcome.DRAINING] == DECLINED
    assert result_of(499) == FAILED


def test_hostile_numbers_make_no_new_series() -> None:
    registry, metrics = made()
    before = series_count(registry)
    metrics.observe_requests(
        [(operation, outcome, 10) for operation in range(256) for outcome in range(90, 520, 3)] * 2
    )
    for code in range(800, 1100):
        metrics.count_fault(code)
    assert series_count(registry) == before
    assert len(metrics._tallies) <= len(Operation) * len(Outcome)


@pytest.mark.parametrize(("role", "most"), [("inquiry", 1_000), ("certificate", 2_500)])
def test_the_number_of_series_is_known_and_of_the_role(role: str, most: int) -> None:
    registry = CollectorRegistry()
    Metrics(registry, role)
    operations, outcomes = len(operations_of(role)) + 1, len(outcomes_of(role)) + 1
    counts = {
        family.name: len([s for s in family.samples if not s.name.endswith("_created")])
        for family in registry.collect()
    }
    assert counts["sekisho_requests"] == operations * outcomes
    assert counts[DURATION] == operations * len(RESULTS) * (len(DURATION_BUCKETS_S) + 3)
    assert sum(counts.values()) < most


def test_only_bounded_labels_exist() -> None:
    registry, _ = made()
    OpsMetrics(second := CollectorRegistry()).know_candidates(RULES)
    labels = {
        key for r in (registry, second) for family in r.collect() for sample in family.samples for key in sample.labels
    }
    assert labels == {"operation", "outcome", "result", "fault", "rule", "le"}


def test_a_centre_counts_what_its_own_lines_carry() -> None:
    registry = CollectorRegistry()
    Metrics(registry, "certificate").observe_requests(
        [(Operation.COMPLETE, Outcome.COMPLETED, 900), (Operation.INQUIRE_BY_CODE, Outcome.UNKNOWN_OPERATION, 900)]
    )
    for labels in (
        {"operation": "complete", "outcome": "completed"},
        {"operation": "unknown", "outcome": "unknown_operation"},
    ):
        assert registry.get_sample_value("sekisho_requests_total", labels) == 1
    assert set(operations_of("inquiry").values()) & set(operations_of("certificate").values()) == {"receipt"}
    assert set(OPERATIONS) == {*operations_of("inquiry").values(), *operations_of("certificate").values(), "unknown"}


def test_every_series_exists_before_the_first_request() -> None:
    registry, _ = made()
    text = generate_latest(registry).decode()
    assert f'{DURATION}_bucket{{le="0.1",operation="inquire_by_name",result="answered"}} 0.0' in text
    assert f'{DURATION}_count{{operation="inquire_by_name",result="failed"}} 0.0' in text


def test_a_dependency_is_down_until_it_was_seen() -> None:
    registry, metrics = made()
    assert registry.get_sample_value("sekisho_hsm_up") == 0
    metrics.set_dependencies(hsm=True, database=False)
    assert registry.get_sample_value("sekisho_hsm_up") == 1
    assert registry.get_sample_value("sekisho_database_up") == 0


def test_blocks_faults_load_and_recovery_are_measured() -> None:
    registry, metrics = made()
    metrics.observe_batch(3)
    metrics.observe_block(entries=1024, sign_us=40, commit_us=1_350)
    metrics.observe_hsm_recovery(410_000)
    metrics.count_fault(FaultCode.SIGNATURE_INVALID)
    metrics.count_fault(12345)
    metrics.set_load(lines_open=2, requests_in_flight=5, credit_granted=2048)
    metrics.set_directory_version(9)
    metrics.set_good_until(1.8e9)
    value = registry.get_sample_value
    assert value("sekisho_batch_requests_bucket", {"le": "2.0"}) == 0
    assert value("sekisho_batch_requests_bucket", {"le": "4.0"}) == 1
    assert value("sekisho_block_entries_bucket", {"le": "1024.0"}) == 1
    assert value("sekisho_block_entries_bucket", {"le": "512.0"}) == 0
    assert value("sekisho_sign_duration_seconds_sum") == pytest.approx(40e-6)
    assert value("sekisho_commit_duration_seconds_sum") == pytest.approx(1.35e-3)
    assert value("sekisho_hsm_recovery_seconds_sum") == pytest.approx(0.41)
    assert value("sekisho_line_faults_total", {"fault": "signature_invalid"}) == 1
    assert value("sekisho_line_faults_total", {"fault": "unknown"}) == 1
    assert value("sekisho_lines_open") == 2
    assert value("sekisho_requests_in_flight") == 5
    assert value("sekisho_credit_granted_requests") == 2048
    assert value("sekisho_directory_version") == 9
    assert value("sekisho_line_good_until_seconds") == 1.8e9


def test_the_cards_responder_is_shown_by_a_certificate_centre_alone() -> None:
    for role, shown in (("certificate", (1, 0)), ("inquiry", (None, None))):
        registry = CollectorRegistry()
        metrics = Metrics(registry, role)
        seen = []
        for up in (True, False):
            metrics.set_card_responder(up=up)
            seen.append(registry.get_sample_value("sekisho_card_responder_up"))
        assert tuple(seen) == shown


def test_a_checkpoint_covers_what_waited() -> None:
    registry = CollectorRegistry()
    ops = OpsMetrics(registry)
    ops.set_uncovered(3)
    assert registry.get_sample_value("sekisho_checkpoint_uncovered_blocks") == 3
    ops.set_checkpoint(made_at_us=1_800_000_000_500_000, blocks=12)
    assert registry.get_sample_value("sekisho_checkpoint_uncovered_blocks") == 0
    assert registry.get_sample_value("sekisho_checkpoint_blocks") == 12
    assert registry.get_sample_value("sekisho_checkpoint_timestamp_seconds") == 1_800_000_000.5


def test_open_candidates_are_shown_by_rule_and_go_again() -> None:
    registry = CollectorRegistry()
    ops = OpsMetrics(registry)
    ops.know_candidates(RULES)
    for counts in ({"mass-search": 2, "a rule nobody knows": 9}, {}):
        ops.set_candidates(counts)
        for rule in RULES:
            value = registry.get_sample_value("sekisho_history_candidates_open", {"rule": rule})
            assert value == counts.get(rule, 0)
