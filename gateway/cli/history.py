"""`sekisho history`: who received what of whom (提供状況): read, disclose, analyse, retire.

A resident is named by the 住民票コード, which is typed at a prompt or read from standard input. It is never an
argument: arguments stay in the shell's history and show in the list of processes.
"""

import datetime as dt
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from certs.files import PRIVATE, write_whole
from gateway.cli.centre import Centre, data_needed, dsn_option, in_centre, now_us
from gateway.cli.history_retirement import retire, verify_retirement
from gateway.directory import apply as directory
from gateway.directory.hours import jst_date
from gateway.inquiry import history
from gateway.inquiry.candidates import oversee
from gateway.inquiry.codes import code_is_valid
from gateway.inquiry.disclosure import as_html, as_text, disclosure_of
from gateway.inquiry.index import code_token
from gateway.inquiry.keys import load_keys
from gateway.inquiry.reading import Line, OfCase, OfParty, OfSubject, Period, Question, Reading, read
from gateway.store.provision_candidates import CandidateStore
from gateway.store.provision_reading import ROWS_MAX, AccessRow, ProvisionReader

_JST: Final = dt.timezone(dt.timedelta(hours=9), "JST")
_NAME_CHARS_MAX: Final = 100
_asked_by = click.option("--asked-by", required=True, help="Who reads; it is written down.")
_reference = click.option("--reference", required=True, help="For which request or audit; it is written down.")
_json = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_day = click.DateTime(formats=["%Y-%m-%d"])
_from = click.option("--from", "first", type=_day, help="First day, in Japan; five years back otherwise.")
_to = click.option("--to", "last", type=_day, help="Last day, in Japan; today otherwise.")


@click.group(name="history")
def command() -> None:
    """Who received what of whom, for what (提供状況); every reading is itself written down.

    The 住民票コード is asked for, or read from standard input; it is never given as an argument.

    \b
    Example:
      sekisho history list --data centre --party mlit --asked-by clerk-1 --reference audit-3
      sekisho history disclose --data centre --html report.html --asked-by clerk-1 --reference 2026-17
    """


command.add_command(retire)
command.add_command(verify_retirement)


@command.command("list")
@data_needed
@dsn_option
@click.option("--subject", "of_subject", is_flag=True, help="Of one resident; the code is asked for.")
@click.option("--case", "case", help="For one case reference.")
@click.option("--party", help="To one party.")
@_from
@_to
@_asked_by
@_reference
@_json
def list_(
    data: Path,
    dsn: str | None,
    *,
    of_subject: bool,
    case: str | None,
    party: str | None,
    first: dt.datetime | None,
    last: dt.datetime | None,
    asked_by: str,
    reference: str,
    as_json: bool,
) -> None:
    """List what was provided: of a resident, for a case, or to a party."""
    if of_subject + (case is not None) + (party is not None) != 1:
        raise click.UsageError("give one of --subject, --case and --party")
    period, reading = _period(first, last), _reading(asked_by, reference)
    code = _typed_code() if of_subject else None

    async def run(centre: Centre) -> list[Line]:
        if code is not None:
            return await _read(centre, await _subject(centre, code), period, reading)
        return await _read(centre, OfCase(case) if case is not None else OfParty(party or ""), period, reading)

    lines = in_centre(data, dsn, run)
    if as_json:
        click.echo(_json_text(lines))
        return
    for line in lines:
        notes = [*(["再回答 repeat"] if line.repeated else []), *(["未受領申告 disclaimed"] if line.disclaimed else [])]
        click.echo(
            f"{line.at}  {line.party}/{line.line}  {line.affair} {line.step_ja}  {line.staff}  {line.case}"
            f"  {line.outcome}  {line.given_ja}  {line.request_id}" + "".join(f"  {note}" for note in notes)
        )
    click.echo(f"{len(lines)} 件 / records")
    _say_if_full(lines)


@command.command()
@data_needed
@dsn_option
@_from
@_to
@_asked_by
@_reference
@_json
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to print.")
def disclose(
    data: Path,
    dsn: str | None,
    *,
    first: dt.datetime | None,
    last: dt.datetime | None,
    asked_by: str,
    reference: str,
    as_json: bool,
    page: Path | None,
) -> None:
    """Report to one resident when, to whom and for what their information was provided.

    The code is asked for. The report names no staff, no case and nothing that the register says of the resident.
    """
    period, reading = _period(first, last), _reading(asked_by, reference)
    code = _typed_code()

    async def run(centre: Centre) -> tuple[list[Line], dict[str, tuple[str, str]]]:
        parties = (await directory.load(centre.database)).document.parties
        lines = await _read(centre, await _subject(centre, code, disclosure=True), period, reading)
        return lines, {party.id: (party.name_ja, party.name_en) for party in parties}

    lines, names = in_centre(data, dsn, run)
    made_at = dt.datetime.now(_JST).isoformat(sep=" ", timespec="minutes")
    report = disclosure_of(lines, names=names, period=period, reference=reference, made_at=made_at)
    if page is not None:
        write_whole(page, as_html(report).encode(), mode=PRIVATE)
        click.echo(f"{page}: {report.count} 件 / records", err=True)
    if as_json:
        click.echo(_json_text(report))
    elif page is None:
        click.echo(as_text(report), nl=False)
    _say_if_full(lines)


@command.command()
@data_needed
@dsn_option
@click.option("--from", "first", type=_day, help="First day, in Japan; the first of this month otherwise.")
@_to
@_asked_by
@_reference
@_json
def analyse(
    data: Path,
    dsn: str | None,
    *,
    first: dt.datetime | None,
    last: dt.datetime | None,
    asked_by: str,
    reference: str,
    as_json: bool,
) -> None:
    """Look for candidates for an incident in these days and their months, and show the open ones."""
    until = last.date() if last else jst_date(now_us())
    period = _ordered(first.date() if first else until.replace(day=1), until)
    reading = _reading(asked_by, reference)

    async def run(centre: Centre) -> tuple[int, list[Any]]:
        await history.project_all(centre.database, centre.years.existing)
        holidays = (await directory.load(centre.database)).holidays
        thresholds = centre.configuration.history.candidates
        _, new = await oversee(
            centre.database, period, thresholds=thresholds, holidays=holidays, found_us=reading.at_us
        )
        still_open = await CandidateStore(centre.database).open_ones()
        await ProvisionReader(centre.database).log_access(
            AccessRow(reading.at_us, "analysis", asked_by, reference, "", None, len(still_open))
        )
        return new, still_open

    new, still_open = in_centre(data, dsn, run)
    if as_json:
        click.echo(_json_text(still_open))
        return
    for each in still_open:
        click.echo(f"{each.id}  {each.window_on}  {each.rule}  {each.subject}  {each.count} (>= {each.threshold})")
    click.echo(f"{len(still_open)} 件未了 / open, {new} 件新規 / new")


@command.command()
@click.argument("number", type=int)
@data_needed
@dsn_option
@click.option("--closed-by", required=True, help="Who looked into it.")
@click.option("--finding", required=True, help="What it was. Name no resident here.")
def close(number: int, data: Path, dsn: str | None, *, closed_by: str, finding: str) -> None:
    """Close candidate NUMBER with what was found out."""

    async def run(centre: Centre) -> bool:
        store = CandidateStore(centre.database)
        return await store.close(number, closed_by=_named(closed_by), finding=_named(finding), at_us=now_us())

    if not in_centre(data, dsn, run):
        raise click.ClickException(f"there is no open candidate {number}")
    click.echo(f"{number} 完了 / closed")


@command.command()
@data_needed
@dsn_option
@click.option("--rebuild", "anew", is_flag=True, help="Forget the rows and begin again.")
def project(data: Path, dsn: str | None, *, anew: bool) -> None:
    """Fill the rows people search from what stands beside the blocks."""

    async def run(centre: Centre) -> int:
        if anew:
            return await history.rebuild(centre.database, centre.years.existing)
        return await history.project_all(centre.database, centre.years.existing)

    click.echo(f"{in_centre(data, dsn, run)} batches projected")


def _typed_code() -> str:
    """The 住民票コード, typed unseen or from standard input; an error does not repeat it."""
    if sys.stdin.isatty():
        code: str = click.prompt("住民票コード / resident code", hide_input=True, err=True)
    else:
        code = sys.stdin.readline(64)
    code = code.strip()
    if not code_is_valid(code):
        raise click.ClickException("住民票コード11桁を確認してください / that is not a 住民票コード of 11 digits")
    return code


def _period(first: dt.datetime | None, last: dt.datetime | None) -> Period:
    until = last.date() if last else jst_date(now_us())
    return _ordered(first.date() if first else dt.date(until.year - 5, 1, 1), until)


def _ordered(first: dt.date, last: dt.date) -> Period:
    if last < first:
        raise click.UsageError("--to is before --from")
    return Period(first, last)


def _reading(asked_by: str, reference: str) -> Reading:
    return Reading(asked_by=_named(asked_by), reference=_named(reference), at_us=now_us())


def _named(text: str) -> str:
    """A name or reference that is written down. A 住民票コード does not belong into it."""
    if not text.strip() or len(text) > _NAME_CHARS_MAX or not text.isprintable() or code_is_valid(text.strip()):
        raise click.UsageError(f"a name, reference or finding is 1 to {_NAME_CHARS_MAX} printable characters, no code")
    return text.strip()


def _say_if_full(lines: list[Line]) -> None:
    if len(lines) == ROWS_MAX:
        click.echo(f"{ROWS_MAX} records are shown; there may be more: give a shorter period", err=True)


def _json_text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode()


async def _read(centre: Centre, question: Question, period: Period, reading: Reading) -> list[Line]:
    """Bring the rows up to date, then read them under every year's keys and write down who did."""
    await history.project_all(centre.database, centre.years.existing)
    return await read(centre.database, await centre.years.known(), question, period, reading)


async def _subject(centre: Centre, code: str, *, disclosure: bool = False) -> OfSubject:
    """The resident who has, or once had, a code; the record ids are the register's."""
    index_key = (await load_keys(centre.database, centre.keystore)).index_key
    found = await ProvisionReader(centre.database).record_ids(code_token(index_key, code))
    if not found:
        click.echo("該当者が台帳にありません / the register has nobody of this code", err=True)
    return OfSubject(tuple(found), disclosure)
