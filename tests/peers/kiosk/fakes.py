"""A centre and municipalities for a kiosk's tests, with real keys, seals, manifests and page codes.

The "PDF" of these documents is the canonical list of its pages' codes, so that pages can be read without a picture;
the real kit's pages are read in test_paper.
"""

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.peers.kiosk.devices import Card
from gateway.peers.kiosk.errors import CardUnreadable, DocumentRefused, PaymentFailed, PinRefused, RelayAway
from gateway.peers.kiosk.journal import Journal, Power, steady
from gateway.peers.kiosk.machine import Devices, Kiosk
from gateway.peers.kiosk.settling import Stand
from gateway.peers.kiosk.sitting import es256
from gateway.peers.kiosk.stack import Stack
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.certificates import CardType, Kind
from protocol.document import (
    Document,
    Field,
    Manifest,
    PageStatement,
    encode_manifest,
    encode_page,
    manifest_to_sign,
    page_code,
    page_to_sign,
    salted,
    seal_document,
    session_digest,
    statement_digest,
)
from protocol.issuance import (
    PART_BYTES,
    Applied,
    Apply,
    Authenticate,
    Authenticated,
    Challenge,
    Challenged,
    Fetch,
    Issued,
    KioskEvent,
    KioskFact,
    KioskSession,
    Menu,
    MenuQuery,
    Offer,
    Part,
    Statement,
)
from protocol.keys import Purpose
from protocol.messages import Operation, Refusal, decode_body, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id

NOW_US = 1_795_000_000_000_000
TOWN = "121002"
OTHER_TOWN = "162027"
PIN = "1234"
KIT = "kit-test"


class PowerCut(BaseException):
    """The process is gone."""


class Town:
    """A municipality's keys and what it makes."""

    def __init__(self, directory: Path, code: str = TOWN) -> None:
        self.code = code
        self.store = SoftwareKeystore.create(directory / f"town-{code}", "passphrase", owner=f"town-{code}")
        create_standard_keys(self.store, "municipality", label="1", now_us=NOW_US - 10**12)
        self.trust = trust_of(self.store, role="municipality", environment="test")
        self.key_id = self.store.current(Purpose.MANIFEST, NOW_US).key_id
        self.serials = 0

    def codes(self, statement: Statement, *, pseudonym: bytes, serial: str, pages: int, at_us: int) -> list[bytes]:
        codes = []
        for page in range(1, pages + 1):
            said = encode_page(
                PageStatement(
                    version=1,
                    municipality=statement.municipality,
                    kind=statement.kind,
                    application=statement.application,
                    pseudonym=pseudonym,
                    serial=serial,
                    page=page,
                    pages=pages,
                    issued_at_us=at_us,
                    key_id=self.key_id,
                    fields=[Field("氏名", f"合成 {pseudonym.hex()[:6]}")],
                )
            )
            codes.append(page_code(said, self.store.sign(self.key_id, page_to_sign(said))))
        return codes

    def make(
        self,
        statement: Statement,
        session: KioskSession,
        /,
        *,
        pseudonym: bytes,
        pages: int = 2,
        at_us: int = NOW_US,
        change: Callable[[list[bytes]], list[bytes]] = lambda codes: codes,
        **manifest: object,
    ) -> tuple[Issued, bytes]:
        """`change` alters what is printed after the manifest was made; `manifest` alters what the manifest says."""
        self.serials += 1
        serial = f"{self.serials:08d}"
        codes = self.codes(statement, pseudonym=pseudonym, serial=serial, pages=pages, at_us=at_us)
        salt = hashlib.sha256(serial.encode()).digest()
        pdf = msgspec.msgpack.encode(change(codes))
        sealed = seal_document(Document(salt, pdf), application=statement.application, session=session)
        facts = {
            "version": 1,
            "municipality": statement.municipality,
            "application": statement.application,
            "session": session_digest(session),
            "statement": statement_digest(statement),
            "pseudonym": pseudonym,
            "kind": statement.kind,
            "options": statement.options,
            "copies": statement.copies,
            "serial": serial,
            "kit": KIT,
            "issued_at_us": at_us,
            "page_codes": [salted(salt, n, code) for n, code in enumerate(codes, start=1)],
            "pdf": salted(salt, 0, pdf),
            "ciphertext": hashlib.sha256(sealed).digest(),
        } | manifest
        data = encode_manifest(Manifest(**facts))
        signature = self.store.sign(self.key_id, manifest_to_sign(data))
        return Issued(manifest=data, key_id=self.key_id, signature=signature, size=len(sealed)), sealed


async def read_pages(pdf: bytes) -> list[bytes]:
    try:
        return msgspec.msgpack.decode(pdf, type=list[bytes])
    except msgspec.DecodeError:
        raise DocumentRefused("pages-unreadable") from None


class Centre:
    """The relay with the centre behind it: devices.Relay. `answers` replaces an operation's answer by an outcome."""

    def __init__(self, *towns: Town, fee_yen: int = 300, now_us: Callable[[], int] = lambda: NOW_US) -> None:
        self.towns = {town.code: town for town in towns}
        self.connected = True
        self.fee_yen = fee_yen
        self.now_us = now_us
        self.answers: dict[int, int] = {}
        self.away_for: set[int] = set()
        self.sessions: dict[bytes, Authenticate] = {}
        self.statements: dict[bytes, Statement] = {}
        self.documents: dict[bytes, tuple[Issued, bytes]] = {}
        self.notices: dict[bytes, tuple[int, object]] = {}
        self.events: list[KioskEvent] = []
        self.calls: list[tuple[int, object]] = []
        self.make: Callable[..., tuple[Issued, bytes]] | None = None
        self.pages = 2

    def tell(self, event: KioskEvent) -> None:
        self.events.append(event)

    @property
    def facts(self) -> list[KioskFact]:
        return [KioskFact(event.fact) for event in self.events]

    @property
    def faults(self) -> list[str]:
        return [event.detail for event in self.events if event.fact == KioskFact.FAULT]

    def told(self, operation: int) -> list[object]:
        return [body for each, body in self.notices.values() if each == operation]

    async def call(self, operation: int, body: bytes, *, request_id: bytes | None = None) -> tuple[int, bytes]:
        await trio.lowlevel.checkpoint()
        asked = decode_body(operation, body)
        self.calls.append((operation, asked))
        if not self.connected or operation in self.away_for:
            raise RelayAway("the relay does not answer")
        if operation in self.answers:
            return self.answers[operation], encode(Refusal())
        if operation in (Operation.COMPLETE, Operation.VOID, Operation.ERASE):
            assert request_id is not None
            self.notices[request_id] = (operation, asked)
            return Outcome.TAKEN_OVER, b""
        return self.answer(asked)

    def answer(self, asked: object) -> tuple[int, bytes]:
        """What the centre says to what is asked and answered at once."""
        match asked:
            case Challenge():
                return Outcome.CHALLENGED, encode(Challenged(bytes([len(self.calls) % 256]) * 40, 60_000))
            case Authenticate():
                application = make_request_id(self.now_us() // 1000, secrets.token_bytes(10))
                self.sessions[application] = asked
                return Outcome.AUTHENTICATED, encode(Authenticated(application, self.now_us() + 10 * 60 * 10**6))
            case MenuQuery():
                return Outcome.MENU, encode(self.menu(asked))
            case Apply():
                return self.apply(asked)
            case Fetch():
                return self.document(asked)
            case Part():
                return self.part(asked)
        raise AssertionError(asked)

    def menu(self, asked: MenuQuery) -> Menu:
        names = [(Kind.RESIDENT, 7, 0), (Kind.SEAL, 0, 0), (Kind.INCOME, 0, Outcome.MUNICIPALITY_CLOSED)]
        offers = [
            Offer(kind, self.fee_yen, 5, bits, closed, "6:30から23:00", "6:30 to 23:00") for kind, bits, closed in names
        ]
        return Menu(
            asked.municipality, "見本市", "Sample City", offers, "12月29日から1月3日は休止", "Closed 29 Dec to 3 Jan"
        )

    def apply(self, asked: Apply) -> tuple[int, bytes]:
        self.statements[asked.statement.application] = asked.statement
        return Outcome.APPLIED, encode(Applied(self.fee_yen, asked.statement.copies))

    def document(self, asked: Fetch) -> tuple[int, bytes]:
        authentication = self.sessions[asked.application]
        statement = self.statements[asked.application]
        town = self.towns[statement.municipality]
        make = self.make or town.make
        who = hashlib.sha256(authentication.card_certificate).digest()[:16]
        made = make(statement, authentication.session, pseudonym=who, pages=self.pages, at_us=self.now_us())
        self.documents[asked.application] = made
        return Outcome.ISSUED, encode(made[0])

    def part(self, asked: Part) -> tuple[int, bytes]:
        sealed = self.documents[asked.application][1]
        return Outcome.PART, sealed[asked.index * PART_BYTES : (asked.index + 1) * PART_BYTES]


class FakeCard:
    """A card with three tries."""

    def __init__(self, name: str = "card", card_type: int = CardType.MY_NUMBER_CARD) -> None:
        self.card_type = card_type
        self.certificate = f"certificate of {name}".encode()
        self.tries = 3
        self.key = ec.generate_private_key(ec.SECP384R1())

    def sign(self, pin: str, content: bytes) -> bytes:
        if not self.tries or pin != PIN:
            self.tries = max(0, self.tries - 1)
            raise PinRefused(self.tries)
        self.tries = 3
        return self.key.sign(content, ec.ECDSA(hashes.SHA384()))


class Reader:
    def __init__(self, **cards: Card) -> None:
        self.cards = cards

    def read(self, name: str) -> Card:
        if name not in self.cards:
            raise CardUnreadable("no card")
        return self.cards[name]


class Slot:
    """A coin slot that survives the kiosk."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.power: Power = steady
        self.fails = False

    def take(self, yen: int, slip: str) -> None:
        self.power("take-before")
        if self.fails:
            raise PaymentFailed("no")
        self.held[slip] = yen
        self.power("take-after")

    def holding(self, slip: str) -> int:
        return self.held.get(slip, 0)

    def refund(self, slip: str) -> None:
        self.power("give-back-before")
        self.held[slip] = 0
        self.power("give-back-after")


class Place:
    """A kiosk's place: what survives its process. `kiosk()` starts the process anew."""

    def __init__(
        self, directory: Path, centre: Centre, *, name: str = "kiosk-1", cards: dict[str, Card] | None = None
    ) -> None:
        self.directory = directory
        self.centre = centre
        self.name = name
        self.now_us = NOW_US
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.slot = Slot()
        self.stack = Stack()
        self.reader = Reader(**(cards or {"card": FakeCard()}))
        self.journal: Journal | None = None

    def kiosk(self, power: Power = steady) -> Kiosk:
        if self.journal is not None:
            self.journal.close()
        self.journal = Journal(self.directory / f"{self.name}.journal", power=power, durable=False)
        self.slot.power = power
        self.stack._power = power

        async def sign(content: bytes) -> bytes:
            return es256(self.key, content)

        stand = Stand(operator="operator-1", kiosk=self.name, store="store-1", certificate=b"kiosk", sign=sign)
        return Kiosk(
            stand,
            relay=self.centre,
            devices=Devices(self.reader, self.slot, self.stack),
            journal=self.journal,
            trusts={code: town.trust for code, town in self.centre.towns.items()},
            kits=frozenset({KIT}),
            read_pages=read_pages,
            now_us=lambda: self.now_us,
        )


async def up_to_pay(
    kiosk: Kiosk, *, card: str = "card", town: str = TOWN, copies: int = 2, kind: str = Kind.RESIDENT
) -> None:
    await kiosk.begin()
    await kiosk.insert_card(card)
    await kiosk.enter_pin(PIN)
    await kiosk.choose_municipality(town)
    await kiosk.choose_kind(kind)
    await kiosk.choose_options(options=0, copies=copies)
    await kiosk.agree()
