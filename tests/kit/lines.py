"""Both ends of a line in memory: fixed clock, keys derived from names, no sockets, no keystore.

Everything here is synthetic: the keys are computed from their names and protect nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.centre import CentreLine, HelloReceived, RequestsReceived
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    PublicKey,
    Purpose,
    SignedKeyHistory,
    context,
    encode_signed_history,
    history_to_sign,
)
from protocol.ledger import (
    BLOCK_CONTEXT,
    GENESIS,
    BlockHeader,
    BlockKind,
    Entry,
    EntryKind,
    encode_entry,
    encode_header,
)
from protocol.merkle import Tree, leaf_hash
from protocol.messages import BlockShare, InquiryByCode, Operation, Refusal, Request, Response, encode
from protocol.outcomes import Outcome
from protocol.peer import PeerLine, Result, ResultsReceived, Welcomed
from protocol.request_id import make_request_id
from protocol.trust import Trust

NOW_US = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
DAY_US = 86_400_000_000
ROLE, ENVIRONMENT, CENTRE = "inquiry", "test", "centre-test"
PARTY, LINE = "ministry-test", "line-1"
BINDING = hashlib.sha256(b"peer certificate").digest() + hashlib.sha256(b"centre certificate").digest()
STREAM = bytes(range(16))
MONTH_KEY = hashlib.sha256(b"synthetic month key").digest()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key computed from a name: SHA-256 of it, modulo the order less one, plus one."""
    return ec.derive_private_key(
        int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % (_ORDER - 1) + 1, ec.SECP256R1()
    )


class Signer:
    """One ES256 key with its id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.private = private_key(key_id)
        self.der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = PublicKey(Algorithm.ES256, self.der)

    def sign(self, signed: bytes) -> bytes:
        """Raw r||s over bytes that begin with their context."""
        r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


ROOT = Signer("centre-root")
CENTRE_LINE = Signer("centre-line-1")
BLOCK = Signer("centre-block-1")
CHECKPOINT = Signer("centre-checkpoint-1")
PEER = Signer("peer-line-1")
STRANGER = Signer("stranger-1")


def record(signer: Signer, purpose: Purpose, *, until_us: int | None = None) -> KeyRecord:
    """A key of the history, valid from a day before NOW_US."""
    return KeyRecord(signer.key_id, purpose, Algorithm.ES256, signer.der, NOW_US - DAY_US, until_us)


def make_trust(extra: Sequence[KeyRecord] = ()) -> Trust:
    """The synthetic centre's bundle."""
    records = [
        record(ROOT, Purpose.HISTORY),
        record(CENTRE_LINE, Purpose.LINE),
        record(BLOCK, Purpose.BLOCK),
        record(CHECKPOINT, Purpose.CHECKPOINT),
        *extra,
    ]
    history = KeyHistory(CENTRE, 1, NOW_US - DAY_US, records).encode()
    signed = SignedKeyHistory(ROOT.key_id, Algorithm.ES256, ROOT.sign(history_to_sign(history)), history)
    return Trust(
        centre=CENTRE, role=ROLE, environment=ENVIRONMENT, root=ROOT.der, signed_history=encode_signed_history(signed)
    )


TRUST = make_trust()


def make_id(number: int) -> bytes:
    """A request id of NOW_US, told apart by a number."""
    return make_request_id(NOW_US // 1000, number.to_bytes(10, "big"))


def make_request(number: int = 0) -> Request:
    """A synthetic inquiry by code."""
    body = encode(InquiryByCode("pension", 1, "staff-1", f"CASE-{number}", "00000000000"))
    return Request(make_id(number), Operation.INQUIRE_BY_CODE, 2_000, body)


@dataclass
class Block:
    """One signed block, and what its shares are cut from; alter a part to see it refused."""

    header: bytes
    signature: bytes
    responses: list[Response]
    tree: Tree
    key_id: str = BLOCK.key_id

    def share(self, lo: int = 0, hi: int | None = None) -> BlockShare:
        """The run [lo, hi) as one session receives it."""
        hi = len(self.responses) if hi is None else hi
        return BlockShare(
            self.header, self.key_id, self.signature, lo, self.responses[lo:hi], self.tree.range_proof(lo, hi)
        )


def make_entry(request: Request, *, outcome: int, body: bytes, key: bytes, party: str = PARTY) -> Entry:
    """The ledger entry of one answer."""
    charged = outcome == Outcome.EXACT
    return Entry(
        version=1,
        party=party,
        line=LINE,
        request_id=request.request_id,
        request_commitment=request_commitment(key, request.operation, request.body),
        operation=request.operation,
        matter="pension",
        step=1,
        counterparty="",
        outcome=outcome,
        kind=EntryKind.FIRST,
        yen=10 if charged else 0,
        commission=0,
        terms=1,
        response_commitment=response_commitment(key, outcome, body),
        at_us=NOW_US,
    )


def make_block(
    requests: Sequence[Request],
    *,
    outcome: int = Outcome.NONE,
    party: str = PARTY,
    signer: Signer = BLOCK,
    kind: int = BlockKind.NORMAL,
    height: int = 0,
    at_us: int = NOW_US,
) -> Block:
    """One block that answers all requests."""
    responses = []
    for request in requests:
        body = encode(Refusal())
        key = commitment_key(MONTH_KEY, party, request.request_id)
        entry = make_entry(request, outcome=outcome, body=body, key=key, party=party)
        responses.append(Response(request.request_id, outcome, body, key, encode_entry(entry)))
    tree = Tree([leaf_hash(response.entry) for response in responses])
    header = encode_header(BlockHeader(1, STREAM, height, GENESIS, tree.root, len(responses), at_us, kind))
    return Block(header, signer.sign(context(BLOCK_CONTEXT) + header), responses, tree, signer.key_id)


@dataclass
class Pair:
    """A peer and a centre, joined by whoever carries the bytes."""

    credit: int = 256
    now_us: int = NOW_US
    keys: dict[str, PublicKey] = field(default_factory=lambda: {PEER.key_id: PEER.public})
    trust: Trust = TRUST

    def __post_init__(self) -> None:
        self.peer = PeerLine(
            role=ROLE, environment=ENVIRONMENT, party=PARTY, line=LINE, binding=BINDING, trust=self.trust,
            now_us=lambda: self.now_us,
        )  # fmt: skip
        self.centre = CentreLine(
            role=ROLE,
            environment=ENVIRONMENT,
            binding=BINDING,
            key_of=self.keys.get,
            now_us=lambda: self.now_us,
            credit=self.credit,
        )

    def hello(self, signer: Signer = PEER) -> bytes:
        """The peer's HELLO frame."""
        signed = self.peer.hello_to_sign(
            nonce=hashlib.sha256(b"peer").digest(), ephemeral=private_key("peer ephemeral")
        )
        return self.peer.hello(algorithm=Algorithm.ES256, key_id=signer.key_id, signature=signer.sign(signed))

    def welcome(self, signer: Signer = CENTRE_LINE) -> bytes:
        """The centre's WELCOME frame, after it received HELLO."""
        ephemeral = private_key("centre ephemeral")
        body, signed = self.centre.welcome_to_sign(
            nonce=hashlib.sha256(b"centre").digest(), ephemeral=ephemeral, slot=0, slots=2, heartbeat_ms=10_000
        )
        return self.centre.welcome(
            body,
            ephemeral=ephemeral,
            algorithm=Algorithm.ES256,
            key_id=signer.key_id,
            signature=signer.sign(signed),
        )

    def greet(self) -> "Pair":
        """Bring the session up."""
        (received,) = self.centre.receive_data(self.hello())
        assert isinstance(received, HelloReceived)
        (welcomed,) = self.peer.receive_data(self.welcome())
        assert isinstance(welcomed, Welcomed)
        return self

    def ask(self, requests: Sequence[Request], signer: Signer = PEER) -> bytes:
        """A signed REQUEST frame."""
        body, signed = self.peer.requests_to_sign(requests)
        return self.peer.send_requests(
            requests, body, algorithm=Algorithm.ES256, key_id=signer.key_id, signature=signer.sign(signed)
        )

    def deliver(self, requests: Sequence[Request]) -> RequestsReceived:
        """Ask, and let the centre receive it."""
        (received,) = self.centre.receive_data(self.ask(requests))
        assert isinstance(received, RequestsReceived)
        return received

    def answer(self, share: BlockShare) -> list[Result]:
        """Let the centre send one share and the peer verify it."""
        (received,) = self.peer.receive_data(self.centre.send_share(share))
        assert isinstance(received, ResultsReceived)
        return received.results
