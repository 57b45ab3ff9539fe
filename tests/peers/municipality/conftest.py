"""A municipality for each test, over a world made once."""

import shutil
from pathlib import Path

import pytest

from tests.peers.municipality.kit import Town, World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Authorities, cards, keys and one prepared directory."""
    return make_world(tmp_path_factory.mktemp("town"))


@pytest.fixture
def town(world: World, tmp_path: Path) -> Town:
    """A copy of the prepared directory beside the world, where its relative paths hold."""
    data = world.root / f"town-{tmp_path.name}"
    shutil.copytree(world.prepared, data)
    return Town(world, data)
