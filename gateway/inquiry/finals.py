"""From an answer to what is recorded of an inquiry: affair and step, terms, and what it provides of a resident. Pure.

Not here: the entry itself, its commitments and claims (gateway.service.finals). Source: DESIGN sections 6, 7 and 9.
"""

from typing import Final as Const

from gateway.directory.affairs import AFFAIRS
from gateway.directory.policy import Granted
from gateway.inquiry.provision import Provided
from gateway.ledger.recording import Final
from gateway.service import finals
from gateway.service.asked import Asked
from protocol.ledger import EntryKind, EntryRef
from protocol.messages import Approve, BatchInquiry, InquiryByCode, InquiryByName

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
    """The recorded response of one request (gateway.service.finals), as an inquiry's entry says it.

    subject: record id of the resident whose record the body shows, None when it shows none; given: what of it.
    """
    decision = asked.decision
    if isinstance(decision, Granted):
        counterparty, terms = decision.counterparty, decision.terms_version
    else:
        counterparty, terms = "", 0
    matter, step = matter_of(asked)
    return finals.make_final(
        asked,
        month_key=month_key,
        outcome=outcome,
        body=body,
        yen=yen,
        commission=commission,
        at_us=at_us,
        matter=matter,
        step=step,
        counterparty=counterparty,
        terms=terms,
        kind=kind,
        turn=turn,
        ref=ref,
        also=also,
        provided=None if subject is None else _provided(asked, subject, given),
    )


def _provided(asked: Asked, subject: bytes, given: int) -> Provided:
    body = asked.body
    if not isinstance(body, InquiryByCode | InquiryByName):
        raise TypeError("only an inquiry shows a record")
    return Provided(subject, body.staff, body.case, given, body.approval)
