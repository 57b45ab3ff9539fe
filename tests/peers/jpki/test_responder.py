"""The responder over HTTP: what RFC 6960 asks of it, by POST and by GET, with and without a nonce."""

import base64
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gateway.peers.jpki.authority import load_signer, make_jpki, revoke
from gateway.peers.jpki.cards import issue_card
from gateway.peers.jpki.responder import serve_responder
from gateway.peers.jpki.store import Register

pytestmark = pytest.mark.trio

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.fixture
def jpki(tmp_path: Path) -> Path:
    """An authority with one card."""
    make_jpki(tmp_path / "jpki", now=NOW)
    issue_card(tmp_path / "jpki", holder="resident-0", algorithm="p384", pin="0123", now=NOW, days=30)
    return tmp_path / "jpki"


@asynccontextmanager
async def responding(jpki: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the responder."""
    stop = trio.Event()

    async def serve(task_status: trio.TaskStatus[int]) -> None:
        await serve_responder(jpki, port=0, stop=stop, task_status=task_status, now=lambda: NOW)

    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        stop.set()


def question(
    jpki: Path, *, off: int = 0, nonce: bytes | None = None, ca: str = "issuing", digest: hashes.HashAlgorithm
) -> bytes:
    """An OCSP request about the one card."""
    (card,) = Register(jpki).cards()
    issuer = load_signer(jpki, ca).certificate  # type: ignore[arg-type]
    its = {"issuing": load_signer(jpki, "responder"), "root": load_signer(jpki, "issuing")}[ca].certificate
    some = ocsp.OCSPRequestBuilder().add_certificate(its, issuer, digest).build()
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        some.issuer_name_hash, some.issuer_key_hash, card.serial + off, digest
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


async def post(client: httpx.AsyncClient, data: bytes) -> ocsp.OCSPResponse:
    """Ask by POST."""
    response = await client.post("/ocsp", content=data, headers={"Content-Type": "application/ocsp-request"})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/ocsp-response")
    return ocsp.load_der_ocsp_response(response.content)


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])  # noqa: S303 - RFC 6960, 4.3
async def test_it_says_good_then_revoked_with_time_and_reason(jpki: Path, digest: hashes.HashAlgorithm) -> None:
    (card,) = Register(jpki).cards()
    async with responding(jpki) as client:
        good = await post(client, question(jpki, digest=digest, nonce=b"n" * 32))
        assert good.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert good.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
        assert (good.this_update_utc, good.next_update_utc) == (NOW, NOW + timedelta(minutes=5))
        revoke(jpki, card.serial, "cessation_of_operation", NOW)
        gone = await post(client, question(jpki, digest=digest))
        assert gone.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert gone.revocation_time_utc == NOW
        assert gone.revocation_reason is x509.ReasonFlags.cessation_of_operation
        assert len(gone.extensions) == 0
        unknown = await post(client, question(jpki, digest=digest, off=1))
        assert unknown.certificate_status is ocsp.OCSPCertStatus.UNKNOWN


async def test_it_answers_a_get_whatever_slashes_its_base64_has(jpki: Path) -> None:
    data = question(jpki, digest=hashes.SHA256(), nonce=b"\xff" * 32)  # "////" within
    encoded = base64.b64encode(data).decode()
    assert "//" in encoded
    async with responding(jpki) as client:
        for spelling in (encoded, urllib.parse.quote(encoded, safe="")):
            response = await client.get(f"/ocsp/{spelling}")
            found = ocsp.load_der_ocsp_response(response.content)
            assert found.certificate_status is ocsp.OCSPCertStatus.GOOD
        broken = ocsp.load_der_ocsp_response((await client.get("/ocsp/not-base64!")).content)
        assert broken.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


async def test_it_refuses_what_it_cannot_read_or_may_not_answer(jpki: Path) -> None:
    async with responding(jpki) as client:
        for data in (b"", b"\x30\x00", question(jpki, digest=hashes.SHA256(), nonce=bytes(129))):
            response = await post(client, data)
            assert response.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        other = await post(client, question(jpki, digest=hashes.SHA256(), ca="root"))
        assert other.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
        assert (await client.post("/ocsp", content=bytes(5000))).status_code == 413


async def test_what_is_no_request_of_its_own_ends_that_connection_alone(jpki: Path) -> None:
    async with responding(jpki) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.head("/crl.der")
        assert (await client.get("/other")).status_code == 404
        async with await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0) as stream:
            await stream.send_all(b"\x16\x03\x01 no HTTP\r\n\r\n")
            while await stream.receive_some():
                pass
        (jpki / "crl.der").unlink()
        assert (await client.get("/crl.der")).status_code == 500
        good = await post(client, question(jpki, digest=hashes.SHA256()))
        assert good.certificate_status is ocsp.OCSPCertStatus.GOOD


async def test_it_gives_a_fresh_list(jpki: Path) -> None:
    (jpki / "crl.der").unlink()
    async with responding(jpki) as client:
        response = await client.get("/crl.der")
        crl = x509.load_der_x509_crl(response.content)
    assert crl.last_update_utc == NOW
    assert crl.next_update_utc == NOW + timedelta(hours=24)
