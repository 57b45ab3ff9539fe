"""The application's state machine: one table. Pure.

What stands of an application is a set of transitions, each recorded once by a committed block. Two threads run beside
one another: the document (authenticated, applied, issued, erased) and the money (completed, corrected, voided). A
notice about money has no age limit and may come after the erasure, because a relay's outbox survives both.

Source: DESIGN 7 and 10; 000仕3; docs/ISSUANCE.md draws its diagram from this table.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import Final

import msgspec

CORRECTIONS_MAX: Final = 8
CLAIM_TURN_FIRST: Final = 100
"""A transition claims (operator, application id, this + transition) in the ledger; turns below are repeats of an id."""


class Transition(IntEnum):
    """What can happen to an application; values are stable."""

    AUTHENTICATED = 1
    APPLIED = 2
    ISSUED = 3
    COMPLETED = 4
    VOIDED = 5
    ERASED = 6
    CORRECTED_1 = 11  # CORRECTED_1 + n - 1 is the nth correction


class Rule(msgspec.Struct, frozen=True):
    """What must stand before a transition, and what must not; timed: only until the application expires."""

    needs: frozenset[int]
    bars: frozenset[int]
    timed: bool


_T = Transition
TABLE: Final[dict[int, Rule]] = {
    _T.AUTHENTICATED: Rule(frozenset(), frozenset(), True),
    _T.APPLIED: Rule(frozenset({_T.AUTHENTICATED}), frozenset({_T.ERASED}), True),
    _T.ISSUED: Rule(frozenset({_T.APPLIED}), frozenset({_T.ERASED, _T.VOIDED}), True),
    _T.COMPLETED: Rule(frozenset({_T.ISSUED}), frozenset({_T.VOIDED}), False),
    _T.VOIDED: Rule(frozenset({_T.ISSUED}), frozenset(), False),
    _T.ERASED: Rule(frozenset({_T.AUTHENTICATED}), frozenset(), False),
} | {
    _T.CORRECTED_1 + n: Rule(
        frozenset({int(_T.COMPLETED)} | ({_T.CORRECTED_1 + n - 1} if n else set())), frozenset({_T.VOIDED}), False
    )
    for n in range(CORRECTIONS_MAX)
}


def may(transition: int, standing: Collection[int], *, expired: bool = False) -> bool:
    """Whether a transition may follow what stands. Not that it stands already: that is its claim's to find."""
    rule = TABLE.get(transition)
    if rule is None or (rule.timed and expired):
        return False
    done = frozenset(standing)
    return rule.needs <= done and not rule.bars & done


def claim_turn(transition: int) -> int:
    """The turn under which a transition claims its application in the ledger."""
    return CLAIM_TURN_FIRST + transition
