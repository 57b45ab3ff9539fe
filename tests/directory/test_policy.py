"""Who may ask what: every refusal, their order, and that a kept grant decides as a fresh one."""

import itertools
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.directory.affairs import AFFAIRS, PAIRS
from gateway.directory.directory import Directory
from gateway.directory.model import Document, Method, Role, Scope, Stop, Suspension
from gateway.directory.policy import Granted, Refused, decide
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.directory.sample import ALL_DAY, CASE, CONTRACT, DOCUMENT, NOON, changed, us, with_contract

GOOD: dict[str, Any] = {
    "role": Role.INQUIRY,
    "party": "mlit",
    "line": "line-1",
    "operation": Operation.INQUIRE_BY_CODE,
    "affair": "vehicle-12-1",
    "step": 1,
    "staff": "s-1",
    "case": CASE,
    "at_us": NOON,
}


def ask(document: Document = DOCUMENT, **changes: Any) -> Granted | Refused:
    return decide(Directory(1, document), **{**GOOD, **changes})


def outcome(document: Document = DOCUMENT, **changes: Any) -> tuple[Outcome, str]:
    decision = ask(document, **changes)
    assert isinstance(decision, Refused), decision
    assert len(decision.remedy) > 5
    return decision.outcome, decision.field


def suspension(scope: Scope, target: str = "", from_us: int = 0, until_us: int | None = None) -> Suspension:
    return Suspension(scope=scope, target=target, from_us=from_us, until_us=until_us, ground="leak suspected")


def test_a_good_request_is_granted_at_the_terms_of_the_day() -> None:
    assert ask() == Granted(
        terms_version=1,
        yen_per_record=10,
        commission=0,
        counterparty="centre",
        volume=CONTRACT.volume,
        history_searched=True,
        my_number_allowed=False,
    )


def test_the_terms_change_at_midnight_in_japan() -> None:
    document = changed(
        contracts=(
            msgspec.structs.replace(CONTRACT, hours=(msgspec.structs.replace(CONTRACT.hours[0], weekday=ALL_DAY),)),
        ),
        staff=(msgspec.structs.replace(DOCUMENT.staff[0], valid_until=None),),
    )
    before, after = ask(document, at_us=us(2026, 12, 31, 23, 59)), ask(document, at_us=us(2027, 1, 1))
    assert isinstance(before, Granted)
    assert isinstance(after, Granted)
    assert (before.terms_version, before.yen_per_record) == (1, 10)
    assert (after.terms_version, after.yen_per_record, after.commission) == (2, 12, 1)


REFUSALS: list[tuple[dict[str, Any], Outcome, str]] = [
    ({"party": "nobody"}, Outcome.CONTRACT_NOT_IN_FORCE, "party"),
    ({"line": "line-9"}, Outcome.CONTRACT_NOT_IN_FORCE, "line"),
    ({"party": "other"}, Outcome.CONTRACT_NOT_IN_FORCE, "party"),
    ({"role": Role.CERTIFICATE}, Outcome.CONTRACT_NOT_IN_FORCE, "party"),
    ({"at_us": us(2026, 3, 31, 12)}, Outcome.CONTRACT_NOT_IN_FORCE, "party"),
    ({"at_us": us(2027, 4, 1, 12)}, Outcome.CONTRACT_NOT_IN_FORCE, "party"),
    ({"at_us": us(2026, 11, 25, 8, 29)}, Outcome.OUTSIDE_HOURS, ""),
    ({"operation": Operation.BATCH}, Outcome.METHOD_NOT_GRANTED, "operation"),
    ({"operation": 99}, Outcome.UNKNOWN_OPERATION, "operation"),
    ({"affair": "voucher"}, Outcome.AFFAIR_NOT_GRANTED, "affair"),
    ({"affair": "vehicle-97-3-1", "step": 3}, Outcome.STEP_NOT_GRANTED, "step"),
    ({"step": 0}, Outcome.STEP_NOT_GRANTED, "step"),
    ({"staff": "nobody"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "elsewhere"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "untrained"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "trained-later"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "left"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "coming"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"staff": "chief"}, Outcome.STAFF_NOT_AUTHORISED, "staff"),
    ({"case": "case 1"}, Outcome.CASE_REFERENCE_INVALID, "case"),
    ({"count": 4}, Outcome.VOLUME_EXCEEDED, "count"),
]


@pytest.mark.parametrize(("changes", "expected", "field"), REFUSALS)
def test_each_fault_has_its_refusal(changes: dict[str, Any], expected: Outcome, field: str) -> None:
    assert outcome(**changes) == (expected, field)


FAULTS: list[tuple[Outcome, dict[str, Any]]] = [
    (Outcome.CONTRACT_NOT_IN_FORCE, {"at_us": us(2027, 4, 1, 3)}),
    (Outcome.SUSPENDED, {"party": "mlit", "line": "line-2"}),
    (Outcome.OUTSIDE_HOURS, {"at_us": us(2026, 11, 25, 3)}),
    (Outcome.METHOD_NOT_GRANTED, {"operation": Operation.BATCH}),
    (Outcome.AFFAIR_NOT_GRANTED, {"affair": "voucher"}),
    (Outcome.STEP_NOT_GRANTED, {"step": 9}),
    (Outcome.STAFF_NOT_AUTHORISED, {"staff": "nobody"}),
    (Outcome.CASE_REFERENCE_INVALID, {"case": ""}),
    (Outcome.VOLUME_EXCEEDED, {"count": 4}),
]


# a step belongs to an affair, so those two cannot be wrong at once
PAIRS_OF_FAULTS = [
    pair for pair in itertools.combinations(FAULTS, 2) if (pair[0][0], pair[1][0]) != (FAULTS[4][0], FAULTS[5][0])
]


@pytest.mark.parametrize(("earlier", "later"), PAIRS_OF_FAULTS)
def test_the_earlier_fault_is_the_one_that_is_named(
    earlier: tuple[Outcome, dict[str, Any]], later: tuple[Outcome, dict[str, Any]]
) -> None:
    document = changed(suspensions=(suspension(Scope.LINE, "mlit/line-2"),))
    assert outcome(document, **{**later[1], **earlier[1]})[0] == earlier[0]


def test_a_suspended_affair_is_named_before_the_hours() -> None:
    document = changed(suspensions=(suspension(Scope.AFFAIR, "vehicle-12-1"),))
    assert outcome(document, at_us=us(2026, 11, 25, 3)) == (Outcome.SUSPENDED, "affair")


def test_there_are_fourteen_pairs_and_not_the_fifteenth() -> None:
    granted = {
        (affair, step) for affair in AFFAIRS for step in (1, 2, 3) if isinstance(ask(affair=affair, step=step), Granted)
    }
    assert granted == PAIRS
    assert len(granted) == 14
    assert ("vehicle-97-3-1", 3) not in granted


def test_no_affair_allows_the_individual_number() -> None:
    assert not any(affair.my_number_allowed for affair in AFFAIRS.values())


def test_a_contract_may_grant_less_than_the_law_lists() -> None:
    document = with_contract(affairs={"vehicle-67": frozenset({2})})
    assert outcome(document) == (Outcome.AFFAIR_NOT_GRANTED, "affair")
    assert outcome(document, affair="vehicle-67", step=1) == (Outcome.STEP_NOT_GRANTED, "step")
    assert isinstance(ask(document, affair="vehicle-67", step=2), Granted)


def test_batch_passes_where_it_is_granted() -> None:
    document = with_contract(methods=frozenset({Method.LINE_TRANSFER}))
    assert isinstance(ask(document, operation=Operation.BATCH), Granted)
    assert outcome(document) == (Outcome.METHOD_NOT_GRANTED, "operation")


@pytest.mark.parametrize(
    ("scope", "target", "stopped"),
    [
        (Scope.ALL, "", {"line": True, "other line": True, "other affair": True}),
        (Scope.PARTY, "mlit", {"line": True, "other line": True, "other affair": True}),
        (Scope.PARTY, "other", {"line": False, "other line": False, "other affair": False}),
        (Scope.LINE, "mlit/line-1", {"line": True, "other line": False, "other affair": True}),
        (Scope.AFFAIR, "vehicle-12-1", {"line": True, "other line": True, "other affair": False}),
    ],
)
def test_a_suspension_stops_its_scope_and_no_more(scope: Scope, target: str, stopped: dict[str, bool]) -> None:
    document = changed(suspensions=(suspension(scope, target),))
    seen = {
        "line": ask(document),
        "other line": ask(document, line="line-2"),
        "other affair": ask(document, affair="vehicle-67"),
    }
    assert {name: isinstance(decision, Refused) for name, decision in seen.items()} == stopped
    refusals = [decision for decision in seen.values() if isinstance(decision, Refused)]
    assert all(refusal.outcome is Outcome.SUSPENDED for refusal in refusals)
    assert all("leak suspected" in refusal.remedy for refusal in refusals)


def test_a_suspension_holds_from_its_microsecond_until_before_its_end() -> None:
    document = changed(suspensions=(suspension(Scope.ALL, "", NOON + 5, NOON + 9),))
    directory = Directory(1, document)
    seen = [isinstance(decide(directory, **{**GOOD, "at_us": NOON + i}), Refused) for i in range(12)]
    assert seen == [i in range(5, 9) for i in range(12)]


@pytest.mark.parametrize(
    ("at_us", "is_open"),
    [
        (us(2026, 11, 25, 8, 30) - 1, False),
        (us(2026, 11, 25, 8, 30), True),
        (us(2026, 11, 25, 18) - 1, True),
        (us(2026, 11, 25, 18), False),
        (us(2026, 11, 28), True),  # a Saturday has hours of its own
        (us(2026, 11, 29) - 1, True),
        (us(2026, 11, 29), False),  # a Sunday counts as a holiday
        (us(2026, 11, 23, 12), False),  # a Monday, and a holiday of the calendar
        (us(2026, 11, 24, 12), True),
    ],
)
def test_hours_follow_the_japanese_day(at_us: int, is_open: bool) -> None:
    assert isinstance(ask(at_us=at_us), Granted) is is_open


def test_hours_of_a_later_date_replace_the_earlier_ones() -> None:
    later = msgspec.structs.replace(CONTRACT.hours[0], valid_from=date(2026, 11, 26), weekday=None)
    document = with_contract(hours=(CONTRACT.hours[0], later))
    assert isinstance(ask(document), Granted)
    assert outcome(document, at_us=NOON + 86_400_000_000) == (Outcome.OUTSIDE_HOURS, "")


def test_a_planned_stop_closes_the_centre() -> None:
    document = changed(stops=(Stop(from_us=NOON, until_us=NOON + 1_000_000, ground="maintenance"),))
    assert isinstance(ask(document, at_us=NOON - 1), Granted)
    assert outcome(document) == (Outcome.OUTSIDE_HOURS, "")
    assert isinstance(ask(document, at_us=NOON + 1_000_000), Granted)


@pytest.mark.parametrize("case", ["2026-A", "2026-1-2-3", "0000-" + "Z" * 30])
def test_a_well_formed_case_reference_passes(case: str) -> None:
    assert isinstance(ask(case=case), Granted)


@pytest.mark.parametrize(
    "case",
    [
        "",
        "2026",
        "2026-",
        "26-A",
        "2026-a",
        "2026-A\n",
        "2026-Ａ",
        "２０２６-A",
        "2026_A",
        "0000-" + "Z" * 31,
        " 2026-A",
    ],
)
def test_any_other_case_reference_is_refused_also_after_a_good_one(case: str) -> None:
    standing = Directory(1, DOCUMENT).standing(Role.INQUIRY, "mlit", "line-1", NOON)
    assert isinstance(standing.decide(1, "vehicle-12-1", 1, "s-1", CASE), Granted)
    refused = standing.decide(1, "vehicle-12-1", 1, "s-1", case)
    assert isinstance(refused, Refused)
    assert refused.outcome is Outcome.CASE_REFERENCE_INVALID


def test_one_request_is_for_no_more_records_than_the_agreement_says() -> None:
    assert isinstance(ask(count=3), Granted)
    assert outcome(count=4) == (Outcome.VOLUME_EXCEEDED, "count")


def test_approving_takes_another_right_than_asking() -> None:
    assert isinstance(ask(operation=Operation.APPROVE, staff="chief"), Granted)
    assert outcome(operation=Operation.APPROVE, staff="s-1") == (Outcome.STAFF_NOT_AUTHORISED, "staff")
    assert outcome(staff="chief") == (Outcome.STAFF_NOT_AUTHORISED, "staff")


def test_only_trained_staff_with_the_right_approve_and_not_while_suspended() -> None:
    standing = Directory(1, DOCUMENT).standing(Role.INQUIRY, "mlit", "line-1", NOON)
    assert [standing.may_approve(s) for s in ("chief", "s-1", "nobody", "elsewhere")] == [True, False, False, False]
    document = changed(suspensions=(suspension(Scope.PARTY, "mlit"),))
    assert not Directory(1, document).standing(Role.INQUIRY, "mlit", "line-1", NOON).may_approve("chief")


FREE = Granted(terms_version=1, yen_per_record=0, commission=0, counterparty="centre")


@pytest.mark.parametrize("operation", [Operation.RECEIPT, Operation.DISCLAIM])
def test_a_receipt_needs_no_hours_affair_or_staff_and_is_free(operation: Operation) -> None:
    asked = {"operation": operation, "affair": "", "step": 0, "staff": "", "case": ""}
    assert ask(**asked, at_us=us(2026, 11, 25, 3)) == FREE
    assert ask(changed(suspensions=(suspension(Scope.ALL),)), **asked) == FREE
    for scope, target in ((Scope.PARTY, "mlit"), (Scope.LINE, "mlit/line-1")):
        assert outcome(changed(suspensions=(suspension(scope, target),)), **asked)[0] is Outcome.SUSPENDED


def test_during_run_off_receipts_pass_and_inquiries_do_not() -> None:
    last, after = us(2027, 6, 30, 12), us(2027, 7, 1, 12)
    assert outcome(at_us=last)[0] is Outcome.CONTRACT_NOT_IN_FORCE
    assert isinstance(ask(operation=Operation.RECEIPT, at_us=last), Granted)
    assert outcome(operation=Operation.RECEIPT, at_us=after)[0] is Outcome.CONTRACT_NOT_IN_FORCE
    assert outcome(operation=Operation.RECEIPT, party="nobody")[0] is Outcome.CONTRACT_NOT_IN_FORCE


def test_a_standing_is_shared_within_its_span_and_not_beyond() -> None:
    directory = Directory(1, DOCUMENT)
    standing = directory.standing(Role.INQUIRY, "mlit", "line-1", NOON)
    assert directory.standing(Role.INQUIRY, "mlit", "line-1", NOON + 59_999_999) is standing
    assert directory.standing(Role.INQUIRY, "mlit", "line-1", NOON + 60_000_000) is not standing
    assert directory.standing(Role.INQUIRY, "mlit", "line-1", NOON - 1).until_us == NOON


def test_strangers_leave_nothing_behind() -> None:
    directory = Directory(1, DOCUMENT)
    for i in range(50):
        directory.standing(Role.INQUIRY, f"stranger-{i}", "line-1", NOON)
        directory.standing(Role.INQUIRY, "mlit", f"stranger-{i}", NOON)
    standing = directory.standing(Role.INQUIRY, "mlit", "line-1", NOON)
    for i in range(50):
        standing.decide(1, "vehicle-12-1", 1, f"stranger-{i}", CASE)
        standing.decide(1, f"stranger-{i}", 1, "s-1", CASE)
    assert len(directory._standings) == 1
    assert len(standing._grants) == 0


def test_a_key_verifies_only_within_its_validity_and_on_its_line() -> None:
    directory = Directory(1, DOCUMENT)
    assert directory.verifying_key("mlit", "line-1", "k1", NOON) is not None
    assert directory.verifying_key("mlit", "line-1", "k2", NOON) is not None
    assert directory.verifying_key("mlit", "line-1", "k2", NOON - 1) is None
    assert directory.verifying_key("mlit", "line-2", "k1", NOON) is None


WEEK = st.integers(us(2026, 11, 22), us(2026, 11, 30))


@settings(max_examples=150, deadline=None)
@given(
    ats=st.lists(WEEK, min_size=1, max_size=6),
    edges=st.tuples(WEEK, WEEK).filter(lambda e: e[0] < e[1]),
    scope=st.sampled_from([(Scope.ALL, ""), (Scope.AFFAIR, "vehicle-67"), (Scope.LINE, "mlit/line-1")]),
    affair=st.sampled_from([*AFFAIRS, "voucher"]),
    staff=st.sampled_from(["s-1", "trained-later", "left", "x"]),
)
def test_what_was_kept_decides_as_a_fresh_directory_does(
    ats: list[int], edges: tuple[int, int], scope: tuple[Scope, str], affair: str, staff: str
) -> None:
    document = changed(suspensions=(suspension(*scope, *edges),))
    kept = Directory(1, document)
    for at_us in [*ats, *edges, edges[0] - 1, edges[1] - 1]:
        asked = {**GOOD, "affair": affair, "staff": staff, "at_us": at_us}
        assert decide(kept, **asked) == decide(Directory(1, document), **asked)
