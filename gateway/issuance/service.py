"""The certificate centre's service (gateway.service.service.Service): what waits is looked up together and decided.

Most requests are decided by what stands of their application: one look-up for a batch, and pure functions. Two need
somebody else and get a task each: AUTHENTICATE the revocation service, DOCUMENT the municipality
(gateway.issuance.tasks).

Invariants kept here: an id that is known is never answered as if it were new; an application is acted upon only by the
operator that authenticated it, and moves only by what a block records (1, 2). Source: DESIGN sections 4, 7 and 10.
"""

from collections.abc import Callable, Sequence
from typing import Final as Const

import structlog
import trio
from cryptography import x509

from certs.errors import CardUnverifiable
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryStale
from gateway.directory.policy import Granted, Refused, Standing
from gateway.issuance import applying, completing
from gateway.issuance.authenticating import NONCE_INVALID, Authenticator, CardStatus
from gateway.issuance.bringing import Bringer, FetchFrom
from gateway.issuance.documents import Documents
from gateway.issuance.errors import IssuanceError
from gateway.issuance.finals import final_of
from gateway.issuance.forwarding import Forwarder
from gateway.issuance.incidents import Incidents
from gateway.issuance.keeping import Keeper
from gateway.issuance.looking import Seen, applications_of, look_up
from gateway.issuance.making import Made, Maker
from gateway.issuance.municipalities import Dial, Health, Municipalities
from gateway.issuance.nonce import application_id
from gateway.issuance.reading import Reader
from gateway.issuance.reconciling import Reconciler
from gateway.issuance.repeating import repeat
from gateway.issuance.states import MONEY, UNKNOWN, Move, State
from gateway.issuance.sweeping import sweep
from gateway.issuance.tasks import Result, Tasks
from gateway.ledger.recording import Final
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground
from gateway.service.papers import PaperDesk
from gateway.service.receipts import Finalities, Receipts
from gateway.service.service import UNKNOWN as UNKNOWN_OPERATION
from gateway.store.errors import StoreError
from gateway.store.issuance import EventRow, IdSeen, IssuanceStore
from gateway.store.issuance_incidents import IncidentStore
from gateway.store.ledger import LedgerStore
from gateway.store.pool import Database
from gateway.store.settlement_acts import DocumentStore
from protocol.issuance import Apply, Authenticate, Complete, Correct, Erase, Fetch, Part, Void
from protocol.messages import (
    PROOFLESS,
    Body,
    CertificateCentreBody,
    Operation,
    PapersBody,
    ReceiptQuery,
    Refusal,
    encode,
)
from protocol.outcomes import Outcome
from protocol.papers import Reconcile, ReconcilePart

log = structlog.get_logger()

BUSY_RETRY_MS: Const = 200
_OUTCOMES: Const = {
    int(Operation.COMPLETE): Outcome.COMPLETED,
    int(Operation.VOID): Outcome.VOIDED,
    int(Operation.CORRECT): Outcome.CORRECTED,
    int(Operation.ERASE): Outcome.ERASED,
}
_NOT_PLAIN: Const = ReceiptQuery | PapersBody | Reconcile | ReconcilePart


class IssuanceService:
    """One worker's service. `run` must have started before a lane is used."""

    search_rest = 0
    """Nobody's certificate waits because others fetch the parts of theirs."""
    hurried = False
    """A certificate takes some sixty milliseconds of several processes: they need the core more."""

    _tasks: Tasks
    _documents: Documents
    _municipalities: Municipalities

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
        fetch_from: FetchFrom,
    ) -> None:
        """status: judges cards; dial: gives a line to a municipality; both keys are shared by all workers.

        fetch_from: a period -> from when its confirmed data are brought.
        """
        self._fetch_from = fetch_from
        self._ground = ground
        self._database = database
        self._store = IssuanceStore(database)
        self._ledger = LedgerStore(database)
        self._receipts = Receipts(ground, ledger=self._ledger, finalities=finalities)
        self._papers = PaperDesk(ground, documents=DocumentStore(database))
        self._reconciler = Reconciler(ground, database=database)
        self._directory = directory
        self._dial = dial
        self._keeper = Keeper(pseudonym_key, random=random)
        self._authenticator = Authenticator(
            directory=directory,
            status=status,
            card_anchors=card_anchors,
            keeper=self._keeper,
            nonce_key=nonce_key,
            pseudonym_key=pseudonym_key,
            random=random,
        )
        self._reader = Reader(ground, store=self._store, directory=directory, authenticator=self._authenticator)
        self._incidents = Incidents(IncidentStore(database), now_us=ground.now_us)
        self._paying: dict[bytes, Asked] = {}
        """About money, handed over to be recorded, and not known to stand yet: by application."""

    # --- the service's protocol

    def decide(self, standing: Standing, operation: int, body: Body) -> Granted | Refused:
        """See Service."""
        if not isinstance(body, CertificateCentreBody):
            return UNKNOWN_OPERATION
        return standing.for_certificates(operation)

    def is_plain(self, asked: Asked) -> bool:
        """See Service: what would keep a turn for long gets a task of its own; proofs and settlement take reading."""
        return not isinstance(asked.body, _NOT_PLAIN)

    async def answer(self, batch: list[Asked]) -> None:
        """See Service."""
        await self._turn(batch)

    async def search(self, batch: list[Asked]) -> None:
        """See Service: receipts, what tasks came to, and what another worker recorded first."""
        await self._turn(batch)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """See Service: holds tasks and lines to municipalities, tells and brings them, destroys what expired."""
        now_us = self._ground.now_us
        async with trio.open_nursery() as nursery:
            self._tasks = Tasks(self._ground, nursery)
            self._municipalities = Municipalities(self._dial, nursery)
            self._documents = Documents(
                directory=self._directory,
                keeper=self._keeper,
                maker=Maker(
                    municipalities=self._municipalities, incidents=self._incidents, nursery=nursery, now_us=now_us
                ),
                tasks=self._tasks,
                incidents=self._incidents,
                now_us=now_us,
            )
            forwarder = Forwarder(
                database=self._database,
                directory=self._directory,
                municipalities=self._municipalities,
                incidents=self._incidents,
                now_us=now_us,
            )
            nursery.start_soon(self._incidents.run)
            nursery.start_soon(forwarder.run)
            nursery.start_soon(
                Bringer(
                    database=self._database,
                    directory=self._directory,
                    municipalities=self._municipalities,
                    incidents=self._incidents,
                    fetch_from=self._fetch_from,
                    now_us=now_us,
                ).run
            )
            nursery.start_soon(sweep, self._store, now_us)
            task_status.started()

    async def close(self) -> None:
        """See Service: nothing is held that a successor would miss."""

    def health(self) -> list[Health]:
        """Of every municipality that this worker has asked."""
        return self._municipalities.health()

    # --- a turn of either lane

    async def _turn(self, batch: list[Asked]) -> None:
        ground = self._ground
        self._tasks.forget_done(batch)
        batch = [asked for asked in batch if not asked.done]
        if not batch:
            return
        try:
            seen = await look_up(batch, store=self._store, ground=ground)
            await ground.load_months(batch)
        except (StoreError, DirectoryStale) as error:
            ground.unavailable(batch, error.code)
            return
        except Exception as error:
            log.error("batch_failed", exc_info=True)
            ground.unavailable(batch, type(error).__name__)
            return
        papers = [asked for asked in batch if self._papers.serves(asked)]
        if papers:
            await self._papers.show(papers)
        finals: list[Final] = []
        parts: list[tuple[Asked, Part]] = []
        for asked, known in zip(batch, seen.ids, strict=True):
            if self._papers.serves(asked):
                continue
            try:
                made = await self._one(asked, known, seen, ground.now_us())
            except (StoreError, IssuanceError) as error:
                ground.unavailable([asked], error.code)
            except Exception as error:
                log.error("request_failed", exc_info=True)
                ground.unavailable([asked], type(error).__name__)
            else:
                if isinstance(made, Final):
                    finals.append(made)
                elif made is not None:
                    parts.append((asked, made))
        if finals:
            ground.outlet.record(finals)
        if parts:
            await self._reader.hand_out(parts)

    async def _one(self, asked: Asked, known: IdSeen | None, seen: Seen, now_us: int) -> Final | Part | None:
        """A final to be recorded, a part to be handed out, or None for what was settled or goes on."""
        ground = self._ground
        if isinstance(asked.body, ReceiptQuery):
            await self._receipts.receipt(asked, asked.body)
            return None
        if isinstance(asked.body, ReconcilePart):
            await self._reconciler.hold(asked, asked.body)
            return None
        if asked.request.operation in PROOFLESS:
            return self._reader.show(asked, seen, now_us)
        result = self._tasks.take(asked)
        if known is not None:
            await ground.load_months([asked], known=True)
            return await repeat(asked, known, ground=ground, ledger=self._ledger, states=seen.states)
        if asked.off_clock is not None:
            ground.outlet.settle(asked, Outcome(asked.off_clock), EMPTY)
            return None
        if isinstance(asked.decision, Refused):
            return ground.refusal(asked, asked.decision, now_us, matter=seen.kind(asked))
        decided = await self._decided(asked, seen, result, now_us)
        if decided is None:
            return None
        if isinstance(decided, Outcome):
            ground.outlet.settle(asked, decided, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
            return None
        if isinstance(decided, Refused):
            return ground.refusal(asked, decided, now_us, matter=seen.kind(asked))
        if isinstance(decided, EventRow):
            # Said before under another id: said again, and nothing is recorded of it twice.
            return ground.free(
                asked, _OUTCOMES[asked.request.operation], decided.answer, now_us, matter=seen.kind(asked)
            )
        return self._final(asked, decided)

    async def _decided(
        self, asked: Asked, seen: Seen, result: Result | None, now_us: int
    ) -> Move | EventRow | Refused | Outcome | None:
        """What is to become of a new request that policy lets pass; None: a task is at it."""
        body, request = asked.body, asked.request.body
        if isinstance(body, Authenticate):
            return self._authenticate(asked, body, seen, result, now_us)
        if isinstance(body, Reconcile):
            if isinstance(result, Refused | Outcome):
                return result
            return self._tasks.begin(asked, lambda: self._reconciler.reconcile(asked, body))
        if not isinstance(body, Apply | Fetch | Complete | Void | Correct | Erase):
            return UNKNOWN_OPERATION
        state = seen.mine(asked, applications_of(body)[0])
        if state is None:
            return UNKNOWN
        if isinstance(body, Fetch):
            return await self._documents.decide(asked, state, seen, result, now_us)
        if isinstance(body, Apply):
            return self._apply(body, state, seen, request, now_us)
        if isinstance(body, Complete):
            return completing.complete(state, body, request=request, now_us=now_us)
        if isinstance(body, Void):
            return completing.void(state, body, request=request, now_us=now_us)
        if isinstance(body, Correct):
            return completing.correct(state, body, request=request, now_us=now_us)
        return completing.erase(state, body, request=request, now_us=now_us)

    def _apply(self, body: Apply, state: State, seen: Seen, request: bytes, now_us: int) -> Move | Refused:
        kept = seen.bodies.get(state.id)
        return applying.apply(
            state,
            body,
            authentication=self._keeper.open(state.id, kept) if kept is not None else None,
            directory=self._directory(),
            request=request,
            now_us=now_us,
        )

    def _authenticate(
        self, asked: Asked, body: Authenticate, seen: Seen, result: Result | None, now_us: int
    ) -> Move | Refused | Outcome | None:
        if application_id(body.nonce) in seen.states:
            return NONCE_INVALID
        if result is not None and not isinstance(result, Made):
            return result
        why = self._authenticator.refuses(asked.party, body, now_us=now_us)
        return why or self._tasks.begin(asked, lambda: self._check_card(asked, body))

    async def _check_card(self, asked: Asked, body: Authenticate) -> Result:
        try:
            return await self._authenticator.authenticate(
                asked.party, body, request=asked.request.body, now_us=self._ground.now_us()
            )
        except CardUnverifiable:
            log.warning("card_unverifiable", party=asked.party)
            return Outcome.CARD_UNVERIFIABLE

    def _final(self, asked: Asked, move: Move) -> Final | None:
        """What records a move; one about money waits for the one before it, because it is decided upon it."""
        ground = self._ground
        if move.transition in MONEY:
            before = self._paying.get(move.application)
            if before is not None and before is not asked and not before.done:
                ground.outlet.settle(asked, Outcome.PENDING, encode(Refusal(retry_after_ms=BUSY_RETRY_MS)))
                return None
            self._paying = {key: each for key, each in self._paying.items() if not each.done}
            self._paying[move.application] = asked
        return final_of(asked, move, month_key=ground.month_of(asked))
