"""A card reader over a folder of simulated cards: each file is a card that somebody could put in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        with _as_seen_here():
            return self._card.sign(pin, content)


@contextmanager
def _as_seen_here() -> Iterator[None]:
    try:
        yield
    except PinWrong as error:
        raise PinRefused(error.tries_left) from None
    except PinLocked:
        raise PinRefused(0) from None
    except JpkiUnreadable:
        raise CardUnreadable("the card cannot be read") from None


class HeldCard(PresentedCard):
    """A card that stays in the reader: its PIN is looked at once, so a load test pays for signatures alone."""

    def __init__(self, card: SimulatedCard) -> None:
        super().__init__(card)
        self._opened: tuple[str, Callable[[bytes], bytes]] | None = None

    def sign(self, pin: str, content: bytes) -> bytes:
        """The card's signature. Raises: PinRefused, CardUnreadable."""
        if self._opened is None or self._opened[0] != pin:
            with _as_seen_here():
                self._opened = pin, self._card.opened(pin)
        return self._opened[1](content)


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
        with _as_seen_here():
            return PresentedCard(self._loaded(name))

    def _loaded(self, name: str) -> SimulatedCard:
        return SimulatedCard.load(self._files.get(name) or self._folder / f"{name}{SUFFIX}")


class HeldReader(FolderReader):
    """A reader in which every card stays once it was put in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._held: dict[str, HeldCard] = {}

    def read(self, name: str) -> PresentedCard:
        """The card of that name. Raises: CardUnreadable."""
        if name not in self._held:
            with _as_seen_here():
                self._held[name] = HeldCard(self._loaded(name))
        return self._held[name]
