"""What a kiosk has to do for an application that a power cut, or a spoilt print, left behind. Pure.

The journal says how far it was meant to go; the coin slot and the tray say how far it went. Paid and every page out is
a delivery; paid and anything less is void for every copy (000契9-1: one copy spoilt voids them all); not paid is
nothing, and the coin slot has given back what it held.
"""

from enum import Enum, auto

from gateway.peers.kiosk.journal import Trail


class Remedy(Enum):
    """What is still to be done about the money and the paper."""

    NOTHING = auto()
    COMPLETE = auto()
    VOID = auto()


def remedy(trail: Trail, *, held_yen: int, copies_whole: int) -> Remedy:
    """Decide.

    held_yen: what the coin slot keeps under the trail's slip. copies_whole: copies that lie whole in the tray; it
    counts only where the last page was begun and its end was not written down.
    """
    if trail.spoilt is not None:
        return Remedy.VOID
    if trail.done_at_us is not None:
        return Remedy.COMPLETE
    if trail.money_at_us is None or (trail.paid_at_us is None and held_yen == 0):
        return Remedy.NOTHING
    begun = len(set(trail.started)) == trail.copies * trail.pages
    return Remedy.COMPLETE if begun and copies_whole == trail.copies else Remedy.VOID
