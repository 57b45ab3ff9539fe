"""The steps beyond a month's cycle: claims that came, late interest, inspections, debts due at once, the final account.

Each step done again gives the act that stands. Claims received are paid by gateway.settlement.conduct_paying, like
those of the centre; interest is a claim of its own and is paid here.

Source: 000契12, 契14, 契17, 契19 to 21, 000仕15; 001-4-5, 4-6; DESIGN section 11.
"""

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

import msgspec

from gateway.settlement import facts, states
from gateway.settlement.admission import Person, admit, check_person
from gateway.settlement.claims_received import flat_yen, receive
from gateway.settlement.conduct_receipts import put_interest_receipt
from gateway.settlement.contract_facts import Inspected, Reckoned, facts_of
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.errors import ActStands, GivenInvalid, SettlementError
from gateway.settlement.interest import Waiver
from gateway.settlement.overdue import Delay, delays, inspection_act, interest_act, waiver_act
from gateway.settlement.owing import Asked, Debt, debts, found_claim, interest_claim, paid_on
from gateway.settlement.papers import interest_papers
from gateway.settlement.periods import Period, PeriodKind, period
from gateway.settlement.shelving import open_shelf
from gateway.settlement.terms import Claim, Contract
from gateway.settlement.windows import in_japan
from gateway.store.settlement_acts import DocumentStore
from gateway.store.settlement_lines import BringingStore
from protocol.act import Act, ActKind
from protocol.invoice import Invoice, decode_invoice, decode_signed


class DocumentMissing(SettlementError):  # noqa: N818  named after the fact
    """A document that an act issued is not where it was put, or is another. Fields: number."""

    code: ClassVar[str] = "document-missing"

    def __init__(self, number: str) -> None:
        super().__init__(
            f"the document {number} is missing, or is another than was issued / 発行済みの文書がありません; run sekisho"
            " settle verify, and the step that issues it once more"
        )
        self.number = number


class NothingOwed(SettlementError):  # noqa: N818  named after the fact
    """Nobody asked for anything there. Fields: period, party, claim."""

    code: ClassVar[str] = "nothing-owed"

    def __init__(self, of: str, party: str, claim: str) -> None:
        super().__init__(
            f"nothing was asked of {party} for {of} under claim {claim} / 請求がありません; invoice it, or record the"
            " claim that came (sekisho settle receive)"
        )
        self.period = of
        self.party = party
        self.claim = claim


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """A debt with its delays. interest_paid_yen: of the interest asked for."""

    debt: Debt
    delays: tuple[Delay, ...]
    interest_paid_yen: int


async def receive_claim(
    desk: Desk,
    of: str,
    party: str,
    claim: str,
    person: Person,
    *,
    number: str,
    yen: int,
    dated: date,
    received: date,
    document: bytes = b"",
) -> tuple[Act, Claim]:
    """Record a claim that came to the centre, held against ours (`claims_received.differences` says how it differs).

    Ours is the payment statement of the period (001-4-4), or what the flat items come to over the term (000仕15).
    document: SHA-256 of its file. Returns: the act that stands, and the claim's terms.
    Raises: GivenInvalid, StepRefused, SettlementError, StoreError.
    """
    check_person(person)
    span, acts = period(of), await desk.acts()
    _not_to_come(desk, "on", received)
    contract, _, found = found_claim(desk.contracts, party=party, claim=claim, of=span)
    try:
        act = receive(
            contract,
            found,
            span,
            party=party,
            number=number,
            yen=yen,
            ours_yen=_ours(contract, found, span, party, acts),
            dated=dated,
            received=received,
            acts=acts,
            calendars=desk.calendars,
            by=admit("receive", (), person).by,
            at_us=desk.now_us,
            document=document,
        )
    except ActStands as error:
        return error.act, found
    await desk.write([act], seen=of_period(acts, span.text), of=span.text)
    return act, found


async def receive_from_line(desk: Desk, of: str, party: str, claim: str, person: Person) -> tuple[Act, Claim]:
    """The same of the last claim that came over the party's line, received on the day on which it came.

    Raises: GivenInvalid: none came; as receive_claim.
    """
    span = period(of)
    came = [row for row in await BringingStore(desk.database).claims(period=span.text) if row.party == party]
    if not came:
        raise GivenInvalid(
            field="number",
            why=f"no claim of {party} for {span.text} came over its line / 請求書が届いていません",
            remedy="give the number, sum and day of one that came another way",
        )
    last = came[-1]
    return await receive_claim(
        desk,
        of,
        party,
        claim,
        person,
        number=last.number,
        yen=last.yen,
        dated=date.fromisoformat(last.day),
        received=in_japan(last.received_us).date(),
        document=facts.digest_of(last.content),
    )


async def overdue(desk: Desk, of: str, party: str, claim: str) -> Overdue:
    """A debt and its delays as they stand today. Raises: NothingOwed, GivenInvalid, SettlementError, StoreError."""
    return await _overdue(desk, period(of), party, claim, await desk.acts())


async def ask_interest(desk: Desk, of: str, party: str, claim: str, person: Person, *, payable_by: date) -> list[Act]:
    """Ask for the interest of every delay that ended and was neither asked for nor waived (000契17-1).

    Returns: all acts that ask for interest on this debt; their documents are put for the party. Raises: GivenInvalid
    when there is nothing to ask for; NothingOwed, SettlementError, StoreError.
    """
    check_person(person)
    span, acts = period(of), await desk.acts()
    late = await _overdue(desk, span, party, claim, acts)
    standing = [each.asked for each in late.delays if each.asked is not None]
    fresh = [each for each in late.delays if each.asked is None and each.waived is None]
    ended = [each for each in fresh if each.turn is not None and each.late.interest_yen]
    if not ended and not standing:
        if not fresh:
            raise _no_delay(late.debt)
        ended = fresh[:1]  # the refusal names why
    by = admit("late", (), person).by
    made: list[Act] = []
    for each in ended:
        so_far = [*acts, *made]
        made.append(
            interest_act(late.debt, each, payable_by=payable_by, day=desk.today, by=by, at_us=desk.now_us, acts=so_far)
        )
    if made:
        await desk.write(made, seen=of_period(acts, span.text), of=span.text)
    return await _with_papers(desk, span.text, party, [*standing, *made])


async def waive_interest(desk: Desk, of: str, party: str, claim: str, person: Person, waiver: Waiver) -> list[Act]:
    """Let the interest of every delay that ended go (000契17-1但書). Returns: the acts that stand. Raises: as above."""
    check_person(person)
    span, acts = period(of), await desk.acts()
    late = await _overdue(desk, span, party, claim, acts)
    standing = [each.waived for each in late.delays if each.waived is not None]
    fresh = [each for each in late.delays if each.waived is None]
    ended = [each for each in fresh if each.turn is not None]
    if not ended and not standing:
        if not fresh:
            raise _no_delay(late.debt)
        ended = fresh[:1]
    by = admit("late", (), person).by
    made: list[Act] = []
    for each in ended:
        so_far = [*acts, *made]
        made.append(waiver_act(late.debt, each, waiver, day=desk.today, by=by, at_us=desk.now_us, acts=so_far))
    if made:
        await desk.write(made, seen=of_period(acts, span.text), of=span.text)
    return await _with_papers(desk, span.text, party, [*standing, *made])


async def pay_interest(
    desk: Desk, of: str, party: str, claim: str, person: Person, *, day: date, yen: int | None = None
) -> Act:
    """Record that interest was paid; all that is open when yen is None. Raises: NothingOwed, GivenInvalid."""
    check_person(person)
    span, acts = period(of), await desk.acts()
    late = await _overdue(desk, span, party, claim, acts)
    _not_to_come(desk, "paid", day)
    debt = late.debt
    place = (debt.contract, interest_claim(debt.claim.id), span.text, party)
    paid = paid_on(acts, place)
    for each in acts:
        if each.kind == ActKind.PAID and each.key[:4] == place and each.day == str(day) and yen in (None, each.yen):
            await put_interest_receipt(desk, each, late.delays)
            return each
    owed = sum(each.asked.yen for each in late.delays if each.asked is not None and each.waived is None)
    left = owed - late.interest_paid_yen
    amount = left if yen is None else yen
    if not 0 < amount <= left:
        raise GivenInvalid(
            field="yen",
            why=f"{amount:,} yen, of {left:,} that are open / 請求済みの遅延利息は{left:,}円です",
            remedy="ask for the interest first" if not left else "give what was paid of it",
        )
    act = Act(
        kind=ActKind.PAID,
        contract=place[0],
        claim=place[1],
        period=place[2],
        party=place[3],
        turn=len(paid),
        day=str(day),
        by=admit("late", (), person).by,
        yen=amount,
        at_us=desk.now_us,
    )
    await desk.write([act], seen=of_period(acts, span.text), of=span.text)
    await put_interest_receipt(desk, act, late.delays)
    return act


async def inspect(desk: Desk, party: str, person: Person, said: Inspected) -> Act:
    """Record an inspection of a party; its days do not count for late interest (000契12, 契17-2).

    Returns: the act that stands. Raises: GivenInvalid, SettlementError, StoreError.
    """
    check_person(person)
    acts = await desk.acts()
    contract = contract_with(desk, party)
    by = admit("inspect", (), person).by
    try:
        act = inspection_act(contract.reference, party, said, acts, day=desk.today, by=by, at_us=desk.now_us)
    except ActStands as error:
        return error.act
    await desk.write([act], seen=of_period(acts, act.period), of=act.period)
    return act


def contract_with(desk: Desk, party: str, reference: str = "") -> Contract:
    """The contract whose claims are with a party. Raises: GivenInvalid: none, or several and no reference."""
    found = [
        each
        for each in desk.contracts
        if reference in ("", each.reference)
        and any(each.parties.get(claim.payer) == party or each.parties.get(claim.payee) == party
                for terms in each.terms for claim in terms.claims)
    ]  # fmt: skip
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.reference for each in found)
    raise GivenInvalid(
        field="party" if not reference else "contract",
        why=f"{party} has several contracts, {names}" if found else f"{party} has no such contract / 契約がありません",
        remedy="name one of them" if found else "give a party of a contract file",
    )


async def invoice_of(desk: Desk, act: Act) -> Invoice:
    """The document that an INVOICED or RELEASED act issued. Raises: DocumentMissing, FactsContradicted, StoreError."""
    said = facts.issued(act)
    store = DocumentStore(desk.database)
    for row in await store.listed(party=act.party, period=act.period):
        if row.name == f"{said.number}.invoice":
            signed = decode_signed(b"".join([part async for part in store.read(row)]))
            if facts.digest_of(signed.invoice) == said.signature.digest:
                return decode_invoice(signed.invoice)
    raise DocumentMissing(said.number)


async def asked_by_us(desk: Desk, acts: Sequence[Act], *, contract: str, party: str) -> list[Asked]:
    """The centre's own invoices to a party. Raises: DocumentMissing, FactsContradicted, StoreError."""
    found = []
    for act in acts:
        if act.kind == ActKind.INVOICED and (act.contract, act.party) == (contract, party):
            said, invoice = facts.issued(act), await invoice_of(desk, act)
            received = date.fromisoformat(said.received_on) if said.received_on else None
            found.append(
                Asked(act=act, yen=act.yen, number=said.number, received_yen=invoice.net.yen, received=received)
            )
    return found


async def debts_with(desk: Desk, contract: Contract, party: str, acts: Sequence[Act]) -> list[Debt]:
    """All debts of either side. Raises: SettlementError, StoreError."""
    invoiced = await asked_by_us(desk, acts, contract=contract.reference, party=party)
    found = debts(acts, [contract], calendars=desk.calendars, invoiced=invoiced)
    return [debt for debt in found if debt.party == party]


async def _overdue(desk: Desk, span: Period, party: str, claim: str, acts: Sequence[Act]) -> Overdue:
    contract, _, _ = found_claim(desk.contracts, party=party, claim=claim, of=span)
    for debt in await debts_with(desk, contract, party, [act for act in acts if _matters(act, span, claim)]):
        place = (debt.contract, interest_claim(claim), span.text, party)
        return Overdue(
            debt=debt,
            delays=tuple(delays(debt, acts, today=desk.today)),
            interest_paid_yen=sum(each.yen for each in paid_on(acts, place)),
        )
    raise NothingOwed(span.text, party, claim)


async def _with_papers(desk: Desk, of: str, party: str, acts: list[Act]) -> list[Act]:
    """Put the documents of interest acts where the party fetches them; those that stand stay as they are."""
    shelf = await open_shelf(desk, of, party)
    for act in acts:
        for paper in interest_papers(act, facts_of(act, Reckoned).late, names=desk.names):
            await shelf.put(paper, made_us=act.at_us)
    await shelf.write_files()
    return acts


def _matters(act: Act, span: Period, claim: str) -> bool:
    return act.kind == ActKind.ACCELERATED or (act.period, act.claim) == (span.text, claim)


def _ours(contract: Contract, claim: Claim, span: Period, party: str, acts: Sequence[Act]) -> int:
    if claim.period is PeriodKind.TERM:
        return flat_yen(contract, claim, span)
    released = states.latest(acts, ActKind.RELEASED, span.text, side=(contract.reference, claim.id, party))
    if released is None:
        raise GivenInvalid(
            field="period",
            why=f"{span.text} is not confirmed for {party} / 確定データがありません",
            remedy="confirm the period first (sekisho settle confirm)",
        )
    return released.yen


def _no_delay(debt: Debt) -> GivenInvalid:
    return GivenInvalid(
        field="period",
        why=f"nothing of {debt.number} was late, its interest was waived, or its contract has no article on it"
        " / 請求できる遅延利息はありません",
        remedy="nothing is to be asked for",
    )


def _not_to_come(desk: Desk, field: str, day: date) -> None:
    if day > desk.today:
        raise GivenInvalid(field=field, why=f"{day} is to come / 将来の日です", remedy=f"give a day up to {desk.today}")
