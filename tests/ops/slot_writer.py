"""A worker's process as far as its metrics go: it writes in its slot and ends without any clean-up, as if killed."""

import os
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry

from gateway.ops.exposition import prepare_multiprocess
from gateway.ops.metrics import Metrics
from protocol.messages import Operation
from protocol.outcomes import Outcome


def main(directory: str, slot: str, answered: str, lines: str) -> None:
    """Answer so many inquiries and hold so many lines."""
    prepare_multiprocess(Path(directory), slot)
    metrics = Metrics(CollectorRegistry())
    metrics.observe_requests([(Operation.INQUIRE_BY_CODE, Outcome.EXACT, 5_000)] * int(answered))
    metrics.observe_block(entries=int(answered), sign_us=50, commit_us=400)
    if int(lines):
        metrics.set_load(lines_open=int(lines), requests_in_flight=0, credit_granted=1024 * int(lines))
    metrics.set_dependencies(hsm=True, database=slot != "cut-off")
    metrics.set_directory_version(7)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
