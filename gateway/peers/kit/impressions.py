"""A synthetic registered seal's impression (印影) for test residents: a ring with one to six characters.

A municipality's register holds the scanned picture of the real seal; this one draws what stands for it in tests.
"""

import json
from pathlib import Path
from typing import Final

import typst

from gateway.fonts import find_typeface, is_selector
from gateway.peers.kit.errors import GlyphMissing, RenderingFailed

CHARACTERS_MAX: Final = 6
_TEMPLATE: Final = Path(__file__).parent / "templates" / "impression.typ"


def draw_impression(name: str) -> bytes:
    """A PNG of about 300 pixels a side. Raises: GlyphMissing, FontMissing; ValueError over six characters."""
    typeface = find_typeface()
    if not typeface.characters.holds(name):
        raise GlyphMissing("印影")
    clusters = _clusters(name)
    if not 1 <= len(clusters) <= CHARACTERS_MAX:
        raise ValueError(f"an impression has 1 to {CHARACTERS_MAX} characters")
    middle = (len(clusters) + 1) // 2
    columns = [clusters] if len(clusters) <= 2 else [clusters[middle:], clusters[:middle]]
    data = json.dumps({"font": typeface.family, "size": 9 / max(map(len, columns)), "columns": columns})
    png = typst.compile(
        _TEMPLATE, font_paths=typeface.fonts, ignore_system_fonts=True, format="png", ppi=480, sys_inputs={"data": data}
    )
    if not isinstance(png, bytes):
        raise RenderingFailed
    return png


def _clusters(text: str) -> list[str]:
    found: list[str] = []
    for char in text:
        if found and is_selector(ord(char)):
            found[-1] += char
        else:
            found.append(char)
    return found
