"""Tables as CSV files that office software opens right: how every CSV of settlement is written. Pure.

UTF-8 with a byte order mark, lines ended by CR LF (RFC 4180), amounts as signed whole numbers. Texts that a spreadsheet
would take for a formula get an apostrophe before them.
"""

import csv
import io
from collections.abc import Iterable
from typing import Final

BOM: Final = b"\xef\xbb\xbf"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Some lines, without the byte order mark."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([_guarded(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _guarded(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
