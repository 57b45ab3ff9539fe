"""What a certificate says, as pure values, and how it is cut into pages.

One layout serves all nine kinds: sections of rows, each row a label and a value. A municipality says what stands in
them; `paginate` puts them on A4 pages, deterministically and before anything is signed, since every page's code names
page n of N. Rows marked `key` are the page's key fields: they travel in the page's signed code.

Bounds: a value takes as many lines as its row allows (`lines`), a key text KEY_CHARACTERS_MAX, a page's key fields
KEY_BYTES_MAX together, so that its code stays small enough for a camera. What does not fit is refused, never cut:
TextTooLong names the label. The renderer measures every text again with the real font.

Source: DOMAIN B1, 2.6, 2.7; docs/ISSUANCE.md.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from gateway.peers.kit.errors import TextTooLong
from protocol.certificates import KINDS, Kind
from protocol.document import PAGES_MAX, Field

LINE_UNITS: Final = 68
"""Width of a value's line in half-width characters: 34 full-width characters of 10.5 points."""
LABEL_UNITS: Final = 18
TITLE_UNITS: Final = 38
MAYOR_UNITS: Final = 38
SERIAL_UNITS: Final = 40
CERTIFYING_UNITS: Final = 180
HEADING_UNITS: Final = 76
PAGE_LINES: Final = 28
"""Lines that fit a page between its head and its foot; a section's heading takes one, its end a third of one."""
IMPRESSION_LINES: Final = 6
VALUE_LINES_MAX: Final = 4
WORD_UNITS_MAX: Final = 34
"""A word in Latin letters is not broken, and its letters are up to twice as wide as a half-width character."""
KEY_CHARACTERS_MAX: Final = 80
KEY_FIELDS_MAX: Final = 12
KEY_BYTES_MAX: Final = 640
IMPRESSION_BYTES_MAX: Final = 64 << 10

_NARROW: Final = re.compile(r"[!-~¡-ʯ]+")

CERTIFYING: Final[dict[Kind, str]] = {
    Kind.RESIDENT: "この写しは、住民票の原本と相違ないことを証明する。",
    Kind.RESIDENT_ITEMS: "上記の事項は、住民票に記載されている事項と相違ないことを証明する。",
    Kind.SEAL: "この写しは、登録されている印影と相違ないことを証明する。",
    Kind.INCOME: "上記のとおり、所得について相違ないことを証明する。",
    Kind.TAXATION: "上記のとおり、課税されていることを証明する。",
    Kind.TAX_PAID: "上記のとおり、納税されていることを証明する。",
    Kind.FAMILY_ALL: "これは、戸籍に記録されている事項の全部を証明した書面である。",
    Kind.FAMILY_ONE: "これは、戸籍中の一部の者について記録されている事項の全部を証明した書面である。",
    Kind.FAMILY_ADDRESS: "この写しは、戸籍の附票の原本と相違ないことを証明する。",
}
"""The sentence above the mayor's name, a kind."""


class Row(msgspec.Struct, frozen=True):
    """One line of a certificate: label and value as printed. key: it travels in the page's code. lines: at most."""

    label: str
    value: str
    key: bool = False
    lines: int = 2


class Section(msgspec.Struct, frozen=True):
    """Rows that belong together (a person, a tax year). amounts: the values are figures, set to the right."""

    heading: str
    rows: tuple[Row, ...]
    amounts: bool = False


class Page(msgspec.Struct, frozen=True):
    """What stands on one page, and which of it travels in the page's code."""

    sections: tuple[Section, ...]
    key_fields: tuple[Field, ...]


class Certificate(msgspec.Struct, frozen=True):
    """One copy's content. issued_on is the day in Japan; impression (印影) is a PNG, printed on the first page."""

    kind: Kind
    municipality_ja: str
    mayor_ja: str
    serial: str
    issued_on: date
    title: str
    pages: tuple[Page, ...]
    certifying: str
    impression: bytes = b""


def paginate(
    *,
    kind: Kind,
    municipality_ja: str,
    mayor_ja: str,
    serial: str,
    issued_on: date,
    sections: Sequence[Section],
    common: Sequence[Row] = (),
    impression: bytes = b"",
    certifying: str | None = None,
    title: str | None = None,
) -> Certificate:
    """Cut a certificate's sections into pages.

    common stands at the head of every page (住所, 世帯主; its key rows are key fields of every page). A section is
    kept whole where a page can hold it; a longer one goes on with its heading repeated. title and certifying are the
    kind's own when left out. impression is drawn after the common rows of the first page.

    Raises: TextTooLong naming the row's label, or the title when there are over PAGES_MAX pages.
    """
    titled, certified = title or KINDS[kind].ja, certifying or CERTIFYING[kind]
    for name, text, room_units in (
        ("title", titled, TITLE_UNITS),
        ("mayor", f"{municipality_ja}長　{mayor_ja}", MAYOR_UNITS),
        ("serial", serial, SERIAL_UNITS),
        ("certifying", certified, CERTIFYING_UNITS),
        *(("heading", section.heading, HEADING_UNITS) for section in sections),
    ):
        if units(text) > room_units:
            raise TextTooLong(name)
    head = Section("", tuple(common))
    head_lines, head_bytes, head_fields = _lines_of(head.rows), _key_bytes(head.rows), _keys(head.rows)
    room = PAGE_LINES - head_lines
    pages: list[list[Section]] = [[]]
    used, key_bytes, fields = float(IMPRESSION_LINES if impression else 0), head_bytes, head_fields
    for piece in _pieces(
        sections, room=room, key_bytes=KEY_BYTES_MAX - head_bytes, fields=KEY_FIELDS_MAX - head_fields
    ):
        lines, more, keys = _section_lines(piece), _key_bytes(piece.rows), _keys(piece.rows)
        over = used + lines > room or key_bytes + more > KEY_BYTES_MAX or fields + keys > KEY_FIELDS_MAX
        if over and (pages[-1] or used):
            pages.append([])
            used, key_bytes, fields = 0.0, head_bytes, head_fields
        pages[-1].append(piece)
        used, key_bytes, fields = used + lines, key_bytes + more, fields + keys
    if len(pages) > PAGES_MAX:
        raise TextTooLong(titled)
    return Certificate(
        kind=kind,
        municipality_ja=municipality_ja,
        mayor_ja=mayor_ja,
        serial=serial,
        issued_on=issued_on,
        title=titled,
        pages=tuple(_page([head, *page] if head.rows else page) for page in pages),
        certifying=certified,
        impression=impression,
    )


def units(text: str) -> int:
    """Width in half-width characters; a full-width character is 2, marks and variation selectors 0."""
    return sum(_width(char) for char in text)


def lines_needed(row: Row) -> int:
    """Lines a row takes. Raises: TextTooLong naming its label."""
    needed = max(1, -(-units(row.value) // LINE_UNITS))
    if needed > min(row.lines, VALUE_LINES_MAX) or units(row.label) > LABEL_UNITS:
        raise TextTooLong(row.label)
    if row.key and len(row.value) > KEY_CHARACTERS_MAX:
        raise TextTooLong(row.label)
    if any(units(word) > WORD_UNITS_MAX for word in _NARROW.findall(row.value)):
        raise TextTooLong(row.label)
    return needed


def near_edge(row: Row) -> bool:
    """Whether the value could take more lines than one for one full-width character a character: to be measured."""
    return len(row.value) > LINE_UNITS // 2 - 1


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WFA" else 1


def _page(sections: Sequence[Section]) -> Page:
    fields = tuple(Field(row.label, row.value) for section in sections for row in section.rows if row.key)
    return Page(tuple(sections), fields)


def _lines_of(rows: Sequence[Row]) -> int:
    return sum(lines_needed(row) for row in rows)


def _section_lines(section: Section) -> float:
    return _lines_of(section.rows) + (1 if section.heading else 0) + 1 / 3


def _key_bytes(rows: Sequence[Row]) -> int:
    return sum(len((row.label + row.value).encode()) + 4 for row in rows if row.key)


def _keys(rows: Sequence[Row]) -> int:
    return sum(row.key for row in rows)


def _pieces(sections: Sequence[Section], *, room: int, key_bytes: int, fields: int) -> list[Section]:
    """The sections, those that no page holds whole cut between rows and headed again."""
    pieces = []
    for section in sections:
        start, used, keyed, keys = 0, 1 + 1 / 3, 0, 0
        for index, row in enumerate(section.rows):
            lines, more = lines_needed(row), _key_bytes((row,))
            if lines + 1 + 1 / 3 > room or more > key_bytes or row.key > fields:
                raise TextTooLong(row.label)
            if used + lines > room or keyed + more > key_bytes or keys + row.key > fields:
                pieces.append(_piece(section, start, index))
                start, used, keyed, keys = index, 1 + 1 / 3, 0, 0
            used, keyed, keys = used + lines, keyed + more, keys + row.key
        pieces.append(_piece(section, start, len(section.rows)))
    return pieces


def _piece(section: Section, start: int, end: int) -> Section:
    heading = f"{section.heading}（続き）" if start and section.heading else section.heading
    return Section(heading, section.rows[start:end], section.amounts)
