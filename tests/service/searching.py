"""Looking for texts and bytes in whatever files there are, in the forms that programs write them in."""

import base64
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

CHUNK = 8 << 20
_BLANK = bytes(4096)


class Hit(NamedTuple):
    """Where what was found: the file, and the name that its mark was given."""

    path: Path
    name: str


def forms_of_text(text: str) -> set[bytes]:
    """As it stands, in both UTFs, escaped as JSON does, and as bytes are written."""
    return {text.encode("utf-16-le"), text.encode("unicode_escape"), *forms_of_bytes(text.encode())}


def forms_of_bytes(content: bytes) -> set[bytes]:
    """As they stand, in hexadecimal, and in base64 wherever in a longer text they begin."""
    return {content, content.hex().encode(), *(_in_base64(content, before) for before in range(3))}


def _in_base64(content: bytes, before: int) -> bytes:
    """The digits that content alone decides, when so many bytes stand before it."""
    digits = base64.b64encode(bytes(before) + content)
    first = -(-before * 8 // 6)
    return digits[first : (before + len(content)) * 8 // 6]


def search(root: Path, marks: Mapping[str, Iterable[bytes]], *, skip: Callable[[Path], bool]) -> tuple[set[Hit], int]:
    """Every hit below a directory, and how many bytes were read; in pieces that overlap, so that none falls between."""
    flat = [(name, form) for name, forms in marks.items() for form in forms]
    overlap = max(len(form) for _, form in flat) - 1
    hits, read = set(), 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or skip(path):
            continue
        tail = b""
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                read += len(piece)
                data = _without_blanks(tail + piece)
                hits |= {Hit(path, name) for name, form in flat if form in data}
                tail = piece[-overlap:]
    return hits, read


def _without_blanks(data: bytes) -> bytes:
    """Long runs of zeros shortened to one block: much of a database's files is empty, and no mark is that long."""
    if _BLANK not in data:
        return data
    kept = [part for part in data.split(_BLANK) if part]
    return _BLANK.join(kept)
