"""`sekisho municipality settlement`: confirmed data as the centre brought them, and the municipality's claim."""

from pathlib import Path
from typing import Any

import click
import msgspec

from certs.files import PUBLIC, write_whole
from gateway.cli.receipt import jst
from gateway.peers.municipality import claiming, confirmed
from gateway.peers.municipality.claiming import Position
from gateway.peers.municipality.confirmed import KeptPaper
from gateway.peers.municipality.setup import Municipality, opened_municipality
from gateway.peers.municipality.trusted import Trusted


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("municipality"),
    show_default=True,
    help="The issuing server's directory.",
)
@click.argument("period", default="")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write what is whole to this directory.")
@click.option("--claim", "claims", is_flag=True, help="Make the claim (請求書) for PERIOD, on what is confirmed.")
@click.option("--by", default="", help="Who makes the claim.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def settlement(data: Path, period: str, out: Path | None, by: str, *, claims: bool, as_json: bool) -> None:
    """Show confirmed data (確定データ) of PERIOD or of all periods, beside what the reports come to, and the claims.

    Where both agree, the claim is made when the centre asks for it. Where they do not, look at the open incident; then
    have it corrected, or claim what is confirmed: the rest is an adjustment of the next month.

    \b
    Example:
      sekisho municipality settlement 2026-10 --data mihon --claim --by hanako
    """
    if claims and not (period and by):
        raise click.UsageError("say for which PERIOD, and with --by who claims")
    with opened_municipality(data) as municipality:
        trust = Trusted(data, municipality.settings).centre
        if claims:
            claiming.claim(municipality, period, trust=trust, by=by)
        kept = confirmed.papers(municipality.store, period=period)
        for paper in kept:
            file = _written(municipality, paper, out) if out is not None else None
            _echo(_paper(paper, file), as_json, _paper_line)
        for each in sorted({paper.line.period for paper in kept}):
            found = claiming.position(municipality.store, each, trust=trust, party=municipality.settings.party)
            _echo(_position(found), as_json, _position_line)
    if not kept and not as_json:
        click.echo("確定データはまだありません / no confirmed data yet")


def _written(municipality: Municipality, paper: KeptPaper, out: Path) -> Path | None:
    if paper.whole_us is None:
        return None
    file = out / paper.line.period.replace("/", "_") / paper.line.name
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, confirmed.content(municipality.store, paper.line), mode=PUBLIC)
    return file


def _paper(paper: KeptPaper, file: Path | None) -> dict[str, Any]:
    return {
        "period": paper.line.period,
        "name": paper.line.name,
        "media": paper.line.media,
        "size": paper.line.size,
        "sha256": paper.line.digest.hex(),
        "whole": None if paper.whole_us is None else jst(paper.whole_us),
        "file": None if file is None else str(file),
    }


def _paper_line(line: dict[str, Any]) -> str:
    state = line["file"] or line["whole"] or "未完 / parts are missing"
    return f"{line['period']}  {line['size']:>10,}  {line['name']}  {state}"


def _position(found: Position) -> dict[str, Any]:
    statement = found.statement
    return {
        "period": found.period,
        "confirmed": None if found.said is None else msgspec.structs.asdict(found.said),
        "reported": None if found.own is None else msgspec.structs.asdict(found.own),
        "agrees": found.agrees,
        "commission": None if statement is None else statement.net.commission,
        "due_yen": None if statement is None else statement.due_yen,
        "due_on": None if statement is None else statement.due_on,
        "claim": None if found.claimed is None else found.claimed.number,
        "claim_yen": None if found.claimed is None else found.claimed.yen,
        "claim_day": None if found.claimed is None else found.claimed.day,
    }


def _position_line(line: dict[str, Any]) -> str:
    if line["confirmed"] is None:
        return f"{line['period']}  明細書はまだありません / no statement yet"
    confirmed_, reported = line["confirmed"], line["reported"]
    agrees = "一致 / agrees" if line["agrees"] else "不一致 / differs"
    claim = (
        f"請求済 / claimed {line['claim']} {line['claim_yen']:,}円 {line['claim_day']}"
        if line["claim"]
        else "未請求 / not claimed"
    )
    return (
        f"{line['period']}  確定 / confirmed {confirmed_['copies']}通 {confirmed_['fees']:,}円"
        f"  報告 / reported {reported['copies']}通 {reported['fees']:,}円  {agrees}\n"
        f"         手数料控除 / less commission {line['commission']:,}円  支払額 / due {line['due_yen']:,}円"
        f" {line['due_on']}  {claim}"
    )


def _echo(line: dict[str, Any], as_json: bool, text: Any) -> None:
    click.echo(msgspec.json.encode(line).decode() if as_json else text(line))
