"""The receipts a payer keeps in a directory: single files and files of proofs, read and verified one after another.

`*.receipt` are receipts as RECEIPT gives them (protocol.receipt), `*.proofs` files of many (protocol.proofs); one that
is named by a month (2026-08.proofs) holds what the centre recorded in that month, and is left alone where the month
cannot matter. What does not hold is named with its file and left out.

Nearly all the cost is the signature of each block, so large files are verified by all processors. Memory: a few
segments.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from gateway.settlement.errors import PeriodInvalid
from gateway.settlement.periods import month_of, period
from gateway.settlement.proving import Proven
from gateway.settlement.windows import in_japan
from protocol.ledger import decode_entry, decode_header
from protocol.proofs import decode_segment, read_packed, verify_block
from protocol.receipt import RECEIPT_BYTES_MAX, ReceiptError, decode_receipt, verify_receipt
from protocol.trust import Trust, decode_trust, encode_trust

FAULTS_MAX: Final = 1_000
SHARED_FROM_BYTES: Final = 8 << 20
"""Files of less are verified here: starting other processes would take longer."""

ALL: Final = -1
_Faults = dict[int, str]
"""Blocks of a segment that do not hold, by their number in it from 0; ALL: it cannot be read."""
_Verify = Callable[[bytes], Callable[[], _Faults]]
"""Begins to verify a segment; what it gives waits for the end."""


class Kept:
    """A directory of receipts. `faults`: file and reason of what does not hold, after the first reading."""

    def __init__(self, directory: Path, trust: Trust, *, processes: int | None = None) -> None:
        """processes: how many may verify; None for as many as there are processors."""
        self._directory = directory
        self._trust = trust
        self._processes = processes or os.cpu_count() or 1
        self._verified: set[Path] = set()
        self._bad: set[tuple[Path, int, int]] = set()
        self.faults: list[tuple[str, str]] = []

    def __call__(self, *, since_us: int, until_us: int) -> Iterator[Proven]:
        """All entries whose proofs hold, of what was recorded in this time or of more; each file is verified once.

        Raises: OSError.
        """
        found = [path for path in sorted(self._directory.iterdir()) if _may_hold(path, since_us, until_us)]
        large = sum(path.stat().st_size for path in found if path not in self._verified) >= SHARED_FROM_BYTES
        with ExitStack() as stack:
            verify = self._sharing(stack) if large and self._processes > 1 else self._alone
            for path in found:
                yield from self._many(path, verify) if path.suffix == ".proofs" else self._single(path)

    def _single(self, path: Path) -> Iterator[Proven]:
        try:
            with path.open("rb") as file:
                receipt = decode_receipt(file.read(RECEIPT_BYTES_MAX + 1))
            found = verify_receipt(receipt, self._trust)
        except ReceiptError as error:
            self._note(path, 0, ALL, str(error))
            return
        yield Proven(found.header, receipt.proof.index, found.entry)

    def _many(self, path: Path, verify: _Verify) -> Iterator[Proven]:
        known, number = path in self._verified, 0
        with path.open("rb") as file:
            try:
                for segment, faults in _ahead(read_packed(file), _nothing if known else verify, 2 * self._processes):
                    number += 1
                    for place, why in faults.items():
                        self._note(path, number, place, why)
                    if (path, number, ALL) not in self._bad:
                        yield from self._segment(path, number, segment)
            except ReceiptError as error:  # what stands before the end that is cut off was read
                self._note(path, number + 1, ALL, str(error))
        self._verified.add(path)

    def _segment(self, path: Path, number: int, segment: bytes) -> Iterator[Proven]:
        for place, block in enumerate(decode_segment(segment)):
            if (path, number, place) not in self._bad:
                header = decode_header(block.header)
                for index, entry in zip(block.indices, block.entries, strict=True):
                    yield Proven(header, index, decode_entry(entry))

    def _alone(self, segment: bytes) -> Callable[[], _Faults]:
        return lambda: _faults_of(segment, self._trust)

    def _sharing(self, stack: ExitStack) -> _Verify:
        pool = stack.enter_context(
            ProcessPoolExecutor(
                self._processes, get_context("spawn"), initializer=_begin, initargs=(encode_trust(self._trust),)
            )
        )

        def verify(segment: bytes) -> Callable[[], _Faults]:
            begun: Future[_Faults] = pool.submit(_in_process, segment)
            return begun.result

        return verify

    def _note(self, path: Path, number: int, place: int, why: str) -> None:
        """number: of the segment from 1, 0 for a single receipt."""
        if (path, number, place) in self._bad:
            return
        self._bad.add((path, number, place))
        if len(self.faults) < FAULTS_MAX:
            where = f"segment {number}, block {place + 1}: " if place != ALL else f"segment {number}: "
            self.faults.append((path.name, (where if number else "") + why))


def _may_hold(path: Path, since_us: int, until_us: int) -> bool:
    if path.suffix != ".proofs":
        return path.suffix == ".receipt"
    try:
        months = period(path.stem)
    except PeriodInvalid:
        return True
    return month_of(in_japan(since_us).date()) <= months <= month_of(in_japan(until_us).date())


def _ahead(segments: Iterator[bytes], verify: _Verify, depth: int) -> Iterator[tuple[bytes, _Faults]]:
    """Segments in their order with what does not hold of them; some are verified while others are used.

    Raises: ReceiptError where the file is cut, after all that stands before.
    """
    begun: deque[tuple[bytes, Callable[[], _Faults]]] = deque()
    cut: ReceiptError | None = None
    while True:
        try:
            segment = next(segments, None)
        except ReceiptError as error:
            segment, cut = None, error
        if segment is None:
            break
        begun.append((segment, verify(segment)))
        if len(begun) >= depth:
            first, faults = begun.popleft()
            yield first, faults()
    for first, faults in begun:
        yield first, faults()
    if cut is not None:
        raise cut


def _nothing(segment: bytes) -> Callable[[], _Faults]:
    del segment
    return dict


def _faults_of(segment: bytes, trust: Trust) -> _Faults:
    try:
        blocks = decode_segment(segment)
    except ReceiptError as error:
        return {ALL: str(error)}
    faults: _Faults = {}
    for place, block in enumerate(blocks):
        try:
            verify_block(block, trust)
        except ReceiptError as error:
            faults[place] = str(error)
    return faults


_trusts: list[Trust] = []
"""Of a process that verifies: the one trust it was begun with."""


def _begin(bundle: bytes) -> None:
    _trusts.append(decode_trust(bundle))


def _in_process(segment: bytes) -> _Faults:
    return _faults_of(segment, _trusts[0])
