"""The texts of the files that a development centre begins with: configuration, the far end's line, directory."""

import base64
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from certs.names import CENTRE_PARTY
from gateway.app.configuration import Role
from gateway.app.setup_roles import ROLES as ROLE_SETUPS
from gateway.app.setup_roles import RoleSetup
from gateway.store.embedded import OWNER
from hsm.interface import KeyStore
from protocol.keys import Algorithm, Purpose


def line_toml(role: Role, port: int, environment: str) -> str:
    """The far end's line.toml (gateway.peers.line_file)."""
    own = ROLE_SETUPS[role]
    return f"""# {own.what} Paths are relative to this file.
own = "{own.far_end}"
centre = "{CENTRE_PARTY}/{role}"
host = "127.0.0.1"
port = {port}
role = "{role}"
environment = "{environment}"
tls = "tls"
trust = "trust.bundle"
keystore = "software:keystore.sekisho"
passphrase_file = "passphrase"
"""


def configuration_toml(
    *,
    role: Role,
    port: int,
    ops_port: int,
    workers: int,
    keystore: str,
    passphrase_file: str,
    dsns: dict[str, str] | None,
    environment: str,
) -> str:
    """sekisho.toml. keystore: URI of the key store; dsns: by role, of a database of one's own, or None."""
    database = 'embedded = "postgres" # or gateway_dsn, ops_dsn and owner_dsn of a PostgreSQL 15 or newer'
    if dsns is not None:
        names = {"gateway_dsn": "sekisho_gateway", "ops_dsn": "sekisho_ops", "owner_dsn": OWNER}
        database = "\n".join(f"{name} = {_toml_text(dsns[role])}" for name, role in names.items())
    return f"""# A development centre of role {role}, made by `sekisho init`. Paths are relative to this file.

[centre]
role = "{role}"
environment = "{environment}"
node = "node-1"

[database]
{database}

[keystore]
uri = {_toml_text(keystore)} # software:PATH or pkcs11:token=LABEL;module-path=PATH
passphrase_file = {_toml_text(passphrase_file)}

[line]
listen = "127.0.0.1:{port}"
tls = "tls"
workers = {workers} # 0: one a core

[ops]
listen = "127.0.0.1:{ops_port}"
metrics = "metrics"
{ROLE_SETUPS[role].tables}"""


def _toml_text(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return msgspec.json.encode(text).decode()


def directory_toml(own: RoleSetup, far: KeyStore) -> str:
    """The example directory with the far end's real key in it."""
    key = far.current(Purpose.LINE, time.time_ns() // 1000)
    since = datetime.fromtimestamp(key.not_before_us / 1e6, UTC)
    example = Path(__file__).with_name(own.example)
    text = example.read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        if line.startswith(f'id = "{own.example_key}"'):
            line = f'id = "{key.key_id}"'
        elif line.startswith("public_key = "):
            line = f'public_key = "{base64.b64encode(key.public_key).decode()}"'
        elif line.startswith("not_before = "):
            line = f"not_before = {since.isoformat()}"
        elif line.startswith("not_after = "):
            continue
        elif line.startswith("algorithm = "):
            line = f'algorithm = "{Algorithm(key.algorithm).name}"'
        lines.append(line)
    return "\n".join(lines) + "\n"
