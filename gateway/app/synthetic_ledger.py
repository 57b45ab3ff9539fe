"""Recording the synthetic business of past days: recorder, checkpointer and projector under a clock that is set.

For development alone: a demonstration of settlement needs a month that is over. What is recorded so is in nothing but
its times unlike what workers record: blocks of one stream, signed, with claims and what rides, then checkpoints and the
projection. The centre's keys must have been valid at those times (gateway.app.setup.make_centre, `since_us`).

Not here: what the business is (gateway.app.synthetic_month, gateway.app.synthetic_quarter).
"""

import datetime as dt
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from gateway.app.keys import MonthKeys, signer
from gateway.directory.policy import Granted, Refused
from gateway.ledger.checkpointing import Checkpointer
from gateway.ledger.projection import project_all
from gateway.ledger.recording import Final as Recorded
from gateway.ledger.recording import Recorder, Rider
from gateway.ledger.stream import Stream
from gateway.service.asked import Asked
from gateway.store.ledger import LedgerStore
from gateway.store.pool import Database
from hsm.interface import KeyStore
from protocol import limits
from protocol.keys import Purpose
from protocol.ledger import Entry, decode_entry, decode_header
from protocol.merkle import leaf_hash, paths_from_range
from protocol.messages import BlockShare, Body, Operation, Request, Transient
from protocol.receipt import Opening, Proof

DEADLINE_MS: Final = 10_000
SLOT: Final = -2
"""Of the streams of synthetic business; workers have 0 and above, the journal of settlement -1."""


class PastNotRecorded(Exception):  # noqa: N818 - named after the fact
    """Something of the synthetic business could not be written; the sentence says why."""


class PastClock:
    """A clock that is set, never turned back; microseconds since 1970."""

    def __init__(self, at_us: int) -> None:
        self._at_us = at_us

    def __call__(self) -> int:
        return self._at_us

    def set(self, at_us: int) -> None:
        """Let it be this time, or leave it where it is later already."""
        self._at_us = max(self._at_us, at_us)


class Answered(NamedTuple):
    """One recorded answer as its asker would keep it: outcome, answer, entry, proof, key of the commitments, place."""

    request_id: bytes
    outcome: int
    body: bytes
    entry: Entry
    proof: Proof
    key: bytes
    stream: bytes
    height: int


class Told(NamedTuple):
    """A question with its recorded answer."""

    request: Request
    answered: Answered


class PastOrigin:
    """Where the shares of blocks go: it keeps them until they are taken."""

    def __init__(self) -> None:
        self._shares: list[BlockShare] = []

    def respond(self, share: BlockShare) -> None:
        """Keep a share."""
        self._shares.append(share)

    def refuse(self, transients: list[Transient]) -> None:
        """Nothing is refused unrecorded here."""
        raise PastNotRecorded(f"{len(transients)} requests were refused")

    def take(self, stream: bytes, height: int) -> list[Answered]:
        """What was answered since the last time."""
        shares, self._shares = self._shares, []
        return [each for share in shares for each in _answers(share, stream, height)]


class PastLedger:
    """An open recording. Made by `open_past`."""

    def __init__(
        self, recorder: Recorder, checkpointer: Checkpointer, ops: Database, clock: PastClock, months: MonthKeys
    ) -> None:
        self._recorder = recorder
        self._checkpointer = checkpointer
        self._ops = ops
        self._failed = False
        self.clock = clock
        self.months = months
        self.origin = PastOrigin()

    @property
    def place(self) -> tuple[bytes, int]:
        """Stream and height of the next block."""
        return self._recorder.stream.id, self._recorder.stream.height_next

    def asked(self, party: str, line: str, request: Request, body: Body, decision: Granted | Refused) -> Asked:
        """A request as a worker has it. Raises: PastNotRecorded when policy does not let it pass."""
        if isinstance(decision, Refused):
            raise PastNotRecorded(f"{party}: {Operation(request.operation).name} was refused: {decision.outcome.name}")
        return Asked(
            origin=self.origin,
            party=party,
            line=line,
            request=request,
            body=body,
            decision=decision,
            version=0,
            arrived=0.0,
            off_clock=None,
        )

    async def record(self, finals: Sequence[Recorded]) -> list[Answered]:
        """One block, at the time of the clock. Raises: PastNotRecorded."""
        if len(finals) > limits.BLOCK_ENTRIES_MAX:
            raise PastNotRecorded(f"a block holds at most {limits.BLOCK_ENTRIES_MAX} entries, not {len(finals)}")
        stream, height = self.place
        self._failed = False
        await self._recorder.work(finals)
        answered = self.origin.take(stream, height)
        if self._failed or len(answered) != len(finals):
            raise PastNotRecorded(f"a block of {len(finals)} entries could not be written; see the database's log")
        return answered

    async def checkpoint(self) -> None:
        """Cover all blocks by a checkpoint of the clock's time, and project them. Raises: StoreError, LedgerError."""
        while await self._checkpointer.run_once() is not None:
            pass
        await project_all(self._ops)

    def failed(self, finals: list[Recorded]) -> None:  # noqa: ARG002 - the recorder's callback
        """Called by the recorder: these were not written."""
        self._failed = True


@asynccontextmanager
async def open_past(
    gateway: Database, ops: Database, *, role: str, node: str, keystore: KeyStore, centre: str, rider: Rider, at_us: int
) -> AsyncIterator[PastLedger]:
    """A stream of its own from `at_us` on, closed with its CLOSE block and covered by a checkpoint at the end.

    gateway, ops: the database as the roles of that name; centre: the centre's party id. Raises: StoreError, HsmError.
    """
    clock = PastClock(at_us)
    ledger = LedgerStore(gateway)
    made: list[PastLedger] = []

    async def open_stream(predecessor: bytes | None = None) -> Stream:
        stream = Stream(id=secrets.token_bytes(16), role=role, node=node, slot=SLOT)
        await ledger.open_stream(stream, opened_us=clock(), predecessor=predecessor)
        return stream

    recorder = Recorder(
        store=ledger,
        sign=signer(keystore, Purpose.BLOCK, clock),
        rider=rider,
        open_stream=open_stream,
        stream=await open_stream(),
        now_us=clock,
        lost=lambda finals: made[0].failed(finals),
        failed=lambda finals: made[0].failed(finals),
        released=lambda _: None,
        observer=_Nobody(),
    )
    checkpointer = Checkpointer(
        ops, origin=f"sekisho/{centre}/{role}", sign=signer(keystore, Purpose.CHECKPOINT, clock), now_us=clock
    )
    made.append(PastLedger(recorder, checkpointer, ops, clock, MonthKeys(ledger, keystore, clock)))
    try:
        yield made[0]
    finally:
        await recorder.close()
        await made[0].checkpoint()


async def make_partitions(ops: Database, first: dt.date, last: dt.date) -> None:
    """The claims' partitions of all months from one day to another, and of a month on each side. Raises: StoreError."""
    await ops.execute(
        "select ledger.make_claim_partition(m::date) from generate_series("
        " date_trunc('month', $1::date) - interval '1 month', $2::date + interval '1 month', interval '1 month') as m",
        first,
        last,
    )


class _Nobody:
    def block(self, *, entries: int, sign_s: float, commit_s: float) -> None:
        """Nobody counts."""


def opening_of(answered: Answered, *, operation: int, request: bytes) -> Opening:
    """The opening that the asker keeps beside the proof."""
    return Opening(operation, request, answered.outcome, answered.body, answered.key)


def _answers(share: BlockShare, stream: bytes, height: int) -> list[Answered]:
    """As protocol.peer makes receipts of a share, all at once."""
    leaves = [leaf_hash(each.entry) for each in share.responses]
    size = decode_header(share.header).count
    paths = paths_from_range(leaves, lo=share.first, size=size, proof=share.proof)
    return [
        Answered(
            each.request_id,
            each.outcome,
            each.body,
            decode_entry(each.entry),
            Proof(each.entry, share.first + n, paths[n], share.header, share.key_id, share.signature),
            each.key,
            stream,
            height,
        )
        for n, each in enumerate(share.responses)
    ]
