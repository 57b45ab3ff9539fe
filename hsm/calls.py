"""Key store calls for Trio: in place where a store answers at once, in a thread where it may wait on a device.

Cancellation: a call in a thread is waited for (a signature that was made must not be lost with its caller's place in
the device's queue); it is bounded by the store's own deadline.
"""

from typing import Final

import trio

from hsm.interface import KeyStore

CALLS_MAX: Final = 8
"""Threads that may wait on devices at once; further calls wait their turn."""
_limiter = trio.CapacityLimiter(CALLS_MAX)


async def sign(store: KeyStore, key_id: str, data: bytes) -> bytes:
    """KeyStore.sign."""
    if not store.capabilities().blocking:
        return store.sign(key_id, data)
    return await trio.to_thread.run_sync(store.sign, key_id, data, limiter=_limiter)


async def wrap(store: KeyStore, key_id: str, secret: bytes, aad: bytes) -> bytes:
    """KeyStore.wrap."""
    if not store.capabilities().blocking:
        return store.wrap(key_id, secret, aad)
    return await trio.to_thread.run_sync(store.wrap, key_id, secret, aad, limiter=_limiter)


async def unwrap(store: KeyStore, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
    """KeyStore.unwrap."""
    if not store.capabilities().blocking:
        return store.unwrap(key_id, wrapped, aad)
    return await trio.to_thread.run_sync(store.unwrap, key_id, wrapped, aad, limiter=_limiter)


async def refresh(store: KeyStore) -> bool:
    """KeyStore.refresh, always in a thread: it reads a file or a device."""
    return await trio.to_thread.run_sync(store.refresh, limiter=_limiter)
