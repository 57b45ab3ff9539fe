"""What differs between an operator's data and the centre's, of one application: each difference once, with a proposal.

Pure. What is proposed follows from what the relay itself knows: a completion that it still holds is to be added, one
that was recorded is to be corrected or voided by a notice of its own, and what no notice mends is for people.

Source: 000仕4-2, 13-2; 000契9-1; DOMAIN H2, I4.
"""

from collections.abc import Iterator

import msgspec

from gateway.peers.relay.histories import History, day_of
from gateway.peers.relay.outbox import DELIVERED, HELD
from protocol.disclosure import Difference, Fault, Proposal, Standing
from protocol.messages import Operation

_SPOKEN = {
    Fault.MISSING: ("開示データにありません", "not in the disclosure"),
    Fault.EXTRA: ("店舗実績にありません", "in no store report"),
    Fault.OTHER_AMOUNT: ("通数か金額が違います", "copies or yen differ"),
    Fault.OTHER_KIND: ("種別、市区町村か取扱店が違います", "kind, municipality or store differs"),
    Fault.OTHER_DAY: ("入金日が違います", "the deposit's day differs"),
}


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """One application: the operator's side, the centre's with its request, and the relay's own history."""

    application: bytes
    ours: Standing | None
    theirs: Standing | None
    request_id: bytes
    history: History | None


def compare(sides: Sides, *, made_us: int) -> Iterator[Difference]:
    """The differences of an application, its disclosure made then; what comes to nothing on both sides is none."""
    for fault in _faults(sides.ours, sides.theirs):
        proposal = _proposal(fault, sides)
        yield Difference(
            fault=fault,
            request_id=sides.request_id or _own_request(sides.history),
            application=sides.application,
            ours=sides.ours,
            theirs=sides.theirs,
            proposal=proposal,
            text=_text(fault, sides.history, made_us),
        )


def _faults(ours: Standing | None, theirs: Standing | None) -> Iterator[Fault]:
    if ours is None or theirs is None:
        if theirs is not None and _is_something(theirs):
            yield Fault.EXTRA
        elif ours is not None and _is_something(ours):
            yield Fault.MISSING
        return
    if (ours.copies, ours.yen) != (theirs.copies, theirs.yen):
        yield Fault.OTHER_AMOUNT
    if not (_is_something(ours) and _is_something(theirs)):
        return
    if (ours.municipality, ours.kind, ours.store) != (theirs.municipality, theirs.kind, theirs.store):
        yield Fault.OTHER_KIND
    if ours.day != theirs.day:
        yield Fault.OTHER_DAY


def _is_something(standing: Standing) -> bool:
    return (standing.copies, standing.yen) != (0, 0)


def _proposal(fault: Fault, sides: Sides) -> Proposal:
    ours, theirs, history = sides.ours, sides.theirs, sides.history
    if ours is None or theirs is None:
        return _one_sided(fault, ours or theirs, history)
    if fault is Fault.OTHER_AMOUNT and not _is_something(ours):
        return Proposal.VOID
    if fault is Fault.OTHER_KIND or not _is_something(theirs):
        return Proposal.NONE  # a correction changes copies and days; a void stays
    if fault is Fault.OTHER_AMOUNT and ours.copies == theirs.copies:
        return Proposal.NONE  # the fee of a copy is the tariff's
    return Proposal.CORRECT


def _one_sided(fault: Fault, standing: Standing | None, history: History | None) -> Proposal:
    own_us = None if history is None else history.deposited_us
    if standing is not None and own_us is not None and day_of(own_us)[:7] != standing.day[:7]:
        return Proposal.CORRECT  # it is in another month by the deposit that was notified
    if fault is Fault.EXTRA:
        return Proposal.VOID if standing is not None and standing.copies > 0 else Proposal.NONE
    recorded = history is not None and any(each.state == DELIVERED for each in history.notices)
    return Proposal.NONE if recorded else Proposal.ADD


def _own_request(history: History | None) -> bytes:
    for each in () if history is None else history.notices:
        if each.operation == Operation.COMPLETE:
            return each.request_id
    return b""


def _text(fault: Fault, history: History | None, made_us: int) -> str:
    ja, en = _SPOKEN[fault]
    notices = () if history is None else history.notices
    if not notices:
        ja, en = f"{ja}。中継に通知がありません", f"{en}; the relay has no notice"
    elif any(each.state == HELD for each in notices):
        ja, en = f"{ja}。未送達の通知があります", f"{en}; a notice is held here"
    elif notices[-1].state != DELIVERED:
        ja, en = f"{ja}。センターが通知を拒否しました", f"{en}; the centre refused the notice"
    elif (notices[-1].done_us or 0) > made_us:
        ja, en = f"{ja}。開示後に届いた通知があります", f"{en}; a notice came after it was made"
    return f"{ja} / {en}"
