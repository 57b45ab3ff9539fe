"""The sweep: documents and keys of applications that were not completed are destroyed after their time (G1).

Whatever is erased goes at once, with the block that records the erasure; this is for what nobody erased. The session's
public keys, certificates and signatures are in the body of AUTHENTICATE; the sealed document opens for the kiosk's key
alone, and that key goes with the kiosk's sitting. Source: 000仕14, 001-15; DESIGN section 10.
"""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from gateway.store.errors import StoreError
from gateway.store.issuance import SWEEP_ROWS, IssuanceStore

log = structlog.get_logger()

SWEEP_S: Final = 15.0


async def sweep_once(store: IssuanceStore, now_us: int) -> tuple[int, int]:
    """Destroy what has expired. Returns: documents and authentications destroyed. Raises: StoreError."""
    documents = authentications = 0
    while True:
        some, others = await store.sweep(now_us)
        documents, authentications = documents + some, authentications + others
        if some < SWEEP_ROWS and others < SWEEP_ROWS:
            break
    if documents or authentications:
        log.info("expired_destroyed", documents=documents, count=authentications)
    return documents, authentications


async def sweep(store: IssuanceStore, now_us: Callable[[], int]) -> None:
    """Until cancelled."""
    while True:
        try:
            await sweep_once(store, now_us())
        except StoreError as error:
            log.warning("sweep_failed", code=error.code)
        await trio.sleep(SWEEP_S)
