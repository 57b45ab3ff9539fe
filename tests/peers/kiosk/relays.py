"""A relay on a loopback socket for a kiosk's real line, documents of the real kit, and a kiosk's directory."""

import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import msgspec
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.names import LineName
from certs.profiles import HOST, LINE
from gateway.line.serving import LineServer
from gateway.peers.kiosk.errors import RelayAway
from gateway.peers.kiosk.setup import NAMES, make_kiosk
from gateway.peers.kit.content import Row, Section, paginate
from gateway.peers.kit.rendering import Bindings, Renderer
from gateway.peers.line_file import signing
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.certificates import Kind
from protocol.document import (
    Document,
    Manifest,
    encode_manifest,
    manifest_to_sign,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.issuance import Issued, KioskEvent, KioskSession, Relayed, Statement
from protocol.keys import Algorithm, PublicKey
from protocol.messages import Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.trust import encode_trust
from tests.line.kit import ENVIRONMENT, Pki, now_us
from tests.peers.kiosk.fakes import TOWN, Centre, Town

OPERATOR = "operator-test"
RELAY = LineName(OPERATOR, "relay-1")
NOTICES = (Operation.COMPLETE, Operation.VOID, Operation.ERASE)


class RealTown(Town):
    """A municipality whose documents are those of the kit."""

    kit = "kit-2026.1"

    def __init__(self, directory: Path, code: str = TOWN) -> None:
        super().__init__(directory, code)
        self.renderer = Renderer()

    def make(
        self, statement: Statement, session: KioskSession, /, *, pseudonym: bytes, pages: int, at_us: int, **_: object
    ):
        self.serials += 1
        serial = f"{self.serials:08d}"
        rows = (Row("氏名", f"合成 {pseudonym.hex()[:6]}", key=True), Row("生年月日", "平成元年1月1日", key=True))
        certificate = paginate(
            kind=Kind(statement.kind),
            municipality_ja="見本市",
            mayor_ja="見本市長",
            serial=serial,
            issued_on=date(2026, 11, 21),
            sections=[
                Section(f"世帯員{n}", rows + tuple(Row(f"項目{m}", "合成データ") for m in range(14)))
                for n in range(pages)
            ],
        )
        bindings = Bindings(
            statement.municipality, statement.kind, statement.application, pseudonym, at_us, self.key_id
        )
        rendered = self.renderer.render(
            certificate, sign=lambda data: self.store.sign(self.key_id, data), bindings=bindings
        )
        salt = hashlib.sha256(serial.encode()).digest()
        sealed = seal_document(Document(salt, rendered.pdf), application=statement.application, session=session)
        data = encode_manifest(
            Manifest(
                version=1,
                municipality=statement.municipality,
                application=statement.application,
                session=session_digest(session),
                statement=statement_digest(statement),
                pseudonym=pseudonym,
                kind=statement.kind,
                options=statement.options,
                copies=statement.copies,
                serial=serial,
                kit=self.kit,
                issued_at_us=at_us,
                page_codes=[salted(salt, n, code) for n, code in enumerate(rendered.codes, start=1)],
                pdf=salted(salt, 0, rendered.pdf),
                ciphertext=hashlib.sha256(sealed).digest(),
            )
        )
        signature = self.store.sign(self.key_id, manifest_to_sign(data))
        return Issued(manifest=data, key_id=self.key_id, signature=signature, size=len(sealed)), sealed


class Yard:
    """The operator's authority, the relay's keys, and the directories of its kiosks."""

    def __init__(self, directory: Path, town: Town, cards: Path) -> None:
        self.directory = directory
        self.pki = Pki(directory / "pki")
        self.centre = Centre(town, now_us=now_us)
        self.centre.pages = 2
        self.keys = SoftwareKeystore.create(directory / "relay.keys", "passphrase", owner=OPERATOR)
        create_standard_keys(self.keys, "line", label="1", now_us=now_us() - 10**9)
        self.trust = directory / "relay.bundle"
        self.trust.write_bytes(encode_trust(trust_of(self.keys, role="relay", environment=ENVIRONMENT)))
        self.bundles = directory / "municipalities"
        self.bundles.mkdir()
        (self.bundles / f"{town.code}.bundle").write_bytes(encode_trust(town.trust))
        (self.bundles / NAMES).write_bytes(msgspec.json.encode({town.code: ("見本市", "Sample City")}))
        self.cards = cards
        self.spki: dict[str, bytes] = {}
        self.port = 0

    def kiosk(self, name: str) -> Path:
        """A kiosk's directory."""
        files, _ = self.pki.issue(LINE, LineName(OPERATOR, name))
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        self.spki[name] = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        data = self.directory / name
        make_kiosk(
            data,
            operator=OPERATOR,
            kiosk=name,
            store="store-1",
            tls=files.certificate.parent,
            relay_trust=self.trust,
            relay_host="127.0.0.1",
            relay_port=self.port or 1,
            municipality_trusts=self.bundles,
            cards=self.cards,
            environment=ENVIRONMENT,
            page_port=0,
        )
        return data

    async def handle(self, name: LineName, request: Request) -> tuple[int, bytes]:
        body = decode_body(request.operation, request.body)
        if isinstance(body, KioskEvent):
            self.centre.tell(body)
            return Outcome.FACT_NOTED, encode(Refusal())
        try:
            outcome, said = await self.centre.call(body.operation, body.body, request_id=request.request_id)
        except RelayAway:
            return Outcome.UNAVAILABLE, encode(Refusal())
        if body.operation in NOTICES:
            return outcome, encode(Refusal())
        return Outcome.RELAYED, encode(Relayed(outcome, said))

    def key_of(self, name: LineName, key_id: str) -> PublicKey | None:
        spki = self.spki.get(name.line)
        return PublicKey(Algorithm.ES256, spki) if spki and key_id == name.line else None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The relay while the block runs."""
        server = LineServer(
            role="relay",
            environment=ENVIRONMENT,
            material=self.pki.material(HOST, RELAY),
            sign=signing(self.keys),
            key_of=self.key_of,
            handle=self.handle,
        )
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        listening.setblocking(False)
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
            nursery.start_soon(lambda: server.serve([listener], stop=stop))
            try:
                yield
            finally:
                nursery.cancel_scope.cancel()
