"""Records on their way into the register: sealed, given their tokens, and sent in runs.

Nonces come from the operating system at this edge alone; everything else is handed in.
"""

import os
from collections.abc import Callable, Iterable
from itertools import batched
