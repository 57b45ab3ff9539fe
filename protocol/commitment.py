"""Commitments: keyed digests of a question and its answer, safe to keep when the data is gone.

A digest of low-entropy data could be guessed, so each (party, request id) has a key of its own, derived from a monthly
key that is destroyed with its month. The party receives its key in the opening; the ledger never holds it.

Shapes: the month is that of the request id's own time, UTC, as "YYYY-MM". Every key and digest is 32 bytes.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NewType

from protocol.mac import begin, mac
from protocol.request_id import time_ms

COMMITMENT_KEY_BYTES: Final = 32
CommitmentKey = NewType("CommitmentKey", bytes)
_of_one_id: Final = lru_cache(1)(begin)
"""The key of one id makes two commitments, mostly one after the other."""


def month_of(request_id: bytes) -> str:
    """The month whose key covers this request id, from the time inside it. Raises: ValueError past the year 9999."""
    return datetime.fromtimestamp(time_ms(request_id) / 1000, UTC).strftime("%Y-%m")


def commitment_key(month_key: bytes, party: str, request_id: bytes) -> CommitmentKey:
    """HMAC-SHA256(month key, "sekisho/1 commitment" 00 party 00 request id)."""
    return CommitmentKey(mac(month_key, b"sekisho/1 commitment\0" + party.encode() + b"\0" + request_id))


def request_commitment(key: bytes, operation: int, body: bytes) -> bytes:
    """HMAC-SHA256(key, "q" | u8 operation | body). The deadline is no part of the question.

    Raises: ValueError for an operation outside u8.
    """
    if not 0 <= operation < 1 << 8:
        raise ValueError(f"operation {operation} is outside u8")
    made = _of_one_id(key).copy()
    made.update(b"q" + operation.to_bytes(1, "big") + body)
    return made.finalize()


def response_commitment(key: bytes, outcome: int, body: bytes) -> bytes:
    """HMAC-SHA256(key, "a" | u16 outcome | body). Raises: ValueError for an outcome outside u16."""
    if not 0 <= outcome < 1 << 16:
        raise ValueError(f"outcome {outcome} is outside u16")
    made = _of_one_id(key).copy()
    made.update(b"a" + outcome.to_bytes(2, "big") + body)
    return made.finalize()
