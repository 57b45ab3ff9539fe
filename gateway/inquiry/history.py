"""Filling what people search of the provision history from batches and blocks: idempotent, resumable, rebuilt at will.

As the ledger's projection (gateway.ledger.projection): a round takes the next batches of every stream and writes their
rows together with the mark of how far it came, in one transaction under a lock of its own. A batch says who and which
case; the entry it names says the rest, so the two are held against each other here: a detail without an entry that
shows a record, or an entry that shows one without a detail, stops the projection.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from gateway.inquiry.provision import TOKEN_BYTES, HistoryKeys, KeysOf, ProvisionCorrupt
from gateway.ledger.projection import OCTETS_A_ROUND_MAX
from gateway.store.ledger import split_entries
from gateway.store.ledger_entries import Connection
from gateway.store.provision import Batch, ProvisionStore, StoredBatch
from protocol.ledger import decode_entry
from protocol.outcomes import Outcome

BATCHES_A_ROUND_MAX: Final = 512
SHOWING: Final = frozenset({Outcome.EXACT, Outcome.VARIANT})
"""The outcomes that show a record."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Transactional(Protocol):
    """A database that lends a connection with a transaction around it."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """BEGIN and COMMIT around a block."""


async def project_once(database: Transactional, keys_of: KeysOf) -> int:
    """Project the next batches. Returns: how many; 0 when all are done or another projector is at work.

    keys_of: of a year that exists. Raises: ProvisionCorrupt, YearGone; StoreError, HsmError.
    """
    async with database.transaction() as connection:
        store = ProvisionStore(connection)
        if not await store.become_writer():
            return 0
        batches = await store.behind(BATCHES_A_ROUND_MAX, OCTETS_A_ROUND_MAX)
        if batches:
            keys = {batch.year: await keys_of(batch.year) for batch in batches}
            await store.append(row for batch in batches for row in rows_of(batch, keys[batch.year]))
            await store.mark({batch.stream: batch.height + 1 for batch in batches})
        return len(batches)


async def project_all(database: Transactional, keys_of: KeysOf) -> int:
    """Project until nothing is behind. Returns: how many batches."""
    total = 0
    while batches := await project_once(database, keys_of):
        total += batches
    return total


async def rebuild(database: Transactional, keys_of: KeysOf) -> int:
    """Forget the projection and fill it anew; readers see it grow again. Returns: how many batches."""
    async with database.transaction() as connection:
        await ProvisionStore(connection).clear()
    return await project_all(database, keys_of)


def rows_of(stored: StoredBatch, keys: HistoryKeys) -> Iterator[tuple[object, ...]]:
    """A batch's rows, in the order of gateway.store.provision.COLUMNS. Raises: ProvisionCorrupt."""
    stream, height = stored.stream, stored.height
    batch = Batch(stored.year, stored.at_us, stored.subjects, stored.sealed)
    details = keys.details(stream, height, batch)
    try:
        entries = [decode_entry(data) for data in split_entries(stored.entries)]
    except (ValueError, msgspec.DecodeError) as error:
        raise ProvisionCorrupt(stream, height, "stands beside a block that cannot be read") from error
    if [detail.index for detail in details] != [i for i, entry in enumerate(entries) if entry.outcome in SHOWING]:
        raise ProvisionCorrupt(stream, height, "names other entries than those that show a record")
    for place, detail in enumerate(details):
        entry = entries[detail.index]
        yield (
            stream,
            height,
            detail.index,
            stored.year,
            stored.subjects[place * TOKEN_BYTES : (place + 1) * TOKEN_BYTES],
            _EPOCH + dt.timedelta(microseconds=entry.at_us),
            entry.party,
            entry.line,
            entry.matter,
            entry.step,
            detail.staff,
            keys.case_token(detail.case),
            uuid.UUID(bytes=entry.request_id),
            entry.outcome,
            entry.kind,
            detail.given,
        )
