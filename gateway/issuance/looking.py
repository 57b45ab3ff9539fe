"""What one look-up finds for a batch: which ids are known, how the applications asked about stand, what is still kept.

Source: DESIGN sections 4 and 7.
"""

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from gateway.directory.errors import DirectoryStale
from gateway.issuance.errors import StateCorrupt
from gateway.issuance.nonce import application_id
from gateway.issuance.states import State
from gateway.service.asked import Asked
from gateway.service.ground import Ground
from gateway.store.issuance import IdSeen, IssuanceStore
from protocol.issuance import Apply, Authenticate, Complete, Correct, Erase, Fetch, Part, StatusQuery, Void
from protocol.messages import Body

log = structlog.get_logger()


class Seen(NamedTuple):
    """ids: of each request of the batch, in its order; states, and AUTHENTICATE bodies as sealed, by application."""

    ids: list[IdSeen | None]
    states: dict[bytes, State]
    bodies: dict[bytes, bytes]

    def mine(self, asked: Asked, application: bytes) -> State | None:
        """Only the operator that authenticated an application knows it."""
        state = self.states.get(application)
        return state if state is not None and state.application.operator == asked.party else None

    def kind(self, asked: Asked) -> str:
        """The kind of an application that stands, for the entry of a refusal; never text of the request's own."""
        for application in applications_of(asked.body):
            state = self.mine(asked, application)
            if state is not None:
                return state.kind
        return ""


def applications_of(body: Body | None) -> list[bytes]:
    """The applications that a body is about."""
    if isinstance(body, Apply):
        return [body.statement.application]
    if isinstance(body, Fetch | Part | Complete | Void | Correct | Erase):
        return [body.application]
    if isinstance(body, StatusQuery):
        return body.applications
    if isinstance(body, Authenticate):
        return [application_id(body.nonce)]
    return []


async def look_up(batch: Sequence[Asked], *, store: IssuanceStore, ground: Ground) -> Seen:
    """Under a confirmed directory. Raises: StoreError; DirectoryStale."""
    found = await store.look_up(
        [(asked.party, asked.request.request_id) for asked in batch],
        applications=_each_once(batch),
        kept_of=_each_once([asked for asked in batch if isinstance(asked.body, Apply | Fetch)]),
    )
    if found.version is None:
        raise DirectoryStale(held=0, seen=0)
    # What was found hangs on no decision: a request that is decided again needs no second look.
    await ground.confirm(batch, found.version)
    states: dict[bytes, State] = {}
    for key, (row, events) in found.states.items():
        try:
            states[key] = State(row, {event.transition: event for event in events})
        except StateCorrupt as error:
            log.error("application_corrupt", application=key.hex(), reason=error.ground)
    return Seen(found.ids, states, found.kept)


def _each_once(batch: Sequence[Asked]) -> list[bytes]:
    return list(dict.fromkeys(each for asked in batch for each in applications_of(asked.body)))
