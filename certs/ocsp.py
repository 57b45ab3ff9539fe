"""Is the card's certificate still good at this moment? OCSP for the day's certainty, the revocation list beside it.

The responder is asked about every card, but for a GOOD that is less than a minute old. An answer counts only when it is
about this very certificate, signed by its issuer or by a responder that the issuer appointed, fresh, and for our nonce
where it bears one; anything else is no answer, as is silence. Without an answer a fresh list decides. What either
calls revoked is revoked, and a card that the responder does not know is not good, whatever the list says.

Invariants: fail closed; nothing but CardRevoked and CardUnverifiable leaves, whatever the responder sends; work is
bounded in time, bytes and cached cards. Clock and randomness are handed in. `judge` is pure.
Source: DOMAIN 2.8; RFC 6960, 3.2 and 4.2; RFC 9654 (nonce); RFC 5280, 6.3.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import httpx
import trio
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from certs.anchors import PARSE_ERRORS
from certs.authentication import Card
from certs.errors import CardRevoked, CardUnverifiable

GOOD_FOR: Final = timedelta(seconds=60)
"""How long GOOD is taken as said, at most."""
CARDS_CACHED_MAX: Final = 4096
APPOINTMENTS_MAX: Final = 64
"""Responder certificates whose proof is kept."""
LIST_AGE_MAX: Final = timedelta(hours=24)
"""An older list decides nothing, whatever it says of its next update."""
ANSWER_AGE_MAX: Final = timedelta(hours=24)
ANSWER_AGE_MAX_UNDATED: Final = timedelta(minutes=5)
"""For an answer that does not say when there will be a newer one."""
SKEW: Final = timedelta(seconds=60)
"""The responder's clock may be ahead by so much."""
TROUBLE_LASTS: Final = timedelta(minutes=15)
"""Whoever asks nothing for so long does not know whether the responder is still away."""
ANSWER_BYTES_MAX: Final = 64 << 10
NONCE_BYTES: Final = 32
_MEDIA: Final = "application/ocsp-response"
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class NoAnswer(Exception):  # noqa: N818 - named after the fact
    """What the responder sent, or that it sent nothing, says nothing about the card."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A proven answer: the status, and until when (UTC) it may be taken as said."""

    status: ocsp.OCSPCertStatus
    until: datetime


@dataclass(frozen=True, slots=True)
class _List:
    """A revocation list proven against one issuer: what it holds and the bounds of its use."""

    source: x509.CertificateRevocationList
    serials: frozenset[int]
    begins: datetime
    ends: datetime


class CardStatus:
    """Asks about cards. `responder` is a URL, or None for the one each card names.

    `crl` gives the newest list at hand (of the cards' issuing CA) or None; `transport` is used on Trio (a client's
    redirects, cookies and proxies have no business here); `now` gives an aware time; `timeout_s` bounds one question.
    `trouble` says why the responder's last answer did not count, None after one that did.
    """

    def __init__(
        self,
        *,
        responder: str | None,
        crl: Callable[[], x509.CertificateRevocationList | None],
        transport: httpx.AsyncBaseTransport,
        now: Callable[[], datetime],
        timeout_s: float = 2.0,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.trouble: str | None = None
        self._troubled_at: datetime | None = None
        self._responder = responder
        self._crl = crl
        self._transport = transport
        self._now = now
        self._timeout_s = timeout_s
        self._random = random
        self._good: OrderedDict[bytes, datetime] = OrderedDict()
        self._lists: dict[bytes, _List] = {}
        """By issuer, of which there are as many as the anchors have."""

    @property
    def answering(self) -> bool:
        """False while the last question had no answer that counts, and for TROUBLE_LASTS if no other follows."""
        return self._troubled_at is None or self._now() - self._troubled_at >= TROUBLE_LASTS

    async def check(self, card: Card) -> None:
        """Return if the card is good now. Raises: CardRevoked; CardUnverifiable."""
        listed = self._listed(card)
        if listed is not None and card.serial in listed.serials:  # a list that is stale still proves what it holds
            self._good.pop(card.key, None)
            raise CardRevoked
        now = self._now()
        if now < self._good.get(card.key, now):
            return
        try:
            answer = await self._ask(card, listed)
        except NoAnswer as error:
            self.trouble = str(error)
            self._troubled_at = now = self._now()
            if listed is None or not listed.begins <= now < listed.ends:
                state = "no revocation list of its issuer" if listed is None else "the revocation list is stale"
                raise CardUnverifiable(f"{error}; {state}") from error
            return
        self.trouble = self._troubled_at = None
        if answer.status is ocsp.OCSPCertStatus.REVOKED:
            self._good.pop(card.key, None)
            raise CardRevoked
        if answer.status is not ocsp.OCSPCertStatus.GOOD:
            raise CardUnverifiable("the responder does not know the card")
        self._remember(card.key, answer.until)

    def _remember(self, key: bytes, until: datetime) -> None:
        self._good[key] = min(until, self._now() + GOOD_FOR)
        self._good.move_to_end(key)
        while len(self._good) > CARDS_CACHED_MAX:
            self._good.popitem(last=False)

    def _listed(self, card: Card) -> _List | None:
        """The newest list of the card's issuer that was ever at hand; each is proven once.

        An older one put back in its place, or one that proves nothing, would let in what was revoked since.
        """
        crl, held = self._crl(), self._lists.get(card.issuer)
        if crl is None or (held is not None and held.source is crl):
            return held
        found = _proven_list(crl, card.issuer_certificate)
        if found is None or (held is not None and found.begins < held.begins):
            return held
        self._lists[card.issuer] = found
        return found

    async def _ask(self, card: Card, listed: _List | None) -> Answer:
        url = self._responder or _named_responder(card.certificate)
        nonce = self._random(NONCE_BYTES)
        request = (
            ocsp.OCSPRequestBuilder()
            .add_certificate(card.certificate, card.issuer_certificate, hashes.SHA256())
            .add_extension(x509.OCSPNonce(nonce), critical=False)
            .build()
        )
        data: bytes | None = None
        try:
            with trio.move_on_after(self._timeout_s):
                data = await self._post(url, request.public_bytes(Encoding.DER))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"the responder is away ({type(error).__name__})") from error
        if data is None:
            raise NoAnswer(f"the responder did not answer within {self._timeout_s:g} s")
        return judge(
            data,
            request=request,
            nonce=nonce,
            issuer=card.issuer_certificate,
            revoked=frozenset() if listed is None else listed.serials,
            now=self._now(),
        )

    async def _post(self, url: str, content: bytes) -> bytes:
        headers = {"Content-Type": "application/ocsp-request", "Accept": _MEDIA, "Accept-Encoding": "identity"}
        response = await self._transport.handle_async_request(
            httpx.Request("POST", url, content=content, headers=headers)
        )
        try:
            if response.status_code != httpx.codes.OK:
                raise NoAnswer(f"the responder answered with HTTP status {response.status_code}")
            if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _MEDIA:
                raise NoAnswer("the responder's answer is no OCSP response by its type")
            found = bytearray()
            async for part in response.aiter_raw():  # read to its end: a generator left half-way is closed by chance
                if len(found) <= ANSWER_BYTES_MAX:
                    found += part
            if len(found) > ANSWER_BYTES_MAX:
                raise NoAnswer(f"the responder's answer is longer than {ANSWER_BYTES_MAX} bytes")
            return bytes(found)
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()


def judge(
    data: bytes,
    *,
    request: ocsp.OCSPRequest,
    nonce: bytes,
    issuer: x509.Certificate,
    revoked: frozenset[int],
    now: datetime,
) -> Answer:
    """Prove an answer (DER) to this request. `revoked` are serials of the issuer's that no responder may have.

    Raises: NoAnswer.
    """
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NoAnswer(f"the responder refused: {response.response_status.name.lower()}")
        _require_signed(response, issuer=issuer, revoked=revoked, now=now)
        _require_nonce(response, nonce)
        single = _single(response, request)
        until = _require_fresh(single, now)
        return Answer(single.certificate_status, until)
    except PARSE_ERRORS as error:
        raise NoAnswer("the responder's answer cannot be read") from error


def _named_responder(certificate: x509.Certificate) -> str:
    """The OCSP URL in the card's AIA. Raises: NoAnswer."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *PARSE_ERRORS):
        raise NoAnswer("the card names no responder") from None
    for each in access:
        place = each.access_location
        if each.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            place, x509.UniformResourceIdentifier
        ):
            return place.value
    raise NoAnswer("the card names no responder")


def _single(response: ocsp.OCSPResponse, request: ocsp.OCSPRequest) -> ocsp.OCSPSingleResponse:
    """The one part that is about the certificate asked for."""
    found = [
        each
        for each in response.responses
        if each.serial_number == request.serial_number
        and each.hash_algorithm.name == request.hash_algorithm.name
        and each.issuer_name_hash == request.issuer_name_hash
        and each.issuer_key_hash == request.issuer_key_hash
    ]
    if len(found) != 1:
        raise NoAnswer("the responder's answer is about another certificate")
    return found[0]


def _require_nonce(response: ocsp.OCSPResponse, nonce: bytes) -> None:
    """A nonce that comes back must be ours; one made beforehand has none, and its dates say how old it is."""
    try:
        came = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if came != nonce:
        raise NoAnswer("the responder's answer is to another question")


def _require_fresh(single: ocsp.OCSPSingleResponse, now: datetime) -> datetime:
    """Return until when it may be taken as said."""
    age = now - single.this_update_utc
    ends = single.next_update_utc
    if age < -SKEW or age > (ANSWER_AGE_MAX_UNDATED if ends is None else ANSWER_AGE_MAX):
        raise NoAnswer("the responder's answer is stale")
    if ends is None:
        return now + GOOD_FOR
    if now >= ends:
        raise NoAnswer("the responder's answer is stale")
    return ends


def _require_signed(
    response: ocsp.OCSPResponse, *, issuer: x509.Certificate, revoked: frozenset[int], now: datetime
) -> None:
    """By the issuer, or by whom the issuer appointed and has not taken back (RFC 6960, 4.2.2.2)."""
    signer = _appointed(response, issuer=issuer, revoked=revoked, now=now)
    algorithm = response.signature_hash_algorithm
    key = signer.public_key()
    if not isinstance(algorithm, _HASHES):
        raise NoAnswer("the responder's answer is signed with a hash that does not count")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            raise NoAnswer("the responder's key is of another kind")
    except InvalidSignature:
        raise NoAnswer("the signature of the responder's answer does not hold") from None


def _appointed(
    response: ocsp.OCSPResponse, *, issuer: x509.Certificate, revoked: frozenset[int], now: datetime
) -> x509.Certificate:
    """Whose key must have signed."""
    if _is_responder(response, issuer):
        return issuer
    for candidate in response.certificates:
        if _is_responder(response, candidate) and _is_appointed(candidate, issuer, now):
            if candidate.serial_number in revoked:
                raise NoAnswer("the responder's certificate is revoked")
            return candidate
    raise NoAnswer("the responder is not appointed by the card's issuer")


def _is_responder(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    return response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _is_appointed(candidate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    return candidate.not_valid_before_utc <= now <= candidate.not_valid_after_utc and _was_appointed(candidate, issuer)


@lru_cache(maxsize=APPOINTMENTS_MAX)
def _was_appointed(candidate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whatever the time: the same certificate comes with every answer, and its proof does not change."""
    try:
        candidate.verify_directly_issued_by(issuer)
        purposes = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, x509.ExtensionNotFound, *PARSE_ERRORS):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes


def _proven_list(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> _List | None:
    """The list, if this issuer signed it whole; a partial one would say less than it seems to."""
    try:
        critical = any(extension.critical for extension in crl.extensions)
        signed = crl.issuer == issuer.subject and crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        if critical or not signed or crl.next_update_utc is None:
            return None
        serials = frozenset(entry.serial_number for entry in crl)
    except PARSE_ERRORS:
        return None
    ends = min(crl.next_update_utc, crl.last_update_utc + LIST_AGE_MAX)
    return _List(crl, serials, crl.last_update_utc - SKEW, ends)
