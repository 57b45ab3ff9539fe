"""What can go wrong at a kiosk: for programs a type with a stable code, for the user the words of texts.TROUBLES.

Nothing here names a person, a card or what a document says.
"""

from typing import ClassVar


class KioskError(Exception):
    """Root of what this package raises; the sentence is for people."""

    code: ClassVar[str] = "kiosk"


class SetupIncomplete(KioskError):  # noqa: N818 - named after the fact
    """The kiosk's directory cannot be used; the sentence names the remedy."""

    code = "setup-incomplete"


class OutOfOrder(KioskError):  # noqa: N818 - named after the fact
    """Something was done that the kiosk's table does not know where it stands. Fields: state, event."""

    code = "out-of-order"

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"{event} does not happen at {state}")
        self.state = state
        self.event = event


class ChoiceInvalid(KioskError):  # noqa: N818 - named after the fact
    """A choice that is not on the screen. Fields: field."""

    code = "choice-invalid"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is not among what can be chosen; choose from the screen")
        self.field = field


class RelayAway(KioskError):  # noqa: N818 - named after the fact
    """The relay does not answer, so nothing is known of what was asked."""

    code = "relay-away"


class AnswerUnreadable(KioskError):  # noqa: N818 - named after the fact
    """An answer of the centre that is not what its outcome promises. Fields: operation."""

    code = "answer-unreadable"

    def __init__(self, operation: int) -> None:
        super().__init__(f"the answer to operation {operation} is not what its outcome promises")
        self.operation = operation


class DocumentRefused(KioskError):  # noqa: N818 - named after the fact
    """The document that came is not the one asked for, or not whole. The reason is for the log and the relay.

    Fields: reason, one of texts.REFUSAL_REASONS.
    """

    code = "document-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the document is refused: {reason}")
        self.reason = reason


class JournalDamaged(KioskError):  # noqa: N818 - named after the fact
    """A line of the print journal before its last is not whole; a torn last line is what a power cut leaves."""

    code = "journal-damaged"


class CardUnreadable(KioskError):  # noqa: N818 - named after the fact
    """The reader cannot read the card: dirt, damage, or no card of this service (E2)."""

    code = "card-unreadable"


class PinRefused(KioskError):  # noqa: N818 - named after the fact
    """The card did not take the PIN. Fields: tries_left; 0 when the card has locked it."""

    code = "pin-refused"

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"the card did not take the PIN; {tries_left} tries are left")
        self.tries_left = tries_left


class PaymentFailed(KioskError):  # noqa: N818 - named after the fact
    """The coin slot did not take the sum; what was put in has been given back."""

    code = "payment-failed"


class PaperJam(KioskError):  # noqa: N818 - named after the fact
    """A page did not come out whole. Fields: copy, page."""

    code = "paper-jam"

    def __init__(self, copy: int, page: int) -> None:
        super().__init__(f"page {page} of copy {copy} jammed")
        self.copy = copy
        self.page = page


class CentreRefused(KioskError):  # noqa: N818 - named after the fact
    """The centre, or the relay before it, did not do what was asked. Fields: outcome (protocol.outcomes)."""

    code = "centre-refused"

    def __init__(self, outcome: int) -> None:
        super().__init__(f"outcome {outcome}")
        self.outcome = outcome
