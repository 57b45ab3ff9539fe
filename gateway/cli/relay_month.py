"""`sekisho relay`: a month's settlement at the operator: papers of the centre, reconciliation, agreed corrections."""

import getpass
from datetime import datetime
from pathlib import Path

import click
import msgspec
import trio

from gateway.cli.fetching import WAIT_S, papers_of
from gateway.line.dial import LineClient, LineError
from gateway.line.papers import send_reconciliation
from gateway.peers.line_file import Dialling, line_from
from gateway.peers.relay import correcting
from gateway.peers.relay.histories import micros
from gateway.peers.relay.reconciling import Reconciled, reconcile
from gateway.peers.relay.results import Kept
from gateway.peers.relay.setup import now_us, opened_relay
from gateway.peers.relay.store import open_store
from protocol.disclosure import Difference, Reconciliation, Standing, decode_signed, verify_disclosure
from protocol.receipt import encode_receipt

data_option = click.option("--data", type=click.Path(path_type=Path), required=True, help="The relay's directory.")
port_option = click.option(
    "--line-port", type=click.IntRange(1, 65535), help="The centre's port, in place of the file's."
)


@click.command()
@data_option
@click.argument("period", default="")
@click.option("--out", type=click.Path(path_type=Path), help="Fetch them into this directory, by period.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@port_option
def papers(data: Path, period: str, out: Path | None, line_port: int | None, *, as_json: bool) -> None:
    """List what the centre laid ready for this operator, of PERIOD or of all; with --out fetch it over the line.

    \b
    sekisho relay papers 2026-11 --data relay --out papers
    """
    with opened_relay(data, centre_port=line_port) as relay:
        papers_of(relay.dialling, period=period, out=out, as_json=as_json)


@click.command("reconcile")
@data_option
@click.argument("disclosure", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--rows", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="In place of the .rows beside."
)
@click.option("--reports", type=click.Path(path_type=Path, exists=True, file_okay=False), help="The stores' reports.")
@click.option("--by", help="Who says so; the user of this session otherwise.")
@click.option("--send", is_flag=True, help="Send the result to the centre over the line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: the differences, then the result.")
@port_option
def reconcile_(
    data: Path,
    disclosure: Path,
    rows: Path | None,
    reports: Path | None,
    by: str | None,
    line_port: int | None,
    *,
    send: bool,
    as_json: bool,
) -> None:
    """Hold DISCLOSURE (取扱い実績データ) against the stores' reports and the relay's own outbox (照合).

    Without --reports the relay's own data take their place. Each difference is named once, with a proposal; the exit
    status is 1 when there is any. The result is kept in the relay's directory, and is sent once.

    \b
    sekisho relay papers 2026-11 --data relay --out papers
    sekisho relay reconcile papers/2026-11/disclosure-2026-11-op-a.disclosure --reports reports --data relay --send
    """
    with opened_relay(data, centre_port=line_port) as relay:
        said = verify_disclosure(decode_signed(disclosure.read_bytes()), relay.dialling.trust)
        beside = rows or disclosure.with_suffix(".rows")
        if not beside.is_file():
            raise click.UsageError(
                f"{beside} does not exist; fetch it with `sekisho relay papers`, or name it with --rows"
            )
        with beside.open("rb") as file:
            found = reconcile(
                relay.store,
                said,
                file,
                reports=reports,
                operator=relay.settings.operator,
                by=by or getpass.getuser(),
                now_us=now_us(),
            )
        kept = Kept(data, found.reconciliation)
        for each in kept.reconciliation.differences:
            click.echo(_as_json(each) if as_json else _line(each))
        if send and not kept.sent:
            kept.prove(trio.run(_send, relay.dialling, kept.reconciliation))
        click.echo(_result_json(found, kept) if as_json else _summary(found, kept))
    if not kept.reconciliation.agreed:
        click.get_current_context().exit(1)


async def _send(dialling: Dialling, reconciliation: Reconciliation) -> bytes:
    async with line_from(dialling) as line:
        await line.wait_open(WAIT_S)
        receipt = (await send_reconciliation(line, reconciliation)).receipt()
    if receipt is None:
        raise LineError("the centre gave no proof that it recorded the result; send it again")
    return encode_receipt(receipt)


@click.command()
@data_option
@click.argument("application")
@click.option("--copies", type=click.IntRange(1, correcting.COPIES_MAX), help="Copies, as they should read.")
@click.option("--deposited", help="When the money came, as 2026-11-02T10:15:00+09:00.")
@click.option("--day", help="The store's business day, as 2026-11-02.")
@click.option("--void", "slip", help="Void it instead; the slip number of the store's refund.")
def correct(
    data: Path, application: str, copies: int | None, deposited: str | None, day: str | None, slip: str | None
) -> None:
    """Correct or void APPLICATION as agreed with the centre; a serving relay delivers it within seconds.

    What is not named stays as it stands. The centre's proof of it is kept with all others.

    \b
    sekisho relay correct --data relay 0198... --copies 2
    sekisho relay correct --data relay 0198... --void R-000123
    """
    if slip is not None and (copies, deposited, day) != (None, None, None):
        raise click.UsageError("a void takes all copies back: name no copies, deposit or day beside --void")
    at_us, named = now_us(), _application(application)
    with open_store(data) as store, store.transaction():
        if slip is not None:
            correcting.void(store, named, slip=slip, request_id=LineClient.new_id(), now_us=at_us)
            click.echo("the void is registered; a serving relay delivers it within seconds")
            return
        notice = correcting.correct(
            store,
            named,
            copies=copies,
            deposited_us=_time(deposited),
            store_day=day,
            request_id=LineClient.new_id(),
            now_us=at_us,
        )
    click.echo(f"correction {notice.number} is registered; a serving relay delivers it within seconds")


def _application(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 16:
        raise click.BadParameter("an application's id is 32 hexadecimal digits", param_hint="APPLICATION")
    return found


def _time(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise click.BadParameter("write a time as 2026-11-02T10:15:00+09:00", param_hint="--deposited")
    return micros(at)


def _line(each: Difference) -> str:
    sides = f"ours {_side(each.ours)}  theirs {_side(each.theirs)}"
    return f"{each.fault:<12}  {each.application.hex()}  {sides}  -> {each.proposal}  {each.text}"


def _side(standing: Standing | None) -> str:
    if standing is None:
        return "-"
    where = f"{standing.municipality} {standing.kind} {standing.store}"
    return f"{where} {standing.copies}通 {standing.yen:,}円 {standing.day}"


def _as_json(each: Difference) -> str:
    fields = {
        "key": each.key.hex(),
        "fault": each.fault,
        "application": each.application.hex(),
        "request_id": each.request_id.hex(),
        "ours": None if each.ours is None else each.ours._asdict(),
        "theirs": None if each.theirs is None else each.theirs._asdict(),
        "proposal": each.proposal,
        "text": each.text,
    }
    return msgspec.json.encode(fields).decode()


def _result_json(found: Reconciled, kept: Kept) -> str:
    result = kept.reconciliation
    fields = {
        "period": result.period,
        "party": result.party,
        "disclosure": result.disclosure_digest.hex(),
        "by": result.by,
        "agreed": result.agreed,
        "differences": len(result.differences),
        "transactions": found.transactions,
        "adjustments": found.adjustments,
        "copies": result.ours.copies,
        "yen": result.ours.yen,
        "commission": result.ours.commission,
        "sent": kept.sent,
        "file": str(kept.file),
    }
    return msgspec.json.encode(fields).decode()


def _summary(found: Reconciled, kept: Kept) -> str:
    result = kept.reconciliation
    count = len(result.differences)
    verdict = "一致 / agreed" if result.agreed else f"不一致 {count}件 / differences: {count}"
    money = f"{result.ours.copies}通 {result.ours.yen:,}円, commission {result.ours.commission:,}円"
    compared = f"{found.transactions} transactions, {found.adjustments} adjustments"
    sent = "送信済み / sent" if kept.sent else "未送信 / not sent"
    return f"{result.period} {result.party}: {verdict}; {compared}; ours {money}; {sent}; {kept.file}"
