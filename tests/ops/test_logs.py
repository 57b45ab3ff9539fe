"""What may be logged, and what becomes of the rest."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.ops.errors import LogRefusedError
from gateway.ops.logs import ALLOWED_KEYS, LibraryHandler, configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, LibraryHandler)]:
        root.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def configured(**options: Any) -> io.StringIO:
    stream = io.StringIO()
    configure_logging("INFO", stream=stream, **options)
    return stream


def test_a_line_is_one_json_object_with_time_and_level() -> None:
    stream = configured(strict=True)
    structlog.get_logger().info("line_closed", party="ministry-01", line="line-1", count=3)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "line_closed", "level": "info", "party": "ministry-01", "line": "line-1", "count": 3}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "synthetic"),
        ("body", "x"),
        ("party", "合成 太郎"),
        ("code", "12345678901"),
        ("code", 12345678901),
        ("count", 123456789012),
        ("party", "x" * 201),
        ("party", "a\nb"),
        ("party", {"name": "synthetic"}),
        ("party", b"bytes"),
    ],
)
def test_what_may_not_be_logged_is_dropped_and_counted(key: str, value: object) -> None:
    stream = configured()
    structlog.get_logger().info("line_closed", height=4, **{key: value})
    (line,) = lines(stream)
    assert key not in line
    assert (line["refused_keys"], line["height"], line["event"]) == (1, 4, "line_closed")
    configured(strict=True)
    with pytest.raises(LogRefusedError) as refused:
        structlog.get_logger().info("line_closed", **{key: value})
    assert refused.value.key == key
    assert str(value) not in str(refused.value)


@pytest.mark.parametrize("event", ["line closed for 合成 太郎", "Line", "closed: x", "closed-", ""])
def test_an_event_that_is_no_fixed_string_is_not_written(event: str) -> None:
    stream = configured()
    structlog.get_logger().info(event)
    (line,) = lines(stream)
    assert (line["event"], line["refused_keys"]) == ("event_refused", 1)
    configured(strict=True)
    with pytest.raises(LogRefusedError):
        structlog.get_logger().info(event)


def test_bound_and_context_keys_are_fenced_as_well() -> None:
    stream = configured()
    structlog.contextvars.bind_contextvars(slot=1, resident="synthetic")
    structlog.get_logger().bind(role="inquiry", address_of="synthetic").info("started")
    (line,) = lines(stream)
    assert (line["slot"], line["role"], line["refused_keys"]) == (1, "inquiry", 2)
    assert "synthetic" not in stream.getvalue()


def test_an_exception_is_its_class_and_place_never_its_message() -> None:
    stream = configured(strict=True)
    try:
        int("marked-personal-data")
    except ValueError:
        structlog.get_logger().exception("block_not_signed")
    (line,) = lines(stream)
    assert line["error"] == "ValueError"
    assert line["where"].startswith("test_logs.py:")
    assert "marked-personal-data" not in stream.getvalue()


def test_a_librarys_message_is_reduced_to_who_spoke_and_where() -> None:
    stream = configured(strict=True)
    try:
        int("marked-personal-data")
    except ValueError:
        logging.getLogger("some.library").exception("marked-personal-data in %s", "marked-personal-data")
    (line,) = lines(stream)
    assert (line["event"], line["logger"], line["error"]) == ("library_message", "some.library", "ValueError")
    assert "marked-personal-data" not in stream.getvalue()


def test_levels_below_the_chosen_are_silent_and_the_last_configuration_counts() -> None:
    first, second = configured(), configured()
    structlog.get_logger().debug("started")
    structlog.get_logger().info("started")
    logging.getLogger("some.library").warning("text")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["started", "library_message"]


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ValueError, match="'LOUD'"):
        configure_logging("LOUD")


def test_lines_for_people_pass_the_same_fence() -> None:
    stream = configured(json=False)
    structlog.get_logger().info("line_closed", name="synthetic", party="ministry-01")
    assert "ministry-01" in stream.getvalue()
    assert "synthetic" not in stream.getvalue()


def test_no_key_is_a_place_for_a_persons_data() -> None:
    assert not ALLOWED_KEYS & {
        "name",
        "kana",
        "birth",
        "sex",
        "resident",
        "body",
        "message",
        "detail",
        "case",
        "staff",
        "url",
    }
