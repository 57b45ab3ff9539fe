"""`sekisho history retire` and `verify-retirement`: the end of a year of the provision history."""

from pathlib import Path

import click

from certs.files import PRIVATE, write_whole
from certs.names import CENTRE_PARTY
from gateway.app.configuration import read_configuration
from gateway.app.keys import signer
from gateway.cli.centre import Centre, data_needed, dsn_option, in_centre, now_us, with_database
from gateway.cli.place import data_option, reached
from gateway.directory.hours import jst_date
from gateway.inquiry import retirement
from gateway.store.pool import Database
from gateway.store.provision_retirement import RetirementStore
from protocol.keys import Purpose
from protocol.trust import BUNDLE_BYTES_MAX, TrustError, decode_trust


@click.command()
@data_needed
@dsn_option
@click.option("--asked-by", required=True, help="Who asks for it.")
@click.option("--approved-by", required=True, help="Who approves it; another person.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Directory for the signed statements; the current one otherwise.",
)
def retire(data: Path, dsn: str | None, *, asked_by: str, approved_by: str, out: Path) -> None:
    """Destroy what is past its retention: keys, batches and rows, year by year.

    Writes a signed statement for each year, retirement-YEAR.json. What is destroyed cannot be had back.
    """
    today = jst_date(now_us())

    async def run(centre: Centre) -> list[retirement.SignedStatement]:
        rules = centre.configuration.history.retention
        done = []
        for year in await retirement.years_due(centre.database, rules, today):
            done.append(
                await retirement.retire(
                    centre.database,
                    year,
                    order=retirement.Order(asked_by=asked_by, approved_by=approved_by, at_us=now_us()),
                    rules=rules,
                    today=today,
                    origin=f"sekisho/{CENTRE_PARTY}/{centre.configuration.centre.role}",
                    sign=signer(centre.keystore, Purpose.CHECKPOINT, now_us),
                )
            )
            write_whole(out / f"retirement-{year}.json", retirement.encode_statement(done[-1]), mode=PRIVATE)
        if done:
            await RetirementStore(centre.database).rewrite()
        return done

    for signed in in_centre(data, dsn, run):
        said = signed.statement
        click.echo(
            f"{said.year}: {said.records} records in {said.batches} batches destroyed; retirement-{said.year}.json"
        )
    click.echo("保存期間を過ぎたものは残っていません / nothing past its retention is left")


@click.command("verify-retirement")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trust", "bundle", type=click.Path(path_type=Path, dir_okay=False), help="Trust bundle; --data's else.")
@dsn_option
@data_option
def verify_retirement(file: Path, bundle: Path | None, dsn: str | None, data: Path | None) -> None:
    """Check a retirement statement offline; with --data or --dsn also that nothing of its year is left there."""
    if bundle is None:
        if data is None:
            raise click.UsageError("name the centre's trust bundle with --trust, or the centre with --data DIR")
        bundle = read_configuration(data).trust_bundle
    try:
        trust = decode_trust(_file(bundle, BUNDLE_BYTES_MAX))
    except TrustError as error:
        raise click.ClickException(f"--trust {bundle}: {error}") from error
    statement = retirement.verify_statement(_file(file, retirement.STATEMENT_BYTES_MAX), trust)
    if dsn is not None or data is not None:
        with reached(dsn, data) as place:
            problem = with_database(place, lambda database: _problem(database, statement))
        if problem:
            raise click.ClickException(f"{file} is signed, but {problem}")
    click.echo(
        f"{statement.year} ({statement.first} - {statement.last}): {statement.records} records in {statement.batches}"
        f" batches were destroyed; asked by {statement.asked_by}, approved by {statement.approved_by}"
    )
    click.echo(
        "署名は正当です / the centre signed this" + ("" if dsn is None and data is None else "; nothing is left")
    )


async def _problem(database: Database, statement: retirement.Statement) -> str:
    return retirement.contradiction(statement, await RetirementStore(database).remains(statement.year))


def _file(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {error.strerror}") from error
