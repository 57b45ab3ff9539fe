"""Contexts, pinned signatures and the signed key history."""

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.keys import (
    Algorithm,
    HistoryInvalid,
    KeyHistory,
    KeyIdUnknown,
    KeyOutsideValidity,
    KeyRecord,
    PublicKey,
    PublicKeyInvalid,
    Purpose,
    SignatureInvalid,
    SignedKeyHistory,
    context,
    encode_signed_history,
    history_to_sign,
    verify,
    verify_history,
)

EC_KEY = ec.generate_private_key(ec.SECP256R1())
PQ_KEY = mldsa.MLDSA65PrivateKey.generate()


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def es256(data, key=EC_KEY):
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def record(key_id="history-1", purpose=Purpose.HISTORY, key=EC_KEY, start=0, end=None):
    return KeyRecord(key_id, purpose, Algorithm.ES256, spki(key), start, end)


def signed(history, key=EC_KEY, key_id="history-1", algorithm=Algorithm.ES256):
    data = history if isinstance(history, bytes) else history.encode()
    return encode_signed_history(SignedKeyHistory(key_id, algorithm, es256(history_to_sign(data), key), data))


def test_a_context_is_32_bytes_with_the_projects_name_and_nul_padding():
    assert context("block") == b"sekisho/1 block" + bytes(17)
    assert len(context("x" * 22)) == 32


@pytest.mark.parametrize("label", ["x" * 23, "", "関所", "a\n"])
def test_a_label_that_is_too_long_or_not_printable_ascii_is_refused(label):
    with pytest.raises(ValueError):
        context(label)


@given(a=st.from_regex(r"[a-z-]{1,22}", fullmatch=True), b=st.from_regex(r"[a-z-]{1,22}", fullmatch=True))
def test_two_labels_never_share_a_context(a, b):
    assert (context(a) == context(b)) == (a == b)


def test_a_good_signature_of_each_algorithm_passes():
    data = context("block") + b"content"
    verify(Algorithm.ES256, spki(EC_KEY), es256(data), data)
    verify(Algorithm.ML_DSA_65, PublicKey(Algorithm.ML_DSA_65, spki(PQ_KEY)), PQ_KEY.sign(data), data)


@pytest.mark.parametrize("label", ["blocks", "checkpoint"])
def test_a_signature_made_under_another_context_is_refused(label):
    with pytest.raises(SignatureInvalid):
        verify(Algorithm.ES256, spki(EC_KEY), es256(context(label) + b"content"), context("block") + b"content")


@given(st.binary(max_size=100) | st.binary(min_size=64, max_size=64))
def test_arbitrary_bytes_are_never_a_signature_and_raise_only_the_typed_error(signature):
    for algorithm, key in ((Algorithm.ES256, EC_KEY), (Algorithm.ML_DSA_65, PQ_KEY)):
        with pytest.raises(SignatureInvalid):
            verify(algorithm, spki(key), signature, b"data")


def test_flipping_any_bit_of_a_post_quantum_signature_breaks_it():
    good = PQ_KEY.sign(b"data")
    for at in range(0, len(good), 97):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(SignatureInvalid):
            verify(Algorithm.ML_DSA_65, spki(PQ_KEY), bad, b"data")


@pytest.mark.parametrize(
    ("algorithm", "der"),
    [
        (Algorithm.ES256, spki(PQ_KEY)),
        (Algorithm.ML_DSA_65, spki(EC_KEY)),
        (Algorithm.ES256, spki(ec.generate_private_key(ec.SECP384R1()))),
        (Algorithm.A256GCM_WRAP, spki(EC_KEY)),
        (99, spki(EC_KEY)),
        (Algorithm.ES256, b""),
        (Algorithm.ES256, b"\x30\x03abc"),
    ],
)
def test_a_key_of_another_algorithm_or_curve_is_refused(algorithm, der):
    with pytest.raises(PublicKeyInvalid):
        PublicKey(algorithm, der)


def test_a_parsed_key_cannot_be_used_under_another_algorithm():
    with pytest.raises(PublicKeyInvalid):
        verify(Algorithm.ML_DSA_65, PublicKey(Algorithm.ES256, spki(EC_KEY)), es256(b"x"), b"x")


def test_a_signed_history_gives_its_records_back():
    history = KeyHistory("centre", 2, 5, [record(), record("block-1", Purpose.BLOCK, start=5)])
    assert verify_history(signed(history), spki(EC_KEY)) == history


def test_a_key_is_found_only_inside_its_validity():
    history = KeyHistory("centre", 1, 0, [record("block-1", Purpose.BLOCK, start=10, end=20)])
    assert history.key_at("block-1", 10).key_id == "block-1"
    assert history.key_at("block-1", 19).key_id == "block-1"
    for at_us in (9, 20):
        with pytest.raises(KeyOutsideValidity) as caught:
            history.key_at("block-1", at_us)
        assert caught.value.at_us == at_us
    with pytest.raises(KeyIdUnknown):
        history.key_at("block-2", 15)


def test_overlapping_keys_of_a_purpose_are_listed_newest_first():
    history = KeyHistory("c", 1, 0, [record("a", Purpose.BLOCK, end=20), record("b", Purpose.BLOCK, start=10)])
    assert [found.key_id for found in history.valid_for(Purpose.BLOCK, 15)] == ["b", "a"]
    assert [found.key_id for found in history.valid_for(Purpose.BLOCK, 20)] == ["b"]


def test_a_history_signed_by_another_key_is_refused():
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SignatureInvalid):
        verify_history(signed(KeyHistory("c", 1, 0, [record()]), other), spki(EC_KEY))


def test_every_altered_byte_of_a_signed_history_is_found():
    data = signed(KeyHistory("c", 1, 0, [record()]))
    for at in range(len(data)):
        bad = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((HistoryInvalid, SignatureInvalid)):
            verify_history(bad, spki(EC_KEY))


@pytest.mark.parametrize(
    "history",
    [
        KeyHistory("c", 0, 0, [record()]),
        KeyHistory("c", 1, 0, []),
        KeyHistory("c", 1, 0, [record(), record()]),
        KeyHistory("c", 1, 0, [record(purpose=Purpose.BLOCK)]),
        KeyHistory("c", 1, 0, [record(), record("")]),
        KeyHistory("c", 1, 0, [record(), record("x" * 65)]),
        KeyHistory("c", 1, 0, [record(), record("b", start=2, end=1)]),
        KeyHistory("c", 1, 0, [record(), KeyRecord("s", "seal", Algorithm.A256GCM_WRAP, b"public", 0)]),
        KeyHistory("c", 1, 0, [record(), KeyRecord("s", "block", Algorithm.A256GCM_WRAP, b"", 0)]),
        KeyHistory("c", 1, 0, [record(), KeyRecord("s", "seal", Algorithm.ES256, spki(EC_KEY), 0)]),
        KeyHistory("c", 1, 0, [record()]).encode() + b"\0",
        b"\xdd\0\0\0\x04\xa1c\x01\0\x90",
        b"",
    ],
)
def test_a_history_that_contradicts_itself_is_refused_though_well_signed(history):
    with pytest.raises(HistoryInvalid):
        verify_history(signed(history), spki(EC_KEY))


def test_the_signature_names_the_root_and_its_algorithm():
    history = KeyHistory("c", 1, 0, [record(), record("block-1", Purpose.BLOCK)])
    with pytest.raises(HistoryInvalid):
        verify_history(signed(history, key_id="block-1"), spki(EC_KEY))
    with pytest.raises(HistoryInvalid):
        verify_history(signed(history, algorithm=Algorithm.ML_DSA_65), spki(EC_KEY))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_decode_to_a_history_with_an_untyped_error(data):
    with pytest.raises(HistoryInvalid):
        verify_history(data, spki(EC_KEY))


def test_a_history_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(HistoryInvalid):
        KeyHistory.decode(bytes((1 << 20) + 1))
    with pytest.raises(HistoryInvalid):
        verify_history(msgspec.msgpack.encode(["k", 1, b"", bytes(1 << 20)]), spki(EC_KEY))
