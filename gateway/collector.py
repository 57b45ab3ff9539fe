"""The cycle collector, set for a process that lives long and makes many short-lived values.

What exists after the start (modules, directory, statements) stays for ever and is taken out of every later walk. What
an inquiry makes is freed by reference counts, so cycles are few: the collector may come seldom. It stays on, for the
cycles that exceptions and tasks do make.
"""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 20)
"""Net new containers before a young collection, and collections before an older one (the default is 700, 10, 10)."""


def settle_collector() -> None:
    """Call once, when the process has all that it keeps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
