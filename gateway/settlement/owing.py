"""What is owed under a contract: every claim that was made, its last day, and what was paid on it. Pure.

An invoice of the centre is an INVOICED act, a claim that came to it a CLAIMED one; of several turns the last counts, of
claims received the last proper one (適正な請求: 000契13-3, 000仕15-4). A negative claim is a credit notice: the payee
owes, on the same day, as no article says another.

Who loses the benefit of term (期限の利益, 000契19-2; the centre: 20-2) owes at once: what was asked before falls due on
that day, what is asked after on the day it is asked. Nothing falls due later by it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from gateway.settlement.calendars import Calendars
from gateway.settlement.contract_facts import Accelerated, Received, facts_of
from gateway.settlement.cycle import Step, cycle
from gateway.settlement.errors import GivenInvalid, NoTerms
from gateway.settlement.periods import Period, period
from gateway.settlement.terms import Claim, Contract, PartyRole, Terms
from protocol.act import Act, ActKind

Place = tuple[str, str, str, str]
"""Contract, claim, period, party."""
INTEREST_SUFFIX: Final = ":interest"
"""No claim of a contract file has such a name."""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Money on a debt. yen: towards the creditor; turn: of its act."""

    turn: int
    day: date
    yen: int


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """What one side owes the other for one period.

    yen: what was asked, 0 or more. received_yen: the fees received in the period, which late interest may run on (0
    where the invoice does not say). asked: the day of the invoice, or of the claim's receipt. deadline: the last day
    that breaks no clause, None while it hangs on a receipt. accelerated: it fell due before the contract's day.
    """

    contract: str
    terms: Terms
    claim: Claim
    period: Period
    party: str
    debtor: PartyRole
    creditor: PartyRole
    yen: int
    received_yen: int
    number: str
    asked: date
    deadline: date | None
    accelerated: bool
    payments: tuple[Payment, ...]

    @property
    def paid_yen(self) -> int:
        """Of all payments."""
        return sum(each.yen for each in self.payments)

    @property
    def open_yen(self) -> int:
        """What is not paid; negative when too much was."""
        return self.yen - self.paid_yen

    def is_late(self, today: date) -> bool:
        """Whether something is unpaid after its last day."""
        return self.open_yen > 0 and self.deadline is not None and today > self.deadline


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim that was made says. yen: signed; received: the day from which a due date may be counted."""

    act: Act
    yen: int
    number: str
    received_yen: int
    received: date | None


def party_in(contract: Contract, claim: Claim) -> str:
    """The party on the centre's other side of a claim."""
    role = claim.payee if claim.payer is PartyRole.CENTRE else claim.payer
    return contract.parties[role]


def found_claim(contracts: Iterable[Contract], *, party: str, claim: str, of: Period) -> tuple[Contract, Terms, Claim]:
    """The contract, version and claim that a party has over a period. Raises: GivenInvalid."""
    known: list[str] = []
    for contract in contracts:
        try:
            terms = contract.on(of.last)
        except NoTerms:
            continue
        for each in terms.claims:
            if party_in(contract, each) == party:
                known.append(each.id)
                if each.id == claim:
                    return contract, terms, each
    raise GivenInvalid(
        field="party, claim",
        why=f"no contract has a claim {claim!r} with {party!r} on {of.last} / 該当する契約・請求がありません",
        remedy=f"its claims are {', '.join(known)}"
        if known
        else "give a party of a contract file, and a day within it",
    )


def debts(
    acts: Sequence[Act], contracts: Iterable[Contract], *, calendars: Calendars, invoiced: Iterable[Asked] = ()
) -> list[Debt]:
    """All that was asked, in the order of contracts, periods and claims.

    invoiced: the centre's own invoices, as the part that makes them reads them. Raises: FactsContradicted, NoTerms,
    PeriodInvalid, DayOutOfRange, NoOpenDay.
    """
    by_reference = {contract.reference: contract for contract in contracts}
    latest: dict[Place, Asked] = {}
    for each in [*invoiced, *claims_received(acts)]:
        place = _place(each.act)
        if place not in latest or latest[place].act.turn < each.act.turn:
            latest[place] = each
    made = [
        _debt(by_reference[place[0]], each, paid_on(acts, place), acts, calendars)
        for place, each in latest.items()
        if place[0] in by_reference
    ]
    return sorted(made, key=lambda debt: (debt.contract, debt.period.first, debt.period.last, debt.claim.id))


def claims_received(acts: Iterable[Act]) -> Iterator[Asked]:
    """The proper claims that came to the centre. Raises: FactsContradicted."""
    for act in acts:
        if act.kind == ActKind.CLAIMED:
            said = facts_of(act, Received)
            if said.proper:
                day = date.fromisoformat(act.day)
                yield Asked(act=act, yen=act.yen, number=said.number, received_yen=0, received=day)


def paid_on(acts: Iterable[Act], place: Place) -> list[Payment]:
    """The payments of a claim, or of the interest on it, towards the claim's payee."""
    return [
        Payment(turn=act.turn, day=date.fromisoformat(act.day), yen=act.yen)
        for act in acts
        if act.kind == ActKind.PAID and _place(act) == place
    ]


def interest_claim(claim: str) -> str:
    """Under which claim's name the payment of late interest is recorded."""
    return f"{claim}{INTEREST_SUFFIX}"


def accelerations(acts: Iterable[Act], contract: str) -> dict[PartyRole, date]:
    """Since when a role's debts are due at once. Raises: FactsContradicted."""
    found: dict[PartyRole, date] = {}
    for act in acts:
        if act.kind == ActKind.ACCELERATED and act.contract == contract:
            role, day = PartyRole(facts_of(act, Accelerated).debtor), date.fromisoformat(act.day)
            found[role] = min(day, found.get(role, day))
    return found


def due_at_once(acts: Iterable[Act], contract: str, debtor: PartyRole, *, asked: date) -> date | None:
    """Since when a debt asked for on a day is due without its term; None where it has it. Raises: FactsContradicted."""
    since = accelerations(acts, contract).get(debtor)
    return None if since is None else max(since, asked)


def _debt(
    contract: Contract, asked: Asked, payments: Sequence[Payment], acts: Iterable[Act], calendars: Calendars
) -> Debt:
    act = asked.act
    span = period(act.period)
    terms = contract.on(span.last)
    claim = terms.claim(act.claim)
    sign = -1 if asked.yen < 0 else 1
    debtor, creditor = (claim.payer, claim.payee) if sign > 0 else (claim.payee, claim.payer)
    day = date.fromisoformat(act.day)
    deadline = last_day(claim, span, calendars=calendars, received=asked.received)
    at_once = due_at_once(acts, contract.reference, debtor, asked=day)
    accelerated = at_once is not None and (deadline is None or at_once < deadline)
    return Debt(
        contract=contract.reference,
        terms=terms,
        claim=claim,
        period=span,
        party=act.party,
        debtor=debtor,
        creditor=creditor,
        yen=sign * asked.yen,
        received_yen=asked.received_yen,
        number=asked.number,
        asked=day,
        deadline=at_once if accelerated else deadline,
        accelerated=accelerated,
        payments=tuple(
            Payment(turn=each.turn, day=each.day, yen=sign * each.yen)
            for each in sorted(payments, key=lambda one: (one.day, one.turn))
        ),
    )


def last_day(claim: Claim, span: Period, *, calendars: Calendars, received: date | None) -> date | None:
    """The last day of payment that breaks no clause. Raises: DayOutOfRange, NoOpenDay."""
    dates = cycle(claim.dates, span, calendars=calendars, received=received)
    due = dates.of(Step.PAYMENT) or dates.of(Step.MUNICIPAL_PAYMENT)
    return None if due is None else due.deadline


def _place(act: Act) -> Place:
    return act.contract, act.claim, act.period, act.party
