"""What a verification found, as values: each finding names its place."""

from enum import StrEnum
from typing import Final

import msgspec

FINDINGS_MAX: Final = 1000
"""More findings than so many are counted and not listed."""


class Fault(StrEnum):
    """What does not fit; the codes are stable."""

    BLOCK_MISSING = "block-missing"  # something names a block, or a height, that is not there
    HEADER = "header"  # cannot be read, or says another place than where it stands
    CHAIN = "chain"  # does not name its predecessor
    AFTER_CLOSE = "after-close"
    ENTRIES = "entries"  # the stored entries are not what the header's root and count say
    SIGNATURE = "signature"
    ENTRY = "entry"  # an entry cannot be read
    REFERENCE = "reference"  # a repeat or disclaimer that names another entry than the first of its id
    CLAIM = "claim"
    TURN = "turn"
    PROJECTION = "projection"
    LEAF = "leaf"
    NODE = "node"
    CHECKPOINT = "checkpoint"
    KEPT = "kept-checkpoint"
    STREAM = "stream"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that does not fit, and where: block, entry, leaf of the tree, checkpoint."""

    fault: Fault
    what: str
    stream: str | None = None  # hex
    height: int | None = None
    index: int | None = None
    position: int | None = None
    size: int | None = None

    def __str__(self) -> str:
        places = [
            f"{name} {value}"
            for name, value in (
                ("stream", self.stream),
                ("height", self.height),
                ("index", self.index),
                ("leaf", self.position),
                ("checkpoint of size", self.size),
            )
            if value is not None
        ]
        return f"{self.fault}: {', '.join(places)}{': ' if places else ''}{self.what}"


class Report(msgspec.Struct, kw_only=True):
    """What was read, and what did not fit. `uncovered`: blocks that no checkpoint covers yet, whose loss at the end of
    a stream only receipts could show. `unprojected`: blocks that wait for the projection."""

    streams: int = 0
    blocks: int = 0
    entries: int = 0
    claims: int = 0
    leaves: int = 0
    checkpoints: int = 0
    uncovered: int = 0
    unprojected: int = 0
    found: int = 0
    findings: list[Finding] = []

    @property
    def sound(self) -> bool:
        """Whether everything fits."""
        return self.found == 0

    def add(self, finding: Finding) -> None:
        """Count a finding, and list it while there is room."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
