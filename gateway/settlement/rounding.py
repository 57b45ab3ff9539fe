"""Every rounding there is near money, in whole numbers. Pure.

A fraction is dropped towards zero unless a clause says otherwise, so that a credit of an amount takes away exactly what
a charge of it brought. Where a clause is silent (the tax portion of 003単※1) that is a decision, taken because the
practice of offices is to drop (切捨て); it is written in a contract's terms and can be another there.
"""

from enum import StrEnum
from typing import Final

MINUTES_AN_HOUR: Final = 60
HALF_AN_HOUR: Final = 30


class Rounding(StrEnum):
    """What becomes of a fraction of a yen: dropped (切捨て), up from a half (四捨五入), up (切上げ). By magnitude."""

    DOWN = "down"
    HALF_UP = "half-up"
    UP = "up"


def divide(numerator: int, denominator: int, rounding: Rounding) -> int:
    """`numerator / denominator`, rounded by magnitude: the sign is the numerator's. denominator: 1 or more."""
    whole, rest = divmod(abs(numerator), denominator)
    if rounding is Rounding.UP:
        up = rest > 0
    elif rounding is Rounding.HALF_UP:
        up = rest * 2 >= denominator
    else:
        up = False
    rounded = whole + up
    return -rounded if numerator < 0 else rounded


def cut(yen: int, unit: int) -> int:
    """An amount without what is below a unit: 0 when it is below the unit itself. 000契17, 003 6-3: unit 100."""
    return divide(yen, unit, Rounding.DOWN) * unit


def whole_hours(minutes: int) -> int:
    """Hours of a sum of minutes: from 30 minutes up to the hour, below dropped (003単※2, ※3). minutes: 0 or more."""
    hours, rest = divmod(minutes, MINUTES_AN_HOUR)
    return hours + (rest >= HALF_AN_HOUR)
