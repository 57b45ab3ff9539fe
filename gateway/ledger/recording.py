"""The commit stage: finished requests become one block, durable before any of them is answered.

A Final is a response that must be recorded, with its entry's bytes and the claims it makes. The recorder orders a batch
so that each origin's responses stand together, builds and signs the block, commits it in one statement, and only then
hands each origin its share. What else the service writes rides along: the rider makes it from the finals that are left,
and it stands together with the block or not at all. Three things can go otherwise:

- another worker claimed one of the ids first: the losers are given back (they will be answered as repeats) and the
  block is built again without them, under the same height;
- the connection died in COMMIT: nothing is said until the stream has been closed at this height (the block can then
  never stand, and goes into a new stream) or the block is found to stand (and is released);
- the height is taken by a CLOSE: a successor believed this worker dead; the batch goes into a new stream.

A commit is never cancelled, and between it and the release there is no checkpoint. Invariants 1, 2 and 9 are kept here.
Source: DESIGN section 7.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
import trio

from gateway.ledger.block import Draft, build_block
from gateway.ledger.closing import ClosedAt, OrphanCommitted, close_stream
from gateway.ledger.stream import Stream, advance
from gateway.store.errors import CommitUnknown, StoreError
from gateway.store.ledger import BlockConflict, Claim, ClaimConflict, LedgerStore, Riding
from protocol import limits
from protocol.messages import BlockShare, Response

log = structlog.get_logger()

RETRY_S = 0.05
RETRY_S_MAX = 1.0


class Origin(Protocol):
    """Where a share goes; returns at once and never raises."""

    def respond(self, share: BlockShare) -> None:
        """Recorded responses."""


class Source(Protocol):
    """The request behind a response."""

    done: bool


class Final:
    """One response to be recorded.

    claims: (party, request id, turn, commitment) each; the index is given when the block is built. source is the
    request; once it is done (its asker was told PENDING) the entry may still stand, but this response must not leave.
    provided: what the response brings for the rider; opaque here.
    """

    __slots__ = ("claims", "origin", "provided", "response", "source")

    def __init__(
        self,
        *,
        origin: Origin,
        response: Response,
        claims: list[tuple[str, bytes, int, bytes]],
        source: Source,
        provided: object | None = None,
    ) -> None:
        self.origin = origin
        self.response = response
        self.claims = claims
        self.source = source
        self.provided = provided


class Rider(Protocol):
    """Makes what goes in with a block: the provision history's batch, the steps of applications."""

    async def __call__(self, finals: Sequence[Final], *, stream: bytes, height: int, at_us: int) -> Riding | None:
        """None when the finals bring nothing; raises the store's and the key store's own errors."""


class Signed(Protocol):
    """Signs a block: content -> key id, signature."""

    def __call__(self, signed: bytes, /) -> Awaitable[tuple[str, bytes]]:
        """Sign; raises the key store's own errors."""


class Observer(Protocol):
    """Told of each block, for metrics."""

    def block(self, *, entries: int, sign_s: float, commit_s: float) -> None:
        """A block was committed."""


class Recorder:
    """One stream's writer. `work` is a stage's function; it never raises but Cancelled.

    Cancellation: what was committed is released, always, and what was not, or is in doubt, is left to a successor of
    the stream, as after a crash.
    """

    def __init__(
        self,
        *,
        store: LedgerStore,
        sign: Signed,
        rider: Rider,
        open_stream: Callable[[], Awaitable[Stream]],
        stream: Stream,
        now_us: Callable[[], int],
        lost: Callable[[list[Final]], None],
        failed: Callable[[list[Final]], None],
        released: Callable[[list[Final]], None],
        observer: Observer,
    ) -> None:
        self._store = store
        self._sign = sign
        self._rider = rider
        self._open_stream = open_stream
        self._now_us = now_us
        self._lost = lost
        self._failed = failed
        self._released = released
        self._observer = observer
        self.stream = stream

    async def work(self, batch: Sequence[Final]) -> None:
        """Record a batch; every Final of it is released, given back as lost, or failed."""
        rest = _by_origin(batch)
        for at in range(0, len(rest), limits.BLOCK_ENTRIES_MAX):
            await self._record(rest[at : at + limits.BLOCK_ENTRIES_MAX])

    async def close(self) -> None:
        """End the stream with its CLOSE block."""
        with trio.CancelScope(shield=True):
            try:
                await close_stream(self._store, self._sign, self.stream, self._now_us())
            except StoreError as error:  # a successor will close it
                log.warning("stream_left_open", code=error.code)

    async def _record(self, finals: list[Final]) -> None:
        while finals:
            at_us = self._now_us()
            draft = build_block(self.stream, [final.response.entry for final in finals], at_us)
            claims = [
                Claim(party, request_id, turn, commitment, index)
                for index, final in enumerate(finals)
                for party, request_id, turn, commitment in final.claims
            ]
            began = trio.current_time()
            try:
                riding = await self._rider(finals, stream=self.stream.id, height=self.stream.height_next, at_us=at_us)
                key_id, signature = await self._sign(draft.to_sign)
            except Exception as error:  # noqa: BLE001 - whatever a key store raises, nothing was written
                log.error("block_not_signed", code=type(error).__name__)
                self._failed(finals)
                return
            signed = trio.current_time()
            try:
                await self._store.commit(draft, signature, key_id, claims, riding)
            except ClaimConflict:
                try:
                    finals = await self._without_losers(finals)
                except StoreError:
                    self._failed(finals)
                    return
                continue
            except BlockConflict:
                if await self._resolve(draft):
                    self._release(finals, draft, key_id, signature)
                    return
                continue
            except CommitUnknown:
                log.warning("commit_unknown", height=self.stream.height_next)
                if not await self._resolve(draft):
                    continue
            except StoreError as error:
                log.warning("block_not_written", code=error.code)
                self._failed(finals)
                return
            else:
                self.stream = advance(self.stream, draft.header)
            commit_s = trio.current_time() - signed
            self._release(finals, draft, key_id, signature)
            self._observer.block(entries=len(finals), sign_s=signed - began, commit_s=commit_s)
            return

    async def _resolve(self, draft: Draft) -> bool:
        """Find out whether `draft` stands; afterwards self.stream can be written to. Tries until it knows."""
        pause_s = RETRY_S
        while True:
            try:
                end = await close_stream(self._store, self._sign, self.stream, self._now_us())
                if isinstance(end, OrphanCommitted) and end.block.header == draft.header:
                    self.stream = advance(self.stream, draft.header)
                    return True
                if isinstance(end, ClosedAt | OrphanCommitted):
                    self.stream = await self._open_stream()
                    return False
            except StoreError:
                pass
            except Exception as error:  # noqa: BLE001 - a key store away: the doubt stays until it is back
                log.error("close_not_signed", code=type(error).__name__)
            await trio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_S_MAX)

    async def _without_losers(self, finals: list[Final]) -> list[Final]:
        wanted = [(claim[0], claim[1], claim[2]) for final in finals for claim in final.claims]
        taken = await self._store.taken_claims(wanted)
        losers = [f for f in finals if any((c[0], c[1], c[2]) in taken for c in f.claims)]
        if not losers:  # two of one batch want the same claim: the first keeps it
            seen: set[tuple[str, bytes, int]] = set()
            for final in finals:
                keys = {(claim[0], claim[1], claim[2]) for claim in final.claims}
                if keys & seen:
                    losers.append(final)
                seen |= keys
        if not losers:  # the store contradicts itself: nothing was written, and trying for ever would hold up all
            self._failed(finals)
            return []
        self._lost(losers)
        lost = set(map(id, losers))
        return [final for final in finals if id(final) not in lost]

    def _release(self, finals: list[Final], draft: Draft, key_id: str, signature: bytes) -> None:
        lo = 0
        size = len(finals)
        while lo < size:
            origin = finals[lo].origin
            hi = lo
            while (
                hi < size
                and hi - lo < limits.RESPONSES_PER_FRAME_MAX
                and finals[hi].origin is origin
                and not finals[hi].source.done
            ):
                hi += 1
            if hi == lo:
                lo += 1
                continue
            origin.respond(
                BlockShare(
                    draft.header,
                    key_id,
                    signature,
                    lo,
                    [final.response for final in finals[lo:hi]],
                    draft.tree.range_proof(lo, hi),
                )
            )
            lo = hi
        self._released(finals)


def _by_origin(batch: Sequence[Final]) -> list[Final]:
    groups: dict[int, list[Final]] = {}
    for final in batch:
        key = id(final.origin)
        group = groups.get(key)
        if group is None:
            groups[key] = [final]
        else:
            group.append(final)
    if len(groups) == 1:
        return list(batch)
    return [final for group in groups.values() for final in group]
