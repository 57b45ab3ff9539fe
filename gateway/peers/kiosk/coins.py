"""A simulated coin slot that keeps its own truth in a file, as a real one does in its escrow and counters.

What it keeps is by slip: a sum taken, or given back. Only slips, sums: nothing of a person.
"""

import os
from pathlib import Path

import msgspec

from gateway.peers.kiosk.errors import PaymentFailed
from gateway.peers.kiosk.journal import Power, steady


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    slip: str
    yen: int


class SimulatedCoinSlot:
    """A file of lines [slip, yen]: positive taken, 0 given back. Attribute `fails`: whether it refuses money now."""

    def __init__(self, path: Path, *, power: Power = steady, durable: bool = True) -> None:
        self.fails = False
        self._power = power
        self._durable = durable
        self._held: dict[str, int] = {}
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # torn by a power cut: that step never happened
            os.ftruncate(self._fd, whole)
        for line in data[:whole].splitlines():
            kept = msgspec.json.decode(line, type=_Kept)
            self._held[kept.slip] = kept.yen

    def take(self, yen: int, slip: str) -> None:
        """Keep the sum. Raises: PaymentFailed when it is told to fail."""
        self._power("take-before")
        if self.fails:
            raise PaymentFailed("the coin slot did not take the money")
        self._keep(slip, yen)
        self._power("take-after")

    def holding(self, slip: str) -> int:
        """Yen kept under a slip."""
        return self._held.get(slip, 0)

    def refund(self, slip: str) -> None:
        """Give back, once."""
        self._power("give-back-before")
        if self.holding(slip):
            self._keep(slip, 0)
        self._power("give-back-after")

    @property
    def total_yen(self) -> int:
        """All that it holds."""
        return sum(self._held.values())

    def _keep(self, slip: str, yen: int) -> None:
        os.write(self._fd, msgspec.json.encode(_Kept(slip, yen)) + b"\n")
        if self._durable:
            os.fsync(self._fd)
        self._held[slip] = yen

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)
