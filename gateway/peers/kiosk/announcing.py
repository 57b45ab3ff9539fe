"""What stops, and until when, as the first screen tells it: kept by asking the centre's menus while nobody sits here.

A menu says in words what stops now or soon, of the centre and of its municipality, and of every kind whether it could
be applied for now. A kiosk asks for a few municipalities in turn, under a card of the ordinary type and without one.
The relay answers from what it heard a moment ago, so many kiosks are one question to the centre.

Nothing is decided here for good: whoever applies meets the centre's own decision. The first screen only does not
invite a user to a service that is stopped.

Source: 000仕7-2, 7-4 (stops are shown on the kiosk), 000仕8-2 (while it cannot be provided, the screen says so).
"""

import random
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec
import trio

from gateway.peers.kiosk.devices import Relay
from gateway.peers.kiosk.errors import AnswerUnreadable, RelayAway
from protocol.certificates import CardType
from protocol.issuance import Menu, MenuQuery
from protocol.messages import Operation, Refusal, encode
from protocol.outcomes import Outcome

LOOK_S: Final = 60.0
"""On average; jittered, so that kiosks that start together do not ask together."""
PER_LOOK: Final = 8
"""Municipalities asked about in one look. The centre's own stops are in each answer."""
SHOWN_MAX: Final = 6
_CLOSED: Final = frozenset({Outcome.SUSPENDED, Outcome.CONTRACT_NOT_IN_FORCE, Outcome.NOT_PARTICIPATING})


class Standing(IntEnum):
    """How far the service is open, by one answer."""

    OPEN = 0
    CLOSED = 1  # this municipality's
    CENTRE_CLOSED = 2  # everyone's


class Heard(NamedTuple):
    """One answer: lines are (Japanese, English), in the centre's order."""

    standing: Standing
    lines: tuple[tuple[str, str], ...] = ()


def heard(outcome: int, body: bytes) -> Heard | None:
    """What an answer to MENU says; None when it says nothing of this (busy, a card that is not taken)."""
    try:
        if outcome == Outcome.MENU:
            menu = msgspec.msgpack.decode(body, type=Menu)
            lines = zip(menu.notice_ja.splitlines(), menu.notice_en.splitlines(), strict=False)
            return Heard(_standing(menu), tuple(lines))
        if outcome in _CLOSED:
            refusal = msgspec.msgpack.decode(body, type=Refusal)
            everyone = outcome == Outcome.SUSPENDED and not refusal.field
            return Heard(Standing.CENTRE_CLOSED if everyone else Standing.CLOSED)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return None


def _standing(menu: Menu) -> Standing:
    if any(not offer.closed for offer in menu.offers):
        return Standing.OPEN
    by_centre = any(offer.closed == Outcome.OUTSIDE_HOURS for offer in menu.offers)
    return Standing.CENTRE_CLOSED if by_centre else Standing.CLOSED


class Announcements:
    """What one kiosk knows of stops. codes: of the municipalities whose documents it takes."""

    def __init__(self, relay: Relay, codes: Sequence[str]) -> None:
        self.revision = 0
        """Changes whenever the first screen may look different."""
        self._relay = relay
        self._codes = list(codes)
        self._next = 0
        self._heard: dict[str, Heard] = {}

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What to show, each once: of municipalities that are closed first, then by code."""
        ordered = sorted(self._heard.items(), key=lambda item: (-item[1].standing, item[0]))
        return list(dict.fromkeys(line for _, each in ordered for line in each.lines))[:SHOWN_MAX]

    @property
    def stopped(self) -> bool:
        """Whether nobody could be given anything now: the centre is closed, or every municipality is."""
        if not self._heard:
            return False
        newest = next(reversed(self._heard.values()))
        if newest.standing is Standing.CENTRE_CLOSED:
            return True
        return len(self._heard) == len(self._codes) and all(each.standing for each in self._heard.values())

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S * (0.5 + random.random()))  # noqa: S311 - no secret

    async def look(self) -> None:
        """Ask about the next few municipalities. What is not answered now is asked in a later look."""
        before = self.stopped, self.lines
        for _ in range(min(PER_LOOK, len(self._codes))):
            code = self._codes[self._next % len(self._codes)]
            try:
                outcome, body = await self._relay.call(
                    Operation.MENU, encode(MenuQuery(municipality=code, card_type=CardType.MY_NUMBER_CARD))
                )
            except RelayAway:
                break
            except AnswerUnreadable:
                outcome, body = Outcome.UNAVAILABLE, b""
            self._next += 1
            said = heard(outcome, body)
            if said is not None:
                self._heard.pop(code, None)
                self._heard[code] = said  # the newest is the last
        if before != (self.stopped, self.lines):
            self.revision += 1
