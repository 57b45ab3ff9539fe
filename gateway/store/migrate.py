"""Bring a database's schema to the version of this program.

Theory: plain SQL files, `NNNN_name.sql`, found as package resources and applied in the order of their numbers, each
in a transaction of its own that also records its name and SHA-256 in `public.sekisho_migration`. An advisory lock,
held by the session, lets several processes start at once. A file once applied never changes: its digest is compared
at every run. There is no way down; a mistake is put right by the next file.

Runs on the host loop with a connection of its own, as the schema's owner, before any pool is opened.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Final

import asyncpg
import msgspec

from gateway.host import on_host
from gateway.store.errors import MigrationChanged, MigrationError, MigrationMissing, StoreUnavailable

LOCK_KEY: Final = 0x5345_4B49  # "SEKI"
CONNECT_S_MAX: Final = 10.0
SCRAM_ITERATIONS: Final = 4096  # PostgreSQL's own default
ROLES: Final = ("sekisho_gateway", "sekisho_ops")

_NAME: Final = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_RECORD_TABLE: Final = """
CREATE TABLE IF NOT EXISTS public.sekisho_migration (
    name       text PRIMARY KEY,
    sha256     bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


class Migration(msgspec.Struct, frozen=True):
    """One file: its name, which orders it, and its text."""

    name: str
    sql: str

    @property
    def sha256(self) -> bytes:
        """Digest of the text, as recorded."""
        return hashlib.sha256(self.sql.encode()).digest()


def packaged_migrations() -> list[Migration]:
    """The files of this program, in order. Raises: MigrationError for a name that is no `NNNN_name.sql`."""
    found = []
    for entry in resources.files("gateway.store.migrations").iterdir():
        if entry.name.endswith(".sql"):
            if not _NAME.fullmatch(entry.name):
                raise MigrationError(entry.name, "the name must read NNNN_name.sql")
            found.append(Migration(entry.name, entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.name)


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password, so that the password itself is never part of a statement.

    Shape: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, base64. The password must be ASCII (no SASLprep here).
    Source: RFC 5802 section 3, RFC 7677.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{text[0]}${text[1]}:{text[2]}"


async def migrate(
    dsn: str, *, passwords: Mapping[str, str] | None = None, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """Apply what is missing, then set the passwords of the roles named. Returns: the names applied now.

    dsn: of the schema's owner. passwords: role (one of ROLES) to ASCII password. migrations: for tests; the packaged
    ones otherwise.
    Raises: MigrationChanged, MigrationMissing, MigrationError (with the server's sentence), StoreUnavailable.
    Cancellation: between files nothing is lost; a file that was running is undone as a whole.
    """
    return await on_host(_migrate, dsn, passwords or {}, migrations)


def migrate_now(
    dsn: str, *, passwords: Mapping[str, str] | None = None, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """`migrate` for a caller without a loop: commands, and tests before their run starts."""
    return asyncio.run(_migrate(dsn, passwords or {}, migrations))


async def _migrate(dsn: str, passwords: Mapping[str, str], migrations: Sequence[Migration] | None) -> list[str]:
    known = list(packaged_migrations() if migrations is None else migrations)
    unknown_roles = sorted(set(passwords) - set(ROLES))
    if unknown_roles:
        raise MigrationError("passwords", f"no such role: {', '.join(unknown_roles)}")
    try:
        connection = await asyncpg.connect(dsn, timeout=CONNECT_S_MAX, server_settings={"application_name": "migrate"})
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise StoreUnavailable(f"cannot connect to migrate: {error}") from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await connection.execute(_RECORD_TABLE)
        applied = await _apply(connection, known)
        for role, password in passwords.items():
            # The verifier holds base64 and four signs, none of which ends a literal; ALTER ROLE takes no parameters.
            verifier = scram_verifier(password, secrets.token_bytes(16))
            await connection.execute(f"ALTER ROLE {role} PASSWORD '{verifier}'")
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise StoreUnavailable(f"the connection was lost while migrating: {error}") from error
    else:
        await connection.close(timeout=CONNECT_S_MAX)
        return applied
    finally:
        connection.terminate()  # ends the session, and with it the lock; nothing to do once closed


async def _apply(connection: Any, known: Sequence[Migration]) -> list[str]:
    recorded = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT * FROM public.sekisho_migration")}
    by_name = {migration.name: migration for migration in known}
    for name, sha256 in recorded.items():
        if name not in by_name:
            raise MigrationMissing(name)
        if by_name[name].sha256 != sha256:
            raise MigrationChanged(name)
    applied = []
    for migration in known:
        if migration.name in recorded:
            continue
        later = [name for name in recorded if name > migration.name]
        if later:
            raise MigrationError(migration.name, f"{later[0]} was applied already; give the file a higher number")
        try:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO public.sekisho_migration (name, sha256) VALUES ($1, $2)",
                    migration.name,
                    migration.sha256,
                )
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            raise MigrationError(migration.name, f"{error.sqlstate} {error}") from error
        applied.append(migration.name)
    return applied
