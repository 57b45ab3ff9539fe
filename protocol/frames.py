"""Frames: u32 length | u8 type | payload, big-endian; the length counts type and payload.

A frame's length is judged against the bound of the moment as soon as its four bytes are there, before anything is
allocated for it, so a peer can make the reader hold at most one bounded frame and what arrived behind it.
"""

import struct
from enum import IntEnum

import msgspec

from protocol import limits
from protocol.errors import FaultCode, RemoteProtocolError

_HEADER = struct.Struct(">IB")


class FrameType(IntEnum):
    """The u8 type. HELLO, WELCOME and a FAULT before the session are in the clear inside TLS; all else is sealed."""

    HELLO = 1
    WELCOME = 2
    REQUEST = 3
    RESPONSE = 4
    NOTICE = 5
    CREDIT = 6
    PING = 7
    PONG = 8
    DRAIN = 9
    FAULT = 10


_TYPES = {int(member): member for member in FrameType}


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it arrived; `header` is its 5 bytes, which the seal covers."""

    type: FrameType
    header: bytes
    payload: bytes


def encode_frame(kind: FrameType, payload: bytes) -> bytes:
    """Header and payload."""
    return _HEADER.pack(len(payload) + 1, kind) + payload


def frame_header(kind: FrameType, payload_bytes: int) -> bytes:
    """The 5 bytes before a payload of that many bytes."""
    return _HEADER.pack(payload_bytes + 1, kind)


class FrameReader:
    """Bytes in, frames out, however the bytes were cut.

    `frame_bytes_max` bounds the length field and may be raised between frames, when the session stands.
    Raises from next_frame: RemoteProtocolError(FRAME_TOO_LARGE | FRAME_UNKNOWN | MALFORMED).
    """

    __slots__ = ("_at", "_buffer", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = limits.HANDSHAKE_FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take what the stream gave."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    @property
    def buffered_bytes(self) -> int:
        """Bytes of frames not yet handed out."""
        return len(self._buffer) - self._at

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None until more bytes come."""
        at = self._at
        buffer = self._buffer
        have = len(buffer) - at
        if have < 4:
            return None
        length = int.from_bytes(buffer[at : at + 4], "big")
        if length > self.frame_bytes_max:
            raise RemoteProtocolError(
                FaultCode.FRAME_TOO_LARGE, f"a frame of {length} bytes; at most {self.frame_bytes_max}"
            )
        if length < 1:
            raise RemoteProtocolError(FaultCode.MALFORMED, "a frame without a type")
        if have < 5:
            return None
        kind = _TYPES.get(buffer[at + 4])
        if kind is None:
            raise RemoteProtocolError(FaultCode.FRAME_UNKNOWN, f"frame type {buffer[at + 4]} is not known")
        if have < 4 + length:
            return None
        end = at + 4 + length
        self._at = end
        return Frame(kind, bytes(buffer[at : at + 5]), bytes(buffer[at + 5 : end]))
