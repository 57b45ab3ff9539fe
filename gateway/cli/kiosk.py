"""`sekisho kiosk`: a kiosk (マルチコピー機) in a browser, or one application from the command line."""

import signal
import sys
from pathlib import Path

import click
import trio

from gateway.ops.logs import configure_logging
from gateway.peers.kiosk.faults import PowerSwitch
from gateway.peers.kiosk.playing import play
from gateway.peers.kiosk.running import Running, running_kiosk
from gateway.peers.kiosk.setup import make_kiosk, open_kiosk
from gateway.peers.kiosk.steps import State
from gateway.peers.kiosk.texts import trouble_words
from gateway.peers.kiosk.visit import Wish, follow, visit
from protocol.certificates import Kind, Option

data_option = click.option(
    "--data", type=click.Path(path_type=Path), default=Path("kiosk"), show_default=True, help="The kiosk's directory."
)
fault_option = click.option(
    "--fault", "faults", multiple=True, help="payment, relay, jam:COPY:PAGE or power:STEP; may be given again."
)
CONNECTED_S = 10.0
DELIVERED_S = 30.0


@click.group()
def command() -> None:
    """A kiosk: cards in, certificates out into a tray folder.

    \b
    Begin with:
      sekisho kiosk init --data kiosk --operator operator-1 --kiosk kiosk-1 --store store-1 --tls tls \\
          --relay-trust relay/trust.bundle --relay-port 7100 --trusts municipalities --cards jpki/cards
      sekisho kiosk serve --data kiosk
      sekisho kiosk run --data kiosk --card jpki/cards/resident-0.card --pin 1234 --municipality 121002 \\
          --kind juminhyo --copies 2
    """


@command.command()
@data_option
@click.option("--operator", required=True, help="The operator (事業者) whose kiosk it is.")
@click.option("--kiosk", required=True, help="Its name, as its certificate has it.")
@click.option("--store", required=True, help="The store (取扱店) it stands in.")
@click.option("--tls", type=click.Path(path_type=Path), required=True, help="Directory of its line certificate.")
@click.option("--relay-trust", type=click.Path(path_type=Path), required=True, help="The relay's trust bundle.")
@click.option("--relay", default="relay-1", show_default=True, help="The relay's line, of the same operator.")
@click.option("--relay-host", default="127.0.0.1", show_default=True)
@click.option("--relay-port", type=click.IntRange(1, 65535), required=True)
@click.option("--trusts", type=click.Path(path_type=Path), required=True, help="Directory of <code>.bundle.")
@click.option("--cards", type=click.Path(path_type=Path), required=True, help="Directory of simulated cards.")
@click.option("--environment", default="development", show_default=True)
@click.option("--page-port", type=click.IntRange(0, 65535), default=8460, show_default=True)
def init(
    data: Path, operator: str, kiosk: str, store: str, tls: Path, relay_trust: Path, relay: str, relay_host: str,
    relay_port: int, trusts: Path, cards: Path, environment: str, page_port: int,
) -> None:  # fmt: skip
    """Make the directory of a kiosk."""
    make_kiosk(
        data, operator=operator, kiosk=kiosk, store=store, tls=tls, relay_trust=relay_trust, relay=relay,
        relay_host=relay_host, relay_port=relay_port, municipality_trusts=trusts, cards=cards,
        environment=environment, page_port=page_port,
    )  # fmt: skip
    click.echo(f"kiosk {kiosk} in {data}; next: `sekisho kiosk serve --data {data}`")


@command.command()
@data_option
@click.option("--port", type=click.IntRange(0, 65535), help="Of the screens, in place of the file's; 0 for any.")
@click.option("--relay-port", type=click.IntRange(1, 65535), help="The relay's, in place of the file's.")
@click.option("--show-tray", is_flag=True, help="Show test controls and the tray's papers in the browser.")
@fault_option
def serve(data: Path, port: int | None, relay_port: int | None, *, show_tray: bool, faults: tuple[str, ...]) -> None:
    """Serve the kiosk's screens on loopback until Ctrl-C or SIGTERM."""
    configure_logging()
    trio.run(_serve, data, port, relay_port, show_tray, faults)


async def _serve(
    data: Path,
    port: int | None,
    relay_port: int | None,
    show_tray: bool,
    faults: tuple[str, ...],
) -> None:
    from gateway.peers.kiosk.serving import serve_kiosk  # the other commands need no web framework

    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def screens(task_status: trio.TaskStatus[str]) -> None:
                await serve_kiosk(
                    data, page_port=port, relay_port=relay_port, show_tray=show_tray, faults=faults, stop=stop,
                    task_status=task_status,
                )  # fmt: skip

            click.echo(f"kiosk: {await nursery.start(screens)}; Ctrl-C ends")
            async for _ in signals:
                break
            stop.set()


@command.command()
@data_option
@click.option("--card", type=click.Path(path_type=Path, exists=True), required=True, help="A simulated card's file.")
@click.option("--pin", required=True, help="Four digits.")
@click.option("--municipality", required=True, help="Code of 6 digits.")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), required=True)
@click.option("--option", "options", type=click.Choice([o.name.lower() for o in Option if o.name]), multiple=True)
@click.option("--copies", type=click.IntRange(1, 20), default=1, show_default=True)
@click.option("--relay-port", type=click.IntRange(1, 65535), help="The relay's, in place of the file's.")
@fault_option
def run(
    data: Path, card: Path, pin: str, municipality: str, kind: str, options: tuple[str, ...], copies: int,
    relay_port: int | None, faults: tuple[str, ...],
) -> None:  # fmt: skip
    """One application, from the card to the paper; exits with 1 when it is refused, and says why."""
    configure_logging("WARNING")
    bits = sum(Option[name.upper()] for name in options)
    wish = Wish(card=card.stem, pin=pin, municipality=municipality, kind=kind, options=bits, copies=copies)
    if not trio.run(_run, data, card, wish, relay_port, faults):
        sys.exit(1)


async def _run(data: Path, card: Path, wish: Wish, relay_port: int | None, faults: tuple[str, ...]) -> bool:
    power = PowerSwitch()
    async with running_kiosk(open_kiosk(data), relay_port=relay_port, cards={card.stem: card}, power=power) as running:
        await running.link.wait_open(CONNECTED_S)
        for fault in faults:
            play(running, power, fault)
        return await _visited(running, wish)


async def _visited(running: Running, wish: Wish) -> bool:
    kiosk = running.kiosk
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, kiosk, _show)
        seen = await visit(kiosk, wish)
        nursery.cancel_scope.cancel()
    with trio.move_on_after(DELIVERED_S):
        await kiosk.settling.delivered()
    if seen.state is not State.RECEIPT:
        words = trouble_words(seen.trouble)
        click.echo(f"{words.ja} / {words.en}\n  {words.remedy_ja} / {words.remedy_en}", err=True)
        return False
    for paper in running.printer.papers(seen.stem, seen.slip):
        click.echo(str(paper))
    return True


def _show(state: str, done: int, total: int) -> None:
    click.echo(f"{state}{f' {done}/{total}' if total else ''}", err=True)
