"""`sekisho settle receive | late | inspect`: claims that come to the centre, late interest, inspections."""

import hashlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.cli.centre import data_needed, dsn_option
from gateway.cli.settle_desk import at_desk, by_option, echo, read, show, shown
from gateway.settlement import conduct_contract
from gateway.settlement.claims_received import differences
from gateway.settlement.conduct import Desk, Person
from gateway.settlement.conduct_contract import Overdue
from gateway.settlement.contract_facts import Inspected, Received, facts_of
from gateway.settlement.interest import Waiver
from gateway.settlement.periods import period as period_of
from protocol.act import Act

_DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
_FILE: Final = click.Path(path_type=Path)
_period = click.argument("period", metavar="PERIOD")
_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_party = click.option("--party", required=True, help="Whose, by id of the directory.")
_contract = click.option("--contract", default="", help="The contract's reference, where the party has several.")


@click.command()
@_period
@data_needed
@dsn_option
@_party
@click.option("--claim", default="fees", show_default=True, help="The claim's id in the contract.")
@click.option("--number", help="The claim's own number; without it, what came over the party's line.")
@click.option("--yen", type=int, help="What it claims; negative for a credit.")
@click.option("--on", "received", type=_DAY, help="Day on which it was received.")
@click.option("--dated", type=_DAY, help="The date it bears; that of its receipt if none.")
@click.option("--file", "file", type=_FILE, help="The claim as a file: its digest is recorded.")
@by_option
@_json
def receive(
    period: str,
    data: Path,
    dsn: str | None,
    *,
    party: str,
    claim: str,
    number: str | None,
    yen: int | None,
    received: datetime | None,
    dated: datetime | None,
    file: Path | None,
    by: str,
    as_json: bool,
) -> None:
    """Record a claim that came to the centre: a municipality's for its fees, an operator's for its line.

    It is held against what the centre itself reckons. One that differs is recorded with the difference, starts no due
    date, and is paid to nobody; the exit status is 1.

    \b
    Example:
      sekisho settle receive 2026-11 --data centre --party chiba --number C-7 --yen 204520 --on 2026-12-11
      sekisho settle receive 2026-04-01/2027-03-31 --data centre --party cvs-dev --claim line \\
        --number L-1 --yen 660000 --dated 2027-03-31 --on 2027-04-02
    """
    given = (number, yen, received)
    if any(each is None for each in given) and given != (None, None, None):
        raise click.UsageError("give --number, --yen and --on, or none of them / 3つとも指定してください")
    document = b"" if file is None else hashlib.sha256(read(file)).digest()

    async def work(desk: Desk) -> tuple[Act, list[tuple[str, str]]]:
        person = Person(by=by)
        if number is None or yen is None or received is None:
            act, terms = await conduct_contract.receive_from_line(desk, period, party, claim, person)
        else:
            act, terms = await conduct_contract.receive_claim(
                desk,
                period,
                party,
                claim,
                person,
                number=number,
                yen=yen,
                dated=(dated or received).date(),
                received=received.date(),
                document=document,
            )
        return act, differences(act, terms, period_of(period), desk.calendars)

    act, found = at_desk(data, dsn, work)
    if as_json:
        said = facts_of(act, Received)
        more = {"number": said.number, "dated": str(said.dated), "ours_yen": said.ours_yen, "proper": said.proper}
        echo({**shown(act), **more, "differences": [{"ja": ja, "en": en} for ja, en in found]})
    else:
        show([act], as_json=False)
        for ja, en in found:
            click.echo(f"  {ja} / {en}")
    if found:
        raise click.ClickException("it is not a proper claim / 適正な請求ではありません; send it back")


@click.command()
@_period
@data_needed
@dsn_option
@_party
@click.option("--claim", default="fees", show_default=True, help="The claim's id in the contract.")
@click.option("--payable-by", type=_DAY, help="Ask for the interest of what was paid late, by this day.")
@click.option("--waive", "ground", help="Let it go, for this reason.")
@click.option("--reference", default="", help="With --waive: the written decision.")
@click.option("--paid", type=_DAY, help="Record that interest was paid on this day.")
@click.option("--yen", type=int, help="With --paid: how much; all that is open if none.")
@by_option
@_json
def late(
    period: str,
    data: Path,
    dsn: str | None,
    *,
    party: str,
    claim: str,
    payable_by: datetime | None,
    ground: str | None,
    reference: str,
    paid: datetime | None,
    yen: int | None,
    by: str,
    as_json: bool,
) -> None:
    """Show what is late and its interest; ask for it, let it go, or record that it was paid.

    Each late payment bears interest by itself; days of inspections do not count; what is unpaid is shown as if it were
    paid today, and is not asked for before.

    \b
    Example:
      sekisho settle late 2026-11 --data centre --party cvs-dev
      sekisho settle late 2026-11 --data centre --party cvs-dev --payable-by 2027-01-29
      sekisho settle late 2026-11 --data centre --party cvs-dev --waive "bank failure" --reference "decision 12"
    """
    if sum(each is not None for each in (payable_by, ground, paid)) > 1:
        raise click.UsageError("give one of --payable-by, --waive, --paid / いずれか1つを指定してください")
    person = Person(by=by)

    async def work(desk: Desk) -> tuple[list[Act], Overdue]:
        acts: list[Act] = []
        if payable_by is not None:
            acts = await conduct_contract.ask_interest(desk, period, party, claim, person, payable_by=payable_by.date())
        elif ground is not None:
            waiver = Waiver(ground=ground, reference=reference)
            acts = await conduct_contract.waive_interest(desk, period, party, claim, person, waiver)
        elif paid is not None:
            acts = [await conduct_contract.pay_interest(desk, period, party, claim, person, day=paid.date(), yen=yen)]
        return acts, await conduct_contract.overdue(desk, period, party, claim)

    acts, found = at_desk(data, dsn, work)
    if as_json:
        echo({"acts": [shown(each) for each in acts], **late_json(found)})
        return
    show(acts, as_json=False)
    click.echo("\n".join(late_lines(found)))


@click.command()
@data_needed
@dsn_option
@_party
@click.option("--from", "first", type=_DAY, required=True, help="Its first day.")
@click.option("--to", "last", type=_DAY, help="Its last day; the first if none.")
@click.option("--notice", type=_DAY, required=True, help="Day of the written notice, before the inspection.")
@click.option("--reference", required=True, help="Of the written notice.")
@click.option("--place", required=True, help="Where it was.")
@by_option
@_json
def inspect(
    data: Path,
    dsn: str | None,
    *,
    party: str,
    first: datetime,
    last: datetime | None,
    notice: datetime,
    reference: str,
    place: str,
    by: str,
    as_json: bool,
) -> None:
    """Record an inspection that was held (000契12): its days do not count for late interest (000契17-2).

    Example: sekisho settle inspect --data centre --party cvs-dev --from 2026-12-22 --to 2026-12-23
    --notice 2026-12-15 --reference "notice 3" --place "the operator's office"
    """
    said = Inspected(
        first=first.date(),
        last=(last or first).date(),
        notice=notice.date(),
        reference=reference,
        place=place,
    )
    act = at_desk(data, dsn, lambda desk: conduct_contract.inspect(desk, party, Person(by=by), said))
    show([act], as_json=as_json)


STEPS: Final = (receive, late, inspect)


def late_lines(found: Overdue) -> Iterator[str]:
    """A debt and its delays as text."""
    debt = found.debt
    due = "請求の受領後 / on receipt" if debt.deadline is None else str(debt.deadline)
    early = " (期限の利益喪失 / due at once)" if debt.accelerated else ""
    yield f"{debt.number}  {debt.yen:,}円  期限 / due {due}{early}  未払 / open {debt.open_yen:,}円"
    for each in found.delays:
        one = each.late
        what = "未払 / unpaid" if each.turn is None else f"{one.paid} 支払 / paid"
        yield (
            f"  {what} {one.unpaid_yen:,}円: {one.late_days}日遅延、算入{one.days}日 / {one.late_days} days late,"
            f" {one.days} count; {one.base_yen:,}円 x {_percent(one.rate.basis_points)} -> {one.interest_yen:,}円"
            f" (差引後なら / on the net {one.unpaid_interest_yen:,}円) [{one.clause}]"
        )
        if each.asked is not None:
            yield f"    請求 / asked for: {each.asked.yen:,}円, {one.payable_by}まで / by {one.payable_by}"
        if each.waived is not None:
            yield f"    免除 / waived: {each.waived.day} {each.waived.by}"
    if not found.delays:
        yield "  遅延なし / nothing is late"
    if found.interest_paid_yen:
        yield f"  遅延利息の入金 / interest paid: {found.interest_paid_yen:,}円"


def late_json(found: Overdue) -> dict[str, Any]:
    """The same for programs."""
    debt = found.debt
    return {
        "number": debt.number,
        "yen": debt.yen,
        "open_yen": debt.open_yen,
        "deadline": _text(debt.deadline),
        "accelerated": debt.accelerated,
        "interest_paid_yen": found.interest_paid_yen,
        "delays": [
            {
                "turn": each.turn,
                "asked": each.asked is not None,
                "waived": each.waived is not None,
                **msgspec.to_builtins(each.late),
            }
            for each in found.delays
        ],
    }


def _percent(basis_points: int) -> str:
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d}%"


def _text(day: date | None) -> str | None:
    return None if day is None else str(day)
