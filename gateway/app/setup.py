"""Making a development centre from nothing: PKI, keys, database, directory, what its role has, and one far end.

Everything lies in one directory:

    sekisho.toml       the configuration      tls/          the centre's certificate, key, anchors, CRL
    keystore.sekisho   the centre's keys      passphrase    opens them (0600)
    trust.bundle       for offline verifiers  directory.toml  who may do what
    pki/               the development CA     postgres/     the embedded server
    ministry/          the far end: line.toml, tls/, keystore.sekisho, passphrase, trust.bundle; for a certificate
                       centre operator/ (gateway.app.setup_roles)

With a token for the centre's keys there is no keystore.sekisho and no passphrase here: the configuration names the
token and the file with its PIN. It appears whole: `sekisho.toml` is written
last, and a directory without one is begun again.
"""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from certs.authority import DevelopmentAuthority
from certs.files import PRIVATE, PUBLIC, write_whole
from certs.names import CENTRE_PARTY, LineName
from certs.profiles import CENTRE, LINE
from gateway.app.configuration import FILE_NAME, Role
from gateway.app.setup_files import configuration_toml, directory_toml, line_toml
from gateway.app.setup_roles import ROLES as ROLE_SETUPS
from gateway.app.setup_roles import Progress, add_content, add_files, issue
from gateway.directory import toml
from gateway.directory.apply import Change, apply
from gateway.host import run_guest
from gateway.store.dsn import as_role
from gateway.store.embedded import OWNER, EmbeddedPostgres
from gateway.store.migrate import ROLES, migrate
from gateway.store.pool import open_database
from hsm.ceremony import SETS, KeySet, create_standard_keys, trust_of
from hsm.errors import StoreExists
from hsm.interface import KeyStore
from hsm.opening import create_keystore, is_token, open_keystore, passphrase_from_file
from hsm.software import SoftwareKeystore
from protocol.trust import encode_trust

CENTRE_ID: Final = "centre"
ENVIRONMENT: Final = "development"
SEED: Final = 20190401
"""Of the synthetic register: the day of the ministry agreement (002)."""
RESIDENTS_DEFAULT: Final = 20_000
RESIDENTS_MIN: Final = 100
VERSION_MIN: Final = 150_000
"""Of PostgreSQL, as server_version_num."""

Say = Callable[[str], None]


class SetupError(Exception):
    """The directory cannot be made; the sentence names the remedy."""


class TokenPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A PKCS#11 token for the centre's keys: its URI (hsm.opening), and the file with its PIN."""

    uri: str
    pin_file: Path


def is_made(data: Path) -> bool:
    """Whether a finished centre lies there."""
    return (data / FILE_NAME).is_file()


def make_centre(
    data: Path,
    *,
    port: int,
    ops_port: int,
    workers: int,
    residents: int,
    say: Say,
    progress: Progress,
    token: TokenPlace | None = None,
    owner_dsn: str | None = None,
    environment: str = ENVIRONMENT,
    role: Role = "inquiry",
    since_us: int | None = None,
) -> None:
    """Make a centre in `data`, with its keys in `token` and its tables in a database of one's own where given.

    since_us: from when its keys and its far end's are valid, for synthetic business of past days; from now otherwise.
    owner_dsn: an empty database of PostgreSQL 15 or newer, as a role that owns it and may create roles;
    sekisho_gateway and sekisho_ops are made there.
    Raises: SetupError; errors of the parts.
    """
    if is_made(data):
        raise SetupError(f"{data} holds a centre already; use it, or choose another --data directory")
    if data.exists() and any(data.iterdir()) and not (data / ".unfinished").exists():
        raise SetupError(f"{data} is not empty and holds no centre; choose another --data directory")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for child in data.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
        else:
            child.unlink()
    (data / ".unfinished").touch()
    now = datetime.now(UTC)
    now_us = time.time_ns() // 1000 if since_us is None else since_us
    own = ROLE_SETUPS[role]
    label = f"{now:%Y-%m}-{secrets.token_hex(2)}"

    say("development PKI and keystores")
    with _centre_keys(data, token, label, now_us) as centre_keys:
        authority = DevelopmentAuthority.create(data / "pki", name="Sekisho Development", now=now)
        authority.write_crl(now=now, days=30)
        issue(authority, data / "tls", CENTRE, LineName(CENTRE_PARTY, role), now, ("127.0.0.1", "localhost"))
        add_files(data, role, authority, now)
        far = data / own.far_directory
        far.mkdir(mode=0o700)
        issue(authority, far / "tls", LINE, own.far_end, now, ())
        far_keys = _keystore(far, own.far_end.party, "line", f"{own.far_end.party}-{label}", now_us)
        bundle = encode_trust(trust_of(centre_keys, role=role, environment=environment))
        write_whole(data / "trust.bundle", bundle, mode=PUBLIC)
        write_whole(far / "trust.bundle", bundle, mode=PUBLIC)
        write_whole(far / "line.toml", line_toml(role, port, environment).encode(), mode=PUBLIC)
        write_whole(data / "directory.toml", directory_toml(own, far_keys).encode(), mode=PUBLIC)

        say("database")
        with _database(data, owner_dsn) as (dsns, passwords):
            if owner_dsn is not None:
                run_guest(_require_empty, owner_dsn)
            if not run_guest(_fill, dsns[OWNER], passwords, data, centre_keys, role, residents, say, progress):
                raise KeyboardInterrupt  # a signal ended the filling; the directory is begun again next time
    configuration = configuration_toml(
        role=role,
        port=port,
        ops_port=ops_port,
        workers=workers,
        keystore="software:keystore.sekisho" if token is None else token.uri,
        passphrase_file="passphrase" if token is None else str(token.pin_file.absolute()),
        dsns=None if owner_dsn is None else dsns,
        environment=environment,
    )
    write_whole(data / FILE_NAME, configuration.encode(), mode=PRIVATE)
    (data / ".unfinished").unlink()


@contextmanager
def _database(data: Path, owner_dsn: str | None) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """DSN by role, and the passwords to be set: of the embedded server while the block runs, or of another."""
    if owner_dsn is not None:
        passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
        yield {OWNER: owner_dsn, **{role: as_role(owner_dsn, role, passwords[role]) for role in ROLES}}, passwords
        return
    with EmbeddedPostgres(data / "postgres") as server:
        yield {role: server.dsn(role) for role in (OWNER, *ROLES)}, {role: server.passwords[role] for role in ROLES}


async def _require_empty(dsn: str) -> None:
    """Whether a centre may be made there; one that stands must not be given other keys, nor its roles new passwords.

    Raises: SetupError, StoreError.
    """
    async with open_database(dsn, size=1, role="setup") as database:
        row = await database.fetchrow(
            "select current_setting('server_version_num')::int, pg_catalog.current_setting('server_encoding'),"
            " to_regclass('public.sekisho_migration') is not null,"
            " exists (select from pg_catalog.pg_roles where rolname = any($1::text[]))",
            list(ROLES),
        )
    if row is None:
        raise SetupError("the database does not say what it is")
    version, encoding, migrated, roles = row
    if version < VERSION_MIN:
        raise SetupError(f"the database is PostgreSQL {version // 10_000}; 15 or newer is needed")
    if encoding != "UTF8":
        raise SetupError(f"the database is encoded {encoding}; make one with `createdb --encoding=UTF8`")
    if migrated:
        raise SetupError("the database holds a centre, or an attempt at one; give an empty database")
    if roles:
        raise SetupError(
            f"the roles {' and '.join(ROLES)} stand already on that server: if no centre uses them, drop them, else"
            " give another server"
        )


async def _fill(
    dsn: str,
    passwords: dict[str, str],
    data: Path,
    keystore: KeyStore,
    role: Role,
    residents: int,
    say: Say,
    progress: Progress,
) -> bool:
    await migrate(dsn, passwords=passwords)
    async with open_database(dsn, size=2, role="setup") as database:
        await apply(
            database,
            toml.read(data / "directory.toml"),
            Change(
                asked_by="sekisho init",
                approved_by="development",
                reference=ROLE_SETUPS[role].reference,
                at_us=time.time_ns() // 1000,
            ),
        )
        await add_content(
            role, database, keystore, residents=residents, seed=SEED, now_us=_now_us, say=say, progress=progress
        )
    return True


@contextmanager
def _centre_keys(data: Path, token: TokenPlace | None, label: str, now_us: int) -> Iterator[KeyStore]:
    """The centre's store with its standard keys: a new file, or the token, closed afterwards."""
    if token is None:
        store: KeyStore = _keystore(data, CENTRE_ID, "centre", label, now_us)
    else:
        if not is_token(token.uri):
            raise SetupError(f"{token.uri}: not a token; without --keystore the keys are made in the directory")
        store = _token_keys(token, label, now_us)
    try:
        yield store
    finally:
        store.close()


def _token_keys(token: TokenPlace, label: str, now_us: int) -> KeyStore:
    """The token's key store: made now, or as a ceremony (or an attempt that did not end) left it.

    Raises: SetupError, HsmError.
    """

    def pin() -> str:
        return passphrase_from_file(token.pin_file)

    try:
        store = create_keystore(token.uri, pin, owner=CENTRE_ID)
    except StoreExists:
        store = open_keystore(token.uri, pin)
    try:
        _complete(store, token.uri, label, now_us)
    except BaseException:
        store.close()
        raise
    return store


def _complete(store: KeyStore, uri: str, label: str, now_us: int) -> None:
    """The standard keys in an empty store; another must have them. Raises: SetupError, HsmError."""
    held = {record.purpose for record in store.keys()}
    if not held and store.owner == CENTRE_ID:
        create_standard_keys(store, "centre", label=label, now_us=now_us)
        return
    able = store.capabilities().algorithms
    missing = [purpose.value for purpose, algorithm in SETS["centre"] if algorithm in able and purpose not in held]
    if store.owner != CENTRE_ID or missing:
        lacking = f" and no key for {', '.join(missing)}" if missing else ""
        raise SetupError(
            f"{uri} holds keys of {store.owner}{lacking}; use a token that holds none, or the keys that"
            f" `sekisho hsm init --set centre --owner {CENTRE_ID}` makes"
        )


def _keystore(directory: Path, owner: str, which: KeySet, label: str, now_us: int) -> SoftwareKeystore:
    passphrase = secrets.token_urlsafe(32)
    write_whole(directory / "passphrase", passphrase.encode() + b"\n", mode=PRIVATE)
    store = SoftwareKeystore.create(directory / "keystore.sekisho", passphrase, owner=owner)
    create_standard_keys(store, which, label=label, now_us=now_us)
    return store


def _now_us() -> int:
    return time.time_ns() // 1000
