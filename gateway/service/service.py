"""What a worker needs of a service, and what it offers it. A centre has one role, and its workers one service.

A service sorts requests into two lanes: `answer` for what is plain, `search` for what may keep a turn longer; each lane
is one task with the batches that wait, so that the second never holds up the first. Every request of a batch is
recorded, settled, or passed to the other lane; neither method raises but Cancelled.

Source: DESIGN sections 4 and 7.
"""

from typing import Final as Const
from typing import Protocol

import trio

from gateway.directory.policy import Granted, Refused, Standing
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from protocol.messages import Body
from protocol.outcomes import Outcome

UNKNOWN: Const = Refused(outcome=Outcome.UNKNOWN_OPERATION, field="operation", remedy="use an operation of version 1")
"""For an operation that no centre has, or another one."""


class Outlet(Protocol):
    """Where a service's results go; each returns at once."""

    def record(self, finals: list[Final]) -> None:
        """Responses to be recorded."""

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """An unrecorded response."""

    def to_search(self, batch: list[Asked]) -> None:
        """Into the lane for what needs more."""


class Service(Protocol):
    """What the lines of a centre of one role are for.

    search_rest: while the plain lane is pressed, the other lane rests so many times as long as it worked.
    hurried: a single response on its way into the ledger is worth a core's attention (gateway.app.lanes).
    """

    search_rest: int
    hurried: bool

    def decide(self, standing: Standing, operation: int, body: Body) -> Granted | Refused:
        """Policy for one body that could be read, whatever its operation. Pure: it looks at nothing but these."""

    def is_plain(self, asked: Asked) -> bool:
        """Whether a request goes to `answer`; returns at once."""

    async def answer(self, batch: list[Asked]) -> None:
        """The plain lane: answer what waits, together."""

    async def search(self, batch: list[Asked]) -> None:
        """The other lane."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Whatever the service does beside its lanes, from the worker's start; `started` when requests may come.

        Cancelled once the worker is drained.
        """

    async def close(self) -> None:
        """After the drain, while database and streams are still there: give back what was held. Never raises."""
