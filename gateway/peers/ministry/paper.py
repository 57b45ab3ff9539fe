"""What outlasts a session: receipts, the register of printed forms, and their end.

Of a receipt the proof names no resident and is kept for years; the opening (question, answer, key) is sealed and erased
when the retention the ministry set is over. Of a printed form the register keeps number, time, who and how it was
disposed of, never its content.

Source: 002 別2-2(9)ウ, エ; docs/PROTOCOL.md, Receipts.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from gateway.line.dial import LineError
from gateway.peers.ministry import history
from gateway.peers.ministry.desk import (
    Caller,
    Disposal,
    Event,
    FormRecord,
    KeptReceipt,
    ReceiptFacts,
    ReceiptFile,
    Right,
)
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.gate import Gate, Session
from gateway.peers.ministry.people import JST
from gateway.peers.ministry.store import Store
from gateway.peers.proof_book import ProofBook
from protocol.ledger import decode_entry
from protocol.messages import Approve, InquiryByCode, InquiryByName, ReceiptQuery, encode
from protocol.messages import Operation as Op
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result
from protocol.receipt import (
    Finality,
    Opening,
    Proof,
    Receipt,
    ReceiptError,
    decode_receipt,
    encode_receipt,
    verify_receipt,
)
from protocol.trust import Trust

log = structlog.get_logger()

COPIES_MAX: Final = 10
LISTED_MAX: Final = 500
KIND: Final = "照会結果票"
DAY_US: Final = 86_400_000_000
TRIES_MAX: Final = 60
"""Times a receipt's finality is asked for, a few seconds apart; it can be fetched by its id ever after."""
TRIED_AT_ONCE: Final = 16
BOOKED_AT_ONCE: Final = 256
_FORM_COLUMNS: Final = (
    "number, kind, request_id, case_ref, copies, printed_by, printed_us, terminal, disposed_us, disposed_by, disposal"
)
_msgpack: Final = msgspec.msgpack.Encoder().encode


class Papers:
    """Receipts and forms over one store."""

    def __init__(self, store: Store, gate: Gate, trust: Trust) -> None:
        self._store = store
        self._gate = gate
        self._trust = trust

    # --- receipts

    def keep(self, user: str, body: InquiryByCode | InquiryByName | Approve, result: Result) -> bool:
        """Keep the receipt of a recorded outcome, the opening sealed; whether there was one. The first one stays."""
        receipt, entry = result.receipt(), result.entry
        if receipt is None or entry is None:
            return False
        request_id = result.request.request_id.hex()
        days = self._store.settings.opening_days
        opening = self._store.sealer.seal("opening", request_id, _msgpack(receipt.opening)) if days else None
        self._store.run(
            "INSERT OR IGNORE INTO receipts (request_id, user, affair, step, case_ref, outcome, at_us, proof, "
            "opening_sealed, opening_until_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            request_id,
            user,
            body.affair,
            body.step,
            body.case,
            result.outcome,
            entry.at_us,
            _msgpack(receipt.proof),
            opening,
            self._store.now_us() + days * DAY_US if days else None,
        )
        return True

    async def receipts(self, caller: Caller) -> tuple[KeptReceipt, ...]:
        """Desk.receipts."""
        session = self._gate.at(caller)
        rows = self._store.rows(
            "SELECT request_id, case_ref, affair, step, outcome, at_us, "
            "CASE WHEN opening_sealed IS NULL THEN NULL ELSE opening_until_us END, finality IS NOT NULL "
            "FROM receipts WHERE user = ? ORDER BY at_us DESC LIMIT ?",
            session.user.id,
            LISTED_MAX,
        )
        return tuple(_kept(row) for row in rows)

    async def receipt_file(self, caller: Caller, request_id: str, *, opening: bool = False) -> ReceiptFile:
        """Desk.receipt_file."""
        session = self._gate.at(caller)
        row = self._store.row(
            "SELECT user, proof, finality, opening_sealed, affair, step, case_ref FROM receipts WHERE request_id = ?",
            request_id,
        )
        if row is None or row[0] != session.user.id:
            raise DeskRefused(Why.NOT_FOUND)
        _, proof, finality, sealed, affair, step, case = row
        if opening and sealed is None:
            raise DeskRefused(Why.NOT_HELD)
        opened = None
        if opening:
            opened = msgspec.msgpack.decode(self._store.sealer.open("opening", request_id, sealed), type=Opening)
        history.append(
            self._store,
            Event.RECEIPT,
            user=session.user.id,
            terminal=session.terminal.label,
            affair=affair,
            step=step,
            case=case,
            request_id=request_id,
            detail="saved-with-opening" if opening else "saved",
        )
        receipt = Receipt(
            msgspec.msgpack.decode(proof, type=Proof),
            opened,
            None if finality is None else msgspec.msgpack.decode(finality, type=Finality),
        )
        return ReceiptFile(name=f"{request_id}.receipt", data=encode_receipt(receipt), opening=opening)

    async def verify_receipt(self, caller: Caller, data: bytes) -> ReceiptFacts:
        """Desk.verify_receipt."""
        session = self._gate.at(caller)
        try:
            verified = verify_receipt(decode_receipt(data), self._trust)
        except ReceiptError as error:
            self._record_verified(session, "", f"invalid-{error.fault.value}")
            raise DeskRefused(Why.RECEIPT_INVALID, field="file") from error
        entry, header, final = verified.entry, verified.header, verified.checkpoint
        self._record_verified(session, entry.request_id[:16].hex(), "verified")
        ja, en = _words(entry.outcome)
        return ReceiptFacts(
            request_id=entry.request_id[:16].hex(),
            centre=self._trust.centre,
            environment=self._trust.environment,
            party=entry.party,
            line=entry.line,
            affair=entry.matter,
            step=entry.step,
            outcome=entry.outcome,
            ja=ja,
            en=en,
            yen=entry.yen,
            at_us=entry.at_us,
            block=f"{header.stream.hex()}/{header.height}",
            opened=verified.opened,
            final_size=None if final is None else final.size,
            final_us=None if final is None else final.at_us,
        )

    def book_proofs(self, book: ProofBook) -> None:
        """Put proofs that are not there yet into the book, against which invoices are held. Raises: ProofBookError."""
        while rows := self._store.rows(
            "SELECT request_id, proof FROM receipts WHERE booked = 0 LIMIT ?", BOOKED_AT_ONCE
        ):
            book.add(msgspec.msgpack.decode(kept, type=Proof) for _, kept in rows)
            with self._store.transaction():
                for request_id, _ in rows:
                    self._store.run("UPDATE receipts SET booked = 1 WHERE request_id = ?", request_id)

    async def make_final(self, line: Any, book: ProofBook) -> None:
        """Fetch the finality of receipts that have none yet; a few at a time.

        Of an answer that was asked for again the receipt proves the entry that was charged: into the book.
        Raises: ProofBookError.
        """
        rows = self._store.rows(
            "SELECT request_id, proof FROM receipts WHERE finality IS NULL AND tries < ? ORDER BY at_us LIMIT ?",
            TRIES_MAX,
            TRIED_AT_ONCE,
        )
        for request_id, kept in rows:
            proof = msgspec.msgpack.decode(kept, type=Proof)
            try:
                fetched = await line.ask(Op.RECEIPT, encode(ReceiptQuery(bytes.fromhex(request_id))), timeout_s=5.0)
            except LineError:
                return
            finality, tries = None, 1
            if fetched.outcome == Outcome.RECEIPT and (receipt := self._verified(fetched.body)) is not None:
                if receipt.proof.header == proof.header:
                    finality = receipt.finality
                elif _of_one_request(receipt.proof, proof):
                    book.add([receipt.proof])
                    tries = TRIES_MAX  # the centre gives the first entry's finality, never this one's
            self._store.run(
                "UPDATE receipts SET finality = ?, tries = tries + ? WHERE request_id = ?",
                None if finality is None else _msgpack(finality),
                tries,
                request_id,
            )

    def _verified(self, body: bytes) -> Receipt | None:
        try:
            receipt = decode_receipt(body)
            verify_receipt(receipt, self._trust)
        except ReceiptError as error:
            log.warning("receipt_not_final", fault=error.fault.value)
            return None
        return receipt

    def _record_verified(self, session: Session, request_id: str, detail: str) -> None:
        history.append(
            self._store,
            Event.RECEIPT,
            user=session.user.id,
            terminal=session.terminal.label,
            request_id=request_id,
            detail=detail,
        )

    # --- printed forms, 帳票

    def number_form(self, session: Session, *, request_id: str, case: str, copies: int) -> FormRecord:
        """Number a form and write it into the register. Raises: FIELD_INVALID."""
        if not 1 <= copies <= COPIES_MAX:
            raise DeskRefused(Why.FIELD_INVALID, field="copies")
        now_us = self._store.now_us()
        year = f"{datetime.fromtimestamp(now_us / 1e6, UTC).astimezone(JST):%Y}"
        with self._store.transaction():
            row = self._store.row("SELECT max(number) FROM forms WHERE number LIKE ?", f"{year}-%")
            last = int(row[0].split("-")[1]) if row is not None and row[0] is not None else 0
            form = FormRecord(
                number=f"{year}-{last + 1:06d}",
                kind=KIND,
                request_id=request_id,
                case=case,
                copies=copies,
                printed_by=session.user.id,
                printed_us=now_us,
                terminal=session.terminal.label,
            )
            self._store.run(
                f"INSERT INTO forms ({_FORM_COLUMNS}) VALUES ({', '.join('?' * 11)})",  # noqa: S608 - fixed text
                *msgspec.structs.astuple(form),
            )
        return form

    async def forms(self, caller: Caller) -> tuple[FormRecord, ...]:
        """Desk.forms."""
        session = self._gate.at(caller)
        return list_forms(self._store, None if Right.MANAGE in session.user.rights else session.user.id)

    async def dispose_form(self, caller: Caller, number: str, how: Disposal) -> FormRecord:
        """Desk.dispose_form."""
        session = self._gate.at(caller)
        with self._store.transaction():
            found = self._store.row(f"SELECT {_FORM_COLUMNS} FROM forms WHERE number = ?", number)  # noqa: S608 - fixed
            form = None if found is None else _form(found)
            if form is None or (form.printed_by != session.user.id and Right.MANAGE not in session.user.rights):
                raise DeskRefused(Why.NOT_FOUND)
            if form.disposed_us is not None:
                raise DeskRefused(Why.ALREADY_DECIDED)
            form = msgspec.structs.replace(
                form, disposed_us=self._store.now_us(), disposed_by=session.user.id, disposal=how.value
            )
            self._store.run(
                "UPDATE forms SET disposed_us = ?, disposed_by = ?, disposal = ? WHERE number = ?",
                form.disposed_us,
                form.disposed_by,
                form.disposal,
                number,
            )
            history.append(
                self._store,
                Event.DISPOSE,
                user=session.user.id,
                terminal=session.terminal.label,
                case=form.case,
                request_id=form.request_id,
                detail=f"{number} {how.value}",
            )
        return form


def _of_one_request(one: Proof, other: Proof) -> bool:
    a, b = decode_entry(one.entry), decode_entry(other.entry)
    return (a.party, a.request_id) == (b.party, b.request_id)


def list_forms(store: Store, printed_by: str | None) -> tuple[FormRecord, ...]:
    """The register of forms, newest first; of one user, or of all."""
    rows = store.rows(
        f"SELECT {_FORM_COLUMNS} FROM forms WHERE ? IS NULL OR printed_by = ? "  # noqa: S608 - fixed columns
        "ORDER BY number DESC LIMIT ?",
        printed_by,
        printed_by,
        LISTED_MAX,
    )
    return tuple(_form(row) for row in rows)


def proofs_since_us(store: Store) -> int:
    """Since when proofs are kept."""
    return store.now_us() - store.settings.proof_years * 366 * DAY_US


def sweep(store: Store) -> dict[str, int]:
    """Erase what is past its retention and leave no trace of it in the file; how many of what."""
    settings, now_us = store.settings, store.now_us()
    old_us = now_us - settings.opening_days * DAY_US
    records_us = now_us - settings.history_years * 366 * DAY_US
    with store.transaction():
        gone = {
            # The date it was kept under, or the setting if that was shortened since: whichever ends first.
            "openings": store.run(
                "UPDATE receipts SET opening_sealed = NULL WHERE opening_sealed IS NOT NULL "
                "AND (opening_until_us <= ? OR at_us <= ?)",
                now_us,
                old_us,
            ),
            "proofs": store.run("DELETE FROM receipts WHERE at_us <= ?", proofs_since_us(store)),
            "approval-texts": store.run(
                "UPDATE approvals SET reason_sealed = NULL, note_sealed = NULL, questions_sealed = NULL "
                "WHERE expires_us <= ? AND (reason_sealed IS NOT NULL OR note_sealed IS NOT NULL)",
                old_us,
            ),
            "approvals": store.run("DELETE FROM approvals WHERE requested_us <= ?", records_us),
            "forms": store.run("DELETE FROM forms WHERE disposed_us IS NOT NULL AND printed_us <= ?", records_us),
        }
        for what, count in gone.items():
            if count:
                history.append(store, Event.RETENTION, detail=f"{what}:{count}")
    gone["history"] = history.retire(store)
    store.forget()
    return gone


def _kept(row: tuple[Any, ...]) -> KeptReceipt:
    request_id, case, affair, step, outcome, at_us, opening_until_us, final = row
    ja, en = _words(outcome)
    return KeptReceipt(
        request_id=request_id,
        case=case,
        affair=affair,
        step=step,
        outcome=outcome,
        ja=ja,
        en=en,
        at_us=at_us,
        opening_until_us=opening_until_us,
        final=bool(final),
    )


def _form(row: tuple[Any, ...]) -> FormRecord:
    return FormRecord(**dict(zip(FormRecord.__struct_fields__, row, strict=True)))


def _words(outcome: int) -> tuple[str, str]:
    if outcome not in list(Outcome):
        return "", f"outcome {outcome}"
    return CATALOGUE[Outcome(outcome)].ja, CATALOGUE[Outcome(outcome)].en
