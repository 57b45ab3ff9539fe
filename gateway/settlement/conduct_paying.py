"""Recording what was paid of a claim, the centre's or one on it.

Yen are positive where the claim's payer pays its payee, and negative where a credit notice is paid back. A payment
is a fact: it is recorded on whatever day it is done, late or not; what it cannot be is of another sign, more than is
open, or of a day to come. Source: 000契13-3, 000仕4-5, 001-4-6, 002本2-4; DOMAIN X 3, X 4.
"""

from collections.abc import Iterator
from datetime import date

from gateway.settlement import states
from gateway.settlement.admission import Obstacle, Person, StepRefused, admit, check_person
from gateway.settlement.conduct_receipts import put_receipt
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.periods import Period, period
from gateway.settlement.sides import sides
from gateway.settlement.states import Acts, Demand
from protocol.act import Act, ActKind


async def pay(
    desk: Desk,
    of: str,
    party: str,
    person: Person,
    *,
    day: date,
    yen: int | None = None,
    claim: str = "",
    again: bool = False,
) -> Act:
    """Record a payment of a party's claim. day: when the money came, or went; yen: all that is open when None.

    A payment of the same day and sum stands already unless again says that it is another one. claim: its id, where a
    party has several. Returns: the act that stands. Raises: StepRefused, SettlementError, StoreError.
    """
    check_person(person)
    span, acts = period(of), await desk.acts()
    side = _side(desk, span, party, claim, acts)
    demand = None if side is None else states.demand(acts, span.text, side)
    if side is None or demand is None:
        raise _refused(_unclaimed(party, claim))
    amount = demand.open_yen if yen is None else yen
    for act in demand.paid:
        if not again and act.day == str(day) and (yen is None or act.yen == amount):
            await put_receipt(desk, span, acts, act)
            return act
    who = admit("pay", _obstacles(desk, demand, day, amount), person)
    paid = Act(
        kind=int(ActKind.PAID),
        contract=side[0],
        claim=side[1],
        period=span.text,
        party=party,
        turn=len(demand.paid),
        day=str(day),
        by=who.by,
        second=who.second,
        ground=who.ground,
        yen=amount,
        at_us=desk.now_us,
    )
    await desk.write([paid], seen=of_period(acts, span.text), of=span.text)
    await put_receipt(desk, span, acts, paid)
    return paid


def _side(desk: Desk, span: Period, party: str, claim: str, acts: Acts) -> tuple[str, str, str] | None:
    """The side that is meant: by its claim's id, else the only one that has a claim standing."""
    found = [
        each
        for each in sides(desk.contracts, span)
        if each.party == party and claim in ("", each.claim.id) and states.demand(acts, span.text, each.key) is not None
    ]
    return found[0].key if len(found) == 1 else None


def _obstacles(desk: Desk, demand: Demand, day: date, yen: int) -> Iterator[Obstacle]:
    if day > desk.today:
        yield Obstacle(code="to-come", ja=f"支払日{day}はまだ来ていない", en=f"{day} is still to come", forcible=False)
    if str(day) < demand.act.day:
        yield Obstacle(
            code="before-claim", ja=f"請求({demand.act.day})より前の支払日", en=f"before the claim of {demand.act.day}"
        )
    if yen == 0 or (yen > 0) != (demand.yen > 0):
        yield Obstacle(
            code="sign",
            ja=f"請求額{demand.yen:,}円に対し{yen:,}円は支払いにならない",
            en=f"{yen:,} yen is no payment of a claim of {demand.yen:,}",
            forcible=False,
        )
    elif abs(yen) > abs(demand.open_yen):
        yield Obstacle(
            code="too-much",
            ja=f"未払額{demand.open_yen:,}円を超える",
            en=f"more than the {demand.open_yen:,} yen that are open",
        )


def _unclaimed(party: str, claim: str) -> Obstacle:
    what = f" ({claim})" if claim else ""
    return Obstacle(
        code="not-claimed",
        ja=f"{party}{what}の請求がない",
        en=f"{party}{what} has no claim, or several: name one",
        forcible=False,
    )


def _refused(obstacle: Obstacle) -> StepRefused:
    return StepRefused("pay", (obstacle,))
