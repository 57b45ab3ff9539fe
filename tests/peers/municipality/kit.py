"""A municipality with its line, an operator's kiosk and cards of a test authority; a LineClient stands for the centre.

Everything is real but who stands behind it: TLS, keystores, card signatures, the kit's pages. The world (authorities,
cards, one prepared directory) is made once a run; each test has its own copy of the directory.
"""

import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate, load_pem_x509_certificates

from certs import DIAL, HOST, LINE, Card, DevelopmentAuthority, LineFiles, LineName, TlsMaterial
from certs.authentication import verify_session
from gateway.line.dial import LineClient, Target, open_line
from gateway.line.serving import LineServer
from gateway.peers.jpki.cards import SimulatedCard, issue_card, make_jpki
from gateway.peers.kit.reading import read_pages
from gateway.peers.line_file import signing
from gateway.peers.municipality.crafting import Workshop
from gateway.peers.municipality.serving import serve_municipality
from gateway.peers.municipality.setup import (
    Municipality,
    make_municipality,
    now_us,
    opened_municipality,
    register_cards,
)
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.document import (
    Document,
    check_ciphertext,
    check_manifest,
    check_pages,
    decode_manifest,
    manifest_to_sign,
    open_document,
)
from protocol.issuance import (
    PART_BYTES,
    Apply,
    Authenticate,
    Issue,
    Issued,
    KioskSession,
    Part,
    Statement,
    session_to_sign,
    statement_to_sign,
)
from protocol.keys import Algorithm, Purpose
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id
from protocol.trust import Trust, encode_trust

CODE, PARTY, OPERATOR, KIOSK, ENVIRONMENT, PIN = "999990", "mihon-shi", "operator-a", "kiosk-1", "test", "1234"
NAME_JA, NAME_EN = "見本市", "Mihon City"
CENTRE_LINE, OWN_LINE = LineName("centre", "certificate"), LineName(PARTY, "issue")
KIT = "kit-2026.1"
INVOICE_KEY = "invoice-centre-1"
RESIDENTS = 24
CARDS = 10
"""Residents 0 to 9, the test cases, have a card each."""


class QuickCard:
    """A simulated card whose key was opened once, as its file's own way takes a tenth of a second a signature."""

    def __init__(self, path: Path) -> None:
        self.certificate = SimulatedCard.load(path).certificate
        chip = msgspec.json.decode(path.read_bytes())
        self._key = load_pem_private_key(chip["key"].encode(), PIN.encode())

    def sign(self, pin: str, content: bytes) -> bytes:
        """See SimulatedCard."""
        assert pin == PIN
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(content, ec.ECDSA(hashes.SHA384()))
        return self._key.sign(content, padding.PKCS1v15(), hashes.SHA256())


class AlwaysGood:
    """A revocation service for which every card is good."""

    async def check(self, card: Card) -> None:
        """See making.Status."""


@dataclass
class World:
    """What is made once."""

    root: Path
    centre: SoftwareKeystore
    trust: Trust
    prepared: Path
    cards: dict[int, "QuickCard"] = field(default_factory=dict)

    def card(self, resident: int) -> "QuickCard":
        """The card of a test case."""
        found = self.cards.get(resident)
        if found is None:
            path = self.root / "jpki" / "cards" / f"resident-{resident}.card"
            found = self.cards[resident] = QuickCard(path)
        return found


def make_world(root: Path) -> World:
    """Authorities, certificates, cards, a municipality."""
    now = datetime.now(UTC)
    line = DevelopmentAuthority.create(root / "line-ca", name="TEST line CA", now=now)
    operator = DevelopmentAuthority.create(root / "operator-ca", name="TEST operator CA", now=now)
    _write_tls(root / "host", line, line.issue(HOST, OWN_LINE, now=now, hosts=("127.0.0.1",)), now)
    _write_tls(root / "dial", line, line.issue(DIAL, CENTRE_LINE, now=now), now)
    _write_tls(root / "kiosk", operator, operator.issue(LINE, LineName(OPERATOR, KIOSK), now=now), now)
    (root / "operators").mkdir()
    shutil.copy(root / "kiosk" / "anchors.pem", root / "operators" / f"{OPERATOR}.pem")
    make_jpki(root / "jpki", now=now)
    for number in range(CARDS):
        algorithm = "rsa2048" if number == 0 else "p384"
        issue_card(root / "jpki", holder=f"resident-{number}", algorithm=algorithm, pin=PIN, now=now, days=365)
    centre = SoftwareKeystore.create(root / "centre-keys", "synthetic", owner="centre")
    create_standard_keys(centre, "line", label="centre-1", now_us=now_us())
    centre.generate(Purpose.INVOICE, Algorithm.ES256, key_id=INVOICE_KEY, now_us=0)
    (root / "centre.bundle").write_bytes(encode_trust(trust_of(centre, role="certificate", environment=ENVIRONMENT)))
    prepared = root / "prepared"
    trust = make_municipality(
        prepared,
        code=CODE,
        party=PARTY,
        name_ja=NAME_JA,
        name_en=NAME_EN,
        tls=root / "host",
        centre_trust=root / "centre.bundle",
        kiosk_anchors=root / "operators",
        card_anchors=root / "jpki" / "anchors.pem",
        environment=ENVIRONMENT,
        port=0,
        residents=RESIDENTS,
        seed=1,
        now_us=now_us(),
    )
    world = World(root, centre, trust, prepared)
    register_cards(prepared, {card_key(world, Sitting(world, resident=number)): number for number in range(CARDS)})
    return world


def card_key(world: World, sitting: "Sitting") -> bytes:
    """What the municipality knows a sitting's card by."""
    return verify_session(
        sitting.authentication,
        kiosk_anchors=_pem(world.root / "operators" / f"{OPERATOR}.pem"),
        card_anchors=_pem(world.root / "jpki" / "anchors.pem"),
        now=datetime.now(UTC),
    ).key


class Sitting:
    """One person at a kiosk: the session's keys, authenticated by card and kiosk."""

    def __init__(self, world: World, *, resident: int = 0, card: SimulatedCard | QuickCard | None = None) -> None:
        self.world = world
        self.sign_key = ec.generate_private_key(ec.SECP256R1())
        self.seal_key = X25519PrivateKey.generate()
        point = self.sign_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.session = KioskSession(OPERATOR, KIOSK, point, self.seal_key.public_key().public_bytes_raw())
        nonce = secrets.token_bytes(40)
        signed = session_to_sign(self.session, nonce)
        used = card or world.card(resident)
        certificate = load_pem_x509_certificate((world.root / "kiosk" / "certificate.pem").read_bytes())
        kiosk_key = load_pem_private_key((world.root / "kiosk" / "key.pem").read_bytes(), None)
        self.authentication = Authenticate(
            session=self.session,
            nonce=nonce,
            kiosk_certificate=certificate.public_bytes(Encoding.DER),
            kiosk_signature=raw_signature(kiosk_key, signed),
            card_type=1,
            card_certificate=used.certificate,
            card_signature=used.sign(PIN, signed),
            municipality=CODE,
        )

    def issue(self, kind: str = "juminhyo", options: int = 0, **changes: object) -> Issue:
        """What the gateway asks the municipality, under a new application."""
        statement = Statement(
            application=make_request_id(time.time_ns() // 1_000_000, secrets.token_bytes(10)),
            municipality=CODE,
            kind=kind,
            options=options,
            copies=1,
            asked_at_us=now_us(),
        )
        return self.stated(msgspec.structs.replace(statement, **changes))

    def stated(self, statement: Statement) -> Issue:
        """A given statement, signed."""
        signature = raw_signature(self.sign_key, statement_to_sign(statement))
        return Issue(self.authentication, Apply(statement, signature), b"p" * 16, KIT)


@dataclass
class Town:
    """A municipality's directory of one test, and how to serve it and ask it."""

    world: World
    data: Path
    clock: Callable[[], int] = field(default=now_us)

    @asynccontextmanager
    async def serving(
        self,
        *,
        workshop: type[Workshop] = Workshop,
        status: object = None,
        server: type[LineServer] = LineServer,
    ) -> AsyncIterator[int]:
        """A server over the directory until the block ends; its port."""
        stop = trio.Event()
        async with trio.open_nursery() as nursery:

            async def serve(task_status: trio.TaskStatus[int]) -> None:
                await serve_municipality(
                    self.data,
                    stop=stop,
                    clock=self.clock,
                    status=status or AlwaysGood(),
                    workshop=workshop,
                    server=server,
                    task_status=task_status,
                )

            yield await nursery.start(serve)
            stop.set()

    @asynccontextmanager
    async def line(self, port: int) -> AsyncIterator[LineClient]:
        """The gateway's end."""
        material = TlsMaterial(LineFiles.in_directory(self.world.root / "dial"), now=datetime.now(UTC))
        target = Target(
            host="127.0.0.1",
            port=port,
            centre=OWN_LINE,
            role="municipality",
            environment=ENVIRONMENT,
            own=CENTRE_LINE,
        )
        sign = signing(self.world.centre)
        async with open_line(target, material=material, trust=self.world.trust, sign=sign) as client:
            yield client

    @asynccontextmanager
    async def answering(self, **served: object) -> AsyncIterator[LineClient]:
        """A server and a line to it."""
        async with self.serving(**served) as port, self.line(port) as client:
            yield client

    def opened(self) -> Municipality:
        """The directory as a command sees it: a context manager."""
        return opened_municipality(self.data, clock=self.clock)

    def bytes_at_rest(self) -> bytes:
        """Everything that stands in the directory."""
        return b"".join(path.read_bytes() for path in sorted(self.data.rglob("*")) if path.is_file())


async def ask(client: LineClient, body: Issue, *, deadline_ms: int = 20_000) -> tuple[int, bytes]:
    """One ISSUE, once."""
    result = await client.ask(Operation.ISSUE, encode(body), retry=False, deadline_ms=deadline_ms)
    return result.outcome, result.body


async def made(client: LineClient, body: Issue) -> Issued:
    """One ISSUE that is answered MADE."""
    outcome, answer = await ask(client, body)
    assert outcome == Outcome.MADE, (outcome, answer)
    return msgspec.msgpack.decode(answer, type=Issued)


async def refused(client: LineClient, body: Issue) -> Outcome:
    """One ISSUE that is refused, and what the operator is told."""
    outcome, answer = await ask(client, body)
    assert outcome == Outcome.MAKING_REFUSED, (outcome, answer)
    return Outcome(msgspec.msgpack.decode(answer, type=int))


async def fetched(client: LineClient, application: bytes, size: int) -> bytes:
    """All parts of a sealed document."""
    parts: dict[int, bytes] = {}

    async def fetch(index: int) -> None:
        result = await client.ask(Operation.MADE_PART, encode(Part(application, index)), retry=False)
        assert result.outcome == Outcome.MADE_PART
        parts[index] = result.body

    async with trio.open_nursery() as nursery:
        for index in range(-(-size // PART_BYTES)):
            nursery.start_soon(fetch, index)
    return b"".join(parts[index] for index in sorted(parts))


def opened_by_kiosk(sitting: Sitting, body: Issue, issued: Issued, sealed: bytes, *, read: bool = True) -> Document:
    """Every check of gateway and kiosk, the pages' codes read from the picture of the page. Raises: DocumentError."""
    statement = body.application.statement
    key = sitting.world.trust.key(issued.key_id, purpose=Purpose.MANIFEST, at_us=now_us())
    key.verify(issued.signature, manifest_to_sign(issued.manifest))
    manifest = decode_manifest(issued.manifest)
    check_manifest(
        manifest,
        statement=statement,
        session=sitting.session,
        municipality=CODE,
        pseudonym=body.pseudonym,
        kits=frozenset({KIT}),
    )
    check_ciphertext(manifest, sealed)
    document = open_document(sealed, key=sitting.seal_key, application=statement.application, session=sitting.session)
    if read:
        check_pages(manifest, document, read_pages(document.pdf))
    return document


def raw_signature(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """ES256, raw r||s."""
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _write_tls(directory: Path, authority: DevelopmentAuthority, issued: object, now: datetime) -> None:
    directory.mkdir()
    (directory / "certificate.pem").write_bytes(issued.certificate_pem)
    (directory / "key.pem").write_bytes(issued.key_pem)
    (directory / "key.pem").chmod(0o600)
    (directory / "anchors.pem").write_bytes(authority.anchors_pem)
    (directory / "crl.pem").write_bytes(authority.write_crl(now=now))


def _pem(path: Path) -> list[Certificate]:
    return load_pem_x509_certificates(path.read_bytes())
