"""A municipality's trust bundle, verified and parsed once, however often the directory that holds it is loaded."""

from functools import lru_cache
from typing import Final

from protocol.trust import Trust, decode_trust

HELD_MAX: Final = 4_096
"""More than there are municipalities (1,741); a bundle is some hundred bytes."""


@lru_cache(HELD_MAX)
def trust_of(bundle: bytes) -> Trust:
    """The verified bundle of these bytes. Raises: TrustError."""
    return decode_trust(bundle)
