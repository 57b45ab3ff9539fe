"""RECONCILE: an operator's 照合結果 over its line becomes an act of settlement, in the block of its own entry.

It is held against what was disclosed to that very operator, and against the freeze: after it nothing of the period is
reconciled. Whoever writes acts does so alone, so no two take one turn and none slips in beside a freeze; the lock is
held until the block stands.

Source: 000仕4-2, 4-3; DOMAIN I4; DESIGN section 11.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Final

import trio

from gateway.directory.policy import Refused
from gateway.issuance.states import refused
from gateway.ledger.recording import Final as Recorded
from gateway.service.asked import Asked
from gateway.service.ground import EMPTY, Ground
from gateway.store.pool import Database
from gateway.store.settlement_acts import ActRow, ActStore
from gateway.store.settlement_lines import HeldParts, try_journal
from protocol.act import Act, ActKind
from protocol.disclosure import DisclosureError, Reconciliation, decode_reconciliation
from protocol.messages import Refusal, encode
from protocol.outcomes import Outcome
from protocol.papers import Reconcile, ReconcilePart

BY_CHARS_MAX: Final = 100
RECORDED_S_MAX: Final = 30.0
"""How long an answer is waited for under the lock; whatever happened to it by then is the line's own matter."""
DOUBT_S_MAX: Final = 5.0
"""How long the lock is held for a block of which nobody knows whether it stands."""
LOOK_S: Final = 0.005
_JST: Final = dt.timezone(dt.timedelta(hours=9))


class Reconciler:
    """Takes results for one worker, one at a time."""

    def __init__(self, ground: Ground, *, database: Database) -> None:
        self._ground = ground
        self._database = database
        self._parts = HeldParts(database)
        self._turn = trio.Lock()

    async def hold(self, asked: Asked, body: ReconcilePart) -> None:
        """RECONCILE_PART: settle it once it is durable. Raises: StoreError."""
        settle = self._ground.outlet.settle
        if asked.off_clock is not None:
            settle(asked, Outcome(asked.off_clock), EMPTY)
        elif isinstance(asked.decision, Refused):
            settle(asked, asked.decision.outcome, encode(Refusal(asked.decision.field, asked.decision.remedy)))
        else:
            await self._parts.hold(asked.party, body.digest, body.number, body.data)
            settle(asked, Outcome.PART_HELD, EMPTY)

    async def reconcile(self, asked: Asked, body: Reconcile) -> Refused | Outcome:
        """RECONCILE: have it recorded, and wait for that; or why not. Raises: StoreError."""
        content = body.reconciliation or await self._parts.held(asked.party, body.digest)
        async with self._turn, self._database.transaction() as connection:
            if not await try_journal(connection):
                return Outcome.BUSY
            now_us = self._ground.now_us()
            decided = decide(body.digest, content, await self._acts(content), party=asked.party, now_us=now_us)
            if isinstance(decided, Refused):
                return decided
            self._ground.outlet.record([self._final(asked, decided, now_us)])
            with trio.move_on_after(RECORDED_S_MAX):
                while not asked.done:  # noqa: ASYNC110 - it has no event of its own
                    await trio.sleep(LOOK_S)
            if isinstance(decided, Act) and asked.recording:
                await self._until_it_stands(decided)
        if not body.reconciliation:
            await self._parts.drop(asked.party)
        return Outcome.PENDING  # told only when it is not known whether it stands

    async def _acts(self, content: bytes) -> Sequence[ActRow]:
        """Those of its period."""
        try:
            period = decode_reconciliation(content).period
        except DisclosureError:
            return ()
        return await ActStore(self._database).acts(period=period)

    async def _until_it_stands(self, act: Act) -> None:
        """Who asked may have been told PENDING: the lock is held until the block is durable, or hardly will be."""
        with trio.move_on_after(DOUBT_S_MAX):
            while not await ActStore(self._database).stands(act.key):  # noqa: ASYNC110 - other processes write it
                await trio.sleep(LOOK_S)

    def _final(self, asked: Asked, decided: Act | Reconciliation, now_us: int) -> Recorded:
        return self._ground.free(
            asked,
            Outcome.RECONCILED,
            EMPTY,
            now_us,
            matter=decided.period,
            step=int(ActKind.RECONCILED),
            provided=decided if isinstance(decided, Act) else None,
        )


def decide(
    digest: bytes, content: bytes, acts: Sequence[ActRow], *, party: str, now_us: int
) -> Act | Reconciliation | Refused:
    """The act that keeps a result; the result itself when it stands already; or why it is refused. Pure.

    acts: those of its period, in their order.
    """
    if hashlib.sha256(content).digest() != digest:
        return _invalid("digest", "send every part of the result again, then RECONCILE")
    try:
        result = decode_reconciliation(content)
    except DisclosureError as error:
        return _invalid(error.what, str(error))
    if result.party != party:
        return _invalid("party", "send your own result")
    if not 1 <= len(result.by) <= BY_CHARS_MAX:
        return _invalid("by", f"say who reconciled, in 1 to {BY_CHARS_MAX} characters")
    stand = [row.act for row in acts]
    mine = [act for act in stand if act.kind == ActKind.RECONCILED and act.party == party]
    if any(act.facts == content for act in mine):
        return result
    if any(act.kind == ActKind.CONFIRMED and not act.contract and not act.party for act in stand):
        return refused(Outcome.PERIOD_FROZEN, "period", "differences go into the next open period")
    disclosed = [act for act in stand if act.kind == ActKind.DISCLOSED and act.party == party]
    if not disclosed:
        return _invalid("period", "wait until the centre discloses it to you")
    if result.disclosure_digest not in max(disclosed, key=lambda act: act.turn).facts:
        return _invalid("disclosure_digest", "fetch what was disclosed last and reconcile that")
    return Act(
        kind=ActKind.RECONCILED,
        contract="",
        claim="",
        period=result.period,
        party=party,
        turn=1 + max((act.turn for act in mine), default=-1),
        day=f"{dt.datetime.fromtimestamp(now_us // 1_000_000, _JST):%Y-%m-%d}",
        by=result.by,
        at_us=now_us,
        facts=content,
    )


def _invalid(field: str, remedy: str) -> Refused:
    return refused(Outcome.RECONCILIATION_INVALID, field, remedy)
