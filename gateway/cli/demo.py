"""`sekisho demo`: both centres on this machine, asked over real lines by a ministry and by a kiosk.

Everything is synthetic and lies in one directory; a second start uses what is there.
"""

import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

import click
import msgspec
import trio
from rich.console import Console
from rich.table import Table

from certs.files import PRIVATE, write_whole
from gateway.app import supervisor
from gateway.app.configuration import read_configuration
from gateway.app.development_running import running_service
from gateway.app.setup import RESIDENTS_DEFAULT, RESIDENTS_MIN, SEED, is_made
from gateway.app.supervisor import Running
from gateway.cli.demo_certificates import DIRECTORY as CERTIFICATES
from gateway.cli.demo_certificates import describe_service, make_demo_service, show_certificates
from gateway.cli.demo_desk import demo_desk, describe_desk, make_demo_desk, show_codes
from gateway.cli.demo_settle import latest, planned, show_settlement
from gateway.cli.init import make_with_progress
from gateway.cli.inquire import describe, final_receipt
from gateway.inquiry.cases import known_cases
from gateway.line.dial import LineClient, LineError
from gateway.ops.logs import configure_logging
from gateway.peers.line_file import Dialling, line_from, read_line_file
from protocol.keys import Algorithm, context
from protocol.messages import BatchInquiry, InquiryByCode, InquiryByName, Operation, encode
from protocol.outcomes import Outcome
from protocol.peer import Result
from protocol.receipt import encode_receipt, verify_receipt

PORT: Final = 9440
DESK_PORT: Final = 8443
AFFAIR, STEP, STAFF, CASE = "vehicle-12-1", 1, "staff-001", "2026-0001"
VOUCHER: Final = "digital-voucher"
"""An affair that no agreement lists (004 is none of 002 別記1): it must be refused."""


@click.command("demo")
@click.option("--data", type=click.Path(path_type=Path), default=Path("sekisho-demo"), show_default=True)
@click.option("--once", is_flag=True, help="Do it once and end, in place of staying up until Ctrl-C.")
@click.option("--workers", type=click.IntRange(0, 64), default=0, show_default=True, help="0: one a core.")
@click.option(
    "--residents", type=click.IntRange(RESIDENTS_MIN, 10_000_000), default=RESIDENTS_DEFAULT, show_default=True
)
@click.option("--settle", is_flag=True, help="Settle a past month and quarter in place of what is asked and issued.")
def command(data: Path, *, once: bool, workers: int, residents: int, settle: bool) -> None:
    """Start both centres with synthetic residents; a ministry inquires, and a user takes certificates at a kiosk.

    The first start makes everything (half a minute); later ones use what is there. Ctrl-C ends all of it. With --once
    --settle synthetic business of a past month and quarter is recorded and settled, to paid and proven invoices.
    """
    if settle and not once:
        raise click.UsageError("--settle plays once and ends; give it with --once")
    console = Console(width=None if sys.stdout.isatty() else 116)
    configure_logging("ERROR")
    console.print(
        "[bold]Sekisho 関所[/] デモ / demo: 照会センター inquiry centre, 証明書交付センター certificate centre",
        highlight=False,
    )
    began = time.monotonic()
    play = planned(data) if settle else latest()
    try:
        if not is_made(data):
            console.print(f"making {data} 初回の準備をしています", highlight=False)
            port = _free_port(PORT)
            make_with_progress(
                console,
                data,
                port=port,
                ops_port=_free_port(port + 1),
                workers=workers,
                residents=residents,
                since_us=play.since_us,
            )
        make_demo_service(console, data / CERTIFICATES, workers=workers, since_us=play.since_us)
        if settle:
            show_settlement(console, play, data=data, service=data / CERTIFICATES)
            return
        trio.run(_run, console, data, once, began)
    except KeyboardInterrupt:
        console.print("ended 終了しました")
        raise SystemExit(130) from None


def _free_port(first: int) -> int:
    for port in range(first, first + 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return 0


async def _run(console: Console, data: Path, once: bool, began: float) -> None:
    configuration = read_configuration(data)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            console.print("starting the database and the workers 起動しています")
            async with (
                supervisor.database(configuration) as dsns,
                supervisor.running_gateway(configuration, dsns, log_file=data / "gateway.log") as gateway,
            ):
                console.print(
                    f"up in {time.monotonic() - began:.1f} s: {gateway.workers} workers on 127.0.0.1:{gateway.port}",
                    highlight=False,
                )
                await _show(console, data, gateway)
                users = make_demo_desk(data)
                async with (
                    demo_desk(data, port=_free_port(DESK_PORT), line_port=gateway.port) as address,
                    running_service(data / CERTIFICATES, kiosk_page=True) as service,
                ):
                    await show_certificates(console, service)
                    describe_desk(console, data, address, users)
                    describe_service(console, service)
                    if not once:
                        console.print("\n[bold]Ctrl-C で終了します / Ctrl-C ends it[/]")
                        await show_codes(console, users)
            nursery.cancel_scope.cancel()
    console.print("ended; nothing is left running 終了しました")


async def _show(console: Console, data: Path, gateway: Running) -> None:
    dialling = read_line_file(data / "ministry", port=gateway.port)
    table = Table(title="国土交通省の照会 (合成データ) / a ministry's inquiries (synthetic data)", title_justify="left")
    for heading, justify in (
        ("照会 question", "left"),
        ("結果 outcome", "left"),
        ("料金 fee", "right"),
        ("応答 ms", "right"),
        ("ブロック block", "left"),
    ):
        table.add_column(heading, justify="right" if justify == "right" else "left")
    async with line_from(dialling) as client:
        await client.wait_open(all_slots=True)
        first = await _ask_all(client, table)
        receipt = first.receipt()
        if receipt is None:
            raise click.ClickException("the first inquiry was not recorded; see gateway.log")
        final = await final_receipt(client, receipt, first.request.request_id)
    await _ask_with_wrong_signature(dialling, table)
    console.print(table)

    verified = verify_receipt(final, dialling.trust)
    file = data / "receipt.sekisho"
    write_whole(file, encode_receipt(final), mode=PRIVATE)
    finality = f"final in checkpoint {verified.checkpoint.size}" if verified.checkpoint else "not final yet"
    console.print(
        f"[green]✓[/] receipt verified offline 受領証を検証しました: {verified.entry.yen} yen, "
        f"block {verified.header.stream.hex()[:8]}/{verified.header.height}, {finality}",
        highlight=False,
    )
    await _verify_ledger(console, data)
    console.print("\n[bold]次に / try next[/]")
    for line in (
        f"sekisho inquire --line {data}/ministry --name 高橋一郎 "
        "--address 千葉県千葉市中央区千葉港1丁目2番3号 --case 2026-0002",
        f"sekisho receipt verify {file} --trust {data}/trust.bundle",
        f"sekisho ledger verify --data {data}",
        f"curl http://127.0.0.1:{gateway.ops_port}/metrics",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


async def _ask_all(client: LineClient, table: Table) -> Result:
    cases = {case.key: case for case in known_cases(SEED)}
    shown = (
        ("exact-by-code", "住民票コードで by code"),
        ("exact-by-name", "氏名と住所で by name and address"),
        ("variant-kanji", "異体字 variant kanji (高橋 → 髙橋)"),
        ("former-address", "前住所 former address"),
        ("none-by-code", "該当なし nobody"),
        ("expired", "保存期間経過 record past its retention"),
        ("ambiguous", "同姓同名 two of one name"),
    )
    first: Result | None = None
    for key, label in shown:
        body = cases[key].question(affair=AFFAIR, step=STEP, staff=STAFF, case=CASE)
        result = await _ask(client, table, label, _operation(body), encode(body))
        first = first or result
    if first is None:
        raise click.ClickException("nothing was asked")
    voucher = cases["exact-by-code"].question(affair=VOUCHER, step=STEP, staff=STAFF, case=CASE)
    await _ask(client, table, "協定にない事務 an affair not granted", Operation.INQUIRE_BY_CODE, encode(voucher))
    batch = BatchInquiry(AFFAIR, STEP, STAFF, CASE, 100)
    await _ask(client, table, "一括提供の要求 a batch request", Operation.BATCH, encode(batch))
    again = cases["exact-by-code"].question(affair=AFFAIR, step=STEP, staff=STAFF, case=CASE)
    other = cases["none-by-code"].question(affair=AFFAIR, step=STEP, staff=STAFF, case=CASE)
    request_id = first.request.request_id
    await _ask(client, table, "同じ要求の再送 the first one again", _operation(again), encode(again), request_id)
    await _ask(
        client, table, "同じ番号で別の照会 its id, another question", _operation(other), encode(other), request_id
    )
    return first


def _operation(body: InquiryByCode | InquiryByName) -> Operation:
    return Operation.INQUIRE_BY_CODE if isinstance(body, InquiryByCode) else Operation.INQUIRE_BY_NAME


async def _ask(
    client: LineClient, table: Table, label: str, operation: Operation, body: bytes, request_id: bytes | None = None
) -> Result:
    began = time.perf_counter()
    result = await client.ask(operation, body, request_id=request_id)
    said = describe(result, (time.perf_counter() - began) * 1000)
    block = said.get("block")
    repeat = " (再送 repeat)" if result.entry is not None and result.entry.ref is not None else ""
    table.add_row(
        label,
        f"{said['outcome_ja']}{repeat}\n[dim]{said['outcome_en']}[/]",
        f"{said['yen']} 円",
        f"{said['latency_ms']:.1f}",
        f"{block['stream'][:8]}/{block['height']}" if block else "[dim]なし none[/]",
    )
    return result


async def _ask_with_wrong_signature(dialling: Dialling, table: Table) -> None:
    """A frame whose signature is not the line's: the line is closed with a FAULT and nothing is recorded."""

    async def forge(signed: bytes) -> tuple[Algorithm, str, bytes]:
        algorithm, key_id, signature = await dialling.sign(signed)
        if signed.startswith(context("request")):
            signature = signature[:-1] + bytes([signature[-1] ^ 1])
        return algorithm, key_id, signature

    body = known_cases(SEED)[0].question(affair=AFFAIR, step=STEP, staff=STAFF, case=CASE)
    async with line_from(msgspec.structs.replace(dialling, sign=forge)) as client:
        await client.wait_open()
        began = time.perf_counter()
        reason = "answered although the signature was wrong"
        try:
            result = await client.ask(Operation.INQUIRE_BY_CODE, encode(body), timeout_s=1.0)
            reason = f"{reason}: {Outcome(result.outcome).name}"
        except LineError as error:
            reason = str(error).rsplit(": ", 2)[-2] if "SIGNATURE_INVALID" in str(error) else str(error)
        del began
    table.add_row(
        "署名の誤り a wrong signature",
        f"回線を切断しました\n[dim]the line was closed: {reason}[/]",
        "0 円",
        "",
        "[dim]なし none[/]",
    )


async def _verify_ledger(console: Console, data: Path) -> None:
    """The whole ledger, by the command a person would use, against the checkpoint that the ministry was sent."""
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", "ledger", "verify", "--data", str(data)],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        raise click.ClickException(f"the ledger does not verify:\n{said}")
    console.print(f"[green]✓[/] ledger verified 台帳を検証しました: {said.splitlines()[0]}", highlight=False)
