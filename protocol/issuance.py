"""The bodies of the certificate service (証明書交付サービス), on an operator's, a municipality's and a kiosk's line.

The operator's line carries CHALLENGE to ERASE from the EC centre's relay to the certificate centre; the municipality's
line carries ISSUE to REPORT from the centre to the issuing server; the kiosk's line carries KIOSK_CALL and KIOSK_EVENT
from a kiosk to its relay. What a document says is in none of them but sealed to the kiosk's session
(protocol.document).

Who signs what: the card signs `session_to_sign`, and so does the kiosk's certificate key, so the session's two keys
belong to this kiosk, this operator and the centre's fresh nonce. The session's signing key signs `statement_to_sign`.
The certificate centre and the municipality both check all three.

Every struct is a canonical MessagePack array. `application` is a UUIDv7 of 16 bytes; dates are YYYY-MM-DD text; `_us`
is microseconds since 1970 UTC; money is whole yen.

Source: DESIGN 10; 000仕3, 000仕13, 001-3, 001-14; docs/PROTOCOL.md, Certificates.
"""

from enum import IntEnum
from typing import Annotated, Final

import msgspec

from protocol.keys import context

ApplicationId = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Pseudonym = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=40, max_length=40)]
EcPoint = Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]
X25519Key = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Es256 = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Ident = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
MunicipalityCode = Annotated[str, msgspec.Meta(pattern="^[0-9]{6}$")]
Day = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Copies = Annotated[int, msgspec.Meta(ge=1, le=20)]
Text = Annotated[str, msgspec.Meta(max_length=200)]

PART_BYTES: Final = 96 << 10
"""A sealed document travels in parts of so many bytes; the last is shorter. Most documents are one part."""
DOCUMENT_BYTES_MAX: Final = 2 << 20
PARTS_MAX: Final = -(-DOCUMENT_BYTES_MAX // PART_BYTES)
STATUS_MAX: Final = 64


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


# --- the operator's line


class KioskSession(_Body, frozen=True):
    """The two keys a kiosk makes for one sitting: ES256 public key as an uncompressed point, X25519 public key raw."""

    operator: Ident
    kiosk: Ident
    sign_key: EcPoint
    seal_key: X25519Key


class Challenge(_Body, frozen=True):
    """CHALLENGE: a fresh nonce for a kiosk of the asking operator."""

    kiosk: Ident


class Challenged(_Body, frozen=True):
    """CHALLENGED: 40 bytes to be signed within so many ms; good for one AUTHENTICATE by this kiosk."""

    nonce: Nonce
    valid_ms: int


class Authenticate(_Body, frozen=True):
    """AUTHENTICATE (本人認証, 000仕3-3): the card's and the kiosk's signature over this session and nonce.

    certificates are DER; kiosk_signature is raw r||s; card_signature is PKCS#1 v1.5 with SHA-256 (RSA-2048) or DER
    ECDSA with SHA-384 (P-384), as the card's key is. municipality is the one the user asks a certificate of.
    """

    session: KioskSession
    nonce: Nonce
    kiosk_certificate: Annotated[bytes, msgspec.Meta(max_length=900)]
    kiosk_signature: Es256
    card_type: int
    card_certificate: Annotated[bytes, msgspec.Meta(max_length=1600)]
    card_signature: Annotated[bytes, msgspec.Meta(max_length=256)]
    municipality: MunicipalityCode


class Authenticated(_Body, frozen=True):
    """AUTHENTICATED: the application's id, and until when it can be applied for and fetched."""

    application: ApplicationId
    expires_at_us: int


class MenuQuery(_Body, frozen=True):
    """MENU: what a municipality offers at this moment with this type of card."""

    municipality: MunicipalityCode
    card_type: int


class Offer(_Body, frozen=True):
    """One kind on the menu. closed is 0, or the outcome that applying now would meet; hours are for people to read."""

    kind: str
    fee_yen: int
    copies_max: int
    options: int
    closed: int
    hours_ja: str
    hours_en: str


class Menu(_Body, frozen=True):
    """MENU's answer: the municipality, its offers, and what users must be told (D2, D4), a line for each."""

    municipality: str
    name_ja: str
    name_en: str
    offers: list[Offer]
    notice_ja: str
    notice_en: str


class Statement(_Body, frozen=True):
    """What is applied for, as the kiosk's session key signs it. options: bits of protocol.certificates.Option."""

    application: ApplicationId
    municipality: MunicipalityCode
    kind: Ident
    options: Annotated[int, msgspec.Meta(ge=0, le=255)]
    copies: Copies
    asked_at_us: int


class Apply(_Body, frozen=True):
    """APPLY: the statement and its signature by the session's signing key."""

    statement: Statement
    signature: Es256


class Applied(_Body, frozen=True):
    """APPLIED: the intent is durable; the fee of a copy, to be shown before money is taken."""

    fee_yen: int
    copies: int


class Fetch(_Body, frozen=True):
    """DOCUMENT: have the certificate made, and get its manifest."""

    application: ApplicationId


class Issued(_Body, frozen=True):
    """ISSUED, also MADE on the municipality's line: the signed manifest and how long the sealed document is."""

    manifest: bytes
    key_id: str
    signature: bytes
    size: int


class Part(_Body, frozen=True):
    """PART: bytes index * PART_BYTES and following of the sealed document; the answer's body is those very bytes."""

    application: ApplicationId
    index: Annotated[int, msgspec.Meta(ge=0, lt=PARTS_MAX)]


class Complete(_Body, frozen=True):
    """COMPLETE (交付完了通知 with 交付情報, 000仕13-1): copies printed, deposit (入金), store business day, slip."""

    application: ApplicationId
    copies: Copies
    deposited_at_us: int
    store_day: Day
    store: Ident
    slip: Ident


class Ground(IntEnum):
    """Why a transaction is void (返金済・無効) or was corrected."""

    MISPRINT = 1
    NOT_PRINTED = 2
    DOCUMENT_REFUSED = 3
    STAFF = 4
    ENTRY_ERROR = 5


class Void(_Body, frozen=True):
    """VOID: every copy is void and the fee refunded (H1, H2). staff: slip number of the store's confirmation, or ""."""

    application: ApplicationId
    ground: int
    refunded_at_us: int
    store_day: Day
    store: Ident
    staff_slip: Annotated[str, msgspec.Meta(max_length=40)]


class Correct(_Body, frozen=True):
    """CORRECT (000仕13-2): what of a completion was wrong, as it should read; number counts corrections from 1."""

    application: ApplicationId
    number: Annotated[int, msgspec.Meta(ge=1, le=8)]
    copies: Copies
    deposited_at_us: int
    store_day: Day
    ground: int


class Erase(_Body, frozen=True):
    """ERASE (000仕14, 001-15): kiosk and relay hold nothing of the document and no key of the session any more.

    attestation: `erasure_to_sign` signed by the kiosk's certificate key, raw r||s.
    """

    application: ApplicationId
    kiosk_at_us: int
    relay_at_us: int
    attestation: Es256


class StatusQuery(_Body, frozen=True):
    """STATUS: where applications of this operator stand."""

    applications: Annotated[list[ApplicationId], msgspec.Meta(min_length=1, max_length=STATUS_MAX)]


class Status(_Body, frozen=True):
    """One application: its transitions that stand, as protocol.application.Transition values."""

    application: bytes
    transitions: list[int]


# --- the municipality's line; the certificate centre dials


class Issue(_Body, frozen=True):
    """ISSUE: everything the municipality must check again before it makes and seals a document."""

    authentication: Authenticate
    application: Apply
    pseudonym: Pseudonym
    kit: str


class Report(_Body, frozen=True):
    """REPORT: a completion, void or correction, forwarded each time (F1, 001-14); copies and yen are signed changes.

    number orders a municipality's reports from 1 without a gap; a known number is noted again, and nothing else.
    """

    number: int
    transition: int
    application: ApplicationId
    kind: str
    operator: str
    store: str
    copies: int
    yen: int
    deposited_at_us: int
    store_day: str
    at_us: int
    ground: int


class ReportsQuery(_Body, frozen=True):
    """REPORTED: the highest number of a report that the municipality has noted; the body is empty of fields."""


class Reported(_Body, frozen=True):
    """NOTED: reports up to this number are durable at the municipality."""

    number: int


# --- the kiosk's line; the kiosk dials its relay


class KioskCall(_Body, frozen=True):
    """KIOSK_CALL: one of the operator's operations, to be passed on under this very request id."""

    operation: int
    body: bytes


class Relayed(_Body, frozen=True):
    """RELAYED: what the certificate centre said."""

    outcome: int
    body: bytes


class KioskFact(IntEnum):
    """What a kiosk tells its relay beside its calls."""

    IDLE = 1
    IN_USE = 2
    DEPOSITED = 3  # money is in; detail is empty, yen the sum
    PRINTING = 4
    PRINTED = 5
    FAULT = 6  # detail: a code without personal data, for store and maintenance (K6(7))
    FAULT_CLEARED = 7


class KioskEvent(_Body, frozen=True):
    """KIOSK_EVENT: a fact with its time; application is 16 bytes, or empty where none is concerned."""

    fact: int
    at_us: int
    application: bytes
    yen: int
    detail: Text


# --- what is signed

_encode: Final = msgspec.msgpack.Encoder().encode


def session_to_sign(session: KioskSession, nonce: bytes) -> bytes:
    """What the card and the kiosk's certificate key sign: context("kiosk-session") | [session, nonce]."""
    return context("kiosk-session") + _encode([session, nonce])


def statement_to_sign(statement: Statement) -> bytes:
    """What the session's signing key signs: context("application") | statement."""
    return context("application") + _encode(statement)


def erasure_to_sign(application: bytes, at_us: int) -> bytes:
    """What the kiosk's certificate key signs once nothing is left: context("erasure") | [application, time]."""
    return context("erasure") + _encode([application, at_us])
