"""The states of a line's two ends, and the frames each may receive in each state: one table.

docs/PROTOCOL.md draws its diagram from this table; a frame that is not in it is FRAME_UNEXPECTED. The same table
serves both ends, because the type of a frame already says which way it goes.
"""

from enum import StrEnum
from typing import Final

from protocol.errors import FaultCode, RemoteProtocolError
from protocol.frames import FrameType


class State(StrEnum):
    """Where one end stands."""

    # the centre
    AWAIT_HELLO = "await-hello"
    WELCOMING = "welcoming"  # HELLO is verified; our signature over WELCOME is being made
    SERVING = "serving"
    DRAINING = "draining"  # DRAIN is sent; what is in flight is answered, new requests are turned away
    # the peer
    GREETING = "greeting"  # HELLO is being signed
    AWAIT_WELCOME = "await-welcome"
    ASKING = "asking"
    LEAVING = "leaving"  # DRAIN came: no new requests on this connection
    # both
    CLOSED = "closed"


_ALWAYS: Final = frozenset({FrameType.PING, FrameType.PONG, FrameType.FAULT})
_FROM_CENTRE: Final = _ALWAYS | {FrameType.RESPONSE, FrameType.NOTICE, FrameType.CREDIT, FrameType.DRAIN}

MAY_RECEIVE: Final[dict[State, frozenset[FrameType]]] = {
    State.AWAIT_HELLO: frozenset({FrameType.HELLO, FrameType.FAULT}),
    State.WELCOMING: frozenset({FrameType.FAULT}),
    State.SERVING: _ALWAYS | {FrameType.REQUEST},
    State.DRAINING: _ALWAYS | {FrameType.REQUEST},
    State.GREETING: frozenset({FrameType.FAULT}),
    State.AWAIT_WELCOME: frozenset({FrameType.WELCOME, FrameType.FAULT}),
    State.ASKING: _FROM_CENTRE,
    State.LEAVING: _FROM_CENTRE,
    State.CLOSED: frozenset(),
}

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.AWAIT_HELLO: frozenset({State.WELCOMING, State.CLOSED}),
    State.WELCOMING: frozenset({State.SERVING, State.CLOSED}),
    State.SERVING: frozenset({State.DRAINING, State.CLOSED}),
    State.DRAINING: frozenset({State.CLOSED}),
    State.GREETING: frozenset({State.AWAIT_WELCOME, State.CLOSED}),
    State.AWAIT_WELCOME: frozenset({State.ASKING, State.CLOSED}),
    State.ASKING: frozenset({State.LEAVING, State.CLOSED}),
    State.LEAVING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}

SEALED: Final = frozenset({State.SERVING, State.DRAINING, State.ASKING, State.LEAVING})
"""States in which every frame is sealed."""


def check_receivable(state: State, kind: FrameType) -> None:
    """Raises: RemoteProtocolError(FRAME_UNEXPECTED) when the table does not allow this frame now."""
    if kind not in MAY_RECEIVE[state]:
        raise RemoteProtocolError(FaultCode.FRAME_UNEXPECTED, f"{kind.name} while {state}")
