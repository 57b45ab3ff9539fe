"""The inquiry service (即時提供) as a worker runs it: its policy, its two lanes, and the volume they share.

Source: DESIGN sections 4 and 9.
"""

from typing import Final as Const

import trio

from gateway.directory.policy import Granted, Refused, Standing
from gateway.inquiry.approval import Approvals
from gateway.inquiry.disclaiming import Disclaimers
from gateway.inquiry.lane import Lane
from gateway.inquiry.plain import PlainLane, is_plain
from gateway.inquiry.sealing import RegisterKeys
from gateway.inquiry.searching import SearchLane
from gateway.inquiry.volume import VolumeControl
from gateway.service.asked import Asked
from gateway.service.ground import Ground
from gateway.service.papers import PaperDesk
from gateway.service.receipts import Finalities, Receipts
from gateway.service.service import UNKNOWN
from gateway.store.ledger import LedgerStore
from gateway.store.pool import PinnedConnection
from gateway.store.settlement_acts import DocumentStore
from protocol.messages import Approve, BatchInquiry, Body, Disclaim, Inquiry, PapersBody, ReceiptQuery

_ABOUT_RECORDS: Const = ReceiptQuery | Disclaim | PapersBody
_ABOUT_RESIDENTS: Const = Inquiry | BatchInquiry | Approve


class InquiryService:
    """gateway.service.service.Service of a centre of role inquiry."""

    search_rest = 15
    """A search by name costs several times a look-up by code, and must not slow those by more than a tenth."""
    hurried = True

    def __init__(
        self,
        ground: Ground,
        *,
        keys: RegisterKeys,
        fast: PinnedConnection,
        slow: PinnedConnection,
        volume: VolumeControl,
        finalities: Finalities,
        synthetic_only: bool,
    ) -> None:
        """fast is the plain lane's own connection, slow the other's; synthetic_only: as of gateway.inquiry.lane."""
        lane = Lane(ground, keys=keys, synthetic_only=synthetic_only)
        ledger = LedgerStore(slow)
        self._volume = volume
        self.answer = PlainLane(lane, rows=fast, volume=volume).answer
        self.search = SearchLane(
            lane,
            rows=slow,
            ledger=ledger,
            receipts=Receipts(ground, ledger=ledger, finalities=finalities),
            disclaimers=Disclaimers(lane, ledger=ledger),
            volume=volume,
            approvals=Approvals(lane, db=slow, ledger=ledger),
            papers=PaperDesk(ground, documents=DocumentStore(slow)),
        ).search

    @staticmethod
    def decide(standing: Standing, operation: int, body: Body) -> Granted | Refused:
        """See Service."""
        if isinstance(body, _ABOUT_RECORDS):
            return standing.decide(operation, "", 0, "", "")
        if not isinstance(body, _ABOUT_RESIDENTS):  # the other centre's
            return UNKNOWN
        count = body.count if isinstance(body, BatchInquiry) else 1
        return standing.decide(operation, body.affair, body.step, body.staff, body.case, count)

    @staticmethod
    def is_plain(asked: Asked) -> bool:
        """See Service."""
        return is_plain(asked)

    @staticmethod
    async def run(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See Service: nothing goes on beside the lanes."""
        task_status.started()

    async def close(self) -> None:
        """See Service: what was leased and not used may be asked for by others."""
        await self._volume.give_back()
