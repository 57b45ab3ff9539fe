"""The test card authority's OCSP responder: what the register says of one certificate, signed, over HTTP.

    POST /ocsp    GET /ocsp/<base64 of the request>    GET /crl.der

Answers are signed by the delegated responder's key, bear the nonce that was asked with, and hold for five minutes.
While it serves, it writes the revocation list anew every hour.
Source: RFC 6960, 4 and appendix A; RFC 9654; DOMAIN 2.8.
"""

import base64
import binascii
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

import h11
import structlog
import trio
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from gateway.peers.jpki.authority import Signer, load_signer, write_crl
from gateway.peers.jpki.store import CardRecord, Register

log = structlog.get_logger()

REQUEST_BYTES_MAX: Final = 4 << 10
NONCE_BYTES_MAX: Final = 128  # RFC 9654, 2.1
ANSWER_LASTS: Final = timedelta(minutes=5)
CRL_EVERY_S: Final = 3600.0
IDLE_S_MAX: Final = 60.0
HOST: Final = "127.0.0.1"
_MEDIA: Final = "application/ocsp-response"


Answering = Callable[[bytes, bytes, bytes], tuple[int, str, bytes]]
"""Method, target, body -> status, media type, content."""


class Responder:
    """Answers OCSP requests from an authority's register."""

    def __init__(self, directory: Path) -> None:
        """Raises: JpkiAbsent."""
        self.register = Register(directory)
        self._issuing = load_signer(directory, "issuing").certificate
        self._signer: Signer = load_signer(directory, "responder")
        self._hashes: dict[str, tuple[bytes, bytes]] = {}

    def answer(self, data: bytes, now: datetime) -> bytes:
        """The response (DER) to a request (DER); one that cannot be read gets the error that RFC 6960 has for it."""
        try:
            asked = ocsp.load_der_ocsp_request(data)
            serial, algorithm = asked.serial_number, asked.hash_algorithm
            nonce = _nonce(asked)
        except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm):
            return _unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        name_hash, key_hash = self._issuer_hashes(algorithm)
        if (asked.issuer_name_hash, asked.issuer_key_hash) != (name_hash, key_hash):
            return _unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        status, revoked_at, reason = _status(self.register.card(serial))
        this_update = now.replace(microsecond=0)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=name_hash,
                issuer_key_hash=key_hash,
                serial_number=serial,
                algorithm=algorithm,
                cert_status=status,
                this_update=this_update,
                next_update=this_update + ANSWER_LASTS,
                revocation_time=revoked_at,
                revocation_reason=reason,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._signer.certificate)
            .certificates([self._signer.certificate])
        )
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(self._signer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _issuer_hashes(self, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
        """What a request names our issuing CA by: its name and its public key's bits, hashed."""
        found = self._hashes.get(algorithm.name)
        if found is not None:
            return found
        key = self._issuing.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("the issuing CA's key is on a curve")
        bits = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        found = _hashed(self._issuing.subject.public_bytes(), algorithm), _hashed(bits, algorithm)
        self._hashes[algorithm.name] = found
        return found


async def serve_responder(
    directory: Path,
    *,
    port: int,
    stop: trio.Event,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Serve on the loopback address until `stop` is set; started gets the port, of which 0 takes any.

    Raises: JpkiAbsent; OSError when the port cannot be had.
    """
    responder = Responder(directory)
    listeners = await trio.open_tcp_listeners(port, host=HOST)

    def answer(method: bytes, target: bytes, body: bytes) -> tuple[int, str, bytes]:
        try:
            return _answered(responder, directory, method, target, body, now())
        except (sqlite3.Error, OSError) as error:
            log.warning("register_unread", code=type(error).__name__)
            return 500, "text/plain", b"the register cannot be read now\n"

    with responder.register.held_open():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write_lists, directory, now)
            nursery.start_soon(trio.serve_listeners, partial(_converse, answer), listeners)
            task_status.started(listeners[0].socket.getsockname()[1])
            await stop.wait()
            nursery.cancel_scope.cancel()


async def _converse(answer: Answering, stream: trio.SocketStream) -> None:
    """One connection: a request, its answer, and the next. There is no framework and no server around it, because what
    the responder costs is counted among a certificate's in the load tests.
    """
    peer = h11.Connection(h11.SERVER)
    async with stream:
        with suppress(h11.ProtocolError, trio.BrokenResourceError):  # what cannot be answered ends its connection
            while (asked := await _next_request(peer, stream)) is not None:
                status, media, content = answer(*asked)
                headers = [("content-type", media), ("content-length", str(len(content)))]
                sent = peer.send(h11.Response(status_code=status, headers=headers)) or b""
                sent += peer.send(h11.Data(data=content)) or b""
                await stream.send_all(sent + (peer.send(h11.EndOfMessage()) or b""))
                if peer.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                    return
                peer.start_next_cycle()


async def _next_request(peer: h11.Connection, stream: trio.SocketStream) -> tuple[bytes, bytes, bytes] | None:
    """Method, target and body, of which no more is read than may be; None at the end. Raises: h11.RemoteProtocolError,
    trio.BrokenResourceError.
    """
    request: h11.Request | None = None
    body = b""
    with trio.move_on_after(IDLE_S_MAX):
        while True:
            match peer.next_event():
                case h11.NEED_DATA:
                    peer.receive_data(await stream.receive_some())
                case h11.Request() as request:
                    pass
                case h11.Data(data=data):
                    body += data
                    if len(body) > REQUEST_BYTES_MAX and request is not None:
                        return request.method, request.target, body
                case h11.EndOfMessage() if request is not None:
                    return request.method, request.target, body
                case _:
                    return None
    return None


def _answered(
    responder: Responder, directory: Path, method: bytes, target: bytes, body: bytes, now: datetime
) -> tuple[int, str, bytes]:
    """Status, media type and content."""
    path = target.partition(b"?")[0]
    if len(body) > REQUEST_BYTES_MAX:
        return 413, "text/plain", b"an OCSP request is smaller\n"
    if (method, path) == (b"POST", b"/ocsp"):
        return 200, _MEDIA, responder.answer(body, now)
    if method == b"GET" and path.startswith(b"/ocsp/"):
        try:
            data = base64.b64decode(unquote_to_bytes(path.removeprefix(b"/ocsp/")), validate=True)
        except binascii.Error:
            data = b""
        return 200, _MEDIA, responder.answer(data, now)
    if (method, path) == (b"GET", b"/crl.der"):
        return 200, "application/pkix-crl", (directory / "crl.der").read_bytes()
    return 404, "text/plain", b"POST /ocsp, GET /ocsp/..., GET /crl.der\n"


async def _write_lists(directory: Path, now: Callable[[], datetime]) -> None:
    while True:
        write_crl(directory, now=now())
        await trio.sleep(CRL_EVERY_S)


def _status(card: CardRecord | None) -> tuple[ocsp.OCSPCertStatus, datetime | None, x509.ReasonFlags | None]:
    if card is None:
        return ocsp.OCSPCertStatus.UNKNOWN, None, None
    if card.revoked_at is None or card.reason is None:
        return ocsp.OCSPCertStatus.GOOD, None, None
    return ocsp.OCSPCertStatus.REVOKED, card.revoked_at, x509.ReasonFlags[card.reason]


def _nonce(asked: ocsp.OCSPRequest) -> bytes | None:
    """Raises: ValueError for one that is too long."""
    try:
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return None
    if not 0 < len(nonce) <= NONCE_BYTES_MAX:
        raise ValueError(f"a nonce of {len(nonce)} bytes")
    return nonce


def _hashed(content: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(content)
    return digest.finalize()


def _unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
