"""One operator for all: making keys and certificates takes a moment."""

from pathlib import Path

import pytest

from tests.peers.relay.kit import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An operator with its line and kiosks."""
    return Site(tmp_path_factory.mktemp("operator") / "site")


@pytest.fixture
def data(site: Site, tmp_path: Path) -> Path:
    """A relay's directory with both kiosks."""
    return site.relay(tmp_path / "relay")
