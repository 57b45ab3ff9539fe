"""The steps of a period as commands of `sekisho settle`: from disclosure to payment, and their check."""

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli.centre import data_needed, dsn_option
from gateway.cli.settle_desk import at_desk, documents_of, read, show, who
from gateway.settlement import conduct
from gateway.settlement.checking import Checked, check_settlement
from gateway.settlement.conduct import Desk, Person
from gateway.settlement.conduct_status import Stand, Status, StepStand
from protocol.act import Act
from protocol.trust import decode_trust

_DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
_MARKS: Final = {Stand.DONE: "済", Stand.OPEN: "未", Stand.LATE: "遅延", Stand.LATER: "予定", Stand.NONE: "-"}
_period = click.argument("period", metavar="PERIOD")
_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_party = click.option("--party", required=True, help="Whose, by id of the directory.")


@click.command()
@_period
@data_needed
@dsn_option
@click.option("--again", is_flag=True, help="Where data changed since, disclose anew.")
@who
@_json
def disclose(
    period: str, data: Path, dsn: str | None, *, again: bool, by: str, ground: str, second: str, as_json: bool
) -> None:
    """Lay a month's data open to every operator (取扱い実績データ).

    Example: sekisho settle disclose 2026-11 --data centre --by clerk-1
    """
    person = Person(by=by, second=second, ground=ground)
    acts = at_desk(data, dsn, lambda desk: conduct.disclose(desk, period, person, again=again))
    show(acts, as_json=as_json, place=documents_of(data, period))


@click.command()
@_period
@data_needed
@dsn_option
@_party
@click.option("--line", "lines", multiple=True, metavar="KEY", help="Accept this difference; all not disputed if none.")
@click.option("--dispute", type=(str, str), multiple=True, metavar="KEY REASON", help="Dispute this difference.")
@who
@_json
def accept(
    period: str,
    data: Path,
    dsn: str | None,
    *,
    party: str,
    lines: tuple[str, ...],
    dispute: tuple[tuple[str, str], ...],
    by: str,
    ground: str,
    second: str,
    as_json: bool,
) -> None:
    """Answer an operator's reconciliation (照合結果): each difference is accepted or disputed.

    Keys are those that `sekisho settle status` shows.

    Example: sekisho settle accept 2026-11 --data centre --party cvs-dev --dispute 5f0c... "no deposit was seen"
    """
    person = Person(by=by, second=second, ground=ground)
    disputed = {_key(key): reason for key, reason in dispute}
    accepted = [_key(key) for key in lines] or None

    async def work(desk: Desk) -> list[Act]:
        act = await conduct.accept(desk, period, party, person, lines=accepted, dispute=disputed)
        return [] if act is None else [act]

    acts = at_desk(data, dsn, work)
    if not acts and not as_json:
        click.echo(f"{party}: 差異なし / it agreed, there is nothing to answer")
    show(acts, as_json=as_json, place=documents_of(data, period))


@click.command()
@_period
@data_needed
@dsn_option
@who
@_json
def confirm(period: str, data: Path, dsn: str | None, *, by: str, ground: str, second: str, as_json: bool) -> None:
    """Freeze a period for the whole centre, and lay the municipalities' data ready.

    Example: sekisho settle confirm 2026-11 --data centre --by clerk-1
    """
    person = Person(by=by, second=second, ground=ground)

    async def work(desk: Desk) -> list[Act]:
        return [await conduct.confirm(desk, period, person)]

    show(at_desk(data, dsn, work), as_json=as_json, place=documents_of(data, period))


@click.command()
@_period
@data_needed
@dsn_option
@click.option("--received", type=_DAY, help="Day on which the claims arrive, for dates that hang on it; today if none.")
@who
@_json
def invoice(
    period: str,
    data: Path,
    dsn: str | None,
    *,
    received: datetime | None,
    by: str,
    ground: str,
    second: str,
    as_json: bool,
) -> None:
    """Issue the invoices and credit notices of a frozen month, or freeze a quarter and invoice it.

    Example: sekisho settle invoice 2026-Q2 --data inquiry-centre --received 2026-10-05
    """
    person = Person(by=by, second=second, ground=ground)
    day = None if received is None else received.date()
    acts = at_desk(data, dsn, lambda desk: conduct.invoice(desk, period, person, received=day))
    show(acts, as_json=as_json, place=documents_of(data, period))


@click.command()
@_period
@data_needed
@dsn_option
@_party
@click.option("--on", "day", type=_DAY, required=True, help="Day on which the money came, or went.")
@click.option("--yen", type=int, help="How much, towards the claim's payee; all that is open if none.")
@click.option("--claim", default="", help="The claim's id, where the party has several.")
@click.option("--again", is_flag=True, help="It is another payment of the same day and sum.")
@who
@_json
def pay(
    period: str,
    data: Path,
    dsn: str | None,
    *,
    party: str,
    day: datetime,
    yen: int | None,
    claim: str,
    again: bool,
    by: str,
    ground: str,
    second: str,
    as_json: bool,
) -> None:
    """Record a payment of a claim, the centre's or one on it.

    Example: sekisho settle pay 2026-11 --data centre --party cvs-dev --on 2026-12-21
    """
    person = Person(by=by, second=second, ground=ground)

    async def work(desk: Desk) -> list[Act]:
        return [await conduct.pay(desk, period, party, person, day=day.date(), yen=yen, claim=claim, again=again)]

    show(at_desk(data, dsn, work), as_json=as_json, place=documents_of(data, period))


@click.command()
@_period
@data_needed
@dsn_option
@_json
def status(period: str, data: Path, dsn: str | None, *, as_json: bool) -> None:
    """Print how far a period is: every step with its date, who did it, and what is late.

    Example: sekisho settle status 2026-11 --data centre
    """
    found = at_desk(data, dsn, lambda desk: conduct.status(desk, period))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    click.echo("\n".join(status_lines(found)))


@click.command()
@click.argument("period", metavar="[PERIOD]", default="")
@data_needed
@dsn_option
@_json
def verify(period: str, data: Path, dsn: str | None, *, as_json: bool) -> None:
    """Hold acts against the ledger's entries, and amounts and documents of frozen periods against the ledger.

    Signatures are held against the centre's trust bundle. Writes nothing. The exit status is 0 when everything holds
    and 1 when something does not.

    Example: sekisho settle verify 2026-11 --data centre
    """

    trust = decode_trust(read(data / "trust.bundle"))

    async def work(desk: Desk) -> Checked:
        return await check_settlement(desk, of=desk.period(period) if period else None, trust=trust)

    found = at_desk(data, dsn, work)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for each in found.findings:
            click.echo(str(each))
        click.echo(f"{found.acts} acts, {found.periods} frozen periods, {found.documents} documents")
        click.echo(f"{len(found.findings)} things do not hold" if found.findings else "everything holds")
    if found.findings:
        sys.exit(1)


STEPS: Final = (disclose, accept, confirm, invoice, pay, status, verify)


def status_lines(found: Status) -> Iterator[str]:
    """A status as text."""
    frozen = f"確定 {found.frozen_yen:,}円 / frozen" if found.frozen else "未確定 / open"
    yield f"{found.period}: {found.first} - {found.last}  {frozen}  ({found.today})"
    last = ("", "")
    for each in found.steps:
        if (each.contract, each.claim) != last:
            last = (each.contract, each.claim)
            yield f"\n{each.party}  [{each.contract}, {each.claim}]"
        yield _step(each)
    if found.differences:
        yield "\n差異 / differences"
    for one in found.differences:
        yield f"  {one.party}  {one.key}  {one.fault} -> {one.proposal}  {one.text}"
    yield f"\n遅延 / late: {len(found.late)}"


def _step(each: StepStand) -> str:
    who = each.by + (f" + {each.second}: {each.ground}" if each.second else "")
    done = f"  {each.done_on} {who}" if each.stand is Stand.DONE and each.by else ""
    yen = f"  {each.yen:,}円" if each.yen else ""
    detail = f"  {each.detail}" if each.detail else ""
    name = f"{each.name_ja} / {each.name_en}"
    return f"  {_MARKS[each.stand]:<3} {each.deadline or '-':<10}  {name}{done}{yen}{detail}"


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise click.UsageError(f"{text} is no key of a difference; see sekisho settle status") from error
