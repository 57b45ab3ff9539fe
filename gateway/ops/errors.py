"""The errors of operation: one root, each leaf with a stable code and its facts as fields."""

from typing import ClassVar


class OpsError(Exception):
    """Root of this package's errors."""

    code: ClassVar[str] = "ops"


class SloInvalidError(OpsError):
    """The operator's SLO settings do not hold together: `field` is at fault, `remedy` says what would do."""

    code = "slo-invalid"

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class MetricsMisusedError(OpsError):
    """Our own code prepared or named a slot in a way the metric files cannot hold."""

    code = "metrics-misused"

    def __init__(self, slot: str, problem: str) -> None:
        super().__init__(f"slot {slot!r}: {problem}")
        self.slot = slot
        self.problem = problem


class LogRefusedError(OpsError):
    """A log line has a key, value or event that may not be logged; raised only where logging is strict, as in tests.

    It names the key and never the value, which may be personal data.
    """

    code = "log-refused"

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"log key {key!r}: {problem}")
        self.key = key
        self.problem = problem
