"""One town and one renderer for all; both are costly to make and keep nothing between uses."""

import pytest

from gateway.peers.kit.rendering import Rendered, Renderer
from protocol.certificates import Kind
from protocol.trust import Trust
from tests.peers.kit.certificates import Town, household


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


@pytest.fixture(scope="session")
def one(renderer: Renderer, town: Town) -> Rendered:
    """One page."""
    return renderer.render(household(1), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))


@pytest.fixture(scope="session")
def three(renderer: Renderer, town: Town) -> Rendered:
    """Three pages."""
    return renderer.render(household(9), sign=town.sign, bindings=town.bindings(Kind.RESIDENT))


@pytest.fixture(scope="session")
def trust(town: Town) -> Trust:
    """The town's bundle, decoded once."""
    return town.trust
