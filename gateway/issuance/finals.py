"""What records a move: its entry, and the claim that lets a transition stand once. Source: DESIGN section 7."""

from gateway.issuance.states import Move
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.finals import make_final
from protocol.application import claim_turn
from protocol.commitment import commitment_key, request_commitment


def final_of(asked: Asked, move: Move, *, month_key: bytes) -> Final:
    """The recorded response of a request that moves an application. month_key: the commitment key of its id's month."""
    request = asked.request
    key = commitment_key(month_key, asked.party, request.request_id)
    commitment = request_commitment(key, request.operation, request.body)
    return make_final(
        asked,
        month_key=month_key,
        outcome=move.outcome,
        body=move.answer,
        yen=move.yen,
        commission=move.commission,
        at_us=move.at_us,
        matter=move.kind,
        counterparty=move.counterparty,
        terms=move.terms,
        # What makes a transition happen once, whatever is sent again under whatever id.
        also=[(asked.party, move.application, claim_turn(move.transition), commitment)],
        provided=move,
        delivery=move.delivery,
        certificate=True,
    )
