"""A token that is lost, comes back, or is not what it was; SoftHSM behind p11-kit-proxy."""

import subprocess
import threading
import time

import pytest
from pkcs11 import Attribute, AttributeSensitive, ObjectClass

from hsm.errors import HsmUnavailable, PassphraseWrong, StoreAbsent, StoreCorrupt, StoreExists
from hsm.token import TokenKeystore, _make
from protocol.keys import Algorithm, Purpose, context, verify
from tests.kit.components import PIN, SO_PIN
from tests.kit.softhsm import copy_token, lose_token, restore_token

pytestmark = pytest.mark.token
DATA = context("block") + b"content"


@pytest.fixture
def token(softhsm, label):
    return softhsm.make_token(label)


@pytest.fixture
def store(softhsm, token, label):
    with_keys = softhsm.create(label)
    with_keys.generate(Purpose.BLOCK, Algorithm.ES256, key_id="block-1", now_us=1)
    with_keys.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=1)
    yield with_keys
    with_keys.close()


def until(fact):
    """Poll for a fact, for ten seconds at most."""
    end = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def test_no_signature_is_lost_over_three_losses_of_the_token(softhsm, store, token, label, tmp_path):
    store.close()
    copy_token(token, tmp_path / "backup")
    store = softhsm.open(label, deadline_ms=20_000)
    public = store.current(Purpose.BLOCK, 2).public_key
    stop = threading.Event()
    counts = [0] * 4
    failures = []

    def work(number):
        try:
            while not stop.is_set():
                data = DATA + bytes([number]) + counts[number].to_bytes(4, "big")
                verify(Algorithm.ES256, public, store.sign("block-1", data), data)
                counts[number] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            lose_token(token)
            until(lambda: failures or not store.status().available)
            restore_token(token, tmp_path / "backup")
            until(lambda: failures or store.status().available)
            before = list(counts)
            until(lambda before=before: failures or all(now > was for now, was in zip(counts, before, strict=True)))
            assert failures == []
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert "3 rebuilds" in store.status().text
    wrapped = store.wrap("seal-1", b"secret", b"a")
    assert store.unwrap("seal-1", wrapped, b"a") == b"secret"
    store.close()


def test_a_token_that_stays_away_is_unavailable_at_the_deadline_and_says_so(softhsm, store, token, label, tmp_path):
    store.close()
    store = softhsm.open(label, deadline_ms=200)
    copy_token(token, tmp_path / "backup")
    lose_token(token)
    for call in (
        lambda: store.sign("block-1", DATA),
        lambda: store.wrap("seal-1", b"s", b""),
        lambda: store.unwrap("seal-1", bytes(40), b""),
        lambda: store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1),
    ):
        with pytest.raises(HsmUnavailable) as caught:
            call()
        assert caught.value.retryable
    assert not store.status().available
    assert label in store.status().text
    restore_token(token, tmp_path / "backup")
    until(lambda: store.status().available)
    assert store.sign("block-1", DATA)
    assert [record.key_id for record in store.keys()] == ["block-1", "seal-1"]
    store.close()


def test_a_token_that_comes_back_empty_is_not_used(softhsm, store, token, label):
    store.close()
    store = softhsm.open(label, deadline_ms=300)
    lose_token(token)
    softhsm.make_token(label)
    with pytest.raises(HsmUnavailable):
        store.sign("block-1", DATA)
    store.close()


def test_a_token_whose_pin_changed_is_tried_once_and_not_until_it_locks(softhsm, store, token, label):
    store.close()
    store = softhsm.open(label, deadline_ms=5_000)
    lose_token(token)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "another", "--so-pin", SO_PIN],
        check=True,
        capture_output=True,
    )
    with pytest.raises(HsmUnavailable, match="no longer takes the PIN"):
        store.sign("block-1", DATA)
    store.close()


def test_another_token_heals_when_the_module_was_opened_again_for_the_first(softhsm, store, token, label, tmp_path):
    other_label = label + "-b"
    softhsm.make_token(other_label)
    other = softhsm.create(other_label, owner="ministry")
    record = other.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    copy_token(token, tmp_path / "backup")
    lose_token(token)
    restorer = threading.Timer(0.2, restore_token, (token, tmp_path / "backup"))
    restorer.start()
    assert store.sign("block-1", DATA)
    verify(Algorithm.ES256, record.public_key, other.sign("line-1", DATA), DATA)
    restorer.join()
    other.close()


def test_what_is_wrong_at_opening_is_told_apart(softhsm, store, token, label):
    with pytest.raises(HsmUnavailable, match="open in this process already"):
        softhsm.open(label)
    store.close()
    with pytest.raises(PassphraseWrong):
        TokenKeystore.open(softhsm.proxy, label, "wrong-pin")
    with pytest.raises(StoreAbsent):
        TokenKeystore.open(softhsm.proxy, "no-such-token", PIN)
    with pytest.raises(StoreExists):
        softhsm.create(label)
    softhsm.make_token(label + "-empty")
    with pytest.raises(StoreAbsent):
        softhsm.open(label + "-empty")
    again = softhsm.open(label)
    assert again.sign("block-1", DATA)
    again.close()


def test_a_module_that_cannot_be_loaded_is_unavailable(tmp_path):
    (tmp_path / "p11-kit-proxy.so").write_bytes(b"not a library")
    with pytest.raises(HsmUnavailable, match="cannot be loaded"):
        TokenKeystore.open(str(tmp_path / "p11-kit-proxy.so"), "any", PIN)


def test_a_key_replaced_in_the_token_is_found_at_opening(softhsm, store, token, label, tmp_path):
    store._pool.change(lambda session: [key.destroy() for key in list(session.get_objects({Attribute.ID: b"block-1"}))])
    store._pool.change(lambda session: _make(session, Algorithm.ES256, "block-1"))
    store.close()
    with pytest.raises(StoreCorrupt, match="another than recorded"):
        softhsm.open(label)


def test_a_key_missing_from_the_token_is_found_at_opening(softhsm, store, label):
    store._pool.change(lambda session: [key.destroy() for key in list(session.get_objects({Attribute.ID: b"seal-1"}))])
    store.close()
    with pytest.raises(StoreCorrupt, match="seal-1"):
        softhsm.open(label)


def test_a_key_left_without_a_record_by_a_crash_is_replaced(store):
    store._pool.change(lambda session: _make(session, Algorithm.ES256, "line-1"))
    record = store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    verify(Algorithm.ES256, record.public_key, store.sign("line-1", DATA), DATA)


def test_the_highest_version_of_the_records_counts_after_a_crash_between_write_and_destroy(
    softhsm, store, token, label, tmp_path
):
    before = {path: path.read_bytes() for path in token.rglob("*.object")}
    store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    store.close()
    for path, data in before.items():
        if not path.exists():
            path.write_bytes(data)
    again = softhsm.open(label)
    assert [record.key_id for record in again.keys()] == ["block-1", "seal-1", "line-1"]
    again.generate(Purpose.LINE, Algorithm.ES256, key_id="line-2", now_us=1)
    assert len(again.keys()) == 4
    again.close()


def test_private_and_wrapping_keys_cannot_be_read_from_the_token(store):
    def read(session):
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY):
            (key,) = list(session.get_objects({Attribute.CLASS: kind}))
            with pytest.raises(AttributeSensitive):
                key[Attribute.VALUE]
            assert key[Attribute.EXTRACTABLE] is False

    store._pool.change(read)


def test_more_callers_than_sessions_wait_their_turn(softhsm, store, label):
    store.close()
    store = softhsm.open(label, size=1, deadline_ms=30_000)
    begin = time.monotonic()
    results = []
    threads = [threading.Thread(target=lambda: results.append(store.sign("block-1", DATA))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    assert time.monotonic() - begin < 15, "a wake-up was lost: someone waited for the deadline"
    store.close()
