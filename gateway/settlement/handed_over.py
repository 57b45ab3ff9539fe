"""A hand-over package read back: whether what it says holds together, without a ledger and without believing it.

Beside the list and its signature (gateway.settlement.package): every act has its entry in the ledger, by a receipt that
is final in a checkpoint; every document that an act issued is there, signed; the entries in ledger.csv come to what the
invoices say and what the final account calls unbilled. Source: DESIGN section 11; docs/SETTLEMENT.md, Hand-over.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from gateway.settlement.contract_facts import Accounted, facts_of
from gateway.settlement.ending import Account, account_bytes, billed, whole_periods
from gateway.settlement.errors import SettlementError
from gateway.settlement.facts import issued
from gateway.settlement.package import Manifest, PackageInvalid, read_package
from gateway.settlement.periods import period
from protocol.act import Act, ActError, ActKind, act_commitment, decode_act
from protocol.invoice import Invoice, InvoiceError, decode_signed, verify_invoice
from protocol.ledger import Entry
from protocol.messages import Operation
from protocol.receipt import ReceiptError, decode_receipt, verify_receipt
from protocol.settlement import NOTHING, Amount
from protocol.trust import Trust

ACCOUNT: Final = "account.json"
LEDGER: Final = "ledger.csv"
TRUST: Final = "trust.bundle"
ACTS: Final = "acts"
DOCUMENTS: Final = "documents"
_FILE_BYTES_MAX: Final = 64 << 20


class HandOverContradicted(SettlementError):  # noqa: N818  named after the fact
    """A package whose parts do not fit one another. Fields: file."""

    code: ClassVar[str] = "hand-over-contradicted"

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file}: {why} / 引継ぎ資料の内容が一致しません; make the package again")
        self.file = file


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found right: the list, acts, signed invoices, entries and what they come to, and the account."""

    manifest: Manifest
    acts: tuple[Act, ...]
    invoices: tuple[Invoice, ...]
    entries: Amount
    account: Account | None


def check_package(directory: Path, trust: Trust) -> Checked:
    """Read a package back. Raises: PackageInvalid, HandOverContradicted, OSError."""
    manifest = read_package(directory, trust)
    names = {line.name for line in manifest.files}
    acts = tuple(_acts(directory, names, manifest, trust))
    invoices = tuple(_invoices(directory, names, acts, trust))
    account = _account(directory, acts) if ACCOUNT in names else None
    entries = _entries(directory)
    whole = whole_periods(period(manifest.term), by_month=manifest.role == "certificate")
    known = NOTHING if account is None else account.unbilled
    for invoice in invoices:
        known += billed(invoice, whole)
    if account is not None and entries != known:
        raise HandOverContradicted(LEDGER, f"its entries come to {entries}, invoices and what is unbilled to {known}")
    return Checked(manifest=manifest, acts=acts, invoices=invoices, entries=entries, account=account)


def _acts(directory: Path, names: set[str], manifest: Manifest, trust: Trust) -> Iterator[Act]:
    for name in sorted(names):
        if not name.startswith(f"{ACTS}/") or not name.endswith(".act"):
            continue
        content = _bytes(directory.joinpath(name), name)
        proof = f"{name.removesuffix('.act')}.receipt"
        if proof not in names:
            raise HandOverContradicted(name, "has no receipt")
        try:
            act = decode_act(content)
            found = verify_receipt(decode_receipt(_bytes(directory.joinpath(proof), proof)), trust)
        except (ActError, ReceiptError) as error:
            raise HandOverContradicted(name, str(error)) from error
        if not _commits(found.entry, act, content, manifest):
            raise HandOverContradicted(name, "is not what the entry of its receipt commits to")
        if found.checkpoint is None:
            raise HandOverContradicted(proof, "is not final in a checkpoint")
        yield act


def _commits(entry: Entry, act: Act, content: bytes, manifest: Manifest) -> bool:
    """Whether an entry stands for an act. What came over a line has the entry of its message (RECONCILE)."""
    if act.kind == ActKind.RECONCILED:
        said = (entry.operation, entry.party, entry.matter, entry.step)
        return said == (Operation.RECONCILE, act.party, act.period, ActKind.RECONCILED)
    told = (entry.operation, entry.party, entry.counterparty, entry.step)
    wanted = (Operation.SETTLE, manifest.centre, act.party, act.kind)
    return told == wanted and entry.response_commitment == act_commitment(content)


def _invoices(directory: Path, names: set[str], acts: tuple[Act, ...], trust: Trust) -> Iterator[Invoice]:
    held: dict[bytes, tuple[str, bytes]] = {}
    for name in sorted(names):
        if name.startswith(f"{DOCUMENTS}/") and name.endswith(".invoice"):
            data = _bytes(directory.joinpath(name), name)
            try:
                held[hashlib.sha256(decode_signed(data).invoice).digest()] = (name, data)
            except InvoiceError as error:
                raise HandOverContradicted(name, str(error)) from error
    for act in acts:
        if act.kind in {ActKind.INVOICED, ActKind.RELEASED}:
            said = issued(act)
            if said.signature.digest not in held:
                raise HandOverContradicted(DOCUMENTS, f"the document {said.number} is missing")
            name, data = held[said.signature.digest]
            try:
                yield verify_invoice(decode_signed(data), trust)
            except InvoiceError as error:
                raise HandOverContradicted(name, str(error)) from error


def _account(directory: Path, acts: tuple[Act, ...]) -> Account:
    try:
        account = msgspec.json.decode(_bytes(directory.joinpath(ACCOUNT), ACCOUNT), type=Account)
    except (msgspec.DecodeError, RecursionError) as error:
        raise HandOverContradicted(ACCOUNT, "cannot be read") from error
    said = [facts_of(act, Accounted) for act in acts if act.kind == ActKind.FINAL_ACCOUNT]
    if not said or said[-1].digest != hashlib.sha256(account_bytes(account)).digest():
        raise HandOverContradicted(ACCOUNT, "is not the account that was recorded last")
    return account


def _entries(directory: Path) -> Amount:
    total = NOTHING
    try:
        with directory.joinpath(LEDGER).open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                total += Amount(1, int(row["copies"]), int(row["yen"]), int(row["commission"]))
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise PackageInvalid(LEDGER, "cannot be read") from error
    return total


def _bytes(path: Path, name: str) -> bytes:
    with path.open("rb") as file:
        data = file.read(_FILE_BYTES_MAX + 1)
    if len(data) > _FILE_BYTES_MAX:
        raise PackageInvalid(name, "longer than any such file")
    return data
