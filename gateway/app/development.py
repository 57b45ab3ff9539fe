"""A whole certificate service on one machine, for development: everything synthetic, everything in one directory.

    centre/                  the certificate centre         jpki/             the test authority of the cards
    operator/pki, line       its own authority; its line    operator/relay    the EC centre's relay
    operator/kiosks/<name>   kiosks                         municipalities/<code>   the issuing servers
    trusts/<code>.bundle     what kiosks and verifiers are given of each municipality

The demo, the bench and the tests of the whole stand on this; gateway.app.development_running runs it.
"""

import base64
import contextlib
import hashlib
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.authentication import SERIAL_BYTES
from certs.authority import DevelopmentAuthority
from certs.files import PRIVATE, PUBLIC, write_whole
from certs.names import LineName
from certs.profiles import HOST, LINE, Profile
from gateway.app.setup import ENVIRONMENT, apply_directory, make_certificate_centre
from gateway.peers.jpki.authority import load_signer, make_jpki, revoke
from gateway.peers.jpki.cards import SimulatedCard, issue_card
from gateway.peers.kiosk.setup import make_kiosk
from gateway.peers.municipality.setup import make_municipality, register_card
from gateway.peers.relay.setup import add_kiosk, make_relay
from hsm.ceremony import create_standard_keys
from hsm.software import SoftwareKeystore
from protocol.certificates import CardType
from protocol.keys import Purpose

OPERATOR: Final = "cvs-dev"
RELAY: Final = LineName(OPERATOR, "relay-1")
PIN: Final = "1234"
RESIDENTS: Final = 200
SEED: Final = 20160420
"""Of the synthetic residents of the municipalities."""
FILE_NAME: Final = "service.json"
HOSTS: Final = ("127.0.0.1", "localhost")
DAYS: Final = 365

Say = Callable[[str], None]


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """One municipality of the service."""

    code: str
    party: str
    name_ja: str
    name_en: str


TOWNS: Final = (
    Town(code="121002", party="chiba", name_ja="千葉市(開発用データ)", name_en="Chiba City (development data)"),
    Town(code="162027", party="takaoka", name_ja="高岡市(開発用データ)", name_en="Takaoka City (development data)"),
)


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything listens, on 127.0.0.1."""

    line: int
    ops: int
    cards: int
    towns: dict[str, int]
    relay: int
    relay_page: int
    kiosk_page: int


def is_made(data: Path) -> bool:
    """Whether a finished service lies there."""
    return (data / FILE_NAME).is_file()


def read_ports(data: Path) -> Ports:
    """Where a service that was made listens."""
    return msgspec.json.decode((data / FILE_NAME).read_bytes(), type=Ports)


def make_service(
    data: Path,
    *,
    say: Say,
    workers: int = 0,
    kiosks: int = 1,
    cards: int = 10,
    environment: str = ENVIRONMENT,
    residents: int = RESIDENTS,
) -> None:
    """Make the whole service. cards: residents of each municipality that get one, the test cases first.

    Raises: errors of the parts.
    """
    now = datetime.now(UTC)
    now_us = time.time_ns() // 1000
    ports = _free_ports()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)

    say("test authority of the cards 試験用認証局")
    jpki = data / "jpki"
    make_jpki(jpki, now=now, responder=f"http://127.0.0.1:{ports.cards}/")

    say("certificate centre 証明書交付センター")
    centre = data / "centre"
    make_certificate_centre(
        centre,
        port=ports.line,
        ops_port=ports.ops,
        workers=workers,
        environment=environment,
        card_anchors=jpki / "anchors.pem",
        card_crl=jpki / "crl.der",
        say=say,
    )
    authority = DevelopmentAuthority.open(centre / "pki")

    say("operator and relay コンビニ事業者")
    operator = DevelopmentAuthority.create(data / "operator" / "pki", name="Sekisho Development Operator", now=now)
    operator.write_crl(now=now, days=30)
    line = data / "operator" / "line"
    key = _make_line(line, authority, centre / "trust.bundle", port=ports.line, environment=environment, now=now)
    anchors = data / "operator" / "kiosks.pem"
    write_whole(anchors, operator.anchors_pem, mode=PUBLIC)
    relay = data / "operator" / "relay"
    relay_tls = data / "operator" / "relay-tls"
    _issue(operator, relay_tls, HOST, RELAY, now, HOSTS)
    make_relay(
        relay,
        operator=OPERATOR,
        line_file=line,
        tls=relay_tls,
        port=ports.relay,
        page_port=ports.relay_page,
        environment=environment,
        now_us=now_us,
    )

    trusts = data / "trusts"
    trusts.mkdir(mode=0o700)
    for town in TOWNS:
        say(f"municipality {town.name_ja}")
        place = data / "municipalities" / town.code
        tls = data / "municipalities" / f"{town.code}-tls"
        place.parent.mkdir(mode=0o700, exist_ok=True)
        _issue(authority, tls, HOST, LineName(town.party, "issue"), now, HOSTS)
        make_municipality(
            place,
            code=town.code,
            party=town.party,
            name_ja=town.name_ja,
            name_en=town.name_en,
            tls=tls,
            centre_trust=centre / "trust.bundle",
            kiosk_anchors=anchors,
            card_anchors=jpki / "anchors.pem",
            environment=environment,
            port=ports.towns[town.code],
            residents=residents,
            seed=SEED,
            now_us=now_us,
            card_crl=jpki / "crl.der",
        )
        write_whole(trusts / f"{town.code}.bundle", (place / "trust.bundle").read_bytes(), mode=PUBLIC)
        for number in range(cards):
            algorithm: Literal["rsa2048", "p384"] = "rsa2048" if number == 0 else "p384"
            card = issue_card(
                jpki, holder=f"{town.party}-{number}", algorithm=algorithm, pin=PIN, now=now, days=5 * DAYS
            )
            register_card(place, card_key(jpki, card), number)
    _make_bad_cards(jpki, now)

    say("directory and kiosks")
    directory = centre / "directory.toml"
    write_whole(directory, _directory_toml(directory, key, ports, anchors, trusts).encode(), mode=PUBLIC)
    apply_directory(centre, reference="dev-service")
    for number in range(1, kiosks + 1):
        add_development_kiosk(data, f"kiosk-{number}", operator=operator, ports=ports, environment=environment)
    write_whole(data / FILE_NAME, msgspec.json.encode(ports), mode=PUBLIC)


def add_development_kiosk(
    data: Path, name: str, *, operator: DevelopmentAuthority, ports: Ports, environment: str = ENVIRONMENT
) -> Path:
    """One more kiosk with its certificate, known to the relay. Returns: its directory."""
    kiosks = data / "operator" / "kiosks"
    kiosks.mkdir(mode=0o700, exist_ok=True)
    tls = kiosks / f"{name}-tls"
    _issue(operator, tls, LINE, LineName(OPERATOR, name), datetime.now(UTC), ())
    store, place = f"store-{name}", f"関所ストア {name}(開発用)"
    add_kiosk(data / "operator" / "relay", name, store, place, (tls / "certificate.pem").read_bytes())
    make_kiosk(
        kiosks / name,
        operator=OPERATOR,
        kiosk=name,
        store=store,
        tls=tls,
        relay_trust=data / "operator" / "relay" / "trust.bundle",
        relay_host="127.0.0.1",
        relay_port=ports.relay,
        municipality_trusts=data / "trusts",
        cards=data / "jpki" / "cards",
        environment=environment,
        page_port=ports.kiosk_page,
    )
    return kiosks / name


def card_key(jpki: Path, card: Path) -> bytes:
    """What a municipality knows a card by (certs.authentication.Card.key)."""
    issuer = load_signer(jpki, "issuing").certificate.public_key()
    spki = issuer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = x509.load_der_x509_certificate(SimulatedCard.load(card).certificate)
    return hashlib.sha256(spki).digest() + certificate.serial_number.to_bytes(SERIAL_BYTES, "big")


def _make_bad_cards(jpki: Path, now: datetime) -> None:
    """Cards that are refused, each for its own cause."""
    revoked = issue_card(jpki, holder="revoked", algorithm="p384", pin=PIN, now=now, days=DAYS)
    serial = x509.load_der_x509_certificate(SimulatedCard.load(revoked).certificate).serial_number
    revoke(jpki, serial, "superseded", now)
    issue_card(jpki, holder="expired", algorithm="p384", pin=PIN, now=now - timedelta(days=DAYS), days=1)
    issue_card(jpki, holder="damaged", algorithm="p384", pin=PIN, now=now, days=DAYS, damaged=True)
    issue_card(jpki, holder="juki", algorithm="rsa2048", pin=PIN, now=now, days=DAYS, card_type=CardType.RESIDENT_CARD)


def _make_line(
    line: Path, authority: DevelopmentAuthority, trust: Path, *, port: int, environment: str, now: datetime
) -> tuple[str, bytes, datetime]:
    """The operator's end of the dedicated line. Returns: key id, SPKI, and from when the key is valid."""
    line.mkdir(mode=0o700)
    _issue(authority, line / "tls", LINE, RELAY, now, ())
    write_whole(line / "trust.bundle", trust.read_bytes(), mode=PUBLIC)
    passphrase = secrets.token_urlsafe(32)
    write_whole(line / "passphrase", passphrase.encode() + b"\n", mode=PRIVATE)
    store = SoftwareKeystore.create(line / "keystore.sekisho", passphrase, owner=OPERATOR)
    now_us = time.time_ns() // 1000
    create_standard_keys(store, "line", label=f"{OPERATOR}-1", now_us=now_us)
    record = store.current(Purpose.LINE, now_us)
    store.close()
    text = f"""# The operator's dedicated line to the certificate centre. Paths are relative to this file.
own = "{RELAY}"
centre = "centre/certificate"
host = "127.0.0.1"
port = {port}
role = "certificate"
environment = "{environment}"
tls = "tls"
trust = "trust.bundle"
keystore = "software:keystore.sekisho"
passphrase_file = "passphrase"
"""
    write_whole(line / "line.toml", text.encode(), mode=PUBLIC)
    return record.key_id, record.public_key, datetime.fromtimestamp(record.not_before_us / 1e6, UTC)


def _issue(
    authority: DevelopmentAuthority,
    out: Path,
    profile: Profile,
    name: LineName,
    now: datetime,
    hosts: Sequence[str],
) -> None:
    out.mkdir(mode=0o700, parents=True)
    issued = authority.issue(profile, name, now=now, hosts=hosts)
    write_whole(out / "certificate.pem", issued.certificate_pem, mode=PUBLIC)
    write_whole(out / "key.pem", issued.key_pem, mode=PRIVATE)
    write_whole(out / "anchors.pem", authority.anchors_pem, mode=PUBLIC)
    write_whole(out / "crl.pem", (authority.directory / "crl.pem").read_bytes(), mode=PUBLIC)


def _directory_toml(example: Path, key: tuple[str, bytes, datetime], ports: Ports, anchors: Path, trusts: Path) -> str:
    """The example directory with this service's keys, ports and bundles; open at all hours but for 戸籍."""
    key_id, public_key, since = key
    lines = []
    code = ""
    for line in example.read_text(encoding="utf-8").splitlines():
        if line.startswith('code = "'):
            code = line.split('"')[1]
        if line.startswith('id = "cvs-dev-relay-1-2026"'):
            line = f'id = "{key_id}"'
        elif line.startswith("public_key = "):
            line = f'public_key = "{base64.b64encode(public_key).decode()}"'
        elif line.startswith("not_before = "):
            line = f"not_before = {since.isoformat()}"
        elif line.startswith(("not_after = ", "closed = ", "exception = ")):
            continue
        elif line.startswith("# kiosk_anchor_files"):
            line = f"kiosk_anchor_files = [{msgspec.json.encode(str(anchors.absolute())).decode()}]"
        elif line.startswith("# trust_file"):
            line = f"trust_file = {msgspec.json.encode(str((trusts / f'{code}.bundle').absolute())).decode()}"
        elif line.startswith("port = ") and code:
            line = f"port = {ports.towns[code]}"
        lines.append(line.replace('"06:30-23:00"', '"00:00-24:00"'))
    return "\n".join(lines) + "\n"


def _free_ports() -> Ports:
    found = []
    with contextlib.ExitStack() as held:
        for _ in range(6 + len(TOWNS)):
            probe = held.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(probe.getsockname()[1])
    line, ops, cards, relay, relay_page, kiosk_page, *towns = found
    return Ports(
        line=line,
        ops=ops,
        cards=cards,
        relay=relay,
        relay_page=relay_page,
        kiosk_page=kiosk_page,
        towns={town.code: port for town, port in zip(TOWNS, towns, strict=True)},
    )
