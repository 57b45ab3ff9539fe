"""MENU, PART and STATUS: what is answered without being recorded. Pure.

Source: DESIGN section 10; 000仕7-2, 8-1; 001-9-1.
"""

from collections.abc import Mapping
from typing import Final

from gateway.directory.policy import Refused
from gateway.issuance.states import EXPIRED, UNKNOWN, State, refused
from protocol.application import Transition
from protocol.issuance import PART_BYTES, Part, Status, StatusQuery
from protocol.messages import encode
from protocol.outcomes import Outcome

GONE: Final = refused(Outcome.APPLICATION_STATE, "application", "the document is not kept any more")


def part_refused(state: State | None, body: Part, now_us: int) -> Refused | None:
    """Why a part is not handed out: only of an issued document, until it expires or is erased."""
    if state is None:
        return UNKNOWN
    if state.event(Transition.ISSUED) is None or state.event(Transition.ERASED) is not None:
        return refused(Outcome.APPLICATION_STATE, "application", "ask DOCUMENT first")
    if state.expired(now_us):
        return EXPIRED
    if body.index * PART_BYTES >= state.issued.size:
        return refused(Outcome.FIELD_INVALID, "index", "a part of the size that ISSUED said")
    return None


def status(query: StatusQuery, states: Mapping[bytes, State], operator: str) -> bytes:
    """The answer to STATUS: an application that is not this operator's looks like one that is unknown."""
    found = []
    for application in query.applications:
        state = states.get(application)
        mine = state is not None and state.application.operator == operator
        found.append(Status(application, sorted(state.events) if mine and state is not None else []))
    return encode(found)
