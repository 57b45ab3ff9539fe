"""The results of reconciliations that a relay keeps: `<data>/settlement/<period>/`, a file for each disclosure.

    <digest>.reconciliation    the bytes that are sent          <digest>.receipt    the centre's proof that it has them

The same finding about the same disclosure is the same bytes, however often it is made, and is sent once.
"""

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from certs.files import PUBLIC, write_whole
from protocol.disclosure import DisclosureError, Reconciliation, decode_reconciliation, encode_reconciliation

DIRECTORY: Final = "settlement"
_NAME_CHARS: Final = 16


class Kept:
    """The place of one result. Raises on construction: OSError."""

    def __init__(self, data: Path, found: Reconciliation) -> None:
        directory = data / DIRECTORY / found.period
        directory.mkdir(parents=True, exist_ok=True)
        name = found.disclosure_digest.hex()[:_NAME_CHARS]
        self.file = directory / f"{name}.reconciliation"
        self.receipt = directory / f"{name}.receipt"
        before = self._read()
        same = before is not None and replace(found, made_us=before.made_us, by=before.by) == before
        self.reconciliation = before if same and before is not None else found
        if not same:
            self.receipt.unlink(missing_ok=True)
            write_whole(self.file, encode_reconciliation(found), mode=PUBLIC)

    @property
    def sent(self) -> bool:
        """Whether the centre has proven that it recorded this very result."""
        return self.receipt.is_file()

    def prove(self, receipt: bytes) -> None:
        """Keep the centre's receipt. Raises: OSError."""
        write_whole(self.receipt, receipt, mode=PUBLIC)

    def _read(self) -> Reconciliation | None:
        try:
            return decode_reconciliation(self.file.read_bytes())
        except (FileNotFoundError, DisclosureError):
            return None
