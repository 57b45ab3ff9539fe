"""The nonce of a sitting: time | random | MAC, so that every worker knows it and none is kept until it is used.

A nonce is the centre's own (the MAC), this kiosk's (operator and kiosk are under the MAC) and fresh (its time). That it
is used once is the ledger's to see: the application's id is made of the nonce's own bits, so a second AUTHENTICATE with
it wants an id that is claimed already. Pure.

Shape: u64 microseconds since 1970 | 16 random bytes | 16 bytes of HMAC-SHA256, big endian; 40 bytes.
Source: DESIGN section 10; docs/PROTOCOL.md, Certificates.
"""

import hmac
from typing import Final

from protocol.mac import mac
from protocol.request_id import make_request_id

FRESH_US: Final = 5 * 60 * 1_000_000
"""From CHALLENGE to AUTHENTICATE: a person finds the card and types a PIN."""
RANDOM_BYTES: Final = 16
NONCE_BYTES: Final = 40
_MAC_BYTES: Final = 16
_AHEAD_US: Final = 1_000_000
"""Workers of one centre may read their clocks this far apart."""


def _tag(key: bytes, stamp: bytes, operator: str, kiosk: str) -> bytes:
    who = operator.encode()
    return mac(key, b"sekisho/1 nonce " + stamp + len(who).to_bytes(2, "big") + who + kiosk.encode())[:_MAC_BYTES]


def make_nonce(key: bytes, *, operator: str, kiosk: str, now_us: int, random: bytes) -> bytes:
    """A nonce for one sitting at this kiosk. Raises: ValueError unless random has 16 bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a nonce takes {RANDOM_BYTES} random bytes")
    stamp = now_us.to_bytes(8, "big") + random
    return stamp + _tag(key, stamp, operator, kiosk)


def nonce_holds(key: bytes, nonce: bytes, *, operator: str, kiosk: str, now_us: int) -> bool:
    """Whether a nonce is ours, of this kiosk, and fresh."""
    if len(nonce) != NONCE_BYTES:
        return False
    stamp = nonce[: 8 + RANDOM_BYTES]
    if not hmac.compare_digest(nonce[len(stamp) :], _tag(key, stamp, operator, kiosk)):
        return False
    age_us = now_us - int.from_bytes(nonce[:8], "big")
    return -_AHEAD_US <= age_us < FRESH_US


def application_id(nonce: bytes) -> bytes:
    """The id of the application that a nonce opens: a UUIDv7 of its time and 74 of its random bits. Any 40 bytes."""
    return make_request_id(int.from_bytes(nonce[:8], "big") // 1_000 % (1 << 48), nonce[8:18])
