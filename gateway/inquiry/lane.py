"""What both lanes of answering share: the look-up under a confirmed directory, month keys, and finals.

Invariants kept here: a directory that changed is read, and what was admitted under another is decided again, before
anything is answered; whatever fails is answered "not now" (2, 9).
Not here: what is answered plainly (gateway.inquiry.plain), what needs more (gateway.inquiry.searching).
Source: DESIGN sections 4, 7, 8.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Final as Const
from typing import Protocol

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused, Standing
from gateway.inquiry.answering import Answered
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.finals import make_final
from gateway.inquiry.index import code_token
from gateway.inquiry.sealing import RegisterKeys
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.store.register import SealedRow
from protocol.messages import InquiryByCode, Refusal, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

NO_TOKEN: Const = bytes(16)
"""A token no record has: for requests that look nothing up in the register but still need their claim."""
EMPTY: Const = encode(Refusal())
_TRUE: Const = b"\xc3"
"""MessagePack true."""
"""The body that says no more than the outcome."""
_JST_US: Const = 9 * 3_600_000_000
_DAY_US: Const = 86_400_000_000
_DAY_MS: Const = 86_400_000
_ORDINAL_1970: Const = dt.date(1970, 1, 1).toordinal()


class Rows(Protocol):
    """A connection of the store that answers a query."""

    async def fetch(self, sql: str, *args: object) -> Sequence[Sequence[object]]:
        """Rows. Raises: StoreError."""


class Outlet(Protocol):
    """Where results go; both return at once."""

    def record(self, finals: list[Final]) -> None:
        """Responses to be recorded."""

    def settle(self, asked: Asked, outcome: Outcome, body: bytes) -> None:
        """An unrecorded response."""


class Lane:
    """The shared ground of a worker's two lanes."""

    def __init__(
        self,
        *,
        keys: RegisterKeys,
        month_key: Callable[[bytes], Awaitable[bytes]],
        months: dict[int, bytes],
        confirm: Callable[[int], Awaitable[int]],
        standing: Callable[[str, str], Standing],
        decide: Callable[[Asked, Standing], Granted | Refused],
        outlet: Outlet,
        now_us: Callable[[], int],
        synthetic_only: bool = False,
    ) -> None:
        """month_key loads the commitment key of a request id's month into `months`, which is keyed by day since 1970;
        confirm(version) gives the directory's version after making sure that it is not older than the one seen;
        what was admitted by another is decided again by `decide` under `standing`; synthetic_only: nobody who is not
        marked as synthetic is released (a test environment)."""
        self.keys = keys
        self.standing = standing
        self.outlet = outlet
        self.now_us = now_us
        self._month_key = month_key
        self._months = months
        self._confirm = confirm
        self._decide = decide
        self._synthetic_only = synthetic_only
        self._day = -1, dt.date.min

    async def look_up(self, rows: Rows, sql: str, batch: list[Asked]) -> Sequence[Sequence[object]]:
        """One row a request: record columns, directory version, claim columns (gateway.store.register).

        Raises: StoreError; DirectoryStale.
        """
        index_key = self.keys.index_key
        found = await rows.fetch(
            sql,
            [asked.party for asked in batch],
            [asked.request.request_id for asked in batch],
            [
                code_token(index_key, asked.body.code)
                if isinstance(asked.body, InquiryByCode) and isinstance(asked.decision, Granted)
                else NO_TOKEN
                for asked in batch
            ],
            self.today(),
        )
        version = found[0][5]
        if not isinstance(version, int):
            raise DirectoryStale(held=0, seen=0)
        current = await self._confirm(version)
        moved = [asked for asked in batch if asked.version != current]
        if moved:
            for asked in moved:
                standing = self.standing(asked.party, asked.line)
                asked.decision = self._decide(asked, standing)
                asked.version = standing.version
            return await self.look_up(rows, sql, batch)
        return found

    def today(self) -> dt.date:
        """The date in Japan; made once a day."""
        number = (self.now_us() + _JST_US) // _DAY_US
        if number != self._day[0]:
            self._day = number, dt.date.fromordinal(_ORDINAL_1970 + number)
        return self._day[1]

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

    def releasable(self, answered: Answered) -> Answered:
        """The same answer. Raises: RegisterCorrupt for a real resident in a test environment."""
        # The record ends the body, and whether it is synthetic ends the record.
        if self._synthetic_only and answered.count and answered.body[-1:] != _TRUE:
            raise RegisterCorrupt(b"", "is not synthetic, in a test environment")
        return answered

    def free(self, asked: Asked, outcome: Outcome, body: bytes, now_us: int) -> Final:
        """A recorded response that costs nothing."""
        return make_final(
            asked,
            month_key=self.month_of(asked),
            outcome=outcome,
            body=body,
            yen=0,
            commission=0,
            at_us=now_us,
        )

    def refusal(self, asked: Asked, refused: Refused, now_us: int) -> Final:
        """A refusal for cause, recorded."""
        return self.free(asked, refused.outcome, encode(Refusal(refused.field, refused.remedy)), now_us)

    def answer(self, asked: Asked, granted: Granted, answered: Answered, now_us: int) -> Final:
        """What the register said, priced."""
        # 002 本2-1: the fee is per record provided, not per inquiry.
        return make_final(
            asked,
            month_key=self.month_of(asked),
            outcome=answered.outcome,
            body=answered.body,
            yen=granted.yen_per_record * answered.count,
            commission=granted.commission * answered.count,
            at_us=now_us,
            subject=answered.subject,
            given=answered.given,
        )

    def corrupt(self, asked: Asked, error: RegisterCorrupt) -> None:
        """A row that is not what it claims releases nothing."""
        log.error("register_corrupt", code=error.code)
        self.outlet.settle(asked, Outcome.UNAVAILABLE, EMPTY)

    def unavailable(self, batch: Sequence[Asked], code: str) -> None:
        """Not now."""
        log.warning("unavailable", code=code, count=len(batch))
        for asked in batch:
            self.outlet.settle(asked, Outcome.UNAVAILABLE, EMPTY)


def sealed_row(row: Sequence[object]) -> SealedRow | None:
    """The record columns of a row, or None where no record was found."""
    if row[0] is None:
        return None
    return SealedRow(row[0], row[1], row[2], row[3], row[4])  # type: ignore[arg-type]
