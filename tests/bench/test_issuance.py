"""The benchmark of certificates, small, and its arithmetic."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.issuance import main
from bench.issuance_cases import (
    AROUND_PER_S,
    RECOVERED_S_MAX,
    SEALED_MS_MAX,
    cases_of,
    faults,
    goals_missed,
    phase_result,
    recovered_s,
)
from bench.service import Money, people
from bench.sittings import NO_KIOSK, PRINTED, Phase, Sat, due_times

MONEY = Money(completed=2, lost=0, unexplained=0, copies=3, yen=900, settled_s=0.0, open_incidents=0)
STEADY, BURST = cases_of(["steady", "burst"], rate=30.0, seconds=20.0)


def sat(due_s: float, checked_ms: float = 100.0, *, phase: int = 1, end: str = PRINTED, shed: bool = False) -> Sat:
    came = end == PRINTED
    return Sat(
        phase=phase,
        due_us=round(due_s * 1e6),
        end=end,
        shed=shed,
        sealed_us=round(checked_ms * 900) if came else None,
        checked_us=round(checked_ms * 1000) if came else None,
        sitting_us=500_000 if came else None,
        copies=1 if came else 0,
        yen=300 if came else 0,
    )


def test_users_are_due_at_their_moment_whatever_came_before():
    phases = [Phase(name="a", per_s=2, seconds=2), Phase(name="b", per_s=4, seconds=1)]
    assert due_times(phases) == [
        *((0, each) for each in (0.0, 0.5, 1.0, 1.5)),
        *((1, each) for each in (2.0, 2.25, 2.5, 2.75)),
    ]


def test_the_burst_is_ten_times_the_rate_for_ten_seconds_between_quiet_times():
    before, burst, after = BURST.phases
    assert (burst.per_s, burst.seconds) == (300.0, 10.0)
    assert before.per_s == after.per_s == AROUND_PER_S
    assert [case.name for case in cases_of([], rate=30, seconds=20)] == [
        "steady", "at 45/s", "at 60/s", "at 90/s", "burst",
    ]  # fmt: skip


def test_everyone_of_a_phase_is_printed_shed_or_failed():
    result = phase_result(
        STEADY.phases[1],
        [sat(0.0, 100), sat(0.1, 300), sat(0.2, end=NO_KIOSK, shed=True), sat(0.3, end="NOT_ENTITLED")],
    )
    assert (result.users, result.printed, result.shed, result.failed) == (4, 2, 1, 1)
    assert result.ends == {PRINTED: 2, NO_KIOSK: 1, "NOT_ENTITLED": 1}
    assert (result.checked.p50_ms, result.checked.p99_ms, result.sealed.p99_ms) == (100, 300, 270)


def test_goals_that_are_missed_are_named():
    good = phase_result(STEADY.phases[1], [sat(0.0, SEALED_MS_MAX - 1)])
    slow = phase_result(STEADY.phases[1], [sat(0.0, SEALED_MS_MAX)])
    short = phase_result(STEADY.phases[1], [sat(0.0), sat(0.1, end="BUSY", shed=True)])
    assert goals_missed(STEADY, [good], None) == []
    assert goals_missed(STEADY, [slow], None) == ["p99 250 ms; the goal is under 250"]
    assert goals_missed(STEADY, [short], None) == ["1 of 2 were not served at 30/s"]
    assert goals_missed(BURST, [slow, short], RECOVERED_S_MAX) == []
    assert len(goals_missed(BURST, [], RECOVERED_S_MAX + 0.1)) == len(goals_missed(BURST, [], None)) == 1


def test_service_is_as_before_from_the_first_user_after_whom_everybody_was_served_in_time():
    ended_s = sum(phase.seconds for phase in BURST.phases[:2])
    after = [
        sat(ended_s + each, checked, phase=2) for each, checked in ((0, 900), (1, 100), (2, 400), (3, 90), (4, 80))
    ]
    assert recovered_s(BURST, after) == 3.0
    assert recovered_s(BURST, [*after, sat(ended_s + 5, phase=2, end="BUSY", shed=True)]) is None
    assert recovered_s(BURST, [sat(ended_s, phase=2)]) == 0.0
    assert recovered_s(STEADY, after) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"wrong": ["x: another person's name"]}, "another person's name"),
        ({"money": {"lost": 1}}, "not completed"),
        ({"money": {"unexplained": 1}}, "no kiosk printed"),
        ({"yen": 600}, "600 yen"),
        ({"money": {"yen": 600}, "yen": 600}, "300 yen a copy"),
        ({"money": {"copies": 2}}, "2 copies in the ledger"),
    ],
)
def test_what_must_never_be_is_a_fault(change, said):
    fields = MONEY.__struct_fields__
    money = Money(**{each: getattr(MONEY, each) for each in fields} | change.get("money", {}))
    found = faults(wrong=change.get("wrong", []), money=money, copies=3, yen=change.get("yen", 900), fee_yen=300)
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_everybody_has_a_card_of_their_own_and_a_name_that_is_known():
    everybody = people(24)
    assert len({each.card for each in everybody}) == len(everybody) == 2 * 20
    assert all(each.name for each in everybody)
    assert {each.municipality for each in everybody[:2]} == {"121002", "162027"}


@pytest.mark.slow
def test_a_small_run_prints_for_everybody_and_writes_the_file(tmp_path: Path):
    out = tmp_path / "issuance.json"
    arguments = [
        "--rate",
        "1",
        "--seconds",
        "2",
        "--case",
        "steady",
        "--kiosks",
        "2",
        "--cards",
        "10",
        "--workers",
        "1",
    ]
    outcome = CliRunner().invoke(main, [*arguments, "--json", str(out)])
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(out.read_bytes())
    (case,) = written["cases"]
    (phase,) = case["phases"]
    assert phase["ends"] == {"PRINTED": 2}
    assert 0 < phase["sealed"]["p50_ms"] <= phase["checked"]["p99_ms"]
    assert case["wrong"] == case["faults"] == []
    assert case["money"]["completed"] == 3  # with the one of the warm-up
    assert case["money"]["yen"] == case["kiosk_yen"] == 300 * case["kiosk_copies"]
    assert case["rechecked"] > 0
    assert case["cpu_ms"].keys() == {"workers", "ops", "postgres", "cards", "chiba", "takaoka", "relay", "kiosks"}
    assert written["ledger_verification"]["found"] == 0
    assert written["renderer_documents_s"] > 0
