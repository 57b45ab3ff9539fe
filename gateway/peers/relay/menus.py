"""Menus as the centre said them a moment ago, so that all kiosks that look at one are a single question to the centre.

A menu is the same for every kiosk of an operator and is recorded nowhere. It binds nobody: hours, offer and fee are
decided when a user applies, and a fee that changed meanwhile is shown and agreed to anew.

Source: 000仕7-2, 7-4; DESIGN 10.
"""

from collections.abc import Callable
from typing import Final

import trio

from protocol.issuance import KioskCall, Relayed
from protocol.messages import Operation
from protocol.outcomes import CATALOGUE, Outcome

KEPT_S: Final = 10.0
KEPT_MAX: Final = 4096
"""Answers to different questions; a kiosk that asks nonsense fills no memory."""


class Menus:
    """Answers to MENU by the very bytes asked. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._kept: dict[bytes, tuple[float, Relayed]] = {}

    def find(self, call: KioskCall) -> Relayed | None:
        """What the centre said to this question at most KEPT_S ago."""
        if call.operation != Operation.MENU:
            return None
        at, said = self._kept.get(call.body, (float("-inf"), None))
        return said if self._clock() - at < KEPT_S else None

    def keep(self, call: KioskCall, said: Relayed) -> None:
        """Keep an answer to MENU, unless it is about this one asking (busy, an id off the clock)."""
        known = CATALOGUE.get(Outcome(said.outcome)) if said.outcome in Outcome.__members__.values() else None
        if call.operation != Operation.MENU or known is None or not (known.recorded or said.outcome == Outcome.MENU):
            return
        if len(self._kept) >= KEPT_MAX:
            now = self._clock()
            self._kept = {body: kept for body, kept in self._kept.items() if now - kept[0] < KEPT_S}
        if len(self._kept) < KEPT_MAX:
            self._kept[call.body] = (self._clock(), said)
