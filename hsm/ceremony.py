"""The standard sets of keys that a centre and a line begin with."""

from typing import Final, Literal

from hsm.interface import KeyStore
from protocol.keys import Algorithm, KeyRecord, Purpose, read_signed_history
from protocol.trust import Trust

KeySet = Literal["centre", "line", "municipality"]
SETS: Final[dict[KeySet, tuple[tuple[Purpose, Algorithm], ...]]] = {
    "centre": (
        (Purpose.HISTORY, Algorithm.ES256),
        (Purpose.LINE, Algorithm.ES256),
        (Purpose.BLOCK, Algorithm.ES256),
        (Purpose.CHECKPOINT, Algorithm.ES256),
        (Purpose.CHECKPOINT_PQ, Algorithm.ML_DSA_65),
        (Purpose.SEAL, Algorithm.A256GCM_WRAP),
        (Purpose.INVOICE, Algorithm.ES256),
    ),
    "line": ((Purpose.HISTORY, Algorithm.ES256), (Purpose.LINE, Algorithm.ES256)),
    "municipality": (
        (Purpose.HISTORY, Algorithm.ES256),
        (Purpose.LINE, Algorithm.ES256),
        (Purpose.MANIFEST, Algorithm.ES256),
    ),
}


def create_standard_keys(store: KeyStore, which: KeySet, *, label: str, now_us: int) -> list[KeyRecord]:
    """Make a set's keys, named PURPOSE-LABEL; what the store cannot do (ML-DSA-65) is left out.

    Raises: KeyExists when run twice with one label; HsmError.
    """
    able = store.capabilities().algorithms
    return [
        store.generate(purpose, algorithm, key_id=f"{purpose.value}-{label}", now_us=now_us)
        for purpose, algorithm in SETS[which]
        if algorithm in able
    ]


def trust_of(store: KeyStore, *, role: str, environment: str) -> Trust:
    """What peers and offline verifiers are given of a centre's store: its root and its signed key history.

    Raises: HsmError.
    """
    signed = store.history()
    root_id = read_signed_history(signed).key_id
    root = next(record.public_key for record in store.keys() if record.key_id == root_id)
    return Trust(centre=store.owner, role=role, environment=environment, root=root, signed_history=signed)
