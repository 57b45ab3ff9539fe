"""From a sealed document to pages in the tray: held against everything it must be before the money (.checking), and
what is printed are the very bytes that passed.
"""

from collections.abc import Callable

from gateway.peers.kiosk.checking import Expected, ReadPages, check_document, check_issued, digest_of, open_sealed
from gateway.peers.kiosk.devices import Printer
from gateway.peers.kiosk.errors import DocumentRefused
from gateway.peers.kiosk.settling import Settling
from gateway.peers.kiosk.sitting import Sitting
from protocol.document import Manifest
from protocol.issuance import Issued, KioskFact


class Papers:
    """One kiosk's. read_pages: the code of every page of a PDF, from its picture."""

    def __init__(
        self, *, settling: Settling, printer: Printer, read_pages: ReadPages, now_us: Callable[[], int]
    ) -> None:
        self.printer = printer
        self._read_pages = read_pages
        self._settling = settling
        self._now_us = now_us

    async def take_in(self, sitting: Sitting, expected: Expected, issued: Issued, sealed: bytes) -> None:
        """Verify and open what came; from here on it can be paid for. Raises: DocumentRefused."""
        if sitting.keys is None:
            raise DocumentRefused("seal")
        manifest = check_issued(issued, expected, now_us=self._now_us())
        document = open_sealed(sealed, manifest, expected, key=sitting.keys.seal)
        sitting.pages = await check_document(document, manifest, expected, read_pages=self._read_pages)
        sitting.manifest, sitting.document, sitting.checked = manifest, document, digest_of(document)
        self._settling.document(
            manifest.application,
            copies=sitting.copies,
            pages=len(sitting.pages),
            yen=sitting.yen,
            stem=_stem(manifest),
        )

    async def put_out(self, sitting: Sitting, show: Callable[[int, int], None]) -> None:
        """Print every page of every copy; `show` is told done and total.

        Raises: DocumentRefused, with nothing printed; PaperJam.
        """
        document, manifest = sitting.document, sitting.manifest
        if document is None or manifest is None or digest_of(document) != sitting.checked:
            raise DocumentRefused("changed")
        self._settling.tell(KioskFact.PRINTING, application=manifest.application)
        pages = len(sitting.pages)
        total = pages * sitting.copies
        done = 0
        show(done, total)
        stem = _stem(manifest)
        for copy in range(1, sitting.copies + 1):
            for page in range(1, pages + 1):
                self._settling.page(manifest.application, copy=copy, page=page)
                await self.printer.put_out(document.pdf, stem=stem, copy=copy, page=page, pages=pages)
                done += 1
                show(done, total)


def _stem(manifest: Manifest) -> str:
    """By what the paper of a document is called in the tray."""
    return f"{manifest.municipality}-{manifest.serial}"
