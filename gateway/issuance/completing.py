"""COMPLETE, VOID, CORRECT and ERASE: what follows once a document was issued. Pure, over an application's state.

None of these has an age limit: a relay's outbox delivers them whenever it can (DESIGN 7). Each gives the Move to be
recorded, the event that says the same already, or a refusal for cause.

Source: 000契9-1 (void of every copy), 13-1 (commission per copy); 000仕13-1, 13-2, 14; 001-14, 001-15; DOMAIN H3.
"""

import datetime as dt
import re
from typing import Final

from gateway.directory.policy import Refused
from gateway.issuance.states import Move, State, refused
from gateway.service.ground import EMPTY
from gateway.store.issuance import EventRow
from protocol.application import Transition
from protocol.issuance import Complete, Correct, Erase, Ground, Void, erasure_to_sign
from protocol.keys import Algorithm, KeysError, PublicKey
from protocol.outcomes import Outcome

SKEW_US: Final = 60_000_000
"""A kiosk's clock may be so far off the centre's."""
_JST: Final = dt.timezone(dt.timedelta(hours=9))
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""Stores and slips are codes: what is written by hand could name a person."""

Decided = Move | EventRow | Refused


def complete(state: State, body: Complete, *, request: bytes, now_us: int) -> Decided:
    """The copies were printed and handed over: the fee of each is earned, and the commission."""
    transition = Transition.COMPLETED
    said = state.event(transition)
    if said is not None:
        return _same(said, request)
    applied, why = state.event(Transition.APPLIED), state.refuses(transition, now_us)
    if why is not None or applied is None:
        return why or refused(Outcome.APPLICATION_STATE)
    why = (
        _copies(body.copies, state)
        or _deposit(body.deposited_at_us, applied, now_us)
        or _store_day(body.store_day, body.deposited_at_us, now_us)
        or _code("store", body.store)
        or _code("slip", body.slip)
    )
    if why is not None:
        return why
    return _move(
        state,
        transition,
        Outcome.COMPLETED,
        request,
        now_us,
        copies=body.copies,
        yen=applied.fee_yen * body.copies,
        commission=applied.commission_yen * body.copies,
        deposited_at_us=body.deposited_at_us,
        store_day=body.store_day,
        store=body.store,
        place=state.place(),
    )


def void(state: State, body: Void, *, request: bytes, now_us: int) -> Decided:
    """Every copy is void and the fee was refunded (返金済・無効): whatever stands is reversed, 0 if nothing does."""
    transition = Transition.VOIDED
    said = state.event(transition)
    if said is not None:
        return _same(said, request)
    applied, why = state.event(Transition.APPLIED), state.refuses(transition, now_us)
    if why is not None or applied is None:
        return why or refused(Outcome.APPLICATION_STATE)
    why = (
        _ground(body.ground, voiding=True)
        or _time("refunded_at_us", body.refunded_at_us, applied, now_us)
        or _store_day(body.store_day, body.refunded_at_us, now_us)
        or _code("store", body.store)
        or (_code("staff_slip", body.staff_slip) if body.staff_slip or body.ground == Ground.STAFF else None)
    )
    if why is not None:
        return why
    money = state.money
    return _move(
        state,
        transition,
        Outcome.VOIDED,
        request,
        now_us,
        copies=-money.copies,
        yen=-money.yen,
        commission=-money.commission,
        deposited_at_us=money.deposited_at_us,
        store_day=money.store_day,
        store=body.store,
        place=state.place(),
    )


def correct(state: State, body: Correct, *, request: bytes, now_us: int) -> Decided:
    """What was notified was wrong (000仕13-2): a new entry with the signed difference; the original stays."""
    transition = Transition.CORRECTED_1 + body.number - 1
    said = state.event(transition)
    if said is not None:
        return _same(said, request)
    applied, why = state.event(Transition.APPLIED), state.refuses(transition, now_us)
    completed = state.event(Transition.COMPLETED)
    if why is not None or applied is None or completed is None:
        return why or refused(Outcome.APPLICATION_STATE)
    money = state.money
    why = (
        _ground(body.ground, voiding=False)
        or _copies(body.copies, state)
        or _deposit(body.deposited_at_us, applied, now_us)
        or _store_day(body.store_day, body.deposited_at_us, now_us)
    )
    if why is None and (body.copies, body.deposited_at_us, body.store_day) == (
        money.copies,
        money.deposited_at_us,
        money.store_day,
    ):
        why = _invalid("copies", "say how it should read; this is what stands")
    if why is not None:
        return why
    difference = body.copies - money.copies
    return _move(
        state,
        transition,
        Outcome.CORRECTED,
        request,
        now_us,
        copies=difference,
        yen=applied.fee_yen * difference,
        commission=applied.commission_yen * difference,
        deposited_at_us=body.deposited_at_us,
        store_day=body.store_day,
        store=completed.store,
        place=state.place(),
    )


def erase(state: State, body: Erase, *, request: bytes, now_us: int) -> Decided:
    """Kiosk and relay attest that nothing is left; the centre destroys its own with the very block that says so."""
    transition = Transition.ERASED
    said = state.event(transition)
    if said is not None:
        return said  # the second attestation is signed anew: what matters is that it is erased
    why = state.refuses(transition, now_us)
    authenticated = state.events[int(Transition.AUTHENTICATED)]
    if why is None:
        why = _time("kiosk_at_us", body.kiosk_at_us, authenticated, now_us) or _time(
            "relay_at_us", body.relay_at_us, authenticated, now_us
        )
    if why is None and not _attested(state, body):
        why = refused(Outcome.SIGNATURE_REFUSED, "attestation", "sign with the key of the kiosk's certificate")
    if why is not None:
        return why
    return _move(state, transition, Outcome.ERASED, request, now_us, erases=True)


def _move(
    state: State,
    transition: int,
    outcome: Outcome,
    request: bytes,
    now_us: int,
    *,
    copies: int = 0,
    yen: int = 0,
    commission: int = 0,
    deposited_at_us: int = 0,
    store_day: str = "",
    store: str = "",
    place: int | None = None,
    erases: bool = False,
) -> Move:
    row, applied = state.application, state.event(Transition.APPLIED)
    return Move(
        application=state.id,
        operator=row.operator,
        municipality=row.municipality,
        transition=transition,
        outcome=outcome,
        request=request,
        answer=EMPTY,
        at_us=state.after(now_us),
        kind=state.kind,
        counterparty=applied.counterparty if applied else "",
        kiosk=row.kiosk,
        terms=applied.terms if applied else 0,
        copies=copies,
        yen=yen,
        commission=commission,
        deposited_at_us=deposited_at_us,
        store_day=store_day,
        store=store,
        place=place,
        erases=erases,
    )


def _same(said: EventRow, request: bytes) -> EventRow | Refused:
    """What stands, if this says it again; another content is not the same transition."""
    if said.request == request:
        return said
    return refused(Outcome.APPLICATION_STATE, "application", "it stands already, with another content; CORRECT it")


def _attested(state: State, body: Erase) -> bool:
    try:
        key = PublicKey(Algorithm.ES256, state.application.kiosk_key)
        key.verify(body.attestation, erasure_to_sign(state.id, body.kiosk_at_us))
    except KeysError:
        return False
    return True


def _invalid(field: str, remedy: str) -> Refused:
    return refused(Outcome.FIELD_INVALID, field, remedy)


def _copies(copies: int, state: State) -> Refused | None:
    most = state.statement.copies
    return None if 1 <= copies <= most else _invalid("copies", f"1 to {most}, as was applied for")


def _time(field: str, at_us: int, since: EventRow, now_us: int) -> Refused | None:
    if since.at_us - SKEW_US <= at_us <= now_us + SKEW_US:
        return None
    return _invalid(field, "a time after the application began and not in the future")


def _deposit(at_us: int, applied: EventRow, now_us: int) -> Refused | None:
    return _time("deposited_at_us", at_us, applied, now_us)


def _store_day(text: str, at_us: int, now_us: int) -> Refused | None:
    """A store's business day begins and ends when the store says: at most one day off the day of the deposit."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return _invalid("store_day", "a day of the calendar, YYYY-MM-DD")
    of_event, today = (dt.datetime.fromtimestamp(us / 1e6, _JST).date() for us in (at_us, now_us))
    if day > today:
        return _invalid("store_day", "not a day in the future")
    if abs((day - of_event).days) > 1:
        return _invalid("store_day", "the store's business day of the deposit")
    return None


def _code(field: str, text: str) -> Refused | None:
    if _CODE.fullmatch(text):
        return None
    return _invalid(field, "a code of 1 to 40 letters, digits, dot, hyphen, underscore")


def _ground(ground: int, *, voiding: bool) -> Refused | None:
    try:
        known = Ground(ground)
    except ValueError:
        return _invalid("ground", "a ground of docs/PROTOCOL.md, Certificates")
    if voiding and known is Ground.ENTRY_ERROR:
        return _invalid("ground", "an error of entry is corrected, not voided")
    return None
