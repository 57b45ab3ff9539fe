"""The relay itself: what becomes of a kiosk's request.

1. Policy: may it pass? Otherwise NOT_PERMITTED, counted and logged.
2. A call that is asked and answered goes to the centre under the same request id, with the deadline it came with; what
   the centre says comes back as RELAYED, whatever it says. A menu is said again from memory for some seconds. Who an
   application belongs to is on disk before the kiosk hears of it.
3. A notice is committed to the outbox, and then answered TAKEN_OVER; the courier delivers it.
4. A fact is committed and answered FACT_NOTED; whether a kiosk is in use is answered first and written soon.

Nothing of a sealed document is opened, kept or looked at: its parts pass through as they are.
Source: 000仕3, 000仕13; 000別1-1, 2, 4; DESIGN 10.
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

import msgspec
import structlog
import trio

from certs.names import LineName
from gateway.line.dial import LineError
from gateway.peers.relay import notices, outbox, policy, registry, worklist
from gateway.peers.relay.courier import Line
from gateway.peers.relay.errors import StoreFailed
from gateway.peers.relay.menus import Menus
from gateway.peers.relay.metrics import RelayMetrics
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.policy import Kiosk, NotPermitted, Reason
from gateway.peers.relay.store import Store
from gateway.peers.relay.writer import Writer
from protocol import issuance
from protocol.issuance import KioskFact
from protocol.keys import Algorithm, KeysError, PublicKey
from protocol.messages import Body, BodyError, Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.peer import Result

log = structlog.get_logger()

RETRY_S_FIRST: Final = 0.05
RETRY_S_MAX: Final = 1.0
SENT_AGAIN: Final = frozenset({Outcome.DRAINING, Outcome.BUSY, Outcome.UNAVAILABLE, Outcome.PENDING})
"""Sent again here, under the same id, while the deadline lasts. CARD_UNVERIFIABLE and DOCUMENT_WITHHELD are not: that
is the user's to decide at the kiosk."""
KEYS_HELD_MAX: Final = 4096
KNOWN_S: Final = 1.0
_OF_THE_MOMENT: Final = frozenset({KioskFact.IN_USE, KioskFact.IDLE})
"""For the page, and forgotten by a restart anyway: written with whatever is written next."""
MARGIN_S: Final = 0.1
"""An answer leaves so long before the kiosk's deadline."""
DOCUMENT_FAULT: Final = "document-"
"""So begin a kiosk's codes of a document that it refused. Each is an incident and makes a notice of its own, whatever
the kiosk told before; other faults are a state, told when it begins (DOMAIN 2.12)."""


class Relay:
    """Answers kiosks. `took` is called once something is in the outbox, `noticed` once there is a notice to send."""

    def __init__(
        self,
        line: Line,
        *,
        operator: str,
        reader: Store,
        writer: Writer,
        metrics: RelayMetrics,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        took: Callable[[], object] = lambda: None,
        noticed: Callable[[], object] = lambda: None,
    ) -> None:
        self._line = line
        self._operator = operator
        self._reader = reader
        self._writer = writer
        self._metrics = metrics
        self._now_us = now_us
        self._took = took
        self._noticed = noticed
        self._menus = Menus()
        self._callers: dict[LineName, tuple[Kiosk, float]] = {}

    def knows(self, name: LineName) -> bool:
        """Whether a line is a registered kiosk's; not while the store does not say so."""
        try:
            return self._caller(name) is not None
        except StoreFailed:
            return False

    def key_of(self, name: LineName, key_id: str) -> PublicKey | None:
        """A kiosk's signing key: its certificate's, under its own name."""
        try:
            caller = self._caller(name)
            if caller is None or key_id != caller.kiosk:
                return None
            return _key(caller.spki)
        except (KeysError, StoreFailed):
            return None

    def _caller(self, name: LineName) -> Kiosk | None:
        """A registered kiosk, as the store had it within the last KNOWN_S: every frame asks."""
        now = trio.current_time()
        held = self._callers.get(name)
        if held is not None and now < held[1]:
            return held[0]
        found = registry.find(self._reader, name.line) if name.party == self._operator else None
        if found is None:
            self._callers.pop(name, None)
        else:
            self._callers[name] = found, now + KNOWN_S
        return found

    async def handle(self, name: LineName, request: Request) -> tuple[int, bytes]:
        """LineServer's handler. Raises: StoreFailed, which it answers with UNAVAILABLE."""
        try:
            caller = self._caller(name)
            if caller is None:
                raise NotPermitted(Reason.KIOSK)
            body = self._read(request)
            if isinstance(body, issuance.KioskEvent):
                return await self._noted(caller, body)
            return await self._called(caller, request, body)
        except NotPermitted as refusal:
            self._metrics.turned_away(refusal.reason)
            log.warning(
                "not_permitted",
                party=name.party, line=name.line, operation=request.operation, reason=refusal.reason.value,
                field=refusal.field,
            )  # fmt: skip
            return Outcome.NOT_PERMITTED, encode(Refusal(refusal.field))

    @staticmethod
    def _read(request: Request) -> issuance.KioskCall | issuance.KioskEvent:
        if request.operation not in (Operation.KIOSK_CALL, Operation.KIOSK_EVENT):
            raise NotPermitted(Reason.OPERATION)
        try:
            body = decode_body(request.operation, request.body)
        except BodyError as error:
            raise NotPermitted(Reason.MALFORMED) from error
        if not isinstance(body, issuance.KioskCall | issuance.KioskEvent):
            raise NotPermitted(Reason.OPERATION)
        return body

    def _owner(self, application: bytes) -> policy.Owned | None:
        return registry.owner(self._reader, application)

    # --- calls

    async def _called(self, caller: Kiosk, request: Request, call: issuance.KioskCall) -> tuple[int, bytes]:
        body = policy.judge_call(call, caller=caller, operator=self._operator, owner=self._owner)
        if isinstance(body, issuance.Complete | issuance.Void | issuance.Correct | issuance.Erase):
            await self._take_over(caller, request, call, body)
            self._metrics.called(call.operation, Outcome.TAKEN_OVER)
            return Outcome.TAKEN_OVER, encode(Refusal())
        if (known := self._menus.find(call)) is not None:
            self._metrics.called(call.operation, known.outcome)
            return Outcome.RELAYED, encode(known)
        result = await self._passed_on(request, call)
        if result is None:
            self._metrics.called(call.operation, Outcome.UNAVAILABLE)
            return Outcome.UNAVAILABLE, encode(Refusal(retry_after_ms=1000))
        await self._learn(caller, body, result)
        self._metrics.called(call.operation, result.outcome)
        said = issuance.Relayed(result.outcome, result.body)
        self._menus.keep(call, said)
        return Outcome.RELAYED, encode(said)

    async def _take_over(self, caller: Kiosk, request: Request, call: issuance.KioskCall, body: outbox.Notice) -> None:
        now_us = self._now_us()
        await self._writer(
            lambda store: outbox.take_over(
                store, body, asked=call.body, request_id=request.request_id, caller=caller, now_us=now_us
            )
        )
        self._took()

    async def _passed_on(self, request: Request, call: issuance.KioskCall) -> Result | None:
        """What the centre says within the deadline; None when it says nothing, or this id is another's question."""
        onward = Request(request.request_id, call.operation, request.deadline_ms, call.body)
        result: Result | None = None
        pause_s = RETRY_S_FIRST
        with trio.move_on_after(max(request.deadline_ms / 1000 - MARGIN_S, MARGIN_S)):
            while True:
                try:
                    result = await self._line.ask_once(onward)
                except LineError as error:
                    log.info("call_waits", operation=call.operation, code=type(error).__name__)
                    return result
                if result.outcome not in SENT_AGAIN:
                    return result
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 2, RETRY_S_MAX)
        return result

    async def _learn(self, caller: Kiosk, body: Body, result: Result) -> None:
        """Keep what later calls are judged and totalled by: whose an application is, what of, at what fee."""
        now_us = self._now_us()
        if isinstance(body, issuance.Authenticate) and result.outcome == Outcome.AUTHENTICATED:
            begun = msgspec.msgpack.decode(result.body, type=issuance.Authenticated)
            await self._writer(lambda store: registry.own(store, begun.application, kiosk=caller.kiosk, now_us=now_us))
        elif isinstance(body, issuance.Apply) and result.outcome == Outcome.APPLIED:
            statement = body.statement
            fee_yen = msgspec.msgpack.decode(result.body, type=issuance.Applied).fee_yen
            await self._writer(
                lambda store: registry.applied(
                    store,
                    statement.application,
                    municipality=statement.municipality,
                    kind=statement.kind,
                    copies=statement.copies,
                    fee_yen=fee_yen,
                )
            )

    # --- facts

    async def _noted(self, caller: Kiosk, event: issuance.KioskEvent) -> tuple[int, bytes]:
        try:
            policy.judge_event(event, caller=caller, owner=self._owner)
        except NotPermitted as refusal:
            if event.fact == KioskFact.DEPOSITED and refusal.reason is Reason.APPLICATION:
                await self._note(NoticeKind.DEPOSIT_UNKNOWN, caller)  # it is money: a person has to look
            raise
        now_us = self._now_us()
        work = partial(note, event=event, caller=caller, now_us=now_us)
        if event.fact in _OF_THE_MOMENT and not event.application:
            self._writer.soon(work)
            return Outcome.FACT_NOTED, encode(Refusal())
        await self._writer(work)
        if event.fact in (KioskFact.FAULT, KioskFact.FAULT_CLEARED):
            self._noticed()
        return Outcome.FACT_NOTED, encode(Refusal())

    async def _note(self, kind: NoticeKind, caller: Kiosk) -> None:
        now_us = self._now_us()
        await self._writer(
            lambda store: notices.add(store, kind, kiosk=caller.kiosk, store_id=caller.store, now_us=now_us)
        )
        self._noticed()


@lru_cache(maxsize=KEYS_HELD_MAX)
def _key(spki: bytes) -> PublicKey:
    """Each frame asks for its kiosk's key, and reading one costs as much as verifying with it. Raises: KeysError."""
    return PublicKey(Algorithm.ES256, spki)


def note(store: Store, event: issuance.KioskEvent, *, caller: Kiosk, now_us: int) -> None:
    """A fact into the store: money and journal, fault and its end, and that the kiosk was heard."""
    fact = KioskFact(event.fact)
    if fact in (KioskFact.FAULT, KioskFact.FAULT_CLEARED):
        code = event.detail if fact is KioskFact.FAULT else ""
        begun = registry.fault(store, caller.kiosk, now_us, code=code)
        if begun or code.startswith(DOCUMENT_FAULT):
            kind = NoticeKind.KIOSK_FAULT if code else NoticeKind.KIOSK_FAULT_CLEARED
            notices.add(store, kind, kiosk=caller.kiosk, store_id=caller.store, code=code, now_us=now_us)
        return
    registry.heard(store, caller.kiosk, now_us, in_use=fact is not KioskFact.IDLE)
    if fact is KioskFact.DEPOSITED:
        worklist.deposited(store, event, caller=caller, now_us=now_us)
    elif fact is KioskFact.PRINTED:
        worklist.journal(store, event.application, printed=True, at_us=event.at_us)
    elif fact is KioskFact.IDLE and event.application:
        worklist.journal(store, event.application, printed=False, at_us=event.at_us)
