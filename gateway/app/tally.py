"""What a worker did since it last counted: kept as plain lists, added up by the sweep, so that no answer waits for a
counter."""

from typing import Protocol

from protocol.messages import Request, Transient


class Gauges(Protocol):
    """What a worker says of itself; gateway.ops.metrics.Metrics is one."""

    def observe_requests(self, requests: list[tuple[int, int, int]]) -> None:
        """(operation, outcome, duration in microseconds) of requests that were answered."""

    def observe_batch(self, requests: int) -> None:
        """One look-up answered so many."""

    def observe_block(self, *, entries: int, sign_us: int, commit_us: int) -> None:
        """One block is durable."""

    def count_fault(self, code: int) -> None:
        """A line was closed for cause."""

    def count_left(self) -> None:
        """A peer went away before its session stood."""


class Tally:
    """One worker's, shown to its gauges by `show`."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._answered: list[tuple[int, int, int]] = []
        self._batches: list[int] = []
        self._blocks: list[tuple[int, int, int]] = []

    def answered(self, requests: list[tuple[int, int, int]]) -> None:
        """These were answered: (operation, outcome, duration in microseconds) each."""
        self._answered += requests

    def turned_away(self, requests: list[Request], refused: list[Transient]) -> None:
        """These of a frame's requests were answered at the door."""
        operation_of = {request.request_id: request.operation for request in requests}
        self._answered.extend([(operation_of[each.request_id], each.outcome, 0) for each in refused])

    def batch(self, requests: int) -> None:
        """One look-up answered so many."""
        self._batches.append(requests)

    def block(self, *, entries: int, sign_s: float, commit_s: float) -> None:
        """A block is durable."""
        self._blocks.append((entries, int(sign_s * 1e6), int(commit_s * 1e6)))

    def show(self) -> None:
        """Count what was done since the last time."""
        answered, self._answered = self._answered, []
        batches, self._batches = self._batches, []
        blocks, self._blocks = self._blocks, []
        if answered:
            self._gauges.observe_requests(answered)
        for requests in batches:
            self._gauges.observe_batch(requests)
        for entries, sign_us, commit_us in blocks:
            self._gauges.observe_block(entries=entries, sign_us=sign_us, commit_us=commit_us)
