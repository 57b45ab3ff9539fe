"""`sekisho relay`: the EC centre's relay (コンビニECセンター), its kiosks, its outbox and its worklist."""

import re
import signal
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import trio

from gateway.cli.receipt import jst
from gateway.cli.relay_month import correct, papers, reconcile_
from gateway.collector import settle_collector
from gateway.line.dial import LineClient
from gateway.ops.logs import configure_logging
from gateway.peers.relay import histories, outbox, registry, store_reports, totals, worklist
from gateway.peers.relay.setup import add_kiosk, make_relay, now_us, read_settings
from gateway.peers.relay.store import open_store
from protocol.issuance import Ground
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE

SHOWN = 50
GROUNDS = {
    "misprint": Ground.MISPRINT,
    "not-printed": Ground.NOT_PRINTED,
    "document-refused": Ground.DOCUMENT_REFUSED,
    "staff": Ground.STAFF,
}
_PERIOD = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")
data_option = click.option("--data", type=click.Path(path_type=Path), required=True, help="The relay's directory.")


@click.group()
def command() -> None:
    """The relay between an operator's kiosks and the certificate centre.

    \b
    Begin with:
      sekisho relay init --data relay --operator op-a --line op-a/line --tls op-a/relay-tls
      sekisho relay kiosk add --data relay kiosk-1 --store s-1 --name 合成店 --certificate kiosk-1/certificate.pem
      sekisho relay serve --data relay
    """


command.add_command(papers)
command.add_command(reconcile_)
command.add_command(correct)


@command.command()
@data_option
@click.option("--operator", required=True, help="The operator's party id.")
@click.option(
    "--line", type=click.Path(path_type=Path), required=True, help="line.toml to the centre, or its directory."
)
@click.option(
    "--tls", type=click.Path(path_type=Path), required=True, help="Certificate towards kiosks (profile host)."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address at which kiosks call.")
@click.option("--port", type=click.IntRange(0, 65535), default=7410, show_default=True, help="Port for kiosks; 0: any.")
@click.option("--page-port", type=click.IntRange(0, 65535), default=8410, show_default=True, help="Port of the page.")
@click.option("--environment", default="development", show_default=True)
def init(
    data: Path, operator: str, line: Path, tls: Path, host: str, port: int, page_port: int, environment: str
) -> None:
    """Make the directory of a relay, over a line that exists."""
    make_relay(
        data,
        operator=operator,
        line_file=line,
        tls=tls,
        host=host,
        port=port,
        page_port=page_port,
        environment=environment,
        now_us=now_us(),
    )
    click.echo(f"relay in {data}; give kiosks {data}/trust.bundle, add them, then `sekisho relay serve --data {data}`")


@command.command()
@data_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port for kiosks, in place of the settings'; 0 for any.")
@click.option("--page-port", type=click.IntRange(0, 65535), help="Port of the page, in place of the settings'.")
@click.option("--line-port", type=click.IntRange(1, 65535), help="The centre's port, in place of the line file's.")
def serve(data: Path, port: int | None, page_port: int | None, line_port: int | None) -> None:
    """Serve kiosks until Ctrl-C or SIGTERM; what the outbox holds is delivered when it serves again."""
    configure_logging()
    trio.run(_serve, data, port, page_port, line_port)


async def _serve(data: Path, port: int | None, page_port: int | None, line_port: int | None) -> None:
    from gateway.peers.relay.serving import Ports, serve_relay  # the other commands need no web framework

    stop = trio.Event()

    async def run(task_status: trio.TaskStatus[Ports]) -> None:
        await serve_relay(
            data, port=port, page_port=page_port, centre_port=line_port, stop=stop, task_status=task_status
        )

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            ports = await nursery.start(run)
            settle_collector()
            click.echo(f"kiosks: port {ports.line}; page: http://127.0.0.1:{ports.page}/; Ctrl-C ends")
            async for _ in signals:
                break
            stop.set()


@command.group()
def kiosk() -> None:
    """The registered kiosks."""


@kiosk.command("add")
@data_option
@click.argument("name")
@click.option("--store", required=True, help="The store's id.")
@click.option("--name", "store_name", required=True, help="The store's name.")
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="PEM.")
def kiosk_add(data: Path, name: str, store: str, store_name: str, certificate: Path) -> None:
    """Register kiosk NAME by its certificate, or renew what is known of it; a serving relay knows it at once."""
    add_kiosk(data, name, store, store_name, certificate.read_bytes())
    click.echo(f"{name} at {store}")


@kiosk.command("list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def kiosk_list(data: Path, *, as_json: bool) -> None:
    """Show the kiosks: store, connection, use and fault."""
    with open_store(data) as store:
        for one in registry.states(store):
            if as_json:
                click.echo(msgspec.json.encode(one))
                continue
            line = "not connected" if one.connected_us is None else f"connected {jst(one.connected_us)}"
            use = f"fault {one.fault}" if one.fault else "in use" if one.in_use else "idle"
            click.echo(f"{one.kiosk}  {one.store} {one.store_name}  {line}  {use}")


@command.command("outbox")
@data_option
@click.option("--state", type=click.Choice([outbox.HELD, outbox.DELIVERED, outbox.REFUSED]), help="Of one state only.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def outbox_(data: Path, state: str | None, limit: int, *, as_json: bool) -> None:
    """Show completions, voids, corrections and erasures, newest first."""
    with open_store(data) as store:
        for one in outbox.listed(store, state=state, limit=limit):
            if as_json:
                click.echo(msgspec.json.encode(one))
                continue
            said = "" if one.outcome is None else f"  {_outcome(one.outcome)}"
            name = Operation(one.operation).name
            click.echo(
                f"{one.number:>7} {jst(one.taken_us)}  {name:<8} {one.application} {one.kiosk}  {one.state}{said}"
            )
        held = outbox.depth(store)
        if not as_json:
            since = "" if held.oldest_us is None else f", the oldest since {jst(held.oldest_us)}"
            click.echo(f"{held.held} held{since}")


@command.group("worklist")
def worklist_() -> None:
    """入金済・結果不明: what was paid and has no outcome, and what the centre refused."""


@worklist_.command("list")
@data_option
@click.option("--all", "everything", is_flag=True, help="Also what is younger than the set time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def worklist_list(data: Path, *, everything: bool, as_json: bool) -> None:
    """Show what has to be resolved, oldest first."""
    after_us = 0 if everything else read_settings(data).in_doubt_after_s * 1_000_000
    with open_store(data) as store:
        items = worklist.in_doubt(store, before_us=now_us() - after_us)
        refused = worklist.refused(store)
    for each in [*items, *refused] if as_json else ():
        click.echo(msgspec.json.encode(each))
    if as_json:
        return
    for one in items:
        click.echo(
            f"in doubt  {one.application}  paid {one.yen} yen {jst(one.deposited_us)}  {one.store}/{one.kiosk}"
            f"  journal {one.journal}"
        )
    for notice in refused:
        name = Operation(notice.operation).name
        click.echo(f"refused   {notice.number}  {name} {notice.application}  {_outcome(notice.outcome)}")
    if not items and not refused:
        click.echo("nothing to resolve")


@worklist_.command("resolve")
@data_option
@click.argument("item")
@click.option("--ground", type=click.Choice(list(GROUNDS)), help="Why the store refunded.")
@click.option("--slip", help="Slip number of the refund.")
@click.option("--reference", help="For a refused notice: where it is written what was done.")
def worklist_resolve(data: Path, item: str, ground: str | None, slip: str | None, reference: str | None) -> None:
    """Resolve ITEM: an application's id, with the store's confirmed refund, or the number of a refused notice.

    \b
    sekisho relay worklist resolve --data relay 0198... --ground staff --slip R-000123
    sekisho relay worklist resolve --data relay 17 --reference CASE-42
    """
    at_us = now_us()
    with open_store(data) as store, store.transaction():
        if item.isdecimal() and len(item) < 32:
            if reference is None:
                raise click.UsageError("a refused notice is closed with --reference")
            worklist.close_refused(store, int(item), by=reference, now_us=at_us)
            click.echo(f"notice {item} is closed")
            return
        if ground is None or slip is None:
            raise click.UsageError("a refund is registered with --ground and --slip")
        worklist.confirm_refund(
            store, _application(item), ground=GROUNDS[ground], slip=slip, request_id=LineClient.new_id(), now_us=at_us
        )
    click.echo("the refund is registered; a serving relay delivers its void within seconds")


def _application(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise click.BadParameter("an application's id is 32 hexadecimal digits", param_hint="ITEM")
    return found


@command.command()
@data_option
@click.argument("period")
@click.option("--json", "as_json", is_flag=True, help="JSON in place of CSV.")
@click.option("--out", type=click.Path(path_type=Path), help="A file in place of standard output.")
@click.option("--stores", type=click.Path(path_type=Path), help="Into this directory, instead: each store's report.")
def report(data: Path, period: str, out: Path | None, stores: Path | None, *, as_json: bool) -> None:
    """取扱い実績 of PERIOD (YYYY-MM or YYYY-MM-DD) by store, business day, municipality and kind, as CSV.

    With --stores, what this relay knows of each store's transactions with a deposit in the month, in the form in
    which stores report them to `sekisho relay reconcile`.
    """
    if not _PERIOD.fullmatch(period):
        raise click.BadParameter("write YYYY-MM or YYYY-MM-DD", param_hint="PERIOD")
    settings = read_settings(data)
    if stores is not None:
        _store_reports(data, period, stores)
        return
    with open_store(data) as store:
        found = totals.totals(store, period)
    if as_json:
        made = totals.as_json(found, operator=settings.operator, period=period, made_us=now_us())
    else:
        made = totals.as_csv(found).encode()
    if out is None:
        click.echo(made, nl=False)
    else:
        out.write_bytes(made)
        click.echo(f"{len(found)} lines in {out}, made {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")


def _store_reports(data: Path, period: str, directory: Path) -> None:
    try:
        bounds = histories.month_bounds(period)
    except ValueError as error:
        raise click.BadParameter("stores report a month: write YYYY-MM", param_hint="PERIOD") from error
    with open_store(data) as store:
        found = store_reports.lines_of(histories.of_month(store, *bounds), *bounds)
        for file in store_reports.write_reports(found, directory, period=period):
            click.echo(file)


def _outcome(code: int) -> str:
    meaning = next((each for known, each in CATALOGUE.items() if known == code), None)
    return str(code) if meaning is None else f"{code} {meaning.ja} / {meaning.en}"
