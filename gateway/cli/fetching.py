"""What `papers` commands of both centres' parties share: fetch over the party's line, and say what is where."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
import trio

from gateway.line.papers import Fetched, fetch_papers, list_papers
from gateway.peers.line_file import Dialling, line_from
from protocol.papers import PaperLine

WAIT_S = 30.0


def papers_of(dialling: Dialling, *, period: str, out: Path | None, as_json: bool) -> None:
    """List a party's documents, or with `out` have them there, and print a line for each. Raises: LineError."""
    shown: list[tuple[PaperLine, Fetched | None]] = []
    if out is None:
        shown += [(paper, None) for paper in trio.run(_list, dialling, period)]
    else:
        shown += [(each.paper, each) for each in trio.run(_fetch, dialling, period, out)]
    for paper, fetched in shown:
        click.echo(_json(paper, fetched) if as_json else _line(paper, fetched))
    if not shown and not as_json:
        click.echo("文書はまだありません / there are no documents yet")


async def _list(dialling: Dialling, period: str) -> Sequence[PaperLine]:
    async with line_from(dialling) as line:
        await line.wait_open(WAIT_S)
        return await list_papers(line, period)


async def _fetch(dialling: Dialling, period: str, out: Path) -> Sequence[Fetched]:
    async with line_from(dialling) as line:
        await line.wait_open(WAIT_S)
        return await fetch_papers(line, out, period=period)


def _line(paper: PaperLine, fetched: Fetched | None) -> str:
    if fetched is None:
        return f"{paper.period}  {paper.size:>12,}  {paper.name}  {paper.media}"
    state = "既に取得済み / stood" if fetched.stood else "取得 / fetched"
    return f"{paper.period}  {paper.size:>12,}  {fetched.file}  {state}"


def _json(paper: PaperLine, fetched: Fetched | None) -> str:
    fields = {
        "period": paper.period,
        "name": paper.name,
        "media": paper.media,
        "size": paper.size,
        "sha256": paper.digest.hex(),
        "file": str(fetched.file) if fetched else None,
    }
    return msgspec.json.encode(fields).decode()
