"""本人認証: does this session belong to this card, on this kiosk, of this operator? Pure functions over values.

The card's key and the kiosk's certificate key have both signed the session's two public keys with the centre's fresh
nonce. So nobody between kiosk and verifier can put keys of his own in their place, and what the session's key signs
later speaks for that card on that kiosk. The certificate centre and the municipality ask the same question of the same
bytes, and neither takes the other's word.

Invariants: nothing passes in doubt; nothing but SessionRefused leaves for any bytes a peer can send; no error says what
stands in a card's certificate. The clock is handed in. Not here: whether nonce and kiosk are known, and whether the
card is revoked (certs.ocsp).
Source: DESIGN 10; DOMAIN 2.8 (JPKI認証方式); 000仕3-3; RFC 5280, 6; RFC 8017, 8.2; FIPS 186-5.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, VerificationError

from certs.anchors import PARSE_ERRORS, TrustAnchors
from certs.errors import AnchorsError, CertificateRefused, SessionReason, SessionRefused
from certs.verification import CHAIN_DEPTH_MAX, NamedLine, parse_certificate, verify_line_name
from protocol.issuance import Authenticate, KioskSession, Statement, session_to_sign, statement_to_sign
from protocol.keys import Algorithm, PublicKey, PublicKeyInvalid, SignatureInvalid

SERIAL_BYTES: Final = 20  # RFC 5280, 4.1.2.2
ANCHOR_SETS_MAX: Final = 64
"""Of operators and of card authorities, proven and kept."""
KIOSKS_MAX: Final = 16_384
"""Kiosks' certificates kept as proven, some 2 kB each."""
RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The card's certificate (利用者証明用電子証明書), found good but for revocation. It names nobody.

    `issuer` is the SHA-256 of the issuing CA's SubjectPublicKeyInfo (32 bytes); `not_after` is UTC.
    """

    serial: int
    issuer: bytes
    certificate: x509.Certificate
    issuer_certificate: x509.Certificate
    not_after: datetime

    @property
    def key(self) -> bytes:
        """Issuer and serial, 52 bytes: what a municipality knows a resident's card by."""
        return self.issuer + self.serial.to_bytes(SERIAL_BYTES, "big")


def verify_session(
    body: Authenticate,
    *,
    kiosk_anchors: Sequence[x509.Certificate],
    card_anchors: Sequence[x509.Certificate],
    now: datetime,
) -> Card:
    """Verify kiosk, card and both signatures over `session_to_sign(body.session, body.nonce)`.

    `kiosk_anchors` are root and issuing CA of the operator's line CA, `card_anchors` those of the cards; `now` is an
    aware time.

    Raises: SessionRefused, whose reason is the first that applies of KIOSK_CERTIFICATE (not of these anchors, not in
    its validity, not a P-256 client's, or it names another than the session's operator and kiosk), KIOSK_SIGNATURE,
    CARD_EXPIRED, CARD_CERTIFICATE (not of these anchors, not valid yet, or no key of a card), CARD_SIGNATURE.
    ValueError when `now` has no time zone.
    """
    signed = session_to_sign(body.session, body.nonce)
    _require_kiosk(body, signed, anchors=kiosk_anchors, now=now)
    card = _card(body.card_certificate, anchors=card_anchors, now=now)
    try:
        _require_signed(card.certificate, body.card_signature, signed)
    except InvalidSignature:
        raise SessionRefused(SessionReason.CARD_SIGNATURE, "the card has not signed this session and nonce") from None
    return card


def verify_statement(statement: Statement, signature: bytes, session: KioskSession) -> None:
    """Verify that the session's signing key signed the statement.

    Raises: SessionRefused(SESSION_SIGNATURE).
    """
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), session.sign_key)
        _p256(point).verify(signature, statement_to_sign(statement))
    except (ValueError, UnsupportedAlgorithm) as error:  # protocol.keys' errors are ValueErrors
        raise SessionRefused(SessionReason.SESSION_SIGNATURE, "this session has not signed the statement") from error


def _p256(key: ec.EllipticCurvePublicKey) -> PublicKey:
    return PublicKey(Algorithm.ES256, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@lru_cache(maxsize=ANCHOR_SETS_MAX)
def _trusted(anchors: tuple[x509.Certificate, ...]) -> TrustAnchors:
    """The same few sets come with every session, and proving their self-signatures costs as much as one. Raises:
    AnchorsError."""
    return TrustAnchors.of(anchors)


def _require_kiosk(body: Authenticate, signed: bytes, *, anchors: Sequence[x509.Certificate], now: datetime) -> None:
    session = body.session
    try:
        kiosk, verifier = _kiosk(body.kiosk_certificate, tuple(anchors), now)
    except (CertificateRefused, AnchorsError, PublicKeyInvalid) as error:
        raise SessionRefused(SessionReason.KIOSK_CERTIFICATE, str(error)) from error
    name = kiosk.name
    if (name.party, name.line) != (session.operator, session.kiosk):
        raise SessionRefused(SessionReason.KIOSK_CERTIFICATE, f"it names {name}, not the session's kiosk")
    try:
        verifier.verify(body.kiosk_signature, signed)
    except SignatureInvalid:
        raise SessionRefused(SessionReason.KIOSK_SIGNATURE, "the kiosk has not signed this session and nonce") from None


_kiosks: dict[tuple[bytes, tuple[x509.Certificate, ...]], tuple[NamedLine, PublicKey]] = {}
"""Proven once: a kiosk shows the same certificate with every session. By certificate and anchors."""


def _kiosk(der: bytes, anchors: tuple[x509.Certificate, ...], now: datetime) -> tuple[NamedLine, PublicKey]:
    """A kiosk's name and key. Raises: CertificateRefused, AnchorsError, PublicKeyInvalid, SessionRefused."""
    if now.tzinfo is None:
        raise ValueError("now must be an aware time")
    held = _kiosks.get((der, anchors))
    if held is not None and held[0].begins <= now <= held[0].ends:
        return held
    named = verify_line_name(der, anchors=_trusted(anchors), usage="client", now=now)
    key = named.leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SessionRefused(SessionReason.KIOSK_CERTIFICATE, "the kiosk's key is not on the curve P-256")
    if len(_kiosks) >= KIOSKS_MAX:
        _kiosks.clear()
    found = _kiosks[der, anchors] = named, _p256(key)
    return found


def _card(der: bytes, *, anchors: Sequence[x509.Certificate], now: datetime) -> Card:
    try:
        leaf = parse_certificate(der)
        if now > leaf.not_valid_after_utc:
            raise SessionRefused(SessionReason.CARD_EXPIRED, "the certificate on the card has ended")
        path = _verified_path(leaf, _trusted(tuple(anchors)), now)
        _require_card_key(leaf)
        if not 0 < leaf.serial_number < 1 << 8 * SERIAL_BYTES:
            raise SessionRefused(SessionReason.CARD_CERTIFICATE, f"the serial is not of 1 to {SERIAL_BYTES} octets")
        issuer = path[1]
        spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (CertificateRefused, AnchorsError, VerificationError, *PARSE_ERRORS) as error:
        # The verifier's text quotes the certificate, so it is not passed on.
        raise SessionRefused(SessionReason.CARD_CERTIFICATE, "no valid certificate of the card authority") from error
    return Card(
        serial=leaf.serial_number,
        issuer=hashlib.sha256(spki).digest(),
        certificate=leaf,
        issuer_certificate=issuer,
        not_after=leaf.not_valid_after_utc,
    )


def _verified_path(leaf: x509.Certificate, anchors: TrustAnchors, now: datetime) -> list[x509.Certificate]:
    builder = (
        PolicyBuilder()
        .time(now)
        .store(anchors.store)
        .max_chain_depth(CHAIN_DEPTH_MAX)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_CARD_POLICY)
    )
    return builder.build_client_verifier().verify(leaf, list(anchors.intermediates)).chain


def _require_card_key(leaf: x509.Certificate) -> None:
    """RSA of 2048 bits, or P-384: the two kinds of key that cards have."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size == RSA_BITS and key.public_numbers().e == RSA_EXPONENT:
            return
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        return
    raise SessionRefused(SessionReason.CARD_CERTIFICATE, "cards have keys of RSA-2048 or P-384")


def _require_signed(leaf: x509.Certificate, signature: bytes, signed: bytes) -> None:
    """Raise InvalidSignature unless the card's key made this signature."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(hashes.SHA384()))
    else:
        raise InvalidSignature


def _require_signing_card(_policy: Policy, _certificate: x509.Certificate, use: x509.KeyUsage) -> None:
    if not use.digital_signature or use.key_cert_sign or use.crl_sign:
        raise ValueError("the key of a card signs challenges, and neither certificates nor lists")


def _require_no_ca(_policy: Policy, _certificate: x509.Certificate, basic: x509.BasicConstraints | None) -> None:
    if basic is not None and basic.ca:
        raise ValueError("a card is no CA")


def _require_authentication(_policy: Policy, _certificate: x509.Certificate, purposes: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise ValueError("not a certificate for authentication")


# The usual rules ask for an alternative name; a card's certificate names nobody.
_CARD_POLICY: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.KeyUsage, Criticality.CRITICAL, _require_signing_card)
    .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_authentication)
    .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _require_no_ca)
)
_CA_POLICY: Final = ExtensionPolicy.webpki_defaults_ca()
