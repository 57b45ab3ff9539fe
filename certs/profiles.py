"""What kinds of certificate there are: a profile fixes key, usage and validity, so that a caller chooses only a name.

Loose wishes become a certificate only through one of these values; there is no way to ask for a usage.
"""

from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from certs.names import CENTRE_PARTY, LineName

Usage = Literal["client", "server"]
"""The end of a TLS connection that a certificate may stand at."""

USAGE_OIDS: Final[dict[Usage, x509.ObjectIdentifier]] = {
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
}

DIGITAL_SIGNATURE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""All that TLS 1.3 asks of a leaf's key."""

CA_SIGNATURE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of certificate: the end it stands at, and for how long at most.

    `days` is the validity unless the caller asks for another; `days_max` is never passed.
    """

    name: str
    usage: Usage
    days: int
    days_max: int

    def objection(self, subject: LineName, hosts: tuple[str, ...]) -> str | None:
        """Say why this profile is not for that name and those hosts; None if it is."""
        if self.usage == "server":
            if subject.party != CENTRE_PARTY:
                return f"profile {self.name} is for the party '{CENTRE_PARTY}' alone, not '{subject.party}'"
            return None
        if subject.party == CENTRE_PARTY:
            return f"profile {self.name} is for members; the party '{CENTRE_PARTY}' takes profile centre"
        if hosts:
            return f"profile {self.name} names a line and takes no hosts"
        return None


CENTRE: Final = Profile(name="centre", usage="server", days=365, days_max=398)
"""The gateway's own certificate: `line://centre/<role>`, with the hosts at which it is reached."""

LINE: Final = Profile(name="line", usage="client", days=365, days_max=398)
"""A member's dedicated line."""

PROFILES: Final[dict[str, Profile]] = {profile.name: profile for profile in (CENTRE, LINE)}


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key, the one kind of key that this PKI uses."""
    return ec.generate_private_key(ec.SECP256R1())
