"""Invoices, credit notes and payment statements of a frozen period: acts first, then the documents they stand for.

The signature stands in the act, so the documents can be made again to the byte, whenever a command was killed.
Source: 000仕4-4, 000契13-2; 001-4-4; 002本2-3, 2-4.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial

import trio

from gateway.settlement import facts, states
from gateway.settlement.admission import Person, admit, days_of, outside
from gateway.settlement.billing import Bill
from gateway.settlement.cycle import Step
from gateway.settlement.dates import Anchor
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.invoices import Heading
from gateway.settlement.issuing import Draft, checkpoint_of, held_against, issued, read_drafts, signed_again
from gateway.settlement.obstacles import not_frozen
from gateway.settlement.papers import invoice_papers
from gateway.settlement.periods import Period
from gateway.settlement.reading import read_statement
from gateway.settlement.shelving import MEDIA, Shelf, open_shelf
from gateway.settlement.sides import Side, shares
from gateway.settlement.windows import Freeze
from gateway.settlement.words import STEPS
from gateway.store.settlement import SettlementReader
from protocol.act import Act, ActKind
from protocol.invoice import SignedInvoice, decode_invoice, encode_invoice, to_sign

SUFFIX = ".invoice"
"""Of the signed file, which is put last."""


async def issue(
    desk: Desk, of: Period, sides: Sequence[Side], *, kind: ActKind, person: Person, received: date | None = None
) -> list[Act]:
    """Issue a document for each of these sides that has business and none yet. Raises: as invoice."""
    acts = await desk.acts()
    obstacles = not_frozen(acts, of)
    freeze = states.freeze(acts, of)
    standing = {_key(act): act for act in states.select(acts, kind, of.text)}
    new = [side for side in sides if side.key not in standing]
    if new and not obstacles and kind is ActKind.INVOICED:
        cycles = [side.dates(of, desk.calendars, received=received or desk.today) for side in new]
        obstacles += outside(STEPS[Step.INVOICE], days_of(Step.INVOICE, cycles, of), desk.today)
    shelves = {side.party: await open_shelf(desk, of.text, side.party) for side in sides}
    await desk.cover()
    window = desk.window(of, cut=states.cut(acts, of.text), previous=states.previous_cut(acts, of))
    async with desk.reading() as reader:
        statement = await read_statement(reader, window)
        own = {incoming: shares(statement, incoming=incoming) for incoming in {side.incoming for side in sides}}
        busy = [side for side in sides if side.party in own[side.incoming]]
        if any(side.key not in standing for side in busy) or not_frozen(acts, of):
            admit(kind.name.lower(), obstacles, person)
        missing = [
            side
            for side in busy
            if side.key not in standing or not shelves[side.party].has(number_of(desk, of, side) + SUFFIX)
        ]
        with desk.scratch() as directory:
            made = [(side, own[side.incoming][side.party]) for side in missing]
            drafts = await read_drafts(reader, window, made, directory) if made else []
            bills = {}
            for draft in drafts:
                bills[draft.side.key], differs = await held_against(reader, window, draft.side, draft.statement)
                obstacles += [] if draft.side.key in standing else differs
            fresh = [draft for draft in drafts if draft.side.key not in standing]
            if fresh:
                who = admit(kind.name.lower(), obstacles, person)
                written = [await _act(desk, reader, of, draft, kind, who, received, freeze) for draft in fresh]
                await desk.write(written, seen=of_period(acts, of.text), of=of.text)
                standing |= {_key(act): act for act in written}
            for draft in drafts:
                act = standing[draft.side.key]
                signed = await document_of(desk, reader, draft, act, freeze)
                await _shelve(desk, shelves[draft.side.party], draft, act, signed, bills[draft.side.key])
    for side in busy:
        await shelves[side.party].write_files()
    return [standing[side.key] for side in busy]


def number_of(desk: Desk, of: Period, side: Side) -> str:
    """A document's number: the same whenever it is made."""
    return f"{desk.role}-{of.text}-{side.party}-{side.claim.id}"


def due_of(side: Side, of: Period, desk: Desk, received: date) -> str:
    """By when a side's claim is to be paid: the contract's last day of what the centre gets, the day on which it pays
    of what it owes. Raises: DayOutOfRange, NoOpenDay."""
    dates = side.dates(of, desk.calendars, received=received)
    due = dates.of(Step.PAYMENT) or dates.of(Step.MUNICIPAL_PAYMENT)
    if due is None:
        return ""
    return str(due.deadline if side.incoming else due.day)


async def _act(
    desk: Desk,
    reader: SettlementReader,
    of: Period,
    draft: Draft,
    kind: ActKind,
    who: Person,
    received: date | None,
    freeze: Freeze,
) -> Act:
    """The act of a document that is issued now, with its signature."""
    side, day = draft.side, received or desk.today
    hangs = any(rule.when.anchor is Anchor.RECEIPT for rule in side.claim.dates)
    heading = Heading(
        number=number_of(desk, of, side),
        issuer=desk.centre,
        role=desk.role,
        environment=desk.environment,
        party=side.party,
        issued_on=str(desk.today),
        due_on=due_of(side, of, desk, day),
        agreement=side.terms.agreement,
        tax_supplier=_supplier(draft),
        tax=side.claim.tax.rule,
        issued_us=desk.now_us,
    )
    document = draft.invoice(heading, await checkpoint_of(reader, draft), freeze)
    key_id, signature = await desk.sign_invoice(to_sign(encode_invoice(document)))
    told = issued(document, received_on=str(day) if hangs else "", key_id=key_id, signature=signature)
    return Act(
        kind=int(kind),
        contract=side.contract.reference,
        claim=side.claim.id,
        period=of.text,
        party=side.party,
        day=str(desk.today),
        by=who.by,
        second=who.second,
        ground=who.ground,
        yen=document.due_yen,
        at_us=desk.now_us,
        facts=facts.encode_facts(told),
    )


async def document_of(desk: Desk, reader: SettlementReader, draft: Draft, act: Act, freeze: Freeze) -> SignedInvoice:
    """The document that an act stands for, made again from the ledger. freeze: of its period.

    Raises: InvoiceContradicted, FactsContradicted, NotCovered; StoreError.
    """
    said = facts.issued(act)
    heading = Heading(
        number=said.number,
        issuer=desk.centre,
        role=desk.role,
        environment=desk.environment,
        party=act.party,
        issued_on=said.issued_on,
        due_on=said.due_on,
        agreement=said.agreement,
        tax_supplier=said.tax_supplier,
        tax=said.tax,
        issued_us=act.at_us,
    )
    return signed_again(draft.invoice(heading, await checkpoint_of(reader, draft), freeze), said)


async def _shelve(
    desk: Desk, shelf: Shelf, draft: Draft, act: Act, signed: SignedInvoice, bills: Sequence[Bill]
) -> None:
    document = decode_invoice(signed.invoice)
    lines = bills[0] if len(bills) == 1 and bills[0].total_yen == document.due_yen else None
    await shelf.put_file(f"{document.number}.items", MEDIA, draft.spool, made_us=act.at_us)
    make = partial(invoice_papers, signed, document, bill=lines, names=desk.names)
    papers = await trio.to_thread.run_sync(make)  # setting pages takes its time
    for paper in sorted(papers, key=lambda paper: paper.name.endswith(SUFFIX)):
        await shelf.put(paper, made_us=act.at_us)


def _supplier(draft: Draft) -> str:
    """Whose supply the commission is: the operator's; of several operators nobody is named."""
    taxed = any(item.taxed for item in draft.side.claim.items)
    operators = {cell.key.party for cell in draft.statement.cells}
    return operators.pop() if taxed and len(operators) == 1 else ""


def _key(act: Act) -> tuple[str, str, str]:
    return act.contract, act.claim, act.party
