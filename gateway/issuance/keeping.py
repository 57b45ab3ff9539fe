"""The AUTHENTICATE body at rest: sealed, because a card's serial stands for its holder, and only for some minutes.

Shape: 12 random bytes | AES-256-GCM, bound to the application; the key comes from the pseudonym's, which all workers
share and which the keystore wraps. Source: DESIGN section 3, invariant 4.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.issuance.errors import StateCorrupt
from protocol.issuance import Authenticate
from protocol.mac import mac
from protocol.messages import BodyError, Operation, decode_body

_NONCE_BYTES: Final = 12


class Keeper:
    """Seals and opens for one worker."""

    def __init__(self, pseudonym_key: bytes, *, random: Callable[[int], bytes]) -> None:
        self._aead = AESGCM(mac(pseudonym_key, b"sekisho/1 authentication"))
        self._random = random

    def seal(self, application: bytes, body: bytes) -> bytes:
        """For the table."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, body, application)

    def open(self, application: bytes, sealed: bytes) -> Authenticate:
        """From the table. Raises: StateCorrupt."""
        try:
            raw = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], application)
            body = decode_body(Operation.AUTHENTICATE, raw)
        except (InvalidTag, ValueError, BodyError) as error:
            raise StateCorrupt("the authentication does not open") from error
        if not isinstance(body, Authenticate):
            raise StateCorrupt("the authentication is not one")
        return body
