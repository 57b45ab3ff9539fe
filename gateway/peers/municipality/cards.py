"""A card before its first use: the key under which the municipality will know it, from its certificate."""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs import Card
from certs.anchors import PARSE_ERRORS
from gateway.peers.jpki.cards import SUFFIX, SimulatedCard
from gateway.peers.municipality.errors import SetupIncomplete


def read_card_certificate(path: Path) -> x509.Certificate:
    """The certificate of a simulated card's file, or of a PEM or DER file. Raises: SetupIncomplete; CardError."""
    try:
        if path.suffix == SUFFIX:
            return x509.load_der_x509_certificate(SimulatedCard.load(path).certificate)
        data = path.read_bytes()
        return (x509.load_pem_x509_certificate if data.startswith(b"-----") else x509.load_der_x509_certificate)(data)
    except (OSError, *PARSE_ERRORS) as error:
        raise SetupIncomplete(f"{path}: neither a simulated card nor a certificate (PEM or DER)") from error


def key_of_certificate(certificate: x509.Certificate, *, anchors: Path) -> bytes:
    """Card.key of a certificate that one of the card authority's certificates issued. Raises: SetupIncomplete."""
    try:
        authorities = x509.load_pem_x509_certificates(anchors.read_bytes())
    except (OSError, *PARSE_ERRORS) as error:
        raise SetupIncomplete(f"{anchors}: no certificates (PEM) can be read") from error
    issuer = next((each for each in authorities if issued_by(certificate, each)), None)
    if issuer is None:
        raise SetupIncomplete(f"the card is of none of the authorities in {anchors}")
    digest = Hash(SHA256())
    digest.update(issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return Card(
        serial=certificate.serial_number,
        issuer=digest.finalize(),
        certificate=certificate,
        issuer_certificate=issuer,
        not_after=certificate.not_valid_after_utc,
    ).key


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority's key signed the certificate, and its name stands there as issuer."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
