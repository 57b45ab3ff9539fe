"""The demo's settlement: a past month and quarter at both centres, from the first disclosure to paid invoices.

Everything is synthetic. The days are those of the agreements and their calendars; what a person would do at a command
is done by the same functions. In the end the payer proves its invoice, and finds a fee that was changed in a copy.
"""

import datetime as dt
import sys
from pathlib import Path
from typing import Final

import click
import trio
from rich.console import Console
from rich.table import Table

from gateway.app.development import OPERATOR
from gateway.app.synthetic_settlement import (
    MINISTRY,
    TARIFF,
    Play,
    PlayError,
    forge_invoice,
    play_settlement,
    read_play,
    status_of,
)
from gateway.app.synthetic_times import settled_month, settled_quarter
from gateway.peers.proof_book import DIRECTORY as PROOFS
from gateway.settlement.conduct_status import Stand, Status
from gateway.settlement.proving import Verdict, prove_invoice
from gateway.settlement.receipts import Kept
from gateway.settlement.statements import Statement
from gateway.settlement.tariff import read_tariff
from gateway.settlement.windows import JST
from hsm.errors import HsmError
from protocol.certificates import KINDS
from protocol.invoice import Invoice, decode_signed, read_items, verify_invoice
from protocol.settlement import Amount, Cell
from protocol.trust import decode_trust

FORGED: Final = "forged"
_MARKS: Final = {Stand.DONE: "済 done", Stand.NONE: "該当なし none"}


def planned(data: Path) -> Play:
    """What is played in a directory: what was played there, else the latest month and quarter that are over."""
    today = dt.datetime.now(JST).date()
    try:
        found = read_play(data)
    except PlayError as error:
        raise click.ClickException(str(error)) from error
    return found or Play(month=settled_month(today).text, quarter=settled_quarter(today).text)


def show_settlement(console: Console, play: Play, *, data: Path, service: Path) -> None:
    """Play it, unless it was, and show what came of it. data: of the inquiry centre too."""
    centre = service / "centre"
    if play.done:
        console.print(f"{data} は精算済みです / was settled already: {play.month}, {play.quarter}", highlight=False)
    else:
        console.print("合成の取扱いを記録し、精算します / recording synthetic business and settling it")
        try:
            play = play_settlement(play, data=data, inquiry=data, service=service)
        except HsmError as error:
            raise click.ClickException(
                f"{data}: its keys are younger than the month ({error}); choose another --data directory"
            ) from error
    console.print(_timeline(play))
    for status in status_of(play, inquiry=data, service=service):
        console.print(_standing(status))
    operator, ministry = service / "operator" / "relay", data / "ministry"
    billed = _invoice(centre / "settlement" / play.month / OPERATOR, centre)
    console.print(_cells(billed))
    _prove(console, centre / "settlement" / play.month / OPERATOR, centre, operator)
    _prove(console, data / "settlement" / play.quarter / MINISTRY, data, ministry)
    _show_forgery(console, play, data, centre, operator)
    for place in (data, centre):
        _verify_ledger(console, place)
    _describe(console, play, data, centre, operator)


def _timeline(play: Play) -> Table:
    title = f"{play.month} 月次精算と {play.quarter} 四半期精算 (合成データ) / a month and a quarter settled"
    table = Table(title=title, title_justify="left")
    for heading in ("日付 day", "処理 step", "相手 party"):
        table.add_column(heading)
    table.add_column("円 yen", justify="right")
    for each in play.happened:
        yen = "" if each.yen is None else f"{each.yen:,}"
        table.add_row(str(each.day), f"{each.ja}\n[dim]{each.en}[/]", each.party or "全体 all", yen)
    return table


def _standing(status: Status) -> Table:
    title = f"{status.period} の状況: 確定 {status.frozen_yen:,}円 / frozen at {status.frozen_yen:,} yen"
    table = Table(title=title, title_justify="left")
    for heading in ("相手 party", "処理 step", "期限 due", "状態 state", "実施 done on"):
        table.add_column(heading)
    table.add_column("円 yen", justify="right")
    party = ""
    for each in status.steps:
        shown = each.party if each.party != party else ""
        party = each.party
        table.add_row(
            shown,
            f"{each.name_ja} [dim]{each.name_en}[/]",
            each.deadline or each.day or "-",
            _MARKS.get(each.stand, each.stand.value),
            f"{each.done_on} {each.by}".strip(),
            f"{each.yen:,}" if each.yen else "",
        )
    return table


def _cells(invoice: Invoice) -> Table:
    """The invoice by municipality and kind, stores together."""
    title = f"{invoice.party} 請求書 {invoice.number}: 市区町村×種別 / by municipality and kind"
    table = Table(title=title, title_justify="left")
    table.add_column("市区町村\nmunicipality")
    table.add_column("種別\nkind", no_wrap=True)
    for heading in ("通数\ncopies", "手数料\nfees", "うち取消\nreversed", "委託手数料\ncommission", "差引\nnet"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in invoice.cells:
        rows.setdefault((cell.key.counterparty, cell.key.matter), []).append(cell)
    for (town, kind), cells in sorted(rows.items()):
        part = Statement(invoice.period, tuple(cells))
        _row(table, town, _kind(kind), part.net, sum(cell.reversed.yen for cell in cells))
    table.add_section()
    _row(table, "合計 total", "", invoice.net, sum(cell.reversed.yen for cell in invoice.cells))
    return table


def _row(table: Table, town: str, kind: str, net: Amount, reversed_yen: int) -> None:
    numbers = (net.copies, net.yen, reversed_yen, net.commission, net.due_yen)
    table.add_row(town, kind, *(f"{number:,}" for number in numbers))


def _kind(matter: str) -> str:
    return next((name.ja for kind, name in KINDS.items() if kind == matter), matter)


def _file(directory: Path) -> Path:
    found = sorted(directory.glob("*.invoice"))
    if not found:
        raise click.ClickException(f"no invoice in {directory}")
    return found[0]


def _invoice(directory: Path, centre: Path) -> Invoice:
    trust = decode_trust((centre / "trust.bundle").read_bytes())
    return verify_invoice(decode_signed(_file(directory).read_bytes()), trust)


def _verdict(directory: Path, centre: Path, payer: Path) -> Verdict:
    """The payer's own check: its receipts, its tariff, the centre's trust bundle."""
    trust = decode_trust((centre / "trust.bundle").read_bytes())
    invoice = _invoice(directory, centre)
    tariff = read_tariff((payer / TARIFF).read_text(encoding="utf-8"))
    with _file(directory).with_suffix(".items").open("rb") as items:
        return prove_invoice(invoice, read_items(items, invoice), Kept(payer / PROOFS, trust), tariff=tariff)


def _prove(console: Console, directory: Path, centre: Path, payer: Path) -> None:
    verdict = _verdict(directory, centre, payer)
    if not verdict.sound:
        raise click.ClickException(f"{_file(directory)}: not proven: {verdict.findings[0]}")
    console.print(
        f"[green]✓[/] 請求書を支払側の受領証で検証しました invoice proven by the payer: {_file(directory).name},"
        f" {verdict.proven:,} / {verdict.items:,} items, {verdict.receipts:,} receipts",
        highlight=False,
    )


def _show_forgery(console: Console, play: Play, data: Path, centre: Path, payer: Path) -> None:
    """One fee changed in a copy, signed by the centre's own key: the payer's check names the request."""
    place = data / FORGED
    at_us = play.month_times.invoice_us
    forged = forge_invoice(centre, _file(centre / "settlement" / play.month / OPERATOR), place, at_us=at_us)
    verdict = _verdict(place, centre, payer)
    named = [each for each in verdict.findings if each.request_id == forged.request_id.hex()]
    if verdict.sound or not named:
        raise click.ClickException(f"{forged.file}: a changed fee was not found")
    console.print(
        f"[green]✓[/] 写しの1件を {forged.yen_before}円から{forged.yen_now}円に変え、センターの鍵で署名しても検出します"
        f" one fee changed in a copy, signed by the centre itself, is caught:\n"
        f"  {named[0].fault.value}  {named[0].request_id}  {named[0].detail}",
        highlight=False,
    )


def _verify_ledger(console: Console, place: Path) -> None:
    done = trio.run(_run, ["ledger", "verify", "--data", str(place)])
    console.print(f"[green]✓[/] 台帳を検証しました ledger verified: {place}\n  {done.splitlines()[0]}", highlight=False)


async def _run(arguments: list[str]) -> str:
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        raise click.ClickException(f"sekisho {' '.join(arguments)}:\n{said}")
    return said


def _describe(console: Console, play: Play, data: Path, centre: Path, payer: Path) -> None:
    console.print("\n[bold]書類 / documents[/]")
    for place in (centre / "settlement" / play.month, data / "settlement" / play.quarter):
        for pdf in sorted(place.glob("*/*.pdf")):
            console.print(f"  {pdf}", highlight=False, soft_wrap=True)
    console.print("\n[bold]次に / try next[/]")
    for line in (
        f"sekisho settle status {play.month} --data {centre}",
        f"sekisho settle status {play.quarter} --data {data}",
        f"sekisho ledger verify --data {centre}",
        f"sekisho relay report --data {payer} --period {play.month}",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
