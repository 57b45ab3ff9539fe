"""`sekisho database`: the schema of a centre's PostgreSQL."""

from pathlib import Path

import click

from gateway.cli.place import data_option, reached
from gateway.store.migrate import migrate_now


@click.group(name="database")
def command() -> None:
    """The schema of a centre's database."""


@command.command()
@click.option("--dsn", envvar="SEKISHO_OWNER_DSN", show_envvar=True, help="Database, as the schema's owner.")
@data_option
def migrate(dsn: str | None, data: Path | None) -> None:
    """Bring the schema to this version's; what was applied already is not applied again.

    Stop the centre before. Passwords of roles are left as they are.
    """
    with reached(dsn, data) as place:
        applied = migrate_now(place)
    for name in applied:
        click.echo(f"applied {name}")
    click.echo("the schema is this version's")
