"""Paper that is kept in memory: the tray of a kiosk that a program drives by the hundred, so each sheet can be checked.

Nothing of it reaches a disk, and nothing of it survives its process.
"""

import msgspec

from gateway.peers.kiosk.errors import PaperJam
from gateway.peers.kiosk.journal import Power, steady


class Paper(msgspec.Struct, kw_only=True):
    """One copy: the bytes it was printed from, pages that are out, pages it should have, and whether it is void."""

    pdf: bytes
    out: int = 0
    pages: int
    void: bool = False


class Stack:
    """A printer into memory. `jam`: the (copy, page) that will not come out, once; None for none."""

    def __init__(self, *, power: Power = steady) -> None:
        self.jam: tuple[int, int] | None = None
        self.papers: dict[tuple[str, int], Paper] = {}
        """By stem and copy."""
        self.receipts: dict[str, str] = {}
        self._power = power

    async def put_out(self, pdf: bytes, *, stem: str, copy: int, page: int, pages: int) -> None:
        """One page. Raises: PaperJam."""
        self._power(f"put-out-{copy}-{page}-before")
        paper = self.papers.setdefault((stem, copy), Paper(pdf=pdf, pages=pages))
        if self.jam == (copy, page):
            self.jam = None
            raise PaperJam(copy, page)
        paper.out = page
        self._power(f"put-out-{copy}-{page}-after")

    def whole_copies(self, stem: str) -> int:
        """Copies that lie whole here."""
        return sum(paper.out == paper.pages for (of, _), paper in self.papers.items() if of == stem)

    def void(self, stem: str) -> None:
        """Mark all of that stem."""
        for (of, copy), paper in self.papers.items():
            if of == stem and not paper.void:
                self._power(f"mark-{copy}-before")
                paper.void = True

    def receipt(self, slip: str, text: str) -> None:
        """Keep the text."""
        self.receipts[slip] = text
