"""A document as values, and how it becomes a PDF. The same document gives the same bytes: no clock, one pinned font.

A document is what stands on a page, in order; nothing of it is read as markup. Every text for people is a pair of
Japanese and English. Setting is synchronous and takes some 0.2 s and 1 ms a row: callers on an event loop use a thread.
"""

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

import msgspec
import typst

from gateway.fonts import paper_typeface
from gateway.settlement.errors import SettlementError

Both = tuple[str, str]
"""Japanese and English."""
_TEMPLATE: Final = Path(__file__).parent / "templates" / "paper.typ"
_lock = threading.Lock()


class NotSet(SettlementError):  # noqa: N818  named after the fact
    """The typesetter failed; nothing of the document is in this sentence."""

    code: ClassVar[str] = "paper-not-set"

    def __init__(self) -> None:
        super().__init__("the document could not be set / 書面を作成できませんでした; this is a defect of the template")


class GlyphLacking(SettlementError):  # noqa: N818  named after the fact
    """A character that the font of papers lacks would print as a box. Field: character."""

    code: ClassVar[str] = "paper-glyph"

    def __init__(self, character: str) -> None:
        super().__init__(
            f"the font of papers has no character U+{ord(character):04X} / 印字できない文字があります; write the name "
            "of the party or matter without it"
        )
        self.character = character


class Column(msgspec.Struct, frozen=True):
    """A table's column. width: parts of what is left over, 0 for as wide as its content."""

    head: Both
    right: bool = False
    width: int = 0


class Row(msgspec.Struct, frozen=True):
    """A table's row: one text or pair a column. strong: a sum; level: 1 for a subtotal."""

    cells: tuple[str | Both, ...]
    strong: bool = False


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Rows under a head that stands on every page they reach. small: in small type."""

    heading: Both
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    small: bool = False
    new_page: bool = False


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """What something is, line by line. code: values in a type that tells 0 from O."""

    heading: Both
    rows: tuple[tuple[Both, str], ...]
    small: bool = False


class Notes(msgspec.Struct, frozen=True, tag="notes"):
    """Remarks."""

    items: tuple[Both, ...]
    heading: Both = ("備考", "Notes")


class Someone(msgspec.Struct, frozen=True):
    """A party in a letter's head. lines: address, registration."""

    name: Both
    lines: tuple[str, ...] = ()


class Headline(msgspec.Struct, frozen=True):
    """The amount that it is about, and what belongs to it: due day, account."""

    label: Both
    amount: str
    rows: tuple[tuple[Both, str], ...] = ()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document on A4. mark: stands on each page beside number and page, what the data are; "" for real ones."""

    title: Both
    number: str
    mark: str
    to: Someone
    of: Someone
    meta: tuple[tuple[Both, str], ...]
    lead: Both
    headline: Headline
    parts: tuple[Table | Facts | Notes, ...]


def to_pdf(document: Document, *, at_us: int) -> bytes:
    """The PDF (PDF/A-2a: for keeping; tagged). at_us: the time that stands in it as its making.

    Raises: GlyphLacking, NotSet, FontMissing.
    """
    typeface = paper_typeface()
    data = msgspec.json.encode(document).decode()
    if not typeface.characters.holds(data):
        raise GlyphLacking(next(each for each in data if not typeface.characters.holds(each)))
    inputs = {"data": data, "font": typeface.family}
    try:
        with _lock:
            pdf = _compiler().compile(
                format="pdf", sys_inputs=inputs, timestamp=at_us // 1_000_000, pdf_standards="a-2a"
            )
    except typst.TypstError as error:
        raise NotSet from error
    if not isinstance(pdf, bytes):
        raise NotSet
    return pdf


@lru_cache(maxsize=1)
def _compiler() -> typst.Compiler:
    fonts = paper_typeface().fonts
    return typst.Compiler(_TEMPLATE, root=_TEMPLATE.parent, font_paths=fonts, ignore_system_fonts=True)


def facts(*rows: tuple[str, str, str]) -> tuple[tuple[Both, str], ...]:
    """Rows of Japanese, English and value; those without a value are left out."""
    return tuple(((ja, en), value) for ja, en, value in rows if value)


def table_rows(rows: Sequence[Sequence[str | Both]]) -> tuple[Row, ...]:
    """Plain rows."""
    return tuple(Row(tuple(row)) for row in rows)
