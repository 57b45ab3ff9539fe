"""Late interest out of the acts: each late payment by itself, days of inspections left out, and what was waived. Pure.

A part payment begins another delay. Where the wording makes the fees received the base (000契17: その入金された金額)
and the net is paid in parts, each part bears interest on its share of those fees; the shares add up to the fees
exactly, so that one late payment of the whole costs what the wording says, and no part of them bears interest twice for
one day. That is a decision: the wording knows one payment only.

What is still unpaid grows until it is paid. It is shown as it stands on a day and is not asked for before.

Source: 000契12, 契17; 003 6-3; DOMAIN I7, I8.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import msgspec

from gateway.settlement.contract_facts import Inspected, Reckoned, facts_bytes, facts_of, once
from gateway.settlement.errors import ActStands, GivenInvalid
from gateway.settlement.interest import LateInterest, Span, Waiver, late_interest
from gateway.settlement.owing import Debt
from gateway.settlement.periods import term
from protocol.act import Act, ActKind


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """One delay. turn: of the payment that ended it, None while it lasts; asked, waived: by which acts."""

    turn: int | None
    late: LateInterest
    asked: Act | None = None
    waived: Act | None = None


def delays(debt: Debt, acts: Iterable[Act], *, today: date) -> list[Delay]:
    """The late payments of a debt in their order, and what is unpaid as if it were paid today.

    None for a debt whose claim has no article on late interest, or whose debtor is not the one that it binds (the
    claim's payer). Raises: FactsContradicted, NoRate.
    """
    if debt.claim.interest is None or debt.deadline is None or debt.debtor is not debt.claim.payer:
        return []
    known = list(acts)
    excluded = inspections(known, debt.contract)
    found = []
    for turn, day, part_yen, base_yen in _parts(debt, today):
        if day <= debt.deadline or part_yen <= 0:
            continue
        asked, waived = (_about_payment(known, debt, kind, turn) for kind in (ActKind.INTEREST, ActKind.WAIVED))
        late = (
            late_interest(
                debt.claim.interest,
                received_yen=base_yen,
                unpaid_yen=part_yen,
                deadline=debt.deadline,
                paid=day,
                concluded=debt.terms.concluded,
                excluded=excluded,
            )
            if asked is None
            else facts_of(asked, Reckoned).late
        )
        found.append(Delay(turn=turn, late=late, asked=asked, waived=waived))
    return found


def inspections(acts: Iterable[Act], contract: str) -> list[Span]:
    """The days of a contract's inspections. Raises: FactsContradicted."""
    said = [facts_of(act, Inspected) for act in acts if act.kind == ActKind.INSPECTED and act.contract == contract]
    return [Span(first=each.first, last=each.last) for each in said]


def interest_act(
    debt: Debt, delay: Delay, *, payable_by: date, day: date, by: str, at_us: int, acts: Iterable[Act]
) -> Act:
    """Ask for the interest of a delay that has ended (000契17-1: 甲の指定する日までに). acts: all that stand.

    Raises: GivenInvalid: it lasts yet, or comes to nothing; the day is past. ActStands.
    """
    if delay.turn is None:
        raise GivenInvalid(
            field="period",
            why="it is not paid yet, and until then the interest grows / 未払いのため遅延利息が確定していません",
            remedy="record the payment, then ask for the interest",
        )
    if delay.asked is not None:
        raise ActStands(delay.asked)
    if not delay.late.interest_yen:
        raise GivenInvalid(
            field="period",
            why=f"{delay.late.days} days on {delay.late.base_yen:,} yen come to no interest / 遅延利息は生じません",
            remedy="nothing is to be asked for",
        )
    if payable_by < day:
        raise GivenInvalid(
            field="payable_by",
            why=f"{payable_by} is past / 指定日が過ぎています",
            remedy=f"name a day from {day} on",
        )
    late = msgspec.structs.replace(delay.late, payable_by=payable_by)
    said = Reckoned(payment=delay.turn, late=late)
    return once(acts, _about(debt, ActKind.INTEREST, late.interest_yen, said, day, by, at_us))


def waiver_act(debt: Debt, delay: Delay, waiver: Waiver, *, day: date, by: str, at_us: int, acts: Iterable[Act]) -> Act:
    """Let the interest of a delay go, asked for or not (000契17-1, 甲が認めた場合).

    Raises: GivenInvalid: it lasts yet, no ground or reference. ActStands.
    """
    if delay.turn is None:
        raise GivenInvalid(
            field="period",
            why="it is not paid yet; how much would be let go is not known / 未払いのため免除額が確定していません",
            remedy="record the payment, then waive",
        )
    if delay.waived is not None:
        raise ActStands(delay.waived)
    for field, text in (("ground", waiver.ground), ("reference", waiver.reference)):
        if not text.strip():
            raise GivenInvalid(
                field=field, why="is empty / 記載がありません", remedy="say why, and the written decision"
            )
    late = msgspec.structs.replace(delay.late, waiver=waiver, payable_yen=0, payable_by=None)
    said = Reckoned(payment=delay.turn, late=late)
    return once(acts, _about(debt, ActKind.WAIVED, -late.interest_yen, said, day, by, at_us))


def inspection_act(
    contract: str, party: str, said: Inspected, acts: Iterable[Act], *, day: date, by: str, at_us: int
) -> Act:
    """Record an inspection that was held (000契12). Its days are a term, by which it stands once.

    Raises: GivenInvalid: it ends before it begins or after today, or its notice did not come before it. ActStands.
    """
    if said.last < said.first:
        raise GivenInvalid(
            field="last",
            why=f"{said.last} is before {said.first} / 終わりが始めより前です",
            remedy="give both in order",
        )
    if said.last > day:
        raise GivenInvalid(
            field="last", why=f"{said.last} is to come / まだ終わっていません", remedy="record it when it is over"
        )
    if said.notice >= said.first:
        raise GivenInvalid(
            field="notice",
            why=f"the written notice of {said.notice} did not come before {said.first}"
            " / 事前の書面通知がありません(000契12-2)",
            remedy="give the day of a notice that came before the inspection",
        )
    act = Act(
        kind=ActKind.INSPECTED,
        contract=contract,
        claim="",
        period=term(said.first, said.last).text,
        party=party,
        day=str(said.last),
        by=by,
        at_us=at_us,
        facts=facts_bytes(said),
    )
    return _only(acts, act)


def _only(acts: Iterable[Act], act: Act) -> Act:
    """An act of which there is one. Raises: ActStands."""
    for each in acts:
        if each.key == act.key:
            raise ActStands(each)
    return act


def _parts(debt: Debt, today: date) -> Iterator[tuple[int | None, date, int, int]]:
    """Each payment and then what is open: its turn, its day, what it paid of the debt, and its share of the fees."""
    upto = shared = 0
    for payment in debt.payments:
        part = min(payment.yen, debt.yen - upto)
        upto += part
        share = _share(debt, upto) - shared
        shared += share
        yield payment.turn, payment.day, part, share
    if upto < debt.yen:
        yield None, today, debt.yen - upto, debt.received_yen - shared


def _share(debt: Debt, upto_yen: int) -> int:
    return debt.received_yen * upto_yen // debt.yen if debt.yen else 0


def _about_payment(acts: Sequence[Act], debt: Debt, kind: ActKind, payment: int | None) -> Act | None:
    key = (debt.contract, debt.claim.id, debt.period.text, debt.party, kind)
    found = (act for act in acts if act.key[:5] == key and facts_of(act, Reckoned).payment == payment)
    return next(found, None)


def _about(debt: Debt, kind: ActKind, yen: int, facts: msgspec.Struct, day: date, by: str, at_us: int) -> Act:
    return Act(
        kind=kind,
        contract=debt.contract,
        claim=debt.claim.id,
        period=debt.period.text,
        party=debt.party,
        day=str(day),
        by=by,
        yen=yen,
        at_us=at_us,
        facts=facts_bytes(facts),
    )
