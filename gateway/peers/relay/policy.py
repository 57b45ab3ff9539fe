"""What may pass between the store network and the dedicated line. Pure.

A kiosk asks for the operations of an operator's line and no others; what a body names as kiosk, operator, store or
application must be the caller's own. Whatever else comes is NOT_PERMITTED, counted and logged by its reason: there is
no route from a store to anything but the certificate centre, and none from outside to a store, as a relay answers and
never calls.

Source: 000別1-1(2), 1(3), 2(4) (K2 to K4); DESIGN 10; docs/PROTOCOL.md, Certificates.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import issuance
from protocol.messages import Body, BodyError, Operation, decode_body

FORWARDED: Final = frozenset(
    {
        Operation.CHALLENGE,
        Operation.AUTHENTICATE,
        Operation.MENU,
        Operation.APPLY,
        Operation.DOCUMENT,
        Operation.PART,
        Operation.STATUS,
    }
)
"""Passed on at once; whoever asked waits for the centre."""
NOTICES: Final = frozenset({Operation.COMPLETE, Operation.VOID, Operation.CORRECT, Operation.ERASE})
"""Taken over into the outbox, and delivered whatever happens."""

TIME_US_MAX: Final = 1 << 53
YEN_MAX: Final = 1_000_000
"""More than a transaction of 20 copies can cost, by far."""
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}")
"""A fault's code. It begins with a letter, so no number of a person is one."""


class Reason(StrEnum):
    """Why something does not pass; stable, and a metric's label."""

    OPERATION = "operation"
    MALFORMED = "malformed"
    KIOSK = "kiosk"
    OPERATOR = "operator"
    STORE = "store"
    CERTIFICATE = "certificate"
    APPLICATION = "application"
    ERASED = "erased"
    CHANGED = "changed"


class NotPermitted(Exception):  # noqa: N818 - named after the fact
    """This does not pass; `field` of the body is at fault, or ""."""

    code = "not-permitted"

    def __init__(self, reason: Reason, field: str = "") -> None:
        super().__init__(f"{reason}: {field}" if field else str(reason))
        self.reason = reason
        self.field = field


class Kiosk(msgspec.Struct, frozen=True, kw_only=True):
    """A registered kiosk: its name, store, and the SubjectPublicKeyInfo (DER) of its certificate's key."""

    kiosk: str
    store: str
    store_name: str
    spki: bytes


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """Whose an application is, and whether its erasure was taken over."""

    kiosk: str
    erasing: bool


Owner = Callable[[bytes], Owned | None]


def judge_call(call: issuance.KioskCall, *, caller: Kiosk, operator: str, owner: Owner) -> Body:
    """The body of a call that may pass, decoded. Raises: NotPermitted."""
    if call.operation not in FORWARDED | NOTICES:
        raise NotPermitted(Reason.OPERATION)
    try:
        body = decode_body(call.operation, call.body)
    except BodyError as error:
        raise NotPermitted(Reason.MALFORMED) from error
    _judge_names(body, caller, operator)
    for application in _applications(body):
        owned = owner(application)
        if owned is None or owned.kiosk != caller.kiosk:
            raise NotPermitted(Reason.APPLICATION, "application")
        if owned.erasing and isinstance(body, issuance.Apply | issuance.Fetch | issuance.Part):
            raise NotPermitted(Reason.ERASED, "application")
    return body


def _judge_names(body: Body, caller: Kiosk, operator: str) -> None:
    match body:
        case issuance.Challenge(kiosk=kiosk) if kiosk != caller.kiosk:
            raise NotPermitted(Reason.KIOSK, "kiosk")
        case issuance.Authenticate(session=session, kiosk_certificate=certificate):
            if session.operator != operator:
                raise NotPermitted(Reason.OPERATOR, "session.operator")
            if session.kiosk != caller.kiosk:
                raise NotPermitted(Reason.KIOSK, "session.kiosk")
            if spki_of(certificate) != caller.spki:
                raise NotPermitted(Reason.CERTIFICATE, "kiosk_certificate")
        case issuance.Complete(store=store) | issuance.Void(store=store) if store != caller.store:
            raise NotPermitted(Reason.STORE, "store")
        case issuance.Complete(deposited_at_us=at_us) if not 0 <= at_us <= TIME_US_MAX:
            raise NotPermitted(Reason.MALFORMED, "deposited_at_us")


def _applications(body: Body) -> list[bytes]:
    match body:
        case issuance.Apply(statement=statement):
            return [statement.application]
        case issuance.StatusQuery(applications=applications):
            return applications
        case (
            issuance.Fetch()
            | issuance.Part()
            | issuance.Complete()
            | issuance.Void()
            | issuance.Correct()
            | issuance.Erase()
        ):
            return [body.application]
    return []


_FACTS: Final = frozenset(issuance.KioskFact)
_ABOUT_MONEY: Final = frozenset({issuance.KioskFact.DEPOSITED, issuance.KioskFact.PRINTING, issuance.KioskFact.PRINTED})


def judge_event(event: issuance.KioskEvent, *, caller: Kiosk, owner: Owner) -> None:
    """Whether a kiosk may tell this. Raises: NotPermitted."""
    if event.fact not in _FACTS:
        raise NotPermitted(Reason.MALFORMED, "fact")
    if not 0 <= event.at_us <= TIME_US_MAX:
        raise NotPermitted(Reason.MALFORMED, "at_us")
    if not 0 <= event.yen <= YEN_MAX:
        raise NotPermitted(Reason.MALFORMED, "yen")
    if event.fact == issuance.KioskFact.FAULT:
        if not _CODE.fullmatch(event.detail):
            raise NotPermitted(Reason.MALFORMED, "detail")
        return  # whatever it happened to: a fault is never turned away, and its application is not kept
    if event.detail:
        raise NotPermitted(Reason.MALFORMED, "detail")
    if event.fact in _ABOUT_MONEY or event.application:
        owned = owner(event.application)
        if owned is None or owned.kiosk != caller.kiosk:
            raise NotPermitted(Reason.APPLICATION, "application")


def spki_of(certificate: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo (DER) of a certificate (DER); None when it is none."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - the parser has many; all of them mean the same here
        return None
