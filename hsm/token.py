"""Keys in a PKCS#11 token: ES256 and wrapping; private and wrapping keys are made in the token and never leave it.

What PKCS#11 does not know of a key (purpose, validity) is kept beside it as one private data object labelled
"sekisho keys": MessagePack of [format, owner, version, at_us, records]. A change writes the next version and then
destroys the last one, so whatever stops it leaves a whole one behind; the highest version counts. At every opening the
records are compared with the keys: a token that lost a key, holds another in its place, or has gone back to an earlier
version is not used.

Life of a change: 1. the key is made in the token (a crash here leaves a key without a record, which the next attempt
under its id removes); 2. the next version of the records is written; 3. the last version is destroyed.

Wrapped form: 12-byte nonce, ciphertext, 16-byte tag, as in the software keystore. Not here: sessions and their healing
(hsm.pool), the module (hsm.module).
"""

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final, Self

import msgspec
import pkcs11
from pkcs11.mechanisms import GCMParams
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from hsm.errors import (
    AlgorithmUnsupported,
    HsmUnavailable,
    KeyUnknown,
    StoreAbsent,
    StoreCorrupt,
    StoreExists,
    UnwrapRefused,
)
from hsm.interface import Capabilities, Status
from hsm.module import module_at
from hsm.pool import DEADLINE_MS, SESSIONS_MAX, Place, SessionPool, find_key
from hsm.records import check_new, ended, newest, signed_history, to_rotate
from protocol.keys import Algorithm, KeyRecord, Purpose

FORMAT: Final = "sekisho-token/1"
RECORDS_LABEL: Final = "sekisho keys"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_ALGORITHMS: Final = frozenset((Algorithm.ES256, Algorithm.A256GCM_WRAP))
_P256: Final = encode_named_curve_parameters("secp256r1")
_SECRET: Final = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
_PRIVATE_KEY: Final = pkcs11.ObjectClass.PRIVATE_KEY
_PUBLIC_KEY: Final = pkcs11.ObjectClass.PUBLIC_KEY
_SECRET_KEY: Final = pkcs11.ObjectClass.SECRET_KEY


class _Content(msgspec.Struct, frozen=True, array_like=True):
    """What the data object holds."""

    format: str
    owner: str
    version: int
    at_us: int
    records: list[KeyRecord]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Content).decode


class TokenKeystore:
    """See KeyStore. Open with `open`, make in an initialised token with `create`; one a token in a process."""

    def __init__(self, module_path: str, label: str, pin: str, owner: str | None, size: int, deadline_ms: int) -> None:
        self._label = label
        self._content = _Content(FORMAT, "", 0, 0, [])
        self._by_id: dict[str, KeyRecord] = {}
        try:
            module = module_at(module_path)
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise HsmUnavailable(f"{module_path} cannot be loaded: {error or type(error).__name__}") from error
        self._creating = owner
        self._pool = SessionPool(module, label, pin, self._load, size=size, deadline_ms=deadline_ms)
        self._creating = None
        self.owner = self._content.owner

    @classmethod
    def create(cls, module_path: str, label: str, pin: str, *, owner: str) -> Self:
        """Begin a key store in a token that holds none. Raises: StoreExists; as `open`."""
        return cls(module_path, label, pin, owner, SESSIONS_MAX, DEADLINE_MS)

    @classmethod
    def open(
        cls, module_path: str, label: str, pin: str, *, size: int = SESSIONS_MAX, deadline_ms: int = DEADLINE_MS
    ) -> Self:
        """Open the store of a token. `module_path` is p11-kit-proxy's.

        Raises: StoreAbsent; PassphraseWrong; StoreCorrupt; HsmUnavailable, also when this process has it open already.
        """
        return cls(module_path, label, pin, None, size, deadline_ms)

    def capabilities(self) -> Capabilities:
        """See KeyStore."""
        return Capabilities(algorithms=_ALGORITHMS, blocking=True, name="PKCS#11 token")

    def generate(
        self, purpose: Purpose, algorithm: Algorithm, *, key_id: str, now_us: int, not_after_us: int | None = None
    ) -> KeyRecord:
        """See KeyStore."""
        check_new(self.keys(), purpose, algorithm, key_id)
        return self._add(purpose, algorithm, key_id, now_us, not_after_us, lambda record: record)

    def keys(self) -> tuple[KeyRecord, ...]:
        """See KeyStore."""
        return tuple(self._content.records)

    def current(self, purpose: Purpose, now_us: int) -> KeyRecord:
        """See KeyStore."""
        return newest(self._content.records, purpose, now_us)

    def sign(self, key_id: str, data: bytes) -> bytes:
        """See KeyStore. The message is hashed here: few tokens hash for ECDSA, and none faster."""
        self._known(key_id, Algorithm.ES256)
        digest = hashlib.sha256(data).digest()

        def sign(place: Place) -> bytes:
            signature: bytes = place.key(_PRIVATE_KEY, key_id).sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
            return signature

        return self._pool.run(sign)

    def wrap(self, key_id: str, secret: bytes, aad: bytes) -> bytes:
        """See KeyStore."""
        self._known(key_id, Algorithm.A256GCM_WRAP)
        return self._pool.run(lambda place: _seal(place, key_id, secret, aad))

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        """See KeyStore.

        A token may report a wrong tag as a general failure, as it reports its own loss; if the same key still seals in
        the same session, the data is to blame.
        """
        self._known(key_id, Algorithm.A256GCM_WRAP)
        if len(wrapped) < NONCE_BYTES + TAG_BYTES:
            raise UnwrapRefused(key_id)

        def unwrap(place: Place) -> bytes:
            parameters = GCMParams(wrapped[:NONCE_BYTES], aad)
            key = place.key(_SECRET_KEY, key_id)
            try:
                secret: bytes = key.decrypt(
                    wrapped[NONCE_BYTES:], mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters
                )
            except pkcs11.PKCS11Error:
                pass  # judged below, once the failed operation has let go of the session
            else:
                return secret
            _seal(place, key_id, b"probe", b"")
            raise UnwrapRefused(key_id)

        return self._pool.run(unwrap)

    def rotate(self, purpose: Purpose, *, key_id: str, now_us: int, overlap_us: int) -> KeyRecord:
        """See KeyStore."""
        algorithm = to_rotate(self.keys(), purpose, now_us)
        end_us = now_us + overlap_us
        return self._add(purpose, algorithm, key_id, now_us, None, lambda record: ended(record, purpose, end_us))

    def refresh(self) -> bool:
        """See KeyStore."""

        def refresh(session: Any) -> bool:
            before = self._content
            self._take(self._checked(session))
            return self._content != before

        return self._pool.change(refresh)

    def history(self) -> bytes:
        """See KeyStore."""
        content = self._content
        return signed_history(content.owner, content.version, content.at_us, content.records, self.sign)

    def status(self) -> Status:
        """See KeyStore."""
        available = self._pool.available
        text = (
            f"token {self._label}, {self._pool.rebuilds} rebuilds of its sessions" if available else self._pool.reason
        )
        return Status(available=available, keys=len(self._content.records), text=text or "closed")

    def close(self) -> None:
        """See KeyStore."""
        self._pool.close()

    def _known(self, key_id: str, algorithm: Algorithm) -> None:
        record = self._by_id.get(key_id)
        if record is None or record.algorithm != algorithm:
            raise KeyUnknown(key_id)

    def _load(self, session: Any) -> None:
        """Read the records and hold them against the keys; runs at each opening of the token."""
        if self._creating is not None:
            if _read(session, self._label) is not None:
                raise StoreExists(f"the key store in token {self._label}")
            _write(session, _Content(FORMAT, self._creating, 0, 0, []), self._label)
        self._take(self._checked(session))

    def _checked(self, session: Any) -> _Content:
        found = _read(session, self._label)
        if found is None:
            raise StoreAbsent(f"token {self._label}")
        if found.version < self._content.version:
            raise StoreCorrupt(f"token {self._label}", "its keys are older than those in use; was a copy put back?")
        for record in found.records:
            _check_key(session, record, self._label)
        return found

    def _take(self, content: _Content) -> None:
        self._by_id = {record.key_id: record for record in content.records}
        self._content = content

    def _add(
        self,
        purpose: Purpose,
        algorithm: Algorithm,
        key_id: str,
        now_us: int,
        not_after_us: int | None,
        earlier: Callable[[KeyRecord], KeyRecord],
    ) -> KeyRecord:
        if algorithm not in _ALGORITHMS:
            raise AlgorithmUnsupported(algorithm.name, "a PKCS#11 token")

        def add(session: Any) -> KeyRecord:
            before = _read(session, self._label)
            if before is None:
                raise StoreAbsent(f"token {self._label}")
            check_new(before.records, purpose, algorithm, key_id)
            _remove_keys(session, key_id)
            record = KeyRecord(
                key_id, purpose.value, int(algorithm), _make(session, algorithm, key_id), now_us, not_after_us
            )
            records = [*map(earlier, before.records), record]
            after = _Content(FORMAT, before.owner, before.version + 1, now_us, records)
            _write(session, after, self._label)
            self._take(after)
            return record

        return self._pool.change(add)


def _seal(place: Place, key_id: str, secret: bytes, aad: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed: bytes = place.key(_SECRET_KEY, key_id).encrypt(
        secret, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, aad)
    )
    return nonce + sealed


def _make(session: Any, algorithm: Algorithm, key_id: str) -> bytes:
    """Make a key in the token; its public key as SPKI DER, nothing for a wrapping key."""
    flags = pkcs11.MechanismFlag
    if algorithm is Algorithm.A256GCM_WRAP:
        session.generate_key(
            pkcs11.KeyType.AES,
            256,
            id=key_id.encode(),
            label=key_id,
            store=True,
            capabilities=flags.ENCRYPT | flags.DECRYPT,
            template=_SECRET,
        )
        return b""
    curve = session.create_domain_parameters(pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: _P256}, local=True)
    public, _ = curve.generate_keypair(
        id=key_id.encode(), label=key_id, store=True, capabilities=flags.SIGN | flags.VERIFY, private_template=_SECRET
    )
    return _spki(public)


def _spki(public: Any) -> bytes:
    der: bytes = encode_ec_public_key(public)
    return der


def _remove_keys(session: Any, key_id: str) -> None:
    for kind in (_PRIVATE_KEY, _PUBLIC_KEY, _SECRET_KEY):
        for orphan in list(session.get_objects({pkcs11.Attribute.CLASS: kind, pkcs11.Attribute.ID: key_id.encode()})):
            orphan.destroy()


def _check_key(session: Any, record: KeyRecord, label: str) -> None:
    try:
        if record.algorithm == Algorithm.A256GCM_WRAP:
            find_key(session, _SECRET_KEY, record.key_id)
            return
        find_key(session, _PRIVATE_KEY, record.key_id)
        public = _spki(find_key(session, _PUBLIC_KEY, record.key_id))
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned) as error:
        raise StoreCorrupt(f"token {label}", f"it should hold key {record.key_id} once") from error
    if public != record.public_key:
        raise StoreCorrupt(f"token {label}", f"key {record.key_id} is another than recorded")


def _versions(session: Any, label: str) -> list[tuple[_Content, Any]]:
    """Every version of the records the token holds, highest first."""
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.DATA, pkcs11.Attribute.LABEL: RECORDS_LABEL}
    try:
        found = [(_decode(object_[pkcs11.Attribute.VALUE]), object_) for object_ in list(session.get_objects(wanted))]
    except msgspec.DecodeError as error:
        raise StoreCorrupt(f"token {label}", "its key records cannot be read") from error
    if any(content.format != FORMAT for content, _ in found):
        raise StoreCorrupt(f"token {label}", f"its key records are not of format {FORMAT}")
    return sorted(found, key=lambda one: one[0].version, reverse=True)


def _read(session: Any, label: str) -> _Content | None:
    found = _versions(session, label)
    return found[0][0] if found else None


def _write(session: Any, content: _Content, label: str) -> None:
    """Store the next version, then destroy the earlier ones. Raises: HsmUnavailable when another program did so too."""
    session.create_object(
        {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.DATA,
            pkcs11.Attribute.TOKEN: True,
            pkcs11.Attribute.PRIVATE: True,
            pkcs11.Attribute.LABEL: RECORDS_LABEL,
            pkcs11.Attribute.APPLICATION: "sekisho",
            pkcs11.Attribute.VALUE: _encode(content),
        }
    )
    found = _versions(session, label)
    mine = _encode(content)
    if any(other.version >= content.version and _encode(other) != mine for other, _ in found):
        for other, object_ in found:
            if _encode(other) == mine:
                object_.destroy()
        raise HsmUnavailable(f"another program is changing the keys of token {label}; try again")
    for other, object_ in found:
        if other.version < content.version:
            object_.destroy()
