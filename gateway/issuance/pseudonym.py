"""The subject's pseudonym: who holds the card, for one municipality alone.

The same card has another pseudonym in another municipality, and none can be turned back into a card without the key.
It stands in manifests and page codes; the ledger has none. Pure. Source: DESIGN section 10.
"""

from typing import Final

from protocol.mac import mac

PSEUDONYM_BYTES: Final = 16


def pseudonym(key: bytes, *, municipality: str, card: bytes) -> bytes:
    """16 bytes for a card (certs.authentication.Card.key) in a municipality (six digits)."""
    return mac(key, b"sekisho/1 pseudonym " + municipality.encode() + b" " + card)[:PSEUDONYM_BYTES]
