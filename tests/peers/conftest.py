"""A desk for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.software import SoftwareKeystore
from tests.peers.ministry.kit import Place, made_place, make_keystore


@pytest.fixture(scope="session")
def ministry_keystore(tmp_path_factory: pytest.TempPathFactory) -> SoftwareKeystore:
    """One keystore for all: opening one costs a passphrase's stretching."""
    return make_keystore(tmp_path_factory.mktemp("keystore"))


@pytest.fixture
def place(tmp_path: Path, ministry_keystore: SoftwareKeystore) -> Iterator[Place]:
    """A desk with its people."""
    with made_place(tmp_path, ministry_keystore) as made:
        yield made
