"""One scrape over all processes: each writes its own files of counters, one reader adds them up.

prometheus-client's multiprocess mode keeps values in memory-mapped files, named after the process by default. Here the
identity is the *slot*, not the process id: a restarted worker opens its predecessor's files and continues its counters,
so nothing is lost, nothing is counted twice and files do not pile up. A slot has one process at a time; that is the
supervisor's promise.

Life of the directory: the supervisor empties it before it starts anybody (`clear_directory`), each process calls
`prepare_multiprocess` before it makes its first metric, the supervisor calls `forget_slot` when a process has died (its
gauges go, its counters stay), the ops process reads all of it for each scrape (`Exposition`).
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from prometheus_client import multiprocess, values
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.ops.errors import MetricsMisusedError

DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
CHECKPOINT_TIMESTAMP: Final = "sekisho_checkpoint_timestamp_seconds"
_SLOT: Final = re.compile(r"[a-z0-9-]{1,32}")
_FILES: Final = "*.db"


def _checked(slot: str) -> str:
    # The library takes the slot back out of the file's name by splitting at "_".
    if _SLOT.fullmatch(slot) is None:
        raise MetricsMisusedError(slot, "a slot is 1 to 32 characters of a-z, 0-9 and '-'")
    return slot


def prepare_multiprocess(directory: Path, slot: str) -> None:
    """From here on this process keeps its metrics in `directory` under `slot`.

    Call it once, before any metric is made. The library chooses the class of its values when it is imported, from the
    environment, and looks it up at each metric it makes; so the class is put in its place here.
    Raises: MetricsMisusedError for a malformed slot.
    """
    _checked(slot)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[DIRECTORY_VARIABLE] = str(directory)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call] # the library's


def clear_directory(directory: Path) -> None:
    """Remove the files of an earlier run; for the supervisor, before any process is started."""
    for file in directory.glob(_FILES):
        file.unlink()


def forget_slot(directory: Path, slot: str) -> None:
    """The slot's process is dead: its gauges leave the scrape at once, its counters stay for its successor."""
    # No typed alternative: the library calls the identity a pid and only formats it.
    multiprocess.mark_process_dead(_checked(slot), str(directory))  # type: ignore[no-untyped-call]


def _has_header(file: Path) -> bool:
    """Not so for a file that was made this instant, or that went with its slot since the directory was listed."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


class Exposition(Collector):
    """What a scrape returns: all slots' metrics added up, and the age of the latest checkpoint.

    Reads files and so blocks for some milliseconds: call `render` in a thread. now_s: the wall clock, UNIX seconds.
    """

    def __init__(self, directory: Path, *, now_s: Callable[[], float]) -> None:
        self._directory = directory
        self._now_s = now_s

    def collect(self) -> Iterable[Metric]:
        """The library's collector interface."""
        files = [str(file) for file in sorted(self._directory.glob(_FILES)) if _has_header(file)]
        for metric in multiprocess.MultiProcessCollector.merge(files):  # type: ignore[no-untyped-call] # the library's
            metric.samples = [
                sample._replace(labels={"slot" if name == "pid" else name: v for name, v in sample.labels.items()})
                for sample in metric.samples
            ]
            yield metric
            if metric.name == CHECKPOINT_TIMESTAMP and metric.samples and metric.samples[0].value > 0:
                age = max(0.0, self._now_s() - metric.samples[0].value)
                yield GaugeMetricFamily(
                    "sekisho_checkpoint_age_seconds", "Time since the latest checkpoint was made", value=age
                )

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape's body and content type, in the form that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self), content_type
