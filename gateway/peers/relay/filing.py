"""Proofs go from the outbox into the operator's book of proofs, where a month's invoice is held against them.

A notice is settled with its proof in one transaction of the store; from there a batch moves now and then: it is in the
book, on the disk, before the outbox lets go of it. What a crash leaves in both places goes into the book twice, which
its readers take as one. Source: DESIGN section 11.
"""

from functools import partial
from typing import Final

import structlog
import trio

from gateway.peers.proof_book import ProofBook, ProofBookError
from gateway.peers.relay.errors import StoreFailed
from gateway.peers.relay.store import Store
from gateway.peers.relay.writer import Writer
from protocol.receipt import decode_receipt

log = structlog.get_logger()

AT_ONCE: Final = 512
EVERY_S: Final = 2.0


def file_proofs(store: Store, book: ProofBook) -> int:
    """Move a batch of proofs, inside a transaction of the store; how many. Raises: StoreFailed, ProofBookError."""
    rows = store.rows("SELECT number, proof FROM outbox WHERE proof IS NOT NULL LIMIT ?", AT_ONCE)
    if rows:
        book.add(decode_receipt(proof).proof for _, proof in rows)
    for number, _ in rows:
        store.run("UPDATE outbox SET proof = NULL WHERE number = ?", number)
    return len(rows)


def waits(store: Store) -> bool:
    """Whether a proof waits in the outbox. Raises: StoreFailed."""
    return store.row("SELECT 1 FROM outbox WHERE proof IS NOT NULL LIMIT 1") is not None


async def keep_filing(reader: Store, writer: Writer, book: ProofBook) -> None:
    """Move proofs until cancelled; while a disk fails they stay where they are."""
    while True:
        try:
            while waits(reader):
                await writer(partial(file_proofs, book=book))
        except (StoreFailed, ProofBookError) as error:
            log.warning("proofs_not_filed", code=error.code)
        await trio.sleep(EVERY_S)
