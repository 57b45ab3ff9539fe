"""Records at rest: AES-256-GCM under a data key, bound to the very row they stand in.

sealed = nonce (12 bytes) | ciphertext and tag. The associated data is record id, version, key id and schema, so a
sealed column moved to another row, or a row's version set back, does not open. Nonces are handed in: 96 random bits
each, and one data key seals at most 2^32 records (NIST SP 800-38D, 8.3).
Nothing here reads a clock, a table or a source of randomness.
"""

import struct
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.inquiry.errors import KeyMissing, RegisterCorrupt
from gateway.store.register import SealedRow

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
RECORD_ID_BYTES: Final = 16

_aad_tail = struct.Struct(">IHH").pack


class RegisterKeys:
    """The register's keys, unwrapped: one for the blind indexes, one or more for the data, of which one is current.

    Raises: ValueError for a key that is not 32 bytes; KeyMissing when `current` is not among the data keys.
    """

    __slots__ = ("_openers", "_seal", "current", "index_key", "material")

    def __init__(self, index_key: bytes, data_keys: Mapping[int, bytes], current: int) -> None:
        if len(index_key) != KEY_BYTES or any(len(key) != KEY_BYTES for key in data_keys.values()):
            raise ValueError("a register key is 32 bytes")
        if current not in data_keys:
            raise KeyMissing("data", current)
        self.index_key = index_key
        self.current = current
        # For a process that seals on this one's behalf: it goes there through a pipe, and nowhere else.
        self.material = (index_key, dict(data_keys), current)
        aeads = {key_id: AESGCM(key) for key_id, key in data_keys.items()}
        self._openers = {key_id: aead.decrypt for key_id, aead in aeads.items()}
        self._seal = aeads[current].encrypt

    def __repr__(self) -> str:
        return f"RegisterKeys(current={self.current})"

    def seal(self, plaintext: bytes, *, record_id: bytes, version: int, schema: int, nonce: bytes) -> bytes:
        """Seal a record's bytes under the current key. Raises: ValueError for an id or nonce of the wrong length."""
        if len(record_id) != RECORD_ID_BYTES or len(nonce) != NONCE_BYTES:
            raise ValueError("a record id is 16 bytes and a nonce 12")
        return nonce + self._seal(nonce, plaintext, record_id + _aad_tail(version, self.current, schema))

    def open_record(self, row: SealedRow) -> bytes:
        """The record's bytes.

        Raises: RegisterCorrupt when the row names an unknown key or is not exactly what was sealed for this place.
        """
        record_id, version, key_id, schema, sealed = row
        try:
            return self._openers[key_id](
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], record_id + _aad_tail(version, key_id, schema)
            )
        except (InvalidTag, KeyError, ValueError, struct.error):
            raise RegisterCorrupt(record_id, "does not open") from None
