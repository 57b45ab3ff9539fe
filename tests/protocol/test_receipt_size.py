"""A receipt that RECEIPT brings fits into a response, at the largest that any of its parts may be."""

from protocol import limits
from protocol.checkpoint import SIZE_MAX, Checkpoint, NoteSignature, format_note, parse_note
from protocol.keys import Algorithm
from protocol.ledger import BlockHeader, decode_header, encode_header
from protocol.receipt import Finality, Proof, Receipt, decode_receipt, encode_receipt

KEY_ID = "k" * limits.KEY_ID_BYTES_MAX
HASH = bytes([255]) * 32
SIGNATURE_BYTES = {Algorithm.ES256: 64, Algorithm.ML_DSA_65: limits.SIGNATURE_BYTES_MAX}


def _largest() -> Receipt:
    header = encode_header(BlockHeader(1, HASH[:16], SIZE_MAX, HASH, HASH, limits.BLOCK_ENTRIES_MAX, SIZE_MAX))
    checkpoint = Checkpoint(f"sekisho/{'c' * 64}/{'r' * 32}", SIZE_MAX, HASH, SIZE_MAX)
    lines = [
        NoteSignature(KEY_ID[:-1] + str(n), bytes([255]) * size) for n, size in enumerate(SIGNATURE_BYTES.values())
    ]
    note = format_note(checkpoint, lines)
    proof = Proof(
        bytes([255]) * limits.ENTRY_BYTES_MAX,
        limits.BLOCK_ENTRIES_MAX - 1,
        [HASH] * (limits.BLOCK_ENTRIES_MAX - 1).bit_length(),
        header,
        KEY_ID,
        bytes([255]) * SIGNATURE_BYTES[Algorithm.ES256],
    )
    return Receipt(proof, None, Finality(note, SIZE_MAX - 1, [HASH] * SIZE_MAX.bit_length()))


def test_the_largest_receipt_fits_a_response_and_is_read_again() -> None:
    receipt = _largest()
    body = encode_receipt(receipt)
    assert 8 << 10 < len(body) <= limits.RESPONSE_BODY_BYTES_MAX
    assert decode_receipt(body) == receipt
    assert receipt.finality is not None
    assert len(parse_note(receipt.finality.note).signatures) == len(SIGNATURE_BYTES)
    assert decode_header(receipt.proof.header).height == SIZE_MAX


def test_a_frame_of_the_largest_receipts_fits_the_frames_bound() -> None:
    body = encode_receipt(_largest())
    assert limits.RESPONSES_PER_FRAME_MAX * (len(body) + 64) < limits.FRAME_BYTES_MAX
