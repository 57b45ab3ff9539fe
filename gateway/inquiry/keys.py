"""The register's keys at rest: made once, wrapped by a key the keystore never gives out, unwrapped at a start.

Number 1 is the key of the blind indexes, which cannot change without indexing anew; data keys count from 2, and the
highest seals. The wrapping is bound to number and purpose, so that one key cannot be put in another's place.
Source: DESIGN 9; DOMAIN S.
"""

from collections.abc import Callable
from typing import Final, Protocol

from gateway.inquiry.errors import KeyMissing
from gateway.inquiry.sealing import KEY_BYTES, RegisterKeys
from gateway.store.pool import Database
from gateway.store.register import KeyRow, add_keys, read_keys

INDEX_KEY_ID: Final = 1
FIRST_DATA_KEY_ID: Final = 2


class KeyWrapper(Protocol):
    """The part of a keystore used here. Both raise the keystore's own errors."""

    def wrap(self, key_id: str, secret: bytes, aad: bytes) -> bytes:
        """Encrypt `secret` under the keystore's key, bound to `aad`."""

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        """Undo wrap."""


def _aad(key_id: int, purpose: str) -> bytes:
    return b"sekisho register key|%d|%s" % (key_id, purpose.encode())


def wrapped_key(store: KeyWrapper, wrapped_by: str, *, key_id: int, purpose: str, secret: bytes) -> KeyRow:
    """One key as a row of register.data_key."""
    return KeyRow(key_id, purpose, store.wrap(wrapped_by, secret, _aad(key_id, purpose)), wrapped_by)


async def make_keys(
    db: Database, store: KeyWrapper, wrapped_by: str, *, random: Callable[[int], bytes]
) -> RegisterKeys:
    """The register's keys, made and stored if there are none yet. `db` is the schema owner's; `random` a secret source.

    If another process made them in between, theirs are loaded. Raises: StoreUnavailable, the keystore's errors.
    """
    if not await read_keys(db):
        rows = [
            wrapped_key(store, wrapped_by, key_id=INDEX_KEY_ID, purpose="index", secret=random(KEY_BYTES)),
            wrapped_key(store, wrapped_by, key_id=FIRST_DATA_KEY_ID, purpose="data", secret=random(KEY_BYTES)),
        ]
        await add_keys(db, rows)
    return await load_keys(db, store)


async def load_keys(db: Database, store: KeyWrapper) -> RegisterKeys:
    """Read and unwrap the register's keys. Raises: KeyMissing, StoreUnavailable, the keystore's errors."""
    secrets = {"index": dict[int, bytes](), "data": dict[int, bytes]()}
    for row in await read_keys(db):
        secrets[row.purpose][row.key_id] = store.unwrap(row.wrapped_by, row.sealed, _aad(row.key_id, row.purpose))
    if INDEX_KEY_ID not in secrets["index"]:
        raise KeyMissing("index", INDEX_KEY_ID)
    if not secrets["data"]:
        raise KeyMissing("data", FIRST_DATA_KEY_ID)
    return RegisterKeys(secrets["index"][INDEX_KEY_ID], secrets["data"], max(secrets["data"]))
