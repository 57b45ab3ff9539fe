"""A contract's end: debts that fall due at once, and the final account of all that was asked, paid and left open. Pure.

期限の利益喪失 (000契19-2, of the operator; 20-2, of the centre): what is owed falls due at once by the event itself;
the act records it with its clause. Whoever ends the contract or lets it run out settles what was issued within its term
(000契21, 27): the account shows every claim of either side, late interest asked for, waived and still running, and what
the ledger holds that nobody has billed. It does not set one side's debts off against the other's; it shows the
difference beside them, as set-off is for the parties to declare (民法505).

Source: 000契19 to 21, 26, 27; DOMAIN A7, A8, A9.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import msgspec

from gateway.settlement.admission import Obstacle
from gateway.settlement.claims_received import flat_yen
from gateway.settlement.contract_facts import Accelerated, Accounted, facts_bytes, facts_of, once
from gateway.settlement.errors import ActStands, GivenInvalid
from gateway.settlement.overdue import Delay, delays
from gateway.settlement.owing import Debt, claims_received, interest_claim, paid_on, party_in
from gateway.settlement.periods import Period, PeriodKind, last_of_month, period, shift_months, term
from gateway.settlement.terms import Contract, PartyRole
from protocol.act import Act, ActKind
from protocol.invoice import Invoice
from protocol.settlement import NOTHING, Amount

CLAUSES: Final = {PartyRole.OPERATOR: ("000契19-2", 6), PartyRole.CENTRE: ("000契20-2", 5)}
"""By which article a role loses the benefit of term, and how many events the first paragraph of that article names."""


class AccountLine(msgspec.Struct, frozen=True, kw_only=True):
    """One claim in the account. Amounts are whole yen, 0 or more; open_yen is negative when too much was paid.

    interest_*: of its delays; asked less waived and paid is what is owed of it, running is not asked for yet.
    """

    period: str
    claim: str
    number: str
    debtor: str
    creditor: str
    asked: date
    deadline: date | None
    accelerated: bool
    yen: int
    paid_yen: int
    open_yen: int
    interest_asked_yen: int
    interest_waived_yen: int
    interest_paid_yen: int
    interest_running_yen: int


class Unclaimed(msgspec.Struct, frozen=True, kw_only=True):
    """What the centre owes by its own reckoning, and no proper claim has come for."""

    period: str
    claim: str
    yen: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The final account of a contract with one party, as it stands on a day.

    unbilled: what the ledger holds of the term and no invoice has; unclaimed: what nobody has claimed from the centre,
    who pays on a claim alone (000仕15-4, 001-4-5). to_centre_yen, from_centre_yen: open debts and the
    interest that was asked for, of the party and of the centre; net_yen: their difference.
    """

    version: int = 1
    contract: str
    party: str
    term: str
    day: date
    lines: tuple[AccountLine, ...]
    unbilled: Amount
    unclaimed: tuple[Unclaimed, ...]
    to_centre_yen: int
    from_centre_yen: int

    @property
    def net_yen(self) -> int:
        """What the party owes beyond what it is owed; negative the other way round."""
        return self.to_centre_yen - self.from_centre_yen

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left: nothing open on either side, unbilled or unclaimed."""
        open_yen = self.to_centre_yen or self.from_centre_yen
        return not open_yen and self.unbilled == NOTHING and not self.unclaimed


_encode = msgspec.msgpack.Encoder().encode


def account_bytes(account: Account) -> bytes:
    """The canonical bytes."""
    return _encode(account)


def acceleration_act(
    contract: Contract,
    party: str,
    debtor: PartyRole,
    event: int,
    reference: str,
    *,
    occurred: date,
    ground: str,
    day: date,
    by: str,
    at_us: int,
    acts: Iterable[Act],
) -> Act:
    """Record the event by which all debts of one side fell due at once.

    event: its number in the first paragraph of the article. occurred: the day of the event; day: today.

    Raises: GivenInvalid: no article gives that role that event, no ground or reference, a day to come. ActStands: that
    side's stands already.
    """
    sides = {side for terms in contract.terms for claim in terms.claims for side in (claim.payer, claim.payee)}
    if debtor not in CLAUSES or not sides.issuperset(CLAUSES):
        raise GivenInvalid(
            field="debtor",
            why=f"no article makes debts of {debtor.value} fall due at once / 期限の利益喪失の定めがありません",
            remedy=f"give one of {', '.join(role.value for role in CLAUSES)}",
        )
    clause, events = CLAUSES[debtor]
    if not 1 <= event <= events:
        raise GivenInvalid(
            field="event",
            why=f"{clause} refers to events 1 to {events} / 該当する号がありません",
            remedy=f"give the number of the event in {clause.partition('-')[0]}-1",
        )
    for field, text in (("ground", ground), ("reference", reference)):
        if not text.strip():
            raise GivenInvalid(
                field=field, why="is empty / 記載がありません", remedy="say what happened, and the record of it"
            )
    if occurred > day:
        raise GivenInvalid(
            field="on", why=f"{occurred} is to come / 将来の日です", remedy="record it once it has happened"
        )
    act = Act(
        kind=ActKind.ACCELERATED,
        contract=contract.reference,
        claim="",
        period="",
        party=party,
        day=str(occurred),
        by=by,
        ground=ground,
        at_us=at_us,
        facts=facts_bytes(Accelerated(debtor=debtor.value, clause=f"{clause} ({event})", reference=reference)),
    )
    standing = [each for each in acts if each.key[:5] == act.key[:5]]
    for each in standing:
        if facts_of(each, Accelerated).debtor == debtor.value:
            raise ActStands(each)
    return once(standing, act)


def account(
    contract: Contract,
    party: str,
    over: Period,
    debts: Sequence[Debt],
    acts: Sequence[Act],
    *,
    unbilled: Amount,
    unclaimed: Sequence[Unclaimed],
    day: date,
) -> Account:
    """The account of a term. Raises: FactsContradicted, NoRate."""
    lines = tuple(
        _line(debt, delays(debt, acts, today=day), acts)
        for debt in debts
        if debt.contract == contract.reference and debt.party == party
    )
    owed = {True: 0, False: 0}
    for line in lines:
        owed[line.creditor == PartyRole.CENTRE] += (
            line.open_yen + line.interest_asked_yen - line.interest_waived_yen - line.interest_paid_yen
        )
    return Account(
        contract=contract.reference,
        party=party,
        term=over.text,
        day=day,
        lines=lines,
        unbilled=unbilled,
        unclaimed=tuple(unclaimed),
        to_centre_yen=owed[True],
        from_centre_yen=owed[False],
    )


def whole_periods(over: Period, *, by_month: bool) -> Period:
    """The whole months, or quarters, that a term touches: a period is settled as a whole."""
    before, after = (0, 0) if by_month else ((over.first.month - 1) % 3, 2 - (over.last.month - 1) % 3)
    end = shift_months(over.last, after)
    return term(shift_months(over.first, -before), last_of_month(end.year, end.month))


def billed(invoice: Invoice, whole: Period) -> Amount:
    """What an invoice has of a term's whole periods: all of one within them, and of a later one what it carries.

    What came after a period was frozen is in the next invoice, though the contract had ended by then (DOMAIN A7).
    """
    if period(invoice.period).first <= whole.last:
        return invoice.net
    carried = NOTHING
    for cell in invoice.cells:
        carried += cell.carried
    return carried


def unbilled(of_term: Amount, invoiced: Iterable[Amount]) -> Amount:
    """What the ledger holds of a term beyond what the invoices have."""
    left = of_term
    for each in invoiced:
        left += Amount(-each.entries, -each.copies, -each.yen, -each.commission)
    return left


def unclaimed(contract: Contract, party: str, over: Period, acts: Sequence[Act]) -> list[Unclaimed]:
    """What stays to be claimed from the centre: flat charges of the term, and payment statements of its periods.

    Raises: FactsContradicted, SettlementError of a contract whose terms do not cover its term.
    """
    claimed = {each.act.key[:4] for each in claims_received(acts)}
    found = [
        Unclaimed(period=act.period, claim=act.claim, yen=act.yen)
        for act in acts
        if act.kind == ActKind.RELEASED
        and (act.contract, act.party) == (contract.reference, party)
        and act.key[:4] not in claimed
        and act.yen
    ]
    for claim in contract.on(over.last).claims:
        place = (contract.reference, claim.id, over.text, party)
        if claim.period is PeriodKind.TERM and claim.payer is PartyRole.CENTRE and party_in(contract, claim) == party:
            yen = 0 if place in claimed else flat_yen(contract, claim, over)
            found += [Unclaimed(period=over.text, claim=claim.id, yen=yen)] if yen else []
    return found


def obstacles_to(made: Account, ended: date) -> Iterator[Obstacle]:
    """What is in the way of recording an account."""
    if ended >= made.day:
        yield Obstacle(
            code="not-ended",
            ja=f"契約は{ended}まで",
            en=f"the contract runs until {ended}",
            forcible=False,
        )
    if made.unbilled != NOTHING:
        yield Obstacle(
            code="unbilled",
            ja=f"未請求の取扱い{made.unbilled.entries}件({made.unbilled.due_yen:,}円)がある",
            en=f"{made.unbilled.entries} bookings of {made.unbilled.due_yen:,} yen are in no invoice; confirm and"
            " invoice their periods",
        )


def account_act(made: Account, *, by: str, second: str, ground: str, at_us: int, acts: Iterable[Act]) -> Act:
    """Record the final account. One made later, as payments came in, takes the next turn. Raises: ActStands."""
    said = Accounted(
        digest=hashlib.sha256(account_bytes(made)).digest(),
        to_centre_yen=made.to_centre_yen,
        from_centre_yen=made.from_centre_yen,
    )
    act = Act(
        kind=ActKind.FINAL_ACCOUNT,
        contract=made.contract,
        claim="",
        period=made.term,
        party=made.party,
        day=str(made.day),
        by=by,
        second=second,
        ground=ground,
        yen=made.net_yen,
        at_us=at_us,
        facts=facts_bytes(said),
    )
    return once(acts, act)


def contract_term(contract: Contract, ended: date) -> Period:
    """From the first day of a contract's terms to the day on which it ended. Raises: PeriodInvalid."""
    return term(contract.terms[0].valid_from, ended)


def _line(debt: Debt, found: Sequence[Delay], acts: Sequence[Act]) -> AccountLine:
    place = (debt.contract, interest_claim(debt.claim.id), debt.period.text, debt.party)
    return AccountLine(
        period=debt.period.text,
        claim=debt.claim.id,
        number=debt.number,
        debtor=debt.debtor,
        creditor=debt.creditor,
        asked=debt.asked,
        deadline=debt.deadline,
        accelerated=debt.accelerated,
        yen=debt.yen,
        paid_yen=debt.paid_yen,
        open_yen=debt.open_yen,
        interest_asked_yen=sum(each.asked.yen for each in found if each.asked is not None),
        interest_waived_yen=sum(
            -each.waived.yen for each in found if each.waived is not None and each.asked is not None
        ),
        interest_paid_yen=sum(each.yen for each in paid_on(acts, place)),
        interest_running_yen=sum(
            each.late.interest_yen for each in found if each.asked is None and each.waived is None
        ),
    )
