"""The ministry server's desk, put together: the one implementation of gateway.peers.ministry.desk.Desk.

`running_desk` opens the store and keeps the clocks going: sessions are looked after every second, proofs go into
the book and the finality of receipts is fetched every few seconds, retention is swept every hour. Cancelled, it ends
every session first, so that the history has the erasure of all that was shown.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
import trio

from gateway.line.dial import LineClient
from gateway.peers.ministry import history, paper, people
from gateway.peers.ministry.affairs import AFFAIRS
from gateway.peers.ministry.approvals import Approvals
from gateway.peers.ministry.counter import Counter
from gateway.peers.ministry.desk import (
    AffairChoice,
    Caller,
    Desk,
    Event,
    HistoryFilter,
    HistoryPage,
    PrintedForm,
    Right,
    Status,
    UserView,
)
from gateway.peers.ministry.errors import DeskRefused, Why
from gateway.peers.ministry.gate import Gate, Session
from gateway.peers.ministry.paper import Papers
from gateway.peers.ministry.people import PeopleError
from gateway.peers.ministry.showing import Shown
from gateway.peers.ministry.store import Store
from gateway.peers.proof_book import ProofBook, ProofBookError, month_of
from protocol.messages import NoticeKind
from protocol.trust import Trust

log = structlog.get_logger()

TICK_S: Final = 1.0
FINALITY_S: Final = 5.0
SWEEP_S: Final = 3600.0
NOTICES_SHOWN_MAX: Final = 5
TEST_ENVIRONMENT: Final = "test"


class MinistryDesk:
    """The desk over an open store and line."""

    def __init__(self, store: Store, line: LineClient, trust: Trust, *, party: str, book: ProofBook) -> None:
        self._store = store
        self._line = line
        self._trust = trust
        self._party = party
        self._book = book
        gate = self._gate = Gate(store, Shown)
        papers = self._papers = Papers(store, gate, trust)
        counter = self._counter = Counter(store, gate, papers, line)
        approvals = self._approvals = Approvals(store, gate, counter, papers, line)
        # Each part answers for its own; the desk only knows which.
        self.terminal, self.sign_in, self.second_factor = gate.terminal, gate.sign_in, gate.second_factor
        self.session, self.lock, self.unlock, self.sign_out = gate.session, gate.lock, gate.unlock, gate.sign_out
        self.search, self.held, self.view, self.erase = counter.search, counter.held, counter.view, counter.erase
        self.request_approval, self.inbox, self.approval = (
            approvals.request_approval,
            approvals.inbox,
            approvals.approval,
        )
        self.approve, self.reject, self.run_approved = approvals.approve, approvals.reject, approvals.run_approved
        self.forms, self.dispose_form = papers.forms, papers.dispose_form
        self.receipts, self.receipt_file, self.verify_receipt = (
            papers.receipts,
            papers.receipt_file,
            papers.verify_receipt,
        )

    def affairs(self) -> tuple[AffairChoice, ...]:
        """Desk.affairs."""
        return AFFAIRS

    async def print_form(self, caller: Caller, request_id: str, *, copies: int = 1) -> PrintedForm:
        """Desk.print_form."""
        session = self._gate.at(caller)
        holding = session.holding
        if not isinstance(holding, Shown):
            raise DeskRefused(Why.NOT_HELD)
        answer, my_number = holding.get(request_id)
        with self._store.transaction():
            case = answer.question.case.strip()
            form = self._papers.number_form(session, request_id=request_id, case=case, copies=copies)
            history.append(
                self._store,
                Event.PRINT,
                user=session.user.id,
                terminal=session.terminal.label,
                affair=answer.question.affair,
                step=answer.question.step,
                case=case,
                request_id=request_id,
                detail=f"{form.number} {copies}",
                my_number=my_number,
            )
        return PrintedForm(form=form, answer=answer)

    async def own_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        """Desk.own_history."""
        session = self._gate.at(caller)
        return history.read(self._store, msgspec.structs.replace(query, user=session.user.id))

    async def all_history(self, caller: Caller, query: HistoryFilter) -> HistoryPage:
        """Desk.all_history."""
        session = self._manager(caller)
        history.append(self._store, Event.HISTORY, user=session.user.id, terminal=session.terminal.label)
        return history.read(self._store, query)

    async def users(self, caller: Caller) -> tuple[UserView, ...]:
        """Desk.users."""
        self._manager(caller)
        return tuple(user.view() for user in people.all_users(self._store))

    async def lock_user(self, caller: Caller, user: str) -> None:
        """Desk.lock_user."""
        session = self._manager(caller)
        self._set_lock(session, user, people.FOR_EVER_US)
        self._gate.end_of_user(user, Why.USER_LOCKED.value)

    async def unlock_user(self, caller: Caller, user: str) -> None:
        """Desk.unlock_user."""
        session = self._manager(caller)
        if user == session.user.id:
            raise DeskRefused(Why.OWN_REQUEST)
        self._set_lock(session, user, None)

    def status(self) -> Status:
        """Desk.status."""
        notices = [each.text for each in self._line.notices if each.kind != NoticeKind.CHECKPOINT and each.text]
        return Status(
            connected=bool(self._line.open_slots),
            environment=self._trust.environment,
            test=self._trust.environment == TEST_ENVIRONMENT,
            party=self._party,
            notices=tuple(notices[-NOTICES_SHOWN_MAX:]),
        )

    # --- what goes on by itself

    def tick(self) -> None:
        """What is due now: idle locks, ends, erasures, expired approvals."""
        self._gate.tick()
        self._approvals.tick()

    async def run(self) -> None:
        """Keep the clocks going until cancelled; then end every session."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_every, TICK_S, self.tick)
                nursery.start_soon(self._make_final)
                nursery.start_soon(_every, SWEEP_S, lambda: _sweep(self._store, self._book))
        finally:
            self._gate.end_all("server-stop")
            history.append(self._store, Event.SERVER, detail="stop")

    async def _make_final(self) -> None:
        while True:
            await trio.sleep(FINALITY_S)
            try:
                self._papers.book_proofs(self._book)
                await self._papers.make_final(self._line, self._book)
            except ProofBookError as error:  # the proofs stay where they are
                log.warning("proofs_not_booked", code=error.code)

    def _manager(self, caller: Caller) -> Session:
        session = self._gate.at(caller)
        session.require(Right.MANAGE)
        return session

    def _set_lock(self, session: Session, user: str, until_us: int | None) -> None:
        with self._store.transaction():
            try:
                people.set_lock(self._store, user, until_us)
            except PeopleError as error:
                raise DeskRefused(Why.NOT_FOUND, field="user") from error
            detail = f"{'unlock' if until_us is None else 'lock'} {user}"
            history.append(
                self._store, Event.USER, user=session.user.id, terminal=session.terminal.label, detail=detail
            )


@asynccontextmanager
async def running_desk(
    store: Store, line: LineClient, trust: Trust, *, party: str, book: ProofBook
) -> AsyncIterator[Desk]:
    """A desk whose clocks go."""
    desk = MinistryDesk(store, line, trust, party=party, book=book)
    history.append(store, Event.SERVER, detail="start")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.run)
        try:
            yield desk
        finally:
            nursery.cancel_scope.cancel()


async def _every(seconds: float, do: Callable[[], None]) -> None:
    while True:
        try:
            do()
        except sqlite3.OperationalError:  # another program holds the file; the next round does what is due
            log.warning("store_busy")
        except ProofBookError as error:
            log.warning("proofs_not_swept", code=error.code)
        await trio.sleep(seconds)


def _sweep(store: Store, book: ProofBook) -> None:
    gone = paper.sweep(store)
    gone["proof-months"] = book.drop(month_of(paper.proofs_since_us(store)))
    log.info("retention_swept", count=sum(gone.values()))
