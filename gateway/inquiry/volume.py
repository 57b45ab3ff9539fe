"""Volume control (牽制体制): how many records may be asked for by a member of staff, a line and a party on a day.

What is counted is a question that is put to the register, whatever it comes to: counting only those who were found
would let anyone go through numbers for nothing. A repeat does not count, and a question with an approval does not.

A worker counts inside leases (gateway.store.volume), so the plain path pays for a dictionary look-up and three
subtractions. Out of a lease, a question goes to the search lane, which leases more or finds that nothing remains. A day
is a day in Japan. Limits are never passed; they may be reached early by what another worker holds in lease (an eighth
of what remained when it took it) and by what a crashed worker held.

Source: 002 別2-2(9)イ, which gives no figures: they are each contract's.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from gateway.directory.model import Volume
from gateway.directory.policy import Granted, Refused
from gateway.service.asked import Asked
from gateway.store.errors import StoreError
from gateway.store.volume import Subject, Wanted
from protocol.messages import InquiryByCode, InquiryByName
from protocol.outcomes import Outcome

log = structlog.get_logger()

EXCEEDED: Final = Refused(
    outcome=Outcome.VOLUME_EXCEEDED,
    field="count",
    remedy="have a second person approve this question, then ask under a new id",
)

Lease = Callable[[dt.date, Sequence[Wanted]], Awaitable[dict[Subject, int]]]
"""gateway.store.volume.lease over a connection: (day, wanted) -> reserved for each. Raises: StoreError."""
GiveBack = Callable[[dt.date, dict[Subject, int]], Awaitable[None]]
"""gateway.store.volume.give_back over a connection. Raises: StoreError."""


class _Held:
    """What is left of one subject's leases, and the limit they were taken under."""

    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.left = 0
        self.most = most


class _Quota:
    """The three leases one question draws on, and the limits they were taken under."""

    __slots__ = ("limits", "line", "party", "staff")

    def __init__(self, limits: Volume, staff: _Held, line: _Held, party: _Held) -> None:
        self.limits = limits
        self.staff = staff
        self.line = line
        self.party = party


class VolumeControl:
    """One worker's leases. `turn` and `take` are for the plain lane; `admit` and `give_back` wait for the store.

    Belongs to one thread; only one task may be inside `admit`.
    """

    def __init__(self, *, lease: Lease, give_back: GiveBack) -> None:
        self._lease = lease
        self._give_back = give_back
        self._day = dt.date.min
        self._held: dict[Subject, _Held] = {}
        self._quotas: dict[tuple[str, str, str], _Quota] = {}

    def turn(self, today: dt.date) -> None:
        """Say what day it is in Japan, before a batch is counted; leases of another day end."""
        if today != self._day:
            self._day = today
            self._held.clear()
            self._quotas.clear()

    def take(self, asked: Asked, staff: str, granted: Granted) -> bool:
        """Count one question inside the leases held; False when they are out and `admit` must decide."""
        quota = self._quotas.get((asked.party, asked.line, staff))
        if quota is None or quota.limits is not granted.volume:
            return False
        by_staff, by_line, by_party = quota.staff, quota.line, quota.party
        if by_staff.left < 1 or by_line.left < 1 or by_party.left < 1:
            return False
        by_staff.left -= 1
        by_line.left -= 1
        by_party.left -= 1
        return True

    async def admit(self, questions: Sequence[Asked]) -> set[int]:
        """Count what waits, leasing more where needed; the id() of each question that is over a limit.

        Every question is granted and asks the register. Raises: StoreError, and nothing was counted.
        """
        day = self._day
        needed: dict[Subject, int] = {}
        limits: dict[Subject, int] = {}
        for asked in questions:
            for subject, most in _subjects(asked):
                needed[subject] = needed.get(subject, 0) + 1
                limits[subject] = most
        stale = {}
        for subject, most in limits.items():
            held = self._held.get(subject)
            if held is None:
                self._held[subject] = _Held(most)
            elif held.most != most:  # what was leased under another limit must not pass this one
                stale[subject] = held.left
                held.left, held.most = 0, most
        if stale:
            await self._give_back(day, stale)
        short = {subject: count - self._held[subject].left for subject, count in needed.items()}
        wanted = [Wanted(subject, count, limits[subject]) for subject, count in short.items() if count > 0]
        leased = await self._lease(day, wanted)
        if day != self._day:  # the plain lane has turned the day meanwhile: what was leased is yesterday's
            return await self.admit(questions)
        for subject, count in leased.items():
            self._held[subject].left += count
        # From here on nothing waits, so that the plain lane cannot take what was leased for these.
        return {id(asked) for asked in questions if not self._count(asked)}

    async def give_back(self) -> None:
        """At the end of a worker's life: what it held and did not use may be asked for by others today."""
        held = {subject: each.left for subject, each in self._held.items() if each.left}
        self._held.clear()
        self._quotas.clear()
        if held:
            try:
                await self._give_back(self._day, held)
            except StoreError as error:  # it stays reserved
                log.warning("volume_not_returned", code=error.code)

    def _count(self, asked: Asked) -> bool:
        held = [self._held[subject] for subject, _ in _subjects(asked)]
        if not held or any(each.left < 1 for each in held):
            return False
        for each in held:
            each.left -= 1
        body, granted = asked.body, asked.decision
        if isinstance(body, InquiryByCode | InquiryByName) and isinstance(granted, Granted) and granted.volume:
            self._quotas[asked.party, asked.line, body.staff] = _Quota(granted.volume, *held)
        return True


def _subjects(asked: Asked) -> Sequence[tuple[Subject, int]]:
    """Staff, line and party of a question with their limits a day; none where no limits are known: it may not pass."""
    body, granted = asked.body, asked.decision
    if not isinstance(body, InquiryByCode | InquiryByName) or not isinstance(granted, Granted) or not granted.volume:
        return ()
    limits = granted.volume
    return (
        (Subject(asked.party, "staff", body.staff), limits.records_per_staff_day_max),
        (Subject(asked.party, "line", asked.line), limits.records_per_line_day_max),
        (Subject(asked.party, "party", ""), limits.records_per_party_day_max),
    )
