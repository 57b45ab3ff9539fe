"""Records on their way into the register: sealed, given their tokens, and sent in runs by COPY.

Nonces come from the operating system here alone; everything else is handed in.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from gateway.inquiry.cases import known_residents
from gateway.inquiry.index import code_token, name_tokens
from gateway.inquiry.record import SCHEMA, encode_record
from gateway.inquiry.sealing import NONCE_BYTES, RegisterKeys
from gateway.inquiry.synthetic import Resident, residents
from gateway.store.pool import Database
from gateway.store.register import RecordRow, add_records, refresh_statistics

RUN_RECORDS: Final = 2_000
"""Records sealed and sent at a time; Trio runs other tasks in between."""


def sealed_row(resident: Resident, keys: RegisterKeys, nonce: bytes) -> RecordRow:
    """A resident's row, version 1, sealed under the current key."""
    record = resident.record
    return RecordRow(
        record_id=resident.record_id,
        code_token=code_token(keys.index_key, record.code),
        version=1,
        key_id=keys.current,
        schema=SCHEMA,
        sealed=keys.seal(encode_record(record), record_id=resident.record_id, version=1, schema=SCHEMA, nonce=nonce),
        superseded_on=resident.superseded_on,
        expires_on=resident.expires_on,
    )


async def load(db: Database, keys: RegisterKeys, people: Iterable[Resident], *, progress: Callable[[int], None]) -> int:
    """Put residents into the register, all or none; `progress` is told how many are in after each run.

    `db` is the schema owner's. A superseded record gets no name tokens: it answers no inquiry. Returns: how many.
    Raises: UniqueViolated when any is there already; StoreUnavailable; CommitUnknown.
    """
    done = 0
    waiting: Iterator[Resident] = iter(people)
    async with db.transaction() as connection:
        while run := list(islice(waiting, RUN_RECORDS)):
            nonces = os.urandom(NONCE_BYTES * len(run))
            rows = [
                sealed_row(resident, keys, nonces[at * NONCE_BYTES : (at + 1) * NONCE_BYTES])
                for at, resident in enumerate(run)
            ]
            tokens = [
                (token, resident.record_id)
                for resident in run
                if resident.superseded_on is None
                for token in name_tokens(keys.index_key, resident.record)
            ]
            await add_records(connection, rows, tokens)
            done += len(run)
            progress(done)
    await refresh_statistics(db)
    return done


async def load_synthetic(
    db: Database, keys: RegisterKeys, count: int, seed: int, progress: Callable[[int], None]
) -> int:
    """Fill an empty register with a seed's first `count` synthetic residents. Raises as load."""
    return await load(db, keys, residents(seed, count, known_residents(seed)), progress=progress)
