"""The dialling end's handshake, apart from how its bytes travel: whom the centre must be, and what HELLO says.

`greet` is for a connection whose TLS handshake is over, of Trio or of a plain socket; its caller signs, sends and
reads, and `welcomed` says when the session stands. Source: docs/PROTOCOL.md, Handshake.
"""

import secrets
import time
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from certs.material import Material, TlsMaterial
from certs.names import LineName
from protocol.handshake import Welcome
from protocol.peer import PeerLine, Welcomed
from protocol.trust import Trust

L = TypeVar("L", bound=PeerLine)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line leads: address, the centre's line name in its certificate, role, environment, and our own name."""

    host: str
    port: int
    centre: LineName
    role: str
    environment: str
    own: LineName


def greet(
    kind: type[L],
    target: Target,
    *,
    certificate: bytes | None,
    alpn: str | None,
    own: Material,
    material: TlsMaterial,
    trust: Trust,
) -> tuple[L, bytes, datetime]:
    """The peer's half, of the class given, what HELLO must sign, and until when the centre's certificate is good.

    `certificate` (DER) and `alpn` are what TLS says of the other end; `own` is the material whose context made the
    connection, while `material` judges by what is in force now. Raises: CertsError.
    """
    peer = material.verify_peer(certificate, alpn=alpn, usage="server", now=datetime.now(UTC), expected=target.centre)
    line = kind(
        role=target.role,
        environment=target.environment,
        party=target.own.party,
        line=target.own.line,
        binding=own.own.fingerprint + peer.fingerprint,
        trust=trust,
        now_us=lambda: time.time_ns() // 1000,
    )
    signed = line.hello_to_sign(nonce=secrets.token_bytes(32), ephemeral=ec.generate_private_key(ec.SECP256R1()))
    return line, signed, peer.good_until


def welcomed(line: PeerLine, data: bytes | bytearray) -> Welcome | None:
    """WELCOME once the bytes hold it whole; the session stands then. Raises: ProtocolError."""
    for event in line.receive_data(data):
        if isinstance(event, Welcomed):
            return event.welcome
    return None
