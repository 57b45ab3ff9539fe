"""What stands of a period, from its acts: who was disclosed what, who agrees, what is frozen, claimed and paid. Pure.

An operator's data go through these states; each disclosure begins anew:

    waiting -> disclosed -> agreed
                  |  `-> differing -> accepted -> (corrections come over the line) -> disclosed again
                  |          `-> disputed  -> the operator reconciles again

A reconciliation that comes again replaces the one before it; an answer too. Only `agreed` lets the period be frozen
without force, and `settled`, where every difference was accepted and none of them asks for a correction.
Source: 000仕4-2, 4-3; DOMAIN I4, I9; DESIGN section 11.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from gateway.settlement import facts
from gateway.settlement.contract_facts import Received, facts_of
from gateway.settlement.periods import Period, period
from gateway.settlement.windows import Cut, Freeze
from protocol.act import Act, ActKind
from protocol.disclosure import Proposal, Reconciliation

Acts = Sequence[Act]


class Agreement(StrEnum):
    """How far a period's data are agreed with one operator."""

    WAITING = "waiting"
    DISCLOSED = "disclosed"
    DIFFERING = "differing"
    DISPUTED = "disputed"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    AGREED = "agreed"


READY = frozenset({Agreement.AGREED, Agreement.SETTLED})
"""What a freeze needs of every operator."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's disclosure of a period that counts now, and what followed it; None where it has not come."""

    disclosed: Act | None = None
    reconciled: Act | None = None
    answered: Act | None = None

    @property
    def reconciliation(self) -> Reconciliation | None:
        """What the operator sent. Raises: FactsContradicted."""
        return None if self.reconciled is None else facts.reconciliation_of(self.reconciled)

    @property
    def agreement(self) -> Agreement:
        """Where it stands. Raises: FactsContradicted."""
        if self.disclosed is None:
            return Agreement.WAITING
        found = self.reconciliation
        if found is None:
            return Agreement.DISCLOSED
        if found.agreed:
            return Agreement.AGREED
        if self.answered is None:
            return Agreement.DIFFERING
        if facts.answered(self.answered).disputed:
            return Agreement.DISPUTED
        if all(each.proposal is Proposal.NONE for each in found.differences):
            return Agreement.SETTLED
        return Agreement.ACCEPTED


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that was made, and what was paid of it. All yen are positive where the claim's payer pays its payee."""

    act: Act
    yen: int
    paid: tuple[Act, ...]

    @property
    def paid_yen(self) -> int:
        """What came so far."""
        return sum(each.yen for each in self.paid)

    @property
    def open_yen(self) -> int:
        """What is still due."""
        return self.yen - self.paid_yen


def exchange(acts: Acts, of: str, party: str) -> Exchange:
    """An operator's exchange over a period. Raises: FactsContradicted."""
    disclosed = latest(acts, ActKind.DISCLOSED, of, party=party)
    if disclosed is None:
        return Exchange()
    digest = facts.disclosed(disclosed).signature.digest
    reconciled = None
    for act in select(acts, ActKind.RECONCILED, of, party=party):
        if facts.reconciliation_of(act).disclosure_digest == digest:
            reconciled = act
    if reconciled is None:
        return Exchange(disclosed=disclosed)
    answered = None
    for act in select(acts, ActKind.ANSWERED, of, party=party):
        if facts.answered(act).reconciliation == reconciled.turn:
            answered = act
    return Exchange(disclosed=disclosed, reconciled=reconciled, answered=answered)


def select(
    acts: Iterable[Act], kind: ActKind, of: str, *, party: str | None = None, side: tuple[str, str, str] | None = None
) -> list[Act]:
    """Acts of a kind and period, of one party or one side (contract, claim, party), by turn."""
    found = [
        act
        for act in acts
        if act.kind == kind
        and act.period == of
        and party in (None, act.party)
        and side in (None, (act.contract, act.claim, act.party))
    ]
    return sorted(found, key=lambda act: act.turn)


def latest(
    acts: Iterable[Act], kind: ActKind, of: str, *, party: str | None = None, side: tuple[str, str, str] | None = None
) -> Act | None:
    """The one with the highest turn."""
    found = select(acts, kind, of, party=party, side=side)
    return found[-1] if found else None


def frozen(acts: Acts, of: str) -> Act | None:
    """The act that froze a period."""
    return latest(acts, ActKind.CONFIRMED, of, side=("", "", ""))


def cut(acts: Acts, of: str) -> Cut | None:
    """Where a period was frozen; None while it is open. Raises: FactsContradicted."""
    act = frozen(acts, of)
    return None if act is None else facts.cut_of(act)


def freeze(acts: Acts, of: Period) -> Freeze:
    """When a period was frozen, and the last one before it."""
    before = last_before(acts, of)
    found = (frozen(acts, each.text) if each is not None else None for each in (of, before))
    return Freeze(*(0 if act is None else act.at_us for act in found))


def frozen_periods(acts: Acts) -> list[Period]:
    """All frozen periods, in order."""
    return sorted(period(act.period) for act in acts if act.kind == ActKind.CONFIRMED and not act.party)


def last_before(acts: Acts, of: Period) -> Period | None:
    """The latest frozen period that ends before another begins: what came too late for it may belong to the other."""
    before = [each for each in frozen_periods(acts) if each.last < of.first]
    return before[-1] if before else None


def previous_cut(acts: Acts, of: Period) -> Cut | None:
    """Where that one was frozen. Raises: FactsContradicted."""
    before = last_before(acts, of)
    return None if before is None else cut(acts, before.text)


def demand(acts: Acts, of: str, side: tuple[str, str, str]) -> Demand | None:
    """What is claimed of a side and paid: the centre's invoice, or the claim that was received; None before it."""
    act = latest(acts, ActKind.INVOICED, of, side=side) or proper_claim(acts, of, side)
    if act is None:
        return None
    return Demand(act=act, yen=act.yen, paid=tuple(select(acts, ActKind.PAID, of, side=side)))


def proper_claim(acts: Acts, of: str, side: tuple[str, str, str]) -> Act | None:
    """The last claim received that is as it has to be; one that differs from ours is owed to nobody."""
    found = [act for act in select(acts, ActKind.CLAIMED, of, side=side) if facts_of(act, Received).proper]
    return found[-1] if found else None
