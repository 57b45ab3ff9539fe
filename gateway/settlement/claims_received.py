"""Claims that come to the centre: a municipality's for the fees, an operator's for its line; held against ours. Pure.

The centre owes what its own bill says and no other sum. A claim that says another, or another date than the contract
wants, is recorded with the difference and is not a proper one (適正な請求): no due date runs from it, and the next one
takes its place. Thirty days run from the day on which a proper claim was received (000仕15-4).

The line is claimed once for the contract's whole term and dated its last day (000仕15-3); of a term cut short, the day
on which it ended.

Source: 001-4-5, 4-6; 000契14, 000仕15; DOMAIN J3, J4, I4.
"""

from collections.abc import Iterable
from datetime import date

from gateway.settlement.billing import Bill, bill
from gateway.settlement.calendars import Calendars
from gateway.settlement.contract_facts import Received, facts_bytes, facts_of, once
from gateway.settlement.cycle import Step, cycle
from gateway.settlement.dates import Sense
from gateway.settlement.errors import GivenInvalid
from gateway.settlement.periods import Period, PeriodKind
from gateway.settlement.terms import Claim, Contract, PartyRole
from protocol.act import Act, ActKind


def flat_yen(contract: Contract, claim: Claim, span: Period) -> int:
    """What a claim without readings comes to over a span, each version of the terms over its part.

    Raises: GivenInvalid: the claim is by readings. NoTerms, TermsInvalid, UsageInvalid.
    """
    bills: list[Bill] = [bill(terms.claim(claim.id), part, {}) for terms, part in contract.over(span)]
    if any(line.item.yen is None or line.quantity == 0 for each in bills for line in each.lines):
        raise GivenInvalid(
            field="claim",
            why=f"{claim.id} is not flat: it needs readings / 定額の請求ではありません",
            remedy="hold it against the statement of its period",
        )
    return sum(each.total_yen for each in bills)


def receive(
    contract: Contract,
    claim: Claim,
    span: Period,
    *,
    party: str,
    number: str,
    yen: int,
    ours_yen: int,
    dated: date,
    received: date,
    acts: Iterable[Act],
    calendars: Calendars,
    by: str,
    at_us: int,
    document: bytes = b"",
) -> Act:
    """A claim that came on a day, held against our own. Whether it is proper is in its facts (`difference`).

    Raises: GivenInvalid: it is the centre that claims, the claim is of another kind of span, has no number, or came
    before its date; a proper one stands already with another number. ActStands: this very one.
    """
    if claim.payer is not PartyRole.CENTRE:
        raise GivenInvalid(
            field="claim",
            why=f"{claim.id} is the centre's own claim / センターが請求する側です",
            remedy="invoice it (sekisho settle invoice)",
        )
    if span.kind is not claim.period:
        raise GivenInvalid(
            field="period",
            why=f"{claim.id} is claimed once a {claim.period.value}, not for {span.text} / 対象期間が違います",
            remedy="give the term, as 2026-04-01/2027-03-31" if claim.period is PeriodKind.TERM else "give the month",
        )
    if not number.strip():
        raise GivenInvalid(
            field="number", why="is empty / 請求書番号がありません", remedy="give the claim's own number"
        )
    if received < dated:
        raise GivenInvalid(
            field="received",
            why=f"{received} is before the claim's date {dated} / 請求日より前です",
            remedy="give the day on which it arrived",
        )
    wanted = claim_date(claim, span, calendars)
    said = Received(
        number=number,
        dated=dated,
        ours_yen=ours_yen,
        proper=yen == ours_yen and wanted in (None, dated),
        document=document,
    )
    act = Act(
        kind=ActKind.CLAIMED,
        contract=contract.reference,
        claim=claim.id,
        period=span.text,
        party=party,
        day=str(received),
        by=by,
        yen=yen,
        at_us=at_us,
        facts=facts_bytes(said),
    )
    found = once(acts, act)
    for each in acts:
        if each.key[:5] == act.key[:5] and facts_of(each, Received).proper:
            raise GivenInvalid(
                field="number",
                why=f"the proper claim {facts_of(each, Received).number} of {each.yen:,} yen stands already"
                " / 適正な請求を受領済みです",
                remedy="send this one back",
            )
    return found


def claim_date(claim: Claim, span: Period, calendars: Calendars) -> date | None:
    """The date that a claim has to bear, where the contract names one (000仕15-3: 契約期間満了日付け)."""
    due = cycle(claim.dates, span, calendars=calendars).of(Step.INVOICE)
    return due.nominal if due is not None and due.rule.sense is Sense.ON else None


def differences(act: Act, claim: Claim, span: Period, calendars: Calendars) -> list[tuple[str, str]]:
    """Why a claim received is not a proper one, in Japanese and English; none when it is.

    Raises: FactsContradicted.
    """
    said = facts_of(act, Received)
    found = []
    if act.yen != said.ours_yen:
        found.append(
            (
                f"請求額{act.yen:,}円は、センターの計算{said.ours_yen:,}円と{act.yen - said.ours_yen:+,}円異なります",
                f"it claims {act.yen:,} yen, {act.yen - said.ours_yen:+,} yen against our {said.ours_yen:,}",
            )
        )
    wanted = claim_date(claim, span, calendars)
    if wanted not in (None, said.dated):
        found.append(
            (
                f"請求日{said.dated}は、契約期間満了日{wanted}ではありません",
                f"it is dated {said.dated}, and has to be dated {wanted}",
            )
        )
    return found
