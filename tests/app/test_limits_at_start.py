"""Limits that contradict one another are found at the start, before anything is bound or asked."""

import subprocess
import sys

import pytest

from gateway.app.supervisor import running_gateway
from protocol import limits
from tests.kit.centre import Made

CONTRADICTION = limits.BLOCK_ENTRIES_MAX + 1


@pytest.mark.trio
async def test_a_gateway_does_not_start_with_them(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUESTS_PER_FRAME_MAX", CONTRADICTION)
    with pytest.raises(ValueError, match="one frame fits in a block"):
        async with running_gateway(made.configuration, made.dsns):
            pass


def test_nor_does_a_worker() -> None:
    program = (
        "from protocol import limits\n"
        f"limits.REQUESTS_PER_FRAME_MAX = {CONTRADICTION}\n"
        "from gateway.app import work\n"
        "work.main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], input="{}", capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "one frame fits in a block" in ended.stderr.splitlines()[-1]
    assert not ended.stdout
