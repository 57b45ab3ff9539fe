"""The durable outbox: completions, voids, corrections and erasures, from TAKEN_OVER to the centre's proven outcome.

    taken over   one committed transaction: the notice as it will be sent, its request id, its day lines
    held         sent in order per application, an erasure beside what is about money, under that one id, however
                 often, until a recorded outcome comes; under a new id once the old one can say no more of the notice
                 (a suspension has ended, the id is too old)
    delivered    the outcome the operation has when it succeeds, with its proof, which goes into the book (filing)
    refused      any other outcome that waiting will not change: an item of the worklist until a person closes it

A kiosk that did not hear TAKEN_OVER sends the same notice again, and it is the same row. The relay's own time goes into
an erasure when it is taken over: from then on the relay passes nothing of that application's document. Once an
erasure was delivered, bodies and openings of its application go; proofs, ids, hashes and counts stay.

Every function here is a piece of work on the store inside one transaction.
Source: DESIGN 7 and 10; 000仕13, 000仕14; 000契9-1.
"""

import hashlib
from typing import Final

import msgspec
from msgspec.structs import replace

from gateway.peers.relay import notices, totals
from gateway.peers.relay.notices import NoticeKind
from gateway.peers.relay.policy import Kiosk, NotPermitted, Reason
from gateway.peers.relay.store import Store
from protocol import issuance
from protocol.ledger import Entry, EntryKind
from protocol.messages import Operation, Request, decode_body, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result
from protocol.receipt import Receipt, ReceiptError, decode_receipt, encode_receipt, verify_receipt
from protocol.trust import Trust

HELD: Final = "held"
DELIVERED: Final = "delivered"
REFUSED: Final = "refused"
DEADLINE_MS: Final = 10_000

SUCCESS: Final = {
    Operation.COMPLETE: Outcome.COMPLETED,
    Operation.VOID: Outcome.VOIDED,
    Operation.CORRECT: Outcome.CORRECTED,
    Operation.ERASE: Outcome.ERASED,
}
ANOTHER_ID: Final = frozenset({Outcome.SUSPENDED, Outcome.STALE_REQUEST_ID})
"""Outcomes that are about the asker or the id, and not about the notice. What was recorded under an id is said again
for ever, so the notice goes out under another; the centre lets each transition stand once, whatever the ids."""
_CATALOGUE: Final = {int(outcome): meaning for outcome, meaning in CATALOGUE.items()}
Notice = issuance.Complete | issuance.Void | issuance.Correct | issuance.Erase


class Held(msgspec.Struct, frozen=True):
    """A notice to be delivered: its number here, its application, and the request that carries it."""

    number: int
    application: bytes
    request: Request


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How much is held, and since when the oldest; None when nothing is."""

    held: int
    oldest_us: int | None


class Facts(msgspec.Struct, frozen=True):
    """What store totals need of an application; "" and 0 where the relay does not know."""

    municipality: str
    kind: str
    copies: int
    fee_yen: int


def take_over(
    store: Store, notice: Notice, *, asked: bytes, request_id: bytes, caller: Kiosk, now_us: int, by_relay: bool = False
) -> None:
    """Keep a notice, with its day lines; the same one again changes nothing. `asked` is its body as it came.

    Raises: NotPermitted(CHANGED) when its id or its place holds another one.
    """
    operation, turn = _place(notice)
    digest = hashlib.sha256(asked).digest()
    held = store.row(
        "SELECT asked, by_relay, body FROM outbox WHERE application = ? AND operation = ? AND turn = ?",
        *(notice.application, operation, turn),
    )
    if held is not None:
        if held[0] != digest:
            _differing(store, notice, held[1], held[2], caller, now_us)
        return
    if store.row("SELECT 1 FROM outbox WHERE request_id = ?", request_id) is not None:
        raise NotPermitted(Reason.CHANGED, "request_id")
    if isinstance(notice, issuance.Erase):
        notice = replace(notice, relay_at_us=now_us)  # whatever the kiosk put there: it is the relay's to say
        store.run("UPDATE applications SET erasing_us = ? WHERE application = ?", now_us, notice.application)
    store.run(
        "INSERT INTO outbox (application, operation, turn, request_id, kiosk, by_relay, asked, body, taken_us, state,"
        " deposited_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(notice.application, operation, turn, request_id, caller.kiosk, int(by_relay), digest, encode(notice)),
        *(now_us, HELD, _deposited(notice)),
    )
    if not isinstance(notice, issuance.Erase):
        _book(store, notice, request_id, caller, now_us)


def _place(notice: Notice) -> tuple[int, int]:
    """Operation, and which one of that operation: an application has up to eight corrections, one of all else."""
    match notice:
        case issuance.Complete():
            return Operation.COMPLETE, 0
        case issuance.Void():
            return Operation.VOID, 0
        case issuance.Correct(number=number):
            return Operation.CORRECT, number
        case _:
            return Operation.ERASE, 0


def _deposited(notice: Notice) -> int | None:
    """When the money came, of a notice that says so; it outlives the body, for the month's reconciliation."""
    return notice.deposited_at_us if isinstance(notice, issuance.Complete | issuance.Correct) else None


def _differing(store: Store, notice: Notice, by_relay: int, body: bytes | None, caller: Kiosk, now_us: int) -> None:
    """Another notice stands in this one's place: the relay's own, made while the kiosk was away, or an error."""
    if not by_relay:
        raise NotPermitted(Reason.CHANGED, "application")
    if isinstance(notice, issuance.Complete):
        own = None if body is None else decode_body(Operation.COMPLETE, body)
        if not isinstance(own, issuance.Complete) or (own.copies, own.store_day) != (notice.copies, notice.store_day):
            notices.add(store, NoticeKind.COMPLETION_DIFFERS, kiosk=caller.kiosk, store_id=caller.store, now_us=now_us)


def facts(store: Store, application: bytes) -> Facts:
    """What is known of an application for the totals."""
    for table in ("dealings", "applications"):
        row = store.row(
            f"SELECT municipality, kind, copies, fee_yen FROM {table} WHERE application = ?",  # noqa: S608 - of two
            application,
        )
        if row is not None:
            return Facts(*row)
    return Facts("", "", 0, 0)


def _book(store: Store, notice: totals.Notice, request_id: bytes, caller: Kiosk, now_us: int) -> None:
    """A notice's day lines, and the dealing it settles."""
    known = facts(store, notice.application)
    if isinstance(notice, issuance.Complete):
        store.run(
            "INSERT INTO dealings (application, kiosk, store, municipality, kind, copies, fee_yen, yen, deposited_us,"
            " noted_us, printed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(notice.application, caller.kiosk, caller.store, known.municipality, known.kind, notice.copies),
            *(known.fee_yen, notice.copies * known.fee_yen, notice.deposited_at_us, now_us, now_us),
        )
    for change in totals.changes(notice, totals.standing(store, notice.application), fee_yen=known.fee_yen):
        store.run(
            "INSERT INTO lines (notice, application, store, store_day, municipality, kind, copies, yen)"
            " SELECT number, application, ?, ?, ?, ?, ?, ? FROM outbox WHERE request_id = ?",
            *(caller.store, change.store_day, known.municipality, known.kind, change.copies, change.yen, request_id),
        )
    if not isinstance(notice, issuance.Correct):
        store.run(
            "UPDATE dealings SET settled_us = ? WHERE application = ? AND settled_us IS NULL",
            *(now_us, notice.application),
        )


def next_held(store: Store, *, limit: int) -> list[Held]:
    """The first held notice of each application, oldest first."""
    rows = store.rows(
        "SELECT min(number), application, request_id, operation, body FROM outbox WHERE state = ?"
        " GROUP BY application ORDER BY 1 LIMIT ?",
        *(HELD, limit),
    )
    return [_held(row) for row in rows]


def next_of(store: Store, application: bytes) -> list[Held]:
    """What of one application may be sent now: of its held notices the first about money, and its erasure."""
    rows = store.rows(
        "SELECT min(number), application, request_id, operation, body FROM outbox WHERE state = ? AND application = ?"
        " GROUP BY operation = ? ORDER BY 1",
        *(HELD, application, Operation.ERASE),
    )
    return [_held(row) for row in rows]


def _held(row: tuple[int, bytes, bytes, int, bytes]) -> Held:
    number, application, request_id, operation, body = row
    return Held(number, application, Request(request_id, operation, DEADLINE_MS, body))


def is_final(result: Result) -> bool:
    """Whether an outcome will not change by sending again; a clock that is behind will have caught up.

    An outcome of a later version of the catalogue is final when it was recorded.
    """
    if result.outcome not in _CATALOGUE:
        return result.entry is not None
    return not _CATALOGUE[result.outcome].retryable and result.outcome != Outcome.FUTURE_REQUEST_ID


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a notice: outcome, and if it was recorded the entry, its proof as a receipt, and its opening."""

    outcome: int
    entry: Entry | None = None
    proof: bytes | None = None
    opening: bytes | None = None


def settled(result: Result) -> Settled:
    """An answer of the centre, verified by the line."""
    receipt = result.receipt()
    if receipt is None:
        return Settled(outcome=result.outcome)
    return Settled(
        outcome=result.outcome,
        entry=result.entry,
        proof=encode_receipt(Receipt(receipt.proof)),
        opening=encode(receipt.opening),
    )


def settled_by(body: bytes, *, held: Held, party: str, trust: Trust) -> Settled | None:
    """What a fetched receipt proves of a notice; None when it proves nothing, or something else."""
    try:
        receipt = decode_receipt(body)
        entry = verify_receipt(receipt, trust).entry
    except ReceiptError:
        return None
    asked = (party, held.request.request_id, held.request.operation)
    if (entry.party, entry.request_id, entry.operation) != asked:
        return None
    return Settled(outcome=entry.outcome, entry=entry, proof=encode_receipt(Receipt(receipt.proof)))


def renew(store: Store, held: Held, *, request_id: bytes) -> Held:
    """The same notice, held under another id."""
    store.run(
        "UPDATE outbox SET request_id = ? WHERE number = ? AND state = ?",
        *(request_id, held.number, HELD),
    )
    return replace(held, request=replace(held.request, request_id=request_id))


def settle(store: Store, held: Held, said: Settled, *, now_us: int) -> str:
    """Keep what the centre said of a notice, and erase what its application leaves once that is due.

    Returns: DELIVERED or REFUSED.
    """
    good = said.entry is not None and said.outcome == SUCCESS[Operation(held.request.operation)]
    state = DELIVERED if good else REFUSED
    changed = store.run(
        "UPDATE outbox SET state = ?, outcome = ?, done_us = ?, proof = ?, opening = ? WHERE number = ? AND state = ?",
        *(state, said.outcome, now_us, said.proof, said.opening, held.number, HELD),
    )
    if changed:
        if not good and held.request.operation == Operation.COMPLETE:
            _unsettle(store, held.application)
        _tell(store, held, said, good=good, now_us=now_us)
    erase(store, held.application)
    return state


def _unsettle(store: Store, application: bytes) -> None:
    """A completion that was refused settles no money: it is in doubt again, unless a void was taken over too."""
    store.run(
        "UPDATE dealings SET settled_us = NULL WHERE application = ?1"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE application = ?1 AND operation = ?2)",
        *(application, Operation.VOID),
    )


def _tell(store: Store, held: Held, said: Settled, *, good: bool, now_us: int) -> None:
    """A notice to people where the centre refused, or recorded another amount than the store."""
    row = store.row(
        "SELECT o.kiosk, coalesce(k.store, ''), coalesce((SELECT sum(yen) FROM lines WHERE notice = o.number), 0)"
        " FROM outbox o LEFT JOIN kiosks k ON k.kiosk = o.kiosk WHERE o.number = ?",
        held.number,
    )
    kiosk, store_id, yen = ("", "", 0) if row is None else row
    if not good:
        code = outcome_name(said.outcome)
        notices.add(store, NoticeKind.NOTICE_REFUSED, kiosk=kiosk, store_id=store_id, code=code, now_us=now_us)
    elif said.entry is not None and said.entry.kind == EntryKind.FIRST and said.entry.yen != yen:
        notices.add(store, NoticeKind.AMOUNT_DIFFERS, kiosk=kiosk, store_id=store_id, now_us=now_us)


def outcome_name(outcome: int) -> str:
    """An outcome's name, or its number where this version does not know it."""
    return Outcome(outcome).name if outcome in _CATALOGUE else str(outcome)


def erase(store: Store, application: bytes) -> None:
    """Once the erasure was delivered: bodies and openings go, and what was applied for unless money still hangs on it.

    A refused notice keeps its body until a person has closed it.
    """
    if not store.row(
        "SELECT 1 FROM outbox WHERE application = ? AND operation = ? AND state = ?",
        *(application, Operation.ERASE, DELIVERED),
    ):
        return
    store.run(
        "UPDATE outbox SET body = NULL, opening = NULL WHERE application = ?"
        " AND (state = 'delivered' OR (state = 'refused' AND closed_us IS NOT NULL))",
        application,
    )
    store.run(
        "UPDATE applications SET municipality = '', kind = '', copies = 0, fee_yen = 0 WHERE application = ?"
        " AND NOT EXISTS (SELECT 1 FROM outbox WHERE application = applications.application AND state = 'held')",
        application,
    )


def depth(store: Store) -> Depth:
    """How much is held."""
    row = store.row("SELECT count(*), min(taken_us) FROM outbox WHERE state = ?", HELD)
    return Depth(held=0, oldest_us=None) if row is None else Depth(held=row[0], oldest_us=row[1])


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A notice of the outbox for people to read."""

    number: int
    application: str
    operation: int
    kiosk: str
    taken_us: int
    state: str
    outcome: int | None
    done_us: int | None


def listed(store: Store, *, state: str | None, limit: int) -> list[Shown]:
    """Notices of one state or of all, newest first."""
    rows = store.rows(
        "SELECT number, hex(application), operation, kiosk, taken_us, state, outcome, done_us FROM outbox"
        " WHERE ?1 IS NULL OR state = ?1 ORDER BY number DESC LIMIT ?2",
        *(state, limit),
    )
    return [
        Shown(
            number=row[0],
            application=row[1].lower(),
            operation=row[2],
            kiosk=row[3],
            taken_us=row[4],
            state=row[5],
            outcome=row[6],
            done_us=row[7],
        )
        for row in rows
    ]
