"""A town, its centre and a kiosk's place."""

import pytest

from tests.peers.kiosk.fakes import Centre, Place, Town


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture
def centre(town) -> Centre:
    return Centre(town)


@pytest.fixture
def place(tmp_path, centre) -> Place:
    return Place(tmp_path, centre)
