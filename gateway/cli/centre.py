"""A centre opened for one command: its database as the schema's owner, its keystore, the keys of its history."""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import click

from gateway.app.configuration import Configuration, read_configuration
from gateway.app.year_keys import YearKeys
from gateway.cli.place import reached
from gateway.host import run_guest
from gateway.store.pool import Database, open_database
from gateway.store.provision import ProvisionStore
from hsm.interface import KeyStore
from hsm.opening import open_keystore, passphrase_from_file

T = TypeVar("T")
CONNECTIONS: Final = 2

dsn_option = click.option("--dsn", envvar="SEKISHO_DSN", show_envvar=True, help="Database, as the schema's owner.")
data_needed = click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory of the centre: its configuration and keys, and its database unless --dsn names it.",
)


class Centre:
    """What a command works with."""

    def __init__(self, database: Database, keystore: KeyStore, configuration: Configuration) -> None:
        self.database = database
        self.keystore = keystore
        self.configuration = configuration
        self.years = YearKeys(ProvisionStore(database), keystore, now_us)


def in_centre(
    data: Path, dsn: str | None, work: Callable[[Centre], Awaitable[T]], *, connections: int = CONNECTIONS
) -> T:
    """Do some work in the centre of a directory, running or not. Raises: ConfigurationError, HsmError, StoreError."""
    configuration = read_configuration(data)

    async def opened(database: Database) -> T:
        with _keystore(configuration) as keystore:
            return await work(Centre(database, keystore, configuration))

    with reached(dsn, data) as place:
        return with_database(place, opened, connections=connections)


def with_database(dsn: str, work: Callable[[Database], Awaitable[T]], *, connections: int = CONNECTIONS) -> T:
    """Do some work on a database, in a run of its own. Raises: StoreError."""

    async def connected() -> list[T]:
        async with open_database(dsn, size=connections, role="history", statement_ms=600_000) as database:
            return [await work(database)]

    result = run_guest(connected)
    if result is None:
        raise click.Abort
    return result[0]


def now_us() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


@contextmanager
def _keystore(configuration: Configuration) -> Iterator[KeyStore]:
    store = open_keystore(configuration.keystore_uri, lambda: passphrase_from_file(configuration.passphrase_file))
    try:
        yield store
    finally:
        store.close()
