"""A card reader over a folder of simulated cards: each file is a card that somebody could put in."""

from pathlib import Path

from gateway.peers.jpki.cards import SUFFIX, PinLocked, PinWrong, SimulatedCard
from gateway.peers.jpki.cards import Unreadable as JpkiUnreadable
from gateway.peers.kiosk.errors import CardUnreadable, PinRefused


class PresentedCard:
    """devices.Card over a simulated one."""

    def __init__(self, card: SimulatedCard) -> None:
        self._card = card
        self.card_type = int(card.type)
        self.certificate = card.certificate

    def sign(self, pin: str, content: bytes) -> bytes:
        """The card's signature. Raises: PinRefused, CardUnreadable."""
        try:
            return self._card.sign(pin, content)
        except PinWrong as error:
            raise PinRefused(error.tries_left) from None
        except PinLocked:
            raise PinRefused(0) from None
        except JpkiUnreadable:
            raise CardUnreadable("the card cannot be read") from None


class FolderReader:
    """Names are the files' stems in the folder; `files` adds cards from elsewhere by name."""

    def __init__(self, folder: Path, files: dict[str, Path] | None = None) -> None:
        self._folder = folder
        self._files = files or {}

    def names(self) -> list[str]:
        """Cards that could be put in."""
        found = {path.stem for path in self._folder.glob(f"*{SUFFIX}")} if self._folder.is_dir() else set()
        return sorted(found | self._files.keys())

    def read(self, name: str) -> PresentedCard:
        """The card of that name. Raises: CardUnreadable."""
        if name not in self.names():
            raise CardUnreadable("no such card is in the reader")
        try:
            return PresentedCard(SimulatedCard.load(self._files.get(name) or self._folder / f"{name}{SUFFIX}"))
        except JpkiUnreadable:
            raise CardUnreadable("the card cannot be read") from None
