"""The kiosk as a program: one user after another through the table of steps, its devices and its line handed in.

The order of things is gateway.peers.kiosk.steps; what a document is held against, .checking; what becomes of money and
paper after a cut, .journal and .recovery; what the centre is told about them, .settling. Here they are joined, and
three rules kept:

- No money before the document has been verified, and no page before it has been verified again.
- Once money is in, the sitting ends in one of two ways: every page of every copy is out and COMPLETE is told, or the
  money is back, every copy is marked 返金済・無効, and VOID is told.
- Whatever ends a sitting, its keys, PIN and document are let go of and the erasure is told.

Every method is a step of the user or of staff; one that the table does not know where the kiosk stands raises
OutOfOrder and changes nothing. A step that is cancelled half-way leaves the kiosk out of order until `clear_fault`.

Source: 000仕3, 000仕8, 000仕14, 000契9-1; DESIGN 10.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from gateway.peers.kiosk.announcing import Announcements
from gateway.peers.kiosk.asking import Asking, NotNow, application_of, menu_of
from gateway.peers.kiosk.checking import ReadPages
from gateway.peers.kiosk.devices import CardReader, CoinSlot, Printer, Relay
from gateway.peers.kiosk.errors import (
    AnswerUnreadable,
    CardUnreadable,
    CentreRefused,
    ChoiceInvalid,
    DocumentRefused,
    KioskError,
    OutOfOrder,
    PaperJam,
    PinRefused,
    RelayAway,
)
from gateway.peers.kiosk.front import LIMITS, Front, Limits
from gateway.peers.kiosk.journal import Journal
from gateway.peers.kiosk.papers import Papers
from gateway.peers.kiosk.refusing import fault_of, trouble_of
from gateway.peers.kiosk.settling import Settling, Stand
from gateway.peers.kiosk.sitting import MakeKeys, Sitting, View, fresh_keys, session_of
from gateway.peers.kiosk.steps import BEFORE_MONEY, LEFT_ALONE, WAITING, Event, State
from gateway.peers.kiosk.texts import Trouble
from protocol.document import PageStatement
from protocol.issuance import Ground, KioskFact
from protocol.messages import Operation
from protocol.trust import Trust


class Devices(NamedTuple):
    """What is built into the kiosk."""

    reader: CardReader
    slot: CoinSlot
    printer: Printer


class Kiosk:
    """One kiosk. Methods are for the tasks of one Trio run, one step at a time."""

    def __init__(
        self,
        stand: Stand,
        *,
        relay: Relay,
        devices: Devices,
        journal: Journal,
        trusts: Mapping[str, Trust],
        kits: frozenset[str],
        read_pages: ReadPages,
        now_us: Callable[[], int],
        make_keys: MakeKeys = fresh_keys,
        limits: Limits = LIMITS,
    ) -> None:
        """stand: who and where this kiosk is. trusts: the municipalities' bundles by code. kits: versions it takes."""
        self.stand = stand
        self.relay = relay
        self.journal = journal
        self.trusts = trusts
        self.front = Front(now_us=now_us, limits=limits)
        self.announcements = Announcements(relay, tuple(trusts))
        """What stops; known while its `run` runs."""
        self.settling = Settling(
            stand, relay=relay, slot=devices.slot, printer=devices.printer, journal=journal, now_us=now_us
        )
        self._reader = devices.reader
        self._papers = Papers(settling=self.settling, printer=devices.printer, read_pages=read_pages, now_us=now_us)
        self._asking = Asking(stand, relay=relay, trusts=trusts, kits=kits, now_us=now_us)
        self._now_us = now_us
        self._make_keys = make_keys
        self._sitting: Sitting | None = None
        self._broken = False

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.front.state

    @property
    def view(self) -> View:
        """The screen."""
        return self.front.view(self._sitting)

    @property
    def pages(self) -> tuple[PageStatement, ...]:
        """What the verified document says of itself, for a program that checks; never for the screen."""
        return () if self._sitting is None else tuple(self._sitting.pages)

    # --- the user's steps

    async def begin(self) -> None:
        """The service is chosen on the menu (000仕8-1)."""
        self.front.go(Event.BEGIN)
        keys = self._make_keys()
        self._sitting = Sitting(keys, session_of(keys, operator=self.stand.operator, kiosk=self.stand.kiosk))
        self.settling.tell(KioskFact.IN_USE)
        if not self.relay.connected:
            await self._refuse(RelayAway())
        elif self.announcements.stopped:
            await self._refuse(NotNow(Trouble.STOPPED))

    async def insert_card(self, name: str) -> None:
        """The user puts a card in (000仕3-3); name tells the simulated ones apart."""
        sitting = self._at(State.CARD)
        try:
            sitting.card = self._reader.read(name)
        except CardUnreadable as error:
            await self._refuse(error)
            return
        sitting.card_name = name
        self.front.go(Event.CARD_READ)

    async def enter_pin(self, pin: str) -> None:
        """The PIN; the card checks it and signs for this session and the centre's nonce."""
        sitting = self._at(State.PIN)
        self.front.go(Event.PIN_TYPED)
        self.front.trouble = ""
        async with self._guarded():
            sitting.pin = pin
            try:
                await self._asking.sign_with_card(sitting)
            except PinRefused as refused:
                sitting.pin = ""
                self.front.tries_left = refused.tries_left
                if not refused.tries_left:
                    raise
                self.front.trouble = Trouble.PIN_WRONG
                self.front.go(Event.PIN_REFUSED)
                return
            self.front.go(Event.SIGNED)

    async def choose_municipality(self, code: str) -> None:
        """The municipality: 本人認証 (000仕3-3), then its menu."""
        sitting = self._at(State.MUNICIPALITY)
        if code not in self.trusts:
            raise ChoiceInvalid("municipality")
        self.front.go(Event.MUNICIPALITY_CHOSEN)
        async with self._guarded():
            answer, menu = await self._asking.authenticate(sitting, code)
            sitting.forget_pin()
            if answer.application in self.journal.trails:
                raise AnswerUnreadable(Operation.AUTHENTICATE)  # an id is one sitting's, whatever a relay replays
            self.settling.opened(answer.application)
            sitting.application, sitting.expires_at_us = answer.application, answer.expires_at_us
            if isinstance(menu, KioskError):
                raise menu
            sitting.menu = menu
            self.front.go(Event.AUTHENTICATED)

    async def choose_kind(self, kind: str) -> None:
        """A kind on the menu; one that is closed now says so."""
        sitting = self._at(State.MENU)
        offer = next((offer for offer in menu_of(sitting).offers if offer.kind == kind), None)
        if offer is None:
            raise ChoiceInvalid("kind")
        if offer.closed:
            await self._refuse(CentreRefused(offer.closed))
            return
        sitting.offer, sitting.options, sitting.copies = offer, 0, 1
        self.front.go(Event.KIND_CHOSEN)

    async def choose_options(self, *, options: int, copies: int) -> None:
        """Options (bits of protocol.certificates.Option) and copies."""
        sitting = self._at(State.OPTIONS)
        offer = sitting.offer
        if offer is None or options & ~offer.options or options < 0:
            raise ChoiceInvalid("options")
        if not 1 <= copies <= offer.copies_max:
            raise ChoiceInvalid("copies")
        sitting.options, sitting.copies = options, copies
        self.front.go(Event.OPTIONS_CHOSEN)

    async def back(self) -> None:
        """One screen back, where nothing has been applied for."""
        self.front.go(Event.BACK)

    async def agree(self) -> None:
        """The fee is agreed to: apply, fetch, verify. Ends at PAY or REFUSED; `view` has the progress."""
        sitting = self._at(State.CONFIRM)
        self.front.go(Event.AGREED)
        async with self._guarded():
            agreed = await self._asking.apply(sitting)
            self.front.go(Event.APPLIED)
            issued, sealed = await self._asking.fetch(sitting, self.front.progress)
            self.front.go(Event.FETCHED)
            await self._papers.take_in(sitting, agreed, issued, sealed)
            self.front.go(Event.VERIFIED)

    async def pay(self) -> None:
        """The sum is put in; then every page is printed. Ends at RECEIPT, REFUNDED or REFUSED."""
        sitting = self._at(State.PAY)
        application = application_of(sitting)
        self.front.go(Event.MONEY_OFFERED)
        async with self._guarded():
            if sitting.expires_at_us is not None and self._now_us() >= sitting.expires_at_us:
                raise NotNow(Trouble.TIME_OVER)
            sitting.slip = self.settling.take_money(application, sitting.yen)
            self.front.go(Event.PAID)
            try:
                await self._papers.put_out(sitting, self.front.progress)
            except (PaperJam, DocumentRefused) as spoilt:
                await self._spoil(sitting, spoilt)
                return
            self.settling.printed(application, kind="" if sitting.offer is None else sitting.offer.kind)
            sitting.forget()
            await self.settling.erased(application)
            self.front.go(Event.PRINTED)

    async def take_receipt(self) -> None:
        """領収書 (000仕3-5)."""
        self.front.go(Event.RECEIPT_TAKEN)

    async def take_all(self) -> None:
        """Card and paper are taken (000仕9: what is left behind is lost property)."""
        self.front.go(Event.ALL_TAKEN)
        self._end()

    async def leave(self) -> None:
        """The user cancels where nothing is paid."""
        self.front.go(Event.LEAVE)
        await self._erase()
        self._end()

    async def acknowledge(self) -> None:
        """A refusal or refund was read."""
        broken = self._broken and self.state is State.REFUNDED
        self.front.go(Event.BREAK if broken else Event.ACKNOWLEDGED)
        if not broken:
            self._end()

    # --- time, staff, power

    async def tick(self) -> None:
        """Call every second or so: a silent user has left, and an application's time ends."""
        now = self._now_us()
        silent = self.front.left_us == 0
        sitting = self._sitting
        over = sitting is not None and sitting.expires_at_us is not None and now >= sitting.expires_at_us
        if self.state in WAITING and (silent or over):
            await self.leave()
        elif self.state in LEFT_ALONE and silent:
            while self.state in LEFT_ALONE:
                if self.state is State.RECEIPT:
                    await self.take_receipt()
                elif self.state is State.TAKE:
                    await self.take_all()
                else:
                    await self.acknowledge()

    async def recover(self) -> None:
        """After a start: settle what a power cut left behind (.recovery), and queue what the centre is to be told."""
        await self.settling.recover()
        self.settling.tell(KioskFact.IDLE)

    async def clear_fault(self) -> None:
        """Staff have seen to the kiosk."""
        self.front.go(Event.CLEARED)
        self._broken = False
        await self.settling.recover()
        self.settling.tell(KioskFact.FAULT_CLEARED)
        self._end()

    # --- what the steps are made of

    async def _spoil(self, sitting: Sitting, error: PaperJam | DocumentRefused) -> None:
        application = application_of(sitting)
        self._broken = isinstance(error, PaperJam)
        self.front.trouble = Trouble.PAPER_JAM if self._broken else Trouble.DOCUMENT_REFUSED_PAID
        self.front.go(Event.SPOILT)
        sitting.forget()
        self.settling.fault(error.code, application=application)
        self.settling.void(application, Ground.MISPRINT if self._broken else Ground.DOCUMENT_REFUSED)
        await self.settling.erased(application)
        self.front.go(Event.REFUND_MADE)

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        """A step of the kiosk's own: what it cannot do ends the sitting on a screen, with nothing charged.

        Anything else, a cancellation among it, leaves it out of order: what is left to do is in the journal.
        """
        try:
            try:
                yield
            except OutOfOrder:
                raise
            except KioskError as error:
                if self.state not in BEFORE_MONEY:
                    raise
                await self._refuse(error)
        except BaseException:
            if self._sitting is not None:
                self._sitting.forget()
            self.front.fail()
            raise

    async def _refuse(self, error: KioskError) -> None:
        self.front.trouble = trouble_of(error)
        sitting = self._sitting
        if fault := fault_of(error):
            about = sitting.application if sitting is not None and isinstance(error, DocumentRefused) else None
            self.settling.fault(fault, application=about or b"")
        await self._erase()
        self.front.go(Event.REFUSE)

    async def _erase(self) -> None:
        sitting = self._sitting
        if sitting is None:
            return
        application = sitting.application
        sitting.forget()
        if application is not None:
            await self.settling.erased(application)

    def _end(self) -> None:
        if self._sitting is not None:
            self._sitting.forget()
        self._sitting = None
        self.front.trouble = ""
        self.settling.tell(KioskFact.IDLE)
        self.front.notify()

    def _at(self, state: State) -> Sitting:
        if self.state is not state or self._sitting is None:
            raise OutOfOrder(self.state, f"what belongs to {state}")
        return self._sitting
