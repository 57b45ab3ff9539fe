"""From an answer to what is recorded: entry, commitments, claims, and what it provides of a resident. Pure.

Source: DESIGN sections 6 and 7; docs/PROTOCOL.md, Commitments and Ledger.
"""

from typing import Final as Const

from gateway.directory.affairs import AFFAIRS
from gateway.directory.policy import Granted
from gateway.inquiry.provision import Provided
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.ledger import Entry, EntryKind, EntryRef, encode_entry
from protocol.messages import Approve, BatchInquiry, InquiryByCode, InquiryByName, Response

_ABOUT_RESIDENTS: Const = (InquiryByCode, InquiryByName, BatchInquiry, Approve)


def matter_of(asked: Asked) -> tuple[str, int]:
    """Affair and step for the entry. What is no listed affair is left out: it could be a 住民票コード."""
    body = asked.body
    if isinstance(body, _ABOUT_RESIDENTS):
        return (
            body.affair if body.affair in AFFAIRS else "",
            body.step if 0 <= body.step < 256 else 0,
        )
    return "", 0


def make_final(
    asked: Asked,
    *,
    month_key: bytes,
    outcome: int,
    body: bytes,
    yen: int,
    commission: int,
    at_us: int,
    kind: int = EntryKind.FIRST,
    turn: int = 0,
    ref: EntryRef | None = None,
    also: list[tuple[str, bytes, int, bytes]] | None = None,
    subject: bytes | None = None,
    given: int = 0,
) -> Final:
    """The recorded response of one request.

    yen and commission are what this entry adds (negative for a reversal). also: further claims beside its own.
    subject: record id of the resident whose record the body shows, None when it shows none; given: what of it.
    """
    request = asked.request
    request_id = request.request_id
    party = asked.party
    key = commitment_key(month_key, party, request_id)
    commitment = request_commitment(key, request.operation, request.body)
    decision = asked.decision
    if isinstance(decision, Granted):
        counterparty, terms = decision.counterparty, decision.terms_version
    else:
        counterparty, terms = "", 0
    matter, step = matter_of(asked)
    entry = encode_entry(
        Entry(
            1,
            party,
            asked.line,
            request_id,
            commitment,
            request.operation,
            matter,
            step,
            counterparty,
            outcome,
            kind,
            yen,
            commission,
            terms,
            response_commitment(key, outcome, body),
            at_us,
            ref,
        )
    )
    claims = [(party, request_id, turn, commitment)]
    if also:
        claims += also
    return Final(
        origin=asked.origin,
        response=Response(request_id, outcome, body, key, entry),
        claims=claims,
        source=asked,
        provided=None if subject is None else _provided(asked, subject, given),
    )


def _provided(asked: Asked, subject: bytes, given: int) -> Provided:
    body = asked.body
    if not isinstance(body, InquiryByCode | InquiryByName):
        raise TypeError("only an inquiry shows a record")
    return Provided(subject, body.staff, body.case, given, body.approval)
