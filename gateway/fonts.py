"""Which font a document is set in, and which characters it has.

Certificates: a glyph that is missing, or a variant (IVS) that the font lacks, would print as a box or as another form
of the character, and a wrong form of a name is a wrong document: so the font's own character map is asked first, and
what it does not hold is refused. IPAmj Mincho holds the variants of names; other Japanese fonts are for places without
it and refuse more.

Papers of settlement: the font of a package this project pins, and no other, so that a paper made again has the same
bytes on whatever machine.

Source: DOMAIN 2.3; OpenType 1.9, cmap formats 12 and 14; Unicode Technical Standard 37 (IVS).
"""

import importlib.resources
import struct
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

import msgspec
import typst

FAMILIES: Final = (
    "IPAmjMincho",
    "IPAexMincho",
    "IPAMincho",
    "Noto Serif CJK JP",
    "Noto Serif JP",
    "IPAexGothic",
    "Noto Sans CJK JP",
    "Noto Sans JP",
)
"""By preference; only the first has the variants of names."""
PACKAGES: Final = ("pylopdf_fonts_jp",)
"""Python packages that carry a free Japanese font, used when the system has none."""
PAPER_FAMILY: Final = "Noto Sans JP"
_SELECTORS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


class FontMissing(Exception):  # noqa: N818 - named after the fact
    """No Japanese font on this machine; the sentence names the remedy."""

    code: ClassVar[str] = "font-missing"

    def __init__(self) -> None:
        super().__init__(
            "no Japanese font is installed, so nothing can be printed: install IPAmj Mincho (Debian: "
            f"fonts-ipamj-mincho) or the package {PACKAGES[0].replace('_', '-')}, or name a font file"
            " / IPAmj明朝フォントを導入してください"
        )


def is_selector(code: int) -> bool:
    """Whether this character chooses a variant (IVS, SVS) of the one before it."""
    return any(code in selectors for selectors in _SELECTORS)


class CharacterMap:
    """Which characters and variants a TrueType or OpenType font holds. Raises: FontMissing when it has no such map."""

    def __init__(self, path: Path) -> None:
        cmap = _table(path, b"cmap")
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._variants: dict[int, tuple[list[tuple[int, int]], frozenset[int]]] = {}
        (count,) = struct.unpack_from(">H", cmap, 2)
        offsets = {struct.unpack_from(">I", cmap, 8 + 8 * index)[0] for index in range(count)}
        for offset in sorted(offsets):
            (form,) = struct.unpack_from(">H", cmap, offset)
            if form == 12:
                self._read_groups(cmap, offset)
            elif form == 14:
                self._read_variants(cmap, offset)
        if not self._starts:
            raise FontMissing

    def holds(self, text: str) -> bool:
        """Whether every character, with its variation selector, has its own glyph."""
        before = ""
        for char in text:
            code = ord(char)
            if is_selector(code):
                if not before or not self._holds_variant(ord(before), code):
                    return False
                before = ""
            elif self._holds_plain(code):
                before = char
            else:
                return False
        return True

    def _holds_plain(self, code: int) -> bool:
        at = bisect_right(self._starts, code) - 1
        return code >= 0x20 and at >= 0 and code <= self._ends[at]

    def _holds_variant(self, code: int, selector: int) -> bool:
        plain, own = self._variants.get(selector, ([], frozenset()))
        return code in own or any(start <= code <= start + more for start, more in plain)

    def _read_groups(self, cmap: bytes, offset: int) -> None:
        (groups,) = struct.unpack_from(">I", cmap, offset + 12)
        for index in range(groups):
            start, end, _ = struct.unpack_from(">III", cmap, offset + 16 + 12 * index)
            self._starts.append(start)
            self._ends.append(end)

    def _read_variants(self, cmap: bytes, offset: int) -> None:
        (records,) = struct.unpack_from(">I", cmap, offset + 6)
        for index in range(records):
            high, low, default_at, own_at = struct.unpack_from(">BHII", cmap, offset + 10 + 11 * index)
            plain, own = [], []
            if default_at:
                (many,) = struct.unpack_from(">I", cmap, offset + default_at)
                for each in range(many):
                    top, rest, more = struct.unpack_from(">BHB", cmap, offset + default_at + 4 + 4 * each)
                    plain.append((top << 16 | rest, more))
            if own_at:
                (many,) = struct.unpack_from(">I", cmap, offset + own_at)
                for each in range(many):
                    top, rest = struct.unpack_from(">BH", cmap, offset + own_at + 4 + 5 * each)
                    own.append(top << 16 | rest)
            self._variants[high << 16 | low] = (plain, frozenset(own))


class Typeface(msgspec.Struct, frozen=True):
    """The font in use: its family's name, the set of fonts the typesetter opens, and the characters it holds."""

    family: str
    fonts: typst.Fonts
    characters: CharacterMap


@lru_cache(maxsize=4)
def find_typeface(files: tuple[Path, ...] = ()) -> Typeface:
    """The best Japanese font: of these files first, then the system's, then a package's. Raises: FontMissing."""
    for places, system in ((files, False), ((), True), (_packaged(), False)):
        if not places and not system:
            continue
        folders = [each if each.is_dir() else each.parent for each in places]
        fonts = typst.Fonts(include_system_fonts=system, include_embedded_fonts=False, font_paths=folders)
        known = {each.family: each.path for each in fonts.fonts() if each.path}
        family = next((each for each in FAMILIES if each in known), None)
        if family is not None:
            return Typeface(family, fonts, CharacterMap(Path(known[family] or "")))
    raise FontMissing


@lru_cache(maxsize=1)
def paper_typeface() -> Typeface:
    """The packaged font that papers are set in, and no other. Raises: FontMissing."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=list(_packaged()))
    for each in fonts.fonts():
        if each.family == PAPER_FAMILY and each.path:
            return Typeface(PAPER_FAMILY, fonts, CharacterMap(Path(each.path)))
    raise FontMissing


def _packaged() -> Sequence[Path]:
    found = []
    for name in PACKAGES:
        try:
            root = importlib.resources.files(name)
        except ModuleNotFoundError:
            continue
        if isinstance(root, Path):
            found.append(root)
    return found


def _table(path: Path, name: bytes) -> bytes:
    with path.open("rb") as file:
        head = file.read(12)
        base = 0
        if head.startswith(b"ttcf"):
            file.seek(12)
            (base,) = struct.unpack(">I", file.read(4))
            file.seek(base)
            head = file.read(12)
        (count,) = struct.unpack_from(">H", head, 4)
        for _ in range(count):
            tag, _, offset, length = struct.unpack(">4sIII", file.read(16))
            if tag == name:
                file.seek(offset)
                return file.read(length)
    raise FontMissing
