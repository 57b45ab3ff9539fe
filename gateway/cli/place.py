"""Where a command finds its database: `--dsn`, or `--data DIR` of a centre, running or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.app.configuration import read_configuration
from gateway.store.embedded import OWNER, EmbeddedPostgres
from gateway.store.errors import ClusterBusy

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Directory of a centre, in place of --dsn; it may be running or not.",
)


@contextmanager
def reached(dsn: str | None, data: Path | None, *, role: str = OWNER) -> Iterator[str]:
    """The DSN to use: the one given, or that of a centre's database, which is started for as long as it is needed.

    Raises: click.UsageError, ConfigurationError, EmbeddedError.
    """
    if dsn is not None:
        yield dsn
        return
    if data is None:
        raise click.UsageError("name the database with --dsn, or the centre with --data DIR")
    configuration = read_configuration(data)
    if configuration.embedded is None:
        tables = configuration.database
        given = {OWNER: tables.owner_dsn, "sekisho_ops": tables.ops_dsn}.get(role, tables.gateway_dsn)
        if not given:
            raise click.ClickException(f"{configuration.path}: [database] has no DSN for {role}; give it with --dsn")
        yield given
        return
    server = EmbeddedPostgres(configuration.embedded)
    try:
        server.start()
    except ClusterBusy:
        yield server.running_dsn(role)
        return
    try:
        yield server.dsn(role)
    finally:
        server.stop()
