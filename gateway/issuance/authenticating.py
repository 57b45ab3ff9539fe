"""CHALLENGE and AUTHENTICATE: whose card is it, on which kiosk of the operator that asks (本人認証, 000仕3-3).

The centre checks on the municipality's behalf, and the municipality checks again before it seals anything (DESIGN 10).
What is kept of a card is its pseudonym in that municipality, and for some minutes the very body that was checked.

Source: DESIGN section 10; DOMAIN 2.8, E2.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, Protocol

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from certs.authentication import Card, verify_session
from certs.errors import CardRevoked, SessionReason, SessionRefused
from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.policy import Refused
from gateway.issuance.keeping import Keeper
from gateway.issuance.nonce import FRESH_US, RANDOM_BYTES, application_id, make_nonce, nonce_holds
from gateway.issuance.pseudonym import pseudonym
from gateway.issuance.states import Move, refused
from gateway.store.issuance import ApplicationRow, Opening
from protocol.application import Transition
from protocol.issuance import Authenticate, Authenticated, Challenged
from protocol.messages import encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

APPLICATION_US: Final = 10 * 60 * 1_000_000
"""From AUTHENTICATE until the application can no longer be applied for or fetched."""

NONCE_INVALID: Final = refused(Outcome.NONCE_INVALID, "nonce", "ask CHALLENGE again and have the card sign anew")
_REFUSALS: Final = {
    SessionReason.KIOSK_CERTIFICATE: refused(
        Outcome.KIOSK_NOT_REGISTERED, "kiosk_certificate", "a certificate of the operator's kiosk CA, naming this kiosk"
    ),
    SessionReason.KIOSK_SIGNATURE: refused(
        Outcome.SIGNATURE_REFUSED, "kiosk_signature", "sign session and nonce with the key of the kiosk's certificate"
    ),
    SessionReason.CARD_CERTIFICATE: refused(Outcome.CARD_NOT_USABLE, "card_certificate", "use a My Number Card"),
    SessionReason.CARD_EXPIRED: refused(
        Outcome.CARD_EXPIRED, "card_certificate", "have the card's certificate renewed at the municipal office"
    ),
    SessionReason.CARD_SIGNATURE: refused(
        Outcome.SIGNATURE_REFUSED, "card_signature", "have the card sign session and nonce"
    ),
}
_REVOKED: Final = refused(Outcome.CARD_REVOKED, "card_certificate", "go to the municipal office with the card")


class CardStatus(Protocol):
    """Whether a card is revoked; certs.ocsp.CardStatus is one."""

    async def check(self, card: Card) -> None:
        """Raises: CardRevoked, CardUnverifiable."""


class Authenticator:
    """Makes nonces and checks sittings for one worker."""

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        status: CardStatus,
        card_anchors: Sequence[x509.Certificate],
        keeper: Keeper,
        nonce_key: bytes,
        pseudonym_key: bytes,
        random: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._status = status
        self._card_anchors = tuple(card_anchors)
        self._keeper = keeper
        self._nonce_key = nonce_key
        self._pseudonym_key = pseudonym_key
        self._random = random

    def challenge(self, *, operator: str, kiosk: str, now_us: int) -> Challenged:
        """A nonce for a kiosk of this operator; nothing is kept."""
        random = self._random(RANDOM_BYTES)
        nonce = make_nonce(self._nonce_key, operator=operator, kiosk=kiosk, now_us=now_us, random=random)
        return Challenged(nonce, FRESH_US // 1_000)

    def refuses(self, operator: str, body: Authenticate, *, now_us: int) -> Refused | None:
        """What can be refused without looking at a signature, in the order of cost."""
        session = body.session
        if session.operator != operator:
            return refused(Outcome.FIELD_INVALID, "session", "the session names the operator of this line")
        directory = self._directory()
        why = offers.kiosk_refused(directory, operator=operator, kiosk=session.kiosk)
        if why is not None:
            return why
        if not nonce_holds(self._nonce_key, body.nonce, operator=operator, kiosk=session.kiosk, now_us=now_us):
            return NONCE_INVALID
        return offers.may_authenticate(
            directory, operator=operator, municipality=body.municipality, card_type=body.card_type, at_us=now_us
        )

    async def authenticate(self, operator: str, body: Authenticate, *, request: bytes, now_us: int) -> Move | Refused:
        """Check a sitting whose nonce is not used yet. Raises: CardUnverifiable."""
        why = self.refuses(operator, body, now_us=now_us)
        if why is not None:
            return why
        directory = self._directory()
        try:
            card = verify_session(
                body,
                kiosk_anchors=_certificates(offers.kiosk_anchors(directory, operator)),
                card_anchors=self._card_anchors,
                now=dt.datetime.fromtimestamp(now_us / 1e6, dt.UTC),
            )
        except SessionRefused as error:
            log.warning("session_refused", party=operator, reason=error.reason.value)
            return _REFUSALS[error.reason]
        try:
            await self._status.check(card)
        except CardRevoked:
            return _REVOKED
        place = offers.municipality_of(directory, body.municipality)
        expires_at_us = min(now_us + APPLICATION_US, int(card.not_after.timestamp() * 1e6))
        row = ApplicationRow(
            application=application_id(body.nonce),
            operator=operator,
            kiosk=body.session.kiosk,
            municipality=body.municipality,
            card_type=body.card_type,
            pseudonym=pseudonym(self._pseudonym_key, municipality=body.municipality, card=card.key),
            kiosk_key=_spki(body.kiosk_certificate),
            expires_at_us=expires_at_us,
        )
        return Move(
            application=row.application,
            operator=operator,
            municipality=row.municipality,
            transition=Transition.AUTHENTICATED,
            outcome=Outcome.AUTHENTICATED,
            request=b"",  # kept apart, where it can be destroyed
            answer=encode(Authenticated(row.application, expires_at_us)),
            at_us=now_us,
            counterparty=place.party if place else "",
            kiosk=row.kiosk,
            opening=Opening(row, body.nonce, self._keeper.seal(row.application, request)),
        )


@lru_cache(64)
def _certificates(anchors: tuple[bytes, ...]) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_der_x509_certificate(each) for each in anchors)


def _spki(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
