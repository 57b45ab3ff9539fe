"""What the measuring process tells a process of kiosks, and what one sitting came to.

The process of kiosks (`bench.kiosks`) gets a `Fleet` as one line of JSON and says READY once its lines stand. It then
gets the moment of the first user (microseconds of the wall clock) as a line, and writes its `Sat`s to `Fleet.out`.
"""

from typing import Final

import msgspec

READY: Final = b"ready"
PRINTED: Final = "PRINTED"
NO_KIOSK: Final = "NO_KIOSK_FREE"


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """Users at a steady rate for a while. warm_up: not among the figures."""

    name: str
    per_s: float
    seconds: float
    warm_up: bool = False

    @property
    def users(self) -> int:
        """How many come."""
        return round(self.per_s * self.seconds)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A card, where its holder lives, and the 氏名 that its certificates must bear."""

    card: str
    municipality: str
    name: str


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """One process of kiosks: of all users, it takes every `of`th, beginning with number `share`.

    kiosks: their directories. lead_s: how long before they apply users come to a kiosk. patience_s: how long they wait
    for one. recheck: one printed paper in so many is read again from the paper.
    """

    kiosks: list[str]
    people: list[Person]
    phases: list[Phase]
    out: str
    share: int = 0
    of: int = 1
    lead_s: float = 1.0
    patience_s: float = 10.0
    recheck: int = 10


class Sat(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One user. due_us: when the application was to be sent, counted from the first user of the run.

    end: PRINTED, NO_KIOSK_FREE, the outcome's name or the kiosk's own word of the trouble. sealed_us, checked_us: from
    due_us until the sealed document was there whole, and until every page of it was checked; None where it did not come
    to that. sitting_us: the whole sitting without the user's wait for due_us. ready_late_us: how long after due_us the
    user was only ready to apply.
    """

    phase: int
    due_us: int
    end: str
    shed: bool = False
    sealed_us: int | None = None
    checked_us: int | None = None
    sitting_us: int | None = None
    ready_late_us: int = 0
    application: bytes = b""
    copies: int = 0
    yen: int = 0


class SatDown(msgspec.Struct, frozen=True, kw_only=True):
    """All that one process of kiosks has to tell. wrong: sentences that must not be, without personal data."""

    sat: list[Sat]
    wrong: list[str]
    rechecked: int
    cpu_s: float


def due_times(phases: list[Phase]) -> list[tuple[int, float]]:
    """Of every user, in order: the phase's index, and when the application is due, in seconds from the first."""
    dues = []
    began = 0.0
    for index, phase in enumerate(phases):
        dues += [(index, began + number / phase.per_s) for number in range(phase.users)]
        began += phase.seconds
    return dues
