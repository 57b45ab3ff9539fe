"""A municipality's breaker: after failures in a row it is left alone for a while, then one application tries. Pure.

Closed, everything passes. After FAILURES in a row it opens; once its pause is over it is half open: one passes, and its
success closes it while its failure opens it for twice as long. Times are seconds of any monotonic clock.

Source: DESIGN section 10.
"""

from enum import StrEnum
from typing import Final

FAILURES: Final = 5
PAUSE_S: Final = 5.0
PAUSE_S_MAX: Final = 60.0


class BreakerState(StrEnum):
    """What passes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts failures in a row; the caller says what failed."""

    __slots__ = ("_failures", "_pause_s", "_trying", "_until")

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = PAUSE_S
        self._until = 0.0
        self._trying = False

    def state(self, now: float) -> BreakerState:
        """As it would judge now."""
        if self._failures < FAILURES:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def allow(self, now: float) -> bool:
        """Whether one may pass; it must be followed by `succeeded`, `failed` or `abandoned`."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            return True
        if state is BreakerState.OPEN or self._trying:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        """It answered as it should."""
        self._failures = 0
        self._pause_s = PAUSE_S
        self._trying = False

    def failed(self, now: float) -> None:
        """It did not answer, or not as it should."""
        was_trying, self._trying = self._trying, False
        self._failures += 1
        if self._failures >= FAILURES:
            if was_trying:
                self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)
            self._until = now + self._pause_s

    def abandoned(self) -> None:
        """It was not asked after all."""
        self._trying = False
