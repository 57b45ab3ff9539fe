"""Who sits at the kiosk: every way in which card, kiosk and session may not belong together is refused by name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from certs.authentication import Card, verify_session, verify_statement
from certs.authority import DevelopmentAuthority
from certs.errors import SessionReason, SessionRefused
from certs.profiles import DIGITAL_SIGNATURE, HOST
from gateway.peers.jpki.authority import Signer, load_signer
from gateway.peers.jpki.cards import SimulatedCard, issue_card, make_jpki
from protocol.issuance import Authenticate, KioskSession, Statement, statement_to_sign
from tests.kit.sitting import (
    KIOSK,
    MUNICIPALITY,
    NONCE,
    OPERATOR,
    PIN,
    Ground,
    Sitting,
    es256,
    make_ground,
    make_kiosk,
    new_session_key,
    point,
)

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ALGORITHMS = ("rsa2048", "p384")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Operator and card authority of NOW."""
    return make_ground(tmp_path_factory.mktemp("sitting"), NOW)


def verified(ground: Ground, body: Authenticate, *, now: datetime = NOW) -> Card:
    """Verify with the ground's own anchors."""
    return verify_session(body, kiosk_anchors=ground.kiosk_anchors, card_anchors=ground.card_anchors, now=now)


def refused(ground: Ground, body: Authenticate, *, now: datetime = NOW) -> SessionReason:
    """The reason it is refused for."""
    with pytest.raises(SessionRefused) as caught:
        verified(ground, body, now=now)
    return caught.value.reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_sitting_with_either_kind_of_card_is_verified(ground: Ground, algorithm: str) -> None:
    card = verified(ground, Sitting(ground, algorithm).authenticate())
    leaf = x509.load_der_x509_certificate(ground.cards[algorithm].certificate)
    assert card.certificate == leaf
    assert card.issuer_certificate == ground.card_anchors[1]
    assert card.key == card.issuer + leaf.serial_number.to_bytes(20, "big")
    assert len(card.key) == 52
    assert card.not_after == leaf.not_valid_after_utc


# --- the kiosk


def test_a_kiosk_of_another_operators_authority_is_refused(ground: Ground, tmp_path: Path) -> None:
    other = DevelopmentAuthority.create(tmp_path / "other", name="Synthetic Other", now=NOW)
    kiosk = make_kiosk(other, NOW)  # that authority names this very operator and kiosk
    assert refused(ground, Sitting(ground).authenticate(kiosk=kiosk)) is SessionReason.KIOSK_CERTIFICATE


@pytest.mark.parametrize(("operator", "kiosk"), [(OPERATOR, "kiosk-2"), ("operator-other", KIOSK)])
def test_a_kiosk_that_the_session_does_not_name_is_refused(ground: Ground, operator: str, kiosk: str) -> None:
    other = make_kiosk(ground.operator, NOW, operator=operator, kiosk=kiosk)
    assert refused(ground, Sitting(ground).authenticate(kiosk=other)) is SessionReason.KIOSK_CERTIFICATE


def test_a_kiosk_whose_certificate_is_for_accepting_is_refused(ground: Ground) -> None:
    host = make_kiosk(ground.operator, NOW, profile=HOST)
    assert refused(ground, Sitting(ground).authenticate(kiosk=host)) is SessionReason.KIOSK_CERTIFICATE


@pytest.mark.parametrize("now", [NOW + 2 * DAY, NOW - DAY])
def test_a_kiosk_certificate_outside_its_validity_is_refused(ground: Ground, now: datetime) -> None:
    kiosk = make_kiosk(ground.operator, NOW, days=1)
    assert refused(ground, Sitting(ground).authenticate(kiosk=kiosk), now=now) is SessionReason.KIOSK_CERTIFICATE


def test_what_was_proven_of_a_kiosk_holds_in_its_validity_and_under_its_anchors_alone(
    ground: Ground, tmp_path: Path
) -> None:
    body = Sitting(ground).authenticate(kiosk=make_kiosk(ground.operator, NOW, days=1))
    verified(ground, body)
    assert refused(ground, body, now=NOW + 2 * DAY) is SessionReason.KIOSK_CERTIFICATE
    assert refused(ground, body, now=NOW - DAY) is SessionReason.KIOSK_CERTIFICATE
    other = DevelopmentAuthority.create(tmp_path / "other", name="Synthetic Other", now=NOW)
    with pytest.raises(SessionRefused) as caught:
        verify_session(
            body,
            kiosk_anchors=x509.load_pem_x509_certificates(other.anchors_pem),
            card_anchors=ground.card_anchors,
            now=NOW,
        )
    assert caught.value.reason is SessionReason.KIOSK_CERTIFICATE
    verified(ground, body)


def test_an_operator_without_anchors_has_no_kiosks(ground: Ground) -> None:
    with pytest.raises(SessionRefused) as caught:
        verify_session(Sitting(ground).authenticate(), kiosk_anchors=(), card_anchors=ground.card_anchors, now=NOW)
    assert caught.value.reason is SessionReason.KIOSK_CERTIFICATE


def test_a_kiosk_signature_by_another_key_is_refused(ground: Ground) -> None:
    kiosk = msgspec.structs.replace(Sitting(ground).authenticate(), kiosk_signature=es256(new_session_key(), b"x"))
    assert refused(ground, kiosk) is SessionReason.KIOSK_SIGNATURE


# --- what both have signed


def test_a_relay_that_puts_its_own_session_key_in_place_is_refused(ground: Ground) -> None:
    sitting = Sitting(ground)
    own = msgspec.structs.replace(sitting.session, sign_key=point(new_session_key()))
    assert refused(ground, sitting.authenticate(sent_session=own)) is SessionReason.KIOSK_SIGNATURE


def test_a_relay_that_puts_its_own_sealing_key_in_place_is_refused(ground: Ground) -> None:
    sitting = Sitting(ground)
    own = msgspec.structs.replace(sitting.session, seal_key=bytes(32))
    assert refused(ground, sitting.authenticate(sent_session=own)) is SessionReason.KIOSK_SIGNATURE


def test_an_operator_that_signs_its_own_session_cannot_use_a_cards_earlier_signature(ground: Ground) -> None:
    """Even with the kiosk's own key: what the card signed was another session."""
    of_the_user = Sitting(ground).authenticate()
    own = Sitting(ground).authenticate()
    mixed = msgspec.structs.replace(own, card_signature=of_the_user.card_signature)
    assert refused(ground, mixed) is SessionReason.CARD_SIGNATURE


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_card_signature_over_another_nonce_is_refused(ground: Ground, algorithm: str) -> None:
    sitting = Sitting(ground, algorithm)
    earlier = sitting.authenticate(nonce=bytes(40))
    mixed = msgspec.structs.replace(sitting.authenticate(), card_signature=earlier.card_signature)
    assert refused(ground, mixed) is SessionReason.CARD_SIGNATURE
    assert refused(ground, sitting.authenticate(sent_nonce=bytes(40))) is SessionReason.KIOSK_SIGNATURE


def test_a_signature_for_another_kiosk_is_refused(ground: Ground) -> None:
    sitting = Sitting(ground)
    there = msgspec.structs.replace(sitting.session, kiosk="kiosk-2")
    earlier = sitting.authenticate(session=there, kiosk=make_kiosk(ground.operator, NOW, kiosk="kiosk-2"))
    assert verified(ground, earlier)
    mixed = msgspec.structs.replace(sitting.authenticate(), card_signature=earlier.card_signature)
    assert refused(ground, mixed) is SessionReason.CARD_SIGNATURE


# --- the card


def card_of(signer: Signer, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, **change: object) -> bytes:
    """A card's certificate signed by that CA, changed in one way."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST")]))
        .issuer_name(signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(change.get("serial", 77))  # type: ignore[arg-type]
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    builder = builder.add_extension(authority, critical=False)
    usage = change.get("usage", DIGITAL_SIGNATURE)
    if isinstance(usage, x509.KeyUsage):
        builder = builder.add_extension(usage, critical=True)
    purposes = change.get("purposes", ExtendedKeyUsageOID.CLIENT_AUTH)
    if isinstance(purposes, ObjectIdentifier):
        builder = builder.add_extension(x509.ExtendedKeyUsage([purposes]), critical=False)
    if change.get("ca"):
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if change.get("unknown"):
        odd = x509.UnrecognizedExtension(ObjectIdentifier("2.999.7"), b"\x05\x00")
        builder = builder.add_extension(odd, critical=True)
    return builder.sign(signer.key, hashes.SHA384()).public_bytes(Encoding.DER)


def signs(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Callable[[bytes], bytes]:
    """As a card with that key would."""
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda content: key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return lambda content: key.sign(content, ec.ECDSA(hashes.SHA384()))


def with_card(ground: Ground, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, **change: object) -> Authenticate:
    """A sitting with a card of the ground's own issuing CA, changed in one way."""
    certificate = card_of(load_signer(ground.jpki, "issuing"), key, **change)
    return Sitting(ground).authenticate(card_certificate=certificate, card_signs=signs(key))


P384 = ec.generate_private_key(ec.SECP384R1())


def test_a_card_made_by_hand_as_it_should_be_is_verified(ground: Ground) -> None:
    """What the next tests change one thing of."""
    assert verified(ground, with_card(ground, P384)).serial == 77


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=1024),  # noqa: S505 - it is to be refused
        rsa.generate_private_key(public_exponent=65537, key_size=3072),
        rsa.generate_private_key(public_exponent=3, key_size=2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["rsa-1024", "rsa-3072", "rsa-exponent-3", "p-256", "p-521"],
)
def test_a_card_with_another_kind_of_key_is_refused(
    ground: Ground, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    assert refused(ground, with_card(ground, key)) is SessionReason.CARD_CERTIFICATE


@pytest.mark.parametrize(
    "change",
    [
        {"usage": None},
        {"usage": x509.KeyUsage(False, True, False, False, False, False, False, False, False)},
        {"purposes": None},
        {"purposes": ExtendedKeyUsageOID.EMAIL_PROTECTION},
        {"ca": True},
        {"unknown": True},
    ],
    ids=["no usage", "signing of documents", "no purpose", "another purpose", "a CA", "an unknown critical extension"],
)
def test_a_certificate_that_is_not_for_authentication_is_refused(ground: Ground, change: dict[str, object]) -> None:
    assert refused(ground, with_card(ground, P384, **change)) is SessionReason.CARD_CERTIFICATE


def test_a_card_of_another_authority_is_refused(ground: Ground, tmp_path: Path) -> None:
    make_jpki(tmp_path / "other", now=NOW)
    path = issue_card(tmp_path / "other", holder="x", algorithm="p384", pin=PIN, now=NOW, days=9)
    card = SimulatedCard.load(path)
    body = Sitting(ground).authenticate(
        card_certificate=card.certificate, card_signs=lambda content: card.sign(PIN, content)
    )
    assert refused(ground, body) is SessionReason.CARD_CERTIFICATE


def test_a_card_that_has_ended_is_refused_as_expired(ground: Ground) -> None:
    body = Sitting(ground).authenticate(kiosk=make_kiosk(ground.operator, NOW, days=398))
    assert refused(ground, body, now=NOW + 366 * DAY) is SessionReason.CARD_EXPIRED


def test_a_card_that_is_not_valid_yet_is_refused(ground: Ground) -> None:
    path = issue_card(ground.jpki, holder="early", algorithm="p384", pin=PIN, now=NOW + 9 * DAY, days=9)
    card = SimulatedCard.load(path)
    body = Sitting(ground).authenticate(
        card_certificate=card.certificate, card_signs=lambda content: card.sign(PIN, content)
    )
    assert refused(ground, body) is SessionReason.CARD_CERTIFICATE
    assert verified(ground, body, now=NOW + 10 * DAY)


def test_a_card_signature_by_another_card_is_refused(ground: Ground) -> None:
    other = signs(ec.generate_private_key(ec.SECP384R1()))
    assert refused(ground, Sitting(ground).authenticate(card_signs=other)) is SessionReason.CARD_SIGNATURE


def test_a_signature_with_another_hash_or_padding_is_refused(ground: Ground) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = card_of(load_signer(ground.jpki, "issuing"), key)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    for sign in (
        lambda content: key.sign(content, padding.PKCS1v15(), hashes.SHA384()),
        lambda content: key.sign(content, pss, hashes.SHA256()),
        lambda _: b"",
    ):
        body = Sitting(ground).authenticate(card_certificate=certificate, card_signs=sign)
        assert refused(ground, body) is SessionReason.CARD_SIGNATURE


def test_no_refusal_says_what_stands_in_a_card(ground: Ground, tmp_path: Path) -> None:
    make_jpki(tmp_path / "other", now=NOW)
    path = issue_card(tmp_path / "other", holder="x", algorithm="p384", pin=PIN, now=NOW, days=9)
    certificate = SimulatedCard.load(path).certificate
    leaf = x509.load_der_x509_certificate(certificate)
    (name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    with pytest.raises(SessionRefused) as caught:
        verified(ground, Sitting(ground).authenticate(card_certificate=certificate))
    for secret in (str(name.value), str(leaf.serial_number), f"{leaf.serial_number:x}"):
        assert secret not in str(caught.value)


@given(data=st.binary(max_size=200), at=st.integers(0, 700), bit=st.integers(0, 7))
def test_bytes_that_are_no_certificate_are_refused_and_nothing_else(
    ground: Ground, data: bytes, at: int, bit: int
) -> None:
    body = Sitting(ground).authenticate()
    spoiled = bytearray(body.card_certificate)
    spoiled[at % len(spoiled)] ^= 1 << bit
    for card, kiosk in ((data, body.kiosk_certificate), (bytes(spoiled), data), (bytes(spoiled), None)):
        other = msgspec.structs.replace(
            body, card_certificate=card, kiosk_certificate=body.kiosk_certificate if kiosk is None else kiosk
        )
        assert refused(ground, other).name.startswith(("CARD", "KIOSK"))


# --- the statement


def make_statement(copies: int = 1) -> Statement:
    """What is applied for."""
    return Statement(bytes(16), MUNICIPALITY, "juminhyo", 1, copies, 1)


def test_a_statement_signed_by_the_session_is_verified() -> None:
    key = new_session_key()
    session = KioskSession(OPERATOR, KIOSK, point(key), bytes(32))
    verify_statement(make_statement(), es256(key, statement_to_sign(make_statement())), session)


def test_a_statement_by_another_key_or_with_other_content_is_refused() -> None:
    key, other = new_session_key(), new_session_key()
    session = KioskSession(OPERATOR, KIOSK, point(key), bytes(32))
    signature = es256(key, statement_to_sign(make_statement()))
    for statement, sign, by in (
        (make_statement(), es256(other, statement_to_sign(make_statement())), session),
        (make_statement(copies=2), signature, session),
        (make_statement(), signature, msgspec.structs.replace(session, sign_key=point(other))),
        (make_statement(), signature, msgspec.structs.replace(session, sign_key=b"\x04" + bytes(64))),
        (make_statement(), bytes(64), session),
        (make_statement(), b"", session),
    ):
        with pytest.raises(SessionRefused) as caught:
            verify_statement(statement, sign, by)
        assert caught.value.reason is SessionReason.SESSION_SIGNATURE


def test_a_card_signature_says_nothing_as_a_statement(ground: Ground) -> None:
    """The two kinds of signature never stand for one another, even if one key made both."""
    kiosk = ground.kiosk
    body = Sitting(ground).authenticate(nonce=NONCE)
    session = KioskSession(OPERATOR, KIOSK, point(kiosk.key), bytes(32))
    with pytest.raises(SessionRefused):
        verify_statement(make_statement(), body.kiosk_signature, session)
