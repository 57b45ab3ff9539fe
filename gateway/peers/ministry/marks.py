"""Where the register's entry differs from what was asked, character by character.

A character is what a reader counts as one: a base with the variation selectors (IVS) and combining marks that follow
it. So 邉 and 邉 with a selector are one character each and differ, and a mark never falls between a base and its
selector. Spaces are layout: 氏 and 名 may stand apart or together, so they are carried along and never marked.

Pure functions over text; how a mark looks is the templates' affair. What counts as the same person is not decided
here: the centre grades, this only shows a clerk what to look at.

Source: DOMAIN 2.3 (IVS, variant characters).
"""

import unicodedata
from difflib import SequenceMatcher
from typing import Final

import msgspec

_SELECTORS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


class Piece(msgspec.Struct, frozen=True):
    """A run of characters that all stand on the other side too, or none of which does."""

    text: str
    differs: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place that differs: its position, from 1 and without spaces, and what stands there on each side or ""."""

    position: int
    asked: str
    registered: str


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """Both texts cut into pieces whose joined text is the text given, and the differences in order."""

    asked: tuple[Piece, ...]
    registered: tuple[Piece, ...]
    differences: tuple[Difference, ...]


def mark(asked: str, registered: str) -> Marks:
    """Compare what was asked with what is registered.

    Positions are those of the registered text, or of where a character asked for is missing from it.
    """
    left, right = characters(asked), characters(registered)
    here = [(at, c) for at, c in enumerate(left) if not c.isspace()]
    there = [(at, c) for at, c in enumerate(right) if not c.isspace()]
    differing_left: set[int] = set()
    differing_right: set[int] = set()
    differences: list[Difference] = []
    matcher = SequenceMatcher(a=[c for _, c in here], b=[c for _, c in there], autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            continue
        differing_left.update(at for at, _ in here[a0:a1])
        differing_right.update(at for at, _ in there[b0:b1])
        paired = min(a1 - a0, b1 - b0)
        differences += [
            Difference(position=b0 + n + 1, asked=here[a0 + n][1], registered=there[b0 + n][1]) for n in range(paired)
        ]
        rest_left = "".join(c for _, c in here[a0 + paired : a1])
        rest_right = "".join(c for _, c in there[b0 + paired : b1])
        if rest_left or rest_right:
            differences.append(Difference(position=b0 + paired + 1, asked=rest_left, registered=rest_right))
    return Marks(
        asked=_pieces(left, differing_left),
        registered=_pieces(right, differing_right),
        differences=tuple(differences),
    )


def characters(text: str) -> list[str]:
    """Cut text into what a reader counts as characters; joined again they are the text.

    A variation selector or combining mark with nothing before it is a character of its own.
    """
    cut: list[str] = []
    for c in text:
        if cut and (unicodedata.combining(c) or any(ord(c) in selectors for selectors in _SELECTORS)):
            cut[-1] += c
        else:
            cut.append(c)
    return cut


def code_points(text: str) -> str:
    """The code points of a character as they are written: "U+9089 U+E0104"; tells apart what fonts may not."""
    return " ".join(f"U+{ord(c):04X}" for c in text)


def _pieces(cut: list[str], differing: set[int]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for at, c in enumerate(cut):
        differs = at in differing
        if pieces and pieces[-1].differs == differs:
            pieces[-1] = Piece(pieces[-1].text + c, differs)
        else:
            pieces.append(Piece(c, differs))
    return tuple(pieces)
