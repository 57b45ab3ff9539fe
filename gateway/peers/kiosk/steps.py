"""The kiosk's state machine: one table, in the order of 000仕3. Pure.

Card, authentication, application, certificate data, confirmed payment, and only then output; receipt; the card and
the paper. Every way out before the money leads to REFUSED or back to START with nothing charged; every way out after
it leads through REFUNDED, and every copy is void (000契9-1). What a program or a person may do where is read from
here, and docs draw their diagram from here.

Source: 000仕3-3 to 3-6, 000仕7-2, 000仕8, 000契9-1; DESIGN 10.
"""

from enum import StrEnum
from typing import Final

from gateway.peers.kiosk.errors import OutOfOrder


class State(StrEnum):
    """Where the kiosk stands; each is a screen."""

    START = "start"  # service, hours and notice (000仕7-2, 8-1)
    CARD = "card"
    PIN = "pin"
    SIGNING = "signing"  # the card signs for this kiosk's session
    MUNICIPALITY = "municipality"
    AUTHENTICATING = "authenticating"
    MENU = "menu"
    OPTIONS = "options"
    CONFIRM = "confirm"  # the fee, before anything is applied for
    APPLYING = "applying"
    FETCHING = "fetching"
    VERIFYING = "verifying"
    PAY = "pay"  # the document is here and right
    PAYING = "paying"
    PRINTING = "printing"
    REFUNDING = "refunding"
    RECEIPT = "receipt"
    TAKE = "take"  # card and paper
    REFUSED = "refused"  # nothing was charged; why is on the screen
    REFUNDED = "refunded"  # money back, every copy void
    OUT_OF_ORDER = "out-of-order"  # until staff have cleared it


class Event(StrEnum):
    """What happens."""

    BEGIN = "begin"
    CARD_READ = "card-read"
    PIN_TYPED = "pin-typed"
    PIN_REFUSED = "pin-refused"
    SIGNED = "signed"
    MUNICIPALITY_CHOSEN = "municipality-chosen"
    AUTHENTICATED = "authenticated"
    KIND_CHOSEN = "kind-chosen"
    OPTIONS_CHOSEN = "options-chosen"
    BACK = "back"
    AGREED = "agreed"
    APPLIED = "applied"
    FETCHED = "fetched"
    VERIFIED = "verified"
    MONEY_OFFERED = "money-offered"
    PAID = "paid"
    PRINTED = "printed"
    SPOILT = "spoilt"  # after the money: jam, or a document that is right no more
    REFUND_MADE = "refund-made"
    RECEIPT_TAKEN = "receipt-taken"
    ALL_TAKEN = "all-taken"
    REFUSE = "refuse"
    LEAVE = "leave"  # the user cancels, or was silent too long
    ACKNOWLEDGED = "acknowledged"
    BREAK = "break"
    CLEARED = "cleared"


_S, _E = State, Event
_ORDER: Final = (
    (_S.START, _E.BEGIN, _S.CARD),
    (_S.CARD, _E.CARD_READ, _S.PIN),
    (_S.PIN, _E.PIN_TYPED, _S.SIGNING),
    (_S.SIGNING, _E.PIN_REFUSED, _S.PIN),
    (_S.SIGNING, _E.SIGNED, _S.MUNICIPALITY),
    (_S.MUNICIPALITY, _E.MUNICIPALITY_CHOSEN, _S.AUTHENTICATING),
    (_S.AUTHENTICATING, _E.AUTHENTICATED, _S.MENU),
    (_S.MENU, _E.KIND_CHOSEN, _S.OPTIONS),
    (_S.OPTIONS, _E.OPTIONS_CHOSEN, _S.CONFIRM),
    (_S.OPTIONS, _E.BACK, _S.MENU),
    (_S.CONFIRM, _E.BACK, _S.OPTIONS),
    (_S.CONFIRM, _E.AGREED, _S.APPLYING),
    (_S.APPLYING, _E.APPLIED, _S.FETCHING),
    (_S.FETCHING, _E.FETCHED, _S.VERIFYING),
    (_S.VERIFYING, _E.VERIFIED, _S.PAY),
    (_S.PAY, _E.MONEY_OFFERED, _S.PAYING),
    (_S.PAYING, _E.PAID, _S.PRINTING),
    (_S.PRINTING, _E.PRINTED, _S.RECEIPT),
    (_S.PRINTING, _E.SPOILT, _S.REFUNDING),
    (_S.REFUNDING, _E.REFUND_MADE, _S.REFUNDED),
    (_S.RECEIPT, _E.RECEIPT_TAKEN, _S.TAKE),
    (_S.TAKE, _E.ALL_TAKEN, _S.START),
    (_S.REFUSED, _E.ACKNOWLEDGED, _S.START),
    (_S.REFUNDED, _E.ACKNOWLEDGED, _S.START),
    (_S.REFUNDED, _E.BREAK, _S.OUT_OF_ORDER),
    (_S.OUT_OF_ORDER, _E.CLEARED, _S.START),
)
WAITING: Final = frozenset({_S.CARD, _S.PIN, _S.MUNICIPALITY, _S.MENU, _S.OPTIONS, _S.CONFIRM, _S.PAY})
"""The user's turn, nothing paid: leaving is free, and silence leaves."""
LEFT_ALONE: Final = frozenset({_S.RECEIPT, _S.TAKE, _S.REFUSED, _S.REFUNDED})
"""All is done; a silent user has gone."""
BEFORE_MONEY: Final = frozenset(
    {_S.CARD, _S.SIGNING, _S.AUTHENTICATING, _S.APPLYING, _S.FETCHING, _S.VERIFYING, _S.PAYING}
)
"""The kiosk's turn, nothing paid: a refusal from here charges nothing."""
AFTER_MONEY: Final = frozenset({_S.PRINTING, _S.REFUNDING})

TABLE: Final[dict[tuple[State, Event], State]] = (
    {(state, event): after for state, event, after in _ORDER}
    | {(state, _E.LEAVE): _S.START for state in WAITING}
    | {(state, _E.REFUSE): _S.REFUSED for state in WAITING | BEFORE_MONEY}
)


def step(state: State, event: Event) -> State:
    """Where an event leads. Raises: OutOfOrder."""
    after = TABLE.get((state, event))
    if after is None:
        raise OutOfOrder(state, event)
    return after
