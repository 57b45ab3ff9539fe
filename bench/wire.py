"""One connection of the load process: a plain TLS socket with the peer's half of the protocol on top.

The peer half does handshake, sealing and opening; its check of each response is put off (`LoadLine`), so that
what is measured is the centre and not the reader. A sample of the responses is checked with the same code afterwards.
"""

import socket
import ssl
import time
from typing import Final

import msgspec

from certs.material import TlsMaterial
from gateway.line.greeting import greet, welcomed
from gateway.peers.line_file import Dialling
from hsm.interface import KeyStore
from protocol import limits
from protocol.envelope import unpack
from protocol.frames import FrameType
from protocol.keys import Algorithm, Purpose
from protocol.messages import RequestBatch
from protocol.peer import PeerLine, Result

READ_BYTES: Final = 256 << 10
SLOT_TRIES: Final = 32
_request_batch = msgspec.msgpack.Decoder(RequestBatch)


class BenchError(Exception):
    """The run cannot be trusted or cannot go on; the sentence says why."""


class Unread(msgspec.Struct, frozen=True):
    """The opened content of one RESPONSE frame, not yet checked."""

    content: bytes


class LoadLine(PeerLine):
    """A peer's half that hands responses over as they are and checks those it is asked to."""

    def seal_request(self, content: bytes) -> bytes:
        """The REQUEST frame of a signed content; they must come in the order of their sequence numbers."""
        return self._seal(FrameType.REQUEST, content)

    def check(self, content: bytes, asked: list[bytes]) -> list[Result]:
        """Verify one RESPONSE's content against the REQUESTs' signed contents it answers.

        Raises: RemoteProtocolError when anything about it does not hold.
        """
        self.pending = {
            request.request_id: request
            for signed in asked
            for request in _request_batch.decode(unpack(signed).body).requests
        }
        return self._results(content).results

    def _event(self, kind: FrameType, content: bytes) -> object | None:
        return Unread(content) if kind is FrameType.RESPONSE else super()._event(kind, content)


class Wire:
    """A connection whose session stands. The socket does not block from here on."""

    def __init__(self, tls: ssl.SSLSocket, line: LoadLine, *, slot: int, slots: int) -> None:
        self.tls = tls
        self.line = line
        self.slot = slot
        self.slots = slots
        self.out = bytearray()
        tls.setblocking(False)

    def write(self, data: bytes) -> None:
        """Send, or keep what the socket does not take now."""
        self.out += data
        self.flush()

    def flush(self) -> None:
        """Send what is kept. Raises: OSError when the connection is gone."""
        while self.out:
            try:
                sent = self.tls.send(self.out)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            del self.out[:sent]

    def read(self) -> list[object]:
        """The events of everything the socket holds. Raises: ProtocolError; BenchError when the centre closed it."""
        events: list[object] = []
        while True:
            try:
                data = self.tls.recv(READ_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not data:
                raise BenchError("the centre closed the connection")
            events += self.line.receive_data(data)
        replies = self.line.take_replies()
        if replies:
            self.write(replies)
        return events


def connect(dialling: Dialling, material: TlsMaterial, *, slot: int) -> Wire:
    """Connect until a connection reaches that worker (SO_REUSEPORT deals them out), at most SLOT_TRIES times."""
    for _ in range(SLOT_TRIES):
        wire = _connect(dialling, material)
        if wire.slot == slot % wire.slots:
            break
        wire.tls.close()
    else:
        raise BenchError(f"none of {SLOT_TRIES} connections reached worker {slot}")
    return wire


def _connect(dialling: Dialling, material: TlsMaterial) -> Wire:
    target, own = dialling.target, material.current
    plain = socket.create_connection((target.host, target.port), timeout=limits.HANDSHAKE_MS_MAX / 1000)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = own.client.wrap_socket(plain, server_hostname=target.host)
    line, signed, _ = greet(
        LoadLine,
        target,
        certificate=tls.getpeercert(binary_form=True),
        alpn=tls.selected_alpn_protocol(),
        own=own,
        material=material,
        trust=dialling.trust,
    )
    tls.sendall(_hello(line, dialling.keystore, signed))
    while data := tls.recv(limits.HANDSHAKE_FRAME_BYTES_MAX):
        welcome = welcomed(line, data)
        if welcome is not None:
            return Wire(tls, line, slot=welcome.slot, slots=welcome.slots)
    raise BenchError("the centre closed the connection during the handshake")


def _hello(line: LoadLine, keystore: KeyStore, signed: bytes) -> bytes:
    key = keystore.current(Purpose.LINE, time.time_ns() // 1000)
    signature = keystore.sign(key.key_id, signed)
    return line.hello(algorithm=Algorithm(key.algorithm), key_id=key.key_id, signature=signature)
