"""A whole certificate service on one machine, for development: everything synthetic, everything in one directory.

    centre/                  the certificate centre; jpki/ in it is the test authority of the cards, operator/ its line
    operator/pki             the operator's own authority   operator/relay    the EC centre's relay
    operator/kiosks/<name>   kiosks                         municipalities/<code>   the issuing servers
    trusts/<code>.bundle     what kiosks and verifiers are given of each municipality

The demo, the bench and the tests of the whole stand on this; gateway.app.development_running runs it.
"""

import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509

from certs.authority import DevelopmentAuthority
from certs.files import PUBLIC, write_whole
from certs.names import LineName
from certs.profiles import HOST, LINE
from gateway.app.configuration import FILE_NAME as CONFIGURATION
from gateway.app.setup import ENVIRONMENT, make_centre
from gateway.app.setup_roles import issue
from gateway.directory import toml
from gateway.directory.apply import Change, apply
from gateway.host import run_guest
from gateway.peers.jpki.authority import revoke
from gateway.peers.jpki.cards import SimulatedCard, issue_card
from gateway.peers.kiosk.setup import make_kiosk
from gateway.peers.municipality.cards import key_of_certificate
from gateway.peers.municipality.setup import make_municipality, register_cards
from gateway.peers.relay.setup import add_kiosk, make_relay
from gateway.store.embedded import EmbeddedPostgres
from gateway.store.pool import open_database
from protocol.certificates import CardType

OPERATOR: Final = "cvs-dev"
RELAY: Final = LineName(OPERATOR, "relay-1")
PIN: Final = "1234"
RESIDENTS: Final = 200
SEED: Final = 20160420
"""Of the synthetic residents of the municipalities."""
FILE_NAME: Final = "service.json"
PORT_FIRST: Final = 15_000
PORT_LAST: Final = 32_000
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
    Town(code="121002", party="chiba", name_ja="千葉市", name_en="Chiba City"),
    Town(code="162027", party="takaoka", name_ja="高岡市", name_en="Takaoka City"),
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
    since_us: int | None = None,
) -> None:
    """Make the whole service. cards: residents of each municipality that get one, the test cases first.

    since_us: from when the centre's keys are valid (gateway.app.setup.make_centre).

    Raises: errors of the parts.
    """
    now = datetime.now(UTC)
    ports = _free_ports()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)

    say("certificate centre 証明書交付センター")
    centre = data / "centre"
    make_centre(
        centre,
        port=ports.line,
        ops_port=ports.ops,
        workers=workers,
        residents=0,
        say=lambda text: say(f"  {text}"),
        progress=lambda _done, _of: None,
        environment=environment,
        role="certificate",
        since_us=since_us,
    )
    now_us = time.time_ns() // 1000
    jpki = centre / "jpki"
    responder = f"http://127.0.0.1:{ports.cards}/ocsp"
    settings = centre / CONFIGURATION
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace('ocsp_responder = ""', f'ocsp_responder = "{responder}"'), encoding="utf-8")
    authority = DevelopmentAuthority.open(centre / "pki")

    say("operator and relay コンビニ事業者")
    operator = DevelopmentAuthority.create(data / "operator" / "pki", name="Sekisho Development Operator", now=now)
    operator.write_crl(now=now, days=30)
    anchors = data / "operator" / "anchors" / f"{OPERATOR}.pem"
    anchors.parent.mkdir(mode=0o700)
    write_whole(anchors, operator.anchors_pem, mode=PUBLIC)
    relay = data / "operator" / "relay"
    relay_tls = data / "operator" / "relay-tls"
    issue(operator, relay_tls, HOST, RELAY, now, HOSTS)
    make_relay(
        relay,
        operator=OPERATOR,
        line_file=centre / "operator",
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
        issue(authority, tls, HOST, LineName(town.party, "issue"), now, HOSTS)
        make_municipality(
            place,
            code=town.code,
            party=town.party,
            name_ja=town.name_ja,
            name_en=town.name_en,
            tls=tls,
            centre_trust=centre / "trust.bundle",
            kiosk_anchors=anchors.parent,
            card_anchors=jpki / "anchors.pem",
            environment=environment,
            port=ports.towns[town.code],
            residents=residents,
            seed=SEED,
            now_us=now_us,
            ocsp=responder,
            card_crl=jpki / "crl.der",
        )
        write_whole(trusts / f"{town.code}.bundle", (place / "trust.bundle").read_bytes(), mode=PUBLIC)
        keys = {}
        for number in range(cards):
            algorithm: Literal["rsa2048", "p384"] = "rsa2048" if number == 0 else "p384"
            card = issue_card(
                jpki, holder=f"{town.party}-{number}", algorithm=algorithm, pin=PIN, now=now, days=5 * DAYS
            )
            certificate = x509.load_der_x509_certificate(SimulatedCard.load(card).certificate)
            keys[key_of_certificate(certificate, anchors=jpki / "anchors.pem")] = number
        register_cards(place, keys)
    names = {town.code: (town.name_ja, town.name_en) for town in TOWNS}
    write_whole(trusts / "names.json", msgspec.json.encode(names), mode=PUBLIC)
    _make_bad_cards(jpki, now)

    say("directory and kiosks")
    directory = centre / "directory.toml"
    write_whole(directory, _directory_toml(directory, ports, anchors, trusts).encode(), mode=PUBLIC)
    with EmbeddedPostgres(centre / "postgres") as server:
        run_guest(_apply, server.dsn(), directory)
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
    issue(operator, tls, LINE, LineName(OPERATOR, name), datetime.now(UTC), ())
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
        cards=data / "centre" / "jpki" / "cards",
        environment=environment,
        page_port=ports.kiosk_page,
    )
    return kiosks / name


def _make_bad_cards(jpki: Path, now: datetime) -> None:
    """Cards that are refused, each for its own cause."""
    revoked = issue_card(jpki, holder="revoked", algorithm="p384", pin=PIN, now=now, days=DAYS)
    serial = x509.load_der_x509_certificate(SimulatedCard.load(revoked).certificate).serial_number
    revoke(jpki, serial, "superseded", now)
    issue_card(jpki, holder="expired", algorithm="p384", pin=PIN, now=now - timedelta(days=DAYS), days=1)
    issue_card(jpki, holder="damaged", algorithm="p384", pin=PIN, now=now, days=DAYS, damaged=True)
    issue_card(jpki, holder="juki", algorithm="rsa2048", pin=PIN, now=now, days=DAYS, card_type=CardType.RESIDENT_CARD)


async def _apply(dsn: str, directory: Path) -> None:
    change = Change(asked_by="development", approved_by="set-up", reference="dev-service", at_us=time.time_ns() // 1000)
    async with open_database(dsn, size=1, role="setup") as database:
        await apply(database, toml.read(directory), change)


def _directory_toml(made: Path, ports: Ports, anchors: Path, trusts: Path) -> str:
    """The centre's directory with this service's ports, anchors and bundles; open at all hours but for 戸籍."""
    lines = []
    code = ""
    for line in made.read_text(encoding="utf-8").splitlines():
        if line.startswith('code = "'):
            code = line.split('"')[1]
        if line.startswith(("closed = ", "exception = ")):
            continue
        if line.startswith("# kiosk_anchor_files"):
            line = f"kiosk_anchor_files = [{_text(anchors)}]"
        elif line.startswith("# trust_file"):
            line = f"trust_file = {_text(trusts / f'{code}.bundle')}"
        elif line.startswith("port = ") and code:
            line = f"port = {ports.towns[code]}"
        lines.append(line.replace('"06:30-23:00"', '"00:00-24:00"'))
    return "\n".join(lines) + "\n"


def _text(path: Path) -> str:
    """A path as a TOML string; JSON's escapes are among TOML's."""
    return msgspec.json.encode(str(path.absolute())).decode()


def _free_ports() -> Ports:
    """Below the ports that systems give to outgoing connections: while a program is down, no other's connection, least
    of all the one that tries to reach it, may sit on its port."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < 6 + len(TOWNS):
            port = PORT_FIRST + secrets.randbelow(PORT_LAST - PORT_FIRST)
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
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
