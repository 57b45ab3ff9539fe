"""What a second person approves: the digest of one question, the same for whoever computes it.

The digest covers the operation and the whole canonical body, so it names requester, affair, step, case and the very
question; only the approval's own id is left out, since the question is written before it is approved. It is not keyed:
it travels between the parties' own terminals and the centre inside sealed frames, and is kept nowhere as it is.

Source: 002 別2-2(9)イ; docs/PROTOCOL.md, Approvals.
"""

import hashlib
from typing import Final

import msgspec

from protocol.messages import Inquiry, encode

_CONTEXT: Final = b"sekisho/1 approved request\0"


def approval_digest(operation: int, body: Inquiry) -> bytes:
    """SHA-256(context | u16 operation | canonical body with approval nil): 32 bytes.

    Raises: ValueError for an operation outside u16.
    """
    if not 0 <= operation < 1 << 16:
        raise ValueError(f"operation {operation} is outside u16")
    question = encode(msgspec.structs.replace(body, approval=None))
    return hashlib.sha256(_CONTEXT + operation.to_bytes(2, "big") + question).digest()
