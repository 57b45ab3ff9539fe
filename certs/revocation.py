"""Which certificates were taken back: revocation lists, proven against their issuers, each fresh or of no use.

A list is accepted only whole: signed by a CA among the anchors that may sign lists, dated, with no critical extension
(a delta, an indirect or a partial list would say less than it seems to). Freshness is asked at every use, not at
loading, so that a list which ages while the process runs stops letting anyone in.
Source: RFC 5280, 5.2 and 6.3; DESIGN 3, invariant 9.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.anchors import PARSE_ERRORS, TrustAnchors
from certs.errors import CertificateRefused, Refusal, RevocationListError

CRLS_MAX: Final = 64

_CRL_PEM = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

_IssuerId = tuple[bytes, bytes]
"""Name and key, both DER: a CA that changed its key is another issuer."""


def issuer_id(certificate: x509.Certificate) -> _IssuerId:
    """Identify a CA by its name and its key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.subject.public_bytes(), key


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """One issuer's list: the serials taken back, good from `this_update` up to and excluding `next_update` (UTC).

    `number` is the CRL number (RFC 5280, 5.2.3), 0 where there is none.
    """

    issuer: str
    this_update: datetime
    next_update: datetime
    number: int
    serials: frozenset[int]

    @property
    def age(self) -> tuple[datetime, int]:
        """What is greater in the newer of two lists."""
        return self.this_update, self.number


@dataclass(frozen=True, slots=True)
class RevocationLists:
    """The newest list of each issuer."""

    by_issuer: dict[_IssuerId, RevocationList]

    @classmethod
    def parse(cls, pem: bytes, *, anchors: TrustAnchors) -> Self:
        """Read a bundle of PEM revocation lists; of two by the same issuer the newer counts.

        Raises: RevocationListError when one cannot be read, is not whole or dated, or no anchor signed it.
        """
        blocks = _CRL_PEM.findall(pem)
        if not blocks:
            raise RevocationListError("no PEM revocation list (BEGIN X509 CRL) in it")
        if len(blocks) > CRLS_MAX:
            raise RevocationListError(f"{len(blocks)} revocation lists; at most {CRLS_MAX} are taken")
        newest: dict[_IssuerId, RevocationList] = {}
        for block in blocks:
            try:
                issuer, found = _read(block, anchors)
            except PARSE_ERRORS as error:
                raise RevocationListError(f"not a revocation list: {error}") from error
            known = newest.get(issuer)
            if known is None or found.age > known.age:
                newest[issuer] = found
        return cls(newest)

    @property
    def next_update(self) -> datetime:
        """When the first of the lists goes stale and nobody under it can be let in: what an alarm watches."""
        return min(each.next_update for each in self.by_issuer.values())

    def require_good(self, certificate: x509.Certificate, *, issuer: x509.Certificate, now: datetime) -> datetime:
        """Pass only if a fresh list of the issuer exists and does not hold the certificate. Returns: until when.

        Raises: CertificateRefused with REVOCATION_MISSING, REVOCATION_STALE or REVOKED.
        """
        found = self.by_issuer.get(issuer_id(issuer))
        if found is None:
            raise CertificateRefused(
                Refusal.REVOCATION_MISSING, f"no revocation list of {issuer.subject.rfc4514_string()}"
            )
        # What was once revoked stays so: a stale list still proves it.
        if certificate.serial_number in found.serials:
            raise CertificateRefused(Refusal.REVOKED, f"serial {certificate.serial_number:x} of {found.issuer}")
        require_fresh(found, now=now)
        return found.next_update

    def older_than(self, held: "RevocationLists") -> str | None:
        """Name an issuer whose list here is older than the one held; None if there is none."""
        for issuer, ours in self.by_issuer.items():
            theirs = held.by_issuer.get(issuer)
            if theirs is not None and ours.age < theirs.age:
                return ours.issuer
        return None


def require_fresh(found: RevocationList, *, now: datetime) -> None:
    """Raise CertificateRefused(REVOCATION_STALE) unless the list is good at that moment."""
    if now >= found.next_update:
        raise CertificateRefused(
            Refusal.REVOCATION_STALE, f"the list of {found.issuer} ended {found.next_update.isoformat()}"
        )
    if now < found.this_update:
        raise CertificateRefused(
            Refusal.REVOCATION_STALE, f"the list of {found.issuer} begins only {found.this_update.isoformat()}"
        )


def _read(pem: bytes, anchors: TrustAnchors) -> tuple[_IssuerId, RevocationList]:
    crl = x509.load_pem_x509_crl(pem)
    name = crl.issuer.rfc4514_string()
    for extension in crl.extensions:
        if extension.critical:
            raise RevocationListError(f"the list of {name} is not whole (critical {extension.oid.dotted_string})")
    if crl.next_update_utc is None:
        raise RevocationListError(f"the list of {name} does not say when the next is due")
    for candidate in anchors.certificates:
        if candidate.subject == crl.issuer and _may_sign_lists(candidate) and _signed_by(crl, candidate):
            return issuer_id(candidate), RevocationList(
                issuer=name,
                this_update=crl.last_update_utc,
                next_update=crl.next_update_utc,
                number=_number(crl),
                serials=frozenset(entry.serial_number for entry in crl),
            )
    raise RevocationListError(f"the list of {name} is signed by no CA among the anchors")


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _may_sign_lists(certificate: x509.Certificate) -> bool:
    return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    try:
        return crl.is_signature_valid(key)  # type: ignore[arg-type]  # a key that cannot sign raises TypeError
    except (TypeError, ValueError):
        return False
