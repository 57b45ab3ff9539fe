"""Checkpoints: the signed size and root of the tree over all blocks of a centre, as a note people can keep.

A note is text: the body (origin, size, root, one extension line with the time), an empty line, and signature lines.
Shape, each line ended by a newline, `—` being U+2014:

    sekisho/<centre>/<role>
    <size, decimal>
    <root, base64 of 32 bytes>
    time <microseconds since 1970 UTC>

    — <key id> <base64 of the signature>

The centre signs context("checkpoint") and the body with ES256, and now and then with ML-DSA-65 as well. Peers that
keep a note countersign context("countersign") and the body; their lines follow in the same form under their own ids.

Invariants kept here: one text for one checkpoint; everything bounded before it is taken apart; a note is believed only
with a valid ES256 signature of the centre, and never with a false one. Not here: keys' storage, clocks, lines.
Source: docs/PROTOCOL.md, Checkpoints; the tlog-checkpoint and signed-note formats of C2SP, without their key hints,
since key ids are unique in the key history.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from protocol.keys import Algorithm, KeyIdUnknown, PublicKey, Purpose, context
from protocol.limits import KEY_ID_BYTES_MAX, SIGNATURE_BYTES_MAX
from protocol.merkle import HASH_BYTES

CHECKPOINT_LABEL: Final = "checkpoint"
COUNTERSIGN_LABEL: Final = "countersign"
NOTE_SIGNATURES_MAX: Final = 32
NOTE_BYTES_MAX: Final = 64 << 10
SIZE_MAX: Final = (1 << 63) - 1
"""A tree size fits the database's bigint."""

_ORIGIN: Final = re.compile(r"sekisho/[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[a-z][a-z-]{0,31}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_ID: Final = re.compile(rf"[!-~]{{1,{KEY_ID_BYTES_MAX}}}")


class NoteError(ValueError):
    """A note that is malformed, or that the centre's keys do not vouch for."""

    code = "note"


class Checkpoint(msgspec.Struct, frozen=True):
    """What is signed: origin (`sekisho/<centre>/<role>`), tree size from 1, root (32 bytes), time in microseconds."""

    origin: str
    size: int
    root: bytes
    at_us: int


class NoteSignature(msgspec.Struct, frozen=True):
    """One signature line."""

    key_id: str
    signature: bytes


class SignedNote(msgspec.Struct, frozen=True):
    """A note taken apart, believed by nobody yet."""

    checkpoint: Checkpoint
    signatures: list[NoteSignature]


class Keys(Protocol):
    """The centre's keys, as protocol.trust.Trust gives them."""

    def key(self, key_id: str, *, purpose: Purpose, at_us: int) -> PublicKey:
        """The key of this id for this purpose, valid then. Raises: KeysError, and an error of its own."""


def format_body(checkpoint: Checkpoint) -> str:
    """The text that is signed, four lines. Raises: NoteError for values that no note can hold."""
    if not _ORIGIN.fullmatch(checkpoint.origin):
        raise NoteError(f"origin {checkpoint.origin!r} is not sekisho/<centre>/<role>")
    if not 1 <= checkpoint.size <= SIZE_MAX or not 0 <= checkpoint.at_us <= SIZE_MAX:
        raise NoteError("the size or the time of the checkpoint is outside its bounds")
    if len(checkpoint.root) != HASH_BYTES:
        raise NoteError(f"a root has {HASH_BYTES} bytes, not {len(checkpoint.root)}")
    root = base64.b64encode(checkpoint.root).decode("ascii")
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\ntime {checkpoint.at_us}\n"


def body_to_sign(checkpoint: Checkpoint) -> bytes:
    """What the centre's checkpoint keys sign. Raises: NoteError."""
    return context(CHECKPOINT_LABEL) + format_body(checkpoint).encode("ascii")


def body_to_countersign(checkpoint: Checkpoint) -> bytes:
    """What a peer signs that saw this checkpoint and found it consistent with those it kept. Raises: NoteError."""
    return context(COUNTERSIGN_LABEL) + format_body(checkpoint).encode("ascii")


def format_note(checkpoint: Checkpoint, signatures: Iterable[NoteSignature]) -> str:
    """The note's text; at least one signature. Raises: NoteError."""
    lines = []
    for each in signatures:
        if not _KEY_ID.fullmatch(each.key_id):
            raise NoteError(f"key id {each.key_id!r} cannot stand in a note")
        if not 0 < len(each.signature) <= SIGNATURE_BYTES_MAX:
            raise NoteError("a signature in a note is empty or too long")
        lines.append(f"— {each.key_id} {base64.b64encode(each.signature).decode('ascii')}\n")
    if not 0 < len(lines) <= NOTE_SIGNATURES_MAX:
        raise NoteError(f"a note has 1 to {NOTE_SIGNATURES_MAX} signatures, not {len(lines)}")
    note = format_body(checkpoint) + "\n" + "".join(lines)
    if len(note.encode()) > NOTE_BYTES_MAX:
        raise NoteError(f"a note has at most {NOTE_BYTES_MAX} bytes")
    return note


def parse_note(text: str) -> SignedNote:
    """Take a note apart without believing it. Raises: NoteError for anything but the one text of a checkpoint."""
    if len(text) > NOTE_BYTES_MAX:
        raise NoteError(f"a note has at most {NOTE_BYTES_MAX} bytes")
    lines = text.split("\n")
    if len(lines) < 7 or lines[4] or lines[-1]:
        raise NoteError("a note is four lines, an empty line and signature lines, each ended by a newline")
    if len(lines) - 6 > NOTE_SIGNATURES_MAX:
        raise NoteError(f"a note has at most {NOTE_SIGNATURES_MAX} signatures")
    origin, size, root, time = lines[:4]
    if not _ORIGIN.fullmatch(origin):
        raise NoteError("line 1 of the note is not sekisho/<centre>/<role>")
    if not time.startswith("time "):
        raise NoteError("line 4 of the note is not its time")
    checkpoint = Checkpoint(
        origin, _number(size, "size"), _base64(root, "root"), _number(time.removeprefix("time "), "time")
    )
    note = SignedNote(checkpoint, [_signature(line) for line in lines[5:-1]])
    if len({each.key_id for each in note.signatures}) != len(note.signatures):
        raise NoteError("a key id stands twice in the note")
    if format_note(checkpoint, note.signatures) != text:
        raise NoteError("the note is not in the one form of what it says")
    return note


def verify_note(note: SignedNote, keys: Keys) -> Checkpoint:
    """Believe a note: give its checkpoint if one of the centre's checkpoint keys signed it with ES256.

    Lines of keys that the centre does not have (peers' countersignatures) are passed over; a line of a key that it
    has must be valid, so a wrong one is never hidden behind a right one.
    Raises: NoteError when no ES256 line of the centre is there; KeysError, and what `keys` raises for a key that is
    not valid then or has another purpose; SignatureInvalid.
    """
    checkpoint = note.checkpoint
    signed = body_to_sign(checkpoint)
    vouched = False
    for each in note.signatures:
        pinned = len(each.signature) == 64
        purpose = Purpose.CHECKPOINT if pinned else Purpose.CHECKPOINT_PQ
        try:
            key = keys.key(each.key_id, purpose=purpose, at_us=checkpoint.at_us)
        except KeyIdUnknown:
            continue
        key.verify(each.signature, signed)
        vouched = vouched or key.algorithm == Algorithm.ES256
    if not vouched:
        raise NoteError("no checkpoint key of the centre signed the note")
    return checkpoint


def verify_countersignature(note: SignedNote, key_id: str, key: PublicKey) -> None:
    """Check the line of a peer's key. Raises: NoteError when it has none; SignatureInvalid."""
    for each in note.signatures:
        if each.key_id == key_id:
            key.verify(each.signature, body_to_countersign(note.checkpoint))
            return
    raise NoteError(f"key {key_id!r} did not countersign the note")


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NoteError(f"the {what} in the note is not a decimal number")
    return int(text)


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"the {what} in the note is not base64") from error


def _signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—":
        raise NoteError("a signature line of the note is not `— key-id base64`")
    return NoteSignature(parts[1], _base64(parts[2], "signature"))
