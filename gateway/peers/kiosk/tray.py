"""The output tray: a folder that stands for the user's paper, and the one place where what a document says may be.

    certificate-<municipality>-<serial>-<copy>.pdf    a copy that is out whole
    printing-<municipality>-<serial>-<copy>.pdf       pages of a copy of which more are to come
    void-<municipality>-<serial>-<copy>.pdf           either of them marked 返金済・無効 (000契9-1)
    receipt-<slip>.txt                                領収書, or the note of a refund

A marked copy is what ink leaves of a certificate: pictures of its pages with the words across them, so that neither the
PDF's signature nor the code in the corner passes for a good one. Bytes are handed over in memory; nothing else is
written.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from gateway.peers.kiosk.errors import PaperJam
from gateway.peers.kiosk.journal import Power, steady
from gateway.peers.kiosk.marking import marked, pages_of

GOOD: Final = "certificate"
PARTIAL: Final = "printing"
VOID: Final = "void"

Pace = Callable[[], Awaitable[None]]
"""Waited for at every page: how long a page takes to come out."""


class TrayPrinter:
    """Prints into a folder. Attribute `jam`: the (copy, page) that will not come out, once; None for none."""

    def __init__(self, folder: Path, *, power: Power = steady, pace: Pace = trio.lowlevel.checkpoint) -> None:
        self.jam: tuple[int, int] | None = None
        self.folder = folder
        self._power = power
        self._pace = pace
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def put_out(self, pdf: bytes, *, stem: str, copy: int, page: int, pages: int) -> None:
        """One page. The first lays the copy into the tray, the last makes it whole. Raises: PaperJam."""
        await self._pace()
        self._power(f"put-out-{copy}-{page}-before")
        partial = self.folder / f"{PARTIAL}-{stem}-{copy}.pdf"
        if self.jam == (copy, page):
            self.jam = None
            if page > 1:
                partial.write_bytes(pages_of(pdf, page - 1))
            raise PaperJam(copy, page)
        if page < pages:
            partial.write_bytes(pages_of(pdf, page))
        else:
            partial.write_bytes(pdf)
            partial.rename(self.folder / f"{GOOD}-{stem}-{copy}.pdf")
        self._power(f"put-out-{copy}-{page}-after")

    def whole_copies(self, stem: str) -> int:
        """Copies that lie whole in the tray."""
        return len(list(self.folder.glob(f"{GOOD}-{stem}-*.pdf")))

    def papers(self, stem: str, slip: str) -> list[Path]:
        """All that lies there of a document and its slip."""
        return sorted([*self.folder.glob(f"*-{stem}-*.pdf"), *self.folder.glob(f"receipt-{slip}*.txt")])

    def void(self, stem: str) -> None:
        """Mark what lies there."""
        for word in (GOOD, PARTIAL):
            for paper in sorted(self.folder.glob(f"{word}-{stem}-*.pdf")):
                self._power(f"mark-{paper.stem.rpartition('-')[2]}-before")
                void = paper.with_name(paper.name.replace(word, VOID, 1))
                void.write_bytes(marked(paper.read_bytes()))
                paper.unlink()

    def receipt(self, slip: str, text: str) -> None:
        """A slip of text."""
        (self.folder / f"receipt-{slip}.txt").write_text(text, encoding="utf-8")
