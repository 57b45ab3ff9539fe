"""What the relay measures, in a registry of its own. Labels are bounded: operations, outcomes, reasons, states.

No store, kiosk or application is ever a label.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from gateway.peers.relay.outbox import DELIVERED, REFUSED
from gateway.peers.relay.policy import FORWARDED, NOTICES, Reason
from protocol.outcomes import Outcome

UNKNOWN: Final = "unknown"
_OPERATION: Final = {int(operation): operation.name.lower() for operation in FORWARDED | NOTICES}
_OUTCOME: Final = {int(outcome): outcome.name.lower() for outcome in Outcome}


_GAUGES: Final = {
    "outbox_held": "Notices held for the certificate centre",
    "outbox_oldest_s": "Age in seconds of the oldest notice held",
    "in_doubt": "Paid applications without an outcome, past their time",
    "refused_open": "Notices the centre refused and nobody has closed",
    "kiosks": "Registered kiosks",
    "kiosks_connected": "Kiosks whose line stands",
    "kiosks_faulty": "Kiosks that reported a fault",
    "notices_open": "Notices to store and maintenance that nobody has acknowledged",
    "line_up": "1 while the dedicated line stands",
}


class RelayMetrics:
    """Counters and gauges of one relay."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "sekisho_relay_calls", "Calls of kiosks passed on or taken over", ["operation", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._turned_away = Counter(
            "sekisho_relay_not_permitted", "Calls and facts that do not pass", ["reason"], registry=self.registry
        )
        self._delivered = Counter(
            "sekisho_relay_notices", "Notices of the outbox by what became of them", ["operation", "state"],
            registry=self.registry,
        )  # fmt: skip
        for reason in Reason:
            self._turned_away.labels(reason.value)
        for operation in NOTICES:
            for state in (DELIVERED, REFUSED):
                self._delivered.labels(_OPERATION[operation], state)

    def called(self, operation: int, outcome: int) -> None:
        """A kiosk's call was answered."""
        self._calls.labels(_OPERATION.get(operation, UNKNOWN), _OUTCOME.get(outcome, UNKNOWN)).inc()

    def turned_away(self, reason: Reason) -> None:
        """Something was not permitted."""
        self._turned_away.labels(reason.value).inc()

    def settled(self, operation: int, state: str) -> None:
        """A notice was delivered or refused."""
        self._delivered.labels(_OPERATION.get(operation, UNKNOWN), state).inc()

    def watch(self, name: str, value: Callable[[], float]) -> None:
        """Give one of the gauges its value."""
        Gauge(f"sekisho_relay_{name}", _GAUGES[name], registry=self.registry).set_function(value)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
