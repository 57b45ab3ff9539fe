"""One request on its way through the worker: mutable, small, and answered exactly once.

An Asked lives from admission until its response is handed to its origin. It never holds more than the request itself
and what was decided about it; nothing in it is logged.
"""

from typing import Protocol

from gateway.directory.policy import Granted, Refused
from protocol import limits
from protocol.messages import BlockShare, Body, Request, Transient


class Origin(Protocol):
    """The connection that asked; answers go back to it. Both methods return at once and never raise."""

    def respond(self, share: BlockShare) -> None:
        """Recorded responses."""

    def refuse(self, transients: list[Transient]) -> None:
        """Unrecorded responses."""


class Asked:
    """One admitted request.

    body is None when it could not be read (decision then says so); version is the directory's that decided; deadline is
    on Trio's clock; off_clock is None or the outcome an unknown id of that age earns; done: its response has left, or
    must not leave any more; recording: its block is being made durable, so that a late one is in doubt.
    """

    __slots__ = (
        "arrived",
        "body",
        "deadline",
        "decision",
        "done",
        "line",
        "off_clock",
        "origin",
        "parked",
        "party",
        "recording",
        "request",
        "version",
    )

    def __init__(
        self,
        *,
        origin: Origin,
        party: str,
        line: str,
        request: Request,
        body: Body | None,
        decision: Granted | Refused,
        version: int,
        arrived: float,
        off_clock: int | None,
    ) -> None:
        self.origin = origin
        self.party = party
        self.line = line
        self.request = request
        self.body = body
        self.decision = decision
        self.version = version
        self.arrived = arrived
        budget_ms = (
            request.deadline_ms if 0 < request.deadline_ms <= limits.DEADLINE_MS_MAX else limits.DEADLINE_MS_DEFAULT
        )
        self.deadline = arrived + budget_ms / 1000
        self.off_clock = off_clock
        self.parked: list[Asked] | None = None
        self.done = False
        self.recording = False
