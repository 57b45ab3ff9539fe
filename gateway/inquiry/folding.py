"""Folding: two ways to write one name become the same text.

Folding finds candidates and says which field differs; it never accepts anyone by itself (DOMAIN 2.3, Practice).
`plain` takes away only what no reader sees: width, spaces. `fold_name` goes further: 異体字 by our own table,
ideographic variation selectors, 々, kana that is read alike, marks. `search_name` goes as far as the search rules for
kana go, further than any answer may. NFKC alone folds none of 髙 﨑 邉 邊 德 濵 栁.

Not here: addresses (gateway.inquiry.addresses), the kana rules themselves (gateway.inquiry.kana).
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

from gateway.inquiry.errors import TableInvalid
from gateway.inquiry.kana import BY_NEIGHBOUR, PER_CHARACTER, same_search, same_sound, same_vowels

_TABLE: Final = "variants.txt"
_CACHE_TEXTS: Final = 1 << 13

_COMPATIBLE: Final = re.compile(r"[^\uF900-\uFAFF\U0002F800-\U0002FA1F]+")
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_RULE: Final = re.compile(r"\[\S+\] \S")
_REPEAT: Final = re.compile("(.)([々〻]+)")
_MARKS: Final = {ord(mark): None for mark in "・･.,'’`()[]"}


def read_variants(text: str) -> dict[str, str]:
    """Character to representative: groups parted by spaces, the representative first, under the rule each follows.

    A line `[name] rule` opens a section; # starts a comment.
    Raises: TableInvalid for a group of one, a character in two groups, or a group without a rule.
    """
    table: dict[str, str] = {}
    seen: set[str] = set()
    ruled = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            ruled = _RULE.match(line) is not None
            continue
        if not ruled:
            raise TableInvalid(_TABLE, number, "a group stands under no rule")
        for group in line.split():
            if len(group) < 2 or len(set(group)) != len(group) or not seen.isdisjoint(group):
                raise TableInvalid(_TABLE, number, "a character stands alone or twice")
            seen.update(group)
            table.update(dict.fromkeys(group[1:], group[0]))
    return table


VARIANTS: Final[Mapping[str, str]] = read_variants(files("gateway.inquiry").joinpath(_TABLE).read_text("utf-8"))
"""Our own 異体字 table: variant to the character that stands for it."""
_TO_VARIANTS: Final = {ord(old): new for old, new in VARIANTS.items()}


def _fold_alone(code: int) -> str:
    return chr(code).translate(_TO_VARIANTS).translate(_MARKS).translate(PER_CHARACTER)


_AT_ONCE: Final = {code: _fold_alone(code) for code in (_TO_VARIANTS | _MARKS | PER_CHARACTER)}
"""What fold_name makes of each character, where none of its neighbours matters."""
_NEIGHBOURS_MATTER: Final = re.compile(f"[々〻\ufe00-\ufe0f\U000e0100-\U000e01ef{re.escape(BY_NEIGHBOUR)}]")


@lru_cache(maxsize=_CACHE_TEXTS)
def plain(text: str) -> str:
    """Text as its reader sees it: one width, no spaces; kanji and their selectors stay as they are."""
    # Twice: taking out a space that NFKC made of a spacing accent lets the accent join the letter before it.
    return _width("".join(_width(text).split()))


def _width(text: str) -> str:
    return _COMPATIBLE.sub(lambda run: unicodedata.normalize("NFKC", run[0]), text)


def fold_kanji(text: str) -> str:
    """Text in one width with the kanji of each group made one; spaces stay."""
    folded = _SELECTORS.sub("", unicodedata.normalize("NFKC", text)).translate(_TO_VARIANTS)
    return _REPEAT.sub(lambda found: found[1] * (1 + len(found[2])), folded) if "々" in folded else folded


@lru_cache(maxsize=_CACHE_TEXTS)
def fold_name(name: str) -> str:
    """A name for comparing: no spaces or marks, one kanji of each group, kana by sound, small Latin letters."""
    text = unicodedata.normalize("NFKC", name)
    if _NEIGHBOURS_MATTER.search(text) is None:  # nearly every name: one table in place of five steps
        return same_vowels("".join(text.split()).translate(_AT_ONCE)).casefold()
    return _fold_with_neighbours(name)


def _fold_with_neighbours(name: str) -> str:
    return same_sound("".join(fold_kanji(name).split()).translate(_MARKS)).casefold()


def search_name(name: str) -> str:
    """A name for finding: as fold_name, without voicing and long vowels."""
    return same_search(fold_name(name))
