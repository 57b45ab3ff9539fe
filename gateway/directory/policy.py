"""May this request pass, and what does it cost? Pure: a directory, a request's plain facts and a time in; a value out.

A Standing is everything about (role, party, line) that does not depend on the single request, worked out for a span of
time in which it cannot change: hours and dates change at a minute's edge, suspensions and stops at theirs. Inside that
span a decision is a dictionary look-up and the check of the case reference. Only grants are kept: a grant needs an
affair, step and staff that the directory names, so what a stranger sends cannot make the memory grow.

Order, first refusal wins: contract, suspension, hours, method, affair, step, staff, case reference, volume. It is
policy before data: nothing here has seen the register. Refusals say what would mend it; they hold no personal data.

Source: DESIGN 9; 002 本1, 本2, 本5, 本6, 別記1, 別記2, 別2-2(4), (9)イ.
"""

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.directory import hours
from gateway.directory.affairs import AFFAIRS
from gateway.directory.model import Contract, Line, Method, Party, Right, Role, Scope, Suspension, Terms, Volume, Window
from protocol.messages import Operation
from protocol.outcomes import Outcome

if TYPE_CHECKING:
    from gateway.directory.directory import Directory

CASE_REFERENCE: Final = re.compile(r"[0-9]{4}-[A-Z0-9-]{1,30}")
"""案件番号: four digits of the year, a hyphen, 1 to 30 of A-Z, 0-9 and hyphen; ASCII only, 35 characters at most."""

METHODS: Final[Mapping[int, Method]] = MappingProxyType(
    {
        Operation.INQUIRE_BY_CODE: Method.IMMEDIATE,
        Operation.INQUIRE_BY_NAME: Method.IMMEDIATE,
        Operation.BATCH: Method.LINE_TRANSFER,
        Operation.APPROVE: Method.IMMEDIATE,  # what it approves is asked immediately
    }
)
"""The method of provision an operation belongs to (002 別記2(1))."""
_ABOUT_RECORDS: Final = frozenset({Operation.RECEIPT, Operation.DISCLAIM, Operation.PAPERS, Operation.PAPER})
"""Operations about what was already provided: no resident's data moves and nothing is charged."""

_ABOUT_DELIVERIES: Final = frozenset(
    {
        Operation.COMPLETE,
        Operation.VOID,
        Operation.CORRECT,
        Operation.ERASE,
        Operation.STATUS,
        Operation.RECEIPT,
        Operation.PAPERS,
        Operation.PAPER,
        Operation.RECONCILE,
        Operation.RECONCILE_PART,
    }
)
"""What must be said of a certificate once it was issued, and how it is settled: at any hour, and until everything is
settled (000契27)."""
_AT_ANY_HOUR: Final = frozenset({Operation.MENU, Operation.PART})
"""Issues nothing new: the menu shows the hours themselves (000仕7-2), a part is of a document that was made."""
_ISSUING: Final = frozenset({Operation.CHALLENGE, Operation.AUTHENTICATE, Operation.APPLY, Operation.DOCUMENT})

_case_ok = CASE_REFERENCE.fullmatch


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """The request may pass: the terms that price it, the other party of the entry, and what answering needs to know.

    volume: the limits a question counts against, None where no resident's data is asked for (nothing passes without).
    history_searched: former names and addresses may find a resident for this affair; my_number_allowed: 個人番号 may
    be given for it.
    """

    terms_version: int
    yen_per_record: int
    commission: int
    counterparty: str
    volume: Volume | None = None
    history_searched: bool = False
    my_number_allowed: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The request may not pass: why, which field is at fault, and what would mend it."""

    outcome: Outcome
    field: str
    remedy: str


class Standing:
    """What holds for one line of one party in from_us <= t < until_us. Made by `standing`, never changed.

    `refused` is the refusal that every inquiry meets in this span, before any field of it is looked at, or None.
    """

    __slots__ = (
        "_about_records",
        "_contract_refused",
        "_directory",
        "_grants",
        "_hours_refused",
        "_records_max",
        "_suspended",
        "_suspended_affairs",
        "_terms",
        "contract",
        "day",
        "from_us",
        "line",
        "party",
        "until_us",
        "version",
    )

    def __init__(self, directory: "Directory", *, role: Role, party: str, line: str, at_us: int) -> None:
        self._directory = directory
        self.version = directory.version
        self.from_us, self.until_us = directory.span(at_us)
        self.day: date = hours.jst_date(at_us)
        self.party: Party | None = directory.party(party)
        self.line: Line | None = directory.line(party, line)
        self.contract: Contract | None = directory.contract(role, party, self.day)
        self._terms = hours.in_force(self.contract.terms, self.day) if self.contract else None
        self._contract_refused = _contract_refused(self.party, self.line, self.contract, self._terms, self.day)
        suspended = directory.suspensions_at(at_us)
        self._suspended = _suspended(suspended, party, line)
        self._suspended_affairs = {s.target: _stopped(s) for s in suspended if s.scope is Scope.AFFAIR}
        self._hours_refused = outside_hours(directory, self.contract, at_us)
        self._about_records = self._may_settle(role, party, line, suspended)
        self._records_max = (
            self.contract.volume.records_per_request_max if self.contract and self.contract.volume else 0
        )
        self._grants: dict[tuple[int, str, int, str], Granted] = {}

    @property
    def refused(self) -> Refused | None:
        """The refusal every inquiry meets in this span, whatever it asks; None when its fields decide."""
        return self._contract_refused or self._suspended or self._hours_refused

    def covers(self, at_us: int) -> bool:
        """Whether this standing still holds at a time."""
        return self.from_us <= at_us < self.until_us

    def decide(
        self, operation: int, affair: str, step: int, staff: str, case: str, count: int = 1
    ) -> Granted | Refused:
        """Decide one request.

        `count` is how many records it wants at most. How many were asked for on this day, and what a second person
        approved, is not looked at here (gateway.inquiry.volume, gateway.inquiry.approval). For APPROVE, `staff` is the
        approver. RECEIPT, DISCLAIM, PAPERS and PAPER need no affair, step, staff or case.
        """
        granted = self._grants.get((operation, affair, step, staff))
        if granted is not None and count <= self._records_max and _case_ok(case):
            return granted
        if operation in _ABOUT_RECORDS:
            return self._about_records
        return self._decide(operation, affair, step, staff, case, count)

    def for_certificates(self, operation: int) -> Granted | Refused:
        """Decide one request of an operator's line by its operation alone.

        `Granted.commission` is what a copy earns the operator. COMPLETE, VOID, CORRECT, ERASE, STATUS, RECEIPT and what
        is about settlement (PAPERS, PAPER, RECONCILE) pass at any hour, while everything is suspended, and while the
        contract runs off; only the operator's or the line's own suspension holds them back. What a municipality offers,
        and when, is gateway.directory.offers' to say.
        """
        if operation in _ABOUT_DELIVERIES:
            return self._about_records
        if operation not in _ISSUING and operation not in _AT_ANY_HOUR:
            return _unknown_operation()
        refused = self._contract_refused or self._suspended
        if refused is None and operation in _ISSUING:
            refused = self._hours_refused
        if refused is not None:
            return refused
        if self._terms is None:  # unreachable while _contract_refused covers it; a commission is never guessed
            return _refused(Outcome.CONTRACT_NOT_IN_FORCE, "party", "no terms are in force")
        return self._granted(self._terms)

    def may_approve(self, staff: str) -> bool:
        """Whether a member of this party's staff may approve a volume now: active, trained, with the right."""
        return self.refused is None and self._staff_refused(staff, Right.APPROVE) is None

    def _decide(self, operation: int, affair: str, step: int, staff: str, case: str, count: int) -> Granted | Refused:
        refused = (
            self._contract_refused
            or self._suspended
            or self._suspended_affairs.get(affair)
            or self._hours_refused
            or self._method_refused(operation)
            or self._affair_refused(affair, step)
            or self._staff_refused(staff, Right.APPROVE if operation == Operation.APPROVE else Right.INQUIRE)
        )
        if refused is not None:
            return refused
        terms, centre = self._terms, self._directory.centre
        if terms is None:  # unreachable while _contract_refused covers it; a fee is never guessed
            return _refused(Outcome.CONTRACT_NOT_IN_FORCE, "party", "no tariff is in force")
        granted = Granted(
            terms_version=terms.version,
            yen_per_record=terms.yen_per_record,
            commission=terms.commission,
            counterparty=centre,
            volume=self.contract.volume if self.contract else None,
            history_searched=AFFAIRS[affair].history_searched,
            my_number_allowed=AFFAIRS[affair].my_number_allowed,
        )
        self._grants[(operation, affair, step, staff)] = granted
        if not _case_ok(case):
            return _refused(Outcome.CASE_REFERENCE_INVALID, "case", "write YYYY-, then 1 to 30 of A-Z, 0-9 and hyphen")
        if count > self._records_max:
            remedy = f"ask for {self._records_max} at most in one request"
            return _refused(Outcome.VOLUME_EXCEEDED, "count", remedy)
        return granted

    def _may_settle(self, role: Role, party: str, line: str, suspended: tuple[Suspension, ...]) -> Granted | Refused:
        # 002 本6-1 stops the provision of resident information; a proof of what was provided holds none. It is kept
        # from a party or line that is itself suspended, since then it is the asker who is in doubt.
        refused = self._contract_refused
        if refused is not None and self.line is not None and self._directory.running_off(role, party, self.day):
            refused = None
        own = tuple(s for s in suspended if s.scope is not Scope.ALL)
        refused = refused or _suspended(own, party, line)
        if refused is not None:
            return refused
        terms = self._terms
        ended = self._directory.running_off(role, party, self.day) if terms is None else None
        if ended is not None and ended.valid_until is not None:
            terms = hours.in_force(ended.terms, ended.valid_until)  # what was agreed last settles what is left
        # a receipt or disclaimer of an inquiry costs nothing; a completed copy earns its commission
        return Granted(
            terms_version=terms.version if terms else 0,
            yen_per_record=0,
            commission=terms.commission if terms and role is Role.CERTIFICATE else 0,
            counterparty=self._directory.centre,
        )

    def _granted(self, terms: Terms) -> Granted:
        return Granted(
            terms_version=terms.version,
            yen_per_record=0,
            commission=terms.commission,
            counterparty=self._directory.centre,
        )

    def _method_refused(self, operation: int) -> Refused | None:
        method = METHODS.get(operation)
        if method is None:
            return _unknown_operation()
        if self.contract is None or method not in self.contract.methods:
            # 002 別記2(1): the agreement authorises immediate provision only; batch is known, and refused by name
            return _refused(Outcome.METHOD_NOT_GRANTED, "operation", f"the agreement does not grant {method.value}")
        return None

    def _affair_refused(self, affair: str, step: int) -> Refused | None:
        steps = self.contract.affairs.get(affair) if self.contract else None
        listed = AFFAIRS.get(affair)
        if steps is None or listed is None:
            return _refused(Outcome.AFFAIR_NOT_GRANTED, "affair", "use an affair that the agreement lists")
        if step not in steps or step not in listed.steps:
            granted = ", ".join(str(s) for s in sorted(steps & listed.steps))
            return _refused(Outcome.STEP_NOT_GRANTED, "step", f"this affair is granted for steps {granted}")
        return None

    def _staff_refused(self, staff: str, right: Right) -> Refused | None:
        person = self._directory.staff(self.party.id, staff) if self.party else None
        if person is None:
            return _refused(Outcome.STAFF_NOT_AUTHORISED, "staff", "have this staff number registered at the centre")
        if self.day < person.valid_from or (person.valid_until is not None and self.day > person.valid_until):
            return _refused(Outcome.STAFF_NOT_AUTHORISED, "staff", "the right of this staff number is not in force")
        if right not in person.rights:
            return _refused(Outcome.STAFF_NOT_AUTHORISED, "staff", f"this staff number has no right to {right.value}")
        if person.trained_on is None or self.day < person.trained_on:  # 002 本5
            return _refused(Outcome.STAFF_NOT_AUTHORISED, "staff", "attend the training and have its date registered")
        return None


def decide(
    directory: "Directory",
    *,
    role: Role,
    party: str,
    line: str,
    operation: int,
    affair: str,
    step: int,
    staff: str,
    case: str,
    at_us: int,
    count: int = 1,
) -> Granted | Refused:
    """Decide one request on its own. A frame asks `directory.standing(...)` once and that for each request."""
    standing = directory.standing(role, party, line, at_us)
    return standing.decide(operation, affair, step, staff, case, count)


def outside_hours(directory: "Directory", contract: Contract | None, at_us: int) -> Refused | None:
    """The refusal of the centre's own calendar at a time, by an agreement's hours; None when it is open."""
    stop = directory.stop_at(at_us)
    if stop is not None:
        return _refused(Outcome.OUTSIDE_HOURS, "", f"planned stop: {stop.ground}")
    if contract is None:
        return None
    opening = centre_opening(directory, contract, hours.jst_date(at_us))
    if hours.is_open(opening, at_us):
        return None
    said = f"today's hours are {opening} JST" if opening else "closed today; ask another day"
    return _refused(Outcome.OUTSIDE_HOURS, "", said)


def centre_opening(directory: "Directory", contract: Contract, day: date) -> Window | None:
    """The centre's window of a day by an agreement's hours; None when it is closed."""
    if day in directory.document.closed:
        return None
    dated = hours.in_force(contract.hours, day)
    return hours.window(dated, day, directory.holidays) if dated else None


def _refused(outcome: Outcome, field: str, remedy: str) -> Refused:
    return Refused(outcome=outcome, field=field, remedy=remedy)


def _unknown_operation() -> Refused:
    return _refused(Outcome.UNKNOWN_OPERATION, "operation", "use an operation of this version of the protocol")


def _contract_refused(
    party: Party | None, line: Line | None, contract: Contract | None, terms: Terms | None, day: date
) -> Refused | None:
    outcome = Outcome.CONTRACT_NOT_IN_FORCE
    if party is None:
        return _refused(outcome, "party", "the party is not in the directory; conclude an agreement with the centre")
    if line is None:
        return _refused(outcome, "line", "the line is not in the directory; have it registered at the centre")
    if contract is None:
        return _refused(outcome, "party", f"no agreement is in force on {day}; renew it with the centre")
    if terms is None:
        return _refused(outcome, "party", f"the agreement has no tariff for {day}; the centre must set one")
    return None


def _suspended(suspensions: tuple[Suspension, ...], party: str, line: str) -> Refused | None:
    targets = {Scope.ALL: "", Scope.PARTY: party, Scope.LINE: f"{party}/{line}"}
    return next((_stopped(s) for s in suspensions if targets.get(s.scope) == s.target), None)


def _stopped(suspension: Suspension) -> Refused:
    field = "" if suspension.scope is Scope.ALL else suspension.scope.value
    return _refused(Outcome.SUSPENDED, field, f"wait for the notice of resumption ({suspension.ground})")
