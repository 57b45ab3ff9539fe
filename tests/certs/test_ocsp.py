"""Whether a card is still good: what counts as an answer, what decides without one, and that doubt never passes.

The card authority and the OCSP messages are real; where a responder misbehaves, an HTTP server on loopback gives what
the test wants.
"""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from certs import ocsp as module
from certs.authentication import Card, verify_session
from certs.errors import CardRevoked, CardUnverifiable
from certs.ocsp import TROUBLE_LASTS, CardStatus
from gateway.peers.jpki.authority import Signer, load_signer, revoke, write_crl
from gateway.peers.jpki.responder import Responder, serve_responder
from tests.kit.sitting import Ground, Sitting, make_ground

pytestmark = pytest.mark.trio

NOW = datetime(2026, 11, 1, 9, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
OCSP_TYPE = "application/ocsp-response"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A card authority of NOW whose cards nobody revokes."""
    return make_ground(tmp_path_factory.mktemp("ocsp"), NOW)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A card authority of the test's own."""
    return make_ground(tmp_path, NOW)


def card_of(ground: Ground) -> Card:
    """The card that sits at the kiosk."""
    return verify_session(
        Sitting(ground).authenticate(), kiosk_anchors=ground.kiosk_anchors, card_anchors=ground.card_anchors, now=NOW
    )


def list_of(ground: Ground) -> x509.CertificateRevocationList:
    """The list as it lies there."""
    return x509.load_der_x509_crl((ground.jpki / "crl.der").read_bytes())


@dataclass
class Asking:
    """A CardStatus whose responder is a function of the request; `now` can be moved."""

    ground: Ground
    respond: Callable[[bytes], httpx.Response]
    now: datetime = NOW
    crl: x509.CertificateRevocationList | None = None
    asked: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = CardStatus(
            responder=None, crl=lambda: self.crl, now=lambda: self.now, timeout_s=0.2,
            transport=httpx.MockTransport(self._handle),
        )  # fmt: skip

    def _handle(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://127.0.0.1:8888/ocsp", "the URL that the card names"
        self.asked.append(request.content)
        return self.respond(request.content)


class Body(httpx.AsyncByteStream):
    """A body that comes in parts, as from a socket."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), 1000):
            yield self.data[at : at + 1000]


def answered(data: bytes, media: str = OCSP_TYPE) -> httpx.Response:
    """HTTP 200 with that body."""
    return httpx.Response(200, stream=Body(data), headers={"Content-Type": media})


def honest(ground: Ground, at: datetime = NOW) -> Callable[[bytes], httpx.Response]:
    """The authority's own responder, at a time."""
    return lambda data: answered(Responder(ground.jpki).answer(data, at))


def forged(
    signer: Signer,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    serial_off: int = 0,
    nonce: bytes | None = None,
    this_update: datetime = NOW,
    next_update: datetime | None = NOW + 5 * MINUTE,
    key: ec.EllipticCurvePrivateKey | None = None,
    certificates: bool = True,
    digest: hashes.HashAlgorithm | None = None,
    issuer_off: bool = False,
) -> Callable[[bytes], httpx.Response]:
    """A responder that answers GOOD, changed in one way. nonce None: the one asked with; empty: none."""

    def respond(data: bytes) -> httpx.Response:
        asked = ocsp.load_der_ocsp_request(data)
        issuer = bytes(32) if issuer_off else asked.issuer_key_hash
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=asked.issuer_name_hash,
            issuer_key_hash=issuer,
            serial_number=asked.serial_number + serial_off,
            algorithm=asked.hash_algorithm,
            cert_status=status,
            this_update=this_update,
            next_update=next_update,
            revocation_time=NOW if status is ocsp.OCSPCertStatus.REVOKED else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer.certificate)
        if certificates:
            builder = builder.certificates([signer.certificate])
        own = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce if nonce is None else nonce
        if own:
            builder = builder.add_extension(x509.OCSPNonce(own), critical=False)
        response = builder.sign(signer.key, digest or hashes.SHA384()).public_bytes(Encoding.DER)
        if key is not None:  # signed anew by a key that the certificate does not have
            read = ocsp.load_der_ocsp_response(response)
            other = key.sign(read.tbs_response_bytes, ec.ECDSA(hashes.SHA384()))
            response = response.replace(read.signature, other[: len(read.signature)].ljust(len(read.signature), b"\0"))
        return answered(response)

    return respond


def appointed(
    ground: Ground, *, by: Signer | None = None, purpose: bool = True, ends: datetime = NOW + DAY, serial: int = 5
) -> Signer:
    """A responder's certificate made by hand."""
    issuing = by or load_signer(ground.jpki, "issuing")
    key = ec.generate_private_key(ec.SECP384R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST responder")]))
        .issuer_name(issuing.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW - 2 * DAY)
        .not_valid_after(ends)
    )
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    return Signer(builder.sign(issuing.key, hashes.SHA384()), key)


def stranger(ground: Ground) -> Signer:
    """A CA with the issuing CA's very name, and a key of its own."""
    name = load_signer(ground.jpki, "issuing").certificate.subject
    key = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = builder.serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    return Signer(built.sign(key, hashes.SHA384()), key)


# --- answers that count


async def test_a_card_that_the_responder_calls_good_passes(made: Ground) -> None:
    asking = Asking(made, honest(made))
    await asking.status.check(card_of(made))
    assert asking.status.trouble is None


async def test_an_answer_by_the_issuer_itself_or_one_it_appointed_counts(made: Ground) -> None:
    for signer in (load_signer(made.jpki, "issuing"), load_signer(made.jpki, "responder"), appointed(made)):
        await Asking(made, forged(signer)).status.check(card_of(made))


async def test_an_answer_made_beforehand_counts_while_it_is_fresh(made: Ground) -> None:
    signer = load_signer(made.jpki, "responder")
    beforehand = forged(signer, nonce=b"", this_update=NOW - 20 * HOUR, next_update=NOW + HOUR)
    await Asking(made, beforehand).status.check(card_of(made))
    undated = forged(signer, nonce=b"", this_update=NOW - 4 * MINUTE, next_update=None)
    await Asking(made, undated).status.check(card_of(made))


async def test_a_revoked_card_is_refused_even_if_the_list_does_not_say_so_yet(ground: Ground) -> None:
    card, before = card_of(ground), list_of(ground)
    revoke(ground.jpki, card.serial, "certificate_hold", NOW)
    with pytest.raises(CardRevoked):
        await Asking(ground, honest(ground), crl=before).status.check(card)


@pytest.mark.parametrize("later", [timedelta(0), 3 * DAY], ids=["fresh", "stale"])
async def test_a_card_on_the_list_is_refused_even_if_the_responder_calls_it_good(
    ground: Ground, later: timedelta
) -> None:
    card = card_of(ground)
    revoke(ground.jpki, card.serial, "key_compromise", NOW)
    signer = load_signer(ground.jpki, "responder")
    good = forged(signer, this_update=NOW + later, next_update=None)
    asking = Asking(ground, good, now=NOW + later, crl=list_of(ground))
    with pytest.raises(CardRevoked):
        await asking.status.check(card)
    assert not asking.asked


async def test_a_card_that_the_responder_does_not_know_is_refused_whatever_the_list_says(made: Ground) -> None:
    unknown = forged(load_signer(made.jpki, "responder"), status=ocsp.OCSPCertStatus.UNKNOWN)
    with pytest.raises(CardUnverifiable, match="does not know"):
        await Asking(made, unknown, crl=list_of(made)).status.check(card_of(made))


# --- answers that do not count


def _broken(made: Ground) -> dict[str, Callable[[bytes], httpx.Response]]:
    responder, other = load_signer(made.jpki, "responder"), stranger(made)
    away = httpx.ConnectError("nobody there")

    def raising(_: bytes) -> httpx.Response:
        raise away

    refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER)
    return {
        "away": raising,
        "http error": lambda _: httpx.Response(500),
        "redirected": lambda _: httpx.Response(302, headers={"Location": "http://127.0.0.1:8888/ocsp"}),
        "another media type": lambda data: answered(Responder(made.jpki).answer(data, NOW), "text/html"),
        "too long": lambda _: answered(bytes(module.ANSWER_BYTES_MAX + 1)),
        "no answer in it": lambda _: answered(b""),
        "no message": lambda _: answered(b"\x30\x03\x0a\x01"),
        "try later": lambda _: answered(refused),
        "unsigned": forged(responder, key=ec.generate_private_key(ec.SECP384R1())),
        "by a stranger": forged(other),
        "by a stranger without certificate": forged(other, certificates=False),
        "by one a stranger appointed": forged(appointed(made, by=other)),
        "by one appointed for something else": forged(appointed(made, purpose=False)),
        "by one whose appointment ended": forged(appointed(made, ends=NOW - DAY)),
        "with a weak hash": forged(responder, digest=hashes.SHA224()),
        "about another serial": forged(responder, serial_off=1),
        "about another issuer": forged(responder, issuer_off=True),
        "to another nonce": forged(responder, nonce=bytes(32)),
        "stale": forged(responder, this_update=NOW - HOUR, next_update=NOW - SECOND),
        "a day old": forged(responder, this_update=NOW - DAY - MINUTE, next_update=NOW + HOUR),
        "undated and old": forged(responder, this_update=NOW - 6 * MINUTE, next_update=None),
        "from the future": forged(responder, this_update=NOW + 2 * MINUTE, next_update=NOW + HOUR),
    }


BROKEN = (
    "away", "http error", "redirected", "another media type", "too long", "no answer in it", "no message", "try later",
    "unsigned", "by a stranger", "by a stranger without certificate", "by one a stranger appointed",
    "by one appointed for something else", "by one whose appointment ended", "with a weak hash",
    "about another serial", "about another issuer", "to another nonce", "stale", "a day old", "undated and old",
    "from the future",
)  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
async def test_what_is_no_answer_leaves_the_card_unverifiable_without_a_list(made: Ground, how: str) -> None:
    asking = Asking(made, _broken(made)[how])
    with pytest.raises(CardUnverifiable):
        await asking.status.check(card_of(made))
    assert asking.asked
    assert asking.status.trouble


@pytest.mark.parametrize("how", BROKEN)
async def test_without_an_answer_a_fresh_list_decides(made: Ground, how: str) -> None:
    asking = Asking(made, _broken(made)[how], crl=list_of(made))
    await asking.status.check(card_of(made))
    assert asking.status.trouble, "the operator can see that the list decided"


async def test_that_the_responder_is_away_shows_until_it_answers_or_nobody_asks_it_any_more(made: Ground) -> None:
    asking = Asking(made, lambda _: httpx.Response(503), crl=list_of(made))
    assert asking.status.answering
    await asking.status.check(card_of(made))
    assert not asking.status.answering
    asking.now = NOW + TROUBLE_LASTS - MINUTE
    assert not asking.status.answering
    asking.now = NOW + TROUBLE_LASTS
    assert asking.status.answering
    await asking.status.check(card_of(made))
    assert not asking.status.answering
    asking.respond = honest(made, asking.now)
    await asking.status.check(card_of(made))
    assert asking.status.answering


async def test_a_responder_that_was_itself_revoked_does_not_count(ground: Ground) -> None:
    issuing = load_signer(ground.jpki, "issuing")
    taken_back = appointed(ground, serial=4711)
    crl = x509.CertificateRevocationListBuilder().issuer_name(issuing.certificate.subject)
    entry = x509.RevokedCertificateBuilder().serial_number(4711).revocation_date(NOW).build()
    stale = crl.last_update(NOW - 9 * DAY).next_update(NOW - 8 * DAY).add_revoked_certificate(entry)
    asking = Asking(ground, forged(taken_back), crl=stale.sign(issuing.key, hashes.SHA384()))
    with pytest.raises(CardUnverifiable, match="revoked"):
        await asking.status.check(card_of(ground))


@dataclass
class Exchange:
    """A question about a card and the responder's answer: revoked."""

    card: Card
    request: ocsp.OCSPRequest
    nonce: bytes
    answer: bytes

    def judged(self, answer: bytes) -> module.Answer | None:
        """What an answer says, None when it does not count."""
        with contextlib.suppress(module.NoAnswer):
            return module.judge(
                answer, request=self.request, nonce=self.nonce, issuer=self.card.issuer_certificate,
                revoked=frozenset(), now=NOW,
            )  # fmt: skip
        return None


@pytest.fixture(scope="module")
def exchange(made: Ground) -> Exchange:
    """Made once: the examples are changes of the same bytes."""
    card, nonce = card_of(made), bytes(range(32))
    builder = ocsp.OCSPRequestBuilder().add_certificate(card.certificate, card.issuer_certificate, hashes.SHA256())
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    revoked = forged(load_signer(made.jpki, "responder"), status=ocsp.OCSPCertStatus.REVOKED)
    stream = revoked(request.public_bytes(Encoding.DER)).stream
    assert isinstance(stream, Body)
    return Exchange(card, request, nonce, stream.data)


@given(at=st.integers(0, 1 << 16), bit=st.integers(0, 7))
async def test_no_altered_answer_says_another_status(exchange: Exchange, at: int, bit: int) -> None:
    """A bit turned over anywhere leaves the very same answer or none: a revoked card never becomes good."""
    answer = bytearray(exchange.answer)
    answer[at % len(answer)] ^= 1 << bit
    found = exchange.judged(bytes(answer))
    assert found is None or found.status is ocsp.OCSPCertStatus.REVOKED


@given(data=st.binary(max_size=300))
async def test_any_bytes_are_no_answer_and_nothing_else(exchange: Exchange, data: bytes) -> None:
    assert exchange.judged(exchange.answer) is not None
    assert exchange.judged(data) is None


# --- the list


async def test_a_list_decides_for_a_day_and_not_beyond_its_next_update(ground: Ground) -> None:
    card, away = card_of(ground), _broken(ground)["away"]
    write_crl(ground.jpki, now=NOW, hours=72)
    asking = Asking(ground, away, crl=list_of(ground))
    for later, good in ((DAY - SECOND, True), (DAY, False), (-2 * MINUTE, False)):
        asking.now = NOW + later
        if good:
            await asking.status.check(card)
        else:
            with pytest.raises(CardUnverifiable, match="list is stale"):
                await asking.status.check(card)
    write_crl(ground.jpki, now=NOW, hours=1)
    asking.crl, asking.now = list_of(ground), NOW + HOUR
    with pytest.raises(CardUnverifiable, match="list is stale"):
        await asking.status.check(card)


async def test_a_list_that_is_not_the_issuers_or_not_whole_is_none(made: Ground) -> None:
    issuing, other = load_signer(made.jpki, "issuing"), stranger(made)
    root = load_signer(made.jpki, "root")
    begun = x509.CertificateRevocationListBuilder().last_update(NOW).next_update(NOW + HOUR)
    lists = [
        begun.issuer_name(issuing.certificate.subject).sign(other.key, hashes.SHA384()),
        begun.issuer_name(root.certificate.subject).sign(root.key, hashes.SHA384()),
        begun.issuer_name(issuing.certificate.subject)
        .add_extension(x509.DeltaCRLIndicator(1), critical=True)
        .sign(issuing.key, hashes.SHA384()),
    ]
    for each in lists:
        with pytest.raises(CardUnverifiable, match="no revocation list"):
            await Asking(made, _broken(made)["away"], crl=each).status.check(card_of(made))


async def test_an_older_or_spoilt_list_put_back_lets_nobody_in_again(ground: Ground) -> None:
    card, before = card_of(ground), list_of(ground)
    revoke(ground.jpki, card.serial, "superseded", NOW + MINUTE)
    asking = Asking(ground, _broken(ground)["away"], now=NOW + MINUTE, crl=list_of(ground))
    other = stranger(ground)
    begun = x509.CertificateRevocationListBuilder().last_update(NOW + HOUR).next_update(NOW + DAY)
    spoilt = begun.issuer_name(other.certificate.subject).sign(other.key, hashes.SHA384())
    for crl in (asking.crl, before, spoilt, None):
        asking.crl = crl
        with pytest.raises(CardRevoked):
            await asking.status.check(card)


# --- what is remembered


async def test_good_is_remembered_for_a_minute_and_no_longer(made: Ground) -> None:
    asking = Asking(made, forged(load_signer(made.jpki, "responder"), next_update=NOW + HOUR))
    card = card_of(made)
    for later, times in ((0, 1), (59, 1), (60, 2)):
        asking.now = NOW + later * SECOND
        await asking.status.check(card)
        assert len(asking.asked) == times


async def test_good_is_remembered_no_longer_than_the_answer_lasts(made: Ground) -> None:
    asking = Asking(made, forged(load_signer(made.jpki, "responder"), next_update=NOW + 10 * SECOND))
    card = card_of(made)
    await asking.status.check(card)
    asking.now = NOW + 10 * SECOND
    with pytest.raises(CardUnverifiable):
        await asking.status.check(card)


async def test_a_new_list_overrules_what_is_remembered(ground: Ground) -> None:
    card = card_of(ground)
    asking = Asking(ground, honest(ground), crl=list_of(ground))
    await asking.status.check(card)
    revoke(ground.jpki, card.serial, "superseded", NOW)
    asking.crl = list_of(ground)
    with pytest.raises(CardRevoked):
        await asking.status.check(card)


async def test_only_good_is_remembered_and_not_what_a_list_decided(made: Ground) -> None:
    asking = Asking(made, _broken(made)["away"], crl=list_of(made))
    for times in (1, 2):
        await asking.status.check(card_of(made))
        assert len(asking.asked) == times


async def test_what_is_remembered_is_bounded(made: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CARDS_CACHED_MAX", 1)
    asking = Asking(made, honest(made))
    first = card_of(made)
    second = verify_session(
        Sitting(made, "rsa2048").authenticate(),
        kiosk_anchors=made.kiosk_anchors, card_anchors=made.card_anchors, now=NOW,
    )  # fmt: skip
    for card, times in ((first, 1), (second, 2), (second, 2), (first, 3)):
        await asking.status.check(card)
        assert len(asking.asked) == times


# --- over the network


@asynccontextmanager
async def responding(ground: Ground) -> AsyncIterator[str]:
    """The real responder on loopback; its URL."""
    stop = trio.Event()

    async def serve(task_status: trio.TaskStatus[int]) -> None:
        await serve_responder(ground.jpki, port=0, stop=stop, task_status=task_status, now=lambda: NOW)

    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve)
        yield f"http://127.0.0.1:{port}/ocsp"
        stop.set()


async def _over_http(ground: Ground) -> None:
    card = card_of(ground)
    async with responding(ground) as url, httpx.AsyncHTTPTransport() as transport:
        status = CardStatus(responder=url, crl=lambda: None, transport=transport, now=lambda: NOW, timeout_s=5)
        await status.check(card)
        revoke(ground.jpki, card.serial, "affiliation_changed", NOW)
        other = CardStatus(responder=url, crl=lambda: None, transport=transport, now=lambda: NOW, timeout_s=5)
        with pytest.raises(CardRevoked):
            await other.check(card)


async def test_the_responder_is_asked_over_http(ground: Ground) -> None:
    await _over_http(ground)


@pytest.mark.guest
async def test_the_responder_is_asked_over_http_while_trio_is_a_guest(ground: Ground) -> None:
    await _over_http(ground)


async def test_a_responder_that_is_silent_is_given_up_in_time(made: Ground) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def silent(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    async with trio.open_nursery() as nursery, httpx.AsyncHTTPTransport() as transport:
        nursery.start_soon(trio.serve_listeners, silent, [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
        status = CardStatus(responder=url, crl=lambda: None, transport=transport, now=lambda: NOW, timeout_s=0.05)
        with trio.fail_after(5), pytest.raises(CardUnverifiable, match="did not answer within"):
            await status.check(card_of(made))
        nursery.cancel_scope.cancel()
