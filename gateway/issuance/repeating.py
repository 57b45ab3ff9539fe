"""The same request again under its id: the stored answer, free, as an entry that names the original.

An answer is not made anew: what was recorded of an application does not change, and a relay that lost the answer must
get that very one. A refusal is said again by its outcome alone; what would have mended it was told the first time.
Another request under a known id is shown nothing. Source: DESIGN section 7, Repeats.
"""

from collections.abc import Mapping

from gateway.issuance.errors import StateCorrupt
from gateway.issuance.states import State
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.finals import make_final
from gateway.service.ground import EMPTY, Ground
from gateway.store.issuance import IdSeen
from gateway.store.ledger import LedgerStore
from protocol import limits
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.ledger import EntryKind, EntryRef, decode_entry
from protocol.messages import Refusal, encode
from protocol.outcomes import Outcome


async def repeat(
    asked: Asked, known: IdSeen, *, ground: Ground, ledger: LedgerStore, states: Mapping[bytes, State]
) -> Final | None:
    """Answer a known id; None when it was settled. Raises: StoreError; StateCorrupt."""
    request = asked.request
    settle = ground.outlet.settle
    key = commitment_key(ground.month_of(asked), asked.party, request.request_id)
    if request_commitment(key, request.operation, request.body) != known.commitment:
        settle(asked, Outcome.ID_REUSED, encode(Refusal("request_id", "ask under a new id")))
        return None
    turn = known.turn + 1
    if turn > limits.REPEATS_MAX:
        settle(asked, Outcome.REPEAT_LIMIT, EMPTY)
        return None
    block = await ledger.read_block(known.stream, known.height)
    if block is None:
        raise StateCorrupt("a claim has no block")
    original = decode_entry(block.entries[known.idx])
    body = _answer(known, states)
    return make_final(
        asked,
        month_key=ground.month_of(asked),
        outcome=original.outcome,
        body=body,
        at_us=ground.now_us(),
        matter=original.matter,
        counterparty=original.counterparty,
        terms=original.terms,
        kind=EntryKind.REPEAT,
        turn=turn,
        ref=EntryRef(
            known.stream,
            known.height,
            known.idx,
            response_commitment(key, original.outcome, body) == original.response_commitment,
        ),
        certificate=True,
    )


def _answer(known: IdSeen, states: Mapping[bytes, State]) -> bytes:
    """The body that was answered, where the entry moved an application; else what says no more than the outcome."""
    place = (known.stream, known.height, known.idx)
    for state in states.values():
        for event in state.events.values():
            if (event.stream, event.height, event.idx) == place:
                return event.answer
    return EMPTY
