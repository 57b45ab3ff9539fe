"""Debian's prometheus and promtool for these tests, and a process that writes metrics in a slot."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def tool(name: str) -> str:
    """The tool's path. Without it the test is skipped, or fails where every real component is required."""
    found = shutil.which(name)
    if found is None:
        why = f"{name} is not installed (Debian package prometheus)"
        if os.environ.get("SEKISHO_REQUIRE_ALL") == "1":
            pytest.fail(why)
        pytest.skip(why)
    return found


def write_slot(directory: Path, slot: str, *, answered: int, lines: int) -> None:
    """Run a worker in this slot that answers so many inquiries, 5 ms each, and dies without a word."""
    subprocess.run(
        [sys.executable, "-m", "tests.ops.slot_writer", str(directory), slot, str(answered), str(lines)],
        check=True,
        timeout=30,
    )
