"""`sekisho certificate`: what a certificate's file or a photographed page proves, offline; no database, no network."""

import json
import re
import sys
from pathlib import Path
from typing import Final

import click

from gateway.cli.receipt import jst
from gateway.peers.kit.confined import verify_confined
from gateway.peers.kit.reading import FILE_BYTES_MAX
from gateway.peers.kit.verdict import NOT_PROVEN, SUMMARIES, Proven, Standing, Verdict, printable
from protocol.certificates import KINDS, Kind
from protocol.trust import BUNDLE_BYTES_MAX, Trust, TrustError, decode_trust

_CODE: Final = re.compile(r"[0-9]{6}")
_BUNDLES_MAX: Final = 4_000
"""Japan has some 1,800 municipalities."""


@click.group()
def command() -> None:
    """Verify certificates (証明書) and photographs of them, offline."""


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--trust",
    "places",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A municipality's trust bundle, or a directory of *.bundle; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def verify(file: Path, places: tuple[Path, ...], as_json: bool) -> None:
    """Say what FILE proves: a certificate's PDF, or one photographed or scanned page (PNG, JPEG).

    Exit status: 0 the file is as the municipality signed it; 3 the code is proven, the paper is not; 1 refused, with
    every ground. A bundle named by a municipality's six figures (131016.bundle) may alone sign for that municipality.

    Example: sekisho certificate verify juminhyo.pdf --trust trusts/
    """
    data = _read(file, FILE_BYTES_MAX, "FILE")
    trusts, owners = _load_trusts(places)
    verdict = verify_confined(data, trusts=trusts, owners=owners)
    click.echo(json.dumps(_facts(verdict), ensure_ascii=False) if as_json else "\n".join(_lines(verdict)))
    sys.exit(verdict.exit_status)


def _read(path: Path, bytes_max: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise click.ClickException(f"cannot read {what} {path}: {error.strerror}") from error
    if len(data) > bytes_max:
        raise click.ClickException(
            f"{what} {path} is longer than {bytes_max} bytes, as no certificate is / ファイルが大きすぎます"
        )
    return data


def _load_trusts(places: tuple[Path, ...]) -> tuple[list[Trust], dict[str, str]]:
    trusts: list[Trust] = []
    owners: dict[str, str] = {}
    for place in places:
        paths = sorted(place.glob("*.bundle")) if place.is_dir() else [place]
        if not paths:
            raise click.ClickException(f"--trust {place}: holds no *.bundle; name the directory of trust bundles")
        for path in paths:
            if len(trusts) == _BUNDLES_MAX:
                raise click.ClickException(f"--trust: over {_BUNDLES_MAX} bundles")
            try:
                trust = decode_trust(_read(path, BUNDLE_BYTES_MAX, "trust bundle"))
            except TrustError as error:
                raise click.ClickException(f"--trust {path}: {error}") from error
            trusts.append(trust)
            if _CODE.fullmatch(path.stem):
                owners[path.stem] = trust.centre
    return trusts, owners


def _lines(verdict: Verdict) -> list[str]:
    lines = list(SUMMARIES[verdict.standing])
    for finding in verdict.findings:
        lines += [f"  ✗ {finding.ja}", f"    {finding.en} [{finding.ground}]"]
    if verdict.pages:
        lines += _certificate_lines(verdict.pages[0])
    for proven in verdict.pages:
        said = proven.statement
        lines.append(f"  {said.page}/{said.pages}頁の二次元コード / code of page {said.page} of {said.pages}:")
        lines += [f"    {printable(field.label)}: {printable(field.text)}" for field in said.fields]
    if verdict.standing != Standing.REFUSED:
        lines += NOT_PROVEN
    return lines


def _certificate_lines(proven: Proven) -> list[str]:
    said = proven.statement
    kind = KINDS[Kind(said.kind)] if said.kind in list(Kind) else None
    named = f"{kind.ja} / {kind.en}" if kind else printable(said.kind)
    return [
        f"  証明書の種別 / kind: {named}",
        f"  市区町村 / municipality: {printable(said.municipality)}, 署名者 / signed by {printable(proven.signer)}",
        f"  発行番号 / number: {printable(said.serial)}",
        f"  交付 / issued: {jst(said.issued_at_us)}",
    ]


def _facts(verdict: Verdict) -> dict[str, object]:
    return {
        "standing": verdict.standing,
        "findings": [
            {"ground": each.ground, "page": each.page, "ja": each.ja, "en": each.en} for each in verdict.findings
        ],
        "pages": [
            {
                "found_at": each.page,
                "page": each.statement.page,
                "pages": each.statement.pages,
                "municipality": each.statement.municipality,
                "signer": each.signer,
                "kind": each.statement.kind,
                "serial": each.statement.serial,
                "issued_at_us": each.statement.issued_at_us,
                "key_id": each.statement.key_id,
                "fields": [[field.label, field.text] for field in each.statement.fields],
            }
            for each in verdict.pages
        ],
    }
