"""One centre for all tests of the application."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import supervisor
from gateway.line import dial
from tests.kit.centre import Made, made_centre

FULL = os.environ.get("SEKISHO_FAULTS") == "full"


@pytest.fixture(scope="session")
def made() -> Iterator[Made]:
    """A centre of two workers, and its database server."""
    with tempfile.TemporaryDirectory(prefix="sekisho-tests-") as directory, made_centre(Path(directory)) as centre:
        yield centre


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many faults in a short time: the pauses that spare a real installation would only make the tests slow."""
    monkeypatch.setattr(supervisor, "BACKOFF_S_FIRST", 0.05)
    monkeypatch.setattr(supervisor, "BACKOFF_S_MAX", 0.1)
    monkeypatch.setattr(dial, "BACKOFF_S_MAX", 0.3)
