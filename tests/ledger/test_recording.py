"""What rides with a block: made from the finals that are left, and in the way of nothing but its own block."""

import os
from types import SimpleNamespace

import pytest
import trio

from gateway.ledger.recording import Final, Recorder
from gateway.ledger.stream import Stream
from gateway.store.errors import StoreUnavailable
from gateway.store.ledger import ClaimConflict, Riding
from protocol.messages import Response
from tests.ledger.building import T0_US, Centre


class Store:
    """Keeps what is committed; `taken` are request ids another worker had first."""

    def __init__(self, taken=()):
        self.taken = set(taken)
        self.committed = []

    async def commit(self, draft, signature, key_id, claims, riding=None):
        await trio.lowlevel.checkpoint()
        if any(claim.request_id in self.taken for claim in claims):
            raise ClaimConflict
        self.committed.append((draft.stream.height_next, [claim.request_id for claim in claims], riding))

    async def taken_claims(self, wanted):
        await trio.lowlevel.checkpoint()
        return {each for each in wanted if each[1] in self.taken}


class Rider:
    """What rides says which finals it was made of."""

    def __init__(self, error=None):
        self.error = error

    async def __call__(self, finals, *, stream, height, at_us):
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        provided = b"".join([final.provided for final in finals if final.provided is not None])
        return Riding(", e as (select 1)", (at_us, provided, height)) if provided else None


class Ends:
    """Where finals end up."""

    def __init__(self):
        self.lost, self.failed, self.released = [], [], []

    def respond(self, share):
        """An origin."""

    def block(self, **_):
        """An observer."""


def _final(ends, n, provided=None):
    rid = n.to_bytes(16, "big")
    return Final(
        origin=ends,
        response=Response(rid, 100, b"", bytes(32), b"entry %d" % n),
        claims=[("mlit", rid, 0, bytes(32))],
        source=SimpleNamespace(done=False),
        provided=provided,
    )


def _recorder(store, rider, ends):
    async def no_other_stream():
        raise AssertionError

    return Recorder(
        store=store,
        sign=Centre().block,
        rider=rider,
        open_stream=no_other_stream,
        stream=Stream(id=os.urandom(16), role="inquiry", node="node-1", slot=0),
        now_us=lambda: T0_US,
        lost=ends.lost.extend,
        failed=ends.failed.extend,
        released=ends.released.extend,
        observer=ends,
    )


@pytest.mark.trio
async def test_what_rides_is_of_the_finals_that_are_left_and_of_the_blocks_place():
    ends, store = Ends(), Store(taken=[(2).to_bytes(16, "big")])
    recorder = _recorder(store, Rider(), ends)
    finals = [_final(ends, n, provided) for n, provided in ((1, b"one"), (2, b"two"), (3, None), (4, b"four"))]
    await recorder.work(finals)
    await recorder.work([_final(ends, 5)])
    ((height, ids, riding), (next_height, _, nothing)) = store.committed
    assert (height, riding, len(ids)) == (0, Riding(", e as (select 1)", (T0_US, b"onefour", 0)), 3)
    assert (next_height, nothing) == (1, None)
    assert ends.lost == [finals[1]]


@pytest.mark.trio
async def test_a_block_whose_riding_cannot_be_made_is_not_written_and_nothing_of_it_is_released():
    ends, store, rider = Ends(), Store(), Rider(StoreUnavailable("the year's key cannot be read"))
    recorder = _recorder(store, rider, ends)
    finals = [_final(ends, 1, b"one"), _final(ends, 2)]
    await recorder.work(finals)
    assert (store.committed, ends.released, ends.failed) == ([], [], finals)
    rider.error = None
    await recorder.work([_final(ends, 1, b"one")])
    assert [each[2].args[1] for each in store.committed] == [b"one"]
