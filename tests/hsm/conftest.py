"""The stores that the contract runs on."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from hsm.interface import KeyStore
from hsm.software import SoftwareKeystore

_labels = (f"token-{number}" for number in itertools.count())


@pytest.fixture
def label() -> str:
    """A token label of this test alone."""
    return next(_labels)


@pytest.fixture(params=["software", pytest.param("token", marks=pytest.mark.token)])
def reopening(request, tmp_path, label) -> Iterator[Callable[[], KeyStore]]:
    """Makes an empty store at the first call; each further call closes it and opens it again."""
    opened: list[KeyStore] = []
    if request.param == "software":
        path = tmp_path / "keystore.sekisho"

        def make() -> KeyStore:
            return SoftwareKeystore.create(path, "secret", owner="centre")

        def again() -> KeyStore:
            return SoftwareKeystore.open(path, "secret")

    else:
        softhsm = request.getfixturevalue("softhsm")
        softhsm.make_token(label)

        def make() -> KeyStore:
            return softhsm.create(label)

        def again() -> KeyStore:
            return softhsm.open(label)

    def turn() -> KeyStore:
        if not opened:
            opened.append(make())
        else:
            opened[-1].close()
            opened.append(again())
        return opened[-1]

    yield turn
    if opened:
        opened[-1].close()


@pytest.fixture
def store(reopening) -> KeyStore:
    """An empty store of each kind."""
    return reopening()
