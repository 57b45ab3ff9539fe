"""APPLY: the signed application becomes a durable intent, at the fee of this moment. Pure.

The municipality is asked only for what stands here, with the very statement and signature that were recorded.
Source: DESIGN section 10; 000仕3-3; DOMAIN I1.
"""

from certs.authentication import verify_statement
from certs.errors import SessionRefused
from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.policy import Refused
from gateway.issuance.completing import SKEW_US
from gateway.issuance.states import EXPIRED, Move, State, refused
from protocol.application import Transition
from protocol.issuance import Applied, Apply, Authenticate, Statement
from protocol.messages import encode
from protocol.outcomes import Outcome


def apply(
    state: State,
    body: Apply,
    *,
    authentication: Authenticate | None,
    directory: Directory,
    request: bytes,
    now_us: int,
) -> Move | Refused:
    """Decide an application. authentication is None once it was destroyed."""
    row, statement = state.application, body.statement
    if state.event(Transition.APPLIED) is not None:
        return refused(Outcome.APPLICATION_STATE, "application", "it was applied for already; authenticate again")
    why = state.refuses(Transition.APPLIED, now_us)
    if why is not None:
        return why
    if authentication is None:
        return EXPIRED
    if statement.municipality != row.municipality:
        return refused(Outcome.FIELD_INVALID, "municipality", "the one that the card was authenticated for")
    began_us = state.events[int(Transition.AUTHENTICATED)].at_us
    if not began_us - SKEW_US <= statement.asked_at_us <= now_us + SKEW_US:
        return refused(Outcome.FIELD_INVALID, "asked_at_us", "a time after the authentication; check the kiosk's clock")
    try:
        verify_statement(statement, body.signature, authentication.session)
    except SessionRefused:
        return refused(Outcome.SIGNATURE_REFUSED, "signature", "sign with the session's key")
    priced = offers.price(directory, operator=row.operator, statement=statement, card_type=row.card_type, at_us=now_us)
    if isinstance(priced, Refused):
        return priced
    return applied(state, statement, priced, request=request, now_us=now_us)


def applied(state: State, statement: Statement, priced: offers.Priced, *, request: bytes, now_us: int) -> Move:
    """The move of an application that was let pass, at its price."""
    row = state.application
    return Move(
        application=state.id,
        operator=row.operator,
        municipality=row.municipality,
        transition=Transition.APPLIED,
        outcome=Outcome.APPLIED,
        request=request,
        answer=encode(Applied(priced.fee_yen, statement.copies)),
        at_us=state.after(now_us),
        kind=statement.kind,
        counterparty=priced.counterparty,
        kiosk=row.kiosk,
        fee_yen=priced.fee_yen,
        commission_yen=priced.commission_yen,
        terms=priced.terms_version,
    )
