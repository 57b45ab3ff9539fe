"""`sekisho municipality`: a municipality's issuing server (証明書発行サーバ) with its synthetic residents."""

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec
import trio

from gateway.cli.municipality_settlement import settlement
from gateway.cli.receipt import jst
from gateway.collector import settle_collector
from gateway.ops.logs import configure_logging
from gateway.peers.municipality import journal, records
from gateway.peers.municipality import reports as noted
from gateway.peers.municipality.cards import key_of_certificate, read_card_certificate
from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.setup import make_municipality, now_us, opened_municipality
from gateway.peers.municipality.synthetic import CASES, RESIDENTS_MIN
from protocol.application import Transition
from protocol.certificates import KINDS, Kind
from protocol.issuance import Ground, Report
from protocol.outcomes import Outcome

RESIDENTS_DEFAULT = 200
PORT_DEFAULT = 9543

_data = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("municipality"),
    show_default=True,
    help="The issuing server's directory.",
)
_by = click.option("--by", default="staff", show_default=True, help="Who does it, for the history.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_directory = click.Path(exists=True, file_okay=False, path_type=Path)
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def command() -> None:
    """A municipality's issuing server: makes each certificate, and sees what became of it.

    \b
    Begin with:
      sekisho municipality init --data mihon --code 999990 --party mihon-shi --name-ja 見本市 --name-en "Mihon City" \\
        --tls tls --centre-trust centre/trust.bundle --kiosk-anchors operators --card-anchors jpki/anchors.pem
      sekisho municipality card add --data mihon --card jpki/cards/taro.card --resident 0
      sekisho municipality serve --data mihon
    """


command.add_command(settlement)


@command.command()
@_data
@click.option("--code", required=True, help="全国地方公共団体コード, six figures.")
@click.option("--party", required=True, help="Its party in the directory.")
@click.option("--name-ja", required=True, help="As it stands on certificates.")
@click.option("--name-en", required=True)
@click.option("--tls", type=_directory, required=True, help="As `sekisho pki issue` writes it, profile host.")
@click.option("--centre-trust", type=_file, required=True, help="The certificate centre's trust bundle.")
@click.option(
    "--kiosk-anchors",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="The operators' line authorities: a folder with OPERATOR.pem each, or one PEM file for all.",
)
@click.option("--card-anchors", type=_file, required=True, help="The card authority's certificates (PEM).")
@click.option("--card-crl", type=click.Path(dir_okay=False, path_type=Path), help="Its revocation list (DER).")
@click.option("--ocsp", default="", help="The OCSP responder's URL, in place of the one each card names.")
@click.option("--environment", default="test", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT_DEFAULT, show_default=True)
@click.option(
    "--residents",
    type=click.IntRange(RESIDENTS_MIN, 100_000),
    default=RESIDENTS_DEFAULT,
    show_default=True,
    help="Synthetic residents to make; the first ten are test cases.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the residents beyond the test cases.")
def init(data: Path, **given: Any) -> None:
    """Make an issuing server's directory with synthetic residents (合成データ) and its keys."""
    trust = make_municipality(data, now_us=now_us(), **given)
    click.echo(f"made {data} for {trust.centre}; give {data / 'trust.bundle'} to the certificate centre")
    click.echo("the test cases among its residents:")
    for number, case in CASES.items():
        click.echo(f"  {number}  {case}")


@command.command()
@_data
@click.option("--port", type=click.IntRange(0, 65535), help="In place of the settings' port; 0 for any.")
def serve(data: Path, port: int | None) -> None:
    """Serve the certificate centre until Ctrl-C or SIGTERM; what is in hand is answered first."""
    configure_logging()
    trio.run(_serve, data, port)


async def _serve(data: Path, port: int | None) -> None:
    from gateway.peers.municipality.serving import serve_municipality  # the other commands set no pages

    stop = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def run(task_status: trio.TaskStatus[int]) -> None:
                try:
                    await serve_municipality(data, port=port, stop=stop, task_status=task_status)
                except* OSError as errors:
                    raise SetupIncomplete("cannot listen at this port; choose another --port") from errors

            bound = await nursery.start(run)
            settle_collector()
            click.echo(f"issuing server: port {bound}; Ctrl-C ends")
            async for _ in signals:
                break
            stop.set()


@command.command()
@_data
@click.option("--personal", is_flag=True, help="Names, birth dates and addresses too; for staff who may see them.")
@_json
def residents(data: Path, *, personal: bool, as_json: bool) -> None:
    """List the residents: numbers and status."""
    with opened_municipality(data) as municipality:
        lines = [_resident(each, personal=personal) for each in records.residents(municipality.store)]
    _echo(lines, as_json, lambda line: "  ".join(f"{value}" for value in line.values() if value != ""))


def _resident(each: records.Resident, *, personal: bool) -> dict[str, object]:
    seal = "none" if each.seal is None else "cancelled" if each.seal.cancelled else "registered"
    line: dict[str, object] = {"resident": each.number, "household": each.household, "seal": f"seal {seal}"}
    line["suppressed"] = "suppressed" if each.suppressed else ""
    line["moving_on"] = f"moving {each.moving_on}" if each.moving_on else ""
    line["case"] = CASES.get(each.number, "")
    if personal:
        line |= {"name": each.name, "birth": each.birth, "address": each.address}
    return line


@command.group()
def card() -> None:
    """The cards by which residents are known."""


@card.command("add")
@_data
@click.option("--card", "file", type=_file, required=True, help="A simulated card, or its certificate (PEM or DER).")
@click.option("--resident", type=int, required=True, help="The resident's number.")
@_by
def card_add(data: Path, file: Path, resident: int, by: str) -> None:
    """Let a card stand for a resident."""
    with opened_municipality(data) as municipality:
        anchors = data / municipality.settings.card_anchors
        key = key_of_certificate(read_card_certificate(file), anchors=anchors)
        records.bind_card(municipality.store, key, resident, by=by)
    click.echo(f"the card stands for resident {resident}")


@command.command()
@_data
@click.argument("resident", type=int)
@click.option("--lift", is_flag=True, help="Lift it in place of setting it; it never ends by itself.")
@_by
def suppress(data: Path, resident: int, by: str, *, lift: bool) -> None:
    """Set or lift the suppression (支援措置) of a resident; it counts at once, also for a document being made."""
    with opened_municipality(data) as municipality:
        records.set_suppressed(municipality.store, resident, not lift, by=by)
    click.echo(f"resident {resident}: suppression {'lifted' if lift else 'set'}")


@command.group()
def seal() -> None:
    """Seal registrations (印鑑登録)."""


@seal.command("cancel")
@_data
@click.argument("resident", type=int)
@_by
def seal_cancel(data: Path, resident: int, by: str) -> None:
    """Cancel a resident's seal registration (廃止); it counts at once, also for a document being made."""
    with opened_municipality(data) as municipality:
        records.cancel_seal(municipality.store, resident, by=by)
    click.echo(f"resident {resident}: seal registration cancelled")


@command.command()
@_data
@click.option("--resident", type=int, help="Of one resident only.")
@_json
def history(data: Path, resident: int | None, *, as_json: bool) -> None:
    """Show who changed which status when."""
    with opened_municipality(data) as municipality:
        lines = [
            {"at": jst(at_us), **msgspec.structs.asdict(change)}
            for at_us, change in records.status_history(municipality.store, resident)
        ]
    _echo(lines, as_json, lambda line: "{at}  resident {resident}  {what}: {value}  by {by}".format(**line))


@command.command()
@_data
@click.option("--from", "day_from", default="", help="First store business day, YYYY-MM-DD.")
@click.option("--to", "day_to", default="9999-12-31", help="Last store business day.")
@_json
def completions(data: Path, day_from: str, day_to: str, *, as_json: bool) -> None:
    """List completions, voids and corrections as the centre reported them, with totals. No personal data."""
    with opened_municipality(data) as municipality:
        listed = noted.reports(municipality.store, day_from=day_from, day_to=day_to)
    _echo([_reported(report) for report in listed], as_json, _report_line)
    sums = [{"total": each.kind or "all", **msgspec.structs.asdict(each)} for each in noted.totals(listed)]
    _echo(sums, as_json, _total_line)


def _reported(report: Report) -> dict[str, object]:
    line = msgspec.structs.asdict(report)
    line["application"] = report.application.hex()
    correction = noted.is_correction(report.transition)
    line["what"] = "corrected" if correction else Transition(report.transition).name.lower()
    line["ground"] = Ground(report.ground).name.lower() if report.ground else ""
    return line


def _report_line(line: dict[str, Any]) -> str:
    return (
        "{number:>6}  {what:<9}  {store_day}  {kind_ja}  copies {copies:+}  yen {yen:+}  {operator}/{store}  "
        "{application}  {ground}"
    ).format(kind_ja=_kind_ja(line["kind"]), **line)


def _total_line(line: dict[str, Any]) -> str:
    return (
        "total {kind_ja}: {completions} completions, {voids} voids, {corrections} corrections; "
        "copies {copies}, yen {yen:,}"
    ).format(kind_ja=_kind_ja(line["kind"]) or "計", **line)


def _kind_ja(kind: str) -> str:
    return KINDS[Kind(kind)].ja if kind in set(Kind) else kind


@command.command()
@_data
@_json
def refusals(data: Path, *, as_json: bool) -> None:
    """List what was refused at kiosks, and the real cause, newest first. For the municipality's own staff."""
    with opened_municipality(data) as municipality:
        found = [msgspec.structs.asdict(each) for each in journal.refusals(municipality.store)]
    _echo(found, as_json, _refusal_line)


def _refusal_line(line: dict[str, Any]) -> str:
    return f"{line['number']:>6}  {jst(line['at_us'])}  {line['application']}  {line['cause']}  told: " + (
        Outcome(line["outcome"]).name
    )


@command.command()
@_data
@click.option("--all", "closed", is_flag=True, help="Closed ones too.")
@click.option("--close", "number", type=int, help="Close this one, with --finding.")
@click.option("--finding", default="", help="What was found; no personal data.")
@_by
@_json
def incidents(data: Path, number: int | None, finding: str, by: str, *, closed: bool, as_json: bool) -> None:
    """List open incidents; each stays open until a person closes it with a finding."""
    with opened_municipality(data) as municipality:
        if number is not None:
            if not finding:
                raise click.UsageError("say with --finding what was found")
            journal.close_incident(municipality.store, number, by=by, finding=finding)
        found = [msgspec.structs.asdict(each) for each in journal.incidents(municipality.store, closed=closed)]
    _echo(found, as_json, _incident_line)


def _incident_line(line: dict[str, Any]) -> str:
    end = "open" if line["closed_us"] is None else f"closed {jst(line['closed_us'])} {line['closed_by']}"
    return "{number:>6}  {at}  {code}  {application}  {detail}  {end}  {finding}".format(
        at=jst(line["at_us"]), end=end, **line
    ).rstrip()


def _echo(lines: Iterable[dict[str, Any]], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    for line in lines:
        click.echo(msgspec.json.encode(line).decode() if as_json else text(line))
