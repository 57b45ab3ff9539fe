"""Whom we trust to name lines: the roots, and the issuing authorities under them that we know.

Intermediates that a peer sends are used as well, but only those listed here can have a revocation list of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import Store

from certs.errors import AnchorsError

PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises on bytes that are no certificate, or on one with parts it cannot read."""

ANCHORS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """Roots and known intermediates, each proven to be a CA certificate.

    Made by `parse` or `of`; `store` is the roots as the verifier takes them.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    store: Store

    @classmethod
    def parse(cls, pem: bytes) -> Self:
        """Read a bundle of PEM certificates: the self-signed are roots, the others intermediates.

        Raises: AnchorsError when one is no CA certificate, when there is no root, or when there are too many.
        """
        try:
            certificates = x509.load_pem_x509_certificates(pem)
        except PARSE_ERRORS as error:
            raise AnchorsError(f"not a bundle of PEM certificates: {error}") from error
        return cls.of(certificates)

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate]) -> Self:
        """Take certificates that are read already. Raises: AnchorsError, as `parse`."""
        if len(certificates) > ANCHORS_MAX:
            raise AnchorsError(f"{len(certificates)} certificates; at most {ANCHORS_MAX} are taken")
        for certificate in certificates:
            _require_ca(certificate)
        roots = tuple(certificate for certificate in certificates if _self_signed(certificate))
        if not roots:
            raise AnchorsError("no self-signed root certificate among them")
        intermediates = tuple(certificate for certificate in certificates if certificate not in roots)
        return cls(roots=roots, intermediates=intermediates, store=Store(list(roots)))

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """All of them, roots first."""
        return self.roots + self.intermediates


def _require_ca(certificate: x509.Certificate) -> None:
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        signs = certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except (x509.ExtensionNotFound, *PARSE_ERRORS) as error:
        raise AnchorsError(f"{certificate.subject.rfc4514_string()} is no CA certificate: {error}") from error
    if not (is_ca and signs):
        raise AnchorsError(f"{certificate.subject.rfc4514_string()} is no CA certificate")


def _self_signed(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, *PARSE_ERRORS):
        return False
    return True
