"""`sekisho inquire`: one question over a dedicated line, as a ministry's own program would ask it."""

import json
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from certs.files import PRIVATE, write_whole
from gateway.app.configuration import TEST_ENVIRONMENT
from gateway.cli.serve import TEST_BANNER
from gateway.line.dial import LineClient
from gateway.peers.line_file import Dialling, line_from, read_line_file
from protocol.approval import approval_digest
from protocol.messages import Approve, InquiryByCode, InquiryByName, Operation, ReceiptQuery, Refusal, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result
from protocol.receipt import Receipt, decode_receipt, encode_receipt, verify_receipt
from protocol.resident import decode_answer

FINAL_S_MAX = 5.0
"""How long to wait for a checkpoint that makes the receipt final."""
APPROVAL_S = 60
"""How long an approval lasts that is made for one question."""
FIELDS = ("code", "name", "kana", "former_surname", "alias", "birth", "sex", "address", "my_number")


@click.command("inquire")
@click.option("--line", "line", type=click.Path(path_type=Path), required=True, help="line.toml, or its directory.")
@click.option("--code", help="住民票コード, 11 digits.")
@click.option("--name", help="氏名 (with --address).")
@click.option("--address", help="住所 (with --name).")
@click.option("--birth", help="生年月日, YYYY-MM-DD (optional, with --name).")
@click.option("--sex", type=click.IntRange(1, 2), help="1 男, 2 女 (optional, with --name).")
@click.option("--affair", default="vehicle-12-1", show_default=True, help="事務.")
@click.option("--step", type=int, default=1, show_default=True, help="1 受理, 2 審査, 3 応答.")
@click.option("--staff", default="staff-001", show_default=True, help="Staff number.")
@click.option("--case", required=True, help="案件番号, such as 2026-0001.")
@click.option("--approver", help="Staff number of a second person, who approves this very question first.")
@click.option("--id", "request_id", help="Request id to send again (32 hexadecimal digits); a new one otherwise.")
@click.option("--receipt", type=click.Path(path_type=Path), help="Keep the receipt in this file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port, in place of the line file's.")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds to wait for an answer.")
def command(
    line: Path,
    code: str | None,
    name: str | None,
    address: str | None,
    birth: str | None,
    sex: int | None,
    affair: str,
    step: int,
    staff: str,
    case: str,
    approver: str | None,
    request_id: str | None,
    receipt: Path | None,
    *,
    as_json: bool,
    port: int | None,
    timeout: float,
) -> None:
    """Ask one question: by --code, or by --name and --address. Exit status 0 if a resident was found, 2 if not.

    \b
    Example:
      sekisho inquire --line sekisho-demo/ministry --name 高橋一郎 --address 千葉県千葉市中央区千葉港1丁目2番3号 \\
        --case 2026-0001 --receipt receipt.sekisho
    """
    body: InquiryByCode | InquiryByName
    if code is not None and name is None and address is None:
        body = InquiryByCode(affair, step, staff, case, code)
    elif code is None and name is not None and address is not None:
        body = InquiryByName(affair, step, staff, case, name, address, birth, sex)
    else:
        raise click.UsageError("give --code, or --name and --address")
    if approver is not None and request_id is not None:
        raise click.UsageError("--approver makes another question of it; leave --id out")
    own_id = _request_id(request_id)
    dialling = read_line_file(line, port=port)
    result, kept, latency_ms = trio.run(_ask, dialling, body, approver, own_id, receipt is not None, timeout)
    if receipt is not None:
        if kept is None:
            raise click.ClickException("the outcome is not recorded, so there is no receipt; ask again")
        write_whole(receipt, encode_receipt(kept), mode=PRIVATE)
    shown = describe(result, latency_ms)
    click.echo(json.dumps(shown, ensure_ascii=False, indent=2) if as_json else _text(shown, receipt))
    if result.outcome not in (Outcome.EXACT, Outcome.VARIANT):
        raise SystemExit(2)


def _request_id(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        value = b""
    if len(value) != 16:
        raise click.BadParameter("a request id has 32 hexadecimal digits", param_hint="--id")
    return value


async def _ask(
    dialling: Dialling,
    body: InquiryByCode | InquiryByName,
    approver: str | None,
    request_id: bytes | None,
    want_receipt: bool,
    timeout_s: float,
) -> tuple[Result, Receipt | None, float]:
    operation = Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME
    async with line_from(dialling) as client:
        await client.wait_open(timeout_s)
        began = time.perf_counter()
        if approver is not None:
            approval = await _approve(client, operation, body, approver, timeout_s)
            if approval.outcome != Outcome.APPROVED:
                return approval, approval.receipt() if want_receipt else None, (time.perf_counter() - began) * 1000
            body = msgspec.structs.replace(body, approval=approval.request.request_id)
        result = await client.ask(operation, encode(body), request_id=request_id, timeout_s=timeout_s)
        latency_ms = (time.perf_counter() - began) * 1000
        kept = result.receipt() if want_receipt else None
        if kept is not None:
            kept = await final_receipt(client, kept, result.request.request_id)
            verify_receipt(kept, dialling.trust)
    return result, kept, latency_ms


async def _approve(
    client: LineClient, operation: Operation, body: InquiryByCode | InquiryByName, approver: str, timeout_s: float
) -> Result:
    """A second person's approval of this question, for as long as it takes to ask it."""
    approve = Approve(
        affair=body.affair,
        step=body.step,
        staff=approver,
        case=body.case,
        digests=[approval_digest(operation, body)],
        expires_at_us=time.time_ns() // 1000 + APPROVAL_S * 1_000_000,
    )
    return await client.ask(Operation.APPROVE, encode(approve), timeout_s=timeout_s)


async def final_receipt(client: LineClient, receipt: Receipt, request_id: bytes) -> Receipt:
    """The receipt with its finality, if a checkpoint covers its block within FINAL_S_MAX; else as it was."""
    with trio.move_on_after(FINAL_S_MAX):
        while True:
            fetched = await client.ask(Operation.RECEIPT, encode(ReceiptQuery(request_id)))
            if fetched.outcome == Outcome.RECEIPT:
                again = decode_receipt(fetched.body)
                if again.finality is not None and again.proof.header == receipt.proof.header:
                    return Receipt(receipt.proof, receipt.opening, again.finality)
                if again.proof.header != receipt.proof.header:  # a repeat: its own block is not the first one
                    return receipt
            await trio.sleep(0.25)
    return receipt


def describe(result: Result, latency_ms: float) -> dict[str, Any]:
    """What one answer says, as plain values."""
    meaning = CATALOGUE[Outcome(result.outcome)]
    shown: dict[str, Any] = {
        "request_id": result.request.request_id.hex(),
        "environment": result.environment,
        "outcome": Outcome(result.outcome).name,
        "outcome_ja": meaning.ja,
        "outcome_en": meaning.en,
        "yen": result.entry.yen if result.entry is not None else 0,
        "recorded": result.entry is not None,
        "latency_ms": round(latency_ms, 2),
    }
    if result.share is not None:
        header = msgspec.msgpack.decode(result.share.header)
        shown["block"] = {
            "stream": header[1].hex(),
            "height": header[2],
            "index": result.share.first + result.place,
        }
    if result.outcome in (Outcome.EXACT, Outcome.VARIANT):
        found = decode_answer(result.body)
        shown["differing"] = found.differing
        shown["record"] = msgspec.structs.asdict(found.record)
    else:
        refusal = msgspec.msgpack.decode(result.body, type=Refusal)
        shown.update({key: value for key, value in msgspec.structs.asdict(refusal).items() if value})
    return shown


def _text(shown: dict[str, Any], receipt: Path | None) -> str:
    lines = [TEST_BANNER] if shown["environment"] == TEST_ENVIRONMENT else []
    lines.append(f"{shown['outcome_ja']}  {shown['outcome_en']}")
    record = shown.get("record", {})
    lines += [f"  {name:<14} {record[name]}" for name in FIELDS if record.get(name) not in (None, "")]
    if shown.get("differing"):
        lines.append(f"  differs in {', '.join(shown['differing'])}")
    lines += [f"  {name:<14} {shown[name]}" for name in ("field", "remedy") if shown.get(name)]
    block = shown.get("block")
    place = f"block {block['stream'][:8]}/{block['height']}#{block['index']}" if block else "not recorded"
    lines.append(f"  {shown['yen']} yen, {shown['latency_ms']} ms, {place}, id {shown['request_id']}")
    if receipt is not None:
        lines.append(f"  receipt kept in {receipt}")
    return "\n".join(lines)
