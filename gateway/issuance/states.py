"""How an application stands, and what moves it: pure values over protocol.application.TABLE.

A Move is a transition decided but not recorded yet. It travels with its final to the block's rider
(gateway.issuance.rider), and stands once the block is durable; nothing else changes an application.

Money. The fee and the commission of a copy are kept with APPLIED and hold for whatever follows (I1, F2): a completion
adds them for its copies, a correction adds the signed difference, a void takes away what stands, all copies (H2).

Source: DESIGN sections 7 and 10; 000契9-1, 13-1; 000仕3, 13.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.directory.policy import Refused
from gateway.issuance.errors import StateCorrupt
from gateway.store.issuance import ApplicationRow, EventRow, Opening
from protocol.application import CORRECTIONS_MAX, Transition, may
from protocol.issuance import Apply, Issued, Statement
from protocol.ledger import Delivery
from protocol.messages import Operation, decode_body
from protocol.outcomes import Outcome

MONEY: Final = frozenset(
    {int(Transition.COMPLETED), int(Transition.VOIDED)} | {Transition.CORRECTED_1 + n for n in range(CORRECTIONS_MAX)}
)
"""Transitions that a municipality is told of, and that follow one another."""


def refused(outcome: Outcome, field: str = "", remedy: str = "") -> Refused:
    """A refusal for cause."""
    return Refused(outcome=outcome, field=field, remedy=remedy)


UNKNOWN: Final = refused(Outcome.APPLICATION_UNKNOWN, "application", "use the id that AUTHENTICATED gave")
EXPIRED: Final = refused(Outcome.APPLICATION_EXPIRED, "application", "authenticate again")


class Standing(msgspec.Struct, frozen=True):
    """What stands of the money: copies and yen in total, and the deposit they are of; zeros before a completion."""

    copies: int = 0
    yen: int = 0
    commission: int = 0
    deposited_at_us: int = 0
    store_day: str = ""


class State:
    """One application as its rows say. Raises: StateCorrupt when the rows cannot all be true."""

    __slots__ = ("application", "events")

    def __init__(self, application: ApplicationRow, events: Mapping[int, EventRow]) -> None:
        if Transition.AUTHENTICATED not in events:
            raise StateCorrupt("it was never authenticated")
        self.application = application
        self.events = events

    @property
    def id(self) -> bytes:
        """16 bytes."""
        return self.application.application

    def expired(self, now_us: int) -> bool:
        """Whether it can no longer be applied for or fetched."""
        return now_us >= self.application.expires_at_us

    def refuses(self, transition: int, now_us: int) -> Refused | None:
        """Why a transition may not follow, or None. That it stands already is looked at first, by `event`."""
        if may(transition, self.events, expired=self.expired(now_us)):
            return None
        if may(transition, self.events):
            return EXPIRED
        return refused(Outcome.APPLICATION_STATE, "application", "ask STATUS where it stands")

    def event(self, transition: int) -> EventRow | None:
        """What was recorded of a transition."""
        return self.events.get(int(transition))

    @property
    def applied(self) -> EventRow:
        """The event of APPLY. Raises: StateCorrupt."""
        found = self.event(Transition.APPLIED)
        if found is None:
            raise StateCorrupt("it was never applied for")
        return found

    @property
    def statement(self) -> Statement:
        """What was applied for. Raises: StateCorrupt."""
        return self.apply.statement

    @property
    def apply(self) -> Apply:
        """The signed application. Raises: StateCorrupt."""
        body = decode_body(Operation.APPLY, self.applied.request)
        if not isinstance(body, Apply):
            raise StateCorrupt("the application is not readable")
        return body

    @property
    def kind(self) -> str:
        """The certificate's kind, or "" before it is applied for."""
        return self.statement.kind if self.event(Transition.APPLIED) else ""

    @property
    def issued(self) -> Issued:
        """The manifest as it was answered. Raises: StateCorrupt."""
        found = self.event(Transition.ISSUED)
        if found is None:
            raise StateCorrupt("it was never issued")
        return msgspec.msgpack.decode(found.answer, type=Issued)

    @property
    def corrections(self) -> int:
        """How many corrections stand."""
        return sum(1 for each in self.events if each >= Transition.CORRECTED_1)

    @property
    def money(self) -> Standing:
        """What the events of money come to."""
        of_money = sorted((e for t, e in self.events.items() if t in MONEY), key=lambda e: e.place or 0)
        latest = of_money[-1] if of_money else None
        return Standing(
            copies=sum(e.copies for e in of_money),
            yen=sum(e.yen for e in of_money),
            commission=sum(e.commission for e in of_money),
            deposited_at_us=latest.deposited_at_us if latest else 0,
            store_day=latest.store_day if latest else "",
        )

    def place(self) -> int:
        """The place of the next transition of money."""
        return 1 + sum(1 for each in self.events if each in MONEY)

    def after(self, at_us: int) -> int:
        """A time for the next event: now, but never before or with what stands, whatever a worker's clock says."""
        return max(at_us, 1 + max(e.at_us for e in self.events.values()))


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A transition to be recorded, and what goes with it.

    request and answer: bodies to be kept; yen, commission, copies: signed changes; fee_yen, commission_yen and terms:
    of a copy, with APPLIED; place: with money; opening: with AUTHENTICATED; sealed: the document, with ISSUED; erases:
    document and authentication are destroyed with it.
    """

    application: bytes
    operator: str
    municipality: str
    transition: int
    outcome: Outcome
    request: bytes
    answer: bytes
    at_us: int
    kind: str = ""
    counterparty: str = ""
    kiosk: str = ""
    fee_yen: int = 0
    commission_yen: int = 0
    terms: int = 0
    copies: int = 0
    yen: int = 0
    commission: int = 0
    deposited_at_us: int = 0
    store_day: str = ""
    store: str = ""
    place: int | None = None
    opening: Opening | None = None
    sealed: bytes | None = None
    expires_at_us: int = 0
    erases: bool = False

    @property
    def delivery(self) -> Delivery:
        """As the entry says it."""
        return Delivery(
            self.application,
            self.transition,
            self.copies,
            self.deposited_at_us,
            self.store_day,
            self.store,
            self.kiosk,
        )

    def event(self, index: int) -> EventRow:
        """Its row, in the block that records it."""
        return EventRow(
            self.application,
            self.transition,
            b"",
            0,
            index,
            self.at_us,
            self.request,
            self.answer,
            self.fee_yen,
            self.commission_yen,
            self.terms,
            self.copies,
            self.yen,
            self.commission,
            self.deposited_at_us,
            self.store_day,
            self.store,
            self.place,
            self.counterparty,
        )
