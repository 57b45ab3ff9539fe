"""Session keys and sealed frames.

Both ends derive, from the transcript of HELLO and WELCOME and an ephemeral ECDH, the session id and one AES-256-GCM
key a direction. A direction's frames are numbered from 0; the number is the nonce and never travels, so a frame that
is repeated, skipped, reordered or altered does not open. The frame's own header is the associated data.

Not here: who signed the handshake (protocol.handshake), what is inside (protocol.messages).
Source: docs/PROTOCOL.md, Handshake and Sealing; RFC 5869; NIST SP 800-38D.
"""

import hashlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import limits
from protocol.errors import FaultCode, LocalProtocolError, RemoteProtocolError
from protocol.frames import Frame, FrameType, frame_header
from protocol.keys import context

_FRAMES_MAX = 1 << 48
"""Frames a key may seal; far below what GCM allows for counted nonces, far above any line's life."""


class SessionKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Session id (32 bytes) and one AES-256 key a direction (32 bytes each)."""

    session: bytes
    to_centre: bytes
    to_peer: bytes


def ephemeral_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    """An ephemeral P-256 key's public point, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def derive_session(
    *,
    own: ec.EllipticCurvePrivateKey,
    other: bytes,
    binding: bytes,
    hello_body: bytes,
    welcome_body: bytes,
) -> SessionKeys:
    """The session both ends agree on.

    Shapes: other is 65 bytes; binding is the two certificate fingerprints, peer's before centre's.
    Raises: RemoteProtocolError(MALFORMED) for a point that is not on the curve.
    """
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), other)
    except ValueError:
        raise RemoteProtocolError(FaultCode.MALFORMED, "the ephemeral key is not a P-256 point") from None
    transcript = hashlib.sha256(
        context("transcript")
        + binding
        + len(hello_body).to_bytes(4, "big")
        + hello_body
        + len(welcome_body).to_bytes(4, "big")
        + welcome_body
    ).digest()
    secret = own.exchange(ec.ECDH(), point)
    material = HKDF(hashes.SHA256(), length=96, salt=transcript, info=context("session")).derive(secret)
    return SessionKeys(session=material[:32], to_centre=material[32:64], to_peer=material[64:])


class Sealer:
    """One direction, sending."""

    __slots__ = ("_aead", "_count")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._count = 0

    def seal(self, kind: FrameType, content: bytes) -> bytes:
        """A whole sealed frame. Raises: LocalProtocolError for one larger than FRAME_BYTES_MAX."""
        size = len(content) + limits.SEAL_OVERHEAD_BYTES
        if size >= limits.FRAME_BYTES_MAX or self._count >= _FRAMES_MAX:
            raise LocalProtocolError(f"a frame of {size} bytes cannot be sealed")
        header = frame_header(kind, size)
        nonce = self._count.to_bytes(12, "big")
        self._count += 1
        return header + self._aead.encrypt(nonce, content, header)


class Opener:
    """One direction, receiving."""

    __slots__ = ("_aead", "_count")

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._count = 0

    def open(self, frame: Frame) -> bytes:
        """The frame's content. Raises: RemoteProtocolError(SEAL_BROKEN)."""
        try:
            content = self._aead.decrypt(self._count.to_bytes(12, "big"), frame.payload, frame.header)
        except (InvalidTag, ValueError):
            raise RemoteProtocolError(
                FaultCode.SEAL_BROKEN, "a frame did not open: altered, repeated, skipped or sealed with another key"
            ) from None
        self._count += 1
        return content
