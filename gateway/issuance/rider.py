"""What rides with a block: the steps of applications and the acts of settlement that its entries record.

So neither stands without the other. Source: DESIGN sections 2, 10 and 11.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.issuance.states import MONEY, Move
from gateway.store import settlement_acts
from gateway.store.issuance import riding
from gateway.store.ledger import RIDER_FIRST, Riding
from protocol.act import Act


class _Final(Protocol):
    @property
    def provided(self) -> object | None: ...


async def issuance_rider(finals: Sequence[_Final], *, stream: bytes, height: int, at_us: int) -> Riding | None:  # noqa: ARG001
    """The block's rider (gateway.ledger.recording.Rider); None when its entries bring neither."""
    moves = [(index, each.provided) for index, each in enumerate(finals) if isinstance(each.provided, Move)]
    acts = [(each.provided, index) for index, each in enumerate(finals) if isinstance(each.provided, Act)]
    if not acts:
        return _moved(moves) if moves else None
    if not moves:
        return settlement_acts.riding(acts)
    steps = _moved(moves)
    return steps.and_then(settlement_acts.riding(acts, first=RIDER_FIRST + len(steps.args)))


def _moved(moves: Sequence[tuple[int, Move]]) -> Riding:
    return riding(
        openings=[move.opening for _, move in moves if move.opening is not None],
        events=[move.event(index) for index, move in moves],
        documents=[(move.application, move.sealed, move.expires_at_us) for _, move in moves if move.sealed is not None],
        due=[
            (move.application, move.transition, move.municipality, move.at_us)
            for _, move in moves
            if move.transition in MONEY
        ],
        erased=[move.application for _, move in moves if move.erases],
    )
