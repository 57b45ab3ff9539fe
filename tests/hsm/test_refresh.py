"""A store that stands takes over what another process changed in it: file and token alike."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm.errors import KeyUnknown, StoreAbsent, StoreCorrupt
from hsm.interface import KeyStore
from hsm.opening import create_keystore
from hsm.software import SoftwareKeystore
from protocol.keys import Algorithm, Purpose, verify, verify_history
from tests.kit.components import PIN
from tests.kit.softhsm import copy_token, lose_token, restore_token

DATA = b"sekisho/1 test" + bytes(18)
NOW_US = 1_800_000_000_000_000


@pytest.fixture(params=["software", pytest.param("token", marks=pytest.mark.token)])
def uri(request: pytest.FixtureRequest, tmp_path: Path, label: str) -> str:
    """Where an empty store may be made."""
    if request.param == "software":
        return f"software:{tmp_path / 'keystore.sekisho'}"
    softhsm = request.getfixturevalue("softhsm")
    softhsm.make_token(label)
    return str(softhsm.uri(label))


@pytest.fixture
def store(uri: str) -> Iterator[KeyStore]:
    made = create_keystore(uri, lambda: PIN, owner="centre")
    made.generate(Purpose.HISTORY, Algorithm.ES256, key_id="history-1", now_us=1)
    made.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
    yield made
    made.close()


@pytest.fixture
def rotate(uri: str, tmp_path: Path) -> Callable[[str], None]:
    """Rotates the block key to an id, in a process of its own."""
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)

    def rotate(key_id: str) -> None:
        command = ["hsm", "rotate", "--keystore", uri, "--passphrase-file", str(pin), "--key-id", key_id, "block"]
        subprocess.run([sys.executable, "-m", "gateway.cli", *command], check=True, capture_output=True, timeout=60)

    return rotate


def test_a_rotation_elsewhere_is_seen_after_a_refresh_and_not_before(
    store: KeyStore, rotate: Callable[[str], None]
) -> None:
    rotate("block-2")
    assert store.current(Purpose.BLOCK, NOW_US).key_id == "block-1"
    with pytest.raises(KeyUnknown):
        store.sign("block-2", DATA)
    assert store.refresh()
    found = store.current(Purpose.BLOCK, NOW_US)
    assert found.key_id == "block-2"
    verify(Algorithm.ES256, found.public_key, store.sign("block-2", DATA), DATA)
    old = store.keys()[1]
    assert old.not_after_us is not None
    verify(Algorithm.ES256, old.public_key, store.sign("block-1", DATA), DATA)
    assert verify_history(store.history(), store.keys()[0].public_key).records == list(store.keys())
    assert not store.refresh(), "nothing was new"


def test_a_file_put_back_from_a_copy_is_refused_and_the_newer_keys_stay(tmp_path: Path) -> None:
    path = tmp_path / "keystore.sekisho"
    store = SoftwareKeystore.create(path, PIN, owner="centre")
    store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
    shutil.copy(path, tmp_path / "copy")
    store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-2", now_us=2)
    shutil.copy(tmp_path / "copy", path)
    with pytest.raises(StoreCorrupt, match="older than those in use"):
        store.refresh()
    assert store.current(Purpose.BLOCK, 3).key_id == "block-2"


def test_another_store_in_the_files_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keystore.sekisho"
    store = SoftwareKeystore.create(path, PIN, owner="centre")
    store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
    path.unlink()
    SoftwareKeystore.create(path, PIN, owner="centre")
    with pytest.raises(StoreCorrupt, match="another store"):
        store.refresh()
    assert store.current(Purpose.BLOCK, 3).key_id == "block-1"


@pytest.mark.token
def test_a_token_put_back_from_a_copy_is_refused_and_newer_records_stay(softhsm, label, tmp_path) -> None:
    token = softhsm.make_token(label)
    store = softhsm.create(label)
    try:
        store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
        copy_token(token, tmp_path / "copy")
        store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-2", now_us=2)
        lose_token(token)
        restore_token(token, tmp_path / "copy")
        with pytest.raises((StoreAbsent, StoreCorrupt)):
            store.refresh()
        assert store.current(Purpose.BLOCK, 3).key_id == "block-2"
    finally:
        store.close()
