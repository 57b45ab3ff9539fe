"""Records on their way into the register: sealed, given their tokens, and sent in runs by COPY.

Nonces and new people's ids come from the operating system here alone; everything else is handed in.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Final

from gateway.inquiry.cases import known_residents
from gateway.inquiry.index import code_token, name_tokens
from gateway.inquiry.preparing import PROCESSES_MAX, bench
from gateway.inquiry.record import SCHEMA, ResidentRecord, encode_record
from gateway.inquiry.sealing import NONCE_BYTES, RECORD_ID_BYTES, RegisterKeys
from gateway.inquiry.synthetic import Resident, block, blocks
from gateway.store.pool import Database
from gateway.store.register import RecordRow, add_records, refresh_statistics

INLINE_MAX: Final = 10_000
"""Up to so many are not worth starting processes for."""

_ID_TIME_BYTES: Final = 6

Run = tuple[list[RecordRow], list[tuple[bytes, bytes]]]
"""Rows and their (token, record id) pairs."""


def new_record_id() -> bytes:
    """16 bytes for a person new to the register: the time in milliseconds in the first 6, the rest random.

    Who comes together stands together in the indexes, so a load touches a few of their pages and not all.
    """
    return (time.time_ns() // 1_000_000).to_bytes(_ID_TIME_BYTES, "big") + os.urandom(RECORD_ID_BYTES - _ID_TIME_BYTES)


def sealed_row(keys: RegisterKeys, record: ResidentRecord, *, record_id: bytes, version: int = 1) -> RecordRow:
    """A standing row with a record sealed under the current key."""
    return RecordRow(
        record_id=record_id,
        code_token=code_token(keys.index_key, record.code),
        version=version,
        key_id=keys.current,
        schema=SCHEMA,
        sealed=keys.seal(
            encode_record(record), record_id=record_id, version=version, schema=SCHEMA, nonce=os.urandom(NONCE_BYTES)
        ),
        superseded_on=None,
        expires_on=None,
    )


def prepare_residents(keys: RegisterKeys, people: Iterable[Resident]) -> Run:
    """A run of residents, version 1 each. A superseded record gets no name tokens: it answers no inquiry."""
    rows, tokens = [], []
    for resident in people:
        row = sealed_row(keys, resident.record, record_id=resident.record_id)
        rows.append(row._replace(superseded_on=resident.superseded_on, expires_on=resident.expires_on))
        if resident.superseded_on is None:
            tokens += [(token, resident.record_id) for token in name_tokens(keys.index_key, resident.record)]
    return rows, tokens


def prepare_block(keys: RegisterKeys, seed: int, known: int, first: int, codes: Sequence[str]) -> Run:
    """A run of a seed's residents; the `known` cases' when it begins at 0."""
    people = known_residents(seed)[:known] if first == 0 else block(seed, first, codes)
    return prepare_residents(keys, people)


async def load_synthetic(
    db: Database,
    keys: RegisterKeys,
    count: int,
    seed: int,
    progress: Callable[[int], None],
    *,
    processes: int = PROCESSES_MAX,
) -> int:
    """Fill an empty register with a seed's first `count` synthetic residents, all or none.

    `db` is the schema owner's; `progress` is told how many are in after each run. Returns: how many.
    Raises: UniqueViolated when any is there already; StoreUnavailable; CommitUnknown; LoadBroken.
    """
    done = 0
    with bench(keys, processes=processes if count > INLINE_MAX else 0) as workbench:
        async with (
            db.transaction() as connection,
            aclosing(workbench.each(prepare_block, _work(seed, count), Run)) as runs,
        ):
            async for _, (rows, tokens) in runs:
                await add_records(connection, rows, tokens)
                done += len(rows)
                progress(done)
    await refresh_statistics(db)
    return done


def _work(seed: int, count: int) -> Iterator[tuple[int, int, int, Sequence[str]]]:
    known = min(count, len(known_residents(seed)))
    yield seed, known, 0, ()
    for first, codes in blocks(seed, count, known):
        yield seed, known, first, codes
