"""The test card authority (試験用): a P-384 root, an issuing CA, a delegated OCSP responder, revocation lists.

    root.pem root.key  issuing.pem issuing.key  responder.pem responder.key  anchors.pem (root and issuing)
    register.sqlite  crl.der (of the issuing CA)  cards/<holder>.card

The shape is that of the certificates for user authentication (利用者証明用電子証明書): the subject is a random string,
and the certificate says where its status is to be asked. Revocation is for ever; a hold is never released.
Source: DOMAIN 2.8; RFC 5280; RFC 6960, 4.2.2.2.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from certs.files import PRIVATE, PUBLIC, write_new, write_whole
from certs.profiles import CA_SIGNATURE, DIGITAL_SIGNATURE
from gateway.peers.jpki.errors import JpkiAbsent, JpkiRefused
from gateway.peers.jpki.store import CardRecord, Register

Algorithm = Literal["rsa2048", "p384"]
Reason = Literal[
    "unspecified",
    "key_compromise",
    "ca_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "certificate_hold",
]
"""Why a card's certificate is taken back (DOMAIN 2.8)."""

ORGANISATION: Final = "TEST card authority (試験用認証局)"
RESPONDER_DEFAULT: Final = "http://127.0.0.1:8888/ocsp"
ROOT_DAYS: Final = 7300
ISSUING_DAYS: Final = 3650
CRL_HOURS: Final = 24
"""A list is made daily."""
BACKDATED: Final = timedelta(minutes=5)

CardKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Signer:
    """One certificate of the authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_jpki(directory: Path, *, now: datetime, responder: str = RESPONDER_DEFAULT) -> None:
    """Make an authority in a directory that does not exist or is empty, with a first revocation list.

    `responder` is the URL that cards will name for their status. Raises: JpkiRefused.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise JpkiRefused(f"{directory} exists and is not an empty directory; choose another")
    (directory / "cards").mkdir(parents=True, mode=0o700)
    root = _certified("Root", None, now=now, days=ROOT_DAYS)
    issuing = _certified("Issuing", root, now=now, days=ISSUING_DAYS)
    signers = {"root": root, "issuing": issuing, "responder": _responder(issuing, now)}
    for stem, signer in signers.items():
        key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new(directory / f"{stem}.key", key, mode=PRIVATE)
        write_new(directory / f"{stem}.pem", _pem(signer.certificate), mode=PUBLIC)
    write_new(directory / "anchors.pem", _pem(root.certificate) + _pem(issuing.certificate), mode=PUBLIC)
    Register.create(directory, responder=responder)
    write_crl(directory, now=now)


def load_signer(directory: Path, stem: Literal["root", "issuing", "responder"]) -> Signer:
    """Read one certificate of the authority with its key. Raises: JpkiAbsent."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{stem}.pem").read_bytes())
        key = load_pem_private_key((directory / f"{stem}.key").read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise JpkiAbsent(f"{directory / stem}.pem or .key cannot be used: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise JpkiAbsent(f"{directory / stem}.key is not the key of {stem}.pem")
    return Signer(certificate, key)


def certify(directory: Path, key: CardKey, record: CardRecord) -> x509.Certificate:
    """Note a card in the register, then sign its certificate.

    Raises: JpkiRefused when it would outlive the issuing CA; JpkiAbsent.
    """
    issuing, register = load_signer(directory, "issuing"), Register(directory)
    if record.not_after > issuing.certificate.not_valid_after_utc:
        raise JpkiRefused(f"the issuing CA ends {issuing.certificate.not_valid_after_utc.date()}; choose fewer days")
    url = register.responder
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"TEST{secrets.token_hex(12).upper()}"),
        ]
    )
    builder = (
        _begun(subject, key.public_key(), issuing.certificate, record.not_before, record.not_after, record.serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))]
            ),
            critical=False,
        )
        .add_extension(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier(_crl_url(url))], None, None, None)]
            ),
            critical=False,
        )
    )
    register.add(record)
    return builder.sign(issuing.key, hashes.SHA384())


def revoke(directory: Path, serial: int, reason: str, now: datetime) -> None:
    """Take a card's certificate back for ever, and write the revocation list anew.

    Raises: JpkiRefused for a serial not issued here or revoked already, or a reason there is not; JpkiAbsent.
    """
    if reason not in get_args(Reason):
        raise JpkiRefused(f"no reason {reason!r}; there are {', '.join(get_args(Reason))}")
    Register(directory).revoke(serial, reason=reason, at=now)
    write_crl(directory, now=now)


def write_crl(directory: Path, *, now: datetime, hours: int = CRL_HOURS) -> None:
    """Write `crl.der`, good for so many hours. Raises: JpkiAbsent."""
    issuing, register = load_signer(directory, "issuing"), Register(directory)
    number = register.next_crl_number()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.certificate.subject)
        .last_update(_seconds(now))
        .next_update(_seconds(now + timedelta(hours=hours)))
        .add_extension(_key_id(issuing.certificate), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for card in register.cards():
        if card.revoked_at is None or card.reason is None:
            continue
        entry = x509.RevokedCertificateBuilder().serial_number(card.serial).revocation_date(card.revoked_at)
        if card.reason != "unspecified":  # RFC 5280, 5.3.1: unspecified is said by saying nothing
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags[card.reason]), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(issuing.key, hashes.SHA384())
    write_whole(directory / "crl.der", signed.public_bytes(Encoding.DER), mode=PUBLIC)


def _certified(name: str, signer: Signer | None, *, now: datetime, days: int) -> Signer:
    """A CA certificate: the root's, or one that the root signs."""
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"TEST Card CA {name} {secrets.token_hex(4)}"),
        ]
    )
    first, last = now - BACKDATED, now + timedelta(days=days)
    certificate = (
        _begun(
            subject, key.public_key(), None if signer is None else signer.certificate, first, last,
            x509.random_serial_number(),
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=1 if signer is None else 0), critical=True)
        .add_extension(CA_SIGNATURE, critical=True)
        .sign(key if signer is None else signer.key, hashes.SHA384())
    )  # fmt: skip
    return Signer(certificate, key)


def _responder(issuing: Signer, now: datetime) -> Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, "TEST Card OCSP Responder"),
        ]
    )
    end = issuing.certificate.not_valid_after_utc
    certificate = (
        _begun(subject, key.public_key(), issuing.certificate, now - BACKDATED, end, x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .sign(issuing.key, hashes.SHA384())
    )
    return Signer(certificate, key)


def _begun(
    subject: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: x509.Certificate | None,
    not_before: datetime,
    not_after: datetime,
    serial: int,
) -> x509.CertificateBuilder:
    """What every certificate has; without an issuer it is its own."""
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key) if issuer is None else _key_id(issuer)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(_seconds(not_before))
        .not_valid_after(_seconds(not_after))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority, critical=False)
    )


def _key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _crl_url(responder: str) -> str:
    return responder.rsplit("/", 1)[0] + "/crl.der"


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
