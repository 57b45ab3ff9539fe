"""DOCUMENT: the one step between the intent that stands and the document that is recorded.

Invariants kept here: a municipality is asked only for what was applied for and recorded; a document that stands is
never replaced, and one more is an incident (3). Source: DESIGN section 10.
"""

from collections.abc import Callable

import structlog

from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.policy import Refused
from gateway.issuance.errors import MunicipalityAway, Withheld
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.keeping import Keeper
from gateway.issuance.looking import Seen
from gateway.issuance.making import Made, Maker
from gateway.issuance.states import EXPIRED, Move, State, refused
from gateway.issuance.tasks import Result, Tasks
from gateway.service.asked import Asked
from protocol.application import Transition
from protocol.issuance import Authenticate
from protocol.messages import encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

STANDS = refused(Outcome.APPLICATION_STATE, "application", "ask STATUS where it stands")


class Documents:
    """Those of one worker. An application is in the hands of one request at a time."""

    def __init__(
        self,
        *,
        directory: Callable[[], Directory],
        keeper: Keeper,
        maker: Maker,
        tasks: Tasks,
        incidents: Incidents,
        now_us: Callable[[], int],
    ) -> None:
        self._directory = directory
        self._keeper = keeper
        self._maker = maker
        self._tasks = tasks
        self._incidents = incidents
        self._now_us = now_us
        self._making: dict[bytes, Asked] = {}

    async def decide(
        self, asked: Asked, state: State, seen: Seen, result: Result | None, now_us: int
    ) -> Move | Refused | Outcome | None:
        """result: of the request's own task, if it had one. None: a task is at it."""
        holder = self._making.get(state.id)
        if state.event(Transition.ISSUED) is not None:
            if isinstance(result, Made) or (result is None and holder is asked):
                # Made, and another was recorded first: by another worker, or under another id.
                row = state.application
                await self._incidents.open(
                    IncidentKind.DUPLICATE, municipality=row.municipality, application=state.id, detail="made-twice"
                )
            return STANDS
        why = state.refuses(Transition.ISSUED, now_us)
        if why is not None:
            return why
        if isinstance(result, Made):
            return _issued(asked, state, result, now_us)
        if isinstance(result, Refused | Outcome):
            return result
        if holder is not None and holder is not asked and not holder.done:
            return Outcome.PENDING
        kept = seen.bodies.get(state.id)
        if kept is None:
            return EXPIRED
        authentication = self._keeper.open(state.id, kept)
        self._making = {key: each for key, each in self._making.items() if not each.done} | {state.id: asked}
        return self._tasks.begin(asked, lambda: self._make(asked, state, authentication))

    async def _make(self, asked: Asked, state: State, authentication: Authenticate) -> Result:
        directory = self._directory()
        place = offers.municipality_of(directory, state.application.municipality)
        if place is None or not place.trust:
            return refused(Outcome.NOT_PARTICIPATING, "municipality", "this municipality has left")
        try:
            return await self._maker.make(
                state,
                place=place,
                authentication=authentication,
                kits=offers.kits_in_force(directory, self._now_us()),
                deadline=asked.deadline,
            )
        except MunicipalityAway as error:
            log.warning("municipality_away", municipality=place.code, reason=error.ground)
            return Outcome.BUSY if error.ground == "full" else Outcome.UNAVAILABLE
        except Withheld:
            return Outcome.DOCUMENT_WITHHELD


def _issued(asked: Asked, state: State, made: Made, now_us: int) -> Move:
    row, applied = state.application, state.applied
    return Move(
        application=state.id,
        operator=row.operator,
        municipality=row.municipality,
        transition=Transition.ISSUED,
        outcome=Outcome.ISSUED,
        request=asked.request.body,
        answer=encode(made.issued),
        at_us=state.after(now_us),
        kind=state.kind,
        counterparty=applied.counterparty,
        kiosk=row.kiosk,
        terms=applied.terms,
        sealed=made.sealed,
        expires_at_us=row.expires_at_us,
    )
