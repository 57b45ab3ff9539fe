"""Making a hand-over package: everything of one contract that its party, or a successor, needs to check it all again.

contract.json      the contract's terms, as all sums were reckoned by
acts/              every act with the receipt of its entry, final in one checkpoint; acts.csv lists them
documents/         by period, what was made for the party: invoices with their items, statements, payment papers
statement.json     all cells of the term; statement.csv the same as a table
ledger.csv         every booking of the term, from which the statement can be added up again
account.json       the final account
trust.bundle       the centre's keys; checkpoint.note the checkpoint
README.txt         what this is, and how to check it

Files are made from what stands, so a package made again is the same to the byte as long as nothing was done since.
Memory: one batch of entries, one part of a document. Source: 000契21, 27; DOMAIN A9.
"""

import secrets
import shutil
from collections.abc import AsyncIterator, Container, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.ledger.checkpointing import CheckpointProofs
from gateway.settlement import facts, sheet
from gateway.settlement.admission import Person, admit, check_person
from gateway.settlement.conduct_contract import contract_with
from gateway.settlement.conduct_ending import own, standing_account, window_over
from gateway.settlement.contract_facts import HandedOver, facts_bytes, facts_of, once
from gateway.settlement.desk import Desk, of_period
from gateway.settlement.ending import Account
from gateway.settlement.errors import GivenInvalid
from gateway.settlement.export import heading, lines
from gateway.settlement.handed_over import ACCOUNT, ACTS, DOCUMENTS, LEDGER, TRUST, check_package
from gateway.settlement.package import Manifest, Package, manifest_bytes, manifest_to_sign
from gateway.settlement.papers.cells import amount_json, cells_csv, with_cells
from gateway.settlement.papers.figures import to_json
from gateway.settlement.periods import Period, period
from gateway.settlement.reading import NotCovered, read_entries, read_statement
from gateway.settlement.statements import Statement
from gateway.settlement.terms import Contract, PartyRole
from gateway.store.ledger import LedgerStore
from gateway.store.settlement import RangeRow, SettlementReader
from gateway.store.settlement_acts import ActRow, ActStore, DocumentStore
from protocol.act import Act, ActKind, encode_act
from protocol.checkpoint import parse_note
from protocol.merkle import Tree, leaf_hash
from protocol.receipt import Proof, Receipt, encode_receipt
from protocol.trust import Trust, encode_trust

CHECKPOINT: Final = "checkpoint.note"


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a package is about. spans: its periods; acts: those in it; standing: of earlier packages of the term."""

    contract: Contract
    party: str
    over: Period
    spans: frozenset[str]
    account: Account
    acts: tuple[ActRow, ...]
    standing: tuple[Act, ...]
    trust: Trust


async def hand_over(
    desk: Desk, party: str, person: Person, *, out: Path, trust: Trust, contract: str = ""
) -> tuple[Act, Manifest]:
    """Write the package of a contract that has its final account into a new directory, and record that it was made.

    It is read back before it is recorded: one that does not hold together is not handed over.

    Returns: the act that stands, and the package's list. Raises: GivenInvalid (the directory exists), NoAccount,
    AccountOvertaken, NotCovered, HandOverContradicted; SettlementError, StoreError, OSError; what signing raises.
    """
    check_person(person)
    _require_new(out)
    rows = await ActStore(desk.database).acts()
    case = await _case(desk, contract_with(desk, party, contract), party, rows, trust)
    package = Package(out.with_name(f".{out.name}.{secrets.token_hex(4)}"))
    try:
        await _fill(desk, package, case)
        act, manifest = await _sealed(desk, package, case, person)
        check_package(package.directory, trust)
        if act not in case.standing:
            await desk.write([act], seen=of_period([row.act for row in rows], act.period), of=act.period)
        package.directory.rename(out)
    except BaseException:
        shutil.rmtree(package.directory, ignore_errors=True)
        raise
    return act, manifest


def _require_new(out: Path) -> None:
    if out.exists():
        raise GivenInvalid(
            field="out", why=f"{out} exists / 既に存在します", remedy="name a directory that is not there yet"
        )


async def _case(desk: Desk, contract: Contract, party: str, rows: Sequence[ActRow], trust: Trust) -> _Case:
    account, upto, over = await standing_account(desk, contract, party, [row.act for row in rows])
    spans = _spans(upto, contract, party, over)
    place = (contract.reference, "", over.text, party, ActKind.HANDED_OVER)
    return _Case(
        contract=contract,
        party=party,
        over=over,
        spans=spans,
        account=account,
        acts=tuple(row for row in rows[: len(upto)] if _concerns(row.act, contract, party, spans)),
        standing=tuple(row.act for row in rows if row.act.key[:5] == place),
        trust=trust,
    )


async def _sealed(desk: Desk, package: Package, case: _Case, person: Person) -> tuple[Act, Manifest]:
    """Sign the list, or take the signature of the act that stands for the very same files."""
    for act in case.standing:
        said, manifest = facts_of(act, HandedOver), _manifest(desk, package, case, act.at_us)
        data = manifest_bytes(manifest)
        if facts.digest_of(data) == said.digest:
            package.seal(data, key_id=said.key_id, signature=said.signature)
            return act, manifest
    manifest = _manifest(desk, package, case, desk.now_us)
    data = manifest_bytes(manifest)
    key_id, signature = await desk.sign_invoice(manifest_to_sign(data))
    package.seal(data, key_id=key_id, signature=signature)
    told = HandedOver(digest=facts.digest_of(data), key_id=key_id, signature=signature, files=len(manifest.files))
    act = Act(
        kind=ActKind.HANDED_OVER,
        contract=case.contract.reference,
        claim="",
        period=case.over.text,
        party=case.party,
        day=str(desk.today),
        by=admit("hand-over", (), person).by,
        at_us=desk.now_us,
        facts=facts_bytes(told),
    )
    return once(case.standing, act), manifest


def _manifest(desk: Desk, package: Package, case: _Case, made_us: int) -> Manifest:
    return Manifest(
        centre=desk.centre,
        role=desk.role,
        environment=desk.environment,
        contract=case.contract.reference,
        party=case.party,
        term=case.over.text,
        made_us=made_us,
        files=package.lines,
    )


async def _fill(desk: Desk, package: Package, case: _Case) -> None:
    contract, party = case.contract, case.party
    package.put("README.txt", readme(contract, party, case.over))
    package.put("contract.json", to_json(msgspec.to_builtins(contract)))
    package.put(ACCOUNT, to_json(msgspec.to_builtins(case.account)))
    package.put(TRUST, encode_trust(case.trust))
    await desk.cover()
    async with desk.reading() as reader:
        await _put_acts(desk, package, reader, case.acts)
        statement = own(contract, party, await read_statement(reader, window_over(desk, case.over)))
        package.put("statement.json", _statement(statement, desk))
        package.put("statement.csv", cells_csv(statement.cells, desk.names, number=contract.reference))
        await package.add(LEDGER, _bookings(desk, reader, contract, party, case.over))
    store = DocumentStore(desk.database)
    for row in await store.listed(party=party):
        if row.period in case.spans:
            await package.add(f"{DOCUMENTS}/{row.period.replace('/', '_')}/{row.name}", store.read(row))


async def _put_acts(desk: Desk, package: Package, reader: SettlementReader, rows: Sequence[ActRow]) -> None:
    """The acts, each with its receipt in the first checkpoint that covers them all."""
    wanted = [RangeRow(row.stream, row.height, row.height, 1) for row in rows]
    position = await reader.position(wanted)
    note = None if position is None else await reader.note_over(position)
    if note is None:
        raise NotCovered
    package.put(CHECKPOINT, note.encode())
    size = parse_note(note).checkpoint.size
    ledger, proofs = LedgerStore(desk.database), CheckpointProofs(desk.database)
    table: list[tuple[object, ...]] = [
        ("file", "kind", "contract", "claim", "period", "party", "turn", "day", "by", "second", "ground", "yen")
    ]
    for number, row in enumerate(rows, start=1):
        act, block = row.act, await ledger.read_block(row.stream, row.height)
        finality = await proofs.finality(row.stream, row.height, size)
        if block is None or finality is None:
            raise NotCovered
        tree = Tree([leaf_hash(entry) for entry in block.entries])
        path = tree.range_proof(row.idx, row.idx + 1)
        proof = Proof(block.entries[row.idx], row.idx, path, block.header, block.key_id, block.signature)
        name = f"{number:05}-{ActKind(act.kind).name.lower().replace('_', '-')}"
        package.put(f"{ACTS}/{name}.act", encode_act(act))
        package.put(f"{ACTS}/{name}.receipt", encode_receipt(Receipt(proof, None, finality)))
        key = (act.contract, act.claim, act.period, act.party, act.turn)
        kind = ActKind(act.kind).name.lower()
        table.append((name, kind, *key, act.day, act.by, act.second, act.ground, act.yen))
    package.put("acts.csv", sheet.BOM + sheet.lines(table))


async def _bookings(
    desk: Desk, reader: SettlementReader, contract: Contract, party: str, over: Period
) -> AsyncIterator[bytes]:
    """The party's bookings of the term as CSV, a batch of the ledger at a time."""
    window, municipal = window_over(desk, over), contract.parties.get(PartyRole.MUNICIPALITY) == party
    yield heading()
    async for batch in read_entries(reader, window):
        yield lines([row for row in batch if party == (row.counterparty if municipal else row.party)], window)


def _statement(statement: Statement, desk: Desk) -> bytes:
    head = {"period": statement.period, "net": amount_json(statement.net), "due_yen": statement.net.due_yen}
    return with_cells(head, statement.cells, desk.names)


def _spans(acts: Sequence[Act], contract: Contract, party: str, over: Period) -> frozenset[str]:
    """The periods that a package is about: those that touch the term, and later ones with an act of the contract."""
    return frozenset(
        act.period
        for act in acts
        if act.period and ((act.contract, act.party) == (contract.reference, party) or _touches(act.period, over))
    )


def _concerns(act: Act, contract: Contract, party: str, spans: Container[str]) -> bool:
    """Whether an act belongs to the contract's file: its own, and of acts about all what is of its periods."""
    if act.contract == contract.reference:
        return act.party == party and act.kind != ActKind.HANDED_OVER
    return not act.contract and act.party in {"", party} and act.period in spans


def _touches(of: str, over: Period) -> bool:
    span = period(of)
    return span.first <= over.last and span.last >= over.first


_README: Final = """\
引継ぎ資料 / Hand-over package

契約 / contract: {contract}  {ja} / {en}
相手方 / party: {party}
期間 / term: {term}

この資料は、契約の条件、実施記録(acts/)とその受領証、請求書等の文書(documents/)、契約期間の集計(statement.json)、
台帳の全明細(ledger.csv)、最終精算(account.json)からなります。manifest.json は全ファイルの一覧で、センターの署名
(manifest.signature)があります。センターに接続せずに次のコマンドで検証できます。鍵束(trust.bundle)は、別に受け取った
ものを使ってください。

The package has the contract's terms, what was done (acts/) with the receipt of each entry in the ledger, the documents
that were made (documents/), the sums of the term (statement.json), every booking (ledger.csv) and the final account
(account.json). manifest.json lists all files and bears the centre's signature (manifest.signature). Check it without
the centre, with a trust bundle that came to you another way:

  sekisho settle check-package DIR --trust trust.bundle

台帳の明細の合計 / sums of ledger.csv, imported into a table `export`:

  SELECT counterparty, matter, store, SUM(copies), SUM(yen), SUM(commission), SUM(yen - commission)
  FROM export GROUP BY counterparty, matter, store;
"""


def readme(contract: Contract, party: str, over: Period) -> bytes:
    """What the package says of itself."""
    said = {"contract": contract.reference, "ja": contract.title_ja, "en": contract.title_en}
    return _README.format(**said, party=party, term=over.text).encode()
