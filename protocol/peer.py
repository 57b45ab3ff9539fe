"""The peer's end of a line: asks, and believes an answer only when everything about it holds.

GREETING -> (HELLO signed) AWAIT_WELCOME -> (WELCOME verified) ASKING -> LEAVING -> CLOSED.

Before a result is handed over, this half has checked the block's signature against the centre's trust, the range
proof, and that each entry is about this very question and this very answer. A failure blames the centre
(PROOF_INVALID) and ends the line.
"""

import hmac
from collections.abc import Callable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import handshake, limits
from protocol.commitment import COMMITMENT_KEY_BYTES, request_commitment, response_commitment
from protocol.envelope import pack, unpack
from protocol.errors import FaultCode, LocalProtocolError, RemoteProtocolError
from protocol.frames import FrameType, encode_frame
from protocol.handshake import Hello, Welcome
from protocol.keys import Algorithm, KeysError, Purpose, context
from protocol.ledger import BlockKind, Entry, decode_entry
from protocol.line import LineEnd, read_message
from protocol.merkle import ProofError, leaf_hash, paths_from_range, verify_range
from protocol.messages import PROOFLESS, BlockShare, Credit, Drain, Notice, Request, RequestBatch, ResponseBatch, encode
from protocol.outcomes import CATALOGUE
from protocol.receipt import Opening, Proof, Receipt, ReceiptError, verify_block_signature
from protocol.session import derive_session, ephemeral_public
from protocol.states import State
from protocol.trust import Trust, TrustError

_response_batch = msgspec.msgpack.Decoder(ResponseBatch)
_notice = msgspec.msgpack.Decoder(Notice)
_credit = msgspec.msgpack.Decoder(Credit)
_drain = msgspec.msgpack.Decoder(Drain)
_REQUEST_CONTEXT = context("request")
_RECORDED = frozenset(int(outcome) for outcome, meaning in CATALOGUE.items() if meaning.recorded)


def _is_refused_unwritten(request: Request, outcome: int) -> bool:
    """What writes nothing has no proof of its refusals for cause (2xx)."""
    return request.operation in PROOFLESS and 200 <= outcome < 300


class Welcomed(msgspec.Struct, frozen=True):
    """The session stands; slot of slots, credit and heartbeat are the centre's."""

    welcome: Welcome


class Result(msgspec.Struct, frozen=True):
    """One verified response. entry is None for a transient outcome; then nothing was recorded.

    `receipt` builds the receipt of a recorded one. `environment` is the centre's as both ends' handshake signed it.
    """

    request: Request
    outcome: int
    body: bytes
    entry: Entry | None
    share: BlockShare | None = None
    place: int = 0
    environment: str = ""

    def receipt(self) -> Receipt | None:
        """Proof and opening, to keep; None for a transient outcome."""
        share = self.share
        if share is None:
            return None
        response = share.responses[self.place]
        header = msgspec.msgpack.decode(share.header)
        leaves = [leaf_hash(each.entry) for each in share.responses]
        paths = paths_from_range(leaves, lo=share.first, size=header[5], proof=share.proof)
        return Receipt(
            Proof(
                response.entry,
                share.first + self.place,
                paths[self.place],
                share.header,
                share.key_id,
                share.signature,
            ),
            Opening(self.request.operation, self.request.body, response.outcome, response.body, response.key),
        )


class ResultsReceived(msgspec.Struct, frozen=True):
    """Verified responses of one frame."""

    results: list[Result]


class NoticeReceived(msgspec.Struct, frozen=True):
    """A NOTICE of the centre."""

    notice: Notice


class CreditChanged(msgspec.Struct, frozen=True):
    """The window is now this many requests."""

    window: int


class DrainReceived(msgspec.Struct, frozen=True):
    """Send nothing more here; what is in flight will be answered within so many ms."""

    within_ms: int


class PeerLine(LineEnd):
    """The peer's half of one connection.

    binding: the two certificate fingerprints, own before the centre's, 64 bytes. trust: the centre's keys.
    """

    def __init__(
        self,
        *,
        role: str,
        environment: str,
        party: str,
        line: str,
        binding: bytes,
        trust: Trust,
        now_us: Callable[[], int],
    ) -> None:
        super().__init__(State.GREETING)
        self.role = role
        self.environment = environment
        self.party = party
        self.line = line
        self.credit = 0
        self.pending: dict[bytes, Request] = {}
        self._binding = binding
        self._trust = trust
        self._now_us = now_us
        self._hello: Hello | None = None
        self._hello_body = b""
        self._ephemeral: ec.EllipticCurvePrivateKey | None = None
        self._sequence = 0

    def hello_to_sign(self, *, nonce: bytes, ephemeral: ec.EllipticCurvePrivateKey) -> bytes:
        """What this line's key must sign; follow with hello()."""
        self._ephemeral = ephemeral
        self._hello = Hello([limits.PROTOCOL_VERSION], self.role, self.environment, nonce, ephemeral_public(ephemeral))
        self._hello_body = handshake.encode(self._hello)
        return handshake.hello_to_sign(self._hello_body, binding=self._binding)

    def hello(self, *, algorithm: Algorithm, key_id: str, signature: bytes) -> bytes:
        """The HELLO frame."""
        self._to(State.AWAIT_WELCOME)
        return encode_frame(FrameType.HELLO, pack(algorithm, key_id, signature, self._hello_body))

    @property
    def free_credit(self) -> int:
        """Requests that may be sent now."""
        return self.credit - len(self.pending) if self.state is State.ASKING else 0

    def requests_to_sign(self, requests: Sequence[Request]) -> tuple[bytes, bytes]:
        """A REQUEST's body, and what this line's key must sign; follow with send_requests, in the same order.

        Takes the credit and the sequence number: when the signature cannot be made, close the line. Raises:
        LocalProtocolError over the credit or for an id that is already in flight; then nothing was taken.
        """
        if not 0 < len(requests) <= limits.REQUESTS_PER_FRAME_MAX:
            raise LocalProtocolError(f"{len(requests)} requests do not make a frame")
        if len(requests) > self.free_credit:
            raise LocalProtocolError(f"{len(requests)} requests; the free credit is {self.free_credit}")
        asked = {request.request_id: request for request in requests}
        if len(asked) != len(requests) or not self.pending.keys().isdisjoint(asked):
            raise LocalProtocolError("a request id is already in flight on this connection")
        self.pending.update(asked)
        body = encode(RequestBatch(self.session, self._sequence, self._now_us(), list(requests)))
        self._sequence += 1
        return body, _REQUEST_CONTEXT + body

    def send_requests(
        self, requests: Sequence[Request], body: bytes, *, algorithm: Algorithm, key_id: str, signature: bytes
    ) -> bytes:
        """The REQUEST frame, also when DRAIN came while it was signed: the centre turns it away by name.

        Raises: LocalProtocolError for requests that requests_to_sign did not take.
        """
        if any(self.pending.get(request.request_id) is not request for request in requests):
            raise LocalProtocolError("requests_to_sign comes first")
        return self._seal(FrameType.REQUEST, pack(algorithm, key_id, signature, body))

    def _event(self, kind: FrameType, content: bytes) -> object | None:
        if kind is FrameType.RESPONSE:
            return self._results(content)
        if kind is FrameType.NOTICE:
            return NoticeReceived(read_message(_notice, content, "NOTICE"))
        if kind is FrameType.CREDIT:
            window = read_message(_credit, content, "CREDIT").window
            if not 0 < window <= limits.CREDIT_REQUESTS_MAX:
                raise RemoteProtocolError(FaultCode.MALFORMED, "CREDIT is outside its bounds")
            self.credit = window
            return CreditChanged(window)
        if kind is FrameType.DRAIN:
            if self.state is State.ASKING:
                self._to(State.LEAVING)
            return DrainReceived(read_message(_drain, content, "DRAIN").within_ms)
        return self._welcomed(content)

    def _welcomed(self, content: bytes) -> Welcomed:
        if self._hello is None or self._ephemeral is None:
            raise LocalProtocolError("WELCOME without HELLO")
        envelope = unpack(content)
        welcome = handshake.read_welcome(envelope.body, hello=self._hello)
        signed = handshake.welcome_to_sign(envelope.body, binding=self._binding, hello_body=self._hello_body)
        try:
            key = self._trust.key(envelope.key_id, purpose=Purpose.LINE, at_us=self._now_us())
            if key.algorithm != envelope.algorithm:
                raise RemoteProtocolError(FaultCode.ALGORITHM_UNKNOWN, "the key is pinned to another algorithm")
            key.verify(envelope.signature, signed)
        except (KeysError, TrustError) as error:
            raise RemoteProtocolError(FaultCode.SIGNATURE_INVALID, f"WELCOME is not the centre's: {error}") from error
        keys = derive_session(
            own=self._ephemeral,
            other=welcome.ephemeral,
            binding=self._binding,
            hello_body=self._hello_body,
            welcome_body=envelope.body,
        )
        self._to(State.ASKING)
        self._ephemeral = None
        self.credit = welcome.credit
        self._start_session(keys, sends=keys.to_centre, receives=keys.to_peer)
        return Welcomed(welcome)

    def _results(self, content: bytes) -> ResultsReceived:
        batch = read_message(_response_batch, content, "RESPONSE")
        results = []
        for transient in batch.transients:
            request = self._take(transient.request_id)
            if transient.outcome in _RECORDED and not _is_refused_unwritten(request, transient.outcome):
                raise RemoteProtocolError(
                    FaultCode.PROOF_INVALID, f"outcome {transient.outcome} came without the proof it must have"
                )
            results.append(Result(request, transient.outcome, transient.body, None, environment=self.environment))
        if batch.share is not None:
            try:
                results.extend(self._verified(batch.share))
            except (ReceiptError, ProofError, ValueError, msgspec.DecodeError) as error:
                raise RemoteProtocolError(FaultCode.PROOF_INVALID, f"a response is not proven: {error}") from error
        return ResultsReceived(results)

    def _take(self, request_id: bytes) -> Request:
        request = self.pending.pop(request_id, None)
        if request is None:
            raise RemoteProtocolError(FaultCode.PROOF_INVALID, "a response to a request that was not asked")
        return request

    def _verified(self, share: BlockShare) -> list[Result]:
        header = verify_block_signature(share.header, key_id=share.key_id, signature=share.signature, trust=self._trust)
        if header.kind != BlockKind.NORMAL:
            raise ProofError("a CLOSE block answers nothing")
        verify_range(
            [leaf_hash(response.entry) for response in share.responses],
            lo=share.first,
            size=header.count,
            proof=share.proof,
            root=header.root,
        )
        results = []
        for place, response in enumerate(share.responses):
            request = self._take(response.request_id)
            entry = decode_entry(response.entry)
            asked = request_commitment(response.key, request.operation, request.body)
            answered = response_commitment(response.key, response.outcome, response.body)
            if not (
                entry.party == self.party
                and len(response.key) == COMMITMENT_KEY_BYTES
                and entry.request_id == request.request_id
                and entry.operation == request.operation
                and entry.outcome == response.outcome
                and hmac.compare_digest(entry.request_commitment, asked)
                and hmac.compare_digest(entry.response_commitment, answered)
            ):
                raise ProofError("an entry is about another question or answer")
            results.append(Result(request, response.outcome, response.body, entry, share, place, self.environment))
        return results
