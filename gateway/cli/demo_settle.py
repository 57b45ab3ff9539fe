"""The demo's settlement: a past month and quarter at both centres, from the first disclosure to paid invoices.

Everything is synthetic. The days are those of the agreements and their calendars; what a person would do at a command
is done by the same functions. In the end the payer proves its invoice, and finds a fee that was changed in a copy.
"""

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Final

import click
import msgspec
import trio
from rich.console import Console
from rich.table import Table

from gateway.app import supervisor
from gateway.app.configuration import read_configuration
from gateway.app.development import OPERATOR, TOWNS
from gateway.app.development_running import running_service
from gateway.app.settling import SETTLEMENT
from gateway.app.synthetic_ledger import PastNotRecorded
from gateway.app.synthetic_settlement import (
    TARIFF,
    Play,
    PlayError,
    forge_invoice,
    play_settlement,
    read_play,
    status_of,
)
from gateway.app.synthetic_times import settled_month, settled_quarter
from gateway.cli.demo_desk import make_demo_desk
from gateway.settlement.conduct_status import Stand, Status
from gateway.settlement.statements import Statement
from gateway.settlement.windows import JST
from hsm.errors import HsmError
from protocol.certificates import KINDS
from protocol.invoice import Invoice, decode_signed, verify_invoice
from protocol.settlement import Amount, Cell
from protocol.trust import decode_trust

FORGED: Final = "forged"
PAPERS: Final = "papers"
CLAIM_TRIES: Final = 60
DESK: Final = "desk"
"""The ministry server's directory in the demo's."""
_MARKS: Final = {Stand.DONE: "済 done", Stand.NONE: "該当なし none"}


def planned(data: Path) -> Play:
    """What is played in a directory: what was played there, else the latest month and quarter that are over."""
    try:
        return read_play(data) or latest()
    except PlayError as error:
        raise click.ClickException(str(error)) from error


def latest() -> Play:
    """The latest month and quarter that are over, today."""
    today = dt.datetime.now(JST).date()
    return Play(month=settled_month(today).text, quarter=settled_quarter(today).text)


def show_settlement(console: Console, play: Play, *, data: Path, service: Path) -> None:
    """Play it, unless it was, and show what came of it. data: of the inquiry centre too."""
    centre = service / "centre"
    if play.done:
        console.print(f"{data} は精算済みです / was settled already: {play.month}, {play.quarter}", highlight=False)
    else:
        make_demo_desk(data)
        console.print("合成の取扱いを記録し、精算します / recording synthetic business and settling it")
        try:
            play = play_settlement(play, inquiry=data, service=service, ministry=data / DESK)
        except HsmError as error:
            raise click.ClickException(
                f"{data}: its keys are younger than the month ({error}); choose another --data directory"
            ) from error
        except (PastNotRecorded, PlayError, ValueError) as error:
            raise click.ClickException(f"{data}: {error}; choose another --data directory") from error
    console.print(_timeline(play))
    for status in status_of(play, inquiry=data, service=service):
        console.print(_standing(status))
    operator = service / "operator" / "relay"
    console.print(_cells(_invoice(centre / SETTLEMENT / play.month / OPERATOR, centre)))
    for file, of, payer in _fetch(console, play, data, service):
        _prove(console, file, of, payer)
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


def _prove(console: Console, file: Path, centre: Path, payer: Path) -> None:
    """The payer's own check, by its command: its receipts, its tariff, the centre's trust bundle."""
    said = _run(_check(file, centre, payer))
    console.print(
        f"[green]✓[/] 請求書を支払側の受領証で検証しました / proven by the payer against its own receipts: {file.name}",
        highlight=False,
    )
    console.print(said, highlight=False, style="dim")


def _check(file: Path, centre: Path, payer: Path) -> list[str]:
    own = ["--receipts", str(payer), "--tariff", str(payer / TARIFF)]
    return ["invoice", "verify", str(file), *own, "--trust", str(centre / "trust.bundle")]


def _show_forgery(console: Console, play: Play, data: Path, centre: Path, payer: Path) -> None:
    """One fee changed in a copy, signed by the centre's own key: the payer's check names the request."""
    file = _file(centre / SETTLEMENT / play.month / OPERATOR)
    forged = forge_invoice(centre, file, data / FORGED, at_us=play.month_times.invoice_us)
    said = _run(_check(forged.file, centre, payer), wanted=1)
    if forged.request_id.hex() not in said:
        raise click.ClickException(f"{forged.file}: a changed fee was not found:\n{said}")
    console.print(
        f"[green]✓[/] 写しの1件を{forged.yen_before}円から{forged.yen_now}円に変え、センターの鍵で署名しても検出します"
        "\n  one fee changed in a copy, signed with the centre's own key, is found:",
        highlight=False,
    )
    console.print(said, highlight=False, style="dim")


def _fetch(console: Console, play: Play, data: Path, service: Path) -> list[tuple[Path, Path, Path]]:
    """All parties get their documents over their lines. Returns: each payer's invoice, its centre and the payer."""
    relay, ministry = service / "operator" / "relay", data / DESK
    for said in trio.run(_over_the_lines, play, data, service):
        console.print(f"[green]✓[/] {said}", highlight=False)
    return [
        (_file(relay / PAPERS / play.month), service / "centre", relay),
        (_file(ministry / PAPERS / play.quarter), data, ministry),
    ]


async def _over_the_lines(play: Play, data: Path, service: Path) -> list[str]:
    """What came over which line. The services run for as long as it takes, and are ended."""
    relay, ministry = service / "operator" / "relay", data / DESK
    said = []
    async with running_service(service):
        words = ["papers", play.month, "--data", str(relay), "--out", str(relay / PAPERS)]
        said.append(_fetched("relay", words, await _ran(["relay", *words])))
        said += [await _claim(service / "municipalities" / town.code, play.month, town.name_ja) for town in TOWNS]
    configuration = read_configuration(data)
    configuration.line = msgspec.structs.replace(configuration.line, listen="127.0.0.1:0")
    async with (
        supervisor.database(configuration) as dsns,
        supervisor.running_gateway(configuration, dsns, log_file=data / "gateway.log") as gateway,
    ):
        words = ["papers", play.quarter, "--data", str(ministry), "--out", str(ministry / PAPERS)]
        said.append(_fetched("ministry", words, await _ran(["ministry", *words, "--line-port", str(gateway.port)])))
    return said


def _fetched(party: str, words: list[str], lines: str) -> str:
    count = len(lines.splitlines())
    return f"回線で書類{count}件を受け取りました / {count} documents fetched: sekisho {party} {' '.join(words[:2])}"


async def _claim(town: Path, month: str, name: str) -> str:
    """A municipality's signed claim, once the centre brought its confirmed data and asked for it."""
    for _ in range(CLAIM_TRIES):
        lines = (await _ran(["municipality", "settlement", month, "--data", str(town), "--json"])).splitlines()
        found = [json.loads(line) for line in lines]
        claims = [each for each in found if each.get("claim")]
        if claims:
            yen = f"{claims[0]['claim_yen']:,}"
            return (
                f"{name}: 確定データが届き、自らの記録と一致し、署名した請求書 {yen}円 を返しました"
                f" / its confirmed data came, agree with its own reports, and it claims {yen} yen, signed"
            )
        await trio.sleep(0.5)
    raise click.ClickException(f"{name} has made no claim; see {town}.log and `sekisho municipality settlement`")


def _verify_ledger(console: Console, place: Path) -> None:
    said = _run(["ledger", "verify", "--data", str(place)])
    console.print(f"[green]✓[/] 台帳を検証しました / ledger verified: {said.splitlines()[0]}", highlight=False)
    said = _run(["settle", "verify", "--data", str(place)])
    console.print(f"[green]✓[/] 精算を検証しました / settlement verified: {said.splitlines()[0]}", highlight=False)


def _run(arguments: list[str], *, wanted: int = 0) -> str:
    return trio.run(lambda: _ran(arguments, wanted=wanted))


async def _ran(arguments: list[str], *, wanted: int = 0) -> str:
    """What a command of ours says, as a person would start it. Raises: click.ClickException for another status."""
    done = await trio.run_process(
        [sys.executable, "-m", "gateway.cli", *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    said = (done.stdout + done.stderr).decode(errors="replace").rstrip()
    if done.returncode != wanted:
        raise click.ClickException(f"sekisho {' '.join(arguments)} ended with {done.returncode}:\n{said}")
    return said


def _describe(console: Console, play: Play, data: Path, centre: Path, payer: Path) -> None:
    console.print("\n[bold]書類 / documents[/]")
    for place in (centre / SETTLEMENT / play.month, data / SETTLEMENT / play.quarter):
        for pdf in sorted(place.glob("*/*.pdf")):
            console.print(f"  {pdf}", highlight=False, soft_wrap=True)
    console.print("\n[bold]次に / try next[/]")
    for line in (
        f"sekisho settle status {play.month} --data {centre}",
        f"sekisho settle status {play.quarter} --data {data}",
        f"sekisho ledger verify --data {centre}",
        f"sekisho invoice verify {_file(payer / PAPERS / play.month)} --receipts {payer} --trust {centre}/trust.bundle",
        f"sekisho ledger export {play.month} --data {centre} --out {play.month}.csv",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
