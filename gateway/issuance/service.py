"""The certificate centre's service (gateway.service.service.Service): what waits is looked up together and decided.

Most requests are decided by what stands of their application: one look-up for a batch, and pure functions. Two need
somebody else and get a task each: AUTHENTICATE the revocation service, DOCUMENT the municipality. What comes of a task
goes through the lane again, so that it is decided upon what stands then, and recorded like everything else.

Invariants kept here: an id that is known is never answered as if it were new; an application is acted upon only by the
operator that authenticated it, and moves only by what a block records; a municipality is asked only for what is
recorded (1, 2, 3). Source: DESIGN sections 4, 7 and 10.
"""

from collections.abc import Callable, Sequence
from typing import Final as Const
from typing import NamedTuple

import structlog
import trio
from cryptography import x509

from certs.errors import CardUnverifiable
from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused, Standing
from gateway.issuance import applying, completing
from gateway.issuance.authenticating import NONCE_INVALID, Authenticator, CardStatus
from gateway.issuance.errors import IssuanceError, MunicipalityAway, StateCorrupt, Withheld
from gateway.issuance.forwarding import Forwarder
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.making import Made, Maker
from gateway.issuance.municipalities import Dial, Health, Municipalities
from gateway.issuance.nonce import application_id
from gateway.issuance.reading import GONE, part_refused, status
from gateway.issuance.repeating import repeat
from gateway.issuance.states import EXPIRED, MONEY, UNKNOWN, Move, State, refused, session_of
from gateway.issuance.sweeping import sweep
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.finals import make_final
from gateway.service.ground import EMPTY, Ground
from gateway.service.receipts import Finalities, Receipts
from gateway.service.service import UNKNOWN as UNKNOWN_OPERATION
from gateway.store.errors import StoreError
from gateway.store.issuance import EventRow, IdSeen, IssuanceStore
from gateway.store.issuance_incidents import IncidentStore
from gateway.store.ledger import LedgerStore
from gateway.store.pool import Database
from protocol.application import Transition, claim_turn
from protocol.commitment import commitment_key, request_commitment
from protocol.issuance import (
    PART_BYTES,
    Apply,
    Authenticate,
    Challenge,
    Complete,
    Correct,
    Erase,
    Fetch,
    MenuQuery,
    Part,
    StatusQuery,
    Void,
)
from protocol.messages import PROOFLESS, Body, CertificateCentreBody, Operation, ReceiptQuery, Refusal, encode
from protocol.outcomes import Outcome

log = structlog.get_logger()

TASKS_MAX: Const = 512
"""Applications of one worker that wait for a revocation service or a municipality."""
BUSY_RETRY_MS: Const = 200
_NOT_NOW: Const = refused(Outcome.APPLICATION_STATE, "application", "ask STATUS where it stands")

Result = Move | Made | Refused | Outcome
"""What a task came to; an Outcome is a transient one."""


class _Seen(NamedTuple):
    """What one look-up found for a batch."""

    ids: list[IdSeen | None]
    states: dict[bytes, State]
    bodies: dict[bytes, bytes]


class IssuanceService:
    """One worker's service."""

    def __init__(
        self,
        ground: Ground,
        *,
        database: Database,
        finalities: Finalities,
        directory: Callable[[], Directory],
        status: CardStatus,
        card_anchors: Sequence[x509.Certificate],
        dial: Dial,
        nonce_key: bytes,
        pseudonym_key: bytes,
        random: Callable[[int], bytes],
    ) -> None:
        self._ground = ground
        self._database = database
        self._store = IssuanceStore(database)
        self._ledger = LedgerStore(database)
        self._receipts = Receipts(ground, ledger=self._ledger, finalities=finalities)
        self._directory = directory
        self._dial = dial
        self._authenticator = Authenticator(
            directory=directory,
            status=status,
            card_anchors=card_anchors,
            nonce_key=nonce_key,
            pseudonym_key=pseudonym_key,
            random=random,
        )
        self._incidents = Incidents(IncidentStore(database), now_us=ground.now_us)
        self._tasks: dict[tuple[str, bytes], Asked] = {}
        self._results: dict[tuple[str, bytes], Result] = {}
        self._moving: dict[tuple[bytes, bool], Asked] = {}
        """Handed over to be recorded and not known to stand yet: by application, and whether it is about money."""
        self._nursery: trio.Nursery | None = None
        self._maker: Maker
        self._municipalities: Municipalities

    # --- the service's protocol

    def decide(self, standing: Standing, operation: int, body: Body) -> Granted | Refused:
        """See Service."""
        if not isinstance(body, CertificateCentreBody):
            return UNKNOWN_OPERATION
        return standing.for_certificates(operation)

    def is_plain(self, asked: Asked) -> bool:
        """See Service: nothing here keeps a turn for long; what would gets a task of its own."""
        return not isinstance(asked.body, ReceiptQuery)

    async def answer(self, batch: list[Asked]) -> None:
        """See Service."""
        await self._turn(batch)

    async def search(self, batch: list[Asked]) -> None:
        """See Service: receipts, what tasks came to, and what another worker recorded first."""
        await self._turn(batch)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See Service: holds the lines to municipalities, forwards reports, destroys what expired."""
        async with trio.open_nursery() as nursery:
            self._municipalities = Municipalities(self._dial, nursery)
            self._maker = Maker(
                municipalities=self._municipalities,
                incidents=self._incidents,
                nursery=nursery,
                now_us=self._ground.now_us,
            )
            forwarder = Forwarder(
                database=self._database,
                directory=self._directory,
                municipalities=self._municipalities,
                incidents=self._incidents,
                now_us=self._ground.now_us,
            )
            self._nursery = nursery
            nursery.start_soon(self._incidents.run)
            nursery.start_soon(forwarder.run)
            nursery.start_soon(sweep, self._store, self._ground.now_us)
            task_status.started()
        self._nursery = None

    async def close(self) -> None:
        """See Service: nothing is held that a successor would miss."""

    def health(self) -> list[Health]:
        """Of every municipality that this worker has asked."""
        return self._municipalities.health() if self._nursery is not None else []

    # --- a turn of either lane

    async def _turn(self, batch: list[Asked]) -> None:
        batch = [asked for asked in batch if not self._dropped(asked)]
        if not batch:
            return
        ground = self._ground
        try:
            seen = await self._look_up(batch)
            await ground.load_months(batch)
        except (StoreError, DirectoryStale) as error:
            ground.unavailable(batch, error.code)
            return
        except Exception as error:
            log.error("batch_failed", exc_info=True)
            ground.unavailable(batch, type(error).__name__)
            return
        finals: list[Final] = []
        now_us = ground.now_us()
        parts: list[tuple[Asked, Part]] = []
        for asked, known in zip(batch, seen.ids, strict=True):
            try:
                if isinstance(asked.body, Part) and isinstance(asked.decision, Granted):
                    self._part(asked, asked.body, seen, now_us, parts)
                    continue
                final = await self._one(asked, known, seen, now_us)
            except (StoreError, IssuanceError) as error:
                ground.unavailable([asked], error.code)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                ground.unavailable([asked], type(error).__name__)
            else:
                if final is not None:
                    finals.append(final)
        if finals:
            ground.outlet.record(finals)
        if parts:
            await self._hand_out(parts)

    def _dropped(self, asked: Asked) -> bool:
        if asked.done:
            self._results.pop(_key(asked), None)
        return asked.done

    async def _look_up(self, batch: list[Asked]) -> _Seen:
        """Raises: StoreError; DirectoryStale; StateCorrupt."""
        version, ids = await self._store.claims([(asked.party, asked.request.request_id) for asked in batch])
        if version is None:
            raise DirectoryStale(held=0, seen=0)
        await self._ground.confirm(batch, version)
        wanted = dict.fromkeys(each for asked in batch for each in _applications(asked.body))
        rows = await self._store.states(list(wanted))
        states: dict[bytes, State] = {}
        for key, (row, events) in rows.items():
            try:
                states[key] = State(row, {e.transition: e for e in events})
            except StateCorrupt as error:
                log.error("application_corrupt", application=key.hex(), reason=error.ground)
        needing = {
            application: None
            for asked in batch
            if isinstance(asked.body, Apply | Fetch)
            for application in _applications(asked.body)
        }
        bodies = await self._store.authentications(list(needing)) if needing else {}
        return _Seen(ids, states, bodies)

    async def _one(self, asked: Asked, known: IdSeen | None, seen: _Seen, now_us: int) -> Final | None:
        ground = self._ground
        if isinstance(asked.body, ReceiptQuery):
            await self._receipts.receipt(asked, asked.body)
            return None
        if asked.request.operation in PROOFLESS:
            self._unrecorded(asked, seen, now_us)
            return None
        if known is not None:
            await ground.load_months([asked], known=True)
            return await repeat(asked, known, ground=ground, ledger=self._ledger, states=seen.states)
        if asked.off_clock is not None:
            ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
            return None
        decided = await self._decided(asked, seen, now_us)
        if decided is None:
            return None
        if isinstance(decided, Outcome):
            ground.outlet.settle(asked, decided, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
            return None
        if isinstance(decided, Refused):
            return ground.refusal(asked, decided, now_us, matter=_matter(asked, seen))
        if isinstance(decided, EventRow):
            # Said before under another id: said again, and nothing is recorded of it twice.
            return ground.free(asked, _OUTCOMES[asked.request.operation], decided.answer, now_us)
        return self._record(asked, decided)

    def _record(self, asked: Asked, move: Move) -> Final | None:
        """The final of a move; one about money waits for the one before it, because it is decided upon it."""
        ground = self._ground
        thread = (move.application, move.transition in MONEY)
        before = self._moving.get(thread)
        if thread[1] and before is not None and before is not asked and not before.done:
            ground.outlet.settle(asked, Outcome.PENDING, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
            return None
        if len(self._moving) > TASKS_MAX:
            self._moving = {key: each for key, each in self._moving.items() if not each.done}
        self._moving[thread] = asked
        return make_final(
            asked,
            month_key=ground.month_of(asked),
            outcome=move.outcome,
            body=move.answer,
            yen=move.yen,
            commission=move.commission,
            at_us=move.at_us,
            matter=move.kind,
            counterparty=move.counterparty,
            terms=move.terms,
            also=[_claim(asked, move, ground.month_of(asked))],
            provided=move,
            delivery=move.delivery,
            certificate=True,
        )

    # --- what is decided

    async def _decided(self, asked: Asked, seen: _Seen, now_us: int) -> Move | EventRow | Refused | Outcome | None:
        """None: a task is at it."""
        result = self._results.pop(_key(asked), None)
        if isinstance(asked.decision, Refused):
            return asked.decision
        body = asked.body
        if isinstance(body, Authenticate):
            return self._authenticate(asked, body, seen, result, now_us)
        if not isinstance(body, Apply | Fetch | Complete | Void | Correct | Erase):
            return UNKNOWN_OPERATION
        state = self._mine(asked, _applications(body)[0], seen)
        if state is None:
            return UNKNOWN
        request = asked.request.body
        if isinstance(body, Fetch):
            return await self._document(asked, state, seen, result, now_us)
        if isinstance(body, Apply):
            kept = seen.bodies.get(state.id)
            return applying.apply(
                state,
                body,
                authentication=session_of(kept) if kept is not None else None,
                directory=self._directory(),
                request=request,
                now_us=now_us,
            )
        if isinstance(body, Complete):
            return completing.complete(state, body, request=request, now_us=now_us)
        if isinstance(body, Void):
            return completing.void(state, body, request=request, now_us=now_us)
        if isinstance(body, Correct):
            return completing.correct(state, body, request=request, now_us=now_us)
        return completing.erase(state, body, request=request, now_us=now_us)

    @staticmethod
    def _mine(asked: Asked, application: bytes, seen: _Seen) -> State | None:
        """Only the operator that authenticated an application knows it."""
        state = seen.states.get(application)
        return state if state is not None and state.application.operator == asked.party else None

    def _authenticate(
        self, asked: Asked, body: Authenticate, seen: _Seen, result: Result | None, now_us: int
    ) -> Move | Refused | Outcome | None:
        if application_id(body.nonce) in seen.states:
            return NONCE_INVALID
        if isinstance(result, Move | Refused | Outcome):
            return result
        why = self._authenticator.refuses(asked.party, body, now_us=now_us)
        return why or self._begin(asked, self._check_card, body)

    async def _check_card(self, asked: Asked, body: Authenticate) -> Result:
        try:
            return await self._authenticator.authenticate(
                asked.party, body, request=asked.request.body, now_us=self._ground.now_us()
            )
        except CardUnverifiable:
            log.warning("card_unverifiable", party=asked.party)
            return Outcome.CARD_UNVERIFIABLE

    async def _document(
        self, asked: Asked, state: State, seen: _Seen, result: Result | None, now_us: int
    ) -> Move | Refused | Outcome | None:
        thread = (state.id, False)
        if state.event(Transition.ISSUED) is not None:
            if isinstance(result, Made) or self._moving.get(thread) is asked:
                row = state.application
                await self._incidents.open(
                    IncidentKind.DUPLICATE, municipality=row.municipality, application=state.id, detail="made-twice"
                )
            return _NOT_NOW
        why = state.refuses(Transition.ISSUED, now_us)
        if why is not None:
            return why
        if isinstance(result, Made):
            return self._issued(asked, state, result, now_us)
        if isinstance(result, Refused | Outcome):
            return result
        before = self._moving.get(thread)
        if before is not None and before is not asked and not before.done:
            return Outcome.PENDING
        kept = seen.bodies.get(state.id)
        if kept is None:
            return EXPIRED
        self._moving[thread] = asked
        return self._begin(asked, self._make, (state, session_of(kept)))

    async def _make(self, asked: Asked, wanted: tuple[State, Authenticate]) -> Result:
        state, authentication = wanted
        now_us, directory = self._ground.now_us(), self._directory()
        place = offers.municipality_of(directory, state.application.municipality)
        if place is None or not place.trust:
            return refused(Outcome.NOT_PARTICIPATING, "municipality", "this municipality has left")
        try:
            return await self._maker.make(
                state,
                place=place,
                authentication=authentication,
                kits=offers.kits_in_force(directory, now_us),
                deadline=asked.deadline,
            )
        except MunicipalityAway as error:
            log.warning("municipality_away", municipality=place.code, reason=error.ground)
            return Outcome.BUSY if error.ground == "full" else Outcome.UNAVAILABLE
        except Withheld:
            return Outcome.DOCUMENT_WITHHELD

    @staticmethod
    def _issued(asked: Asked, state: State, made: Made, now_us: int) -> Move:
        row, applied = state.application, state.applied
        return Move(
            application=state.id,
            operator=row.operator,
            municipality=row.municipality,
            transition=Transition.ISSUED,
            outcome=Outcome.ISSUED,
            request=asked.request.body,
            answer=encode(made.issued),
            at_us=state.after(now_us),
            kind=state.kind,
            counterparty=applied.counterparty,
            kiosk=row.kiosk,
            terms=applied.terms,
            sealed=made.sealed,
            expires_at_us=row.expires_at_us,
        )

    # --- tasks

    def _begin(self, asked: Asked, work: Callable[..., object], what: object) -> Outcome | None:
        key = _key(asked)
        if key in self._tasks:
            return None  # the same request came again by another lane; its task is at it
        if self._nursery is None or len(self._tasks) >= TASKS_MAX:
            return Outcome.BUSY
        self._tasks[key] = asked
        self._nursery.start_soon(self._task, key, asked, work, what)
        return None

    async def _task(self, key: tuple[str, bytes], asked: Asked, work: Callable[..., object], what: object) -> None:
        try:
            result = await work(asked, what)  # type: ignore[misc]
        except Exception as error:
            log.error("request_failed", exc_info=True)
            self._ground.unavailable([asked], type(error).__name__)
            return
        finally:
            del self._tasks[key]
        if not asked.done:
            self._results[key] = result
            self._ground.outlet.to_search([asked])

    # --- what is not recorded

    def _unrecorded(self, asked: Asked, seen: _Seen, now_us: int) -> None:
        settle = self._ground.outlet.settle
        decision, body = asked.decision, asked.body
        if asked.off_clock is not None:
            settle(asked, Outcome(asked.off_clock), EMPTY)
        elif isinstance(decision, Refused):
            self._refuse(asked, decision)
        elif isinstance(body, Challenge):
            made = self._authenticator.challenge(operator=asked.party, kiosk=body.kiosk, now_us=now_us)
            settle(asked, Outcome.CHALLENGED, encode(made))
        elif isinstance(body, StatusQuery):
            settle(asked, Outcome.STATUS, status(body, seen.states, asked.party))
        elif isinstance(body, MenuQuery):
            shown = offers.menu(
                self._directory(),
                operator=asked.party,
                municipality=body.municipality,
                card_type=body.card_type,
                at_us=now_us,
            )
            if isinstance(shown, Refused):
                self._refuse(asked, shown)
            else:
                settle(asked, Outcome.MENU, encode(shown))
        else:
            raise StateCorrupt("an operation that is not recorded has no answer")

    def _refuse(self, asked: Asked, why: Refused) -> None:
        self._ground.outlet.settle(asked, why.outcome, encode(Refusal(why.field, why.remedy)))

    def _part(self, asked: Asked, body: Part, seen: _Seen, now_us: int, parts: list[tuple[Asked, Part]]) -> None:
        if asked.off_clock is not None:
            self._ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
            return
        why = part_refused(self._mine(asked, body.application, seen), body, now_us)
        if why is not None:
            self._refuse(asked, why)
        else:
            parts.append((asked, body))

    async def _hand_out(self, parts: list[tuple[Asked, Part]]) -> None:
        wanted = [(body.application, body.index * PART_BYTES, PART_BYTES) for _, body in parts]
        try:
            found = await self._store.parts(wanted)
        except StoreError as error:
            self._ground.unavailable([asked for asked, _ in parts], error.code)
            return
        for (asked, _), data in zip(parts, found, strict=True):
            if data:
                self._ground.outlet.settle(asked, Outcome.PART, data)
            else:
                self._refuse(asked, GONE)


_OUTCOMES: Const = {
    int(Operation.COMPLETE): Outcome.COMPLETED,
    int(Operation.VOID): Outcome.VOIDED,
    int(Operation.CORRECT): Outcome.CORRECTED,
    int(Operation.ERASE): Outcome.ERASED,
}


def _claim(asked: Asked, move: Move, month_key: bytes) -> tuple[str, bytes, int, bytes]:
    """What makes a transition happen once, whatever is sent again under whatever id."""
    request = asked.request
    key = commitment_key(month_key, asked.party, request.request_id)
    commitment = request_commitment(key, request.operation, request.body)
    return asked.party, move.application, claim_turn(move.transition), commitment


def _key(asked: Asked) -> tuple[str, bytes]:
    return asked.party, asked.request.request_id


def _applications(body: Body | None) -> list[bytes]:
    """The applications a body is about."""
    if isinstance(body, Apply):
        return [body.statement.application]
    if isinstance(body, Fetch | Part | Complete | Void | Correct | Erase):
        return [body.application]
    if isinstance(body, StatusQuery):
        return body.applications
    if isinstance(body, Authenticate):
        return [application_id(body.nonce)]
    return []


def _matter(asked: Asked, seen: _Seen) -> str:
    """The kind of an application that stands, for the entry of a refusal; never text of the request's own."""
    for application in _applications(asked.body):
        state = seen.states.get(application)
        if state is not None and state.application.operator == asked.party:
            return state.kind
    return ""
