"""What every key store does alike; the same tests on the software keystore and on a SoftHSM token."""

import threading

import pytest

from hsm import calls
from hsm.ceremony import SETS, create_standard_keys
from hsm.errors import AlgorithmUnsupported, HsmUnavailable, KeyExists, KeyUnknown, RootNotRotatable, UnwrapRefused
from protocol.keys import Algorithm, KeyOutsideValidity, Purpose, SignatureInvalid, context, verify, verify_history

DATA = context("block") + b"content"


def block_key(store, key_id="block-1", now_us=100):
    return store.generate(Purpose.BLOCK, Algorithm.ES256, key_id=key_id, now_us=now_us)


def test_a_signature_verifies_under_the_recorded_public_key(store):
    record = block_key(store)
    signature = store.sign("block-1", DATA)
    assert len(signature) == 64
    verify(Algorithm.ES256, record.public_key, signature, DATA)
    with pytest.raises(SignatureInvalid):
        verify(Algorithm.ES256, record.public_key, signature, DATA + b"x")


def test_what_a_store_says_it_can_is_what_it_can(store):
    able = store.capabilities().algorithms
    assert {Algorithm.ES256, Algorithm.A256GCM_WRAP} <= able
    if Algorithm.ML_DSA_65 in able:
        record = store.generate(Purpose.CHECKPOINT_PQ, Algorithm.ML_DSA_65, key_id="pq", now_us=1)
        verify(Algorithm.ML_DSA_65, record.public_key, store.sign("pq", DATA), DATA)
    else:
        with pytest.raises(AlgorithmUnsupported):
            store.generate(Purpose.CHECKPOINT_PQ, Algorithm.ML_DSA_65, key_id="pq", now_us=1)
        assert store.keys() == ()


@pytest.mark.parametrize(
    ("purpose", "algorithm"),
    [
        (Purpose.SEAL, Algorithm.ES256),
        (Purpose.BLOCK, Algorithm.A256GCM_WRAP),
        (Purpose.HISTORY, Algorithm.ML_DSA_65),
    ],
)
def test_a_key_of_the_wrong_kind_for_its_purpose_is_refused(store, purpose, algorithm):
    with pytest.raises(AlgorithmUnsupported):
        store.generate(purpose, algorithm, key_id="k", now_us=1)


def test_a_taken_or_overlong_key_id_is_refused_and_changes_nothing(store):
    block_key(store)
    with pytest.raises(KeyExists):
        block_key(store)
    with pytest.raises(ValueError, match="64 bytes"):
        block_key(store, "x" * 65)
    assert [record.key_id for record in store.keys()] == ["block-1"]


def test_an_unknown_key_or_one_of_another_kind_is_refused(store):
    block_key(store)
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=1)
    for call in (
        lambda: store.sign("nobody", DATA),
        lambda: store.sign("seal-1", DATA),
        lambda: store.wrap("block-1", b"s", b""),
        lambda: store.unwrap("block-1", bytes(40), b""),
        lambda: store.current(Purpose.LINE, 200),
    ):
        with pytest.raises(KeyUnknown):
            call()


@pytest.mark.parametrize("secret", [b"", b"k" * 32, b"k" * 1000])
@pytest.mark.parametrize("aad", [b"", b"for the register"])
def test_a_wrapped_secret_comes_back_and_never_looks_the_same_twice(store, secret, aad):
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=1)
    wrapped = store.wrap("seal-1", secret, aad)
    assert store.unwrap("seal-1", wrapped, aad) == secret
    assert store.wrap("seal-1", secret, aad) != wrapped
    assert len(wrapped) == len(secret) + 28


def test_a_damaged_or_misplaced_wrapped_secret_is_refused_and_the_store_stays_whole(store):
    for key_id in ("seal-1", "seal-2"):
        store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id=key_id, now_us=1)
    wrapped = store.wrap("seal-1", b"secret", b"here")
    bad = [(wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :], b"here") for at in (0, 12, len(wrapped) - 1)]
    for data, aad in [*bad, (wrapped, b"there"), (wrapped[:-1], b"here"), (wrapped[:20], b"here"), (b"", b"here")]:
        with pytest.raises(UnwrapRefused):
            store.unwrap("seal-1", data, aad)
    with pytest.raises(UnwrapRefused):
        store.unwrap("seal-2", wrapped, b"here")
    assert store.unwrap("seal-1", wrapped, b"here") == b"secret"
    assert store.status().available


def test_rotation_overlaps_and_then_only_the_new_key_is_valid(store):
    first = block_key(store, "block-1", 100)
    second = store.rotate(Purpose.BLOCK, key_id="block-2", now_us=1_000, overlap_us=500)
    assert second.public_key != first.public_key
    records = {record.key_id: record for record in store.keys()}
    assert records["block-1"].not_after_us == 1_500
    assert records["block-2"].not_after_us is None
    assert store.current(Purpose.BLOCK, 1_200).key_id == "block-2"
    verify(Algorithm.ES256, first.public_key, store.sign("block-1", DATA), DATA)
    assert records["block-1"].valid_at(1_499)
    assert not records["block-1"].valid_at(1_500)


def test_a_second_rotation_does_not_prolong_a_key_that_ends_sooner(store):
    block_key(store, "block-1", 100)
    store.rotate(Purpose.BLOCK, key_id="block-2", now_us=1_000, overlap_us=500)
    store.rotate(Purpose.BLOCK, key_id="block-3", now_us=1_100, overlap_us=5_000)
    assert [record.not_after_us for record in store.keys()] == [1_500, 6_100, None]


def test_rotating_touches_no_other_purpose_and_needs_a_key_to_rotate(store):
    store.generate(Purpose.LINE, Algorithm.ES256, key_id="line-1", now_us=1)
    with pytest.raises(KeyUnknown):
        store.rotate(Purpose.BLOCK, key_id="block-2", now_us=2, overlap_us=1)
    block_key(store)
    store.rotate(Purpose.BLOCK, key_id="block-2", now_us=200, overlap_us=1)
    assert store.current(Purpose.LINE, 10_000).not_after_us is None


def test_a_wrapping_key_that_was_rotated_still_unwraps(store):
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=1)
    wrapped = store.wrap("seal-1", b"secret", b"")
    store.rotate(Purpose.SEAL, key_id="seal-2", now_us=2, overlap_us=0)
    assert store.current(Purpose.SEAL, 3).key_id == "seal-2"
    assert store.unwrap("seal-1", wrapped, b"") == b"secret"


def test_the_signed_history_lists_every_key_and_verifies_under_the_root(store):
    records = create_standard_keys(store, "centre", label="2026-11-a1b2", now_us=100)
    store.rotate(Purpose.BLOCK, key_id="block-new", now_us=200, overlap_us=50)
    root = records[0]
    history = verify_history(store.history(), root.public_key)
    assert history.owner == "centre"
    assert history.at_us == 200
    assert tuple(history.records) == store.keys()
    assert history.key_at("block-2026-11-a1b2", 249).key_id == "block-2026-11-a1b2"
    with pytest.raises(KeyOutsideValidity):
        history.key_at("block-2026-11-a1b2", 250)
    other = next(record for record in records if record.purpose == "line")
    with pytest.raises(SignatureInvalid):
        verify_history(store.history(), other.public_key)


def test_each_change_raises_the_historys_version(store):
    root = store.generate(Purpose.HISTORY, Algorithm.ES256, key_id="h", now_us=1)
    versions = [verify_history(store.history(), root.public_key).version]
    for number in range(3):
        block_key(store, f"block-{number}")
        versions.append(verify_history(store.history(), root.public_key).version)
    assert versions == sorted(set(versions))


def test_there_is_one_root_and_no_history_without_it(store):
    with pytest.raises(KeyUnknown):
        store.history()
    store.generate(Purpose.HISTORY, Algorithm.ES256, key_id="h", now_us=1)
    with pytest.raises(RootNotRotatable):
        store.rotate(Purpose.HISTORY, key_id="h2", now_us=2, overlap_us=1)
    with pytest.raises(RootNotRotatable):
        store.generate(Purpose.HISTORY, Algorithm.ES256, key_id="h2", now_us=2)


@pytest.mark.parametrize("which", ["centre", "line"])
def test_the_standard_set_is_made_as_far_as_the_store_is_able(store, which):
    able = store.capabilities().algorithms
    made = create_standard_keys(store, which, label="x", now_us=1)
    assert [record.purpose for record in made] == [p.value for p, algorithm in SETS[which] if algorithm in able]
    assert store.keys() == tuple(made)


def test_keys_and_wrapped_secrets_survive_closing_and_opening(reopening):
    store = reopening()
    records = create_standard_keys(store, "centre", label="x", now_us=1)
    wrapped = store.wrap("seal-x", b"secret", b"a")
    store = reopening()
    assert store.owner == "centre"
    assert store.keys() == tuple(records)
    assert store.unwrap("seal-x", wrapped, b"a") == b"secret"
    block = next(record for record in records if record.purpose == "block")
    verify(Algorithm.ES256, block.public_key, store.sign("block-x", DATA), DATA)


def test_threads_sign_side_by_side_while_keys_are_made(store):
    record = block_key(store)
    failures = []

    def work(number):
        try:
            for count in range(25):
                data = DATA + bytes([number, count])
                verify(Algorithm.ES256, record.public_key, store.sign("block-1", data), data)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for number in range(3):
        store.generate(Purpose.LINE, Algorithm.ES256, key_id=f"line-{number}", now_us=number)
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.keys()) == 4


def test_a_closed_store_signs_nothing(store):
    block_key(store)
    store.close()
    with pytest.raises((KeyUnknown, HsmUnavailable)):
        store.sign("block-1", DATA)


@pytest.mark.trio
async def test_trio_calls_give_the_same_as_the_store(store):
    record = block_key(store)
    store.generate(Purpose.SEAL, Algorithm.A256GCM_WRAP, key_id="seal-1", now_us=1)
    verify(Algorithm.ES256, record.public_key, await calls.sign(store, "block-1", DATA), DATA)
    wrapped = await calls.wrap(store, "seal-1", b"secret", b"a")
    assert await calls.unwrap(store, "seal-1", wrapped, b"a") == b"secret"
