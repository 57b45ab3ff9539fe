"""The kiosk's devices as the machine sees them: card reader, coin slot, printer, and the way to the relay.

Each keeps its own truth over a power cut: the card its tries, the slot what it holds under a slip, the tray its paper.
Simulated ones are in gateway.peers.kiosk.coins, .tray and .cards; the relay's in .link.
"""

from typing import Protocol

from protocol.issuance import KioskEvent


class Card(Protocol):
    """A card in the reader: type (protocol.certificates.CardType), its certificate (DER), and its signature by PIN."""

    card_type: int
    certificate: bytes

    def sign(self, pin: str, content: bytes) -> bytes:
        """The card's signature. Raises: PinRefused, CardUnreadable."""


class CardReader(Protocol):
    """Where the user puts the card."""

    def read(self, name: str) -> Card:
        """The card of that name. Raises: CardUnreadable."""


class CoinSlot(Protocol):
    """Takes a sum whole or not at all; what is not kept under a slip is back with the user, also by itself."""

    def take(self, yen: int, slip: str) -> None:
        """Keep the sum under a slip. Raises: PaymentFailed."""

    def holding(self, slip: str) -> int:
        """Yen kept under a slip now."""

    def refund(self, slip: str) -> None:
        """Give back what is kept under a slip; nothing when it was given back already."""


class Printer(Protocol):
    """Puts pages out into the tray."""

    async def put_out(self, pdf: bytes, *, stem: str, copy: int, page: int, pages: int) -> None:
        """One page of one copy. Raises: PaperJam."""

    def whole_copies(self, stem: str) -> int:
        """Copies of that stem that lie whole in the tray."""

    def void(self, stem: str) -> None:
        """Mark all paper of that stem 返金済・無効, whole or not; marked paper stays as it is (000契9-1)."""

    def receipt(self, slip: str, text: str) -> None:
        """Put out a slip of text: 領収書, or the note of a refund."""


class Relay(Protocol):
    """The kiosk's line to its relay."""

    @property
    def connected(self) -> bool:
        """Whether the line stands now."""

    async def call(self, operation: int, body: bytes, *, request_id: bytes | None = None) -> tuple[int, bytes]:
        """Outcome and body, asked again under the same id while waiting helps.

        Raises: RelayAway; what was asked may have been done all the same.
        """

    def tell(self, event: KioskEvent) -> None:
        """Note a fact for the relay; it goes out when it can, in order, and nobody waits for it."""
