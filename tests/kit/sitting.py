"""A sitting at a kiosk, well made, for tests to spoil: operator's line CA, card authority, both signatures.

Everything is synthetic. The card authority is made once a run; keys of kiosk and session are new in each sitting.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from certs.authority import DevelopmentAuthority
from certs.names import LineName
from certs.profiles import LINE, Profile
from gateway.peers.jpki.cards import SimulatedCard, issue_card, make_jpki
from protocol.certificates import CardType
from protocol.issuance import Authenticate, KioskSession, session_to_sign

OPERATOR, KIOSK = "operator-test", "kiosk-1"
MUNICIPALITY = "121002"
PIN = "1234"
NONCE = bytes(range(40))


def es256(key: ec.EllipticCurvePrivateKey, content: bytes) -> bytes:
    """Raw r||s."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as an uncompressed point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass(frozen=True)
class Kiosk:
    """A kiosk's certificate (DER) and its key."""

    certificate: bytes
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Ground:
    """An operator's line CA and a card authority with a card of each kind."""

    directory: Path
    now: datetime
    operator: DevelopmentAuthority
    kiosk: Kiosk
    cards: dict[str, SimulatedCard]

    @property
    def kiosk_anchors(self) -> list[x509.Certificate]:
        """The operator's root and issuing CA."""
        return x509.load_pem_x509_certificates(self.operator.anchors_pem)

    @property
    def jpki(self) -> Path:
        """The card authority's directory."""
        return self.directory / "jpki"

    @property
    def card_anchors(self) -> list[x509.Certificate]:
        """The card authority's root and issuing CA."""
        return x509.load_pem_x509_certificates((self.jpki / "anchors.pem").read_bytes())


def make_kiosk(
    authority: DevelopmentAuthority, now: datetime, *, operator: str = OPERATOR, kiosk: str = KIOSK,
    profile: Profile = LINE, days: int | None = None,
) -> Kiosk:  # fmt: skip
    """A kiosk of an operator, with a certificate by that authority."""
    issued = authority.issue(profile, LineName(operator, kiosk), now=now, days=days)
    leaf, _ = x509.load_pem_x509_certificates(issued.certificate_pem)
    key = load_pem_private_key(issued.key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Kiosk(leaf.public_bytes(Encoding.DER), key)


def make_ground(directory: Path, now: datetime) -> Ground:
    """An operator and a card authority of this moment."""
    operator = DevelopmentAuthority.create(directory / "operator", name="Synthetic Operator", now=now)
    make_jpki(directory / "jpki", now=now)
    cards = {
        algorithm: SimulatedCard.load(
            issue_card(directory / "jpki", holder=algorithm, algorithm=algorithm, pin=PIN, now=now, days=365)
        )
        for algorithm in ("rsa2048", "p384")
    }
    return Ground(directory, now, operator, make_kiosk(operator, now), cards)


def new_session_key() -> ec.EllipticCurvePrivateKey:
    """A session's signing key."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Sitting:
    """One sitting; what is signed may be put out of step with what is sent."""

    ground: Ground
    algorithm: str = "p384"
    session_key: ec.EllipticCurvePrivateKey = field(default_factory=new_session_key)

    @property
    def session(self) -> KioskSession:
        """The session as the kiosk made it."""
        return KioskSession(OPERATOR, KIOSK, point(self.session_key), bytes(range(32)))

    def authenticate(
        self,
        *,
        session: KioskSession | None = None,
        nonce: bytes = NONCE,
        kiosk: Kiosk | None = None,
        card_certificate: bytes | None = None,
        card_signs: Callable[[bytes], bytes] | None = None,
        sent_session: KioskSession | None = None,
        sent_nonce: bytes | None = None,
    ) -> Authenticate:
        """AUTHENTICATE: `session` and `nonce` are signed, `sent_session` and `sent_nonce` stand in the body."""
        session = session or self.session
        kiosk = kiosk or self.ground.kiosk
        card = self.ground.cards[self.algorithm]
        signed = session_to_sign(session, nonce)
        return Authenticate(
            session=sent_session or session,
            nonce=sent_nonce or nonce,
            kiosk_certificate=kiosk.certificate,
            kiosk_signature=es256(kiosk.key, signed),
            card_type=CardType.MY_NUMBER_CARD,
            card_certificate=card_certificate or card.certificate,
            card_signature=card_signs(signed) if card_signs else card.sign(PIN, signed),
            municipality=MUNICIPALITY,
        )
