"""The kiosk's front: where it stands in its table, what the screen shows of it, and how long nobody has touched it.

No device and no line is here; whatever happens, happens in .machine, and comes here as an event of .steps.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import trio

from gateway.peers.kiosk.sitting import Sitting, View
from gateway.peers.kiosk.steps import LEFT_ALONE, WAITING, Event, State, step


class Limits(NamedTuple):
    """Times in microseconds: a silent user's, while something is to be decided and once all is done."""

    silent_us: int = 60_000_000
    finished_us: int = 20_000_000


LIMITS: Final = Limits()


class Front:
    """One kiosk's. `trouble` and `tries_left` are of View, and the machine's to set."""

    def __init__(self, *, now_us: Callable[[], int], limits: Limits) -> None:
        self.state = State.START
        self.trouble = ""
        self.tries_left = 0
        self.limits = limits
        self.reached_us: dict[State, int] = {}
        """When this sitting came to each state, for whoever measures."""
        self.changed = trio.Event()
        """Set, and replaced, whenever the screen may look different."""
        self.now_us = now_us
        self._progress = (0, 0)
        self._touched_us = now_us()

    def view(self, sitting: Sitting | None) -> View:
        """The screen of a sitting, or of none."""
        done, total = self._progress
        view = View(state=self.state, trouble=self.trouble, tries_left=self.tries_left, done=done, total=total)
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

    def go(self, event: Event) -> None:
        """Where the event leads. Raises: OutOfOrder, with nothing changed."""
        after = step(self.state, event)
        if event is Event.BEGIN:
            self.reached_us, self._progress = {}, (0, 0)
            self.trouble, self.tries_left = "", 0
        self.state = after
        self.reached_us[after] = self._touched_us = self.now_us()
        self.notify()

    def fail(self) -> None:
        """Out of order, from wherever it stood."""
        self.state = State.OUT_OF_ORDER
        self.notify()

    def progress(self, done: int, total: int) -> None:
        """How far the kiosk's own turn is."""
        self._progress = (done, total)
        self.notify()

    def notify(self) -> None:
        """The screen may look different."""
        self.changed.set()
        self.changed = trio.Event()

    def touch(self) -> None:
        """The user is there: silence begins anew."""
        self._touched_us = self.now_us()

    @property
    def left_us(self) -> int | None:
        """How long the user may still be silent; None where nobody waits for them."""
        if self.state in WAITING:
            return max(0, self._touched_us + self.limits.silent_us - self.now_us())
        if self.state in LEFT_ALONE:
            return max(0, self._touched_us + self.limits.finished_us - self.now_us())
        return None
