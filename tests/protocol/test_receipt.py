"""A receipt proves all it says or names the part that does not hold."""

import json
from collections.abc import Callable
from pathlib import Path

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, NoteSignature, body_to_sign, format_note, parse_note
from protocol.ledger import BlockKind
from protocol.outcomes import Outcome
from protocol.receipt import (
    RECEIPT_BYTES_MAX,
    Fault,
    Finality,
    Proof,
    Receipt,
    ReceiptError,
    decode_receipt,
    encode_receipt,
    verify_receipt,
)
from protocol.trust import TrustError, TrustOwnerError, decode_trust, encode_trust
from tests.kit.lines import BLOCK, CHECKPOINT, ROOT, STRANGER, TRUST, Pair, Signer, make_block, make_request
from tests.vectors import make

replace = msgspec.structs.replace


def make_receipt(kind: int = BlockKind.NORMAL) -> Receipt:
    """The third of five answers of one block."""
    requests = [make_request(n) for n in range(5)]
    pair = Pair().greet()
    pair.deliver(requests)
    receipt = pair.answer(make_block(requests, outcome=Outcome.EXACT, kind=kind).share(1, 4))[1].receipt()
    assert receipt is not None
    return receipt


RECEIPT = make_receipt()
OPENING = RECEIPT.opening
assert OPENING is not None


def proof(**fields: object) -> Receipt:
    """A receipt whose proof has other fields."""
    return replace(RECEIPT, proof=replace(RECEIPT.proof, **fields))


def opening(**fields: object) -> Receipt:
    """A receipt whose opening has other fields."""
    return replace(RECEIPT, opening=replace(OPENING, **fields))


def flip(data: bytes) -> bytes:
    """The last bit is another."""
    return data[:-1] + bytes([data[-1] ^ 1])


def close_proof() -> Receipt:
    """A receipt under a CLOSE block."""
    block = make_block([make_request(0)], kind=BlockKind.CLOSE)
    entry = block.responses[0].entry
    return Receipt(Proof(entry, 0, [], block.header, block.key_id, block.signature))


def test_a_receipt_proves_entry_block_and_opening() -> None:
    verified = verify_receipt(decode_receipt(encode_receipt(RECEIPT)), TRUST)
    assert (verified.opened, verified.checkpoint, verified.entry.yen, verified.header.count) == (True, None, 10, 5)


def test_without_its_opening_it_still_proves_the_entry() -> None:
    assert not verify_receipt(replace(RECEIPT, opening=None), TRUST).opened


ALTERED: list[tuple[str, Callable[[], Receipt], Fault]] = [
    ("entry", lambda: proof(entry=flip(RECEIPT.proof.entry[:-1]) + b"\xc0"), Fault.PATH),
    ("entry junk", lambda: proof(entry=b"\xc1"), Fault.MALFORMED),
    ("entry nested", lambda: proof(entry=b"\x91" * 20_000), Fault.MALFORMED),
    ("index", lambda: proof(index=3), Fault.PATH),
    ("index negative", lambda: proof(index=-1), Fault.PATH),
    ("index beyond", lambda: proof(index=5), Fault.PATH),
    ("path", lambda: proof(path=[flip(n) for n in RECEIPT.proof.path]), Fault.PATH),
    ("path short", lambda: proof(path=RECEIPT.proof.path[:-1]), Fault.PATH),
    ("path long", lambda: proof(path=[*RECEIPT.proof.path, bytes(32)]), Fault.PATH),
    ("header", lambda: proof(header=flip(RECEIPT.proof.header)), Fault.SIGNATURE),
    ("header junk", lambda: proof(header=b""), Fault.MALFORMED),
    ("key id", lambda: proof(key_id="nobody"), Fault.SIGNATURE),
    ("key of another purpose", lambda: proof(key_id="centre-line-1"), Fault.SIGNATURE),
    ("signature", lambda: proof(signature=flip(RECEIPT.proof.signature)), Fault.SIGNATURE),
    ("CLOSE block", close_proof, Fault.PATH),
    ("request", lambda: opening(request=OPENING.request + b"\0"), Fault.COMMITMENT),
    ("response", lambda: opening(response=b""), Fault.COMMITMENT),
    ("key", lambda: opening(key=flip(OPENING.key)), Fault.COMMITMENT),
    ("key padded", lambda: opening(key=OPENING.key + b"\0"), Fault.COMMITMENT),
    ("operation", lambda: opening(operation=2), Fault.COMMITMENT),
    ("operation too large", lambda: opening(operation=1 << 40), Fault.COMMITMENT),
    ("outcome", lambda: opening(outcome=int(Outcome.NONE)), Fault.COMMITMENT),
    ("outcome negative", lambda: opening(outcome=-1), Fault.COMMITMENT),
    ("finality junk", lambda: replace(RECEIPT, finality=Finality("x", 0, [])), Fault.FINALITY),
]


@pytest.mark.parametrize(("make", "fault"), [row[1:] for row in ALTERED], ids=[row[0] for row in ALTERED])
def test_an_altered_part_is_named(make: Callable[[], Receipt], fault: Fault) -> None:
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(make(), TRUST)
    assert refused.value.fault is fault


FIELDS = msgpack.unpackb(encode_receipt(RECEIPT))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        bytes(RECEIPT_BYTES_MAX + 1),
        encode_receipt(RECEIPT) + b"\0",
        encode_receipt(RECEIPT)[:-1],
        b"\x91" * 5_000,
        msgpack.packb([1]),
        msgpack.packb({}),
        msgpack.packb({**FIELDS, "format": "sekisho-receipt/2"}),
        msgpack.packb({k: v for k, v in FIELDS.items() if k != "proof"}),
        msgpack.packb({**FIELDS, "proof": 1}),
        msgpack.packb({**FIELDS, "proof": {**FIELDS["proof"], "entry": "text"}}),
        msgpack.packb({**FIELDS, "proof": {**FIELDS["proof"], "path": [b"x"] * 65}}),
        msgpack.packb({**FIELDS, "opening": {}}),
    ],
)
def test_a_file_that_is_no_receipt_is_malformed(data: bytes) -> None:
    with pytest.raises(ReceiptError) as refused:
        decode_receipt(data)
    assert refused.value.fault is Fault.MALFORMED


@given(data=st.binary(max_size=200))
def test_junk_is_never_more_than_malformed(data: bytes) -> None:
    with pytest.raises(ReceiptError):
        decode_receipt(data)
    with pytest.raises(TrustError):
        decode_trust(data)


@given(at=st.integers(0, len(encode_receipt(RECEIPT)) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_of_a_receipt_changes_what_it_proves(at: int, bit: int) -> None:
    data = bytearray(encode_receipt(RECEIPT))
    data[at] ^= 1 << bit
    try:
        verified = verify_receipt(decode_receipt(bytes(data)), TRUST)
    except ReceiptError:
        return
    assert verified.entry == verify_receipt(RECEIPT, TRUST).entry


def test_a_trust_bundle_survives_its_file_and_any_other_root_is_refused() -> None:
    data = encode_trust(TRUST)
    again = decode_trust(data)
    assert (again.origin, again.root, again.history) == (TRUST.origin, TRUST.root, TRUST.history)
    fields = msgpack.unpackb(data)
    other = make_receipt().proof.header
    for bad in (
        {**fields, "root": ROOT.der[:-1] + bytes([ROOT.der[-1] ^ 1])},
        {**fields, "root": other},
        {**fields, "history": fields["history"][:-1]},
        {**fields, "format": "x"},
        {**fields, "centre": 1},
        {k: v for k, v in fields.items() if k != "root"},
    ):
        with pytest.raises(TrustError):
            decode_trust(msgpack.packb(bad))
    with pytest.raises(TrustError):
        decode_trust(bytes((2 << 20) + 1))


def test_a_trust_bundle_with_another_centres_history_is_refused_and_says_whose_it_is() -> None:
    fields = msgpack.unpackb(encode_trust(TRUST))
    with pytest.raises(TrustOwnerError) as caught:
        decode_trust(msgpack.packb({**fields, "centre": "another"}))
    assert (caught.value.centre, caught.value.owner) == ("another", TRUST.centre)


FINAL = decode_receipt(bytes.fromhex(json.loads((Path(make.__file__).parent / "receipt.json").read_text())["receipt"]))
FINALITY = FINAL.finality
assert FINALITY is not None


def signed_note(checkpoint: Checkpoint, signer: Signer = CHECKPOINT) -> str:
    """A note of the synthetic centre."""
    return format_note(checkpoint, [NoteSignature(signer.key_id, signer.sign(body_to_sign(checkpoint)))])


COVERING = parse_note(FINALITY.note).checkpoint


def test_a_final_receipt_names_its_checkpoint() -> None:
    assert verify_receipt(FINAL, TRUST, kept_note=FINALITY.note).checkpoint == COVERING


@pytest.mark.parametrize(
    "finality",
    [
        replace(FINALITY, position=3),
        replace(FINALITY, path=FINALITY.path[:-1]),
        replace(FINALITY, path=[bytes(32)]),
        replace(FINALITY, note=FINALITY.note.replace("time 1", "time 2")),
        replace(FINALITY, note=signed_note(replace(COVERING, root=bytes(32)))),
        replace(FINALITY, note=signed_note(COVERING, STRANGER)),
        replace(FINALITY, note=signed_note(COVERING, BLOCK)),
        replace(FINALITY, note=signed_note(replace(COVERING, origin="sekisho/other/inquiry"))),
    ],
)
def test_a_finality_that_does_not_hold_is_named(finality: Finality) -> None:
    with pytest.raises(ReceiptError) as refused:
        verify_receipt(replace(FINAL, finality=finality), TRUST)
    assert refused.value.fault is Fault.FINALITY


@pytest.mark.parametrize(
    ("receipt", "kept", "why"),
    [
        (RECEIPT, FINALITY.note, "no finality"),
        (FINAL, signed_note(replace(COVERING, size=6)), "fetch it for that size"),
        (FINAL, signed_note(replace(COVERING, root=bytes(32))), "two ledgers"),
        (FINAL, signed_note(COVERING, STRANGER), "not the centre's"),
        (FINAL, "junk", "not the centre's"),
    ],
)
def test_a_kept_checkpoint_that_does_not_match_is_named(receipt: Receipt, kept: str, why: str) -> None:
    with pytest.raises(ReceiptError, match=why) as refused:
        verify_receipt(receipt, TRUST, kept_note=kept)
    assert refused.value.fault is Fault.CHECKPOINT
