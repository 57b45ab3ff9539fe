"""Logs as JSON, one object a line on standard error, that cannot carry personal data.

An event is a fixed string of words ("line_closed"); everything that varies goes under a key, and only the
keys listed here exist. None of them is a place for free text: a string is short printable ASCII, so no Japanese name
or address fits, and a value that is nothing but 11 or 12 digits, the form of a 住民票コード or 個人番号, is refused
under any key. An exception is logged as its class and the place it was raised, never with its message, which may quote
input. What libraries log through `logging` is reduced in the same way: who spoke and where, not what was said.

A line that breaks these rules loses the key and says how many it lost; where logging is strict, as in the tests, it
raises LogRefusedError instead.
"""

import logging
import re
import sys
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from gateway.ops.errors import LogRefusedError

ALLOWED_KEYS: Final = frozenset(
    {
        # put there by this module
        *("event", "level", "timestamp", "logger", "where", "error", "refused_keys"),
        # which process
        *("role", "node", "slot", "slots", "pid", "exit_code", "signal", "attempt"),
        # which line; parties and lines are institutions
        *("party", "line", "key_id", "certificate", "peer_address", "session", "fault", "reason"),
        # what was done
        *("operation", "outcome", "request_id", "affair", "step", "code", "field", "record"),
        # where in ledger and directory
        *("stream", "height", "tree_size", "version", "migration"),
        # which certificate; a municipality by its public code, an application by an id that names nobody
        *("municipality", "application", "documents"),
        # how much, and where on this machine
        *(
            "count",
            "requests",
            "entries",
            "blocks",
            "bytes",
            "yen",
            "duration_us",
            "retry_after_ms",
            "within_ms",
            "port",
            "address",
            "file",
        ),
    }
)
_TEXT_CHARS_MAX: Final = 200
_EVENT: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TEXT: Final = re.compile(rf"[ -~]{{0,{_TEXT_CHARS_MAX}}}")
_PERSONAL_NUMBER: Final = re.compile(r"[0-9]{11,12}")
_FRAMES_MAX: Final = 5
_EVENT_REFUSED: Final = "event_refused"
_LIBRARY_SPOKE: Final = "library_message"


def configure_logging(
    level: str = "INFO", json: bool = True, *, strict: bool = False, stream: TextIO | None = None
) -> None:
    """Set up structlog and the standard library's logging for this process; the last call counts.

    level: DEBUG, INFO, WARNING, ERROR. json: False for lines that a person reads. strict: raise on what may not be
    logged. stream: standard error unless given.
    Raises: ValueError for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level {level!r} is not known; choose DEBUG, INFO, WARNING or ERROR")
    target = stream if stream is not None else sys.stderr
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        place_of_exception,
        KeyFence(strict=strict),
        structlog.processors.JSONRenderer(ensure_ascii=False, sort_keys=True)
        if json
        else structlog.dev.ConsoleRenderer(colors=False),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(LibraryHandler())
    root.setLevel(max(number, logging.WARNING))  # libraries chat below that


class KeyFence:
    """Lets only fixed events, allowed keys and harmless values pass. See the module's head."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def __call__(self, _logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        """The structlog processor. Raises: LogRefusedError when strict."""
        kept: dict[str, Any] = {}
        refused = 0
        for key, value in event_dict.items():
            problem = _problem(key, value)
            if problem is None:
                kept[key] = value
                continue
            if self._strict:
                raise LogRefusedError(key, problem)
            refused += 1
        if refused:
            kept["refused_keys"] = refused
        kept.setdefault("event", _EVENT_REFUSED)
        return kept


def _problem(key: str, value: object) -> str | None:
    if key not in ALLOWED_KEYS:
        return "is not among the keys that may be logged"
    if value is None or isinstance(value, bool | float):
        return None
    if isinstance(value, int):
        text = str(int(value))
    elif isinstance(value, str):
        text = value
    else:
        return "is neither text, number, truth nor nothing"
    if key == "event":
        return None if _EVENT.fullmatch(text) else "is not a fixed event, as line_closed"
    if _TEXT.fullmatch(text) is None:
        return f"is not printable ASCII of at most {_TEXT_CHARS_MAX} characters"
    return "has the form of a personal number" if _PERSONAL_NUMBER.fullmatch(text) else None


def place_of_exception(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Replace exc_info by `error`, the exception's class, and `where`, the innermost places it passed."""
    info = event_dict.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    elif isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        event_dict["error"] = type(info).__name__
        event_dict["where"] = _places(info.__traceback__)
    return event_dict


def _places(traceback: TracebackType | None) -> str:
    places = []
    while traceback is not None:
        places.append(f"{PurePath(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " < ".join(reversed(places[-_FRAMES_MAX:]))[:_TEXT_CHARS_MAX]


class LibraryHandler(logging.Handler):
    """What a library logs, as one of our events: its logger's name and the place, without its message."""

    def emit(self, record: logging.LogRecord) -> None:
        """The standard library's handler interface."""
        facts: dict[str, Any] = {"logger": record.name, "where": f"{record.filename}:{record.lineno}"}
        if record.exc_info:
            facts["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, _LIBRARY_SPOKE, **facts)
