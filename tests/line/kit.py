"""A centre's accepting end on a loopback socket, and both a well-made and a raw peer to call it.

Real certificates, TLS, signatures and blocks; what stands behind the line is in memory. All names are synthetic.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import trio

from certs.authority import DevelopmentAuthority
from certs.contexts import LineFiles
from certs.material import TlsMaterial
from certs.names import LineName
from certs.profiles import CENTRE, LINE, Profile
from gateway.ledger.block import build_block
from gateway.ledger.stream import Stream, advance
from gateway.line.accept import Acceptor
from gateway.line.connection import Connection
from gateway.line.dial import Target
from protocol import limits
from protocol.centre import RequestsReceived
from protocol.commitment import commitment_key
from protocol.errors import FaultCode
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    PublicKey,
    Purpose,
    SignedKeyHistory,
    encode_signed_history,
    history_to_sign,
)
from protocol.ledger import encode_entry
from protocol.messages import BlockShare, InquiryByCode, Operation, Refusal, Request, Response, Transient, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id
from protocol.trust import Trust
from tests.kit import lines

HOST = "127.0.0.1"
ROLE, ENVIRONMENT = lines.ROLE, lines.ENVIRONMENT
CENTRE_NAME = LineName("centre", ROLE)
FIRST, SECOND, UNLISTED = LineName(lines.PARTY, "line-1"), LineName("city-test", "line-1"), LineName("nobody", "line-1")
SIGNERS = {FIRST: lines.Signer("peer-first"), SECOND: lines.Signer("peer-second"), UNLISTED: lines.Signer("peer-none")}
INVOICE = lines.Signer("centre-invoice-1")


def now_us() -> int:
    """The wall clock, as both ends read it."""
    return time.time_ns() // 1000


def make_trust(block: lines.Signer = lines.BLOCK, line: lines.Signer = lines.CENTRE_LINE) -> Trust:
    """The synthetic centre's bundle, valid at any time."""
    kinds = [(lines.ROOT, Purpose.HISTORY), (line, Purpose.LINE), (block, Purpose.BLOCK)]
    kinds.append((INVOICE, Purpose.INVOICE))
    records = [KeyRecord(signer.key_id, purpose, Algorithm.ES256, signer.der, 0) for signer, purpose in kinds]
    history = KeyHistory(lines.CENTRE, 1, 0, records).encode()
    signature = lines.ROOT.sign(history_to_sign(history))
    signed = encode_signed_history(SignedKeyHistory(lines.ROOT.key_id, Algorithm.ES256, signature, history))
    return Trust(centre=lines.CENTRE, role=ROLE, environment=ENVIRONMENT, root=lines.ROOT.der, signed_history=signed)


TRUST = make_trust()


class Pki:
    """One authority and the directories of what it issued."""

    def __init__(self, directory: Path, *, ago: float = 0) -> None:
        self.directory = directory
        self.now = datetime.fromtimestamp(time.time() - ago, UTC)
        self.authority = DevelopmentAuthority.create(directory / "authority", name="Synthetic Test", now=self.now)

    def issue(self, profile: Profile, name: LineName, *, days: int | None = None) -> tuple[LineFiles, int]:
        """Files of one end, and its serial number."""
        hosts = (HOST,) if profile is CENTRE else ()
        issued = self.authority.issue(profile, name, now=self.now, hosts=hosts, days=days)
        place = self.directory / f"{issued.serial:x}"
        place.mkdir()
        files = LineFiles.in_directory(place)
        files.certificate.write_bytes(issued.certificate_pem)
        files.key.write_bytes(issued.key_pem)
        files.key.chmod(0o600)
        files.anchors.write_bytes(self.authority.anchors_pem)
        files.crls.write_bytes(self.authority.write_crl(now=datetime.now(UTC)))
        return files, issued.serial

    def material(self, profile: Profile, name: LineName) -> TlsMaterial:
        """A good end."""
        return TlsMaterial(self.issue(profile, name)[0], now=datetime.now(UTC))


@dataclass(frozen=True)
class Ends:
    """The certificates most tests use."""

    pki: Pki
    centre: TlsMaterial
    peers: dict[LineName, TlsMaterial]


def make_ends(directory: Path) -> Ends:
    """An authority with a centre and three lines."""
    pki = Pki(directory)
    peers = {name: pki.material(LINE, name) for name in (FIRST, SECOND, UNLISTED)}
    return Ends(pki, pki.material(CENTRE, CENTRE_NAME), peers)


def make_request(number: int = 0, *, at_ms: int | None = None) -> Request:
    """A synthetic inquiry by code of this moment."""
    body = encode(InquiryByCode("pension", 1, "staff-1", f"CASE-{number}", "00000000000"))
    at_ms = now_us() // 1000 if at_ms is None else at_ms
    return Request(make_request_id(at_ms, number.to_bytes(10, "big")), Operation.INQUIRE_BY_CODE, 2_000, body)


class FakeGate:
    """A Gate in memory. `answer` says how: "block", "busy" or "nothing"; everything told to it is kept."""

    def __init__(self, material: TlsMaterial, *, credit: int = 256, slot: int = 0, slots: int = 1) -> None:
        self.role, self.environment, self.slot, self.slots = ROLE, ENVIRONMENT, slot, slots
        self.material = material
        self.credit = credit
        self.answer = "block"
        self.keys = {name: {signer.key_id: signer.public} for name, signer in SIGNERS.items() if name != UNLISTED}
        self.asked: list[tuple[LineName, Request]] = []
        self.open: list[Connection] = []
        self.ended: list[str] = []
        self.refused: list[FaultCode] = []
        self.gone = 0
        self.ahead_us = 0
        self.tamper = False
        self.signer = lines.CENTRE_LINE
        self._events: list[trio.Event] = []
        self._stream = Stream(id=lines.STREAM, role=ROLE, node="node-1", slot=slot)

    def tls(self) -> TlsMaterial:
        return self.material

    def now_us(self) -> int:
        return now_us() + self.ahead_us

    def line_credit(self, name: LineName) -> int | None:
        return self.credit if name in self.keys else None

    def line_key(self, name: LineName, key_id: str) -> PublicKey | None:
        return self.keys.get(name, {}).get(key_id)

    async def sign_welcome(self, signed: bytes) -> tuple[Algorithm, str, bytes]:
        await trio.lowlevel.checkpoint()
        return Algorithm.ES256, self.signer.key_id, self.signer.sign(signed)

    def requests(self, connection: Connection, received: RequestsReceived) -> None:
        requests = received.batch.requests
        self.asked += [(connection.name, request) for request in requests]
        if self.answer == "block":
            for share in self.shares(connection.name, requests):
                connection.respond(share)
        elif self.answer == "busy":
            body = encode(Refusal(retry_after_ms=1))
            connection.refuse([Transient(request.request_id, Outcome.BUSY, body) for request in requests])
        self._tell()

    def opened(self, connection: Connection) -> None:
        self.open.append(connection)
        self._tell()

    def closed(self, connection: Connection, reason: str) -> None:
        self.open.remove(connection)
        self.ended.append(reason)
        self._tell()

    def turned_away(self, code: FaultCode) -> None:
        self.refused.append(code)
        self._tell()

    def left(self) -> None:
        self.gone += 1
        self._tell()

    def shares(self, name: LineName, requests: list[Request]) -> Iterator[BlockShare]:
        """One signed block that answers them, cut as a session receives it."""
        responses = []
        for request in requests:
            body = encode(Refusal())
            key = commitment_key(lines.MONTH_KEY, name.party, request.request_id)
            entry = lines.make_entry(request, outcome=Outcome.NONE, body=body, key=key, party=name.party)
            told = encode(Refusal("altered")) if self.tamper else body
            responses.append(Response(request.request_id, Outcome.NONE, told, key, encode_entry(entry)))
        draft = build_block(self._stream, [response.entry for response in responses], now_us())
        self._stream = advance(self._stream, draft.header)
        signature = lines.BLOCK.sign(draft.to_sign)
        for lo in range(0, len(responses), limits.RESPONSES_PER_FRAME_MAX):
            part = responses[lo : lo + limits.RESPONSES_PER_FRAME_MAX]
            proof = draft.tree.range_proof(lo, lo + len(part))
            yield BlockShare(draft.header, lines.BLOCK.key_id, signature, lo, part, proof)

    def _tell(self) -> None:
        for event in self._events:
            event.set()
        self._events.clear()

    async def until(self, fact: "Callable[[FakeGate], bool]", within_s: float = 5.0) -> None:
        """Wait until a fact about this gate holds."""
        with trio.fail_after(within_s):
            while not fact(self):
                event = trio.Event()
                self._events.append(event)
                await event.wait()


class Listener(trio.abc.Listener[trio.SocketStream]):
    """A socket's listener that counts."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        self.accepted = 0

    async def accept(self) -> trio.SocketStream:
        stream = await self._listener.accept()
        self.accepted += 1
        return stream

    async def aclose(self) -> None:
        await self._listener.aclose()


class Centre:
    """A gate whose acceptor listens on a port."""

    def __init__(self, gate: FakeGate, acceptor: Acceptor, listener: Listener, port: int) -> None:
        self.gate = gate
        self.acceptor = acceptor
        self.listener = listener
        self.port = port

    def target(self, own: LineName = FIRST, centre: LineName = CENTRE_NAME) -> Target:
        """Where a client of this centre dials."""
        return Target(host=HOST, port=self.port, centre=centre, role=ROLE, environment=ENVIRONMENT, own=own)


@asynccontextmanager
async def serving(
    gate: FakeGate,
    *,
    port: int = 0,
    connections_max: int = 100,
    connections_per_line_max: int = 50,
    heartbeat_ms: int = limits.HEARTBEAT_MS,
) -> AsyncIterator[Centre]:
    """Serve on a loopback port while the block runs; several may share a port."""
    sock = trio.socket.socket()
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
    sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEPORT, 1)
    await sock.bind((HOST, port))
    sock.listen(64)
    acceptor = Acceptor(
        gate,
        connections_max=connections_max,
        connections_per_line_max=connections_per_line_max,
        heartbeat_ms=heartbeat_ms,
    )
    async with trio.open_nursery() as nursery:
        listener = Listener(trio.SocketListener(sock))
        nursery.start_soon(acceptor.serve, [listener])
        yield Centre(gate, acceptor, listener, sock.getsockname()[1])
        nursery.cancel_scope.cancel()
