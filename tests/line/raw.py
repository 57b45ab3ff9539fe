"""A peer that can be told to break the protocol: the protocol's own peer half over a TLS stream driven by hand."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from cryptography.hazmat.primitives.asymmetric import ec

from certs.material import TlsMaterial
from certs.names import LineName
from protocol.errors import FaultCode, FaultReceivedError
from protocol.frames import FrameType, encode_frame
from protocol.keys import Algorithm, context
from protocol.messages import Request
from protocol.peer import PeerLine, Result, ResultsReceived, Welcomed
from tests.kit import lines
from tests.line.kit import ENVIRONMENT, FIRST, HOST, ROLE, SIGNERS, TRUST, Centre, now_us

LIMIT_S = 5.0


class RawPeer:
    """One TLS connection to the centre; `line` is the well-made half, `tls` takes any bytes."""

    def __init__(self, tls: "trio.SSLStream[trio.SocketStream]", binding: bytes, name: LineName) -> None:
        self.tls = tls
        self.name = name
        self.signer = SIGNERS[name]
        self.binding = binding
        self.line = self._line()

    def _line(self) -> PeerLine:
        return PeerLine(
            role=ROLE, environment=ENVIRONMENT, party=self.name.party, line=self.name.line, binding=self.binding,
            trust=TRUST, now_us=now_us,
        )  # fmt: skip

    def hello(self, signer: lines.Signer | None = None) -> bytes:
        """A good HELLO, or one by another key."""
        signer = signer or self.signer
        signed = self.line.hello_to_sign(nonce=bytes(32), ephemeral=ec.generate_private_key(ec.SECP256R1()))
        return self.line.hello(algorithm=Algorithm.ES256, key_id=signer.key_id, signature=signer.sign(signed))

    async def greet(self) -> "RawPeer":
        """Bring the session up."""
        await self.tls.send_all(self.hello())
        (event,) = await self.events()
        assert isinstance(event, Welcomed)
        return self

    async def events(self) -> list[object]:
        """What comes next; an empty list at the end of the stream."""
        with trio.fail_after(LIMIT_S):
            while data := await self.tls.receive_some(1 << 16):
                found = self.line.receive_data(data)
                replies = self.line.take_replies()
                if replies:
                    await self.tls.send_all(replies)
                if found:
                    return found
        return []

    def ask(self, requests: Sequence[Request]) -> bytes:
        """A good REQUEST frame."""
        body, signed = self.line.requests_to_sign(requests)
        return self.line.send_requests(
            requests, body, algorithm=Algorithm.ES256, key_id=self.signer.key_id, signature=self.signer.sign(signed)
        )

    def seal(self, content: bytes, kind: FrameType = FrameType.REQUEST) -> bytes:
        """Any content under the session's key, in its turn."""
        sealer = self.line._sealer
        assert sealer is not None
        return sealer.seal(kind, content)

    def sign(self, body: bytes) -> bytes:
        """This line's signature over any REQUEST body."""
        return self.signer.sign(context("request") + body)

    async def results(self, count: int) -> list[Result]:
        """So many verified results."""
        found: list[Result] = []
        while len(found) < count:
            events = await self.events()
            assert events, "the centre closed the line"
            for event in events:
                assert isinstance(event, ResultsReceived)
                found += event.results
        return found

    async def fault(self) -> FaultCode:
        """The FAULT the centre sends before it closes; responses before it are passed over."""
        try:
            while await self.events():
                pass
        except FaultReceivedError as error:
            return FaultCode(error.code)
        raise AssertionError("the centre closed without a FAULT")


@asynccontextmanager
async def calling(
    centre: Centre, material: TlsMaterial, name: LineName = FIRST, context: ssl.SSLContext | None = None
) -> AsyncIterator[RawPeer]:
    """A TLS connection, without HELLO yet."""
    stream = await trio.open_tcp_stream(HOST, centre.port)
    own = material.current
    tls = trio.SSLStream(stream, context or own.client, server_hostname=HOST, https_compatible=True)
    try:
        with trio.fail_after(LIMIT_S):
            await tls.do_handshake()
        peer = centre.gate.material.current.own.fingerprint
        yield RawPeer(tls, own.own.fingerprint + peer, name)
    finally:
        await trio.aclose_forcefully(stream)


def clear(kind: int, payload: bytes) -> bytes:
    """A frame that is not sealed."""
    return encode_frame(FrameType(kind), payload) if kind in set(FrameType) else (
        (len(payload) + 1).to_bytes(4, "big") + bytes((kind,)) + payload
    )  # fmt: skip
