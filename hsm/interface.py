"""Keys behind one interface: whatever holds them signs and wraps, and never gives a private key away.

A KeyStore is synchronous and safe between threads; `capabilities().blocking` says whether a call may wait on a device
and belongs in a thread (hsm.calls does that for Trio). What only some stores can do is said there too: a store without
ML-DSA-65 raises AlgorithmUnsupported and nothing pretends.

Source: DESIGN sections 5, 6 and 16; 002 別2-2(5) (private keys strictly protected).
"""

from typing import Protocol

import msgspec

from protocol.keys import Algorithm, KeyRecord, Purpose


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can do: algorithms, whether calls may block, and its name for people."""

    algorithms: frozenset[Algorithm]
    blocking: bool
    name: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is: whether it answers, keys held, and a sentence for people."""

    available: bool
    keys: int
    text: str


class KeyStore(Protocol):
    """The interface; hsm.software and hsm.token implement it. Errors: hsm.errors."""

    owner: str

    def capabilities(self) -> Capabilities:
        """What this store can do."""

    def generate(
        self, purpose: Purpose, algorithm: Algorithm, *, key_id: str, now_us: int, not_after_us: int | None = None
    ) -> KeyRecord:
        """Make a key, valid from now. Raises: KeyExists, AlgorithmUnsupported, HsmUnavailable."""

    def keys(self) -> tuple[KeyRecord, ...]:
        """Every key ever made here, oldest first."""

    def current(self, purpose: Purpose, now_us: int) -> KeyRecord:
        """The newest key of a purpose that is valid. Raises: KeyUnknown."""

    def sign(self, key_id: str, data: bytes) -> bytes:
        """Sign a whole message, context first. ES256: 64 bytes r||s; ML-DSA-65: 3,309.

        Raises: KeyUnknown, HsmUnavailable.
        """

    def wrap(self, key_id: str, secret: bytes, aad: bytes) -> bytes:
        """Seal a data key under a SEAL key: 12-byte nonce and AES-256-GCM, bound to `aad`.

        Raises: KeyUnknown, HsmUnavailable.
        """

    def unwrap(self, key_id: str, wrapped: bytes, aad: bytes) -> bytes:
        """Open what wrap sealed. Raises: UnwrapRefused, KeyUnknown, HsmUnavailable."""

    def rotate(self, purpose: Purpose, *, key_id: str, now_us: int, overlap_us: int) -> KeyRecord:
        """A new key of the purpose's algorithm; its predecessors end after the overlap.

        Raises: as generate; KeyUnknown; RootNotRotatable for HISTORY.
        """

    def refresh(self) -> bool:
        """Take over what another process changed in the store; True when something was new. On any error all stays.

        Raises: StoreCorrupt, also for records older than those held (a store put back from a copy); PassphraseWrong,
        StoreAbsent; HsmUnavailable.
        """

    def history(self) -> bytes:
        """The signed key history (protocol.keys), by the HISTORY key. Raises: KeyUnknown, HsmUnavailable."""

    def status(self) -> Status:
        """How the store is; never raises."""

    def close(self) -> None:
        """Let go of keys and sessions."""
