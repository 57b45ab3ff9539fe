"""A relay's directory: made once, opened by the server and by each command.

    relay.toml      operator, line file, TLS directory, ports     relay.sqlite3   what the relay keeps (store)
    trust.bundle    what kiosks are given: the relay's line key   proofs/         the book of proofs (filing)

The relay signs with the key of its dedicated line; its certificate towards the kiosks is of the operator's own
authority.
"""

import os
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.contexts import LineFiles
from certs.errors import LineNameError
from certs.files import PUBLIC, write_whole
from certs.names import LineName
from gateway.peers.line_file import Dialling, read_line_file
from gateway.peers.relay import registry
from gateway.peers.relay.errors import SetupIncomplete
from gateway.peers.relay.policy import Kiosk, spki_of
from gateway.peers.relay.store import Store, create_store, open_store
from hsm.ceremony import trust_of
from protocol.keys import Algorithm, KeysError, PublicKey, Purpose
from protocol.trust import encode_trust

FILE_NAME: Final = "relay.toml"
TRUST_NAME: Final = "trust.bundle"
ROLE: Final = "relay"
IN_DOUBT_AFTER_S: Final = 900
STORE_CHARS_MAX: Final = 40
STORE_NAME_CHARS_MAX: Final = 100


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """relay.toml. Paths are relative to the file; in_doubt_after_s: a deposit older than this without an outcome."""

    operator: str
    line: str
    tls: str
    environment: str
    port: int
    page_port: int
    host: str = "127.0.0.1"
    page_host: str = "127.0.0.1"
    in_doubt_after_s: int = IN_DOUBT_AFTER_S
    kiosks_max: int = 4096


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A directory opened: settings, the line to the centre, TLS files towards the kiosks, and the store."""

    directory: Path
    settings: Settings
    dialling: Dialling
    tls: LineFiles
    store: Store


def now_us() -> int:
    """The clock of the relay."""
    return time.time_ns() // 1000


def make_relay(
    data: Path,
    *,
    operator: str,
    line_file: Path,
    tls: Path,
    port: int,
    page_port: int,
    environment: str,
    now_us: int,
    host: str = "127.0.0.1",
) -> None:
    """Make the directory of a relay. `relay.toml` is written last.

    line_file: of the dedicated line, or its directory; tls: the relay's certificate (profile HOST) of the operator's
    authority, with key, anchors and list. Raises: SetupIncomplete, LineFileError, HsmError.
    """
    if data.exists() and any(data.iterdir()):
        raise SetupIncomplete(f"{data} is not empty; choose another --data directory, or empty it and begin again")
    dialling = read_line_file(line_file)
    if dialling.target.own.party != operator:
        raise SetupIncomplete(f"the line file is of party {dialling.target.own.party}, not of {operator}")
    if not LineFiles.in_directory(tls).certificate.is_file():
        raise SetupIncomplete(f"{tls} has no certificate.pem; issue one with the profile host and name it with --tls")
    dialling.keystore.current(Purpose.LINE, now_us)  # no relay without a key that signs
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    bundle = encode_trust(trust_of(dialling.keystore, role=ROLE, environment=environment))
    write_whole(data / TRUST_NAME, bundle, mode=PUBLIC)
    create_store(data)
    fields = {
        "operator": operator,
        "line": os.path.relpath(line_file.resolve(), data.resolve()),
        "tls": os.path.relpath(tls.resolve(), data.resolve()),
        "environment": environment,
        "host": host,
        "port": port,
        "page_port": page_port,
        "in_doubt_after_s": IN_DOUBT_AFTER_S,
    }
    head = "# An EC centre's relay, made by `sekisho relay init`. Paths are relative to this file.\n"
    lines = "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in fields.items())
    write_whole(data / FILE_NAME, (head + lines).encode(), mode=PUBLIC)


def add_kiosk(data: Path, kiosk: str, store: str, store_name: str, certificate_pem: bytes) -> None:
    """Register a kiosk by its certificate, or renew what is known of it; a relay that serves knows it at once.

    Raises: SetupIncomplete naming the field.
    """
    settings = read_settings(data)
    try:
        name = LineName(settings.operator, kiosk)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (LineNameError, ValueError) as error:
        raise SetupIncomplete(f"kiosk {kiosk!r}: {error}") from error
    der = certificate.public_bytes(Encoding.DER)
    spki = spki_of(der)
    try:
        PublicKey(Algorithm.ES256, spki or b"")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        named = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (KeysError, x509.ExtensionNotFound, ValueError) as error:
        raise SetupIncomplete(f"the certificate of {kiosk} is no line certificate: {error}") from error
    if named != [name.uri] or spki is None:
        raise SetupIncomplete(
            f"the certificate names {', '.join(named) or 'nobody'}, not {name.uri}; issue it for {name}"
        )
    if not 0 < len(store) <= STORE_CHARS_MAX or not 0 < len(store_name) <= STORE_NAME_CHARS_MAX:
        raise SetupIncomplete(f"a store has an id of 1 to {STORE_CHARS_MAX} characters, and a name")
    with open_store(data) as opened, opened.transaction():
        who = Kiosk(kiosk=kiosk, store=store, store_name=store_name, spki=spki)
        registry.add(opened, who, certificate=der, now_us=now_us())


def read_settings(data: Path) -> Settings:
    """relay.toml of a directory. Raises: SetupIncomplete naming file and field."""
    file = data / FILE_NAME
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError as error:
        raise SetupIncomplete(f"{file} does not exist; make it with `sekisho relay init --data {data}`") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SetupIncomplete(f"{file}: {error}") from error


@contextmanager
def opened_relay(data: Path, *, centre_port: int | None = None) -> Iterator[Opened]:
    """Open the directory. `centre_port` overrides the line file's. Raises: SetupIncomplete, LineFileError, HsmError."""
    settings = read_settings(data)
    dialling = read_line_file(data / settings.line, port=centre_port)
    with open_store(data) as store:
        tls = LineFiles.in_directory(data / settings.tls)
        yield Opened(directory=data, settings=settings, dialling=dialling, tls=tls, store=store)
