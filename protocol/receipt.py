"""Receipts: proof that one question was asked and answered, for anyone who holds the trust bundle.

A receipt has a *proof* (entry, place and path in its block, header, signature: no personal data, kept for years), an
*opening* (question, answer, commitment key: erased with the data) and, once a checkpoint covers its block, *finality*
(the signed note and the block's path in it). Everything here is checked offline.

A receipt file is one MessagePack map with those parts; the opening and the finality may be absent.
Source: docs/PROTOCOL.md, Receipts; DESIGN of the block: RFC 6962.
"""

import hmac
from enum import StrEnum
from typing import Final

import msgpack
import msgspec

from protocol.checkpoint import Checkpoint, NoteError, parse_note, verify_note
from protocol.commitment import COMMITMENT_KEY_BYTES, request_commitment, response_commitment
from protocol.keys import KeysError, Purpose, context
from protocol.ledger import BLOCK_CONTEXT, BlockHeader, BlockKind, Entry, decode_entry, decode_header, header_hash
from protocol.merkle import ProofError, leaf_hash, verify_inclusion
from protocol.trust import Trust, TrustError

FORMAT: Final = "sekisho-receipt/1"
RECEIPT_BYTES_MAX: Final = 64 << 10


class Proof(msgspec.Struct, frozen=True):
    """Where an entry stands: its bytes, index and path in the block, the header's bytes, the key that signed it."""

    entry: bytes
    index: int
    path: list[bytes]
    header: bytes
    key_id: str
    signature: bytes


class Opening(msgspec.Struct, frozen=True):
    """What the entry's commitments stand for; personal data, to be erased in time."""

    operation: int
    request: bytes
    outcome: int
    response: bytes
    key: bytes


class Finality(msgspec.Struct, frozen=True):
    """The checkpoint that covers the block: signed note, and the block's position and path in its tree."""

    note: str
    position: int
    path: list[bytes]


class Receipt(msgspec.Struct, frozen=True):
    """Proof, and if still held opening and finality."""

    proof: Proof
    opening: Opening | None = None
    finality: Finality | None = None


class Fault(StrEnum):
    """What does not hold about a receipt."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    PATH = "path"
    COMMITMENT = "commitment"
    FINALITY = "finality"
    CHECKPOINT = "checkpoint"


class ReceiptError(ValueError):
    """A receipt that does not prove what it says; `fault` names the part."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt proves: the entry, its block, whether it was opened, and the checkpoint it is final in."""

    entry: Entry
    header: BlockHeader
    opened: bool
    checkpoint: Checkpoint | None


def encode_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt file."""
    packed: bytes = msgpack.packb({"format": FORMAT, **msgspec.to_builtins(receipt, builtin_types=(bytes,))})
    return packed


def decode_receipt(data: bytes) -> Receipt:
    """Read a receipt file without believing it. Raises: ReceiptError(MALFORMED)."""
    if len(data) > RECEIPT_BYTES_MAX:
        raise ReceiptError(Fault.MALFORMED, f"a receipt has at most {RECEIPT_BYTES_MAX} bytes")
    try:
        fields = msgpack.unpackb(data, max_array_len=64, max_map_len=16)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise ReceiptError(Fault.MALFORMED, "not MessagePack") from error
    if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT:
        raise ReceiptError(Fault.MALFORMED, f"not a receipt of format {FORMAT}")
    try:
        return msgspec.convert(fields, Receipt, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ReceiptError(Fault.MALFORMED, "a part is missing or of the wrong type") from error


def verify_block_signature(header_bytes: bytes, *, key_id: str, signature: bytes, trust: Trust) -> BlockHeader:
    """Read a header that one of the centre's block keys, valid at the header's time, signed.

    Raises: ReceiptError(MALFORMED | SIGNATURE).
    """
    try:
        header = decode_header(header_bytes)
    except (ValueError, msgspec.DecodeError) as error:
        raise ReceiptError(Fault.MALFORMED, "the block header cannot be read") from error
    try:
        key = trust.key(key_id, purpose=Purpose.BLOCK, at_us=header.at_us)
        key.verify(signature, context(BLOCK_CONTEXT) + header_bytes)
    except (KeysError, TrustError) as error:
        raise ReceiptError(Fault.SIGNATURE, str(error)) from error
    return header


def check_opening(entry: Entry, opening: Opening) -> None:
    """Hold question and answer against the entry's commitments. Raises: ReceiptError(COMMITMENT)."""
    if len(opening.key) != COMMITMENT_KEY_BYTES:
        # HMAC pads short keys with zeros, so another length could be the same key twice.
        raise ReceiptError(Fault.COMMITMENT, f"a commitment key has {COMMITMENT_KEY_BYTES} bytes")
    if not 0 <= opening.operation < 1 << 8 or not 0 <= opening.outcome < 1 << 16:
        raise ReceiptError(Fault.COMMITMENT, "the operation or the outcome is outside its bounds")
    if entry.operation != opening.operation or entry.outcome != opening.outcome:
        raise ReceiptError(Fault.COMMITMENT, "the entry is about another operation or outcome")
    asked = request_commitment(opening.key, opening.operation, opening.request)
    if not hmac.compare_digest(asked, entry.request_commitment):
        raise ReceiptError(Fault.COMMITMENT, "the entry is about another question")
    answered = response_commitment(opening.key, opening.outcome, opening.response)
    if not hmac.compare_digest(answered, entry.response_commitment):
        raise ReceiptError(Fault.COMMITMENT, "the entry is about another answer")


def verify_receipt(receipt: Receipt, trust: Trust, *, kept_note: str | None = None) -> Verified:
    """Check every part that is there; with `kept_note`, require finality in that very checkpoint.

    Raises: ReceiptError naming the part that does not hold.
    """
    proof = receipt.proof
    header = verify_block_signature(proof.header, key_id=proof.key_id, signature=proof.signature, trust=trust)
    try:
        entry = decode_entry(proof.entry)
    except (ValueError, msgspec.DecodeError) as error:
        raise ReceiptError(Fault.MALFORMED, "the entry cannot be read") from error
    if header.kind != BlockKind.NORMAL:
        raise ReceiptError(Fault.PATH, "the block is a CLOSE block, which holds no entry")
    try:
        verify_inclusion(
            leaf_hash(proof.entry), index=proof.index, size=header.count, proof=proof.path, root=header.root
        )
    except ProofError as error:
        raise ReceiptError(Fault.PATH, str(error)) from error
    if receipt.opening is not None:
        check_opening(entry, receipt.opening)
    checkpoint = None
    if receipt.finality is not None:
        checkpoint = _verify_finality(receipt.finality, proof.header, trust)
    if kept_note is not None:
        _match_kept(checkpoint, kept_note, trust)
    return Verified(entry=entry, header=header, opened=receipt.opening is not None, checkpoint=checkpoint)


def _verify_finality(finality: Finality, header: bytes, trust: Trust) -> Checkpoint:
    checkpoint = _read_note(finality.note, trust, Fault.FINALITY)
    try:
        verify_inclusion(
            header_hash(header),
            index=finality.position,
            size=checkpoint.size,
            proof=finality.path,
            root=checkpoint.root,
        )
    except ProofError as error:
        raise ReceiptError(Fault.FINALITY, f"the block is not in its checkpoint: {error}") from error
    return checkpoint


def _read_note(text: str, trust: Trust, fault: Fault) -> Checkpoint:
    try:
        checkpoint = verify_note(parse_note(text), trust)
    except (NoteError, KeysError, TrustError) as error:
        raise ReceiptError(fault, f"the checkpoint is not the centre's: {error}") from error
    if checkpoint.origin != trust.origin:
        raise ReceiptError(fault, f"the checkpoint is of {checkpoint.origin}, not of {trust.origin}")
    return checkpoint


def _match_kept(own: Checkpoint | None, kept_note: str, trust: Trust) -> None:
    kept = _read_note(kept_note, trust, Fault.CHECKPOINT)
    if own is None:
        raise ReceiptError(Fault.CHECKPOINT, "the receipt has no finality; fetch it for the kept checkpoint's size")
    if own.size != kept.size:
        raise ReceiptError(
            Fault.CHECKPOINT,
            f"the receipt is final in tree size {own.size}, the kept note has {kept.size}; fetch it for that size",
        )
    if own.root != kept.root:
        raise ReceiptError(
            Fault.CHECKPOINT, "two checkpoints of one size differ: the centre showed two ledgers; keep both as evidence"
        )
