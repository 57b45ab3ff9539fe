"""Service-level objectives as the operator states them.

The indicator (SLI), the same for every objective:
  good   answered with a final outcome (an answer or a refusal for cause) within the threshold
  bad    answered later than that, or UNAVAILABLE, PENDING or DEADLINE_EXCEEDED, however fast
  not counted   BUSY, DRAINING and misused request ids: what the asker sent too much of, elsewhere or wrongly
So availability and latency are one number, taken from one histogram: what is counted as good is counted in the total.

In the configuration:
    [[slo]]
    name = "inquiry"
    operations = ["inquire_by_code", "inquire_by_name"]
    objective = 0.999
    threshold_ms = 100
    window_days = 28
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.ops.errors import SloInvalidError
from gateway.ops.metrics import DURATION_BUCKETS_US, OPERATIONS, UNKNOWN

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
WINDOW_DAYS_MIN: Final = 7
WINDOW_DAYS_MAX: Final = 90
SLOS_MAX: Final = 16
_KNOWN: Final = tuple(name for name in OPERATIONS if name != UNKNOWN)


class SloConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One objective: the share of `operations` that must be good within threshold_ms, over window_days."""

    name: str
    operations: tuple[str, ...]
    objective: float
    threshold_ms: float
    window_days: int

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1 - self.objective, 9)


DEFAULT_SLOS: Final = (
    SloConfig(
        name="inquiry",
        operations=("inquire_by_code", "inquire_by_name"),
        objective=0.999,
        threshold_ms=100,
        window_days=28,
    ),
)
"""Inquiries: 99.9 % under 100 ms over 28 days."""


def parse_slos(config: Mapping[str, Any]) -> tuple[SloConfig, ...]:
    """The objectives of a configuration file as tomllib read it; DEFAULT_SLOS where it has no `slo` at all.

    Raises: SloInvalidError, which names the field and the remedy.
    """
    if "slo" not in config:
        return DEFAULT_SLOS
    tables = config["slo"]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SloInvalidError("slo", "is not a list of tables", "write each objective under [[slo]]")
    if not 0 < len(tables) <= SLOS_MAX:
        raise SloInvalidError("slo", f"has {len(tables)} objectives", f"give 1 to {SLOS_MAX}")
    slos = tuple(_parse(f"slo[{at}]", table) for at, table in enumerate(tables))
    names = [slo.name for slo in slos]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise SloInvalidError(f"slo[{at}].name", f"{name!r} is taken", "give each objective a name of its own")
    return slos


def _parse(where: str, table: dict[str, Any]) -> SloConfig:
    known = SloConfig.__struct_fields__
    for field in table:
        if field not in known:
            raise SloInvalidError(f"{where}.{field}", "is not known", f"the fields are {', '.join(known)}")
    for field in known:
        if field not in table:
            raise SloInvalidError(f"{where}.{field}", "is missing", "add it")
    return SloConfig(
        name=_name(f"{where}.name", table["name"]),
        operations=_operations(f"{where}.operations", table["operations"]),
        objective=_objective(f"{where}.objective", table["objective"]),
        threshold_ms=_threshold(f"{where}.threshold_ms", table["threshold_ms"]),
        window_days=_window(f"{where}.window_days", table["window_days"]),
    )


def _name(field: str, value: object) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise SloInvalidError(
            field, "is no name", "use 1 to 31 characters of a-z, 0-9 and '_', beginning with a letter"
        )
    return value


def _operations(field: str, value: object) -> tuple[str, ...]:
    remedy = f"choose from {', '.join(_KNOWN)}"
    if not isinstance(value, list) or not value:
        raise SloInvalidError(field, "is not a list of operations", remedy)
    for operation in value:
        if operation not in _KNOWN:
            raise SloInvalidError(field, f"{operation!r} is not an operation", remedy)
    return tuple(name for name in _KNOWN if name in value)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _objective(field: str, value: object) -> float:
    number = _number(value)
    if number is None or not 0.5 <= number <= 0.99999:
        raise SloInvalidError(field, f"{value!r} is not a share between 0.5 and 0.99999", "99.9 % is written as 0.999")
    return number


def _threshold(field: str, value: object) -> float:
    number = _number(value)
    # A histogram knows only how many were under each of its bounds.
    if number is None or number * 1000 not in DURATION_BUCKETS_US:
        bounds = ", ".join(f"{us / 1000:g}" for us in DURATION_BUCKETS_US)
        raise SloInvalidError(field, f"{value!r} is not a bound of the histogram", f"choose from {bounds}")
    return number


def _window(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not WINDOW_DAYS_MIN <= value <= WINDOW_DAYS_MAX:
        raise SloInvalidError(
            field,
            f"{value!r} is not a number of days between {WINDOW_DAYS_MIN} and {WINDOW_DAYS_MAX}",
            "28 covers four whole weeks",
        )
    return value
