"""What the lanes of a service stand on: month keys, a confirmed directory, policy once more, finals, and "not now".

Invariants kept here: a directory that changed is read, and what was admitted under another is decided again, before
anything is answered; whatever fails is answered "not now" (2, 9).
Not here: what is looked up and answered (gateway.inquiry, gateway.issuance).
Source: DESIGN sections 4, 7, 8.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final as Const
from typing import Protocol

import structlog

from gateway.directory.policy import Granted, Refused, Standing
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.finals import make_final
from gateway.service.service import Outlet
from protocol.ledger import Delivery
from protocol.messages import Refusal, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

EMPTY: Const = encode(Refusal())
"""The body that says no more than the outcome."""
_DAY_MS: Const = 86_400_000


class Rows(Protocol):
    """A connection of the store that answers a query."""

    async def fetch(self, sql: str, *args: object) -> Sequence[Sequence[object]]:
        """Rows. Raises: StoreError."""


class Ground:
    """The shared ground of a worker's lanes."""

    def __init__(
        self,
        *,
        month_key: Callable[[bytes], Awaitable[bytes]],
        months: dict[int, bytes],
        confirm: Callable[[int], Awaitable[int]],
        standing: Callable[[str, str], Standing],
        decide: Callable[[Asked, Standing], Granted | Refused],
        outlet: Outlet,
        now_us: Callable[[], int],
        certificate: bool = False,
    ) -> None:
        """month_key loads the commitment key of a request id's month into `months`, which is keyed by day since 1970;
        confirm(version) gives the directory's version after making sure that it is not older than the one seen;
        what was admitted by another is decided again by `decide` under `standing`; certificate: entries are of
        version 2."""
        self.standing = standing
        self.outlet = outlet
        self.now_us = now_us
        self._month_key = month_key
        self._months = months
        self._confirm = confirm
        self._decide = decide
        self._certificate = certificate

    async def confirm(self, batch: Sequence[Asked], version: int) -> bool:
        """Make sure that nothing of a batch was decided under a directory older than the one just seen.

        version: the directory's, as read with the look-up. False when one of the batch was decided again, so that what
        was looked up for it may not be what it is now allowed. Raises: StoreError; DirectoryStale.
        """
        current = await self._confirm(version)
        moved = [asked for asked in batch if asked.version != current]
        for asked in moved:
            standing = self.standing(asked.party, asked.line)
            asked.decision = self._decide(asked, standing)
            asked.version = standing.version
        return not moved

    async def load_months(self, batch: Sequence[Asked], *, known: bool = False) -> None:
        """Have the month key of each id at hand; an id off the clock has one only if it is known."""
        for asked in batch:
            request_id = asked.request.request_id
            held = int.from_bytes(request_id[:6], "big") // _DAY_MS in self._months
            if not held and (known or asked.off_clock is None):
                await self._month_key(request_id)

    def month_of(self, asked: Asked) -> bytes:
        """The commitment key of its id's month. Raises: KeyError before load_months."""
        return self._months[int.from_bytes(asked.request.request_id[:6], "big") // _DAY_MS]

    def free(
        self,
        asked: Asked,
        outcome: Outcome,
        body: bytes,
        now_us: int,
        *,
        matter: str = "",
        step: int = 0,
        delivery: Delivery | None = None,
        provided: object | None = None,
    ) -> Final:
        """A recorded response that costs nothing."""
        decision = asked.decision
        if isinstance(decision, Granted):
            counterparty, terms = decision.counterparty, decision.terms_version
        else:
            counterparty, terms = "", 0
        return make_final(
            asked,
            month_key=self.month_of(asked),
            outcome=outcome,
            body=body,
            at_us=now_us,
            matter=matter,
            step=step,
            counterparty=counterparty,
            terms=terms,
            delivery=delivery,
            provided=provided,
            certificate=self._certificate,
        )

    def refusal(
        self,
        asked: Asked,
        refused: Refused,
        now_us: int,
        *,
        matter: str = "",
        step: int = 0,
        delivery: Delivery | None = None,
        provided: object | None = None,
    ) -> Final:
        """A refusal for cause, recorded."""
        body = encode(Refusal(refused.field, refused.remedy))
        return self.free(
            asked, refused.outcome, body, now_us, matter=matter, step=step, delivery=delivery, provided=provided
        )

    def unavailable(self, batch: Sequence[Asked], code: str) -> None:
        """Not now."""
        log.warning("unavailable", code=code, count=len(batch))
        for asked in batch:
            self.outlet.settle(asked, Outcome.UNAVAILABLE, EMPTY)
