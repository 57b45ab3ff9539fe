"""The journal of settlement: acts go into the ledger as entries of their own, in a stream of their own.

A step is done by a person at a command or the console, not by a worker. For as long as a journal is open it is the only
writer (an advisory lock), has one stream, and ends it with a CLOSE block; what a killed one left behind is closed by
the next. An act and its entry stand together or not at all, and no act stands twice: whoever does a step again is told
what stands. Source: DESIGN sections 7 and 11.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final as Const

from gateway.ledger.closing import close_abandoned
from gateway.ledger.recording import Final, Recorder, Signed
from gateway.ledger.stream import Stream
from gateway.settlement.errors import ActStands, NotWritten
from gateway.store.ledger import LedgerStore, Riding
from gateway.store.pool import Database
from gateway.store.settlement_acts import JOURNAL_LOCK, ActStore, riding
from protocol.act import Act, act_commitment, encode_act
from protocol.ledger import CertificateEntry, Entry, EntryKind, encode_entry
from protocol.messages import BlockShare, Operation, Response
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id

JOURNAL_SLOT: Const = -1
"""Of the journal's streams; workers have 0 and above."""


class _Nobody:
    """Both the origin and the source of an act: nobody waits at a line."""

    done = False

    def respond(self, share: BlockShare) -> None:
        """Nobody is told."""

    def block(self, **measured: object) -> None:
        """Nobody counts."""


class Journal:
    """An open journal. Made by `open_journal`."""

    def __init__(
        self, recorder: Recorder, store: ActStore, *, centre: str, certificate: bool, now_us: Callable[[], int]
    ) -> None:
        self._recorder = recorder
        self._store = store
        self._centre = centre
        self._certificate = certificate
        self._now_us = now_us
        self._failed = False

    async def write(self, acts: Sequence[Act]) -> None:
        """Write acts in one block: all or none.

        Raises: ActStands when one of them stands already; NotWritten when nothing could be written; StoreError.
        """
        self._failed = False
        await self._recorder.work([self._final(act) for act in acts])
        if not self._failed:
            return
        for act in acts:
            if await self._store.stands(act.key):
                raise ActStands(act)
        raise NotWritten

    def failed(self, finals: list[Final]) -> None:  # noqa: ARG002 - the recorder's callback
        """Called by the recorder: nothing of the batch was written."""
        self._failed = True

    def _final(self, act: Act) -> Final:
        request_id = make_request_id(self._now_us() // 1000, secrets.token_bytes(10))
        commitment = act_commitment(encode_act(act))
        fields = (
            self._centre,
            "",
            request_id,
            commitment,
            int(Operation.SETTLE),
            act.claim,
            act.kind,
            act.party,
            int(Outcome.SETTLED),
            int(EntryKind.FIRST),
            0,
            0,
            0,
            commitment,
            act.at_us,
        )
        entry = CertificateEntry(2, *fields) if self._certificate else Entry(1, *fields)
        nobody = _Nobody()
        return Final(
            origin=nobody,
            response=Response(request_id, int(Outcome.SETTLED), b"", b"", encode_entry(entry)),
            claims=[(self._centre, request_id, 0, commitment)],
            source=nobody,
            provided=act,
        )


async def acts_rider(finals: Sequence[Final], *, stream: bytes, height: int, at_us: int) -> Riding | None:  # noqa: ARG001
    """The acts that a block brings (gateway.ledger.recording.Rider)."""
    acts = [(each.provided, index) for index, each in enumerate(finals) if isinstance(each.provided, Act)]
    return riding(acts) if acts else None


@asynccontextmanager
async def open_journal(
    database: Database, *, centre: str, role: str, node: str, sign: Signed, now_us: Callable[[], int]
) -> AsyncIterator[Journal]:
    """A journal while the block runs; waits until nobody else has one. `database` needs two connections.

    centre: the centre's own party id; sign: with its BLOCK key. Raises: StoreError; what `sign` raises.
    """
    async with database.transaction() as lock:
        await lock.execute("select pg_catalog.pg_advisory_xact_lock($1)", JOURNAL_LOCK)
        ledger = LedgerStore(database)

        async def open_stream(predecessor: bytes | None = None) -> Stream:
            stream = Stream(id=secrets.token_bytes(16), role=role, node=node, slot=JOURNAL_SLOT)
            await ledger.open_stream(stream, opened_us=now_us(), predecessor=predecessor)
            return stream

        predecessor = None
        for stream_id, height, previous in await ledger.open_streams_of(role=role, node=node, slot=JOURNAL_SLOT):
            left = Stream(id=stream_id, role=role, node=node, slot=JOURNAL_SLOT, height_next=height, previous=previous)
            await close_abandoned(ledger, sign, left, now_us())
            predecessor = stream_id
        made: list[Journal] = []
        recorder = Recorder(
            store=ledger,
            sign=sign,
            rider=acts_rider,
            open_stream=open_stream,
            stream=await open_stream(predecessor),
            now_us=now_us,
            lost=lambda finals: made[0].failed(finals),
            failed=lambda finals: made[0].failed(finals),
            released=lambda _: None,
            observer=_Nobody(),
        )
        made.append(
            Journal(recorder, ActStore(database), centre=centre, certificate=role == "certificate", now_us=now_us)
        )
        try:
            yield made[0]
        finally:
            await recorder.close()
