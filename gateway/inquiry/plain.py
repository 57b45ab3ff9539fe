"""The plain lane: what waits is looked up together by one query, answered, and handed on to be recorded.

Plain is a question by code under a new id, without an approval and inside the volume this worker holds in lease, and
whatever policy refuses by its form. All else (a question by name, a repeat, a receipt, a disclaimer, an approval) goes
to the lane for what needs more (gateway.inquiry.searching), so that it never holds up this one.

Invariants kept here: an id that is known is never answered as if it were new; a row that is not what it claims releases
nothing (1, 2, 9). Source: DESIGN sections 4, 7, 8.
"""

from collections.abc import Sequence

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted
from gateway.inquiry.answering import answer_by_code
from gateway.inquiry.errors import RegisterCorrupt
from gateway.inquiry.lane import Lane, sealed_row
from gateway.inquiry.volume import VolumeControl
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Rows
from gateway.store.errors import StoreError
from gateway.store.register import LOOKUP_NEW
from protocol.messages import BatchInquiry, InquiryByCode
from protocol.outcomes import Outcome

log = structlog.get_logger()


class PlainLane:
    """Answers the plain questions of one worker; `answer` is a stage's function over admitted requests."""

    def __init__(self, lane: Lane, *, rows: Rows, volume: VolumeControl) -> None:
        self._lane = lane
        self._volume = volume
        self._rows = rows

    async def answer(self, batch: list[Asked]) -> None:
        """Answer what waits. Every request of the batch is recorded, settled, or passed to the other lane."""
        lane = self._lane
        plain = [asked for asked in batch if not asked.done]
        if not plain:
            return
        try:
            rows = await lane.look_up(self._rows, LOOKUP_NEW, plain)
            await lane.ground.load_months(plain)
        except (StoreError, DirectoryStale) as error:
            lane.ground.unavailable(plain, error.code)
            return
        except Exception as error:
            log.error("batch_failed", exc_info=True)
            lane.ground.unavailable(plain, type(error).__name__)
            return
        finals: list[Final] = []
        rest: list[Asked] = []
        now_us = lane.ground.now_us()
        volume = self._volume
        volume.turn(lane.today())
        for asked, row in zip(plain, rows, strict=True):
            if row[6] is not None:
                rest.append(asked)
                continue
            if asked.off_clock is not None:
                lane.ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
                continue
            body, decision = asked.body, asked.decision
            if (
                isinstance(decision, Granted)
                and isinstance(body, InquiryByCode)
                and not volume.take(asked, body.staff, decision)
            ):
                rest.append(asked)
                continue
            try:
                final = self._first(asked, row, now_us)
            except RegisterCorrupt as error:
                lane.corrupt(asked, error)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                lane.ground.unavailable([asked], type(error).__name__)
            else:
                finals.append(final)
        if rest:
            lane.ground.outlet.to_search(rest)
        if finals:
            lane.ground.outlet.record(finals)

    def _first(self, asked: Asked, row: Sequence[object], now_us: int) -> Final:
        lane = self._lane
        decision = asked.decision
        if not isinstance(decision, Granted):
            return lane.refusal(asked, decision, now_us)
        if not isinstance(asked.body, InquiryByCode):
            raise RegisterCorrupt(b"", "is not asked for by this operation")
        answered = answer_by_code(asked.body, sealed_row(row), lane.keys, my_number=decision.my_number_allowed)
        return lane.answer(asked, decision, lane.releasable(answered), now_us)


def is_plain(asked: Asked) -> bool:
    """Whether a request is this lane's: a question by code without an approval, or what is refused unread."""
    body = asked.body
    if isinstance(body, InquiryByCode):
        return body.approval is None
    return body is None or isinstance(body, BatchInquiry)
