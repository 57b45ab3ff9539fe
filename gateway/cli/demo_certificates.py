"""The demo's certificate service: a user's applications at a kiosk, and what is left of them.

Everything is synthetic; the cards' PINs are shown on the screen. The service itself is gateway.app.development's.
"""

import time
from pathlib import Path
from typing import Final

import click
import trio
from rich.console import Console
from rich.table import Table

from gateway.app.development import PIN, TOWNS, is_made, make_service
from gateway.app.development_running import Service
from gateway.peers.kiosk.running import running_kiosk
from gateway.peers.kiosk.setup import open_kiosk
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import trouble_words
from gateway.peers.kiosk.visit import Seen, Wish, visit
from gateway.peers.kit.verdict import Standing, verify_file
from protocol.certificates import KINDS, Kind
from protocol.trust import decode_trust

DIRECTORY: Final = "certificates"
SHOWING: Final = "kiosk-2"
"""The kiosk whose user the demo plays; kiosk-1 is for the browser."""
CONNECTED_S: Final = 15.0
DELIVERED_S: Final = 10.0
_CHIBA, _TAKAOKA = TOWNS[0].code, TOWNS[1].code


class Scene:
    """One application: what it shows, whose card, for which certificate."""

    def __init__(
        self,
        label: str,
        card: str,
        kind: Kind,
        *,
        town: str = _CHIBA,
        copies: int = 1,
        options: int = 0,
        pin: str = PIN,
    ) -> None:
        self.label = label
        self.kind = kind
        self.wish = Wish(card=card, pin=pin, municipality=town, kind=kind.value, options=options, copies=copies)


SCENES: Final = (
    Scene("本人のみ one person", "chiba-0", Kind.RESIDENT),
    Scene("世帯全員、2通 a household of nine, twice", "chiba-1", Kind.RESIDENT, options=1 | 4, copies=2),
    Scene("印鑑登録 seal registration", "takaoka-0", Kind.SEAL, town=_TAKAOKA),
    Scene("登録の廃止 its registration cancelled", "chiba-4", Kind.SEAL),
    Scene("支援措置 suppressed, told neutrally", "chiba-2", Kind.RESIDENT),
    Scene("転出予定 a pending move", "chiba-3", Kind.RESIDENT),
    Scene("失効したカード a revoked card", "revoked", Kind.RESIDENT),
    Scene("住基カード a card whose use has ended", "juki", Kind.RESIDENT),
    Scene("他市のカード a card of another city", "takaoka-1", Kind.RESIDENT),
)


def make_demo_service(console: Console, data: Path, *, workers: int, since_us: int) -> None:
    """Make the service in `data` unless it is there; the centre's keys are valid since a time."""
    if not is_made(data):
        console.print("証明書交付の準備をしています / preparing the certificate service", highlight=False)
        make_service(
            data,
            say=lambda text: console.print(f"  [dim]{text}[/]", highlight=False),
            workers=workers,
            kiosks=2,
            since_us=since_us,
        )


async def show_certificates(console: Console, service: Service) -> None:
    """Play the scenes at one kiosk, print what came of them, verify a certificate and the centre's ledger."""
    place = service.data / "operator" / "kiosks" / SHOWING
    table = Table(title="キオスク端末での証明書交付 (合成データ) / certificates at a kiosk", title_justify="left")
    for heading in ("場面 scene", "証明書 certificate", "結果 outcome"):
        table.add_column(heading)
    table.add_column("手数料 fee", justify="right")
    table.add_column("秒 s", justify="right")
    async with running_kiosk(open_kiosk(place), cards=_cards(service)) as running:
        await running.link.wait_open(CONNECTED_S)
        for scene in SCENES:
            began = time.perf_counter()
            seen = await visit(running.kiosk, scene.wish)
            table.add_row(
                scene.label,
                KINDS[scene.kind].ja,
                _said(seen),
                f"{seen.yen:,} 円",
                f"{time.perf_counter() - began:.1f}",
            )
        with trio.move_on_after(DELIVERED_S):
            await running.kiosk.settling.delivered()
    console.print(table)
    _verify(console, service.data)


def describe_service(console: Console, service: Service) -> None:
    """Where people go next."""
    ports, data = service.ports, service.data
    console.print("\n[bold]証明書交付サービス / certificate service[/]")
    for line in (
        f"キオスク端末 a kiosk for you:  http://127.0.0.1:{ports.kiosk_page}  (chiba-0 … chiba-9, PIN {PIN})",
        f"中継サーバー the relay:        http://127.0.0.1:{ports.relay_page}",
        f"排出口 output tray:            {data}/operator/kiosks/*/tray",
        f"sekisho certificate verify {_papers(data)[0]} --trust {data}/trusts",
        f"sekisho municipality completions --data {data}/municipalities/{_CHIBA}",
        f"sekisho issuance incidents --data {data}/centre",
        f"curl http://127.0.0.1:{service.centre.ops_port}/metrics",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _cards(service: Service) -> dict[str, Path]:
    folder = service.data / "centre" / "jpki" / "cards"
    return {path.stem: path for path in folder.glob("*.card")}


def _said(seen: Seen) -> str:
    if seen.state is State.RECEIPT:
        return "交付しました\n[dim]printed, paid, reported and erased[/]"
    words = trouble_words(seen.trouble)
    return f"{words.ja}\n[dim]{words.en}[/]"


def _papers(data: Path) -> list[Path]:
    """What was printed for show. Raises: click.ClickException for nothing."""
    papers = sorted((data / "operator" / "kiosks" / SHOWING / "tray").glob("certificate-*.pdf"))
    if not papers:
        raise click.ClickException(f"no certificate was printed; see the logs in {data}")
    return papers


def _verify(console: Console, data: Path) -> None:
    trusts = [decode_trust(path.read_bytes()) for path in sorted((data / "trusts").glob("*.bundle"))]
    papers = _papers(data)
    for paper in papers:
        verdict = verify_file(paper.read_bytes(), trusts=trusts)
        if verdict.standing is not Standing.ACCEPTED:
            raise click.ClickException(f"{paper.name} is refused; see `sekisho certificate verify {paper}`")
    console.print(
        f"[green]✓[/] certificates verified offline 証明書を検証しました: {len(papers)} in {papers[0].parent}",
        highlight=False,
    )
