"""Cards and kiosks once a run; a database a test."""

import pytest

from tests.issuance.kit import NOW
from tests.kit.sitting import make_ground


@pytest.fixture(scope="session")
def cards(tmp_path_factory):
    """An operator's line CA and a card authority with cards."""
    return make_ground(tmp_path_factory.mktemp("issuance"), NOW)
