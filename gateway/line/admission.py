"""Admission: which requests of a verified frame may go on, decided in order of cost, purely.

What the frame itself shows comes first (an id twice, an id's age), then the body's form, then policy. A refusal for
cause goes on like a question, because it is recorded; only transient outcomes are answered here.
Source: DESIGN sections 4, 7 and 9; docs/PROTOCOL.md, Requests.
"""

from collections.abc import Callable
from typing import Final

from gateway.directory.policy import Granted, Refused, Standing
from gateway.service.asked import Asked, Origin
from gateway.service.service import UNKNOWN
from protocol import limits
from protocol.messages import (
    Body,
    BodyError,
    Refusal,
    Request,
    Transient,
    decode_body,
    encode,
)
from protocol.outcomes import Outcome
from protocol.request_id import time_ms

_MALFORMED: Final = Refused(outcome=Outcome.MALFORMED_BODY, field="body", remedy="see docs/PROTOCOL.md, Operations")
_DEADLINE: Final = Refused(
    outcome=Outcome.FIELD_INVALID, field="deadline_ms", remedy=f"1 to {limits.DEADLINE_MS_MAX} milliseconds"
)


def transient(
    request_id: bytes, outcome: Outcome, *, field: str = "", remedy: str = "", after_ms: int = 0
) -> Transient:
    """An unrecorded response."""
    return Transient(request_id, int(outcome), encode(Refusal(field, remedy, after_ms)))


def admit(
    requests: list[Request],
    *,
    origin: Origin,
    party: str,
    line: str,
    standing: Standing,
    decide: Callable[[Standing, int, Body], Granted | Refused],
    now_ms: int,
    arrived: float,
) -> tuple[list[Asked], list[Transient]]:
    """Split a frame into what goes on and what is answered at once.

    decide is the service's policy for a body that can be read; now_ms is wall-clock time for the age of ids; arrived is
    Trio's clock, from which deadlines count.
    """
    admitted: list[Asked] = []
    refused: list[Transient] = []
    seen: set[bytes] = set()
    for request in requests:
        request_id = request.request_id
        if request_id in seen:
            refused.append(transient(request_id, Outcome.DUPLICATE_IN_FRAME, field="request_id"))
            continue
        seen.add(request_id)
        age_ms = now_ms - time_ms(request_id)
        off_clock: int | None = None
        if age_ms > limits.REQUEST_ID_AGE_MS_MAX:
            off_clock = Outcome.STALE_REQUEST_ID
        elif -age_ms > limits.REQUEST_ID_AGE_MS_MAX:
            off_clock = Outcome.FUTURE_REQUEST_ID
        body: Body | None = None
        decision: Granted | Refused
        try:
            body = decode_body(request.operation, request.body)
        except KeyError:
            decision = UNKNOWN
        except BodyError:
            decision = _MALFORMED
        else:
            decision = decide(standing, request.operation, body)
        if not 0 < request.deadline_ms <= limits.DEADLINE_MS_MAX:
            decision = _DEADLINE
        admitted.append(
            Asked(
                origin=origin,
                party=party,
                line=line,
                request=request,
                body=body,
                decision=decision,
                version=standing.version,
                arrived=arrived,
                off_clock=off_clock,
            )
        )
    return admitted, refused
