"""What an operator's line may do by its operation alone: hours, suspensions, run-off."""

from datetime import date

import msgspec
import pytest

from gateway.directory.directory import Directory
from gateway.directory.model import Document, Role, Scope, Stop, Suspension, Terms
from gateway.directory.policy import Granted, Refused
from protocol.messages import Operation
from protocol.outcomes import Outcome
from tests.directory.certificates import DOCUMENT, NOON, changed, contract
from tests.directory.sample import us

HOUR_US = 3_600_000_000
ISSUING = (Operation.CHALLENGE, Operation.AUTHENTICATE, Operation.APPLY, Operation.DOCUMENT)
SHOWING = (Operation.MENU, Operation.PART)
SETTLING = (
    Operation.COMPLETE,
    Operation.VOID,
    Operation.CORRECT,
    Operation.ERASE,
    Operation.STATUS,
    Operation.RECEIPT,
)
EVERYTHING = ISSUING + SHOWING + SETTLING
NIGHT = us(2026, 11, 25, 23)
RUN_OFF = us(2027, 5, 31, 23, 59)
OVER = us(2027, 6, 1)


def decide(document: Document, operation: int, at_us: int = NOON, party: str = "cvs-a") -> Outcome | Granted:
    standing = Directory(1, document).standing(Role.CERTIFICATE, party, "relay-1", at_us)
    found = standing.for_certificates(operation)
    return found.outcome if isinstance(found, Refused) else found


def suspended(scope: Scope, target: str = "") -> Document:
    return changed(suspensions=(Suspension(scope=scope, target=target, from_us=0, until_us=None, ground="確認"),))


@pytest.mark.parametrize("operation", EVERYTHING)
def test_in_hours_everything_passes_with_the_commission_of_the_contract(operation: Operation) -> None:
    granted = decide(DOCUMENT, operation)
    assert granted == Granted(terms_version=1, yen_per_record=0, commission=115, counterparty="centre")


@pytest.mark.parametrize("operation", EVERYTHING)
@pytest.mark.parametrize(
    ("document", "at_us"),
    [
        (DOCUMENT, NIGHT),
        (DOCUMENT, us(2026, 12, 30, 12)),
        (changed(stops=(Stop(from_us=NOON, until_us=NOON + HOUR_US, ground="保守"),)), NOON),
    ],
)
def test_outside_the_centre_s_hours_nothing_new_is_issued_but_all_is_said_of_what_was(
    operation: Operation, document: Document, at_us: int
) -> None:
    found = decide(document, operation, at_us)
    assert (found is Outcome.OUTSIDE_HOURS) == (operation in ISSUING)


@pytest.mark.parametrize("operation", EVERYTHING)
def test_after_the_end_the_contract_runs_off_and_then_nothing_passes(operation: Operation) -> None:
    found = decide(DOCUMENT, operation, RUN_OFF)
    if operation in SETTLING:
        assert isinstance(found, Granted)
        assert found.commission == 115
    else:
        assert found is Outcome.CONTRACT_NOT_IN_FORCE
    assert decide(DOCUMENT, operation, OVER) is Outcome.CONTRACT_NOT_IN_FORCE


def test_run_off_is_settled_by_the_terms_of_the_last_day() -> None:
    terms = (
        *contract("x").terms,
        Terms(valid_from=date(2027, 3, 31), version=2, yen_per_record=0, commission=120),
        Terms(valid_from=date(2027, 4, 1), version=3, yen_per_record=0, commission=999),
    )
    found = decide(changed(contracts=(contract("cvs-a", terms=terms),)), Operation.COMPLETE, RUN_OFF)
    assert isinstance(found, Granted)
    assert (found.commission, found.terms_version) == (120, 2)


@pytest.mark.parametrize("operation", EVERYTHING)
def test_a_suspension_of_all_stops_issuing_and_one_s_own_stops_everything(operation: Operation) -> None:
    everywhere = decide(suspended(Scope.ALL), operation)
    assert (everywhere is Outcome.SUSPENDED) == (operation not in SETTLING)
    for scope, target in ((Scope.PARTY, "cvs-a"), (Scope.LINE, "cvs-a/relay-1")):
        assert decide(suspended(scope, target), operation) is Outcome.SUSPENDED
    for scope, target in ((Scope.PARTY, "cvs-b"), (Scope.PARTY, "chiba"), (Scope.KIND, "juminhyo")):
        assert isinstance(decide(suspended(scope, target), operation), Granted)


@pytest.mark.parametrize("operation", [Operation.INQUIRE_BY_CODE, Operation.DISCLAIM, Operation.ISSUE, 0, 9_999])
def test_what_is_no_operation_of_an_operator_s_line_is_unknown(operation: int) -> None:
    assert decide(DOCUMENT, operation) is Outcome.UNKNOWN_OPERATION


@pytest.mark.parametrize("operation", EVERYTHING)
def test_a_stranger_and_a_party_without_agreement_are_refused(operation: Operation) -> None:
    for party in ("nobody", "chiba"):
        assert decide(DOCUMENT, operation, party=party) is Outcome.CONTRACT_NOT_IN_FORCE
    unpriced = changed(
        contracts=(
            contract("cvs-a", terms=(msgspec.structs.replace(contract("x").terms[0], valid_from=date(2027, 1, 1)),)),
        )
    )
    assert decide(unpriced, operation) is Outcome.CONTRACT_NOT_IN_FORCE
    assert decide(unpriced, operation, us(2027, 1, 4, 12)) == Granted(
        terms_version=1, yen_per_record=0, commission=115, counterparty="centre"
    )
