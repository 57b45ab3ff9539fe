"""`sekisho jpki`: cards for tests (試験用), and whether they are still good."""

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
import trio

from gateway.collector import settle_collector
from gateway.ops.logs import configure_logging
from gateway.peers.jpki.authority import RESPONDER_DEFAULT, Algorithm, Reason, make_jpki, revoke, write_crl
from gateway.peers.jpki.cards import issue_card
from gateway.peers.jpki.errors import JpkiRefused
from gateway.peers.jpki.store import CardRecord, Register
from protocol.certificates import CARD_TYPES, CardType

_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory of the test card authority.",
)
_TYPES = {kind.name.lower().replace("_", "-"): kind for kind in CardType}


@click.group(name="jpki")
def command() -> None:
    """Make cards for tests, and say whether they are still good (試験用認証局).

    It stands in for the authority that issues the certificates on cards. Its certificates name nobody; holders are
    synthetic labels; its keys lie in files. Nothing it signs is of any use outside tests and the demo.

    \b
    Example:
      sekisho jpki init --dir jpki
      sekisho jpki issue --dir jpki --holder resident-0 --pin 1234
      sekisho jpki serve --dir jpki --port 8888
    """


@command.command()
@_directory
@click.option("--responder", default=RESPONDER_DEFAULT, show_default=True, help="URL that cards name for their status.")
def init(directory: Path, responder: str) -> None:
    """Make a root, an issuing CA, an OCSP responder's certificate and a first revocation list.

    The directory must not exist or be empty.
    """
    make_jpki(directory, now=_now(), responder=responder)
    click.echo(f"test card authority (試験用認証局) made in {directory}; anchors.pem is for who verifies its cards")


@command.command()
@_directory
@click.option("--holder", required=True, help="A synthetic label such as resident-0; never a name.")
@click.option("--algorithm", type=click.Choice(get_args(Algorithm)), default="p384", show_default=True)
@click.option("--pin", prompt=True, hide_input=True, help="Four digits; asked for when not given.")
@click.option("--days", type=click.IntRange(min=1), default=5 * 365, show_default=True, help="Validity.")
@click.option("--type", "kind", type=click.Choice(sorted(_TYPES)), default="my-number-card", show_default=True)
@click.option("--damaged", is_flag=True, help="A card that no reader can read.")
def issue(directory: Path, holder: str, algorithm: Algorithm, pin: str, days: int, kind: str, *, damaged: bool) -> None:
    """Make a card: one file, cards/HOLDER.card."""
    path = issue_card(
        directory,
        holder=holder,
        algorithm=algorithm,
        pin=pin,
        now=_now(),
        days=days,
        card_type=_TYPES[kind],
        damaged=damaged,
    )
    click.echo(f"{path} ({CARD_TYPES[_TYPES[kind]].ja}, 試験用)")


@command.command(name="revoke")
@_directory
@click.argument("serial")
@click.option("--reason", type=click.Choice(get_args(Reason)), default="unspecified", show_default=True)
def revoke_card(directory: Path, serial: str, reason: Reason) -> None:
    """Take back the certificate with SERIAL (hexadecimal, as `list` shows it), for ever.

    A certificate_hold is never released either: that card is of no more use. The revocation list is written anew.
    """
    try:
        number = int(serial, 16)
    except ValueError:
        raise click.UsageError("SERIAL is hexadecimal, as `sekisho jpki list` shows it") from None
    revoke(directory, number, reason, _now())
    click.echo(f"serial {number:x} is revoked ({reason})")


@command.command(name="list")
@_directory
def list_cards(directory: Path) -> None:
    """Show every card: serial, holder, kind of key, type, last day, state."""
    for card in Register(directory).cards():
        click.echo(
            f"{card.serial:040x}  {card.holder}  {card.algorithm}  {CardType(card.type).name.lower()}  "
            f"{card.not_after.date()}  {_state(card)}"
        )


@command.command()
@_directory
@click.option("--port", type=click.IntRange(0, 65535), default=8888, show_default=True)
def serve(directory: Path, port: int) -> None:
    """Answer OCSP requests on the loopback address until interrupted, and keep crl.der fresh."""
    configure_logging()
    trio.run(_serve, directory, port)


@command.command()
@_directory
def crl(directory: Path) -> None:
    """Write crl.der anew, good for 24 hours."""
    write_crl(directory, now=_now())
    click.echo(f"{directory / 'crl.der'} written")


async def _serve(directory: Path, port: int) -> None:
    from gateway.peers.jpki.responder import serve_responder  # the other commands need no web framework

    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def listen(task_status: trio.TaskStatus[int]) -> None:
                try:
                    await serve_responder(directory, port=port, stop=stop, task_status=task_status)
                except* OSError as errors:
                    raise JpkiRefused(f"cannot listen at port {port}; choose another --port") from errors

            bound = await nursery.start(listen)
            settle_collector()
            click.echo(f"OCSP responder (試験用) at http://127.0.0.1:{bound}/ocsp; Ctrl-C ends")
            async for _ in signals:
                break
            stop.set()


def _state(card: CardRecord) -> str:
    if card.revoked_at is not None:
        return f"revoked {card.revoked_at.date()} {card.reason}"
    return "ended" if card.not_after < _now() else "good"


def _now() -> datetime:
    return datetime.now(UTC)
