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
    """One kind of certificate: the end it stands at, whether the centre or a member stands there, and for how long.

    `days` is the validity unless the caller asks for another; `days_max` is never passed.
    """

    name: str
    usage: Usage
    of_centre: bool
    days: int
    days_max: int

    def objection(self, subject: LineName, hosts: tuple[str, ...]) -> str | None:
        """Say why this profile is not for that name and those hosts; None if it is."""
        if (subject.party == CENTRE_PARTY) is not self.of_centre:
            whose = f"for the party '{CENTRE_PARTY}' alone" if self.of_centre else "for members"
            others = " or ".join(each.name for each in PROFILES.values() if each.of_centre is not self.of_centre)
            return f"profile {self.name} is {whose}; the party '{subject.party}' takes profile {others}"
        if hosts and self.usage == "client":
            return f"profile {self.name} names a line that dials and takes no hosts"
        return None


CENTRE: Final = Profile(name="centre", usage="server", of_centre=True, days=365, days_max=398)
"""The gateway's own certificate: `line://centre/<role>`, with the hosts at which it is reached."""

LINE: Final = Profile(name="line", usage="client", of_centre=False, days=365, days_max=398)
"""A member's dedicated line, or a kiosk's towards its operator's relay: the end that dials."""

HOST: Final = Profile(name="host", usage="server", of_centre=False, days=365, days_max=398)
"""A member's end that accepts a line: a municipality's towards the centre, a relay's towards its kiosks."""

DIAL: Final = Profile(name="dial", usage="client", of_centre=True, days=365, days_max=398)
"""The centre's end that dials: `line://centre/<role>`, towards a municipality."""

PROFILES: Final[dict[str, Profile]] = {profile.name: profile for profile in (CENTRE, LINE, HOST, DIAL)}


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a P-256 key, the one kind of key that this PKI uses."""
    return ec.generate_private_key(ec.SECP256R1())
