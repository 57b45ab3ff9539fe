"""The centre's end of a line.

AWAIT_HELLO -> (HELLO verified) WELCOMING -> (WELCOME signed) SERVING -> DRAINING -> CLOSED.

A REQUEST is handed over only when its seal, canonical form, session, sequence, clock, algorithm, key and signature
all hold and the credit allows it. Keys of the line are looked up by the caller's function for every frame, so a key
withdrawn from the directory stops being believed at once.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import handshake, limits
from protocol.envelope import Envelope, pack, unpack
from protocol.errors import FaultCode, LocalProtocolError, RemoteProtocolError
from protocol.frames import FrameType, encode_frame
from protocol.handshake import Hello, Welcome
from protocol.keys import Algorithm, PublicKey, SignatureInvalid, context
from protocol.line import LineEnd, read_message
from protocol.messages import BlockShare, Credit, Drain, Notice, RequestBatch, ResponseBatch, Transient, encode
from protocol.request_id import is_request_id
from protocol.session import derive_session, ephemeral_public
from protocol.states import State

KeyOf = Callable[[str], PublicKey | None]
"""Key id -> the line's key if it is valid now, else None."""

_request_batch = msgspec.msgpack.Decoder(RequestBatch)
_REQUEST_CONTEXT = context("request")
_NO_TRANSIENTS: list[Transient] = []
_BODIES_A_FRAME_BYTES: Final = limits.FRAME_BYTES_MAX // 2
"""Of unrecorded responses put together, at most: the rest of the frame is for their ids."""


class HelloReceived(msgspec.Struct, frozen=True):
    """A verified HELLO; answer it with welcome_to_sign and welcome."""

    hello: Hello


class RequestsReceived(msgspec.Struct, frozen=True, gc=False):
    """A verified frame of requests, already counted against the credit."""

    batch: RequestBatch


class CentreLine(LineEnd):
    """The centre's half of one connection.

    binding: the two certificate fingerprints, peer's before centre's, 64 bytes. key_of: see KeyOf. now_us: the clock.
    """

    def __init__(
        self, *, role: str, environment: str, binding: bytes, key_of: KeyOf, now_us: Callable[[], int], credit: int
    ) -> None:
        super().__init__(State.AWAIT_HELLO)
        if not 0 < credit <= limits.CREDIT_REQUESTS_MAX or len(binding) != 2 * handshake.FINGERPRINT_BYTES:
            raise LocalProtocolError("credit or binding is outside its bounds")
        self.role = role
        self.environment = environment
        self.credit = credit
        self.in_flight = 0
        self._binding = binding
        self._key_of = key_of
        self._now_us = now_us
        self._hello: Hello | None = None
        self._hello_body = b""
        self._next_sequence = 0

    # --- the handshake

    def welcome_to_sign(
        self, *, nonce: bytes, ephemeral: ec.EllipticCurvePrivateKey, slot: int, slots: int, heartbeat_ms: int
    ) -> tuple[bytes, bytes]:
        """WELCOME's body, and what the centre's line key must sign; follow with welcome()."""
        if self.state is not State.WELCOMING or self._hello is None:
            raise LocalProtocolError(f"WELCOME while {self.state}")
        body = handshake.encode(
            Welcome(
                limits.PROTOCOL_VERSION,
                self.role,
                self.environment,
                nonce,
                ephemeral_public(ephemeral),
                slot,
                slots,
                self.credit,
                heartbeat_ms,
            )
        )
        return body, handshake.welcome_to_sign(body, binding=self._binding, hello_body=self._hello_body)

    def welcome(
        self, body: bytes, *, ephemeral: ec.EllipticCurvePrivateKey, algorithm: Algorithm, key_id: str, signature: bytes
    ) -> bytes:
        """The WELCOME frame; the session stands from here on."""
        if self._hello is None:
            raise LocalProtocolError(f"WELCOME while {self.state}")
        keys = derive_session(
            own=ephemeral,
            other=self._hello.ephemeral,
            binding=self._binding,
            hello_body=self._hello_body,
            welcome_body=body,
        )
        self._to(State.SERVING)
        frame = encode_frame(FrameType.WELCOME, pack(algorithm, key_id, signature, body))
        self._start_session(keys, sends=keys.to_peer, receives=keys.to_centre)
        return frame

    # --- serving

    def send_share(self, share: BlockShare) -> bytes:
        """A session's run of one block, at most RESPONSES_PER_FRAME_MAX responses; gives their credit back."""
        count = len(share.responses)
        if count > limits.RESPONSES_PER_FRAME_MAX:
            raise LocalProtocolError(f"{count} responses do not fit a frame")
        self._answered(count)
        return self._seal(FrameType.RESPONSE, encode(ResponseBatch(share, _NO_TRANSIENTS)))

    def send_transients(self, transients: list[Transient]) -> bytes:
        """Unrecorded responses; gives their credit back."""
        self._answered(len(transients))
        return b"".join(
            [self._seal(FrameType.RESPONSE, encode(ResponseBatch(None, part))) for part in _frames_of(transients)]
        )

    def send_notice(self, notice: Notice) -> bytes:
        """A NOTICE."""
        return self._seal(FrameType.NOTICE, encode(notice))

    def send_credit(self, window: int) -> bytes:
        """A new window of unanswered requests.

        A smaller one binds the peer when CREDIT reaches it; as requests may be on their way, this end goes on
        enforcing the largest window it ever gave.
        """
        if not 0 < window <= limits.CREDIT_REQUESTS_MAX:
            raise LocalProtocolError(f"a window of {window} is outside its bounds")
        self.credit = max(window, self.credit)
        return self._seal(FrameType.CREDIT, encode(Credit(window)))

    def send_drain(self, within_ms: int) -> bytes:
        """No further request will be admitted on this connection."""
        self._to(State.DRAINING)
        return self._seal(FrameType.DRAIN, encode(Drain(within_ms)))

    def _answered(self, count: int) -> None:
        self.in_flight -= count
        if self.in_flight < 0:
            raise LocalProtocolError("more responses than requests")

    # --- receiving

    def _event(self, kind: FrameType, content: bytes) -> object | None:
        if kind is FrameType.REQUEST:
            return self._requests(content)
        return self._greeted(content)

    def _verify(self, envelope: Envelope, signed: bytes) -> None:
        key = self._key_of(envelope.key_id)
        if key is None:
            raise RemoteProtocolError(FaultCode.KEY_UNKNOWN, f"key {envelope.key_id!r} is not valid for this line")
        if key.algorithm != envelope.algorithm:
            raise RemoteProtocolError(
                FaultCode.ALGORITHM_UNKNOWN, f"key {envelope.key_id!r} is pinned to another algorithm"
            )
        try:
            key.verify(envelope.signature, signed)
        except SignatureInvalid:
            raise RemoteProtocolError(FaultCode.SIGNATURE_INVALID, "the signature does not hold") from None

    def _greeted(self, content: bytes) -> HelloReceived:
        envelope = unpack(content)
        hello = handshake.read_hello(envelope.body)
        if (hello.role, hello.environment) != (self.role, self.environment):
            raise RemoteProtocolError(
                FaultCode.WRONG_CENTRE, f"this centre is {self.role} in environment {self.environment}"
            )
        self._verify(envelope, handshake.hello_to_sign(envelope.body, binding=self._binding))
        self._hello = hello
        self._hello_body = envelope.body
        self._to(State.WELCOMING)
        return HelloReceived(hello)

    def _requests(self, content: bytes) -> RequestsReceived:
        envelope = unpack(content)
        body = envelope.body
        batch = read_message(_request_batch, body, "REQUEST")
        if batch.session != self.session:
            raise RemoteProtocolError(FaultCode.SESSION_WRONG, "the frame belongs to another session")
        if batch.sequence != self._next_sequence:
            raise RemoteProtocolError(
                FaultCode.SEQUENCE_WRONG, f"sequence {batch.sequence} came; {self._next_sequence} was due"
            )
        count = len(batch.requests)
        if not 0 < count <= limits.REQUESTS_PER_FRAME_MAX:
            raise RemoteProtocolError(
                FaultCode.MALFORMED, f"a frame has 1 to {limits.REQUESTS_PER_FRAME_MAX} requests, not {count}"
            )
        if abs(batch.issued_at_us - self._now_us()) > limits.ISSUED_AT_SKEW_MS_MAX * 1000:
            raise RemoteProtocolError(
                FaultCode.CLOCK_SKEWED, "the frame's issued-at is too far off this centre's clock"
            )
        self._verify(envelope, _REQUEST_CONTEXT + body)
        for request in batch.requests:
            if not is_request_id(request.request_id) or not 0 <= request.operation < 256:
                raise RemoteProtocolError(FaultCode.MALFORMED, "a request id is a UUIDv7 and an operation has 8 bits")
        if self.in_flight + count > self.credit:
            raise RemoteProtocolError(
                FaultCode.CREDIT_EXCEEDED, f"{self.in_flight + count} requests in flight; the credit is {self.credit}"
            )
        self._next_sequence += 1
        self.in_flight += count
        return RequestsReceived(batch)


def _frames_of(transients: list[Transient]) -> Iterator[list[Transient]]:
    """In their order, as many to a frame as its count and its bytes allow."""
    part: list[Transient] = []
    size = 0
    for transient in transients:
        size += len(transient.body)
        if part and (len(part) == limits.RESPONSES_PER_FRAME_MAX or size > _BODIES_A_FRAME_BYTES):
            yield part
            part, size = [], len(transient.body)
        part.append(transient)
    if part:
        yield part
