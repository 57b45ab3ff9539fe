"""Files of notifications: UTF-8, one row a line, as CSV with a header or as JSON objects.

A row is one physical line, so that a line number names it and a load can go on behind it; a value cannot hold a line
break. The file is read in runs of whole lines; reading rows out of lines is pure and may happen in another process.
What cannot be read as a row becomes a FieldInvalid in its place, never an exception that ends the file.
Source: docs/OPERATIONS.md, The register.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec

from gateway.inquiry.errors import FieldInvalid, FileInvalid
from gateway.inquiry.notification import FIELDS, REQUIRED, NotificationRow

Format = Literal["csv", "jsonl"]
RUN_LINES: Final = 4_000
LINE_BYTES_MAX: Final = 16_384
_BOM: Final = b"\xef\xbb\xbf"
_decode_row: Final = msgspec.json.Decoder(NotificationRow).decode


class Lines(msgspec.Struct, frozen=True):
    """A run of lines as they stand in the file; `first` is the number of the first, from 1."""

    first: int
    lines: list[bytes]


def survey(path: Path) -> tuple[bytes, int]:
    """The file's SHA-256, by which a load begun is known again, and its line breaks. Raises: OSError."""
    taken, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            taken.update(part)
            lines += part.count(b"\n")
    return taken.digest(), lines


def read_header(path: Path, form: Format) -> tuple[str, ...]:
    """The names of a CSV file's columns; () for JSON lines, which name their own.

    Raises: FileInvalid for a header with a name missing, unknown or given twice; OSError.
    """
    if form == "jsonl":
        return ()
    with path.open("rb") as file:
        line = file.readline(LINE_BYTES_MAX).removeprefix(_BOM)
    try:
        names = tuple(next(csv.reader([line.decode().rstrip("\r\n")], strict=True), ()))
    except (UnicodeDecodeError, csv.Error):
        names = ()
    unknown = sorted(set(names) - set(FIELDS))
    missing = sorted(REQUIRED - set(names))
    if missing or unknown or len(set(names)) != len(names):
        raise FileInvalid(str(path), missing=missing, unknown_count=len(unknown))
    return names


def read_runs(path: Path, form: Format, *, after_line: int) -> Iterator[Lines]:
    """The file's lines behind `after_line` in runs; a CSV file's header and empty lines are lines without a row.

    Raises: OSError.
    """
    with path.open("rb") as file:
        number = 0
        run: list[bytes] = []
        while line := _line(file):
            number += 1
            if number <= after_line:
                continue
            if number == 1:
                line = b"" if form == "csv" else line.removeprefix(_BOM)
            run.append(line.rstrip(b"\r\n"))
            if len(run) == RUN_LINES:
                yield Lines(number - RUN_LINES + 1, run)
                run = []
        if run:
            yield Lines(number - len(run) + 1, run)


def _line(file: BinaryIO) -> bytes:
    """The next line; of one that is too long, only so much that this is seen. b"" at the end."""
    line = file.readline(LINE_BYTES_MAX + 2)
    if len(line) == LINE_BYTES_MAX + 2 and not line.endswith(b"\n"):
        while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
            pass
    return line


def read_rows(
    lines: Sequence[bytes], form: Format, header: Sequence[str]
) -> list[NotificationRow | FieldInvalid | None]:
    """One entry a line: its row, what is wrong with it, or None for an empty line."""
    if form == "csv":
        return _read_csv(lines, header)
    return [_read_json(line) if line else None for line in lines]


def _read_csv(lines: Sequence[bytes], header: Sequence[str]) -> list[NotificationRow | FieldInvalid | None]:
    try:
        cells = list(csv.reader(b"\n".join(lines).decode().split("\n"), strict=True))
    except (UnicodeDecodeError, csv.Error):
        cells = []
    if len(cells) != len(lines) or max(map(len, lines), default=0) > LINE_BYTES_MAX:
        # Some line is not one row of UTF-8: each is read alone, so that only it is refused.
        return [_read_cells(line, header) for line in lines]
    if tuple(header) == FIELDS:
        width = len(FIELDS)
        return [NotificationRow(*each) if len(each) == width else _row(each, header) for each in cells]
    return [_row(each, header) for each in cells]


def _read_cells(line: bytes, header: Sequence[str]) -> NotificationRow | FieldInvalid | None:
    if len(line) > LINE_BYTES_MAX:
        return _too_long()
    try:
        cells = next(csv.reader([line.decode()], strict=True), [])
    except UnicodeDecodeError:
        return _not_utf8()
    except csv.Error:
        return FieldInvalid("row", "quotes", ja="引用符が閉じていません", en="a quote is not closed, or stands wrongly")
    return _row(cells, header)


def _row(cells: Sequence[str], header: Sequence[str]) -> NotificationRow | FieldInvalid | None:
    if not cells:
        return None
    if len(cells) != len(header):
        return FieldInvalid(
            "row",
            "columns",
            ja=f"列の数は{len(header)}です",
            en=f"the header names {len(header)} columns; give as many",
        )
    return NotificationRow(**dict(zip(header, cells, strict=True)))


def _read_json(line: bytes) -> NotificationRow | FieldInvalid:
    if len(line) > LINE_BYTES_MAX:
        return _too_long()
    try:
        return _decode_row(line)
    except UnicodeDecodeError:
        return _not_utf8()
    except msgspec.DecodeError:
        return FieldInvalid(
            "row",
            "json",
            ja="様式にある項目だけを文字列で持つJSONオブジェクトを1行に1件記入してください",
            en="write one JSON object a line, with the layout's fields alone, each a text",
        )


def _too_long() -> FieldInvalid:
    return FieldInvalid(
        "row", "too-long", ja=f"1行は{LINE_BYTES_MAX}バイト以内です", en=f"a line has at most {LINE_BYTES_MAX} bytes"
    )


def _not_utf8() -> FieldInvalid:
    return FieldInvalid("row", "not-utf8", ja="UTF-8で保存してください", en="save the file as UTF-8")
