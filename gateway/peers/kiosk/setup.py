"""A kiosk's directory: made once, opened by the server and by each command.

    kiosk.toml   who it is, where its relay is, where the files are     print.journal   the print journal (journal)
    coins.journal   what the coin slot holds                            tray/           the user's paper (tray)

The one key a kiosk has on its disk is that of its line certificate; it signs the line's frames, the sessions of users
and erasures. A session's keys are never here.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from certs.contexts import LineFiles
from certs.errors import LineNameError
from certs.files import PUBLIC, write_whole
from certs.names import LineName
from gateway.line.dial import Target
from gateway.peers.kiosk.errors import SetupIncomplete
from gateway.peers.kiosk.settling import Stand
from gateway.peers.kiosk.sitting import es256
from gateway.peers.kit import KIT
from protocol.keys import Algorithm
from protocol.trust import Trust, TrustError, decode_trust

FILE_NAME: Final = "kiosk.toml"
JOURNAL: Final = "print.journal"
COINS: Final = "coins.journal"
TRAY: Final = "tray"
ROLE: Final = "relay"
NAMES: Final = "names.json"
"""Beside the bundles, where there is one: {"121002": ["千葉市", "Chiba City"]}."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """kiosk.toml. Paths are relative to the file.

    hours_ja, hours_en: the service's hours, shown on the first screen (000仕7-2). day_begins_hour: of the store's
    business day, in Japan.
    """

    operator: str
    kiosk: str
    store: str
    relay: str
    relay_host: str
    relay_port: int
    environment: str
    tls: str
    relay_trust: str
    municipalities: str
    cards: str
    page_port: int
    kits: list[str]
    day_begins_hour: int = 0
    hours_ja: str = "毎日6時30分から23時まで(12月29日から1月3日までと保守の日を除く)"
    hours_en: str = "6:30 to 23:00 every day, except 29 December to 3 January and days of maintenance"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A directory read: what the kiosk is made of. names: of municipalities, by code, Japanese and English."""

    directory: Path
    settings: Settings
    stand: Stand
    target: Target
    files: LineFiles
    relay_trust: Trust
    trusts: Mapping[str, Trust]
    names: Mapping[str, tuple[str, str]]
    key: ec.EllipticCurvePrivateKey

    @property
    def cards(self) -> Path:
        """The folder of cards."""
        return self.directory / self.settings.cards

    async def sign_line(self, content: bytes) -> tuple[Algorithm, str, bytes]:
        """gateway.line.dial.Sign: the certificate's key under the kiosk's own name."""
        return Algorithm.ES256, self.settings.kiosk, es256(self.key, content)


def make_kiosk(
    data: Path,
    *,
    operator: str,
    kiosk: str,
    store: str,
    tls: Path,
    relay_trust: Path,
    relay_host: str,
    relay_port: int,
    municipality_trusts: Path,
    cards: Path,
    environment: str,
    page_port: int,
    relay: str = "relay-1",
) -> None:
    """Make a kiosk's directory. `kiosk.toml` is written last.

    tls: the kiosk's certificate (profile line, of the operator's authority) with key, anchors and list. relay_trust:
    the relay's trust bundle. municipality_trusts: a directory of <code>.bundle. relay: the relay's line, of the same
    operator.
    Raises: SetupIncomplete.
    """
    if data.exists() and any(data.iterdir()):
        raise SetupIncomplete(f"{data} is not empty; choose another --data directory, or empty it and begin again")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    fields = {
        "operator": operator,
        "kiosk": kiosk,
        "store": store,
        "relay": relay,
        "relay_host": relay_host,
        "relay_port": relay_port,
        "environment": environment,
        "tls": _relative(tls, data),
        "relay_trust": _relative(relay_trust, data),
        "municipalities": _relative(municipality_trusts, data),
        "cards": _relative(cards, data),
        "page_port": page_port,
        "kits": [KIT],
    }
    text = "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in fields.items())
    head = "# A kiosk (マルチコピー機), made by `sekisho kiosk init`. Paths are relative to this file.\n"
    _open(data, text)
    write_whole(data / FILE_NAME, (head + text).encode(), mode=PUBLIC)


def open_kiosk(data: Path) -> Opened:
    """Read a kiosk's directory. Raises: SetupIncomplete naming file and remedy."""
    file = data / FILE_NAME
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SetupIncomplete(f"{file} does not exist; make it with `sekisho kiosk init --data {data}`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SetupIncomplete(f"{file}: {error}") from error
    return _open(data, text)


def _open(data: Path, text: str) -> Opened:
    try:
        settings = msgspec.convert(tomllib.loads(text), Settings)
        own, relay = LineName(settings.operator, settings.kiosk), LineName(settings.operator, settings.relay)
        files = LineFiles.in_directory(data / settings.tls)
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), password=None)
        relay_trust = decode_trust((data / settings.relay_trust).read_bytes())
        bundles = data / settings.municipalities
        trusts = {path.stem: decode_trust(path.read_bytes()) for path in sorted(bundles.glob("*.bundle"))}
        names = bundles / NAMES
        named = msgspec.json.decode(names.read_bytes(), type=dict[str, tuple[str, str]]) if names.exists() else {}
    except (LineNameError, TrustError, tomllib.TOMLDecodeError, msgspec.DecodeError, ValueError, OSError) as error:
        raise SetupIncomplete(f"{data / FILE_NAME}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SetupIncomplete(f"{files.key} is not the key of {files.certificate}; issue both with `sekisho pki issue`")
    if not trusts:
        raise SetupIncomplete(f"{bundles} holds no municipality's trust bundle; put <code>.bundle there")

    async def sign(content: bytes) -> bytes:
        return es256(key, content)

    stand = Stand(
        operator=settings.operator,
        kiosk=settings.kiosk,
        store=settings.store,
        certificate=certificate.public_bytes(Encoding.DER),
        sign=sign,
        day_begins_hour=settings.day_begins_hour,
    )
    target = Target(
        host=settings.relay_host,
        port=settings.relay_port,
        centre=relay,
        role=ROLE,
        environment=settings.environment,
        own=own,
    )
    return Opened(
        directory=data,
        settings=settings,
        stand=stand,
        target=target,
        files=files,
        relay_trust=relay_trust,
        trusts=trusts,
        names=named,
        key=key,
    )


def _relative(path: Path, data: Path) -> str:
    return os.path.relpath(path.resolve(), data.resolve())
