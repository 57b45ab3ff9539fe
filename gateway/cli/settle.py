"""`sekisho settle`: the dates of a period's settlement, late interest, and whether a contract file can be one.

The steps of a period are in gateway.cli.settle_cycle.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli import settle_contract, settle_cycle, settle_ending
from gateway.settlement import words
from gateway.settlement.calendars import STANDARD, Calendars
from gateway.settlement.cycle import MODEL_CYCLE, Cycle, Step, StepDate, cycle
from gateway.settlement.dates import Basis
from gateway.settlement.interest import LateInterest, Span, late_interest
from gateway.settlement.periods import Period, PeriodKind, period
from gateway.settlement.toml import read_calendars, read_contract

MODEL: Final = "000, 001"
"""What the cycle without a contract file is called: the two model agreements."""

_FILE = click.Path(path_type=Path)
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def command() -> None:
    """Settlement: the steps of a period from disclosure to payment, its dates, late interest, contracts' terms.

    \b
    Example:
      sekisho settle calendar 2026-05
      sekisho settle status 2026-05 --data centre
    """


for step in (*settle_cycle.STEPS, *settle_contract.STEPS, *settle_ending.STEPS):
    command.add_command(step)


@command.command("calendar")
@click.argument("of", metavar="PERIOD")
@click.option(
    "--contract", "contracts", type=_FILE, multiple=True, help="Contract file; without any, a month of 000/001."
)
@click.option("--calendars", "calendars_file", type=_FILE, help="Exceptions of office and banks by date.")
@click.option("--received", type=_DAY, help="Day on which a proper claim was received, for dates that hang on it.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def calendar(
    of: str, contracts: tuple[Path, ...], calendars_file: Path | None, received: datetime | None, as_json: bool
) -> None:
    """Print every date of a period's settlement, with the rule and the clause that set it.

    PERIOD is a month (2026-05), a quarter of a fiscal year (2026-Q1 is April to June 2026) or a term
    (2026-04-01/2027-03-31).

    Example: sekisho settle calendar 2026-Q1 --contract deploy/contracts/002-ministry.toml --received 2026-07-01
    """
    span = period(of)
    calendars = STANDARD if calendars_file is None else read_calendars(calendars_file)
    cycles = list(_cycles(contracts, span, calendars, None if received is None else received.date()))
    if not cycles:
        raise click.UsageError(
            f"nothing is claimed once a {span.kind.value} / この期間の請求はありません; "
            f"give --contract FILE with a claim of period = {span.kind.value!r}"
        )
    if as_json:
        click.echo(
            json.dumps(
                {"period": _period(span), "cycles": [_cycle(*each) for each in cycles]}, ensure_ascii=False, indent=1
            )
        )
        return
    click.echo(f"{span.text}: {span.first} - {span.last}")
    for name, made in cycles:
        click.echo(f"\n{name}")
        for each in made.dates:
            click.echo("\n".join(_text(each)))


@command.command("check")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
def check_files(files: tuple[Path, ...]) -> None:
    """Read contract files; the first fault ends with its table, field and remedy.

    Example: sekisho settle check deploy/contracts/000-operator.toml
    """
    for file in files:
        contract = read_contract(file)
        click.echo(f"{file}: {contract.reference}  {contract.title_ja}")
        for terms in contract.terms:
            for claim in terms.claims:
                click.echo(
                    f"  version {terms.version} from {terms.valid_from}: {claim.id}, once a {claim.period.value}, "
                    f"{claim.payer.value} to {claim.payee.value}, {len(claim.items)} items, {len(claim.dates)} dates"
                )


@command.command("interest")
@click.argument("file", type=_FILE, metavar="CONTRACT")
@click.option("--claim", "claim_id", required=True, help="The claim that was paid late.")
@click.option("--period", "of", required=True, help="Its period, such as 2026-05.")
@click.option("--received-yen", type=int, required=True, help="Fees received in the period (gross), whole yen.")
@click.option("--unpaid-yen", type=int, required=True, help="What was due and late (net), whole yen.")
@click.option("--paid", type=_DAY, required=True, help="Day of payment.")
@click.option("--received", type=_DAY, help="Day the claim was received, where the due date hangs on it.")
@click.option("--excluded", type=(_DAY, _DAY), multiple=True, help="First and last day that do not count (inspection).")
@click.option("--payable-by", type=_DAY, help="Day by which the creditor wants it.")
@click.option("--calendars", "calendars_file", type=_FILE, help="Exceptions of office and banks by date.")
def interest(
    file: Path,
    claim_id: str,
    of: str,
    received_yen: int,
    unpaid_yen: int,
    paid: datetime,
    received: datetime | None,
    excluded: tuple[tuple[datetime, datetime], ...],
    payable_by: datetime | None,
    calendars_file: Path | None,
) -> None:
    """Reckon late interest on one payment by a contract's terms.

    Example: sekisho settle interest deploy/contracts/000-operator.toml --claim fees --period 2026-05
    --received-yen 12345678 --unpaid-yen 7654321 --paid 2026-07-02
    """
    span = period(of)
    terms = read_contract(file).on(span.last)
    claim = terms.claim(claim_id)
    if claim.interest is None:
        raise click.UsageError(f"claim {claim_id} has no article on late interest / 遅延利息の定めがありません")
    calendars = STANDARD if calendars_file is None else read_calendars(calendars_file)
    made = cycle(claim.dates, span, calendars=calendars, received=None if received is None else received.date())
    due = made.of(Step.PAYMENT)
    if due is None:
        raise click.UsageError(
            "the due date hangs on the claim's receipt / 請求の受領日が必要です; give --received DAY"
        )
    late = late_interest(
        claim.interest,
        received_yen=received_yen,
        unpaid_yen=unpaid_yen,
        deadline=due.deadline,
        paid=paid.date(),
        concluded=terms.concluded,
        excluded=[Span(first=first.date(), last=last.date()) for first, last in excluded],
        payable_by=None if payable_by is None else payable_by.date(),
    )
    click.echo("\n".join(_interest(late)))


def _cycles(
    files: tuple[Path, ...], span: Period, calendars: Calendars, received: date | None
) -> Iterator[tuple[str, Cycle]]:
    if not files and span.kind is PeriodKind.MONTH:
        yield MODEL, cycle(MODEL_CYCLE, span, calendars=calendars, received=received)
    for file in files:
        contract = read_contract(file)
        for claim in contract.on(span.last).claims:
            if claim.period is span.kind:
                made = cycle(claim.dates, span, calendars=calendars, received=received)
                yield f"{contract.reference}: {claim.name_ja} / {claim.name_en}", made


def _text(each: StepDate) -> Iterator[str]:
    rule, due = each.rule, each.due
    name_ja, name_en = words.STEPS[each.step]
    when = "受領後 / on receipt" if due is None else words.day_ja(due.day)
    yield f"{when}  {name_ja} / {name_en}"
    yield f"    {words.rule_ja(rule)}  [{rule.clause}]"
    yield f"    {words.rule_en(rule)}"
    if due is not None and due.moved is not None:
        yield f"    {words.moved_ja(due)} / {words.moved_en(due)}"
        if due.deadline != due.day:
            yield f"    契約上の期限 / the contract's deadline: {words.day_ja(due.deadline)}"
    if rule.note_ja:
        yield f"    {rule.note_ja} / {rule.note_en}"


def _interest(late: LateInterest) -> Iterator[str]:
    rate = late.rate
    whole, rest = divmod(rate.basis_points, 100)
    yield f"期限 / deadline          {late.deadline}"
    yield f"支払日 / paid            {late.paid}, {late.late_days} days late, {late.days} of them count"
    yield f"率 / rate                {whole}.{rest:02d} % a year from {rate.valid_from} ({rate.source})"
    yield f"計算の基礎 / base        {late.base_yen:,} yen ({late.base.value}; {late.clause})"
    yield f"遅延利息 / interest      {late.interest_yen:,} yen"
    yield f"未払額による場合 / by the unpaid {late.unpaid_yen:,} yen: {late.unpaid_interest_yen:,} yen"
    if late.payable_by is not None:
        yield f"支払指定日 / payable by  {late.payable_by}"


def _period(span: Period) -> dict[str, str]:
    return {"text": span.text, "kind": span.kind.value, "first": str(span.first), "last": str(span.last)}


def _cycle(name: str, made: Cycle) -> dict[str, Any]:
    return {"name": name, "dates": [_date(each) for each in made.dates]}


def _date(each: StepDate) -> dict[str, str | None]:
    rule, due = each.rule, each.due
    name_ja, name_en = words.STEPS[each.step]
    return {
        "step": each.step.value,
        "name_ja": name_ja,
        "name_en": name_en,
        "day": None if due is None else str(due.day),
        "named": None if due is None else str(due.nominal),
        "deadline": None if due is None else str(due.deadline),
        "sense": rule.sense.value,
        "clause": rule.clause,
        "basis": Basis.CLAUSE.value if rule.turn is None else rule.turn.basis.value,
        "rule_ja": words.rule_ja(rule),
        "rule_en": words.rule_en(rule),
        "moved_ja": "" if due is None else words.moved_ja(due),
        "moved_en": "" if due is None else words.moved_en(due),
        "note_ja": rule.note_ja,
        "note_en": rule.note_en,
    }
