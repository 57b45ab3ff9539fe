"""The keys a process of any role needs: the months' commitment keys, and the signatures of its centre.

A month's key lives wrapped in the database, is made by whoever needs it first, and is unwrapped by the HSM once a
process. Nothing here leaves the process.
"""

import secrets
from collections.abc import Awaitable, Callable

from gateway.store.ledger import LedgerStore
from hsm import calls
from hsm.errors import KeyUnknown
from hsm.interface import KeyStore
from protocol.commitment import month_of
from protocol.keys import Algorithm, Purpose

MONTH_AAD = b"sekisho commitment key "
DAY_MS = 86_400_000


def signer(
    store: KeyStore, purpose: Purpose, now_us: Callable[[], int]
) -> Callable[[bytes], Awaitable[tuple[str, bytes]]]:
    """Signs with the newest key of a purpose: content -> key id, signature."""

    async def sign(signed: bytes) -> tuple[str, bytes]:
        key_id = store.current(purpose, now_us()).key_id
        return key_id, await calls.sign(store, key_id, signed)

    return sign


def line_signer(
    store: KeyStore, now_us: Callable[[], int]
) -> Callable[[bytes], Awaitable[tuple[Algorithm, str, bytes]]]:
    """Signs handshakes and requests with the newest LINE key: content -> algorithm, key id, signature."""

    async def sign(signed: bytes) -> tuple[Algorithm, str, bytes]:
        record = store.current(Purpose.LINE, now_us())
        return Algorithm(record.algorithm), record.key_id, await calls.sign(store, record.key_id, signed)

    return sign


class MonthKeys:
    """Commitment keys by day since 1970 of the request id's time, loaded as they are needed."""

    def __init__(self, ledger: LedgerStore, store: KeyStore, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._store = store
        self._now_us = now_us
        self._months: dict[str, bytes] = {}
        self.by_day: dict[int, bytes] = {}

    async def load(self, request_id: bytes) -> bytes:
        """The key of a request id's month. Raises: StoreError, HsmError."""
        month = month_of(request_id)
        key = self._months.get(month)
        if key is None:
            aad = MONTH_AAD + month.encode()

            async def create() -> tuple[bytes, str]:
                key_id = self._store.current(Purpose.SEAL, self._now_us()).key_id
                return await calls.wrap(self._store, key_id, secrets.token_bytes(32), aad), key_id

            sealed, key_id = await self._ledger.month_key(month, create)
            key = self._months[month] = await unwrap(self._store, key_id, sealed, aad)
        self.by_day[int.from_bytes(request_id[:6], "big") // DAY_MS] = key
        return key


async def unwrap(store: KeyStore, key_id: str, sealed: bytes, aad: bytes) -> bytes:
    """Unwrap; a key that another process sealed with since this one read the store is looked for once more."""
    try:
        return await calls.unwrap(store, key_id, sealed, aad)
    except KeyUnknown:
        await calls.refresh(store)
        return await calls.unwrap(store, key_id, sealed, aad)
