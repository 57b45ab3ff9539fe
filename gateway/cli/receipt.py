"""`sekisho receipt`: what a receipt proves, checked offline with a trust bundle; no database, no network."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from protocol.application import Transition
from protocol.ledger import CertificateEntry, Entry, EntryKind, decode_entry, decode_header
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE, Outcome
from protocol.receipt import RECEIPT_BYTES_MAX, Receipt, ReceiptError, decode_receipt, verify_receipt
from protocol.trust import BUNDLE_BYTES_MAX, Trust, TrustError, decode_trust

_JST: Final = timezone(timedelta(hours=9), "JST")
_NOTE_BYTES_MAX: Final = 64 << 10


def jst(at_us: int) -> str:
    """A time as people in Japan read it, or the number when no calendar has it."""
    try:
        return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)).astimezone(_JST).isoformat(sep=" ")
    except (OverflowError, ValueError):
        return f"{at_us} us"


def printable(text: str) -> str:
    """Text of a file that nobody vouched for: bounded, and without what a terminal would obey."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:200])
    return shown + "..." if len(text) > 200 else shown


def describe_operation(operation: int) -> str:
    """An operation's name, or its number when it is newer than this program."""
    return Operation(operation).name if operation in list(Operation) else str(operation)


def describe_outcome(outcome: int) -> str:
    """An outcome's code and words in both languages."""
    if outcome not in list(Outcome):
        return f"{outcome} (newer than this program)"
    meaning = CATALOGUE[Outcome(outcome)]
    return f"{outcome} {Outcome(outcome).name}: {meaning.ja} / {meaning.en}"


def read_bounded(path: Path, bytes_max: int, what: str) -> bytes:
    """A file's bytes. Raises: click.ClickException when it cannot be read or is longer."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise click.ClickException(f"cannot read {what} {path}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise click.ClickException(f"{what} {path} is longer than {bytes_max} bytes")
    return data


def _load(path: Path) -> Receipt:
    try:
        return decode_receipt(read_bounded(path, RECEIPT_BYTES_MAX, "receipt"))
    except ReceiptError as error:
        raise click.ClickException(f"{path} is not a receipt: {error}") from error


def load_trust(path: Path) -> Trust:
    """The trust bundle of --trust. Raises: click.ClickException."""
    try:
        return decode_trust(read_bounded(path, BUNDLE_BYTES_MAX, "trust bundle"))
    except TrustError as error:
        raise click.ClickException(f"--trust {path}: {error}") from error


def _entry_lines(entry: Entry) -> list[tuple[str, str]]:
    kind = EntryKind(entry.kind).name if entry.kind in list(EntryKind) else str(entry.kind)
    return [
        ("当事者 / party", printable(entry.party)),
        ("回線 / line", printable(entry.line)),
        ("要求番号 / request id", entry.request_id[:16].hex()),
        ("処理 / operation", describe_operation(entry.operation)),
        ("事務 / matter", f"{printable(entry.matter)}, step {entry.step}"),
        ("結果 / outcome", describe_outcome(entry.outcome)),
        ("種別 / kind", kind),
        ("料金 / fee", f"{entry.yen}円 (手数料 / commission {entry.commission}円, terms {entry.terms})"),
        ("時刻 / time", jst(entry.at_us)),
        *_delivery_lines(entry),
    ]


def _delivery_lines(entry: Entry) -> list[tuple[str, str]]:
    """What a certificate centre's entry says beside (protocol.ledger.Delivery)."""
    delivery = entry.delivery if isinstance(entry, CertificateEntry) else None
    if delivery is None:
        return []
    known = delivery.transition in list(Transition)
    lines = [
        ("申請 / application", delivery.application[:16].hex()),
        ("段階 / transition", Transition(delivery.transition).name if known else str(delivery.transition)),
        ("部数の増減 / copies", f"{delivery.copies:+d}"),
        ("端末 / kiosk", printable(delivery.kiosk)),
    ]
    if delivery.deposited_at_us:
        day = f"{printable(delivery.store_day)}, store {printable(delivery.store)}"
        lines.append(("入金 / deposit", f"{jst(delivery.deposited_at_us)} (営業日 / business day {day})"))
    return lines


def _delivery_facts(entry: Entry) -> dict[str, Any] | None:
    delivery = entry.delivery if isinstance(entry, CertificateEntry) else None
    if delivery is None:
        return None
    return {**msgspec.structs.asdict(delivery), "application": delivery.application.hex()}


def _echo(lines: list[tuple[str, str]]) -> None:
    for name, value in lines:
        click.echo(f"  {name}: {value}")


@click.group()
def command() -> None:
    """Verify and show receipts (受領証), offline."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trust", "bundle", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Trust bundle.")
@click.option("--checkpoint", type=click.Path(path_type=Path, dir_okay=False), help="A checkpoint note you kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(file: Path, bundle: Path, checkpoint: Path | None, as_json: bool) -> None:
    """Check every part of a receipt and say what it proves; exit 1 and name the part that does not hold."""
    receipt, trust = _load(file), load_trust(bundle)
    kept = None
    if checkpoint is not None:
        try:
            kept = read_bounded(checkpoint, _NOTE_BYTES_MAX, "checkpoint").decode()
        except UnicodeDecodeError as error:
            raise click.ClickException(f"--checkpoint {checkpoint} is not a note: not UTF-8") from error
    try:
        verified = verify_receipt(receipt, trust, kept_note=kept)
    except ReceiptError as error:
        raise click.ClickException(f"{file} does not prove what it says / 検証できません: {error}") from error
    entry, header, final = verified.entry, verified.header, verified.checkpoint
    if as_json:
        facts: dict[str, Any] = {
            "valid": True,
            "centre": trust.centre,
            "role": trust.role,
            "environment": trust.environment,
            "party": entry.party,
            "line": entry.line,
            "request_id": entry.request_id.hex(),
            "operation": entry.operation,
            "outcome": entry.outcome,
            "kind": entry.kind,
            "yen": entry.yen,
            "commission": entry.commission,
            "at_us": entry.at_us,
            "delivery": _delivery_facts(entry),
            "block": {"stream": header.stream.hex(), "height": header.height, "index": receipt.proof.index},
            "opened": verified.opened,
            "checkpoint": final
            and {"origin": final.origin, "size": final.size, "root": final.root.hex(), "at_us": final.at_us},
        }
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    click.echo("検証できました / proven:")
    _echo([("センター / centre", f"{trust.centre} ({trust.role}, {trust.environment})"), *_entry_lines(entry)])
    place = f"stream {header.stream.hex()}, height {header.height}, index {receipt.proof.index} of {header.count}"
    opened = "質問と回答も一致 / question and answer match" if verified.opened else "なし / not in this file"
    _echo([("ブロック / block", place), ("内容 / opening", opened)])
    if final is not None:
        match = "; お手元の控えと一致 / the one you kept" if kept is not None else ""
        _echo([("確定 / final", f"checkpoint of size {final.size}, {jst(final.at_us)}{match}")])
    else:
        remedy = "fetch the receipt again (operation RECEIPT) once a checkpoint covers its block"
        _echo([("未確定 / not final yet", remedy)])


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def show(file: Path) -> None:
    """Show what a receipt says, without believing it."""
    receipt = _load(file)
    try:
        entry, header = decode_entry(receipt.proof.entry), decode_header(receipt.proof.header)
    except ValueError as error:
        raise click.ClickException(f"{file}: the entry or the header cannot be read: {error}") from error
    click.echo("未検証 / not verified (sekisho receipt verify):")
    _echo(_entry_lines(entry))
    parts = ["proof", *(name for name in ("opening", "finality") if getattr(receipt, name) is not None)]
    _echo(
        [
            ("ブロック / block", f"stream {header.stream.hex()}, height {header.height}, index {receipt.proof.index}"),
            ("鍵 / key", printable(receipt.proof.key_id)),
            ("部分 / parts", ", ".join(parts)),
        ]
    )
