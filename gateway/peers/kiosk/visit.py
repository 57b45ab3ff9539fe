"""A sitting that a program sits: the steps a user takes, one after another, and what became of them."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import trio

from gateway.peers.kiosk.machine import Kiosk
from gateway.peers.kiosk.steps import State
from protocol.document import PageStatement


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a user comes for."""

    card: str
    pin: str
    municipality: str
    kind: str
    options: int = 0
    copies: int = 1


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How a sitting ended: at RECEIPT with paper, or at REFUSED, REFUNDED or OUT_OF_ORDER with its trouble.

    pages: what the verified document said of itself, () where none came. applied_us: from applying until the sealed
    document was here whole; None where it did not come.
    """

    wish: Wish
    state: State
    trouble: str = ""
    slip: str = ""
    pages: tuple[PageStatement, ...] = ()
    applied_us: int | None = None
    yen: int = 0
    """What was paid and kept."""

    @property
    def stem(self) -> str:
        """By what its paper is called in the tray; "" without paper."""
        return f"{self.pages[0].municipality}-{self.pages[0].serial}" if self.pages else ""


async def visit(
    kiosk: Kiosk,
    wish: Wish,
    *,
    end: bool = True,
    agree_when: Callable[[], Awaitable[object]] = trio.lowlevel.checkpoint,
) -> Seen:
    """Sit a sitting, from START back to it (unless not `end`, or the kiosk is out of order then).

    agree_when: awaited before the fee is agreed to, which is when the application is sent.

    Raises: OutOfOrder when somebody else sits there; ChoiceInvalid for what is not on offer.
    """
    await kiosk.begin()
    pages: tuple[PageStatement, ...] = ()
    steps: tuple[tuple[State, Callable[[], Awaitable[None]]], ...] = (
        (State.CARD, partial(kiosk.insert_card, wish.card)),
        (State.PIN, partial(kiosk.enter_pin, wish.pin)),
        (State.MUNICIPALITY, partial(kiosk.choose_municipality, wish.municipality)),
        (State.MENU, partial(kiosk.choose_kind, wish.kind)),
        (State.OPTIONS, partial(kiosk.choose_options, options=wish.options, copies=wish.copies)),
        (State.CONFIRM, kiosk.agree),
        (State.PAY, kiosk.pay),
    )
    for state, act in steps:
        if kiosk.state is not state:
            break
        if state is State.CONFIRM:
            await agree_when()
        if state is State.PAY:
            pages = kiosk.pages
        await act()
    at = kiosk.front.reached_us
    came = State.APPLYING in at and State.VERIFYING in at
    seen = Seen(
        wish=wish,
        state=kiosk.state,
        trouble=kiosk.view.trouble,
        slip=kiosk.view.slip,
        pages=pages,
        applied_us=at[State.VERIFYING] - at[State.APPLYING] if came else None,
        yen=kiosk.view.yen if kiosk.state is State.RECEIPT else 0,
    )
    if end:
        await _end(kiosk)
    return seen


async def _end(kiosk: Kiosk) -> None:
    if kiosk.state is State.PIN:  # a wrong PIN: a program types no other
        await kiosk.leave()
    if kiosk.state is State.RECEIPT:
        await kiosk.take_receipt()
        await kiosk.take_all()
    elif kiosk.state in (State.REFUSED, State.REFUNDED):
        await kiosk.acknowledge()


async def follow(kiosk: Kiosk, show: Callable[[str, int, int], None]) -> None:
    """Call `show(state, done, total)` whenever they change, until cancelled."""
    last: tuple[str, int, int] | None = None
    while True:
        changed = kiosk.front.changed
        view = kiosk.view
        now = (view.state, view.done, view.total)
        if now != last:
            show(*now)
            last = now
        await changed.wait()
