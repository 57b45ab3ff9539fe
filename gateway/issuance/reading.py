"""CHALLENGE, MENU, PART and STATUS: what is answered without being recorded.

Source: DESIGN section 10; 000仕7-2, 8-1; 001-9-1.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.policy import Refused
from gateway.issuance.authenticating import Authenticator
from gateway.issuance.errors import StateCorrupt
from gateway.issuance.looking import Seen
from gateway.issuance.states import EXPIRED, UNKNOWN, State, refused
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground
from gateway.store.errors import StoreError
from gateway.store.issuance import IssuanceStore
from protocol.application import Transition
from protocol.issuance import PART_BYTES, Challenge, MenuQuery, Part, Status, StatusQuery
from protocol.messages import Refusal, encode
from protocol.outcomes import Outcome

GONE: Final = refused(Outcome.APPLICATION_STATE, "application", "the document is not kept any more")


class Reader:
    """Settles what is only shown."""

    def __init__(
        self, ground: Ground, *, store: IssuanceStore, directory: Callable[[], Directory], authenticator: Authenticator
    ) -> None:
        self._ground = ground
        self._store = store
        self._directory = directory
        self._authenticator = authenticator

    def show(self, asked: Asked, seen: Seen, now_us: int) -> Part | None:
        """Settle one; or give back the PART that is to be handed out with others. Raises: StateCorrupt."""
        settle = self._ground.outlet.settle
        decision, body = asked.decision, asked.body
        if asked.off_clock is not None:
            settle(asked, Outcome(asked.off_clock), EMPTY)
        elif isinstance(decision, Refused):
            self._refuse(asked, decision)
        elif isinstance(body, Challenge):
            made = self._authenticator.challenge(operator=asked.party, kiosk=body.kiosk, now_us=now_us)
            settle(asked, Outcome.CHALLENGED, encode(made))
        elif isinstance(body, StatusQuery):
            settle(asked, Outcome.STATUS, status(body, seen.states, asked.party))
        elif isinstance(body, MenuQuery):
            self._menu(asked, body, now_us)
        elif isinstance(body, Part):
            why = part_refused(seen.mine(asked, body.application), body, now_us)
            if why is None:
                return body
            self._refuse(asked, why)
        else:
            raise StateCorrupt("an operation that is not recorded has no answer")
        return None

    async def hand_out(self, parts: list[tuple[Asked, Part]]) -> None:
        """The parts of a batch, read together."""
        wanted = [(body.application, body.index * PART_BYTES, PART_BYTES) for _, body in parts]
        try:
            found = await self._store.parts(wanted)
        except StoreError as error:
            self._ground.unavailable([asked for asked, _ in parts], error.code)
            return
        for (asked, _), data in zip(parts, found, strict=True):
            if data:
                self._ground.outlet.settle(asked, Outcome.PART, data)
            else:
                self._refuse(asked, GONE)

    def _menu(self, asked: Asked, body: MenuQuery, now_us: int) -> None:
        shown = offers.menu(
            self._directory(),
            operator=asked.party,
            municipality=body.municipality,
            card_type=body.card_type,
            at_us=now_us,
        )
        if isinstance(shown, Refused):
            self._refuse(asked, shown)
        else:
            self._ground.outlet.settle(asked, Outcome.MENU, encode(shown))

    def _refuse(self, asked: Asked, why: Refused) -> None:
        self._ground.outlet.settle(asked, why.outcome, encode(Refusal(why.field, why.remedy)))


def part_refused(state: State | None, body: Part, now_us: int) -> Refused | None:
    """Why a part is not handed out: only of an issued document, until it expires or is erased. Pure."""
    if state is None:
        return UNKNOWN
    if state.event(Transition.ISSUED) is None or state.event(Transition.ERASED) is not None:
        return refused(Outcome.APPLICATION_STATE, "application", "ask DOCUMENT first")
    if state.expired(now_us):
        return EXPIRED
    if body.index * PART_BYTES >= state.issued.size:
        return refused(Outcome.FIELD_INVALID, "index", "a part of the size that ISSUED said")
    return None


def status(query: StatusQuery, states: Mapping[bytes, State], operator: str) -> bytes:
    """The answer to STATUS: an application that is not this operator's looks like one that is unknown. Pure."""
    found = []
    for application in query.applications:
        state = states.get(application)
        mine = state is not None and state.application.operator == operator
        found.append(Status(application, sorted(state.events) if mine and state is not None else []))
    return encode(found)
