"""One town and one renderer for all; both are costly to make and keep nothing between uses."""

import pytest

from gateway.peers.kit.rendering import Renderer
from tests.peers.kit.certificates import Town


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """The issuing municipality."""
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def other_town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Another municipality."""
    return Town(tmp_path_factory.mktemp("other-town"), owner="town-149999")


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    """The kit's renderer."""
    return Renderer()
