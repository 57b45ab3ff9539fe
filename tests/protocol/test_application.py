"""The application's table of transitions: what may follow what."""

import itertools
from pathlib import Path

import pytest

from protocol.application import CORRECTIONS_MAX, TABLE, Transition, claim_turn, may
from protocol.limits import REPEATS_MAX

T = Transition
ISSUANCE = Path(__file__).parents[2] / "docs" / "ISSUANCE.md"


def reach(*steps: int) -> list[int]:
    """Go step by step, each allowed by what stands."""
    standing: list[int] = []
    for step in steps:
        assert may(step, standing), (step, standing)
        standing.append(step)
    return standing


def test_the_whole_way_of_a_certificate_is_open() -> None:
    reach(T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED, T.ERASED)
    reach(T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED, T.CORRECTED_1, T.CORRECTED_1 + 1, T.VOIDED, T.ERASED)


@pytest.mark.parametrize("order", list(itertools.permutations([T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED]))[1:])
def test_no_other_order_leads_to_a_completion(order: tuple[int, ...]) -> None:
    standing: list[int] = []
    refused = False
    for step in order:
        if may(step, standing):
            standing.append(step)
        else:
            refused = True
    assert refused


def test_a_notice_about_money_has_no_age_limit_and_may_come_after_the_erasure() -> None:
    standing = reach(T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.ERASED)
    assert may(T.COMPLETED, standing, expired=True)
    assert may(T.VOIDED, standing, expired=True)


def test_what_is_void_is_neither_completed_nor_corrected_nor_made_again() -> None:
    standing = reach(T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED, T.VOIDED)
    assert not may(T.CORRECTED_1, standing)
    assert not may(T.ISSUED, [T.AUTHENTICATED, T.APPLIED, T.VOIDED])
    assert not may(T.COMPLETED, [T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.VOIDED])


def test_nothing_is_applied_for_or_made_once_the_time_is_over_or_all_is_erased() -> None:
    assert not may(T.APPLIED, [T.AUTHENTICATED], expired=True)
    assert not may(T.ISSUED, [T.AUTHENTICATED, T.APPLIED], expired=True)
    assert not may(T.ISSUED, [T.AUTHENTICATED, T.APPLIED, T.ERASED])


def test_corrections_come_in_order() -> None:
    assert not may(T.CORRECTED_1 + 1, [T.AUTHENTICATED, T.APPLIED, T.ISSUED, T.COMPLETED])
    assert T.CORRECTED_1 + CORRECTIONS_MAX not in TABLE


def test_claims_of_transitions_and_of_repeats_never_meet() -> None:
    assert min(map(claim_turn, TABLE)) > REPEATS_MAX
    assert max(map(claim_turn, TABLE)) < 1 << 15


def test_the_page_about_a_certificates_life_draws_this_table() -> None:
    def name(transition: int) -> str:
        return T(transition).name if transition <= T.CORRECTED_1 else f"CORRECTED_{transition - T.CORRECTED_1 + 1}"

    def names(transitions: frozenset[int]) -> str:
        return ", ".join(map(name, sorted(transitions))) or "nothing"

    drawn = [
        f"| {number} | {name(number)} | {names(rule.needs)} | {names(rule.bars)} | {'yes' if rule.timed else 'no'} |"
        for number, rule in TABLE.items()
    ]
    section = ISSUANCE.read_text(encoding="utf-8").partition("## Transitions\n")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("|")][2:] == drawn
