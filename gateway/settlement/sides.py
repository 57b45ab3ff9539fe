"""Who settles with the centre in a period, by which claim of which contract: the sides. Pure.

A side is a claim of the period's length between the centre and one party. Where the centre is the payee it sends the
invoice (an operator's month, a ministry's quarter); where it is the payer it lays a payment statement ready, and the
party sends its claim (a municipality's month). Source: 000仕4, 001-4, 002本2.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar

import msgspec

from gateway.settlement.calendars import Calendars
from gateway.settlement.cycle import Cycle, cycle
from gateway.settlement.errors import NoTerms, SettlementError
from gateway.settlement.periods import Period, PeriodKind
from gateway.settlement.statements import Statement
from gateway.settlement.terms import Claim, Contract, PartyRole, Terms

if TYPE_CHECKING:
    from protocol.settlement import Cell


class TwoContracts(SettlementError):  # noqa: N818  named after the fact
    """Two claims of one length and direction with one party. Fields: party, contracts."""

    code: ClassVar[str] = "two-contracts"

    def __init__(self, party: str, contracts: tuple[str, str]) -> None:
        super().__init__(
            f"{party} has two claims for the same span, in {contracts[0]} and {contracts[1]}"
            " / 同一期間の請求が重複しています; leave one of them in the contract files"
        )
        self.party = party
        self.contracts = contracts


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of one contract with one party. incoming: the centre is its payee."""

    contract: Contract
    terms: Terms
    claim: Claim
    party: str
    incoming: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """Contract, claim and party, as acts name them."""
        return self.contract.reference, self.claim.id, self.party

    def of(self, statement: Statement) -> Statement:
        """The part of a statement that is this side's."""
        return statement.of(party=self.party) if self.incoming else statement.of(counterparty=self.party)

    def dates(self, period: Period, calendars: Calendars, *, received: date | None = None) -> Cycle:
        """The dates of a period by this claim's rules. Raises: DayOutOfRange, NoOpenDay."""
        return cycle(self.claim.dates, period, calendars=calendars, received=received)


def sides(contracts: Iterable[Contract], period: Period) -> tuple[Side, ...]:
    """All sides of a period, incoming ones first, by party. Raises: TwoContracts."""
    found: dict[tuple[bool, str], Side] = {}
    for contract in contracts:
        for each in _of(contract, period):
            before = found.get((each.incoming, each.party))
            if before is not None:
                raise TwoContracts(each.party, (before.contract.reference, contract.reference))
            found[each.incoming, each.party] = each
    return tuple(found[key] for key in sorted(found, key=lambda key: (not key[0], key[1])))


def shares(statement: Statement, *, incoming: bool) -> dict[str, Statement]:
    """A statement by whose side it is, in one pass: by party, or by counterparty."""
    cells: dict[str, list[Cell]] = {}
    for cell in statement.cells:
        cells.setdefault(cell.key.party if incoming else cell.key.counterparty, []).append(cell)
    return {party: Statement(statement.period, tuple(own)) for party, own in cells.items()}


def strangers(statement: Statement, known: Sequence[Side], *, incoming: bool) -> tuple[str, ...]:
    """Who has business in a statement and no side."""
    sums = statement.by_party() if incoming else statement.by_counterparty()
    have = {each.party for each in known if each.incoming is incoming}
    return tuple(party for party in sums if party not in have)


def kind_of(role: str) -> PeriodKind:
    """How long a period of a centre is: a month by deposit, or a quarter (000仕4-1, 002本2-3)."""
    return PeriodKind.MONTH if role == "certificate" else PeriodKind.QUARTER


def _of(contract: Contract, period: Period) -> Iterable[Side]:
    try:
        terms = contract.on(period.last)
    except NoTerms:
        return
    for claim in terms.claims:
        if claim.period is not period.kind or PartyRole.CENTRE not in {claim.payer, claim.payee}:
            continue
        incoming = claim.payee is PartyRole.CENTRE
        other = claim.payer if incoming else claim.payee
        yield Side(contract=contract, terms=terms, claim=claim, party=contract.parties[other], incoming=incoming)
