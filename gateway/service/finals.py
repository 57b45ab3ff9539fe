"""From an answer to what is recorded: entry, commitments and claims. Pure; whatever the service is.

Source: DESIGN sections 6 and 7; docs/PROTOCOL.md, Commitments and Ledger.
"""

from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from protocol.commitment import commitment_key, request_commitment, response_commitment
from protocol.ledger import CertificateEntry, Delivery, Entry, EntryKind, EntryRef, encode_entry
from protocol.messages import Response


def make_final(
    asked: Asked,
    *,
    month_key: bytes,
    outcome: int,
    body: bytes,
    yen: int = 0,
    commission: int = 0,
    at_us: int,
    matter: str = "",
    step: int = 0,
    counterparty: str = "",
    terms: int = 0,
    kind: int = EntryKind.FIRST,
    turn: int = 0,
    ref: EntryRef | None = None,
    also: list[tuple[str, bytes, int, bytes]] | None = None,
    provided: object | None = None,
    delivery: Delivery | None = None,
    certificate: bool = False,
) -> Final:
    """The recorded response of one request.

    yen and commission are what this entry adds (negative for a reversal); matter and step: the affair, or the
    certificate kind and 0; terms: version of those that priced it. also: further claims (party, request id, turn,
    commitment) beside its own. provided: for the block's rider; opaque here. certificate: an entry of version 2, which
    alone can carry a delivery.
    """
    request = asked.request
    request_id = request.request_id
    party = asked.party
    key = commitment_key(month_key, party, request_id)
    commitment = request_commitment(key, request.operation, request.body)
    response = response_commitment(key, outcome, body)
    entry: Entry
    if certificate:
        entry = CertificateEntry(
            2,
            party,
            asked.line,
            request_id,
            commitment,
            request.operation,
            matter,
            step,
            counterparty,
            outcome,
            kind,
            yen,
            commission,
            terms,
            response,
            at_us,
            ref,
            delivery,
        )
    elif delivery is None:
        entry = Entry(
            1,
            party,
            asked.line,
            request_id,
            commitment,
            request.operation,
            matter,
            step,
            counterparty,
            outcome,
            kind,
            yen,
            commission,
            terms,
            response,
            at_us,
            ref,
        )
    else:
        raise ValueError("only a certificate centre's entry carries a delivery")
    claims = [(party, request_id, turn, commitment)]
    if also:
        claims += also
    return Final(
        origin=asked.origin,
        response=Response(request_id, outcome, body, key, encode_entry(entry)),
        claims=claims,
        source=asked,
        provided=provided,
    )
