"""The print journal: what was about to happen, on disk before it happens.

Theory. Money and paper cannot be rolled back, so each physical act is preceded by a line that is durable (fsync). After
a power cut the lines say how far things can have gone: no line, not begun. What lies between the last line and the act
it announces is asked of the device itself, for the coin slot and the tray keep their own truth (recovery.remedy).

A notice to the centre is a line too: its request id and very bytes, so that after any number of cuts it goes out the
same. The lines hold application ids, counts, sums and times, the log of issue dates and times that is to be kept
(000別1-3(5)), and nothing of a person, a card or a document.

File: a line is `<first 16 hexadecimal digits of SHA-256 of the JSON> <JSON object>\\n`. A torn last line is cut off;
anything else that does not check is JournalDamaged.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import msgspec

from gateway.peers.kiosk.errors import JournalDamaged, SetupIncomplete

_DIGITS: Final = 16


class Act(StrEnum):
    """What a line announces or states."""

    OPENED = "opened"  # an application exists
    DOCUMENT = "document"  # number: copies; page: pages of a copy; yen: to be paid; text: stem of the tray's names
    MONEY = "money"  # about to take yen; text: slip
    PAID = "paid"  # it is in; text: store business day
    PAGE = "page"  # about to put out page of copy `number`
    DONE = "done"  # every page of every copy is out
    SPOIL = "spoil"  # not to go on printing; number: Ground
    REFUND = "refund"  # about to give yen back
    REFUNDED = "refunded"  # text: store business day
    NOTICE = "notice"  # to be told to the centre; number: Operation; data: request id and body
    TOLD = "told"  # taken over; number: Operation; page: outcome


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. application: 16 bytes; at_us: microseconds since 1970."""

    act: Act
    application: bytes
    at_us: int
    number: int = 0
    page: int = 0
    yen: int = 0
    text: str = ""
    data: bytes = b""
    request_id: bytes = b""


Power = Callable[[str], None]
"""Told of each step just before and after it happens; a simulated power cut does not return."""


def steady(step: str) -> None:
    """The power that never fails."""
    del step


class Journal:
    """One file, append-only; made when it does not exist. `durable=False` leaves out fsync (load tests).

    Field: trails, what its lines say of each application, oldest first.

    Raises on opening: JournalDamaged; SetupIncomplete while another process has it.
    """

    def __init__(self, path: Path, *, power: Power = steady, durable: bool = True) -> None:
        self._power = power
        self._durable = durable
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _alone(self._fd, path)
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            self.trails: dict[bytes, Trail] = {}
            for number, content in enumerate(data[:whole].splitlines(), start=1):
                self._note(_read(content, number))
            if whole < len(data):
                os.ftruncate(self._fd, whole)
                self._sync()
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)  # the file's name is durable before its first line counts
            finally:
                os.close(directory)
        except BaseException:
            os.close(self._fd)
            raise

    def write(self, line: Line) -> None:
        """Append a line; durable on return. Raises: OSError when the disk does not take it."""
        self._power(f"{line.act}-before")
        content = msgspec.json.encode(line)
        data = _digest(content) + b" " + content + b"\n"
        if os.write(self._fd, data) != len(data):
            raise OSError("the print journal was not written whole")
        self._sync()
        self._note(line)
        self._power(f"{line.act}-after")

    def _sync(self) -> None:
        if self._durable:
            os.fsync(self._fd)

    def _note(self, line: Line) -> None:
        trail = self.trails.get(line.application)
        if trail is None:
            trail = self.trails[line.application] = Trail(application=line.application, opened_at_us=line.at_us)
        _note(trail, line)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Trail(msgspec.Struct, kw_only=True):
    """What the lines say of one application."""

    application: bytes
    opened_at_us: int
    stem: str = ""
    copies: int = 0
    pages: int = 0
    yen: int = 0
    slip: str = ""
    money_at_us: int | None = None
    paid_at_us: int | None = None
    store_day: str = ""
    started: list[tuple[int, int]] = msgspec.field(default_factory=list)
    done_at_us: int | None = None
    spoilt: int | None = None
    refunded_at_us: int | None = None
    refund_day: str = ""
    notices: dict[int, Line] = msgspec.field(default_factory=dict)
    told: dict[int, int] = msgspec.field(default_factory=dict)

    @property
    def untold(self) -> list[Line]:
        """Notices that nobody has taken over, in the order they were made."""
        return [line for operation, line in self.notices.items() if operation not in self.told]


def _note(trail: Trail, line: Line) -> None:
    match line.act:
        case Act.DOCUMENT:
            trail.copies, trail.pages, trail.yen, trail.stem = line.number, line.page, line.yen, line.text
        case Act.MONEY:
            trail.money_at_us, trail.slip = line.at_us, line.text
        case Act.PAID:
            trail.paid_at_us, trail.store_day = line.at_us, line.text
        case Act.PAGE:
            trail.started.append((line.number, line.page))
        case Act.DONE:
            trail.done_at_us = line.at_us
        case Act.SPOIL:
            trail.spoilt = line.number
        case Act.REFUNDED:
            trail.refunded_at_us, trail.refund_day = line.at_us, line.text
        case Act.NOTICE:
            trail.notices[line.number] = line
        case Act.TOLD:
            trail.told[line.number] = line.page
        case Act.OPENED | Act.REFUND:
            pass


def _alone(fd: int, path: Path) -> None:
    """A kiosk is one process: two would take money twice."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SetupIncomplete(f"{path.parent} is in use by another process; end that one first") from None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:_DIGITS].encode()


def _read(line: bytes, number: int) -> Line:
    digest, _, content = line.partition(b" ")
    if digest != _digest(content):
        raise JournalDamaged(f"line {number} of the print journal is not whole; have the kiosk looked at")
    try:
        return msgspec.json.decode(content, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalDamaged(f"line {number} of the print journal cannot be read") from error
