"""A PostgreSQL for the tests: one embedded server a run, one fresh migrated database a test."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg

from gateway.store.embedded import OWNER, EmbeddedPostgres
from gateway.store.migrate import ROLES, migrate_now

TEMPLATE = "sekisho_template"


@dataclass(frozen=True)
class DatabaseDsn:
    """The ways into one database: as the schema's owner, as the workers, as the ops process."""

    name: str
    owner: str
    gateway: str
    ops: str


class Databases:
    """Makes migrated databases on a running server by copying a template."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._numbers = count(1)
        self._owner(f"CREATE DATABASE {TEMPLATE}")
        passwords = {role: server.passwords[role] for role in ROLES}
        migrate_now(server.dsn(database=TEMPLATE), passwords=passwords)

    @contextmanager
    def fresh(self) -> Iterator[DatabaseDsn]:
        """A database with the whole schema and nothing in it; dropped at the end, whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        # A copy takes the content of its template, not the rights on the database itself.
        rights = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC; GRANT CONNECT ON DATABASE {name} TO {', '.join(ROLES)}"
        self._owner(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}", rights)
        try:
            yield self._dsn(name)
        finally:
            self._owner(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty(self) -> Iterator[DatabaseDsn]:
        """A database that no migration has touched; only the owner may enter."""
        name = f"empty_{next(self._numbers)}"
        self._owner(f"CREATE DATABASE {name}")
        try:
            yield self._dsn(name)
        finally:
            self._owner(f"DROP DATABASE {name} WITH (FORCE)")

    def _dsn(self, name: str) -> DatabaseDsn:
        owner, gateway, ops = (self.server.dsn(user, database=name) for user in (OWNER, *ROLES))
        return DatabaseDsn(name=name, owner=owner, gateway=gateway, ops=ops)

    def _owner(self, *statements: str) -> None:
        asyncio.run(self._execute(statements))

    async def _execute(self, statements: tuple[str, ...]) -> None:
        connection = await asyncpg.connect(self.server.dsn(database="postgres"))
        try:
            for sql in statements:
                await connection.execute(sql)
        finally:
            await connection.close()


@contextmanager
def databases(directory: Path) -> Iterator[Databases]:
    """Start a server in `directory` for the whole run. fsync is off: these tests end processes, not the machine."""
    with EmbeddedPostgres(directory, settings={"fsync": "off", "shared_buffers": "64MB"}) as server:
        yield Databases(server)
