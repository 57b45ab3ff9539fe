"""May the holder of this certificate be on the line, and which line is it? One pure function over values.

The chain is the business of cryptography's own X.509 verifier, with its rules for CA certificates; what the leaf must
be is said here: no CA, a digital-signature key, the usage of its end of the connection, one line name. Then every
certificate below the root is looked up in a fresh list of its issuer.

Invariants: nothing passes in doubt, and nothing but CertificateRefused leaves for any bytes a peer can send. Work is
bounded: chain length, bytes and path length. The clock is handed in. Not here: what the named line may do (directory).
Source: DESIGN 6; RFC 5280, 4.2.1 and 6.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Subject,
    VerificationError,
)

from certs.anchors import PARSE_ERRORS, TrustAnchors
from certs.errors import CertificateRefused, LineNameError, Refusal
from certs.names import LineName, parse_line_uri
from certs.profiles import USAGE_OIDS, Usage
from certs.revocation import RevocationLists

CERTIFICATE_BYTES_MAX: Final = 16 << 10
CHAIN_CERTIFICATES_MAX: Final = 4
"""Intermediates a peer may send."""
CHAIN_DEPTH_MAX: Final = 3
"""Intermediates between leaf and root that the verifier follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCertificate:
    """A certificate that was found good: the line it names and what to remember it by.

    `fingerprint` is the SHA-256 of its DER (32 bytes). `good_until`, UTC: from then on it has to be verified again, as
    it ends or a revocation list does.
    """

    name: LineName
    serial: int
    fingerprint: bytes
    good_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLine:
    """A certificate found good but for revocation: from `begins` to `ends`, UTC, nothing on its path says otherwise."""

    name: LineName
    leaf: x509.Certificate
    begins: datetime
    ends: datetime


def verify_line_certificate(
    der: bytes,
    *,
    chain: Sequence[bytes],
    anchors: TrustAnchors,
    revocation: RevocationLists,
    usage: Usage,
    now: datetime,
    host: x509.GeneralName | None = None,
) -> LineCertificate:
    """Verify the peer's certificate and read the line it names.

    `der` is the leaf; `chain` what else the peer sent, DER, in any order; `usage` the end at which the peer stands;
    `now` an aware time. `host` (a DNSName or IPAddress) is for a client that reached a server by an address which the
    certificate must bear too.

    Raises: CertificateRefused, whose reason is the first that applies of MALFORMED, NOT_YET_VALID, EXPIRED,
    WRONG_ROLE, UNTRUSTED, MALFORMED or NO_LINE_NAME (the name), REVOCATION_MISSING, REVOKED, REVOCATION_STALE.
    ValueError when `now` has no time zone.
    """
    leaf, path, name = _proven(der, chain=chain, anchors=anchors, usage=usage, now=now, host=host)
    try:
        listed_until = [
            revocation.require_good(certificate, issuer=issuer, now=now) for certificate, issuer in pairwise(path)
        ]
    except PARSE_ERRORS as error:
        raise CertificateRefused(Refusal.MALFORMED, f"the certificate cannot be read: {error}") from error
    return LineCertificate(
        name=name,
        serial=leaf.serial_number,
        fingerprint=hashlib.sha256(der).digest(),
        good_until=min([leaf.not_valid_after_utc, *listed_until]),
    )


def verify_line_name(der: bytes, *, anchors: TrustAnchors, usage: Usage, now: datetime) -> NamedLine:
    """Verify all but revocation, for a certificate shown in a message by a holder who is on no line of ours.

    Revocation is the business of whoever let that holder on its line. Raises: as verify_line_certificate, but for the
    three reasons of revocation.
    """
    leaf, path, name = _proven(der, chain=(), anchors=anchors, usage=usage, now=now, host=None)
    return NamedLine(
        name=name,
        leaf=leaf,
        begins=max(each.not_valid_before_utc for each in path),
        ends=min(each.not_valid_after_utc for each in path),
    )


def _proven(
    der: bytes,
    *,
    chain: Sequence[bytes],
    anchors: TrustAnchors,
    usage: Usage,
    now: datetime,
    host: x509.GeneralName | None,
) -> tuple[x509.Certificate, list[x509.Certificate], LineName]:
    """The leaf, its path to a root and the line it names."""
    if now.tzinfo is None:
        raise ValueError("now must be an aware time")
    if len(chain) > CHAIN_CERTIFICATES_MAX:
        raise CertificateRefused(Refusal.MALFORMED, f"{len(chain)} certificates in the chain")
    leaf = parse_certificate(der)
    sent = [parse_certificate(each) for each in chain]
    try:
        _require_leaf(leaf, usage=usage, now=now)
        path = _verified_path(leaf, [*sent, *anchors.intermediates], anchors=anchors, usage=usage, now=now, host=host)
        return leaf, path, _line_name(leaf)
    except PARSE_ERRORS as error:
        raise CertificateRefused(Refusal.MALFORMED, f"the certificate cannot be read: {error}") from error


def parse_certificate(der: bytes) -> x509.Certificate:
    """Read one certificate, of which no other bytes say the same. Raises: CertificateRefused(MALFORMED)."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise CertificateRefused(Refusal.MALFORMED, f"a certificate of {len(der)} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        signature = certificate.signature
    except PARSE_ERRORS as error:
        raise CertificateRefused(Refusal.MALFORMED, f"not a certificate: {error}") from error
    # The library accepts a signature said to be some bits shorter: the same certificate with another fingerprint.
    if not der.endswith(b"\0" + signature):
        raise CertificateRefused(Refusal.MALFORMED, "the signature is not a whole number of octets")
    return certificate


def _require_leaf(leaf: x509.Certificate, *, usage: Usage, now: datetime) -> None:
    """Name the plain reasons ahead of the verifier, which gives only a text; it checks them again."""
    if now < leaf.not_valid_before_utc:
        raise CertificateRefused(Refusal.NOT_YET_VALID, f"valid from {leaf.not_valid_before_utc.isoformat()}")
    if now > leaf.not_valid_after_utc:
        raise CertificateRefused(Refusal.EXPIRED, f"ended {leaf.not_valid_after_utc.isoformat()}")
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        raise CertificateRefused(Refusal.WRONG_ROLE, "the certificate states no extended key usage") from None
    if USAGE_OIDS[usage] not in purposes:
        raise CertificateRefused(Refusal.WRONG_ROLE, f"the certificate is not for a {usage}")


def _verified_path(
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    *,
    anchors: TrustAnchors,
    usage: Usage,
    now: datetime,
    host: x509.GeneralName | None,
) -> list[x509.Certificate]:
    """Return the path from leaf to root, both included."""
    builder = (
        PolicyBuilder()
        .time(now)
        .store(anchors.store)
        .max_chain_depth(CHAIN_DEPTH_MAX)
        .extension_policies(ca_policy=_CA_POLICIES[usage], ee_policy=_LEAF_POLICIES[usage])
    )
    try:
        if host is not None:
            return builder.build_server_verifier(_subject(host)).verify(leaf, intermediates)
        # The client verifier is the one that asks for no host; which end the leaf may stand at is in the policies.
        return builder.build_client_verifier().verify(leaf, intermediates).chain
    except (VerificationError, UnsupportedAlgorithm) as error:
        raise CertificateRefused(Refusal.UNTRUSTED, str(error)) from error


def _subject(host: x509.GeneralName) -> Subject:
    if isinstance(host, x509.DNSName | x509.IPAddress):
        return host
    raise CertificateRefused(Refusal.WRONG_NAME, "a host is a DNS name or an IP address")


def _line_name(leaf: x509.Certificate) -> LineName:
    """Read the one `line:` URI of the SAN; other names beside it are tolerated."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise CertificateRefused(Refusal.NO_LINE_NAME, "the certificate has no alternative names") from None
    uris = [uri for uri in names.get_values_for_type(x509.UniformResourceIdentifier) if uri[:5].lower() == "line:"]
    if not uris:
        raise CertificateRefused(Refusal.NO_LINE_NAME, "no line:// name among the alternative names")
    if len(uris) > 1:
        raise CertificateRefused(Refusal.MALFORMED, f"{len(uris)} line names in one certificate")
    try:
        return parse_line_uri(uris[0])
    except LineNameError as error:
        raise CertificateRefused(Refusal.MALFORMED, str(error)) from error


def _require_usage(usage: Usage) -> Callable[[Policy, x509.Certificate, x509.ExtendedKeyUsage | None], None]:
    """Build the check that a leaf states its usage, and that a CA which states any states this one."""
    wanted = USAGE_OIDS[usage]

    def check(_policy: Policy, _certificate: x509.Certificate, purposes: x509.ExtendedKeyUsage | None) -> None:
        if purposes is not None and wanted not in purposes:
            raise ValueError(f"not for a {usage}")

    return check


def _require_signing_leaf(_policy: Policy, _certificate: x509.Certificate, use: x509.KeyUsage) -> None:
    if not use.digital_signature or use.key_cert_sign or use.crl_sign:
        raise ValueError("the key of a line signs handshakes, and neither certificates nor lists")


def _leaf_policy(usage: Usage) -> ExtensionPolicy:
    return (
        ExtensionPolicy.webpki_defaults_ee()
        .require_present(x509.KeyUsage, Criticality.CRITICAL, _require_signing_leaf)
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_usage(usage))
    )


def _ca_policy(usage: Usage) -> ExtensionPolicy:
    return ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _require_usage(usage)
    )


_LEAF_POLICIES: Final = {usage: _leaf_policy(usage) for usage in USAGE_OIDS}
_CA_POLICIES: Final = {usage: _ca_policy(usage) for usage in USAGE_OIDS}
