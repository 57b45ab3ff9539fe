"""From ISSUE to a released document: check everything again, make it, and release it only if it still may be.

The municipality takes nobody's word (公的個人認証法: it is the verifier): kiosk certificate, card, both signatures over
session and nonce, the session's signature over the statement, and the card's revocation by its own question.

The release is one transaction: the records are read again, the decision is made again, and they must be the very
records the document was made from; then the issue with its number and the sealed document are written. So a seal
registration cancelled or a suppression set while the page was being set is caught, a record changed meanwhile is set
anew, and two servers over one file issue an application once. Numbers of issue are random and unique by a constraint.

Asked again with the same statement and session, the same sealed bytes are given, for as long as they are held and the
status still allows it. What is held is ciphertext for the kiosk alone.

Source: DESIGN 10; DOMAIN 2.6, 2.8, 2.12; 001-12-2, 001-15.
"""

import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, Protocol

import msgspec
import structlog
import trio
from cryptography import x509

from certs import Card, CardRevoked, CertificateRefused, SessionReason, SessionRefused, verify_session, verify_statement
from gateway.peers.kit import KIT
from gateway.peers.kit.content import Certificate
from gateway.peers.kit.errors import KitError, TextRefused, TextTooLong
from gateway.peers.municipality import journal
from gateway.peers.municipality.contents import compose
from gateway.peers.municipality.crafting import Commission, Made
from gateway.peers.municipality.errors import Incident, MunicipalityError
from gateway.peers.municipality.issuing import Cause, OfferedKind, Refused, check_offer, check_records
from gateway.peers.municipality.records import Records, read_records, resident_of_card
from gateway.peers.municipality.store import Store
from gateway.peers.municipality.trusted import Anchors
from protocol.certificates import Kind
from protocol.document import session_digest, statement_digest
from protocol.issuance import PART_BYTES, Issue, Issued, Part, Statement

log = structlog.get_logger()

JAPAN: Final = timezone(timedelta(hours=9))
TRIES_MAX: Final = 3
"""A record that changes under every one of so many tries leaves the application for later."""
SERIAL_BYTES: Final = 10
_CAUSES: Final[dict[SessionReason, Cause]] = {
    SessionReason.CARD_EXPIRED: Cause.CARD_EXPIRED,
    SessionReason.CARD_CERTIFICATE: Cause.CARD_NOT_ACCEPTED,
}


class Unsettled(MunicipalityError):  # noqa: N818 - named after the fact
    """Nothing was made and nothing is wrong with the application: it may be asked again."""

    code = "unsettled"


class Status(Protocol):
    """What certs.ocsp.CardStatus does."""

    async def check(self, card: Card) -> None:
        """Raises: CardRevoked, CardUnverifiable."""


class Town(msgspec.Struct, frozen=True, kw_only=True):
    """What of the municipality stands on its certificates, what it offers, and its time limits."""

    code: str
    name_ja: str
    mayor_ja: str
    offered: Mapping[str, OfferedKind]
    hold_s: int = 900
    statement_age_s: int = 3600


class Maker:
    """Answers ISSUE and MADE_PART over one store."""

    def __init__(
        self,
        store: Store,
        *,
        town: Town,
        anchors: Callable[[], Anchors],
        status: Status,
        make: Callable[[Certificate, Commission], Awaitable[Made]],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._town = town
        self._anchors = anchors
        self._status = status
        self._make = make
        self._random = random

    async def issue(self, body: Issue) -> Issued:
        """Make a document, or give the one already made.

        Raises: Refused, whose cause is kept here and whose outcome the operator is told; CardUnverifiable, Unsettled,
        HsmError: nothing was made, ask again.
        """
        application = body.application.statement.application
        if body.kit != KIT:
            log.warning("kit_differs", version=KIT)  # the centre judges which kits are still in force
        try:
            return await self._issue(body)
        except Refused as refused:
            with self._store.transaction():
                journal.keep_refusal(self._store, application, refused)
                if refused.incident is not None:
                    self._incident(refused.incident, application, refused.detail)
                if refused.withdrawn:
                    self._store.run("DELETE FROM held WHERE application = ?", application)
            log.info("certificate_refused", outcome=int(refused.outcome))
            raise

    def part(self, body: Part) -> bytes:
        """A part of a held document. Raises: Refused when it is held no longer, or ends before."""
        row = self._store.row(
            "SELECT substr(document, ?, ?) FROM held WHERE application = ? AND until_us > ?",
            body.index * PART_BYTES + 1,
            PART_BYTES,
            body.application,
            self._store.now_us(),
        )
        if row is None or not row[0]:
            raise Refused(Cause.NO_LONGER_HELD)
        return bytes(row[0])

    def drop_expired(self) -> int:
        """Drop what is held beyond its time, from the write-ahead log too; how many."""
        gone = self._store.run("DELETE FROM held WHERE until_us <= ?", self._store.now_us())
        if gone:
            self._store.forget()
        return gone

    # --- an issue

    async def _issue(self, body: Issue) -> Issued:
        statement = body.application.statement
        kind = check_offer(statement, code=self._town.code, offered=self._town.offered)
        card = self._authenticated(body)
        try:
            await self._status.check(card)
        except CardRevoked as error:
            raise Refused(Cause.CARD_REVOKED) from error
        for _ in range(TRIES_MAX):
            known = self._known(body, card, kind)
            if known is not None:
                return known
            records = self._records(card, kind, statement)
            commission = self._commission(body)
            made = await self._made(records, kind, commission)
            released = self._released(body, card, kind, records, commission, made)
            if released is not None:
                log.info("certificate_made", bytes=released.size)
                return released
            self._incident(Incident.CHANGED_WHILE_MADE, statement.application, "records")
        raise Unsettled("the records changed while the document was being made, every time")

    def _authenticated(self, body: Issue) -> Card:
        """The card of a session whose every signature holds. Raises: Refused."""
        authentication, statement = body.authentication, body.application.statement
        now_us, anchors, operator = self._store.now_us(), self._anchors(), authentication.session.operator
        try:
            card = verify_session(
                authentication,
                kiosk_anchors=anchors.of_operator(operator),
                card_anchors=anchors.cards,
                now=_utc(now_us),
            )
            kiosk = x509.load_der_x509_certificate(authentication.kiosk_certificate)
            anchors.require_standing(operator, kiosk, now=_utc(now_us))
            verify_statement(statement, body.application.signature, authentication.session)
        except SessionRefused as error:
            expired = error.reason is SessionReason.CARD_EXPIRED
            raise Refused(
                _CAUSES.get(error.reason, Cause.SIGNATURE_REFUSED),
                incident=None if expired else Incident.SIGNATURE_REFUSED,  # the centre let it pass: somebody is wrong
                detail=error.reason.value,
            ) from error
        except CertificateRefused as error:
            detail = SessionReason.KIOSK_CERTIFICATE.value
            raise Refused(Cause.SIGNATURE_REFUSED, incident=Incident.SIGNATURE_REFUSED, detail=detail) from error
        if abs(now_us - statement.asked_at_us) > self._town.statement_age_s * 1_000_000:
            raise Refused(Cause.STATEMENT_STALE)
        return card

    def _records(self, card: Card, kind: Kind, statement: Statement) -> Records:
        """What the card's holder may have a certificate of, as it stands now. Raises: Refused."""
        number = resident_of_card(self._store, card.key)
        if number is None:
            raise Refused(Cause.CARD_UNKNOWN)
        records = read_records(self._store, number)
        today = _utc(self._store.now_us()).astimezone(JAPAN).date()
        check_records(records, kind=kind, options=statement.options, today=today)
        return records

    def _commission(self, body: Issue) -> Commission:
        random = base64.b32encode(self._random(SERIAL_BYTES)).decode()
        return Commission(
            session=body.authentication.session,
            statement=body.application.statement,
            pseudonym=body.pseudonym,
            serial="-".join(random[at : at + 4] for at in range(0, len(random), 4)),
            at_us=self._store.now_us(),
        )

    async def _made(self, records: Records, kind: Kind, commission: Commission) -> Made:
        statement = commission.statement
        try:
            certificate = compose(
                records,
                kind=kind,
                options=statement.options,
                municipality_ja=self._town.name_ja,
                mayor_ja=self._town.mayor_ja,
                serial=commission.serial,
                issued_on=_utc(commission.at_us).astimezone(JAPAN).date(),
            )
            made = await self._make(certificate, commission)
        except TextRefused as error:
            raise Refused(Cause.TEXT_TOO_LONG if isinstance(error, TextTooLong) else Cause.NO_GLYPH) from error
        except KitError as error:
            self._incident(Incident.DOCUMENT_NOT_MADE, statement.application, error.code)
            raise Unsettled("the kit made no document") from error
        await trio.lowlevel.checkpoint_if_cancelled()  # what nobody waits for any more is not released
        return made

    def _released(
        self, body: Issue, card: Card, kind: Kind, records: Records, commission: Commission, made: Made
    ) -> Issued | None:
        """Record and release, in one transaction; None when the records are not those it was made from.

        Raises: Refused.
        """
        with self._store.transaction():
            known = self._known(body, card, kind)
            if known is not None:
                return known
            try:
                now = self._records(card, kind, body.application.statement)
            except Refused as refused:
                raise Refused(refused.cause, incident=Incident.CHANGED_WHILE_MADE, detail="status") from refused
            if now != records or self._serial_taken(commission.serial):
                return None
            self._keep(body, commission, made, records.applicant.number)
            return made.issued

    def _keep(self, body: Issue, commission: Commission, made: Made, resident: int) -> None:
        statement, store = commission.statement, self._store
        place = statement.application.hex()
        store.run(
            "INSERT INTO issues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            statement.application,
            commission.serial,
            body.authentication.nonce,
            session_digest(commission.session),
            statement_digest(statement),
            statement.kind,
            statement.copies,
            made.issued.manifest,
            made.issued.key_id,
            made.issued.signature,
            made.issued.size,
            commission.at_us,
            store.sealer.seal("subject", place, str(resident).encode()),
        )
        until_us = store.now_us() + self._town.hold_s * 1_000_000
        store.run("INSERT INTO held VALUES (?, ?, ?)", statement.application, until_us, made.sealed)

    # --- what was made before

    def _known(self, body: Issue, card: Card, kind: Kind) -> Issued | None:
        """What was made for this very statement and session; None when nothing was for this application or nonce.

        Raises: Refused, also when the status has changed since: then what is held is dropped.
        """
        statement = body.application.statement
        row = self._store.row(
            "SELECT session, statement, nonce, manifest, key_id, signature, size FROM issues WHERE application = ?",
            statement.application,
        )
        if row is None:
            if self._store.row("SELECT 1 FROM issues WHERE nonce = ?", body.authentication.nonce) is not None:
                raise Refused(Cause.NONCE_REUSED, incident=Incident.NONCE_REUSED)
            return None
        session, stated, nonce, *issued = row
        if (session, stated, nonce) != (
            session_digest(body.authentication.session),
            statement_digest(statement),
            body.authentication.nonce,
        ):
            raise Refused(Cause.APPLICATION_REUSED, incident=Incident.APPLICATION_REUSED)
        held = self._store.row("SELECT until_us FROM held WHERE application = ?", statement.application)
        if held is None or held[0] <= self._store.now_us():
            raise Refused(Cause.NO_LONGER_HELD)
        try:
            self._records(card, kind, statement)
        except Refused as refused:
            raise Refused(refused.cause, withdrawn=True) from refused
        return Issued(*issued)

    def _serial_taken(self, serial: str) -> bool:
        return self._store.row("SELECT 1 FROM issues WHERE serial = ?", serial) is not None

    def _incident(self, code: Incident, application: bytes, detail: str) -> None:
        log.warning("incident_raised", code=code.value)
        journal.raise_incident(self._store, code, application, detail)


def _utc(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
