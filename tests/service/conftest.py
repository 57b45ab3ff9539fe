"""A whole certificate service, made once a run; each test takes a copy, so that none sees what another left."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import supervisor
from gateway.app.development import make_service
from tests.service.incident_kit import field, front_reset

__all__ = ["field", "front_reset"]

FULL = os.environ.get("SEKISHO_FAULTS") == "full"
KIOSKS = 4
CARDS = 8
RESIDENTS = 18
WORKERS = 2


@pytest.fixture(scope="session")
def made_service() -> Iterator[Path]:
    """A service that never ran.

    Not below pytest's own directory: every run of pytest takes the rights on that away again from PostgreSQL's user.
    """
    with tempfile.TemporaryDirectory(prefix="sekisho-service-") as directory:
        data = Path(directory) / "made"
        make_service(data, say=lambda _: None, workers=WORKERS, kiosks=KIOSKS, cards=CARDS, residents=RESIDENTS)
        yield data


@pytest.fixture
def service_copy(made_service: Path) -> Iterator[Path]:
    """A copy of the service. Its ports are the original's, which never runs; two copies do not run at once."""
    with tempfile.TemporaryDirectory(prefix="copy-", dir=made_service.parent) as directory:
        data = Path(directory) / "service"
        subprocess.run(["cp", "-a", str(made_service), str(data)], check=True)  # -a keeps the owners
        yield data


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory that only the programs of this test use."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many faults in a short time: the pauses that spare a real installation would only make the tests slow."""
    monkeypatch.setattr(supervisor, "BACKOFF_S_FIRST", 0.05)
    monkeypatch.setattr(supervisor, "BACKOFF_S_MAX", 0.1)
