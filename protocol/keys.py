"""Signing keys as the protocol sees them: what a key may do, from when to when, and how a signature is checked.

A signature in this project always covers `context(label)` followed by the content: 32 bytes that name the project and
the kind of statement, so that a signature made for one purpose is never valid for another. A key is pinned to one
algorithm; a verifier never reads the algorithm from the message it verifies. Key ids overlap in time while they are
rotated; the key history lists all keys of an owner, and its signature is checked against the owner's root key, which
is exchanged on paper.

Invariants kept here: one encoding of a history; unique key ids; a key is used only inside its validity and for its
purpose. Private keys, storage, clocks and randomness are not here (hsm).

Source: docs/PROTOCOL.md, Keys; FIPS 186-5 (ECDSA), FIPS 204 (ML-DSA).
"""

from enum import IntEnum, StrEnum
from typing import ClassVar, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from protocol.limits import KEY_ID_BYTES_MAX

CONTEXT_BYTES: Final = 32
CONTEXT_PREFIX: Final = b"sekisho/1 "
ES256_SIGNATURE_BYTES: Final = 64
HISTORY_LABEL: Final = "key-history"
HISTORY_BYTES_MAX: Final = 1 << 20
"""A signed key history is no longer; some 3,000 records with an ML-DSA key among ten."""


class Algorithm(IntEnum):
    """What a key computes; the code is what travels in messages and files."""

    ES256 = 1  # ECDSA on P-256 with SHA-256, signature raw r||s
    ML_DSA_65 = 2  # FIPS 204 with an empty context of its own
    A256GCM_WRAP = 3  # AES-256-GCM, wraps data keys


class Purpose(StrEnum):
    """The one thing a key is for."""

    LINE = "line"  # HELLO, WELCOME, REQUEST
    BLOCK = "block"
    CHECKPOINT = "checkpoint"
    CHECKPOINT_PQ = "checkpoint-pq"
    SEAL = "seal"  # wraps data keys
    MANIFEST = "manifest"  # a municipality's: manifests of documents and the codes on their pages
    INVOICE = "invoice"  # a centre's: invoices, credit notes and statements of settlement
    HISTORY = "history"  # the owner's root: signs the key history


class KeysError(ValueError):
    """Root of what can be wrong about a key or a signature."""

    code: ClassVar[str] = "keys"


class SignatureInvalid(KeysError):  # noqa: N818 - named after the fact
    """The signature does not belong to these bytes and this key."""

    code = "signature-invalid"

    def __init__(self, algorithm: int) -> None:
        super().__init__(f"signature (algorithm {algorithm}) is not valid for these bytes and this key")
        self.algorithm = algorithm


class PublicKeyInvalid(KeysError):  # noqa: N818 - named after the fact
    """The bytes are not a public key of the algorithm they are pinned to."""

    code = "public-key-invalid"

    def __init__(self, algorithm: int, why: str) -> None:
        super().__init__(f"not a public key for algorithm {algorithm}: {why}")
        self.algorithm = algorithm


class HistoryInvalid(KeysError):  # noqa: N818 - named after the fact
    """A key history that is malformed, contradicts itself or is not canonical."""

    code = "history-invalid"


class KeyIdUnknown(KeysError):  # noqa: N818 - named after the fact
    """The history has no key of this id."""

    code = "key-id-unknown"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"key {key_id!r} is not in the key history")
        self.key_id = key_id


class KeyOutsideValidity(KeysError):  # noqa: N818 - named after the fact
    """The key exists but was not valid at that time."""

    code = "key-outside-validity"

    def __init__(self, record: "KeyRecord", at_us: int) -> None:
        super().__init__(
            f"key {record.key_id!r} is valid from {record.not_before_us} to {record.not_after_us} us, not at {at_us}"
        )
        self.key_id = record.key_id
        self.not_before_us = record.not_before_us
        self.not_after_us = record.not_after_us
        self.at_us = at_us


def context(label: str) -> bytes:
    """The 32 bytes before every signed content: ASCII "sekisho/1 " and the label, padded with NUL.

    Raises: ValueError for a label that is empty, not printable ASCII, or longer than 22 characters.
    """
    if not label or not label.isascii() or not label.isprintable():
        raise ValueError(f"context label {label!r} is not printable ASCII")
    data = CONTEXT_PREFIX + label.encode("ascii")
    if len(data) > CONTEXT_BYTES:
        raise ValueError(f"context label {label!r} is longer than {CONTEXT_BYTES - len(CONTEXT_PREFIX)} characters")
    return data.ljust(CONTEXT_BYTES, b"\0")


_ES256: Final = ec.ECDSA(hashes.SHA256())


class PublicKey:
    """A public key parsed once, pinned to one algorithm.

    `der` is the SubjectPublicKeyInfo it was read from. Safe to share between threads.
    Raises: PublicKeyInvalid when the bytes are no key, or a key of another algorithm or curve.
    """

    __slots__ = ("_ec", "_mldsa", "algorithm", "der")

    def __init__(self, algorithm: int, der: bytes) -> None:
        try:
            key = load_der_public_key(der)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise PublicKeyInvalid(algorithm, "not a SubjectPublicKeyInfo") from error
        self._ec: ec.EllipticCurvePublicKey | None = None
        self._mldsa: mldsa.MLDSA65PublicKey | None = None
        if algorithm == Algorithm.ES256:
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
                raise PublicKeyInvalid(algorithm, "not on the curve P-256")
            self._ec = key
        elif algorithm == Algorithm.ML_DSA_65:
            if not isinstance(key, mldsa.MLDSA65PublicKey):
                raise PublicKeyInvalid(algorithm, "not an ML-DSA-65 key")
            self._mldsa = key
        else:
            raise PublicKeyInvalid(algorithm, "the algorithm does not sign")
        self.algorithm = Algorithm(algorithm)
        self.der = der

    def verify(self, signature: bytes, signed: bytes) -> None:
        """Check a signature over `signed`, which begins with its context.

        Shape: ES256 is r||s, each 32 bytes big-endian; ML-DSA-65 is 3,309 bytes. Raises: SignatureInvalid.
        """
        key = self._ec
        try:
            if key is not None:
                if len(signature) != 64:
                    raise SignatureInvalid(self.algorithm)
                der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
                key.verify(der, signed, _ES256)
            elif self._mldsa is not None:
                self._mldsa.verify(signature, signed)
        except InvalidSignature:
            raise SignatureInvalid(self.algorithm) from None


def verify(algorithm: int, public_key: bytes | PublicKey, signature: bytes, signed: bytes) -> None:
    """Check one signature with a key given as SPKI DER or already parsed.

    `algorithm` is the one the key is pinned to in the directory or the history, never one read from the message.
    Raises: SignatureInvalid; PublicKeyInvalid when the key is not of this algorithm.
    """
    if isinstance(public_key, bytes):
        public_key = PublicKey(algorithm, public_key)
    elif public_key.algorithm != algorithm:
        raise PublicKeyInvalid(algorithm, f"the key is pinned to algorithm {int(public_key.algorithm)}")
    public_key.verify(signature, signed)


class KeyRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key of an owner.

    Shape: MessagePack array of 6. public_key is SPKI DER, empty for SEAL. Valid for
    not_before_us <= t < not_after_us (microseconds since 1970 UTC); None: no end is set yet.
    """

    key_id: str
    purpose: str
    algorithm: int
    public_key: bytes
    not_before_us: int
    not_after_us: int | None = None

    def valid_at(self, at_us: int) -> bool:
        """Whether the key may be used at this time."""
        return self.not_before_us <= at_us and (self.not_after_us is None or at_us < self.not_after_us)


class KeyHistory(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All keys an owner ever had, oldest first; each change raises the version by one.

    Shape: MessagePack array of 4: owner, version from 1, at_us of the last change, records.
    """

    owner: str
    version: int
    at_us: int
    records: list[KeyRecord]

    def encode(self) -> bytes:
        """The canonical bytes, the ones that are signed."""
        return _encode(self)

    @staticmethod
    def decode(data: bytes) -> "KeyHistory":
        """Read a history. Raises: HistoryInvalid."""
        if len(data) > HISTORY_BYTES_MAX:
            raise HistoryInvalid(f"the key history is longer than {HISTORY_BYTES_MAX} bytes")
        try:
            history = _decode_history(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise HistoryInvalid("the key history is malformed") from error
        if _encode(history) != data:
            raise HistoryInvalid("the key history is not canonical")
        history._check()
        return history

    def key(self, key_id: str) -> KeyRecord:
        """The record of an id, whatever its validity. Raises: KeyIdUnknown."""
        for record in self.records:
            if record.key_id == key_id:
                return record
        raise KeyIdUnknown(key_id)

    def key_at(self, key_id: str, at_us: int) -> KeyRecord:
        """The record of an id that must be valid at a time. Raises: KeyIdUnknown, KeyOutsideValidity."""
        record = self.key(key_id)
        if not record.valid_at(at_us):
            raise KeyOutsideValidity(record, at_us)
        return record

    def valid_for(self, purpose: str, at_us: int) -> list[KeyRecord]:
        """Keys of a purpose valid at a time, newest first; more than one while they overlap."""
        found = [record for record in self.records if record.purpose == purpose and record.valid_at(at_us)]
        return found[::-1]

    def _check(self) -> None:
        if self.version < 1:
            raise HistoryInvalid("the version of a key history begins at 1")
        seen: set[str] = set()
        for record in self.records:
            if record.key_id in seen:
                raise HistoryInvalid(f"key id {record.key_id!r} stands twice in the key history")
            seen.add(record.key_id)
            if not 0 < len(record.key_id.encode()) <= KEY_ID_BYTES_MAX:
                raise HistoryInvalid(f"a key id has 1 to {KEY_ID_BYTES_MAX} bytes")
            if record.not_after_us is not None and record.not_after_us < record.not_before_us:
                raise HistoryInvalid(f"key {record.key_id!r} ends before it begins")
            signs = record.algorithm != Algorithm.A256GCM_WRAP
            if signs != bool(record.public_key) or signs == (record.purpose == Purpose.SEAL):
                raise HistoryInvalid(f"key {record.key_id!r}: purpose, algorithm and public key do not belong together")


class SignedKeyHistory(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A history with the signature of its owner's root (HISTORY) key over context("key-history") + history.

    Shape: MessagePack array of 4. The key id and algorithm say which root to look for; they choose no algorithm.
    """

    key_id: str
    algorithm: int
    signature: bytes
    history: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_history = msgspec.msgpack.Decoder(KeyHistory).decode
_decode_signed = msgspec.msgpack.Decoder(SignedKeyHistory).decode


def history_to_sign(history: bytes) -> bytes:
    """What the root key signs: context and the history's canonical bytes."""
    return context(HISTORY_LABEL) + history


def encode_signed_history(signed: SignedKeyHistory) -> bytes:
    """The bytes that are stored, exported and verified."""
    return _encode(signed)


def read_signed_history(data: bytes) -> SignedKeyHistory:
    """Take a signed history apart without trusting it. Raises: HistoryInvalid."""
    if len(data) > HISTORY_BYTES_MAX:
        raise HistoryInvalid(f"the key history is longer than {HISTORY_BYTES_MAX} bytes")
    try:
        signed = _decode_signed(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HistoryInvalid("the signed key history is malformed") from error
    if _encode(signed) != data:
        raise HistoryInvalid("the signed key history is not canonical")
    return signed


def verify_history(signed_bytes: bytes, root_public_key_der: bytes) -> KeyHistory:
    """Check a signed history against its owner's root key (ES256, SPKI DER) and give the history.

    The root is the owner's HISTORY key; it must stand in the history itself under the id that signed. It is not
    rotated: another root is another exchange on paper.
    Raises: HistoryInvalid; SignatureInvalid; PublicKeyInvalid for a root that is no P-256 key.
    """
    signed = read_signed_history(signed_bytes)
    if signed.algorithm != Algorithm.ES256:
        raise HistoryInvalid("a key history is signed with ES256")
    PublicKey(Algorithm.ES256, root_public_key_der).verify(signed.signature, history_to_sign(signed.history))
    history = KeyHistory.decode(signed.history)
    for record in history.records:
        if record.key_id == signed.key_id:
            if record.purpose != Purpose.HISTORY or record.public_key != root_public_key_der:
                break
            return history
    raise HistoryInvalid("the root key is not in the history it signed")
