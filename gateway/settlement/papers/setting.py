"""A document as values, and how it becomes a PDF. The same document gives the same bytes: no clock, one pinned font.

A document is what stands on its pages, in order; nothing of it is read as markup. Every text for people is a pair of
Japanese and English. The PDF is PDF/A-3, for keeping: tagged for screen readers (A-3a), or where lists are so long that
the tags would be most of the file, with text that can be searched (A-3u). Files may be attached to it.

Setting is synchronous and takes some 0.3 s and 1 ms a row: callers on an event loop use a thread.
"""

import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import typst

from gateway.fonts import paper_typeface
from gateway.settlement.papers.errors import GlyphLacking, NotSet

Both = tuple[str, str]
"""Japanese and English."""
TAGGED_ROWS_MAX: Final = 300
ATTACHED_BYTES_MAX: Final = 1 << 18
SUBTOTAL: Final = 1
TOTAL: Final = 2
_TEMPLATE: Final = Path(__file__).parent.joinpath("templates", "paper.typ")
_LOCK: Final = threading.Lock()


class Column(msgspec.Struct, frozen=True):
    """A table's column. width: parts of what is left over, 0 for as wide as its content."""

    head: Both
    right: bool = False
    width: int = 0


class Row(msgspec.Struct, frozen=True):
    """A table's row: one text or pair a column. level: SUBTOTAL, TOTAL or 0."""

    cells: tuple[str | Both, ...]
    level: int = 0


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Rows under a head that stands on every page they reach. small: in small type."""

    heading: Both
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    small: bool = False


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """What something is, line by line."""

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
    """A document on A4. mark: stands on each page, what the data are; "" for real ones. lead: above the headline.

    to: None where it is for the writer's own books.
    """

    title: Both
    number: str
    mark: str
    to: Someone | None
    of: Someone
    meta: tuple[tuple[Both, str], ...]
    lead: Both
    headline: Headline
    parts: tuple[Table | Facts | Notes, ...]


class Attachment(msgspec.Struct, frozen=True):
    """A file within the PDF."""

    name: str
    media: str
    what: str
    data: bytes


class _Attached(msgspec.Struct, frozen=True):
    name: str
    media: str
    what: str
    data: list[int]


class _Inputs(msgspec.Struct, frozen=True):
    document: Document
    attached: tuple[_Attached, ...]


def to_pdf(document: Document, *, at_us: int, attached: tuple[Attachment, ...] = ()) -> bytes:
    """The PDF. at_us: the time that stands in it as its making. attached: what is over ATTACHED_BYTES_MAX is left out.

    Raises: GlyphLacking, NotSet, FontMissing.
    """
    typeface = paper_typeface()
    files = tuple(
        _Attached(each.name, each.media, each.what, list(each.data))
        for each in attached
        if len(each.data) <= ATTACHED_BYTES_MAX
    )
    data = msgspec.json.encode(_Inputs(document, files)).decode()
    if not typeface.characters.holds(data):
        raise GlyphLacking(next(each for each in data if not typeface.characters.holds(each)))
    rows = sum(len(part.rows) for part in document.parts if isinstance(part, Table))
    try:
        with _LOCK:
            pdf = _compiler().compile(
                format="pdf",
                sys_inputs={"data": data, "font": typeface.family},
                timestamp=at_us // 1_000_000,
                pdf_standards="a-3a" if rows <= TAGGED_ROWS_MAX else "a-3u",
                pdf_tags=rows <= TAGGED_ROWS_MAX,
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


def in_glyphs(text: str) -> str:
    """A person's text, with a geta (〓) for what the font lacks; an act that stands must have its document."""
    holds = paper_typeface().characters.holds
    return "".join(each if holds(each) else "〓" for each in text)
