"""The gateway's gate for a document: is this the one that was asked for, made by that municipality? Pure.

What binds it: the municipality's signature over the manifest, the manifest's own words (protocol.document), its time,
and the hash of the very bytes that will be handed on. What the document says cannot be seen here; the kiosk sees it.

Source: DESIGN section 3, invariant 3, and section 10; DOMAIN 2.12.
"""

from functools import lru_cache
from typing import Final

import msgspec

from gateway.issuance.completing import SKEW_US
from gateway.issuance.errors import Withheld
from gateway.issuance.incidents import IncidentKind
from gateway.issuance.states import State
from protocol.document import (
    DocumentError,
    Manifest,
    check_ciphertext,
    check_manifest,
    decode_manifest,
    manifest_to_sign,
)
from protocol.issuance import DOCUMENT_BYTES_MAX, Issued, KioskSession
from protocol.keys import KeysError, Purpose
from protocol.outcomes import Outcome
from protocol.trust import Trust, TrustError, decode_trust

REFUSALS: Final = frozenset(
    {
        Outcome.NOT_ENTITLED,
        Outcome.COUNTER_ONLY,
        Outcome.MOVE_PENDING,
        Outcome.TEXT_TOO_LONG,
        Outcome.KIND_NOT_OFFERED,
        Outcome.CARD_REVOKED,
        Outcome.CARD_NOT_USABLE,
        Outcome.SIGNATURE_REFUSED,
    }
)
"""For what a municipality may refuse; the true reason of some stays with it."""


def _mismatched(detail: str) -> Withheld:
    return Withheld(IncidentKind.MISMATCHED, detail)


def read_issued(body: bytes) -> Issued:
    """The body of MADE. Raises: Withheld."""
    try:
        issued = msgspec.msgpack.decode(body, type=Issued)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Withheld(IncidentKind.UNEXPECTED, "made-unreadable") from None
    if not 0 < issued.size <= DOCUMENT_BYTES_MAX:
        raise Withheld(IncidentKind.UNEXPECTED, "made-size")
    return issued


def read_refusal(body: bytes) -> Outcome:
    """The body of MAKING_REFUSED. Raises: Withheld."""
    try:
        outcome = Outcome(msgspec.msgpack.decode(body, type=int))
    except (msgspec.DecodeError, ValueError):
        raise Withheld(IncidentKind.UNEXPECTED, "refusal-unreadable") from None
    if outcome not in REFUSALS:
        raise Withheld(IncidentKind.UNEXPECTED, f"refusal-{int(outcome)}")
    return outcome


def check_issued(
    issued: Issued, *, state: State, session: KioskSession, trust: bytes, kits: frozenset[str], now_us: int
) -> Manifest:
    """The manifest, once everything of it holds. trust: the municipality's bundle. Raises: Withheld."""
    try:
        key = _trust(trust).key(issued.key_id, purpose=Purpose.MANIFEST, at_us=now_us)
        key.verify(issued.signature, manifest_to_sign(issued.manifest))
    except (KeysError, TrustError):
        raise _mismatched("signature") from None
    try:
        manifest = decode_manifest(issued.manifest)
        check_manifest(
            manifest,
            statement=state.statement,
            session=session,
            municipality=state.application.municipality,
            pseudonym=state.application.pseudonym,
            kits=kits,
        )
    except DocumentError as error:
        raise _mismatched(_detail(error)) from None
    if not state.applied.at_us - SKEW_US <= manifest.issued_at_us <= now_us + SKEW_US:
        raise _mismatched("issued-at")
    return manifest


def check_sealed(manifest: Manifest, issued: Issued, sealed: bytes) -> None:
    """Raises: Withheld unless these are the bytes the manifest names."""
    if len(sealed) != issued.size:
        raise _mismatched("size")
    try:
        check_ciphertext(manifest, sealed)
    except DocumentError:
        raise _mismatched("ciphertext") from None


def _detail(error: DocumentError) -> str:
    """The binding that does not hold, as a code: the last word of the protocol's sentence."""
    return str(error).rpartition(" ")[2]


@lru_cache(256)
def _trust(bundle: bytes) -> Trust:
    return decode_trust(bundle)
