"""Whether settlement's own record holds: acts against the ledger's entries, amounts and documents against the ledger.

What is found, and what it means:
- an act whose entry is not there or commits to other bytes, an entry without its act, a row whose columns are not its
  act's: the table of acts was changed beside the journal;
- turns with a gap: an act is gone;
- a frozen period whose invoices or payment statements do not come to what was frozen (conservation);
- a document that the ledger no longer gives, whose stored bytes are others, or that no key of the centre signed.

Nothing is written. Cost: the acts in memory, and for each frozen period one reading of its entries.
Source: DESIGN section 11, invariants; docs/SETTLEMENT.md.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

import msgspec

from gateway.settlement import facts, states
from gateway.settlement.conduct_disclosing import made_again, name_of
from gateway.settlement.conduct_issuing import SUFFIX, document_of
from gateway.settlement.desk import Desk
from gateway.settlement.errors import SettlementError
from gateway.settlement.issuing import read_drafts
from gateway.settlement.periods import Period, period
from gateway.settlement.reading import read_statement
from gateway.settlement.sides import shares, sides
from gateway.settlement.states import Acts
from gateway.store.ledger import LedgerStore
from gateway.store.settlement import SettlementReader
from gateway.store.settlement_acts import ActStore, DocumentRow, DocumentStore, StoredAct
from protocol.act import Act, ActError, ActKind, act_commitment, decode_act
from protocol.disclosure import DisclosureError, SignedDisclosure, verify_disclosure
from protocol.disclosure import encode_signed as encode_disclosure
from protocol.invoice import InvoiceError, encode_signed, verify_invoice
from protocol.ledger import decode_entry
from protocol.messages import Operation
from protocol.trust import Trust

Shelved = Mapping[tuple[str, str, str], DocumentRow]
"""Documents by party, period and name."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What does not hold. code never changes its meaning; where names act, entry or document."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.where}: {self.text}"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what does not hold."""

    acts: int
    periods: int
    documents: int
    findings: tuple[Finding, ...]


async def check_settlement(desk: Desk, *, of: Period | None = None, trust: Trust | None = None) -> Checked:
    """Check all acts and documents, and the amounts of one frozen period, or of all.

    trust: the centre's bundle, for the signatures; None: they are left out. Raises: StoreError, LedgerError; a fault of
    what is checked is a finding.
    """
    stored = await ActStore(desk.database).stored()
    findings = [each async for each in _acts(desk, stored)]
    acts = [act for row in stored if (act := _read(row)) is not None]
    findings += _turns(acts)
    shelved = {(row.party, row.period, row.name): row for row in await DocumentStore(desk.database).all()}
    findings += [each async for each in _stored(desk, shelved.values())]
    frozen = [each for each in states.frozen_periods(acts) if of in (None, each)]
    disclosed = sorted({act.period for act in acts if act.kind == ActKind.DISCLOSED})
    async with desk.reading() as reader:
        for each in await ActStore(desk.database).without_act():
            findings.append(Finding(code="no-act", where=_place(*each), text="an entry stands for no act"))
        for text in disclosed:
            if of is None or of.text == text:
                findings += [found async for found in _disclosures(desk, reader, period(text), acts, shelved, trust)]
        for span in frozen:
            try:
                findings += [found async for found in _amounts(desk, reader, span, acts, shelved, trust)]
            except SettlementError as error:
                findings.append(Finding(code=error.code, where=span.text, text=str(error)))
    return Checked(acts=len(stored), periods=len(frozen), documents=len(shelved), findings=tuple(findings))


async def _acts(desk: Desk, stored: Sequence[StoredAct]) -> AsyncIterator[Finding]:
    """Each act against its entry."""
    ledger = LedgerStore(desk.database)
    for row in stored:
        where = f"{row.period} {row.party or '*'} kind {row.kind} turn {row.turn}"
        act = _read(row)
        if act is None:
            yield Finding(code="act-unreadable", where=where, text="its bytes are no act")
            continue
        if (*act.key, act.at_us) != row[:7]:
            yield Finding(code="act-columns", where=where, text="its columns are not what it says")
        block = await ledger.read_block(row.stream, row.height)
        if block is None or row.idx >= len(block.entries):
            yield Finding(code="no-entry", where=where, text=f"there is no entry at {_place(*row[8:])}")
            continue
        entry = decode_entry(block.entries[row.idx])
        if act.kind == ActKind.RECONCILED:
            said = (entry.operation, entry.party, entry.matter, entry.step)
            right = said == (Operation.RECONCILE, act.party, act.period, ActKind.RECONCILED)
        else:
            commitment = act_commitment(row.content)
            right = (entry.operation, entry.counterparty, entry.step) == (Operation.SETTLE, act.party, act.kind)
            right = right and entry.request_commitment == entry.response_commitment == commitment
        if not right:
            yield Finding(code="act-entry", where=where, text=f"the entry at {_place(*row[8:])} commits to other bytes")


def _turns(acts: Acts) -> Iterator[Finding]:
    turns: dict[tuple[object, ...], list[int]] = {}
    for act in acts:
        turns.setdefault(act.key[:5], []).append(act.turn)
    for key, found in turns.items():
        if sorted(found) != list(range(len(found))):
            yield Finding(code="turns", where=" ".join(map(str, key)), text=f"turns {sorted(found)} have a gap")


async def _stored(desk: Desk, rows: Iterable[DocumentRow]) -> AsyncIterator[Finding]:
    """Each document's parts against its digest."""
    store = DocumentStore(desk.database)
    for row in rows:
        digest, size = hashlib.sha256(), 0
        async for part in store.read(row):
            digest.update(part)
            size += len(part)
        if (size, digest.digest()) != (row.size, row.digest):
            yield Finding(code="document-parts", where=_document(row), text="its parts are not what was put")


async def _disclosures(
    desk: Desk, reader: SettlementReader, of: Period, acts: Acts, shelved: Shelved, trust: Trust | None
) -> AsyncIterator[Finding]:
    """Each disclosure against the ledger at its cut, and its file against its act."""
    for act in states.select(acts, ActKind.DISCLOSED, of.text):
        said = facts.disclosed(act)
        where = f"disclosure {of.text} {act.party} {act.turn}"
        try:
            with desk.scratch() as directory:
                content, _ = await made_again(desk, reader, of, acts, act, directory)
        except SettlementError as error:
            yield Finding(code=error.code, where=where, text=str(error))
            continue
        signed = SignedDisclosure(content, said.signature.key_id, said.signature.signature)
        if trust is not None:
            try:
                verify_disclosure(signed, trust)
            except DisclosureError as error:
                yield Finding(code="signature", where=where, text=str(error))
        file = shelved.get((act.party, of.text, f"{name_of(act)}.disclosure"))
        if file is None or file.digest != facts.digest_of(encode_disclosure(signed)):
            yield Finding(code="document", where=where, text="its file is missing or another; do the step again")


async def _amounts(
    desk: Desk, reader: SettlementReader, of: Period, acts: Acts, shelved: Shelved, trust: Trust | None
) -> AsyncIterator[Finding]:
    """A frozen period against the ledger: its sum, its documents, and that both sides' documents come to it."""
    window = desk.window(of, cut=states.cut(acts, of.text), previous=states.previous_cut(acts, of))
    statement = await read_statement(reader, window)
    freeze, frozen = states.freeze(acts, of), states.frozen(acts, of.text)
    if frozen is not None and frozen.yen != statement.net.due_yen:
        text = f"{frozen.yen:,} yen were frozen, the ledger has {statement.net.due_yen:,}"
        yield Finding(code="frozen-sum", where=of.text, text=text)
    kinds = {side.key: ActKind.INVOICED if side.incoming else ActKind.RELEASED for side in sides(desk.contracts, of)}
    for kind in (ActKind.INVOICED, ActKind.RELEASED):
        standing = states.select(acts, kind, of.text)
        total = sum(act.yen for act in standing)
        if standing and total != statement.net.due_yen:
            text = f"{kind.name} comes to {total:,} yen, the ledger to {statement.net.due_yen:,}"
            yield Finding(code="not-conserved", where=of.text, text=text)
    issued = [act for act in acts if act.period == of.text and act.kind in {ActKind.INVOICED, ActKind.RELEASED}]
    by_key = {(act.contract, act.claim, act.party): act for act in issued}
    own = {incoming: shares(statement, incoming=incoming) for incoming in (True, False)}
    known = [
        (side, own[side.incoming][side.party])
        for side in sides(desk.contracts, of)
        if side.key in by_key and side.party in own[side.incoming]
    ]
    for act in issued:
        where = facts.issued(act).number
        if kinds.get((act.contract, act.claim, act.party)) != act.kind:
            yield Finding(code="no-contract", where=where, text="no contract file has its claim")
        elif act.party not in own[act.kind == ActKind.INVOICED]:
            yield Finding(code="invoice-contradicted", where=where, text="the ledger has no business of its party")
    with desk.scratch() as directory:
        for draft in await read_drafts(reader, window, known, directory):
            act = by_key[draft.side.key]
            number = facts.issued(act).number
            try:
                signed = await document_of(desk, reader, draft, act, freeze)
                if trust is not None:
                    verify_invoice(signed, trust)
            except SettlementError as error:
                yield Finding(code=error.code, where=number, text=str(error))
                continue
            except InvoiceError as error:
                yield Finding(code="signature", where=number, text=str(error))
            for name, digest in (
                (f"{number}{SUFFIX}", facts.digest_of(encode_signed(signed))),
                (f"{number}.items", draft.items.digest),
            ):
                file = shelved.get((act.party, of.text, name))
                if file is None or file.digest != digest:
                    yield Finding(code="document", where=name, text="it is missing or another; do the step again")


def _read(row: StoredAct) -> Act | None:
    try:
        return decode_act(row.content)
    except ActError:
        return None


def _place(stream: bytes, height: int, index: int) -> str:
    return f"stream {stream.hex()}, height {height}, index {index}"


def _document(row: DocumentRow) -> str:
    return f"{row.period} {row.party} {row.name}"
