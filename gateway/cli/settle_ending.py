"""`sekisho settle accelerate | final-account | hand-over | check-package`: a contract's end."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli.centre import data_needed, dsn_option
from gateway.cli.settle_desk import at_desk, by_option, documents_of, echo, read, show, shown, who
from gateway.settlement import conduct_ending
from gateway.settlement.conduct import Desk, Person
from gateway.settlement.ending import CLAUSES, Account
from gateway.settlement.handed_over import check_package
from gateway.settlement.handing_over import hand_over
from gateway.settlement.owing import Debt
from gateway.settlement.terms import PartyRole
from protocol.act import Act
from protocol.trust import BUNDLE_BYTES_MAX, Trust, TrustError, decode_trust

_DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
_FILE: Final = click.Path(path_type=Path)
_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_party = click.option("--party", required=True, help="Whose, by id of the directory.")
_contract = click.option("--contract", default="", help="The contract's reference, where the party has several.")


@click.command()
@data_needed
@dsn_option
@_party
@_contract
@click.option(
    "--debtor",
    type=click.Choice([role.value for role in CLAUSES]),
    default=PartyRole.OPERATOR.value,
    show_default=True,
    help="Whose debts fall due.",
)
@click.option("--event", type=int, required=True, help="Number of the event in the article's first paragraph.")
@click.option("--on", "occurred", type=_DAY, required=True, help="Day of the event.")
@click.option("--ground", required=True, help="What happened.")
@click.option("--reference", required=True, help="Of the record of it.")
@by_option
@_json
def accelerate(
    data: Path,
    dsn: str | None,
    *,
    party: str,
    contract: str,
    debtor: str,
    event: int,
    occurred: datetime,
    ground: str,
    reference: str,
    by: str,
    as_json: bool,
) -> None:
    """Record by which event all debts of one side fell due at once (期限の利益喪失, 000契19-2, 契20-2).

    Example: sekisho settle accelerate --data centre --party cvs-dev --event 2 --on 2026-12-16
    --ground "dishonoured bill" --reference "report 7"
    """

    async def work(desk: Desk) -> tuple[Act, list[Debt]]:
        act = await conduct_ending.accelerate(
            desk,
            party,
            PartyRole(debtor),
            event,
            Person(by=by),
            occurred=occurred.date(),
            ground=ground,
            reference=reference,
            contract=contract,
        )
        return act, await conduct_ending.due_at_once(desk, act)

    act, due = at_desk(data, dsn, work)
    if as_json:
        numbers = [{"number": each.number, "open_yen": each.open_yen, "deadline": str(each.deadline)} for each in due]
        echo({**shown(act), "due": numbers})
        return
    show([act], as_json=False)
    for each in due:
        click.echo(f"  {each.number}  未払 / open {each.open_yen:,}円  期限 / due {each.deadline}")


@click.command("final-account")
@data_needed
@dsn_option
@_party
@_contract
@click.option("--ended", type=_DAY, required=True, help="The contract's last day.")
@click.option("--record", is_flag=True, help="Record it, and lay it ready for the party; otherwise it is shown.")
@who
@_json
def final_account(
    data: Path,
    dsn: str | None,
    *,
    party: str,
    contract: str,
    ended: datetime,
    record: bool,
    by: str,
    ground: str,
    second: str,
    as_json: bool,
) -> None:
    """Account for a contract that ended: all that was asked, paid and left open, on both sides (000契21, 27).

    What the ledger holds of the term and no invoice has is named, and keeps the account from being recorded.

    Example: sekisho settle final-account --data centre --party cvs-dev --ended 2027-03-31 --record
    """
    person = Person(by=by, second=second, ground=ground) if record else None

    async def work(desk: Desk) -> tuple[Account, Act | None]:
        return await conduct_ending.final_account(desk, party, ended.date(), person, contract=contract)

    made, act = at_desk(data, dsn, work)
    if as_json:
        echo({"act": None if act is None else shown(act), "account": msgspec.to_builtins(made)})
        return
    click.echo("\n".join(account_lines(made)))
    if act is not None:
        show([act], as_json=False, place=documents_of(data, made.term) / party)


@click.command("hand-over")
@click.argument("out", type=_FILE)
@data_needed
@dsn_option
@_party
@_contract
@by_option
@_json
def hand_over_(out: Path, data: Path, dsn: str | None, *, party: str, contract: str, by: str, as_json: bool) -> None:
    """Write a contract's hand-over package into the new directory OUT.

    It needs the final account, and is read back before it is recorded. Made again, with nothing done since, it is the
    same to the byte.

    Example: sekisho settle hand-over package --data centre --party cvs-dev
    """
    trust = _trust(data / "trust.bundle")

    async def work(desk: Desk) -> Act:
        act, _ = await hand_over(desk, party, Person(by=by), out=out, trust=trust, contract=contract)
        return act

    try:
        act = at_desk(data, dsn, work)
    except OSError as error:
        raise click.ClickException(f"{error.filename or out}: {error.strerror or error}") from error
    show([act], as_json=as_json, place=out)


@click.command("check-package")
@click.argument("directory", type=_FILE)
@click.option("--trust", "trust_file", type=_FILE, required=True, help="The centre's trust bundle.")
@_json
def check_package_(directory: Path, *, trust_file: Path, as_json: bool) -> None:
    """Check a hand-over package without the centre: files, acts, invoices, and that their sums are the entries'.

    Example: sekisho settle check-package package --trust trust.bundle
    """
    trust = _trust(trust_file)
    try:
        found = check_package(directory, trust)
    except OSError as error:
        raise click.ClickException(f"{error.filename or directory}: {error.strerror or error}") from error
    manifest = found.manifest
    if as_json:
        echo(
            {
                "contract": manifest.contract,
                "party": manifest.party,
                "term": manifest.term,
                "files": len(manifest.files),
                "acts": [shown(each) for each in found.acts],
                "invoices": [each.number for each in found.invoices],
                "entries": msgspec.to_builtins(found.entries),
                "due_yen": found.entries.due_yen,
            }
        )
        return
    click.echo(f"{manifest.contract}  {manifest.party}  {manifest.term}")
    click.echo(
        f"{len(manifest.files)} files, {len(found.acts)} acts proven in the ledger, {len(found.invoices)} signed"
        f" documents, {found.entries.entries} bookings of {found.entries.due_yen:,} yen: everything fits / 一致しました"
    )


STEPS: Final = (accelerate, final_account, hand_over_, check_package_)


def account_lines(made: Account) -> Iterator[str]:
    """A final account as text."""
    yield f"{made.contract}  {made.party}  {made.term}  ({made.day})"
    for line in made.lines:
        early = " !" if line.accelerated else ""
        yield (
            f"  {line.period}  {line.claim}  {line.number}  {line.debtor} -> {line.creditor}  {line.yen:,}円"
            f"  期限 / due {line.deadline or '-'}{early}  既払 / paid {line.paid_yen:,}  未払 / open {line.open_yen:,}"
        )
        if line.interest_asked_yen or line.interest_running_yen or line.interest_waived_yen:
            yield (
                f"    遅延利息 / interest: 請求 / asked {line.interest_asked_yen:,}, 免除 / waived"
                f" {line.interest_waived_yen:,}, 入金 / paid {line.interest_paid_yen:,}, 進行中 / running"
                f" {line.interest_running_yen:,}"
            )
    yield f"センターへの未払 / open to the centre:   {made.to_centre_yen:,}円"
    yield f"センターの未払 / open from the centre:   {made.from_centre_yen:,}円"
    yield f"差引 / difference (no set-off):         {made.net_yen:,}円"
    left = made.unbilled
    yield f"未請求の取扱い / in no invoice: {left.entries} bookings, {left.due_yen:,}円"
    for each in made.unclaimed:
        yield f"未請求のセンター負担 / not claimed from the centre: {each.period}  {each.claim}  {each.yen:,}円"
    yield "完済 / settled" if made.is_settled else "未了 / not settled"


def _trust(file: Path) -> Trust:
    try:
        return decode_trust(read(file)[: BUNDLE_BYTES_MAX + 1])
    except TrustError as error:
        raise click.ClickException(f"{file}: {error}") from error
