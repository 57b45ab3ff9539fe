"""A past month at the certificate centre, recorded as if it had happened.

What is decided, priced and recorded is so by the very functions that a worker uses: the directory's standing and price,
the states of an application, the finals with their claims, the recorder and what rides with its blocks. What is
synthetic (合成データ) is who came when, and that no card was seen and no document made. Each answer comes back with its
proof, as a relay would keep it.

For demonstrations and tests of settlement. Source: DESIGN sections 10 and 11.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.app.synthetic_business import Step, Visit, issued_answer
from gateway.app.synthetic_ledger import DEADLINE_MS, PastLedger, PastNotRecorded, Told
from gateway.directory import offers
from gateway.directory.directory import Directory
from gateway.directory.hours import jst_date
from gateway.directory.model import Role
from gateway.directory.policy import Refused
from gateway.issuance import completing
from gateway.issuance.applying import applied
from gateway.issuance.finals import final_of
from gateway.issuance.states import Move, State
from gateway.ledger.recording import Final as Recorded
from gateway.service.ground import EMPTY
from gateway.store.issuance import ApplicationRow, EventRow, Opening
from protocol.application import Transition
from protocol.certificates import CardType
from protocol.issuance import Apply, Authenticated, Complete, Correct, Erase, Void
from protocol.limits import RESPONSES_PER_FRAME_MAX
from protocol.messages import Request, encode
from protocol.outcomes import Outcome

APPLICATION_US: Final = 600_000_000


class CertificateMonth:
    """Plays a plan into a certificate centre's ledger, in its order, as far as it is told."""

    def __init__(self, ledger: PastLedger, directory: Directory, steps: Sequence[Step]) -> None:
        self._ledger = ledger
        self._directory = directory
        self._steps = list(steps)
        self._next = 0
        self._states: dict[bytes, tuple[ApplicationRow, dict[int, EventRow]]] = {}

    async def play(self, until_us: int) -> AsyncIterator[list[Told]]:
        """Record what came to the centre before a time, a block at a time, and cover each day by a checkpoint.

        Raises: PastNotRecorded, StoreError, HsmError.
        """
        while self._next < len(self._steps) and self._steps[self._next].at_us < until_us:
            first = self._steps[self._next]
            batch = []
            for step in self._steps[self._next : self._next + RESPONSES_PER_FRAME_MAX]:
                if step.at_us >= until_us or jst_date(step.at_us) != jst_date(first.at_us):
                    break
                batch.append(step)
            self._next += len(batch)
            yield await self._record(batch)
            following = self._steps[self._next] if self._next < len(self._steps) else None
            if following is None or jst_date(following.at_us) != jst_date(first.at_us):
                await self._ledger.checkpoint()

    async def _record(self, batch: Sequence[Step]) -> list[Told]:
        self._ledger.clock.set(batch[-1].at_us)
        requests = [Request(step.request_id, step.operation, DEADLINE_MS, encode(step.body)) for step in batch]
        finals = [
            await self._final(step, request, index)
            for index, (step, request) in enumerate(zip(batch, requests, strict=True))
        ]
        answered = await self._ledger.record(finals)
        return [Told(request, each) for request, each in zip(requests, answered, strict=True)]

    async def _final(self, step: Step, request: Request, index: int) -> Recorded:
        shop = step.visit.shop
        decision = self._directory.standing(Role.CERTIFICATE, shop.operator, shop.line, step.at_us).for_certificates(
            step.operation
        )
        asked = self._ledger.asked(shop.operator, shop.line, request, step.body, decision)
        month_key = await self._ledger.months.load(request.request_id)
        move = self._move(step, request.body)
        self._stand(step, move.event(index))
        return final_of(asked, move, month_key=month_key)

    def _stand(self, step: Step, event: EventRow) -> None:
        _, events = self._states.setdefault(step.visit.application, (_row(step.visit), {}))
        events[event.transition] = event

    def _move(self, step: Step, request: bytes) -> Move:
        visit, body, now_us = step.visit, step.body, step.at_us
        if step.transition == Transition.AUTHENTICATED:
            return self._authenticated(visit, now_us)
        state = State(*self._states[visit.application])
        if isinstance(body, Apply):
            return self._applied(state, body, request, now_us)
        decided: completing.Decided
        match body:
            case Complete():
                decided = completing.complete(state, body, request=request, now_us=now_us)
            case Void():
                decided = completing.void(state, body, request=request, now_us=now_us)
            case Correct():
                decided = completing.correct(state, body, request=request, now_us=now_us)
            case Erase():
                # Nobody's kiosk signed it: the attestation is not looked at, all else of an erasure is the same.
                return self._beside(state, step, request, Outcome.ERASED, EMPTY, erases=True)
            case _:
                return self._beside(state, step, request, Outcome.ISSUED, issued_answer(visit))
        if not isinstance(decided, Move):
            raise PastNotRecorded(f"visit {visit.number}, {step.operation.name}: {decided}")
        return decided

    def _authenticated(self, visit: Visit, now_us: int) -> Move:
        place = offers.municipality_of(self._directory, visit.municipality)
        expires_at_us = now_us + APPLICATION_US
        return Move(
            application=visit.application,
            operator=visit.shop.operator,
            municipality=visit.municipality,
            transition=Transition.AUTHENTICATED,
            outcome=Outcome.AUTHENTICATED,
            request=b"",
            answer=encode(Authenticated(visit.application, expires_at_us)),
            at_us=now_us,
            counterparty=place.party if place else "",
            kiosk=visit.shop.kiosk,
            opening=Opening(_row(visit), visit.nonce, b""),
        )

    def _applied(self, state: State, body: Apply, request: bytes, now_us: int) -> Move:
        row, statement = state.application, body.statement
        priced = offers.price(
            self._directory, operator=row.operator, statement=statement, card_type=row.card_type, at_us=now_us
        )
        if isinstance(priced, Refused):
            raise PastNotRecorded(f"an application for {statement.kind} was refused: {priced.outcome.name}")
        return applied(state, statement, priced, request=request, now_us=now_us)

    def _beside(
        self, state: State, step: Step, request: bytes, outcome: Outcome, answer: bytes, *, erases: bool = False
    ) -> Move:
        """A transition that moves no money: issued, erased."""
        why = state.refuses(step.transition, step.at_us)
        if why is not None:
            raise PastNotRecorded(f"visit {step.visit.number}, {step.operation.name}: {why.outcome.name}")
        row, applied = state.application, state.applied
        return Move(
            application=row.application,
            operator=row.operator,
            municipality=row.municipality,
            transition=step.transition,
            outcome=outcome,
            request=request,
            answer=answer,
            at_us=state.after(step.at_us),
            kind=state.kind,
            counterparty=applied.counterparty,
            kiosk=row.kiosk,
            terms=applied.terms,
            erases=erases,
        )


def _row(visit: Visit) -> ApplicationRow:
    return ApplicationRow(
        application=visit.application,
        operator=visit.shop.operator,
        kiosk=visit.shop.kiosk,
        municipality=visit.municipality,
        card_type=int(CardType.MY_NUMBER_CARD),
        pseudonym=visit.pseudonym,
        kiosk_key=visit.shop.spki,
        expires_at_us=visit.began_us + APPLICATION_US,
    )
