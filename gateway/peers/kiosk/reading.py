"""Pages read by the kit, in a thread, as the kiosk's checks need it."""

import trio

from gateway.peers.kiosk.errors import DocumentRefused
from gateway.peers.kit.errors import KitError
from gateway.peers.kit.reading import read_pages


async def read_codes(pdf: bytes) -> list[bytes]:
    """checking.ReadPages. Raises: DocumentRefused."""
    try:
        return await trio.to_thread.run_sync(read_pages, pdf)
    except KitError:
        raise DocumentRefused("pages-unreadable") from None
