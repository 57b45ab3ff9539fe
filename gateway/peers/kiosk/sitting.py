"""One user's sitting: what the kiosk holds of it, in memory only, and what it shows of it.

A sitting's private keys, the PIN, the card and the document are here and nowhere else. `forget` lets go of them all; it
is called at the end, at every refusal and at the time limit. (Python gives no way to overwrite the bytes at once; that
nothing reaches a disk is what a kiosk can promise: no swap, no core file, no temporary file.)

Source: 000仕14, 000別1-4(2); DESIGN 10.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.issuance import Challenged, KioskSession, Menu, Offer, Statement

if TYPE_CHECKING:
    from gateway.peers.kiosk.devices import Card
    from protocol.document import Document, Manifest, PageStatement


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The two private keys of one sitting."""

    sign: ec.EllipticCurvePrivateKey
    seal: X25519PrivateKey


MakeKeys = Callable[[], SessionKeys]


def fresh_keys() -> SessionKeys:
    """Keys by the operating system's randomness."""
    return SessionKeys(sign=ec.generate_private_key(ec.SECP256R1()), seal=X25519PrivateKey.generate())


def session_of(keys: SessionKeys, *, operator: str, kiosk: str) -> KioskSession:
    """The public half."""
    return KioskSession(
        operator=operator,
        kiosk=kiosk,
        sign_key=keys.sign.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        seal_key=keys.seal.public_key().public_bytes_raw(),
    )


def es256(key: ec.EllipticCurvePrivateKey, content: bytes) -> bytes:
    """An ES256 signature, raw r||s."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Sitting:
    """Mutable, for the length of one sitting. Fields are None until their step."""

    def __init__(self, keys: SessionKeys, session: KioskSession) -> None:
        self.keys: SessionKeys | None = keys
        self.session = session
        self.card: Card | None = None
        self.card_name = ""
        self.pin = ""
        self.challenged: Challenged | None = None
        self.card_signature = b""
        self.signed_at_us = 0
        self.application: bytes | None = None
        self.expires_at_us: int | None = None
        self.menu: Menu | None = None
        self.offer: Offer | None = None
        self.options = 0
        self.copies = 1
        self.statement: Statement | None = None
        self.manifest: Manifest | None = None
        self.document: Document | None = None
        self.checked = b""
        self.pages: list[PageStatement] = []
        self.slip = ""

    @property
    def yen(self) -> int:
        """What the user pays: the fee of a copy times the copies."""
        return 0 if self.offer is None else self.offer.fee_yen * self.copies

    def forget_pin(self) -> None:
        """The card has signed for the last time."""
        self.pin = ""
        self.card_signature = b""
        self.challenged = None

    def forget(self) -> None:
        """Let go of keys, PIN, card and document; what is left names nobody."""
        self.forget_pin()
        self.keys = None
        self.card = None
        self.card_name = ""
        self.document = None
        self.manifest = None
        self.pages = []


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen shows; nothing of the person and nothing of the document.

    trouble: a texts.Trouble or the centre's outcome as a number, "" for none. done and total: progress of the step.
    """

    state: str
    trouble: str = ""
    tries_left: int = 0
    menu: Menu | None = None
    offer: Offer | None = None
    options: int = 0
    copies: int = 1
    yen: int = 0
    done: int = 0
    total: int = 0
    slip: str = ""
