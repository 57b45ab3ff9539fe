"""What both lanes of answering share beside their ground: the look-up under a confirmed directory, and priced answers.

Invariants kept here: nothing is answered of what was looked up before the directory was confirmed (9).
Not here: what is answered plainly (gateway.inquiry.plain), what needs more (gateway.inquiry.searching).
Source: DESIGN sections 4, 7, 8.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final as Const

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused
from gateway.inquiry.answering import Answered
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.finals import make_final, matter_of
from gateway.inquiry.index import code_token
from gateway.inquiry.sealing import RegisterKeys
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground, Rows
from gateway.store.register import SealedRow
from protocol.messages import InquiryByCode
from protocol.outcomes import Outcome

log = structlog.get_logger()

NO_TOKEN: Const = bytes(16)
"""A token no record has: for requests that look nothing up in the register but still need their claim."""
_TRUE: Const = b"\xc3"
"""MessagePack true."""
_JST_US: Const = 9 * 3_600_000_000
_DAY_US: Const = 86_400_000_000
_ORDINAL_1970: Const = dt.date(1970, 1, 1).toordinal()


class Lane:
    """What a worker's two lanes of inquiries share."""

    def __init__(self, ground: Ground, *, keys: RegisterKeys, synthetic_only: bool = False) -> None:
        """synthetic_only: nobody who is not marked as synthetic is released (a test environment)."""
        self.ground = ground
        self.keys = keys
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
        if not await self.ground.confirm(batch, version):
            return await self.look_up(rows, sql, batch)
        return found

    def today(self) -> dt.date:
        """The date in Japan; made once a day."""
        number = (self.ground.now_us() + _JST_US) // _DAY_US
        if number != self._day[0]:
            self._day = number, dt.date.fromordinal(_ORDINAL_1970 + number)
        return self._day[1]

    def releasable(self, answered: Answered) -> Answered:
        """The same answer. Raises: RegisterCorrupt for a real resident in a test environment."""
        # The record ends the body, and whether it is synthetic ends the record.
        if self._synthetic_only and answered.count and answered.body[-1:] != _TRUE:
            raise RegisterCorrupt(b"", "is not synthetic, in a test environment")
        return answered

    def free(self, asked: Asked, outcome: Outcome, body: bytes, now_us: int) -> Final:
        """A recorded response that costs nothing."""
        matter, step = matter_of(asked)
        return self.ground.free(asked, outcome, body, now_us, matter=matter, step=step)

    def refusal(self, asked: Asked, refused: Refused, now_us: int) -> Final:
        """A refusal for cause, recorded."""
        matter, step = matter_of(asked)
        return self.ground.refusal(asked, refused, now_us, matter=matter, step=step)

    def answer(self, asked: Asked, granted: Granted, answered: Answered, now_us: int) -> Final:
        """What the register said, priced."""
        # 002 本2-1: the fee is per record provided, not per inquiry.
        return make_final(
            asked,
            month_key=self.ground.month_of(asked),
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
        self.ground.outlet.settle(asked, Outcome.UNAVAILABLE, EMPTY)


def sealed_row(row: Sequence[object]) -> SealedRow | None:
    """The record columns of a row, or None where no record was found."""
    if row[0] is None:
        return None
    return SealedRow(row[0], row[1], row[2], row[3], row[4])  # type: ignore[arg-type]
