"""HELLO and WELCOME: what they say, and how each is signed.

Both are signed envelopes (protocol.envelope). The binding of both is the SHA-256 fingerprints of the two TLS
certificates, peer's before centre's, so a signed handshake cannot be moved to another TLS connection's ends; WELCOME's
binding adds the hash of HELLO's body, so it answers this HELLO and no other.

Source: docs/PROTOCOL.md, Handshake.
"""

import hashlib
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import limits
from protocol.errors import FaultCode, RemoteProtocolError
from protocol.keys import context

FINGERPRINT_BYTES: Final = 32
NONCE_BYTES: Final = 32
POINT_BYTES: Final = 65


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """[versions offered, role asked for, environment, nonce (32), ephemeral point (65)], from the peer."""

    versions: list[int]
    role: str
    environment: str
    nonce: bytes
    ephemeral: bytes


class Welcome(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """[version, role, environment, nonce (32), ephemeral point (65), slot, slots, credit, heartbeat ms].

    slot names the worker this connection reached, of slots in all; a peer asks for connections until it has each.
    """

    version: int
    role: str
    environment: str
    nonce: bytes
    ephemeral: bytes
    slot: int
    slots: int
    credit: int
    heartbeat_ms: int


encode = msgspec.msgpack.Encoder().encode
_hello = msgspec.msgpack.Decoder(Hello)
_welcome = msgspec.msgpack.Decoder(Welcome)


def hello_to_sign(body: bytes, *, binding: bytes) -> bytes:
    """What the peer's line key signs."""
    return context("hello") + binding + body


def welcome_to_sign(body: bytes, *, binding: bytes, hello_body: bytes) -> bytes:
    """What the centre's line key signs."""
    return context("welcome") + binding + hashlib.sha256(hello_body).digest() + body


def _check_points(nonce: bytes, ephemeral: bytes) -> None:
    if len(nonce) != NONCE_BYTES or len(ephemeral) != POINT_BYTES:
        raise RemoteProtocolError(FaultCode.MALFORMED, "a nonce has 32 bytes and an ephemeral key 65")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), ephemeral)
    except ValueError:
        raise RemoteProtocolError(FaultCode.MALFORMED, "the ephemeral key is not a P-256 point") from None


def read_hello(body: bytes) -> Hello:
    """Read HELLO's body. Raises: RemoteProtocolError(MALFORMED | NOT_CANONICAL | VERSION_UNKNOWN)."""
    try:
        hello = _hello.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RemoteProtocolError(FaultCode.MALFORMED, "HELLO is malformed") from None
    if encode(hello) != body:
        raise RemoteProtocolError(FaultCode.NOT_CANONICAL, "HELLO is not canonical")
    _check_points(hello.nonce, hello.ephemeral)
    if limits.PROTOCOL_VERSION not in hello.versions:
        raise RemoteProtocolError(
            FaultCode.VERSION_UNKNOWN, f"versions {hello.versions[:8]} offered; {limits.PROTOCOL_VERSION} is spoken"
        )
    return hello


def read_welcome(body: bytes, *, hello: Hello) -> Welcome:
    """Read WELCOME's body and hold it against the HELLO it answers.

    Raises: RemoteProtocolError(MALFORMED | NOT_CANONICAL | VERSION_UNKNOWN | WRONG_CENTRE).
    """
    try:
        welcome = _welcome.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RemoteProtocolError(FaultCode.MALFORMED, "WELCOME is malformed") from None
    if encode(welcome) != body:
        raise RemoteProtocolError(FaultCode.NOT_CANONICAL, "WELCOME is not canonical")
    _check_points(welcome.nonce, welcome.ephemeral)
    if welcome.version not in hello.versions:
        raise RemoteProtocolError(FaultCode.VERSION_UNKNOWN, f"version {welcome.version} was not offered")
    if (welcome.role, welcome.environment) != (hello.role, hello.environment):
        raise RemoteProtocolError(FaultCode.WRONG_CENTRE, "the centre has another role or environment")
    if not (
        0 <= welcome.slot < welcome.slots <= 4096
        and 0 < welcome.credit <= limits.CREDIT_REQUESTS_MAX
        and welcome.heartbeat_ms > 0
    ):
        raise RemoteProtocolError(FaultCode.MALFORMED, "WELCOME's numbers are outside their bounds")
    return welcome
