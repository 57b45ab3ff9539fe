"""The line's PKI: whom a certificate names, profiles, chain and revocation, development CA, TLS contexts."""

from certs.anchors import TrustAnchors
from certs.authentication import Card, verify_session, verify_statement
from certs.authority import DevelopmentAuthority, Issued
from certs.contexts import LineFiles, client_context, server_context
from certs.errors import (
    AnchorsError,
    AuthorityError,
    AuthorityProblem,
    CardRevoked,
    CardUnverifiable,
    CertificateRefused,
    CertsError,
    LineNameError,
    MaterialError,
    MaterialProblem,
    ProtocolNotAgreedError,
    Refusal,
    RevocationListError,
    SessionReason,
    SessionRefused,
)
from certs.material import Material, TlsMaterial
from certs.names import CENTRE_PARTY, LineName, parse_line_name, parse_line_uri
from certs.profiles import CENTRE, DIAL, HOST, LINE, PROFILES, Profile, Usage
from certs.revocation import RevocationList, RevocationLists
from certs.verification import LineCertificate, verify_line_certificate

__all__ = [
    "CENTRE",
    "CENTRE_PARTY",
    "DIAL",
    "HOST",
    "LINE",
    "PROFILES",
    "AnchorsError",
    "AuthorityError",
    "AuthorityProblem",
    "Card",
    "CardRevoked",
    "CardUnverifiable",
    "CertificateRefused",
    "CertsError",
    "DevelopmentAuthority",
    "Issued",
    "LineCertificate",
    "LineFiles",
    "LineName",
    "LineNameError",
    "Material",
    "MaterialError",
    "MaterialProblem",
    "Profile",
    "ProtocolNotAgreedError",
    "Refusal",
    "RevocationList",
    "RevocationListError",
    "RevocationLists",
    "SessionReason",
    "SessionRefused",
    "TlsMaterial",
    "TrustAnchors",
    "Usage",
    "client_context",
    "parse_line_name",
    "parse_line_uri",
    "server_context",
    "verify_line_certificate",
    "verify_session",
    "verify_statement",
]
