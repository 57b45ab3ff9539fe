"""The receipts a payer keeps in a directory: single files and files of proofs, read and verified one after another.

`*.receipt` are receipts as RECEIPT gives them (protocol.receipt), `*.proofs` files of many (protocol.proofs). What does
not hold is named with its file and left out. Memory: one segment.
"""

from collections.abc import Iterator
from pathlib import Path

from gateway.settlement.proving import Proven
from protocol.ledger import decode_entry, decode_header
from protocol.proofs import ProofBlock, read_segments, verify_block
from protocol.receipt import RECEIPT_BYTES_MAX, ReceiptError, decode_receipt, verify_receipt
from protocol.trust import Trust

FAULTS_MAX = 1_000


class Kept:
    """A directory of receipts. `faults`: file and reason of what does not hold, after the first reading."""

    def __init__(self, directory: Path, trust: Trust) -> None:
        self._directory = directory
        self._trust = trust
        self._verified = False
        self._bad: set[tuple[Path, int]] = set()
        self.faults: list[tuple[str, str]] = []

    def __call__(self) -> Iterator[Proven]:
        """All entries whose proofs hold; signatures and paths are checked by the first reading alone.

        Raises: OSError.
        """
        verified, self._verified = self._verified, True
        for path in sorted(self._directory.iterdir()):
            if path.suffix == ".receipt":
                yield from self._single(path)
            elif path.suffix == ".proofs":
                yield from self._many(path, verified=verified)

    def _single(self, path: Path) -> Iterator[Proven]:
        try:
            with path.open("rb") as file:
                receipt = decode_receipt(file.read(RECEIPT_BYTES_MAX + 1))
            found = verify_receipt(receipt, self._trust)
        except ReceiptError as error:
            self._note(path, 0, error)
            return
        yield Proven(found.header, receipt.proof.index, found.entry)

    def _many(self, path: Path, *, verified: bool) -> Iterator[Proven]:
        number = 0
        with path.open("rb") as file:
            try:
                for segment in read_segments(file):
                    for block in segment:
                        number += 1
                        if (path, number) not in self._bad:
                            yield from self._block(path, number, block, verified=verified)
            except ReceiptError as error:
                self._note(path, 0, error)

    def _block(self, path: Path, number: int, block: ProofBlock, *, verified: bool) -> Iterator[Proven]:
        try:
            if verified:
                header, entries = decode_header(block.header), [decode_entry(data) for data in block.entries]
            else:
                header, entries = verify_block(block, self._trust)
        except ReceiptError as error:
            self._note(path, number, error)
            return
        for index, entry in zip(block.indices, entries, strict=True):
            yield Proven(header, index, entry)

    def _note(self, path: Path, number: int, error: ReceiptError) -> None:
        if (path, number) in self._bad or len(self.faults) >= FAULTS_MAX:
            return
        self._bad.add((path, number))
        self.faults.append((path.name, f"block {number}: {error}" if number else str(error)))
