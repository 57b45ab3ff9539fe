"""Checkpoint notes: one text for one checkpoint, and believed only with the centre's signature."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from protocol.checkpoint import (
    NOTE_BYTES_MAX,
    NOTE_SIGNATURES_MAX,
    Checkpoint,
    NoteError,
    NoteSignature,
    body_to_countersign,
    body_to_sign,
    format_note,
    parse_note,
    verify_countersignature,
    verify_note,
)
from protocol.keys import Algorithm, KeyIdUnknown, KeysError, PublicKey, Purpose, SignatureInvalid

CHECKPOINT = Checkpoint("sekisho/centre/inquiry", 7, bytes(range(32)), 1_790_000_000_000_000)
NOTE = format_note(CHECKPOINT, [NoteSignature("checkpoint-1", bytes(64))])


class Keys:
    """A key look-up as the trust bundle offers it."""

    def __init__(self, keys):
        self.keys = keys

    def key(self, key_id, *, purpose, at_us):
        if key_id not in self.keys:
            raise KeyIdUnknown(key_id)
        expected, public = self.keys[key_id]
        if expected != purpose:
            raise KeysError(f"{key_id} is for {expected}")
        return public


def _spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Es256:
    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = PublicKey(Algorithm.ES256, _spki(self._key))

    def sign(self, data):
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(scope="module")
def centre():
    return Es256()


def test_the_text_is_as_specified():
    assert NOTE == (
        "sekisho/centre/inquiry\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\ntime 1790000000000000\n\n"
        "— checkpoint-1 " + "A" * 86 + "==\n"
    )


@given(
    size=st.integers(1, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    at_us=st.integers(0, 2**63 - 1),
    signatures=st.dictionaries(
        st.text("abcdef-0123456789", min_size=1, max_size=64),
        st.binary(min_size=1, max_size=3309),
        min_size=1,
        max_size=4,
    ),
)
def test_a_note_reads_back_as_it_was_written(size, root, at_us, signatures):
    checkpoint = Checkpoint("sekisho/centre/certificate", size, root, at_us)
    lines = [NoteSignature(key_id, signature) for key_id, signature in signatures.items()]
    note = parse_note(format_note(checkpoint, lines))
    assert note.checkpoint == checkpoint
    assert note.signatures == lines


@given(st.text(max_size=300))
def test_no_text_escapes_as_another_error(text):
    with pytest.raises(NoteError):
        parse_note(text)


@given(at=st.integers(0, len(NOTE) - 1), char=st.characters())
def test_one_altered_character_is_refused_or_says_something_else(at, char):
    altered = NOTE[:at] + char + NOTE[at + 1 :]
    try:
        note = parse_note(altered)
    except NoteError:
        return
    assert (altered == NOTE) == (note == parse_note(NOTE))
    assert format_note(note.checkpoint, note.signatures) == altered


@pytest.mark.parametrize(
    "text",
    [
        "",
        NOTE + "\n",
        NOTE[:-1],
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n+7\n"),
        NOTE.replace("\n7\n", "\n0\n"),
        NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\n7\n", "\n٧\n"),
        NOTE.replace("\n7\n", f"\n{2**63}\n"),
        NOTE.replace("8=\n", "9=\n"),
        NOTE.replace("AAECAw", "AAEC Aw"),
        NOTE.replace("sekisho/centre/inquiry", "sekisho/centre"),
        NOTE.replace("time ", "time  "),
        NOTE.replace("time ", "at "),
        NOTE.replace("\n\n", "\nmore 1\n\n"),
        NOTE.replace("—", "-"),
        NOTE.replace("checkpoint-1 ", "check point-1 "),
        NOTE.replace("checkpoint-1 ", "x" * 65 + " "),
        NOTE.split("—")[0],
        NOTE + "— checkpoint-1 QUJD\n",
        NOTE + "".join(f"— k{n} QUJD\n" for n in range(NOTE_SIGNATURES_MAX)),
        NOTE + "— k " + "A" * NOTE_BYTES_MAX + "\n",
    ],
)
def test_any_other_form_is_refused(text):
    with pytest.raises(NoteError):
        parse_note(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("sekisho/a b/inquiry", 7, bytes(32), 1),
        Checkpoint("sekisho/centre/inquiry\n9", 7, bytes(32), 1),
        Checkpoint("sekisho/centre/inquiry", 0, bytes(32), 1),
        Checkpoint("sekisho/centre/inquiry", 7, bytes(31), 1),
        Checkpoint("sekisho/centre/inquiry", 7, bytes(32), -1),
    ],
)
def test_values_that_no_note_can_hold_are_not_written(checkpoint):
    with pytest.raises(NoteError):
        body_to_sign(checkpoint)


def test_the_centres_signature_is_believed(centre):
    note = parse_note(format_note(CHECKPOINT, [NoteSignature("c1", centre.sign(body_to_sign(CHECKPOINT)))]))
    assert verify_note(note, Keys({"c1": (Purpose.CHECKPOINT, centre.public)})) == CHECKPOINT


def test_a_second_signature_with_ml_dsa_is_checked_too(centre):
    pq = mldsa.MLDSA65PrivateKey.generate()
    keys = Keys(
        {
            "c1": (Purpose.CHECKPOINT, centre.public),
            "pq1": (Purpose.CHECKPOINT_PQ, PublicKey(Algorithm.ML_DSA_65, _spki(pq))),
        }
    )
    signed = body_to_sign(CHECKPOINT)
    good = NoteSignature("c1", centre.sign(signed))
    assert verify_note(parse_note(format_note(CHECKPOINT, [good, NoteSignature("pq1", pq.sign(signed))])), keys)
    false = NoteSignature("pq1", pq.sign(signed + b" "))
    with pytest.raises(SignatureInvalid):
        verify_note(parse_note(format_note(CHECKPOINT, [good, false])), keys)
    with pytest.raises(NoteError, match="no checkpoint key"):
        verify_note(parse_note(format_note(CHECKPOINT, [NoteSignature("pq1", pq.sign(signed))])), keys)


def test_a_signature_over_another_checkpoint_is_refused(centre):
    other = Checkpoint(CHECKPOINT.origin, 8, CHECKPOINT.root, CHECKPOINT.at_us)
    note = parse_note(format_note(other, [NoteSignature("c1", centre.sign(body_to_sign(CHECKPOINT)))]))
    with pytest.raises(SignatureInvalid):
        verify_note(note, Keys({"c1": (Purpose.CHECKPOINT, centre.public)}))


def test_a_key_for_another_purpose_does_not_vouch(centre):
    note = parse_note(format_note(CHECKPOINT, [NoteSignature("c1", centre.sign(body_to_sign(CHECKPOINT)))]))
    with pytest.raises(KeysError):
        verify_note(note, Keys({"c1": (Purpose.BLOCK, centre.public)}))


def test_a_peers_countersignature_stands_beside_the_centres(centre):
    peer = Es256()
    lines = [
        NoteSignature("c1", centre.sign(body_to_sign(CHECKPOINT))),
        NoteSignature("ministry-1", peer.sign(body_to_countersign(CHECKPOINT))),
    ]
    note = parse_note(format_note(CHECKPOINT, lines))
    assert verify_note(note, Keys({"c1": (Purpose.CHECKPOINT, centre.public)})) == CHECKPOINT
    verify_countersignature(note, "ministry-1", peer.public)
    with pytest.raises(SignatureInvalid):
        verify_countersignature(note, "ministry-1", centre.public)
    with pytest.raises(NoteError):
        verify_countersignature(note, "ministry-2", peer.public)


def test_countersignatures_alone_are_not_the_centres_word(centre):
    peer = Es256()
    lines = [NoteSignature("ministry-1", peer.sign(body_to_countersign(CHECKPOINT)))]
    with pytest.raises(NoteError):
        verify_note(parse_note(format_note(CHECKPOINT, lines)), Keys({"c1": (Purpose.CHECKPOINT, centre.public)}))
