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
from typing import Final, NamedTuple

import msgspec
import trio

from gateway.peers.kiosk.announcing import Announcements
from gateway.peers.kiosk.asking import Asking, NotNow, application_of, menu_of
from gateway.peers.kiosk.checking import Expected, ReadPages, check_document, check_issued, digest_of, open_sealed
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
    PaymentFailed,
    PinRefused,
    RelayAway,
)
from gateway.peers.kiosk.journal import Journal
from gateway.peers.kiosk.settling import Settling, Stand
from gateway.peers.kiosk.sitting import MakeKeys, Sitting, View, fresh_keys, session_of
from gateway.peers.kiosk.steps import BEFORE_MONEY, LEFT_ALONE, WAITING, Event, State, step
from gateway.peers.kiosk.texts import Trouble
from protocol.document import Manifest, PageStatement
from protocol.issuance import (
    Ground,
    Issued,
    KioskFact,
)
from protocol.messages import Operation
from protocol.trust import Trust


class Devices(NamedTuple):
    """What is built into the kiosk."""

    reader: CardReader
    slot: CoinSlot
    printer: Printer


class Limits(NamedTuple):
    """Times in microseconds: a silent user's, while something is to be decided and once all is done."""

    silent_us: int = 60_000_000
    finished_us: int = 20_000_000


LIMITS: Final = Limits()


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
        self.state = State.START
        self.announcements = Announcements(relay, tuple(trusts))
        """What stops; known while its `run` runs."""
        self.settling = Settling(
            stand, relay=relay, slot=devices.slot, printer=devices.printer, journal=journal, now_us=now_us
        )
        self._devices = devices
        self._asking = Asking(stand, relay=relay, trusts=trusts, kits=kits, now_us=now_us)
        self._read_pages = read_pages
        self._now_us = now_us
        self._make_keys = make_keys
        self._limits = limits
        self._sitting: Sitting | None = None
        self._trouble = ""
        self._tries_left = 0
        self._progress = (0, 0)
        self._broken = False
        self._touched_us = now_us()
        self.reached_us: dict[State, int] = {}
        """When this sitting came to each state, for whoever measures."""
        self.changed = trio.Event()
        """Set, and replaced, whenever the screen may look different."""

    @property
    def view(self) -> View:
        """The screen."""
        done, total = self._progress
        view = View(state=self.state, trouble=self._trouble, tries_left=self._tries_left, done=done, total=total)
        sitting = self._sitting
        if sitting is None:
            return view
        return msgspec.structs.replace(
            view,
            menu=sitting.menu,
            offer=sitting.offer,
            options=sitting.options,
            copies=sitting.copies,
            yen=sitting.yen,
            slip=sitting.slip,
        )

    @property
    def pages(self) -> tuple[PageStatement, ...]:
        """What the verified document says of itself, for a program that checks; never for the screen."""
        return () if self._sitting is None else tuple(self._sitting.pages)

    # --- the user's steps

    async def begin(self) -> None:
        """The service is chosen on the menu (000仕8-1)."""
        self.reached_us = {}
        self._go(Event.BEGIN)
        self._trouble, self._tries_left, self._progress = "", 0, (0, 0)
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
            sitting.card = self._devices.reader.read(name)
        except CardUnreadable as error:
            await self._refuse(error)
            return
        sitting.card_name = name
        self._go(Event.CARD_READ)

    async def enter_pin(self, pin: str) -> None:
        """The PIN; the card checks it and signs for this session and the centre's nonce."""
        sitting = self._at(State.PIN)
        self._go(Event.PIN_TYPED)
        self._trouble = ""
        async with self._guarded():
            sitting.pin = pin
            try:
                await self._asking.sign_with_card(sitting)
            except PinRefused as refused:
                sitting.pin = ""
                self._tries_left = refused.tries_left
                if not refused.tries_left:
                    raise
                self._trouble = Trouble.PIN_WRONG
                self._go(Event.PIN_REFUSED)
                return
            self._go(Event.SIGNED)

    async def choose_municipality(self, code: str) -> None:
        """The municipality: 本人認証 (000仕3-3), then its menu."""
        sitting = self._at(State.MUNICIPALITY)
        if code not in self.trusts:
            raise ChoiceInvalid("municipality")
        self._go(Event.MUNICIPALITY_CHOSEN)
        async with self._guarded():
            answer = await self._asking.authenticate(sitting, code)
            sitting.forget_pin()
            if answer.application in self.journal.trails:
                raise AnswerUnreadable(Operation.AUTHENTICATE)  # an id is one sitting's, whatever a relay replays
            self.settling.opened(answer.application)
            sitting.application, sitting.expires_at_us = answer.application, answer.expires_at_us
            sitting.menu = await self._asking.menu(sitting, code)
            self._go(Event.AUTHENTICATED)

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
        self._go(Event.KIND_CHOSEN)

    async def choose_options(self, *, options: int, copies: int) -> None:
        """Options (bits of protocol.certificates.Option) and copies."""
        sitting = self._at(State.OPTIONS)
        offer = sitting.offer
        if offer is None or options & ~offer.options or options < 0:
            raise ChoiceInvalid("options")
        if not 1 <= copies <= offer.copies_max:
            raise ChoiceInvalid("copies")
        sitting.options, sitting.copies = options, copies
        self._go(Event.OPTIONS_CHOSEN)

    async def back(self) -> None:
        """One screen back, where nothing has been applied for."""
        self._go(Event.BACK)

    async def agree(self) -> None:
        """The fee is agreed to: apply, fetch, verify. Ends at PAY or REFUSED; `view` has the progress."""
        sitting = self._at(State.CONFIRM)
        self._go(Event.AGREED)
        async with self._guarded():
            agreed = await self._asking.apply(sitting)
            self._go(Event.APPLIED)
            issued, sealed = await self._asking.fetch(sitting, self._show)
            self._go(Event.FETCHED)
            await self._open(sitting, agreed, issued, sealed)
            self._go(Event.VERIFIED)

    async def pay(self) -> None:
        """The sum is put in; then every page is printed. Ends at RECEIPT, REFUNDED or REFUSED."""
        sitting = self._at(State.PAY)
        application = application_of(sitting)
        self._go(Event.MONEY_OFFERED)
        async with self._guarded():
            if sitting.expires_at_us is not None and self._now_us() >= sitting.expires_at_us:
                raise NotNow(Trouble.TIME_OVER)
            sitting.slip = self.settling.take_money(application, sitting.yen)
            self._go(Event.PAID)
            try:
                await self._print(sitting)
            except (PaperJam, DocumentRefused) as spoilt:
                await self._spoil(sitting, spoilt)
                return
            self.settling.printed(application, kind="" if sitting.offer is None else sitting.offer.kind)
            sitting.forget()
            await self.settling.erased(application)
            self._go(Event.PRINTED)

    async def take_receipt(self) -> None:
        """領収書 (000仕3-5)."""
        self._go(Event.RECEIPT_TAKEN)

    async def take_all(self) -> None:
        """Card and paper are taken (000仕9: what is left behind is lost property)."""
        self._go(Event.ALL_TAKEN)
        self._end()

    async def leave(self) -> None:
        """The user cancels where nothing is paid."""
        self._go(Event.LEAVE)
        await self._erase()
        self._end()

    async def acknowledge(self) -> None:
        """A refusal or refund was read."""
        broken = self._broken and self.state is State.REFUNDED
        self._go(Event.BREAK if broken else Event.ACKNOWLEDGED)
        if not broken:
            self._end()

    # --- time, staff, power

    @property
    def left_us(self) -> int | None:
        """How long the user may still be silent; None where nobody waits for them."""
        if self.state in WAITING:
            return max(0, self._touched_us + self._limits.silent_us - self._now_us())
        if self.state in LEFT_ALONE:
            return max(0, self._touched_us + self._limits.finished_us - self._now_us())
        return None

    def touch(self) -> None:
        """The user is there: silence begins anew."""
        self._touched_us = self._now_us()

    async def tick(self) -> None:
        """Call every second or so: a silent user has left, and an application's time ends."""
        now = self._now_us()
        silent = self.left_us == 0
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
        self._go(Event.CLEARED)
        self._broken = False
        await self.settling.recover()
        self.settling.tell(KioskFact.FAULT_CLEARED)
        self._end()

    # --- what the steps are made of

    async def _open(self, sitting: Sitting, expected: Expected, issued: Issued, sealed: bytes) -> None:
        if sitting.keys is None:
            raise DocumentRefused("seal")
        manifest = check_issued(issued, expected, now_us=self._now_us())
        document = open_sealed(sealed, manifest, expected, key=sitting.keys.seal)
        sitting.pages = await check_document(document, manifest, expected, read_pages=self._read_pages)
        sitting.manifest, sitting.document, sitting.checked = manifest, document, digest_of(document)
        self.settling.document(
            manifest.application,
            copies=sitting.copies,
            pages=len(sitting.pages),
            yen=sitting.yen,
            stem=_stem(manifest),
        )

    async def _print(self, sitting: Sitting) -> None:
        document, manifest = sitting.document, sitting.manifest
        if document is None or manifest is None or digest_of(document) != sitting.checked:
            raise DocumentRefused("changed")
        self.settling.tell(KioskFact.PRINTING, application=manifest.application)
        pages = len(sitting.pages)
        total = pages * sitting.copies
        self._show(0, total)
        stem = _stem(manifest)
        for copy in range(1, sitting.copies + 1):
            for page in range(1, pages + 1):
                self.settling.page(manifest.application, copy=copy, page=page)
                await self._devices.printer.put_out(document.pdf, stem=stem, copy=copy, page=page, pages=pages)
                self._show(self._progress[0] + 1, total)

    async def _spoil(self, sitting: Sitting, error: PaperJam | DocumentRefused) -> None:
        application = application_of(sitting)
        self._broken = isinstance(error, PaperJam)
        self._trouble = Trouble.PAPER_JAM if self._broken else Trouble.DOCUMENT_REFUSED_PAID
        self._go(Event.SPOILT)
        sitting.forget()
        self.settling.fault(error.code, application=application)
        self.settling.void(application, Ground.MISPRINT if self._broken else Ground.DOCUMENT_REFUSED)
        await self.settling.erased(application)
        self._go(Event.REFUND_MADE)

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
            self.state = State.OUT_OF_ORDER
            self._notify()
            raise

    async def _refuse(self, error: KioskError) -> None:
        match error:
            case CentreRefused():
                self._trouble = str(error.outcome)
            case NotNow():
                self._trouble = error.trouble
            case PinRefused():
                self._trouble = Trouble.PIN_LOCKED
            case _:
                self._trouble = _TROUBLES.get(type(error), Trouble.DOCUMENT_REFUSED)
        if isinstance(error, DocumentRefused):  # never noise: whoever runs the kiosk hears of it (DOMAIN 2.12)
            sitting = self._sitting
            self.settling.fault(f"document-{error.reason}", application=(sitting and sitting.application) or b"")
        elif isinstance(error, AnswerUnreadable | PaymentFailed):
            self.settling.fault(error.code)
        await self._erase()
        self._go(Event.REFUSE)

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
        self._trouble = ""
        self.settling.tell(KioskFact.IDLE)
        self._notify()

    def _at(self, state: State) -> Sitting:
        if self.state is not state or self._sitting is None:
            raise OutOfOrder(self.state, f"what belongs to {state}")
        return self._sitting

    def _go(self, event: Event) -> None:
        self.state = step(self.state, event)
        self.reached_us[self.state] = self._touched_us = self._now_us()
        self._notify()

    def _show(self, done: int, total: int) -> None:
        self._progress = (done, total)
        self._notify()

    def _notify(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


_TROUBLES: Final[dict[type[KioskError], Trouble]] = {
    AnswerUnreadable: Trouble.RELAY_AWAY,
    CardUnreadable: Trouble.CARD_UNREADABLE,
    DocumentRefused: Trouble.DOCUMENT_REFUSED,
    PaymentFailed: Trouble.PAYMENT_FAILED,
    RelayAway: Trouble.RELAY_AWAY,
}


def _stem(manifest: Manifest) -> str:
    """By what the paper of a document is called in the tray."""
    return f"{manifest.municipality}-{manifest.serial}"
