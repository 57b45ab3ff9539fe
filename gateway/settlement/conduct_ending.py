"""A contract's end at the desk: debts due at once, the final account, and the package that is handed over.

Source: 000契19 to 21, 26, 27; DOMAIN A7 to A9; DESIGN section 11.
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from gateway.settlement.admission import Person, admit, check_person
from gateway.settlement.conduct_contract import contract_with, debts_with, invoice_of
from gateway.settlement.contract_facts import Accelerated, Accounted, facts_of
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.ending import (
    Account,
    acceleration_act,
    account,
    account_act,
    account_bytes,
    billed,
    contract_term,
    obstacles_to,
    unbilled,
    unclaimed,
    whole_periods,
)
from gateway.settlement.errors import ActStands, SettlementError
from gateway.settlement.owing import Debt
from gateway.settlement.papers.account import account_papers
from gateway.settlement.periods import Period
from gateway.settlement.reading import read_statement
from gateway.settlement.shelving import open_shelf
from gateway.settlement.statements import Statement
from gateway.settlement.terms import Contract, PartyRole
from gateway.settlement.windows import Window
from protocol.act import Act, ActKind
from protocol.settlement import Amount


class NoAccount(SettlementError):  # noqa: N818  named after the fact
    """There is no final account of a contract. Fields: contract."""

    code: ClassVar[str] = "no-account"

    def __init__(self, contract: str) -> None:
        super().__init__(
            f"contract {contract} has no final account / 最終精算がありません; make it first (sekisho settle"
            " final-account)"
        )
        self.contract = contract


class AccountOvertaken(SettlementError):  # noqa: N818  named after the fact
    """The ledger has changed since the final account was made. Fields: contract."""

    code: ClassVar[str] = "account-overtaken"

    def __init__(self, contract: str) -> None:
        super().__init__(
            f"the ledger of contract {contract} has changed since its final account / 最終精算の後に台帳が変わりました;"
            " make the final account again"
        )
        self.contract = contract


async def accelerate(
    desk: Desk,
    party: str,
    debtor: PartyRole,
    event: int,
    person: Person,
    *,
    occurred: date,
    ground: str,
    reference: str,
    contract: str = "",
) -> Act:
    """Record by which event all debts of one side fell due at once (000契19-2, 契20-2).

    Returns: the act that stands. Raises: GivenInvalid, SettlementError, StoreError.
    """
    check_person(person)
    acts = await desk.acts()
    try:
        act = acceleration_act(
            contract_with(desk, party, contract),
            party,
            debtor,
            event,
            reference,
            occurred=occurred,
            ground=ground,
            day=desk.today,
            by=admit("accelerate", (), person).by,
            at_us=desk.now_us,
            acts=acts,
        )
    except ActStands as error:
        return error.act
    await desk.write([act], seen=of_period(acts, act.period), of=act.period)
    return act


async def due_at_once(desk: Desk, act: Act) -> list[Debt]:
    """The open debts that fell due by an acceleration. Raises: SettlementError, StoreError."""
    debtor = facts_of(act, Accelerated).debtor
    found = await debts_with(desk, contract_with(desk, act.party, act.contract), act.party, await desk.acts())
    return [debt for debt in found if debt.accelerated and debt.debtor == debtor and debt.open_yen > 0]


async def final_account(
    desk: Desk, party: str, ended: date, person: Person | None, *, contract: str = ""
) -> tuple[Account, Act | None]:
    """The account of a contract that ended on a day, as it stands today; recorded when somebody does it.

    Returns: the account, and the act that stands; None where nobody records it. Raises: StepRefused: the contract runs
    on, something is in no invoice (forcible). GivenInvalid, SettlementError, StoreError.
    """
    acts = await desk.acts()
    found = contract_with(desk, party, contract)
    over = contract_term(found, ended)
    made = await account_of(desk, found, party, over, acts, day=desk.today)
    if person is None:
        return made, None
    who = admit("final-account", obstacles_to(made, ended), person)
    try:
        act = account_act(made, by=who.by, second=who.second, ground=who.ground, at_us=desk.now_us, acts=acts)
    except ActStands as error:
        await _shelve(desk, made, error.act)
        return made, error.act
    await desk.write([act], seen=of_period(acts, act.period), of=act.period)
    await _shelve(desk, made, act)
    return made, act


async def account_of(
    desk: Desk, contract: Contract, party: str, over: Period, acts: Sequence[Act], *, day: date
) -> Account:
    """An account from these acts and the ledger. Raises: SettlementError, StoreError."""
    async with desk.reading() as reader:
        whole = own(contract, party, await read_statement(reader, window_over(desk, over)))
    return account(
        contract,
        party,
        over,
        await debts_with(desk, contract, party, acts),
        acts,
        unbilled=unbilled(whole.net, await _billed(desk, contract, party, over, acts)),
        unclaimed=unclaimed(contract, party, over, acts),
        day=day,
    )


async def standing_account(
    desk: Desk, contract: Contract, party: str, acts: Sequence[Act]
) -> tuple[Account, Sequence[Act], Period]:
    """The final account that was recorded last, made again; the acts up to it; the contract's term.

    Raises: NoAccount, AccountOvertaken; SettlementError, StoreError.
    """
    places = [
        place
        for place, act in enumerate(acts)
        if act.kind == ActKind.FINAL_ACCOUNT and (act.contract, act.party) == (contract.reference, party)
    ]
    if not places:
        raise NoAccount(contract.reference)
    act = acts[places[-1]]
    ended = date.fromisoformat(act.period.partition("/")[2])
    over = contract_term(contract, ended)
    upto = acts[: places[-1]]
    made = await account_of(desk, contract, party, over, upto, day=date.fromisoformat(act.day))
    if hashlib.sha256(account_bytes(made)).digest() != facts_of(act, Accounted).digest:
        raise AccountOvertaken(contract.reference)
    return made, acts[: places[-1] + 1], over


def window_over(desk: Desk, over: Period) -> Window:
    """A term as the ledger has it now."""
    return Window(whole_periods(over, by_month=desk.by_deposit), None, None, desk.by_deposit)


def own(contract: Contract, party: str, statement: Statement) -> Statement:
    """What of a statement a party's contract is about: its own business, or what was done for a municipality."""
    if contract.parties.get(PartyRole.MUNICIPALITY) == party:
        return statement.of(counterparty=party)
    return statement.of(party=party)


async def _shelve(desk: Desk, made: Account, act: Act) -> None:
    """Lay the account ready for the party."""
    shelf = await open_shelf(desk, made.term, made.party)
    for paper in account_papers(act, made, names=desk.names):
        await shelf.put(paper, made_us=act.at_us)
    await shelf.write_files()


async def _billed(desk: Desk, contract: Contract, party: str, over: Period, acts: Sequence[Act]) -> list[Amount]:
    whole = whole_periods(over, by_month=desk.by_deposit)
    return [
        billed(await invoice_of(desk, act), whole)
        for act in acts
        if act.kind in {ActKind.INVOICED, ActKind.RELEASED} and (act.contract, act.party) == (contract.reference, party)
    ]
