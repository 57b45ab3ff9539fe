"""What an error before the money means: which words the user is shown, what whoever runs the kiosk hears. Pure."""

from typing import Final

from gateway.peers.kiosk.asking import NotNow
from gateway.peers.kiosk.errors import (
    AnswerUnreadable,
    CardUnreadable,
    CentreRefused,
    DocumentRefused,
    KioskError,
    PaymentFailed,
    PinRefused,
    RelayAway,
)
from gateway.peers.kiosk.texts import Trouble

_TROUBLES: Final[dict[type[KioskError], Trouble]] = {
    AnswerUnreadable: Trouble.RELAY_AWAY,
    CardUnreadable: Trouble.CARD_UNREADABLE,
    DocumentRefused: Trouble.DOCUMENT_REFUSED,
    PaymentFailed: Trouble.PAYMENT_FAILED,
    PinRefused: Trouble.PIN_LOCKED,
    RelayAway: Trouble.RELAY_AWAY,
}


def trouble_of(error: KioskError) -> str:
    """What View.trouble becomes: one of Trouble, or the centre's outcome as a number."""
    match error:
        case CentreRefused():
            return str(error.outcome)
        case NotNow():
            return error.trouble
        case _:
            return _TROUBLES.get(type(error), Trouble.DOCUMENT_REFUSED)


def fault_of(error: KioskError) -> str:
    """The code of a fault to be told, "" for what is no fault of a machine.

    A document that was refused is never noise: whoever runs the kiosk hears of it (DOMAIN 2.12).
    """
    match error:
        case DocumentRefused():
            return f"document-{error.reason}"
        case AnswerUnreadable() | PaymentFailed():
            return error.code
        case _:
            return ""
