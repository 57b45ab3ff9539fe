"""Faults that can be played at a kiosk: payment, paper, power, line. What the user and the card do wrong needs none.

payment            the coin slot does not take the next sum
jam:COPY:PAGE      that page of that copy does not come out, once
power:STEP         the process ends at this step (journal.Power's names), as by a power cut
relay              the line to the relay is unplugged
"""

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.peers.kiosk.errors import ChoiceInvalid
from gateway.peers.kiosk.journal import Act

EXIT_STATUS: Final = 70
POWER_STEPS: Final = (
    *(f"{act}-{when}" for act in Act for when in ("before", "after")),
    *("take-before", "take-after", "put-out-1-1-before", "put-out-1-1-after", "give-back-before", "give-back-after"),
)
"""Steps to choose from; other pages have theirs too (put-out-COPY-PAGE-before)."""


class Fault(NamedTuple):
    """One fault: its kind, and its copy and page, or its step."""

    kind: str
    copy: int = 0
    page: int = 0
    step: str = ""


def parse_fault(text: str) -> Fault:
    """Read a fault as above. Raises: ChoiceInvalid."""
    match text.split(":"):
        case ["payment" | "relay" as kind]:
            return Fault(kind)
        case ["jam", copy, page] if copy.isdecimal() and page.isdecimal():
            return Fault("jam", copy=int(copy), page=int(page))
        case ["power", step] if step in POWER_STEPS or step.startswith("put-out-"):
            return Fault("power", step=step)
    raise ChoiceInvalid("fault")


class PowerSwitch:
    """journal.Power that can be told to fail: `cut_at` names the step, "" none."""

    def __init__(self, off: Callable[[], object] = lambda: os._exit(EXIT_STATUS)) -> None:
        self.cut_at = ""
        self._off = off

    def __call__(self, step: str) -> None:
        """Told of each step."""
        if step == self.cut_at:
            self._off()
