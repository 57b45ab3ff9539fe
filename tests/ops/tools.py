"""Debian's prometheus and promtool for these tests, and a process that writes metrics in a slot."""

import subprocess
import sys
from pathlib import Path

from tests.kit.components import require


def tool(name: str) -> str:
    """The tool's path. Without it the test is skipped, or fails where every real component is required."""
    return str(require(name, "Debian package prometheus"))


def write_slot(directory: Path, slot: str, *, answered: int, lines: int) -> None:
    """Run a worker in this slot that answers so many inquiries, 5 ms each, and dies without a word."""
    subprocess.run(
        [sys.executable, "-m", "tests.ops.slot_writer", str(directory), slot, str(answered), str(lines)],
        check=True,
        timeout=30,
    )
