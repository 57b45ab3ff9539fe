"""Filling the projection from the blocks' bytes: idempotent, resumable, rebuilt at will.

A round takes the next blocks of every stream and writes their rows together with the mark of how far it came, in one
transaction under the projector's lock: after a crash the next round goes on where the last one that committed ended.
The projection is a convenience. The bytes are the ledger, and `sekisho ledger verify` holds one against the other.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from gateway.ledger.errors import LedgerContradicted
from gateway.store.ledger import split_entries
from gateway.store.ledger_entries import Connection, EntryStore
from protocol.ledger import CertificateEntry, Entry, decode_entry

BLOCKS_A_ROUND_MAX: Final = 512
OCTETS_A_ROUND_MAX: Final = 1 << 19
"""A round is one transaction, and small: the next block's commit has to flush what it wrote."""
_NO_DELIVERY: Final = (None,) * 7
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Transactional(Protocol):
    """A database that lends a connection with a transaction around it."""

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """BEGIN and COMMIT around a block."""


async def project_once(database: Transactional) -> int:
    """Project the next blocks. Returns: how many blocks; 0 when all are done or another projector is at work.

    Raises: LedgerContradicted for stored entries that cannot be read; StoreError.
    """
    async with database.transaction() as connection:
        store = EntryStore(connection)
        if not await store.become_writer():
            return 0
        blocks = await store.behind(BLOCKS_A_ROUND_MAX, OCTETS_A_ROUND_MAX)
        if blocks:
            await store.append(row for block in blocks for row in rows_of(*block))
            await store.mark({stream: height + 1 for stream, height, _ in blocks})
        return len(blocks)


async def project_all(database: Transactional) -> int:
    """Project until nothing is behind. Returns: how many blocks."""
    total = 0
    while blocks := await project_once(database):
        total += blocks
    return total


async def rebuild(database: Transactional) -> int:
    """Forget the projection and fill it anew; readers see it grow again. Returns: how many blocks."""
    async with database.transaction() as connection:
        await EntryStore(connection).clear()
    return await project_all(database)


def rows_of(stream: bytes, height: int, entries: bytes) -> Iterator[tuple[object, ...]]:
    """A block's rows, in the order of gateway.store.ledger_entries.COLUMNS. Raises: LedgerContradicted."""
    try:
        for index, data in enumerate(split_entries(entries)):
            entry = decode_entry(data)
            yield (
                stream,
                height,
                index,
                _EPOCH + dt.timedelta(microseconds=entry.at_us),
                entry.party,
                entry.line,
                uuid.UUID(bytes=entry.request_id),
                entry.operation,
                entry.matter,
                entry.step,
                entry.counterparty,
                entry.outcome,
                entry.kind,
                entry.yen,
                entry.commission,
                entry.terms,
                *_delivery(entry),
            )
    except (ValueError, msgspec.DecodeError, OverflowError) as error:
        raise LedgerContradicted(f"stream {stream.hex()} height {height}", "an entry cannot be read") from error


def _delivery(entry: Entry) -> tuple[object, ...]:
    delivery = entry.delivery if isinstance(entry, CertificateEntry) else None
    if delivery is None:
        return _NO_DELIVERY
    return (
        uuid.UUID(bytes=delivery.application),
        delivery.transition,
        delivery.copies,
        delivery.deposited_at_us,
        delivery.store_day,
        delivery.store,
        delivery.kiosk,
    )
