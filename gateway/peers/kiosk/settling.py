"""Money, paper and notices: what must come out right whatever happens between two steps.

Every act here is preceded by its line in the journal, and every act can be begun again: the coin slot gives back once
under a slip, paper is marked once, a notice goes out under one request id until somebody has taken it over. So after a
power cut `recover` does the rest, and doing it twice changes nothing.

Source: 000仕3-5, 3-6, 000仕13-1, 000仕14, 000契9-1; DESIGN 10.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Final

import msgspec
import structlog
import trio

from gateway.peers.kiosk.devices import CoinSlot, Printer, Relay
from gateway.peers.kiosk.errors import AnswerUnreadable, RelayAway
from gateway.peers.kiosk.journal import Act, Journal, Line, Trail
from gateway.peers.kiosk.receipts import receipt_text, refund_text
from gateway.peers.kiosk.recovery import Remedy, remedy
from protocol.issuance import Complete, Erase, Ground, KioskEvent, KioskFact, Void, erasure_to_sign
from protocol.messages import Operation, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.request_id import make_request_id

log = structlog.get_logger()

JAPAN: Final = timezone(timedelta(hours=9), "JST")
DELIVER_AGAIN_S: Final = 2.0
TAKEN: Final = frozenset({Outcome.TAKEN_OVER, Outcome.COMPLETED, Outcome.VOIDED, Outcome.ERASED})
RETRYABLE: Final = frozenset(outcome for outcome, meaning in CATALOGUE.items() if meaning.retryable)
_NEW_ID: Final = frozenset({Outcome.STALE_REQUEST_ID, Outcome.FUTURE_REQUEST_ID, Outcome.REPEAT_LIMIT})


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """Who and where a kiosk is: names, its line certificate (DER), and the signature of that certificate's key.

    sign: content -> ES256 raw r||s. day_begins_hour: Japanese hour at which the store's business day begins.
    """

    operator: str
    kiosk: str
    store: str
    certificate: bytes
    sign: Callable[[bytes], Awaitable[bytes]]
    day_begins_hour: int = 0

    def store_day(self, at_us: int) -> str:
        """取扱店営業日 of a time, YYYY-MM-DD (000仕3-7)."""
        at = datetime.fromtimestamp(at_us // 1_000_000, JAPAN) - timedelta(hours=self.day_begins_hour)
        return f"{at:%Y-%m-%d}"


class Settling:
    """The journal's writer."""

    def __init__(
        self,
        stand: Stand,
        *,
        relay: Relay,
        slot: CoinSlot,
        printer: Printer,
        journal: Journal,
        now_us: Callable[[], int],
    ) -> None:
        self._stand = stand
        self._relay = relay
        self._slot = slot
        self._printer = printer
        self._journal = journal
        self._now_us = now_us
        self._untold = [trail.application for trail in journal.trails.values() if trail.untold]
        self._delivering = trio.Lock()
        self.notices_wait = trio.Event()
        """Set while there may be something to deliver."""
        if self._untold:
            self.notices_wait.set()

    # --- the way of things

    def opened(self, application: bytes) -> None:
        """The application exists at the centre."""
        self._write(Act.OPENED, application)

    def document(self, application: bytes, *, copies: int, pages: int, yen: int, stem: str) -> None:
        """A document was verified and can be paid for."""
        self._write(Act.DOCUMENT, application, number=copies, page=pages, yen=yen, text=stem)

    def take_money(self, application: bytes, yen: int) -> str:
        """Take the sum; its slip. Raises: PaymentFailed, with nothing taken."""
        slip = f"{self._stand.kiosk[:24]}-{len(self._journal.trails):08d}"
        self._write(Act.MONEY, application, yen=yen, text=slip)
        if yen:
            self._slot.take(yen, slip)
        self._write(Act.PAID, application, yen=yen, text=self._stand.store_day(self._now_us()))
        self.tell(KioskFact.DEPOSITED, application=application, yen=yen)
        return slip

    def page(self, application: bytes, *, copy: int, page: int) -> None:
        """This page comes out next."""
        self._write(Act.PAGE, application, number=copy, page=page)

    def printed(self, application: bytes, *, kind: str) -> None:
        """Every page of every copy is out: the receipt (000仕3-5), and COMPLETE is to be told (000仕3-6)."""
        self._write(Act.DONE, application)
        trail = self._journal.trails[application]
        self._printer.receipt(trail.slip, receipt_text(trail, self._stand.store, kind=kind))
        self._complete(trail)
        self.tell(KioskFact.PRINTED, application=application)

    def void(self, application: bytes, ground: Ground) -> None:
        """Mark every copy, give the money back, and VOID is to be told (000契9-1)."""
        trail = self._journal.trails[application]
        if trail.spoilt is None:
            self._write(Act.SPOIL, application, number=ground)
        self._printer.void(trail.stem)
        if trail.refunded_at_us is None:
            self._write(Act.REFUND, application, yen=trail.yen)
            self._slot.refund(trail.slip)
            self._write(Act.REFUNDED, application, text=self._stand.store_day(self._now_us()))
            self._printer.receipt(f"{trail.slip}-refund", refund_text(trail, self._stand.store))
        if Operation.VOID not in trail.notices:
            body = Void(
                application=application,
                ground=trail.spoilt or ground,
                refunded_at_us=trail.refunded_at_us or self._now_us(),
                store_day=trail.refund_day,
                store=self._stand.store,
                staff_slip="",
            )
            self._notice(Operation.VOID, application, encode(body))

    async def erased(self, application: bytes) -> None:
        """Nothing of the document and no key of the session is left: attest it (000仕14)."""
        at_us = self._now_us()
        attestation = await self._stand.sign(erasure_to_sign(application, at_us))
        body = Erase(application=application, kiosk_at_us=at_us, relay_at_us=0, attestation=attestation)
        self._notice(Operation.ERASE, application, encode(body))

    async def recover(self) -> None:
        """Do what is left to do of every application in the journal. What was in memory is gone, so it is erased."""
        for trail in list(self._journal.trails.values()):
            if Operation.COMPLETE not in trail.told and Operation.VOID not in trail.told:
                self._recover(trail)
            if Operation.ERASE not in trail.notices:
                await self.erased(trail.application)

    def _recover(self, trail: Trail) -> None:
        held = self._slot.holding(trail.slip) if trail.slip else 0
        whole = self._printer.whole_copies(trail.stem) if trail.stem else 0
        match remedy(trail, held_yen=held, copies_whole=whole):
            case Remedy.VOID:
                self.void(trail.application, Ground.MISPRINT if trail.started else Ground.NOT_PRINTED)
            case Remedy.COMPLETE:
                if trail.done_at_us is None:
                    self._write(Act.DONE, trail.application)
                self._complete(trail)
            case Remedy.NOTHING:
                pass

    def _complete(self, trail: Trail) -> None:
        if Operation.COMPLETE in trail.notices:
            return
        body = Complete(
            application=trail.application,
            copies=trail.copies,
            deposited_at_us=trail.paid_at_us or trail.opened_at_us,
            store_day=trail.store_day,
            store=self._stand.store,
            slip=trail.slip,
        )
        self._notice(Operation.COMPLETE, trail.application, encode(body))

    # --- telling

    def tell(self, fact: KioskFact, *, application: bytes = b"", yen: int = 0, detail: str = "") -> None:
        """A fact for the relay, beside the notices."""
        self._relay.tell(KioskEvent(fact=fact, at_us=self._now_us(), application=application, yen=yen, detail=detail))

    def fault(self, code: str, *, application: bytes = b"") -> None:
        """A failure for store and maintenance (000別1-3(7)); the code says what, and nothing of whom."""
        log.warning("kiosk_fault", code=code)
        self.tell(KioskFact.FAULT, application=application, detail=code)

    async def deliver(self) -> int:
        """Tell the centre what waits, oldest first; how many notices still wait, as the relay is away or busy."""
        async with self._delivering:
            self.notices_wait = trio.Event()
            while self._untold:
                trail = self._journal.trails[self._untold[0]]
                if not await self._deliver(trail):
                    self.notices_wait.set()
                    return sum(len(self._journal.trails[each].untold) for each in self._untold)
                if not trail.untold:
                    self._untold.remove(trail.application)
            return 0

    async def delivered(self) -> None:
        """Deliver until nothing waits, again after a while when the relay is away."""
        while True:
            if not await self.deliver():
                return
            await trio.sleep(DELIVER_AGAIN_S)

    async def _deliver(self, trail: Trail) -> bool:
        """The first notice about money, and the erasure in the same frame; whether the relay took over what was told.

        What is about money keeps its order; an erasure says nothing of money and waits for none.
        """
        money = [line for line in trail.untold if line.number != Operation.ERASE]
        due = money[:1] + [line for line in trail.untold if line.number == Operation.ERASE]
        outcomes: dict[int, int] = {}

        async def tell(line: Line) -> None:
            with suppress(RelayAway, AnswerUnreadable):
                outcomes[line.number], _ = await self._relay.call(line.number, line.data, request_id=line.request_id)

        async with trio.open_nursery() as nursery:
            for line in due:
                nursery.start_soon(tell, line)
        taken = [self._told(line, outcomes.get(line.number)) for line in due]
        return all(taken)

    def _told(self, line: Line, outcome: int | None) -> bool:
        if outcome is None:
            return False
        if outcome in _NEW_ID:
            self._notice(line.number, line.application, line.data)
            return True
        if outcome not in TAKEN:
            if outcome in RETRYABLE:
                return False
            self.fault(f"notice-{line.number}-refused-{outcome}", application=line.application)
        self._write(Act.TOLD, line.application, number=line.number, page=outcome)
        return True

    def _notice(self, operation: int, application: bytes, body: bytes) -> None:
        request_id = make_request_id(self._now_us() // 1000, secrets.token_bytes(10))
        self._write(Act.NOTICE, application, number=operation, data=body, request_id=request_id)
        if application not in self._untold:
            self._untold.append(application)
        self.notices_wait.set()

    def _write(
        self,
        act: Act,
        application: bytes,
        *,
        number: int = 0,
        page: int = 0,
        yen: int = 0,
        text: str = "",
        data: bytes = b"",
        request_id: bytes = b"",
    ) -> None:
        self._journal.write(
            Line(
                act=act,
                application=application,
                at_us=self._now_us(),
                number=number,
                page=page,
                yen=yen,
                text=text,
                data=data,
                request_id=request_id,
            )
        )
