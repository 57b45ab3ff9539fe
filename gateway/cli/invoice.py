"""`sekisho invoice`: the payer's check of an invoice against its own receipts, and how to get those it lacks."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import trio

from certs.files import PRIVATE, write_whole
from gateway.cli.receipt import jst, load_trust, printable, read_bounded
from gateway.line.dial import LineClient
from gateway.peers.line_file import Dialling, line_from, read_line_file
from gateway.peers.proof_book import DIRECTORY, FILE_NAME, open_proof_book
from gateway.settlement.entries import EntryContradicted
from gateway.settlement.proving import Fault, Verdict, prove_invoice
from gateway.settlement.receipts import Kept
from gateway.settlement.tariff import Tariff, read_tariff
from gateway.settlement.words import FAULTS
from protocol.checkpoint import NOTE_BYTES_MAX, NoteError, parse_note, verify_note
from protocol.invoice import (
    INVOICE_BYTES_MAX,
    DocumentKind,
    Invoice,
    InvoiceError,
    decode_signed,
    read_items,
    verify_invoice,
)
from protocol.keys import KeysError
from protocol.messages import Disclaim, Operation, ReceiptQuery, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.receipt import Receipt, ReceiptError, decode_receipt, encode_receipt, verify_receipt
from protocol.trust import Trust, TrustError

ITEMS: Final = ".items"
SHOWN_MAX: Final = 40
TARIFF_BYTES_MAX: Final = 1 << 20
_KINDS: Final = {
    DocumentKind.INVOICE: "請求書 / invoice",
    DocumentKind.CREDIT_NOTE: "返還通知書 / credit note",
    DocumentKind.STATEMENT: "支払明細書 / payment statement",
}
_ID: Final = re.compile(r"[0-9a-f]{32}")
_FILE = click.Path(path_type=Path, dir_okay=False)
_DIR = click.Path(path_type=Path, file_okay=False, exists=True)
_line = click.option(
    "--line", type=click.Path(path_type=Path), required=True, help="line.toml to the centre, or its directory."
)
_line_port = click.option(
    "--line-port", type=click.IntRange(1, 65535), help="The centre's port, in place of the line file's."
)
_into = click.option("--receipts", type=_DIR, required=True, help="Where to put them, one file each.")
_timeout = click.option(
    "--timeout", "timeout_s", type=click.IntRange(1, 600), default=30, show_default=True, help="Seconds, each."
)


@click.group()
def command() -> None:
    """Prove an invoice (請求書) against the receipts you hold: offline, and believing the centre in nothing.

    \b
    Example, at an operator:
      sekisho invoice verify 2026-10.invoice --receipts relay --trust centre.bundle --tariff tariff.toml
    """


@command.command()
@click.argument("file", type=_FILE)
@click.option("--receipts", type=_DIR, required=True, help="Your receipts: of a relay, a ministry server, or files.")
@click.option("--trust", "bundle", type=_FILE, required=True, help="The centre's trust bundle.")
@click.option("--items", "items_file", type=_FILE, help="The invoice's items; FILE with .items otherwise.")
@click.option("--tariff", "tariff_file", type=_FILE, help="What was agreed (TOML); else prices are the receipts' own.")
@click.option("--previous", type=_FILE, help="The invoice before it: both must say the same of its freeze.")
@click.option("--checkpoint", type=_FILE, help="A checkpoint note you kept; of the same size it must be the same.")
@click.option(
    "--missing", type=_FILE, help="Write the ids of lines without a receipt here, for `sekisho invoice fetch`."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(
    file: Path,
    receipts: Path,
    bundle: Path,
    items_file: Path | None,
    tariff_file: Path | None,
    previous: Path | None,
    checkpoint: Path | None,
    missing: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say whether every receipt is billed once at the agreed price, and every line has its receipt.

    What does not fit is named by its request id. The exit status is 0 when everything fits and 1 when something does
    not. --receipts: a directory of a relay or of a ministry server, its `proofs`, or any with *.receipt and *.proofs.

    \b
    A tariff has one table a change of price; of those begun on the deposit's day the latest counts:
      [[price]]
      counterparty = "m-121002"   # a municipality; left out: any
      matter = "juminhyo"         # a certificate kind or an affair; left out: any
      from = 2026-04-01
      fee = 300
      commission = 115
    """
    trust = load_trust(bundle)
    tariff = None if tariff_file is None else _tariff(tariff_file)
    try:
        signed = decode_signed(read_bounded(file, INVOICE_BYTES_MAX, "invoice"))
        invoice = verify_invoice(signed, trust)
        if previous is not None:
            _check_previous(invoice, previous, trust)
        if checkpoint is not None:
            _check_note(invoice, checkpoint, trust)
        kept = Kept(_receipts_in(receipts), trust)
        with (items_file or file.with_suffix(ITEMS)).open("rb") as items:
            verdict = prove_invoice(invoice, read_items(items, invoice), kept, tariff=tariff)
    except (InvoiceError, EntryContradicted) as error:
        raise click.ClickException(f"{file} does not hold / 検証できません: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}; name the items with --items") from error
    if missing is not None:
        ids = sorted({each.request_id for each in verdict.findings if each.fault == Fault.NO_PROOF})
        missing.write_text("".join(f"{each}\n" for each in ids))
    if as_json:
        click.echo(json.dumps(_facts(invoice, verdict, kept), ensure_ascii=False))
    else:
        _show(invoice, verdict, kept, key_id=signed.key_id)
    if not verdict.sound:
        raise SystemExit(1)


@command.command()
@click.argument("ids", type=_FILE)
@_line
@_line_port
@_into
@_timeout
def fetch(ids: Path, line: Path, line_port: int | None, receipts: Path, timeout_s: int) -> None:
    """Fetch the receipts of IDS (of `verify --missing`) from the centre, prove each, and keep it.

    A line whose receipt the centre cannot show is none that you owe: contest it (`sekisho invoice disclaim`, or in
    writing).
    """
    dialling, place = read_line_file(line, port=line_port), _receipts_in(receipts)
    _told(trio.run(_each, dialling, _wanted(ids), timeout_s, partial(_fetch, dialling, place)), good="fetched")


@command.command()
@click.argument("ids", type=_FILE)
@_line
@_line_port
@_into
@_timeout
@click.option("--ground", required=True, help="Why; it is written down. Name no resident here.")
def disclaim(ids: Path, line: Path, line_port: int | None, receipts: Path, timeout_s: int, ground: str) -> None:
    """Declare to an inquiry centre that the answers to IDS never arrived: the fee of each is taken back.

    What is declared is recorded, and its receipt kept. A certificate centre's lines are put right by `sekisho relay
    correct` instead.
    """
    dialling, place = read_line_file(line, port=line_port), _receipts_in(receipts)
    _told(trio.run(_each, dialling, _wanted(ids), timeout_s, partial(_disclaim, place, ground)), good="disclaimed")


@command.command()
@click.argument("directory", type=_DIR)
def proofs(directory: Path) -> None:
    """What a book of proofs holds, by month: a relay's or a ministry server's directory, or its `proofs`."""
    place = _receipts_in(directory)
    if not (place / FILE_NAME).is_file():
        raise click.ClickException(f"{place} is no book of proofs; a relay and a ministry server keep one in `proofs`")
    with open_proof_book(place) as book:
        months = book.months()
    for each in months:
        click.echo(f"{each.month}  {each.proofs:>9,} proofs  {each.bytes:>13,} bytes  {each.bytes // each.proofs} each")
    if not months:
        click.echo("no proofs yet")


def _receipts_in(directory: Path) -> Path:
    """Where the files of proofs are; of a book all that waits is put into them first."""
    place = directory / DIRECTORY if (directory / DIRECTORY / FILE_NAME).is_file() else directory
    if (place / FILE_NAME).is_file():
        with open_proof_book(place) as book:
            book.seal()
    return place


def _tariff(path: Path) -> Tariff:
    try:
        return read_tariff(read_bounded(path, TARIFF_BYTES_MAX, "tariff").decode())
    except UnicodeDecodeError as error:
        raise click.ClickException(f"--tariff {path} is not UTF-8") from error


def _check_previous(invoice: Invoice, path: Path, trust: Trust) -> None:
    """Hold what an invoice says of the freeze before its own against the invoice of then. Raises: InvoiceError."""
    before = verify_invoice(decode_signed(read_bounded(path, INVOICE_BYTES_MAX, "invoice")), trust)
    if before.party != invoice.party:
        raise InvoiceError("previous", f"it is of {before.party}, not of {invoice.party}")
    said, was = invoice.rests.previous_us, before.rests.frozen_us
    if said != was:
        raise InvoiceError("previous", f"{before.period} was frozen {jst(was)}, and is said to have been {jst(said)}")


def _check_note(invoice: Invoice, path: Path, trust: Trust) -> None:
    """Hold the invoice's checkpoint against one that was kept. Raises: InvoiceError, click.ClickException."""
    try:
        note = verify_note(parse_note(read_bounded(path, NOTE_BYTES_MAX, "checkpoint").decode()), trust)
    except (UnicodeDecodeError, NoteError, KeysError, TrustError) as error:
        raise click.ClickException(f"--checkpoint {path} is not the centre's: {error}") from error
    rests = invoice.rests
    if note.size != rests.checkpoint_size:
        raise click.ClickException(
            f"--checkpoint {path} has size {note.size}, the invoice rests on {rests.checkpoint_size}: keep that one"
        )
    if note.root != rests.checkpoint_root:
        raise InvoiceError("checkpoint", "it is not the one you kept: the centre showed two ledgers; keep both")


def _facts(invoice: Invoice, verdict: Verdict, kept: Kept) -> dict[str, Any]:
    return {
        "sound": verdict.sound,
        "number": invoice.number,
        "kind": DocumentKind(invoice.kind).name.lower(),
        "issuer": invoice.issuer,
        "role": invoice.role,
        "environment": invoice.environment,
        "party": invoice.party,
        "period": invoice.period,
        "due_yen": invoice.due_yen,
        "tax_yen": invoice.tax_yen,
        "net": msgspec.structs.asdict(invoice.net),
        "items": verdict.items,
        "proven": verdict.proven,
        "receipts": verdict.receipts,
        "later": verdict.later,
        "foreign": verdict.foreign,
        "unreadable": [{"file": name, "why": why} for name, why in kept.faults],
        "counts": verdict.counts,
        "findings": [msgspec.structs.asdict(each) for each in verdict.findings],
    }


def _show(invoice: Invoice, verdict: Verdict, kept: Kept, *, key_id: str) -> None:
    net, tax = invoice.net, f", tax {invoice.tax_yen:,}" if invoice.tax_supplier else ""
    frozen = f", 確定 / frozen {jst(invoice.rests.frozen_us)}" if invoice.rests.frozen_us else ""
    lines = [
        (_KINDS[DocumentKind(invoice.kind)], printable(invoice.number)),
        ("発行 / issuer", f"{invoice.issuer} ({invoice.role}, {invoice.environment}), key {printable(key_id)}"),
        ("対象 / party", f"{printable(invoice.party)}, {printable(invoice.period)}{frozen}"),
        ("差引 / due", f"{invoice.due_yen:,}円 (fees {net.yen:,}, commission {net.commission:,}{tax})"),
        ("明細 / lines", f"{verdict.items:,}; 証明済み / proven {verdict.proven:,}"),
        (
            "受領証 / receipts",
            f"{verdict.receipts:,}; 翌期以降 / of later invoices {verdict.later:,}; "
            f"他者 / of others {verdict.foreign:,}; 不良 / unreadable {len(kept.faults):,}",
        ),
    ]
    for name, value in lines:
        click.echo(f"  {name}: {value}")
    for name, why in kept.faults[:SHOWN_MAX]:
        click.echo(f"  {printable(name)}: {why}")
    if verdict.sound:
        click.echo("一致しました / everything fits")
        return
    click.echo("一致しません / what does not fit:")
    for fault, count in verdict.counts.items():
        ja, en, remedy = FAULTS[Fault(fault)]
        click.echo(f"  {count:,} x {fault}: {ja} / {en}; {remedy}")
    for each in verdict.findings[:SHOWN_MAX]:
        click.echo(f"    {each.fault} {each.request_id}: {printable(each.detail)}")
    if len(verdict.findings) > SHOWN_MAX:
        click.echo(f"    ... {sum(verdict.counts.values()) - SHOWN_MAX:,} more; --json names them")


def _wanted(ids: Path) -> list[str]:
    """The request ids in a file. Raises: click.ClickException."""
    wanted = [text for text in ids.read_text().split() if text]
    for text in wanted:
        if not _ID.fullmatch(text):
            raise click.ClickException(f"{ids}: {text[:40]!r} is no request id: 32 hexadecimal digits")
    return wanted


def _told(each: list[str], *, good: str) -> None:
    """How often what came of it; ends the command where something else than the good came."""
    found: Counter[str] = Counter(each)
    click.echo(", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "nothing to do")
    if set(found) - {good}:
        raise SystemExit(1)


async def _each(
    dialling: Dialling, ids: list[str], timeout_s: int, work: Callable[[LineClient, str, int], Awaitable[str]]
) -> list[str]:
    """What came of each id, over one line."""
    async with line_from(dialling) as line:
        await line.wait_open(timeout_s)
        return [await work(line, text, timeout_s) for text in ids]


async def _disclaim(place: Path, ground: str, line: LineClient, text: str, timeout_s: int) -> str:
    """Declare one; what came of it."""
    body = encode(Disclaim(bytes.fromhex(text), ground))
    result = await line.ask(Operation.DISCLAIM, body, timeout_s=timeout_s)
    receipt = result.receipt()
    if result.outcome != Outcome.DISCLAIMED or receipt is None:
        click.echo(f"{text}: {CATALOGUE[Outcome(result.outcome)].ja} / {CATALOGUE[Outcome(result.outcome)].en}")
        return "not disclaimed"
    write_whole(place / f"{text}-disclaimed.receipt", encode_receipt(receipt), mode=PRIVATE)
    return "disclaimed"


async def _fetch(dialling: Dialling, place: Path, line: LineClient, text: str, timeout_s: int) -> str:
    """Fetch one receipt; what came of it."""
    query = encode(ReceiptQuery(bytes.fromhex(text)))
    result = await line.ask(Operation.RECEIPT, query, timeout_s=timeout_s)
    if result.outcome != Outcome.RECEIPT:
        click.echo(f"{text}: {Outcome(result.outcome).name}")
        return "not to be had"
    try:
        receipt = decode_receipt(result.body)
        entry = verify_receipt(receipt, dialling.trust).entry
    except ReceiptError as error:
        click.echo(f"{text}: {error}")
        return "not proven"
    if (entry.party, entry.request_id.hex()) != (dialling.target.own.party, text):
        click.echo(f"{text}: the receipt is of another request")
        return "not proven"
    (place / f"{text}.receipt").write_bytes(encode_receipt(Receipt(receipt.proof, None, receipt.finality)))
    return "fetched"
