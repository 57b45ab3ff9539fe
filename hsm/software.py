"""The software keystore: one encrypted file, the embedded default.

Shape of the file: MessagePack map {format, owner, salt, time, memory, lanes, nonce, sealed}; Argon2id of the passphrase
gives the AES-256-GCM key over everything else in the map as associated data; inside, the key records with their private
keys and the history's version. Writes are whole or not at all (temporary file, fsync, rename), under a lock file, and
begin by reading what stands, so two writers cannot undo each other.

In memory the keys are parsed once; a signature costs some 20 microseconds. A process that can read this memory has the
keys: where that matters, use a token (hsm.token).
"""

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import msgpack
import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from hsm.errors import (
    KeyUnknown,
    PassphraseWrong,
    StoreAbsent,
    StoreCorrupt,
    StoreExists,
    UnwrapRefused,
)
from hsm.interface import Capabilities, Status
from hsm.records import check_new, ended, newest, signed_history, to_rotate
from protocol.keys import Algorithm, KeyRecord, Purpose

FORMAT: Final = "sekisho-keystore/1"
FILE_BYTES_MAX: Final = 16 << 20
ARGON_TIME: Final = 3
ARGON_MEMORY_KIB: Final = 64 << 10
ARGON_LANES: Final = 2
NONCE_BYTES: Final = 12
SALT_BYTES: Final = 16
_ES256: Final = ec.ECDSA(hashes.SHA256())


class _Held(msgspec.Struct, frozen=True, array_like=True):
    """A record with its private key: PKCS#8 DER, or 32 bytes for a wrapping key."""

    record: KeyRecord
    private: bytes


class _Content(msgspec.Struct, frozen=True, array_like=True):
    """What the file seals."""

    version: int
    at_us: int
    held: list[_Held]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


class SoftwareKeystore:
    """See KeyStore. Open with `open`, make with `create`."""

    def __init__(self, path: Path, owner: str, head: dict[str, Any], key: bytes, content: _Content) -> None:
        self.path = path
        self.owner = owner
        self._head = head
        self._key = key
        self._lock = threading.Lock()
        self._content: _Content
        self._signers: dict[str, Callable[[bytes], bytes]] = {}
        self._wrappers: dict[str, AESGCM] = {}
        self._current: dict[Purpose, KeyRecord]
        self._take(content)

    @classmethod
    def create(cls, path: Path, passphrase: str, *, owner: str) -> Self:
        """Make an empty store. Raises: StoreExists."""
        if path.exists():
            raise StoreExists(str(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = {
            "format": FORMAT,
            "owner": owner,
            "salt": secrets.token_bytes(SALT_BYTES),
            "time": ARGON_TIME,
            "memory": ARGON_MEMORY_KIB,
            "lanes": ARGON_LANES,
        }
        store = cls(path, owner, head, _derive(passphrase, head), _Content(0, 0, []))
        with store._writing():
            if path.exists():
                raise StoreExists(str(path))
            store._write(store._content)
        return store

    @classmethod
    def open(cls, path: Path, passphrase: str) -> Self:
        """Open a store. Raises: StoreAbsent, StoreCorrupt, PassphraseWrong."""
        head, nonce, sealed = _read(path)
        key = _derive(passphrase, head)
        content = _open(path, head, key, nonce, sealed)
        return cls(path, head["owner"], head, key, content)

    def capabilities(self) -> Capabilities:
        """See KeyStore."""
        return Capabilities(
            algorithms=frozenset((Algorithm.ES256, Algorithm.ML_DSA_65, Algorithm.A256GCM_WRAP)),
            blocking=False,
            name="software keystore",
        )

    def generate(
        self, purpose: Purpose, algorithm: Algorithm, *, key_id: str, now_us: int, not_after_us: int | None = None
    ) -> KeyRecord:
        """See KeyStore."""
        check_new(self.keys(), purpose, algorithm, key_id)
        private, public = _make(algorithm)
        record = KeyRecord(key_id, purpose.value, int(algorithm), public, now_us, not_after_us)

        def add(content: _Content) -> _Content:
            check_new([held.record for held in content.held], purpose, algorithm, key_id)
            return _Content(content.version + 1, now_us, [*content.held, _Held(record, private)])

        self._change(add)
        return record

    def keys(self) -> tuple[KeyRecord, ...]:
        """See KeyStore."""
        return tuple(held.record for held in self._content.held)

    def current(self, purpose: Purpose, now_us: int) -> KeyRecord:
        """See KeyStore."""
        found = self._current.get(purpose)
        if found is not None and found.valid_at(now_us):
            return found
        found = self._current[purpose] = newest(self.keys(), purpose, now_us)
        return found

    def sign(self, key_id: str, data: bytes) -> bytes:
        """See KeyStore."""
        signer = self._signers.get(key_id)
        if signer is None:
            raise KeyUnknown(key_id)
        return signer(data)

    def wrap(self, key_id: str, secret: bytes, aad: bytes) -> bytes:
        """See KeyStore."""
        wrapper = self._wrappers.get(key_id)
        if wrapper is None:
            raise KeyUnknown(key_id)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + wrapper.encrypt(nonce, secret, aad)

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        """See KeyStore."""
        wrapper = self._wrappers.get(key_id)
        if wrapper is None:
            raise KeyUnknown(key_id)
        try:
            return wrapper.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError):
            raise UnwrapRefused(key_id) from None

    def rotate(self, purpose: Purpose, *, key_id: str, now_us: int, overlap_us: int) -> KeyRecord:
        """See KeyStore."""
        algorithm = to_rotate(self.keys(), purpose, now_us)
        private, public = _make(algorithm)
        record = KeyRecord(key_id, purpose.value, int(algorithm), public, now_us, None)

        def turn(content: _Content) -> _Content:
            check_new([held.record for held in content.held], purpose, algorithm, key_id)
            before = [_Held(ended(held.record, purpose, now_us + overlap_us), held.private) for held in content.held]
            return _Content(content.version + 1, now_us, [*before, _Held(record, private)])

        self._change(turn)
        return record

    def refresh(self) -> bool:
        """See KeyStore. The passphrase is not asked for: a file under another one is not this store."""
        with self._lock:
            head, nonce, sealed = _read(self.path)
            if head != self._head:
                raise StoreCorrupt(str(self.path), "it is another store than the one that was opened; restart")
            found = _open(self.path, head, self._key, nonce, sealed)
            if found.version < self._content.version:
                raise StoreCorrupt(str(self.path), "its keys are older than those in use; was a copy put back?")
            if found == self._content:
                return False
            self._take(found)
            return True

    def history(self) -> bytes:
        """See KeyStore."""
        content = self._content
        records = [held.record for held in content.held]
        return signed_history(self.owner, content.version, content.at_us, records, self.sign)

    def status(self) -> Status:
        """See KeyStore."""
        return Status(available=True, keys=len(self._content.held), text=f"software keystore {self.path.name}, open")

    def close(self) -> None:
        """See KeyStore."""
        self._signers.clear()
        self._wrappers.clear()
        self._current.clear()

    # --- the file

    def _take(self, content: _Content) -> None:
        """Put other content in force; keys that cannot be read leave the old there."""
        self._parse(content)
        self._content = content
        self._current = {}

    def _parse(self, content: _Content) -> None:
        for held in content.held:
            record = held.record
            if record.key_id in self._signers or record.key_id in self._wrappers:
                continue
            if record.algorithm == Algorithm.A256GCM_WRAP:
                self._wrappers[record.key_id] = AESGCM(held.private)
            else:
                self._signers[record.key_id] = _signer(self.path, held.private)

    def _change(self, change: Callable[[_Content], _Content]) -> None:
        with self._lock, self._writing():
            head, nonce, sealed = _read(self.path)
            changed = change(_open(self.path, head, self._key, nonce, sealed))
            self._write(changed)
            self._take(changed)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, also between processes."""
        lock = self.path.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, content: _Content) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._key).encrypt(nonce, _encode(content), _aad(self._head))
        data = msgpack.packb({**self._head, "nonce": nonce, "sealed": sealed})
        draft = self.path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _make(algorithm: Algorithm) -> tuple[bytes, bytes]:
    if algorithm is Algorithm.A256GCM_WRAP:
        return secrets.token_bytes(32), b""
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if algorithm is Algorithm.ES256 else mldsa.MLDSA65PrivateKey.generate()
    )
    return (
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def _signer(path: Path, private: bytes) -> Callable[[bytes], bytes]:
    try:
        key = load_der_private_key(private, None)
    except ValueError as error:
        raise StoreCorrupt(str(path), "a private key cannot be read") from error
    if isinstance(key, ec.EllipticCurvePrivateKey):

        def sign(data: bytes, key: ec.EllipticCurvePrivateKey = key) -> bytes:
            r, s = decode_dss_signature(key.sign(data, _ES256))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")

        return sign
    if isinstance(key, mldsa.MLDSA65PrivateKey):
        return key.sign
    raise StoreCorrupt(str(path), "a private key of an unknown kind")


def _derive(passphrase: str, head: dict[str, Any]) -> bytes:
    return hash_secret_raw(passphrase.encode(), head["salt"], head["time"], head["memory"], head["lanes"], 32, Type.ID)


def _aad(head: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb([head[name] for name in ("format", "owner", "salt", "time", "memory", "lanes")])
    return packed


def _read(path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreAbsent(str(path)) from error
    except OSError as error:
        raise StoreCorrupt(str(path), f"cannot be read: {error.strerror}") from error
    try:
        if len(data) > FILE_BYTES_MAX:
            raise StoreCorrupt(str(path), f"more than {FILE_BYTES_MAX} bytes")
        fields: Any = msgpack.unpackb(data, max_map_len=16)
        kinds = {"owner": str, "salt": bytes, "time": int, "memory": int, "lanes": int, "nonce": bytes, "sealed": bytes}
        shaped = set(fields) == {"format", *kinds} and all(
            isinstance(fields[name], kind) for name, kind in kinds.items()
        )
        if not shaped or fields["format"] != FORMAT:
            raise StoreCorrupt(str(path), f"not a key store of format {FORMAT}")
        # Bounds keep a forged head from costing hours or gigabytes before the passphrase is even tried.
        if not (
            len(fields["salt"]) == SALT_BYTES
            and 1 <= fields["time"] <= 16
            and 1 <= fields["lanes"] <= 16
            and 8 * fields["lanes"] <= fields["memory"] <= 1 << 20
        ):
            raise StoreCorrupt(str(path), "its key derivation is outside the bounds")
    except (ValueError, KeyError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise StoreCorrupt(str(path), f"not a key store of format {FORMAT}") from error
    nonce, sealed = fields.pop("nonce"), fields.pop("sealed")
    return fields, nonce, sealed


def _open(path: Path, head: dict[str, Any], key: bytes, nonce: bytes, sealed: bytes) -> _Content:
    try:
        return _decode(AESGCM(key).decrypt(nonce, sealed, _aad(head)))
    except InvalidTag:
        raise PassphraseWrong(str(path)) from None
    except (ValueError, msgspec.DecodeError) as error:
        raise StoreCorrupt(str(path), "its content cannot be read") from error
