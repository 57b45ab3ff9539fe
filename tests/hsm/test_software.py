"""The keystore's file: at rest, damaged, written by two."""

import threading

import msgpack
import pytest

from hsm.errors import HsmError, PassphraseWrong, StoreAbsent, StoreCorrupt, StoreExists
from hsm.software import SoftwareKeystore
from protocol.keys import Algorithm, Purpose


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "keystore.sekisho"


@pytest.fixture
def store(path):
    store = SoftwareKeystore.create(path, "secret", owner="centre")
    store.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
    return store


def test_only_the_owner_may_read_the_file_and_nothing_of_a_key_is_in_the_clear(store, path):
    assert path.stat().st_mode & 0o777 == 0o600
    data = path.read_bytes()
    assert b"block-1" not in data
    assert store.keys()[0].public_key not in data


def test_a_wrong_passphrase_opens_nothing(store, path):
    with pytest.raises(PassphraseWrong):
        SoftwareKeystore.open(path, "Secret")


def test_an_existing_file_is_never_overwritten(store, path):
    before = path.read_bytes()
    with pytest.raises(StoreExists):
        SoftwareKeystore.create(path, "secret", owner="other")
    assert path.read_bytes() == before


def test_a_missing_file_is_absent(path):
    with pytest.raises(StoreAbsent):
        SoftwareKeystore.open(path, "secret")


def test_every_truncation_or_changed_byte_is_found_with_a_typed_error(store, path):
    data = path.read_bytes()
    step = max(1, len(data) // 40)
    for at in range(0, len(data), step):
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            path.write_bytes(bad)
            with pytest.raises((StoreCorrupt, PassphraseWrong)):
                SoftwareKeystore.open(path, "secret")


@pytest.mark.parametrize(
    "forged",
    [
        {"memory": 1 << 24},
        {"memory": 8, "lanes": 16},
        {"time": 0},
        {"time": 1 << 20},
        {"lanes": 0},
        {"salt": b""},
        {"format": "sekisho-keystore/2"},
        {"more": 1},
        {"owner": 7},
    ],
)
def test_a_forged_head_is_refused_before_the_passphrase_is_tried(store, path, forged):
    path.write_bytes(msgpack.packb({**msgpack.unpackb(path.read_bytes()), **forged}))
    with pytest.raises(StoreCorrupt):
        SoftwareKeystore.open(path, "secret")


def test_the_owner_in_the_head_is_bound_to_what_is_sealed(store, path):
    path.write_bytes(msgpack.packb({**msgpack.unpackb(path.read_bytes()), "owner": "someone"}))
    with pytest.raises(PassphraseWrong):
        SoftwareKeystore.open(path, "secret")


def test_two_writers_do_not_undo_each_other(store, path):
    other = SoftwareKeystore.open(path, "secret")
    failures = []

    def make(writer, name):
        try:
            for number in range(5):
                writer.generate(Purpose.LINE, Algorithm.ES256, key_id=f"{name}-{number}", now_us=1)
        except HsmError as error:
            failures.append(error)

    threads = [threading.Thread(target=make, args=pair) for pair in ((store, "a"), (other, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(SoftwareKeystore.open(path, "secret").keys()) == 11


def test_a_write_that_stops_halfway_leaves_the_last_whole_file(store, path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("hsm.software.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    assert path.read_bytes() == before
    assert [record.key_id for record in store.keys()] == ["block-1"]
    store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    assert len(SoftwareKeystore.open(path, "secret").keys()) == 2
