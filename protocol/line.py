"""What both ends of a line share: reading frames by state, sealing, heartbeat frames, faults.

Sans-IO: `receive_data` takes bytes and gives events; every `send_*` gives the bytes to write, in order. Once a method
raised RemoteProtocolError the line is over: write `fault(error)` and close. Not here: sockets, clocks, randomness,
private keys (a caller signs what `*_to_sign` returns and hands the signature back).
"""

from abc import ABC, abstractmethod
from typing import Final, TypeVar

import msgspec

from protocol import limits
from protocol.errors import FaultCode, FaultReceivedError, LocalProtocolError, RemoteProtocolError
from protocol.frames import Frame, FrameReader, FrameType, encode_frame
from protocol.messages import Fault, encode
from protocol.session import Opener, Sealer, SessionKeys
from protocol.states import SEALED, TRANSITIONS, State, check_receivable

PING_BYTES: Final = 8
PONGS_OWED_MAX: Final = 16
_fault = msgspec.msgpack.Decoder(Fault)
T = TypeVar("T")


class Ponged(msgspec.Struct, frozen=True):
    """The peer is alive; its PONG carried this token."""

    token: bytes


def read_message(decoder: msgspec.msgpack.Decoder[T], content: bytes, what: str) -> T:
    """Decode one message strictly. Raises: RemoteProtocolError(MALFORMED | NOT_CANONICAL)."""
    try:
        value = decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise RemoteProtocolError(FaultCode.MALFORMED, f"{what} is malformed") from None
    if encode(value) != content:
        raise RemoteProtocolError(FaultCode.NOT_CANONICAL, f"{what} is not canonical MessagePack")
    return value


class LineEnd(ABC):
    """One end of a line; see PeerLine and CentreLine."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.session = b""
        self._reader = FrameReader(limits.HANDSHAKE_FRAME_BYTES_MAX)
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._pings: list[bytes] = []

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[object]:
        """Events in the bytes, in order.

        Raises: RemoteProtocolError when the peer broke the protocol (events before it in the same bytes are lost with
        the line); FaultReceivedError when the peer closed it; LocalProtocolError on a closed line.
        """
        if self.state is State.CLOSED:
            raise LocalProtocolError("bytes for a closed line")
        self._reader.feed(data)
        events: list[object] = []
        try:
            while (frame := self._reader.next_frame()) is not None:
                event = self._frame(frame)
                if event is not None:
                    events.append(event)
        except (RemoteProtocolError, FaultReceivedError):
            self.state = State.CLOSED
            raise
        return events

    def take_replies(self) -> bytes:
        """Frames this end owes without being asked (PONG); to be written after each receive_data.

        They are sealed here, not on receipt: a seal's number is its place in what is written.
        """
        if not self._pings or self.state is State.CLOSED:
            return b""
        out = b"".join([self._seal(FrameType.PONG, token) for token in self._pings])
        self._pings.clear()
        return out

    def ping(self, token: bytes) -> bytes:
        """A PING with 8 bytes that the PONG must carry. Raises: LocalProtocolError before the session stands."""
        if len(token) != PING_BYTES:
            raise LocalProtocolError("a PING carries 8 bytes")
        return self._seal(FrameType.PING, token)

    def fault(self, error: RemoteProtocolError) -> bytes:
        """The last frame of a line: why it is closed. Closes this end."""
        content = encode(Fault(int(error.code), error.detail[:200]))
        self.state = State.CLOSED
        if self._sealer is not None:
            return self._sealer.seal(FrameType.FAULT, content)
        return encode_frame(FrameType.FAULT, content)

    def close(self) -> None:
        """The stream is gone; nothing more may be sent or received."""
        self.state = State.CLOSED

    def _frame(self, frame: Frame) -> object | None:
        check_receivable(self.state, frame.type)
        opener = self._opener if self.state in SEALED else None
        content = frame.payload if opener is None else opener.open(frame)
        if frame.type is FrameType.PING:
            if len(content) != PING_BYTES:
                raise RemoteProtocolError(FaultCode.MALFORMED, "a PING carries 8 bytes")
            if len(self._pings) < PONGS_OWED_MAX:  # a flood of PINGs in one read earns no more
                self._pings.append(content)
            return None
        if frame.type is FrameType.PONG:
            if len(content) != PING_BYTES:
                raise RemoteProtocolError(FaultCode.MALFORMED, "a PONG carries 8 bytes")
            return Ponged(content)
        if frame.type is FrameType.FAULT:
            told = read_message(_fault, content, "FAULT")
            raise FaultReceivedError(told.code, told.detail[:200])
        return self._event(frame.type, content)

    @abstractmethod
    def _event(self, kind: FrameType, content: bytes) -> object | None:
        """The event of a frame of this end's own."""

    def _to(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise LocalProtocolError(f"no way from {self.state} to {state}")
        self.state = state

    def _seal(self, kind: FrameType, content: bytes) -> bytes:
        if self._sealer is None or self.state is State.CLOSED:
            raise LocalProtocolError(f"{kind.name} while {self.state}")
        return self._sealer.seal(kind, content)

    def _start_session(self, keys: SessionKeys, *, sends: bytes, receives: bytes) -> None:
        self.session = keys.session
        self._sealer = Sealer(sends)
        self._opener = Opener(receives)
        self._reader.frame_bytes_max = limits.FRAME_BYTES_MAX
