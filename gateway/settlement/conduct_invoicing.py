"""The centre's invoices: of a frozen month to the operators, of a quarter to the ministries.

Source: 000仕4-4, 000契13-2; 002本2-3, 2-4.
"""

from datetime import date

from gateway.settlement import states
from gateway.settlement.admission import Person, check_person
from gateway.settlement.conduct_freezing import freeze, put_statement
from gateway.settlement.conduct_issuing import issue
from gateway.settlement.desk import Desk
from protocol.act import Act, ActKind


async def invoice(desk: Desk, period: str, person: Person, *, received: date | None = None) -> list[Act]:
    """Issue the centre's invoices and credit notes of a frozen period, one for every party that has business in it.

    received: the day on which the claims arrive, for dates that hang on it; today otherwise, as they come over the
    line. An inquiry centre freezes the quarter first. Done again it makes the same documents again. Returns: the acts
    that stand. Raises: StepRefused, NotCovered; SettlementError, StoreError, HsmError.
    """
    check_person(person)
    of, acts = desk.period(period), await desk.acts()
    sides = desk.claiming(of)
    if not desk.by_deposit:
        frozen = states.frozen(acts, of.text) or await freeze(desk, of, acts, person)
        await put_statement(desk, of, acts, frozen)
    return await issue(desk, of, sides, kind=ActKind.INVOICED, person=person, received=received)
