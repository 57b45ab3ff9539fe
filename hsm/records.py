"""What is decided about key records, alike for every store: which is current, how a rotation ends them, the history.

Pure functions over records, oldest first; making, storing and using keys is each store's own.
"""

from collections.abc import Callable, Sequence

import msgspec

from hsm.errors import AlgorithmUnsupported, KeyExists, KeyUnknown, RootNotRotatable
from protocol.keys import (
    Algorithm,
    KeyHistory,
    KeyRecord,
    Purpose,
    SignedKeyHistory,
    encode_signed_history,
    history_to_sign,
)
from protocol.limits import KEY_ID_BYTES_MAX


def check_new(records: Sequence[KeyRecord], purpose: Purpose, algorithm: Algorithm, key_id: str) -> None:
    """Whether a key may be made beside these.

    Raises: AlgorithmUnsupported when the purpose needs another kind of algorithm (SEAL wraps, the root signs ES256, all
    others sign); KeyExists; ValueError for an id that is empty or longer than 64 bytes.
    """
    if not 0 < len(key_id.encode()) <= KEY_ID_BYTES_MAX:
        raise ValueError(f"a key id has 1 to {KEY_ID_BYTES_MAX} bytes")
    wraps = algorithm is Algorithm.A256GCM_WRAP
    if (purpose is Purpose.SEAL) != wraps or (purpose is Purpose.HISTORY and algorithm is not Algorithm.ES256):
        raise AlgorithmUnsupported(algorithm.name, f"purpose {purpose.value}")
    if any(record.key_id == key_id for record in records):
        raise KeyExists(key_id)
    if purpose is Purpose.HISTORY and any(record.purpose == purpose.value for record in records):
        raise RootNotRotatable


def newest(records: Sequence[KeyRecord], purpose: Purpose, now_us: int) -> KeyRecord:
    """The last made key of a purpose that is valid. Raises: KeyUnknown."""
    for record in reversed(records):
        if record.purpose == purpose.value and record.valid_at(now_us):
            return record
    raise KeyUnknown(f"for purpose {purpose.value} that is valid now")


def to_rotate(records: Sequence[KeyRecord], purpose: Purpose, now_us: int) -> Algorithm:
    """The algorithm of a purpose's next key. Raises: KeyUnknown; RootNotRotatable for the root."""
    if purpose is Purpose.HISTORY:
        raise RootNotRotatable
    return Algorithm(newest(records, purpose, now_us).algorithm)


def ended(record: KeyRecord, purpose: Purpose, at_us: int) -> KeyRecord:
    """The record as a rotation leaves it: a key of the purpose ends at `at_us`, unless it ends sooner."""
    if record.purpose != purpose.value or (record.not_after_us is not None and record.not_after_us <= at_us):
        return record
    return msgspec.structs.replace(record, not_after_us=max(at_us, record.not_before_us))


def signed_history(
    owner: str, version: int, at_us: int, records: Sequence[KeyRecord], sign: Callable[[str, bytes], bytes]
) -> bytes:
    """The key history signed by its root. `sign`: key id, message -> signature.

    Raises: KeyUnknown; what sign raises.
    """
    root = next((record for record in records if record.purpose == Purpose.HISTORY.value), None)
    if root is None:
        raise KeyUnknown("for purpose history")
    history = KeyHistory(owner, version, at_us, list(records)).encode()
    signature = sign(root.key_id, history_to_sign(history))
    return encode_signed_history(SignedKeyHistory(root.key_id, root.algorithm, signature, history))
