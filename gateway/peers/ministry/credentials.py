"""The certificates between terminals and the ministry server: a small authority of the server's own.

    ca.pem  ca.key  server.pem  server.key        in --data/terminals

It is apart from the line's PKI: a terminal's certificate opens no line. A terminal gets key and certificate in one
PKCS#12 file for its browser; the server keeps only the certificate's SHA-256, and the registration decides (people).
So a lost terminal is refused at once, by the register, without revocation lists.
Source: 002 別2-2(4), (5); RFC 5280; RFC 7292.
"""

import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.files import PRIVATE, PUBLIC, write_new, write_whole
from certs.profiles import CA_SIGNATURE, DIGITAL_SIGNATURE, new_key
from gateway.peers.ministry.desk import Terminal
from gateway.peers.ministry.errors import SetupIncomplete

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 398
TERMINAL_DAYS: Final = 730
_BACKDATED: Final = timedelta(minutes=5)
_ORGANISATION: Final = "Sekisho ministry server"
_NO_CHECK_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name."""


def make_authority(directory: Path, *, hosts: Sequence[str], now: datetime) -> None:
    """Make the authority and the server's certificate for the hosts terminals call. Raises: SetupIncomplete."""
    directory.mkdir(mode=0o700)
    key = new_key()
    name = _name("Terminal CA")
    certificate = (
        _builder(name, name, key, now=now, days=CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(CA_SIGNATURE, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_whole(directory / "ca.key", _key_pem(key), mode=PRIVATE)
    write_whole(directory / "ca.pem", certificate.public_bytes(Encoding.PEM), mode=PUBLIC)
    renew_server(directory, hosts=hosts, now=now)


def renew_server(directory: Path, *, hosts: Sequence[str], now: datetime) -> None:
    """Make the server a new certificate."""
    ca, ca_key = _authority(directory)
    key = new_key()
    certificate = (
        _leaf(ca, _name(hosts[0]), key, now=now, days=SERVER_DAYS, usage=ExtendedKeyUsageOID.SERVER_AUTH)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_whole(directory / "server.key", _key_pem(key), mode=PRIVATE)
    write_whole(directory / "server.pem", certificate.public_bytes(Encoding.PEM), mode=PUBLIC)


def issue_terminal(directory: Path, out: Path, *, label: str, password: str, now: datetime, days: int) -> Terminal:
    """Write a terminal's PKCS#12 file, and give what is to be registered. Raises: SetupIncomplete, FileExistsError."""
    ca, ca_key = _authority(directory)
    key = new_key()
    certificate = _leaf(ca, _name(label), key, now=now, days=days, usage=ExtendedKeyUsageOID.CLIENT_AUTH).sign(
        ca_key, hashes.SHA256()
    )
    packed = pkcs12.serialize_key_and_certificates(
        label.encode(), key, certificate, [ca], BestAvailableEncryption(password.encode())
    )
    write_new(out, packed, mode=PRIVATE)
    return Terminal(
        fingerprint=fingerprint(certificate.public_bytes(Encoding.DER)),
        label=label,
        not_before_us=_us(certificate.not_valid_before_utc),
        not_after_us=_us(certificate.not_valid_after_utc),
    )


def fingerprint(der: bytes) -> bytes:
    """SHA-256 of a certificate's DER: what a terminal is known by."""
    return hashlib.sha256(der).digest()


def server_context(directory: Path) -> ssl.SSLContext:
    """TLS 1.3 with a client certificate of the authority required.

    A certificate past its date is let through the handshake, so that its terminal gets a page that says what to do;
    the register knows the date and the application is never reached (gateway.peers.ministry.serving). Tickets are off:
    each connection proves the terminal anew. Raises: SetupIncomplete.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | ssl.VerifyFlags.VERIFY_X509_STRICT | _NO_CHECK_TIME)
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        context.load_verify_locations(directory / "ca.pem")
        context.load_cert_chain(directory / "server.pem", directory / "server.key", password="")
    except (OSError, ssl.SSLError) as error:
        raise SetupIncomplete(f"{directory}: the server's certificate cannot be used ({error})") from error
    return context


def _authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SetupIncomplete(f"{directory} holds no terminal authority; run `sekisho ministry init`") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SetupIncomplete(f"{directory / 'ca.key'} is not the authority's key; restore it from the back-up")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - _BACKDATED).replace(microsecond=0))
        .not_valid_after((now + timedelta(days=days)).replace(microsecond=0))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _leaf(
    ca: x509.Certificate,
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: datetime,
    days: int,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    issuer_key = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _builder(subject, ca.subject, key, now=now, days=days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000
