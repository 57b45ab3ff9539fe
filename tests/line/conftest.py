"""Certificates for the whole directory, made once."""

import pytest

from tests.line.kit import Ends, make_ends


@pytest.fixture(scope="session")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """A centre and its lines."""
    return make_ends(tmp_path_factory.mktemp("line"))
