"""How far a period is: every step of every claim with its date, who did it, and what is late. Read only."""

from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from gateway.settlement import facts, states
from gateway.settlement.cycle import Step, StepDate
from gateway.settlement.dates import Due, Sense
from gateway.settlement.desk import Desk
from gateway.settlement.owing import due_at_once
from gateway.settlement.periods import Period
from gateway.settlement.sides import Side, sides
from gateway.settlement.states import READY, Acts
from gateway.settlement.words import STEPS
from protocol.act import Act, ActKind

_PAYMENTS: Final = frozenset({Step.PAYMENT, Step.MUNICIPAL_PAYMENT})


class Stand(StrEnum):
    """Of a step."""

    DONE = "done"
    OPEN = "open"
    LATE = "late"
    LATER = "later"  # its first day is to come
    NONE = "none"  # nothing to do: no business, or nothing claimed yet


class StepStand(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one claim. Days as YYYY-MM-DD, "" where there is none (yet); yen of its act; detail in words."""

    step: Step
    name_ja: str
    name_en: str
    contract: str
    claim: str
    party: str
    incoming: bool
    day: str
    deadline: str
    stand: Stand
    by: str = ""
    second: str = ""
    ground: str = ""
    done_on: str = ""
    yen: int = 0
    detail: str = ""


class DifferenceStand(msgspec.Struct, frozen=True, kw_only=True):
    """A difference of an operator's reconciliation. key: what accept names it by, in hex."""

    party: str
    key: str
    fault: str
    proposal: str
    text: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A period as it stands. steps by claim in the order of the cycle; frozen_yen: what the period came to."""

    period: str
    first: date
    last: date
    today: date
    frozen: bool
    frozen_yen: int
    steps: tuple[StepStand, ...]
    differences: tuple[DifferenceStand, ...]

    @property
    def late(self) -> tuple[StepStand, ...]:
        """What is overdue."""
        return tuple(each for each in self.steps if each.stand is Stand.LATE)


async def status(desk: Desk, period: str) -> Status:
    """How far a period is. Raises: PeriodInvalid, WrongPeriod, StoreError, SettlementError."""
    of = desk.period(period)
    return status_of(desk, of, await desk.acts())


def status_of(desk: Desk, of: Period, acts: Acts) -> Status:
    """The same from acts. Raises: FactsContradicted, TwoContracts."""
    known = sides(desk.contracts, of)
    frozen = states.frozen(acts, of.text)
    return Status(
        period=of.text,
        first=of.first,
        last=of.last,
        today=desk.today,
        frozen=frozen is not None,
        frozen_yen=0 if frozen is None else frozen.yen,
        steps=tuple(step for side in known for step in _steps(desk, of, acts, side)),
        differences=tuple(each for side in known for each in _differences(acts, of, side)),
    )


def _steps(desk: Desk, of: Period, acts: Acts, side: Side) -> Iterator[StepStand]:
    received = _received(acts, of, side)
    for ordinary in side.dates(of, desk.calendars, received=received).dates:
        each = _at_once(ordinary, acts, of, side)
        done, detail, needed = _done(each.step, desk, of, acts, side)
        due = each.due
        ja, en = STEPS[each.step]
        yield StepStand(
            step=each.step,
            name_ja=ja,
            name_en=en,
            contract=side.contract.reference,
            claim=side.claim.id,
            party=side.party,
            incoming=side.incoming,
            day="" if due is None else str(due.day),
            deadline="" if due is None else str(due.deadline),
            stand=_stand(each, desk.today, done=done is not None, needed=needed),
            by="" if done is None else done.by,
            second="" if done is None else done.second,
            ground="" if done is None else done.ground,
            done_on="" if done is None else done.day,
            yen=0 if done is None else done.yen,
            detail=detail if each is ordinary else f"期限の利益喪失 / due at once  {detail}".rstrip(),
        )


def _at_once(each: StepDate, acts: Acts, of: Period, side: Side) -> StepDate:
    """A payment's date, earlier where the benefit of term was lost (gateway.settlement.owing)."""
    demand = states.demand(acts, of.text, side.key) if each.step in _PAYMENTS else None
    if demand is None:
        return each
    debtor = side.claim.payer if demand.yen >= 0 else side.claim.payee
    day = due_at_once(acts, side.contract.reference, debtor, asked=date.fromisoformat(demand.act.day))
    if day is None or (each.due is not None and each.due.deadline <= day):
        return each
    return StepDate(rule=each.rule, due=Due(day=day, nominal=day, rule=each.rule))


def _stand(each: StepDate, today: date, *, done: bool, needed: bool) -> Stand:
    due = each.due
    if each.step is Step.CLOSE:
        return Stand.DONE if due is not None and today > due.day else Stand.LATER
    if done:
        return Stand.DONE
    if not needed or due is None:
        return Stand.NONE
    if due.rule.sense is Sense.FROM:
        return Stand.LATER if today < due.day else Stand.OPEN
    return Stand.LATE if today > due.deadline else Stand.OPEN


def _done(step: Step, desk: Desk, of: Period, acts: Acts, side: Side) -> tuple[Act | None, str, bool]:
    """The act that did a step, what to say of it, and whether it is to be done at all."""
    key = side.key
    frozen = states.frozen(acts, of.text)
    if step is Step.DISCLOSE:
        made = states.select(acts, ActKind.DISCLOSED, of.text, party=side.party)
        detail = f"第{len(made)}回 / no. {len(made)}, the first on {made[0].day}" if len(made) > 1 else ""
        return (made[-1] if made else None), detail, True
    if step is Step.RECONCILE:
        return _reconciled(acts, of, side)
    if step is Step.CONFIRM:
        return frozen, "", True
    if step in {Step.FETCH, Step.INVOICE}:
        kind = ActKind.RELEASED if step is Step.FETCH else ActKind.INVOICED
        act = states.latest(acts, kind, of.text, side=key)
        return act, "", act is not None or frozen is None or _expected(desk, of, acts, side, kind)
    if step is Step.MUNICIPAL_INVOICE:
        act = states.proper_claim(acts, of.text, key)
        return act, "", states.latest(acts, ActKind.RELEASED, of.text, side=key) is not None
    if step in _PAYMENTS:
        return _paid(acts, of, side)
    return None, "", False


def _expected(desk: Desk, of: Period, acts: Acts, side: Side, kind: ActKind) -> bool:
    """Whether a document of a frozen period may still come: a side without business gets none.

    Once one of its kind stands all do. Before, a month's disclosures say who has rows.
    """
    if states.select(acts, kind, of.text):
        return False
    if not desk.by_deposit:
        return True
    told = {each.party: states.exchange(acts, of.text, each.party).disclosed for each in desk.sides(of, incoming=True)}
    asked = [told[side.party]] if side.incoming else list(told.values())
    return any(act is None or facts.disclosed(act).rows for act in asked)


def _reconciled(acts: Acts, of: Period, side: Side) -> tuple[Act | None, str, bool]:
    exchange = states.exchange(acts, of.text, side.party)
    agreement = exchange.agreement
    if agreement not in READY:
        return None, agreement.value, True
    return exchange.reconciled, agreement.value, True


def _paid(acts: Acts, of: Period, side: Side) -> tuple[Act | None, str, bool]:
    demand = states.demand(acts, of.text, side.key)
    if demand is None:
        return None, "", False
    if demand.open_yen == 0:
        return (demand.paid[-1] if demand.paid else demand.act), "", True
    return None, f"{demand.open_yen:,} / {demand.yen:,} yen open", True


def _received(acts: Acts, of: Period, side: Side) -> date | None:
    """The day of receipt that a due date hangs on, once the claim came."""
    demand = states.demand(acts, of.text, side.key)
    if demand is None:
        return None
    if demand.act.kind == ActKind.CLAIMED:
        return date.fromisoformat(demand.act.day)
    told = facts.issued(demand.act).received_on
    return date.fromisoformat(told) if told else None


def _differences(acts: Acts, of: Period, side: Side) -> Iterator[DifferenceStand]:
    if not side.incoming:
        return
    found = states.exchange(acts, of.text, side.party).reconciliation
    for each in found.differences if found else ():
        yield DifferenceStand(
            party=side.party,
            key=each.key.hex(),
            fault=each.fault.value,
            proposal=each.proposal.value,
            text=each.text,
        )
