"""What a gateway measures of itself, updated once a block.

Theory: at tens of thousands of requests a second even two microseconds a request are too many, so nothing here touches
a metric per request. `observe_requests` sorts the requests of a block into plain integer arrays and then adds each
array to the metric's values: one write for each bucket that was hit, however many requests hit it.

Labels are bounded by the protocol: operation (its operations, and "unknown"), outcome (its catalogue, and "unknown"),
fault (its codes, and "unknown"), result (three), slot (the processes). No party, line, request or person is ever a
label. All series exist from the start, at zero, so that a rate sees the first failure.

`result` divides requests as the SLOs see them:
  answered  a final outcome: an answer or a refusal for cause
  failed    UNAVAILABLE, PENDING, DEADLINE_EXCEEDED: the gateway owed an answer and gave none
  declined  BUSY, DRAINING, and ids that are stale, early or doubled: sent too much, elsewhere or wrongly; no SLO counts
            them, and an alert of its own watches BUSY
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.ops.exposition import CHECKPOINT_TIMESTAMP
from protocol.errors import FaultCode
from protocol.limits import BLOCK_ENTRIES_MAX
from protocol.messages import Operation
from protocol.outcomes import Outcome

# fmt: off
DURATION_BUCKETS_US: Final = (
    100, 250, 500, 1_000, 1_500, 2_500, 4_000, 6_000, 10_000, 25_000, 40_000, 60_000,
    100_000, 150_000, 250_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000,
)
# fmt: on
"""Upper bounds in microseconds; the goals of latency and the thresholds of SLOs are among them."""
DURATION_BUCKETS_S: Final = tuple(us / 1e6 for us in DURATION_BUCKETS_US)
SIZE_BUCKETS: Final = tuple(1 << n for n in range(BLOCK_ENTRIES_MAX.bit_length()))

UNKNOWN: Final = "unknown"
_OF_CENTRES_BELOW: Final = 40
"""Operations from here on are of other lines than a centre's own; so are outcomes from _OUTCOMES_BELOW."""
_OUTCOMES_BELOW: Final = 500
_CERTIFICATES_FROM: Final = 20
_CERTIFICATE_OUTCOMES: Final = frozenset({*range(130, 200), *range(220, 300), 408, 409})
OPERATIONS: Final = (*(member.name.lower() for member in Operation if member < _OF_CENTRES_BELOW), UNKNOWN)
"""Of the lines of both centres."""
FAULTS: Final = (*(member.name.lower() for member in FaultCode), UNKNOWN)
ANSWERED, FAILED, DECLINED = RESULTS = ("answered", "failed", "declined")


def operations_of(role: str) -> dict[int, str]:
    """The operations that lines of a centre of this role carry, by number; a label has no others but "unknown"."""
    return {
        int(member): member.name.lower()
        for member in Operation
        if member < _OF_CENTRES_BELOW
        and (member is Operation.RECEIPT or (member >= _CERTIFICATES_FROM) is (role == "certificate"))
    }


def outcomes_of(role: str) -> dict[int, str]:
    """The outcomes that they can come to, likewise."""
    return {
        int(member): member.name.lower()
        for member in Outcome
        if member < _OUTCOMES_BELOW and (role == "certificate" or member not in _CERTIFICATE_OUTCOMES)
    }


_OUTCOME_OF: Final = {int(member): member.name.lower() for member in Outcome}
_FAULT_OF: Final = {int(member): member.name.lower() for member in FaultCode}
_FAILURES: Final = frozenset({Outcome.UNAVAILABLE, Outcome.PENDING, Outcome.DEADLINE_EXCEEDED})
_FINAL_BELOW: Final = 400


def result_of(outcome: int) -> str:
    """How an outcome counts for the SLOs; one that the catalogue does not have is our failure."""
    if outcome in _FAILURES or outcome not in _OUTCOME_OF:
        return FAILED
    return ANSWERED if outcome < _FINAL_BELOW else DECLINED


class _Tally:
    """Requests of one operation and outcome since the last flush: one counter, one row of a histogram."""

    __slots__ = ("_buckets", "_counter", "_sum", "hits", "total_us")

    def __init__(self, counter: Counter, histogram: Histogram) -> None:
        self.hits = [0] * (len(DURATION_BUCKETS_US) + 1)
        self.total_us = 0
        self._counter = counter
        # The library has no bulk observe. Its Histogram keeps one value a bucket, *not* cumulated (the reader adds
        # them up), and a sum; Histogram.observe is exactly _sum.inc(x) and _buckets[i].inc(1). A test holds this
        # against observe itself.
        self._buckets = histogram._buckets
        self._sum = histogram._sum

    def flush(self) -> None:
        """Add what was tallied to the metric's values, and start again."""
        hits = self.hits
        for at, count in enumerate(hits):
            if count:
                self._buckets[at].inc(count)
        self._sum.inc(self.total_us / 1e6)
        self._counter.inc(sum(hits))
        self.hits = [0] * len(hits)
        self.total_us = 0


class ProcessMetrics:
    """What every process of the gateway says of itself: that it is up, and what it can reach.

    Until it was set, a dependency counts as down; over all processes the worst is shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._gauge("sekisho_process_up", "1 while the process of this slot runs", "liveall").set(1)
        self._hsm = self._gauge("sekisho_hsm_up", "1 if every process reaches its HSM", "livemin")
        self._database = self._gauge("sekisho_database_up", "1 if every process reaches the database", "livemin")

    def set_dependencies(self, *, hsm: bool, database: bool) -> None:
        """Whether the HSM and the database answer this process."""
        self._hsm.set(hsm)
        self._database.set(database)

    def _gauge(self, name: str, text: str, mode: str) -> Gauge:
        # The type of mode is a Literal that the library does not export.
        gauge = Gauge(name, text, registry=self._registry, multiprocess_mode=mode)  # type: ignore[arg-type]
        gauge.set(0)  # not what the slot's last process left behind
        return gauge

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = DURATION_BUCKETS_S
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)


class Metrics(ProcessMetrics):
    """A worker's metrics. Make one a process, after prepare_multiprocess; call it once a block from one thread."""

    def __init__(self, registry: CollectorRegistry, role: str = "inquiry") -> None:
        super().__init__(registry)
        self._operation_of, self._outcome_of = operations_of(role), outcomes_of(role)
        operations = (*self._operation_of.values(), UNKNOWN)
        requests = Counter("sekisho_requests_total", "Requests by outcome", ("operation", "outcome"), registry=registry)
        durations = self._histogram(
            "sekisho_request_duration_seconds", "From the frame's last byte to release", ("operation", "result")
        )
        for operation in operations:
            for result in RESULTS:
                durations.labels(operation, result)
        self._tally_of = {
            (operation, outcome): _Tally(
                requests.labels(operation, outcome), durations.labels(operation, _result_of_name(outcome))
            )
            for operation in operations
            for outcome in (*self._outcome_of.values(), UNKNOWN)
        }
        self._tallies: dict[tuple[int, int], _Tally] = {}
        """By number; bounded, as both are looked up in the protocol's own enumerations first."""

        self._batch = self._histogram("sekisho_batch_requests", "Requests answered by one look-up", (), SIZE_BUCKETS)
        self._block = self._histogram("sekisho_block_entries", "Entries of one block", (), SIZE_BUCKETS)
        self._sign = self._histogram("sekisho_sign_duration_seconds", "One signature of a block by the HSM")
        self._commit = self._histogram("sekisho_commit_duration_seconds", "One block made durable")
        self._recovery = self._histogram("sekisho_hsm_recovery_seconds", "From the loss of the HSM to its return")
        faults = Counter("sekisho_line_faults_total", "Lines closed for cause", ("fault",), registry=registry)
        self._faults = {fault: faults.labels(fault) for fault in FAULTS}
        self._left = Counter("sekisho_line_left_total", "Peers gone before their session stood", registry=registry)
        self._lines = self._gauge("sekisho_lines_open", "Connections that stand", "livesum")
        self._in_flight = self._gauge("sekisho_requests_in_flight", "Requests admitted and not answered", "livesum")
        self._credit = self._gauge("sekisho_credit_granted_requests", "Sum of the credit windows granted", "livesum")
        self._directory = self._gauge("sekisho_directory_version", "Oldest directory any worker holds", "livemin")
        self._good_until = self._gauge(
            "sekisho_line_good_until_seconds",
            "When the first of the centre's line certificate and its revocation lists ends, since 1970",
            "livemin",
        )

        self._card_responder = (
            self._gauge(
                "sekisho_card_responder_up",
                "0 while a worker's last question about a card had no answer of the OCSP responder that counts",
                "livemin",
            )
            if role == "certificate"
            else None
        )

    def observe_requests(self, requests: Iterable[tuple[int, int, int]]) -> None:
        """Count the requests released with a block: (operation, outcome, duration in microseconds) each.

        Transient outcomes belong here as well; what they mean for the SLOs is decided by `result_of`.
        """
        tallies = self._tallies
        dirty: set[_Tally] = set()
        for operation, outcome, duration_us in requests:
            tally = tallies.get((operation, outcome)) or self._tally(operation, outcome)
            tally.hits[bisect_left(DURATION_BUCKETS_US, duration_us)] += 1
            tally.total_us += duration_us
            dirty.add(tally)
        for tally in dirty:
            tally.flush()

    def observe_batch(self, requests: int) -> None:
        """One look-up answered so many requests."""
        self._batch.observe(requests)

    def observe_block(self, *, entries: int, sign_us: int, commit_us: int) -> None:
        """A block of so many entries was signed and is durable."""
        self._block.observe(entries)
        self._sign.observe(sign_us / 1e6)
        self._commit.observe(commit_us / 1e6)

    def observe_hsm_recovery(self, duration_us: int) -> None:
        """The HSM was away for so long and signs again."""
        self._recovery.observe(duration_us / 1e6)

    def count_fault(self, code: int) -> None:
        """A line was closed with this FaultCode, by either end."""
        self._faults[_FAULT_OF.get(code, UNKNOWN)].inc()

    def count_left(self) -> None:
        """A peer went away before its session stood, by no fault that TLS or the protocol names."""
        self._left.inc()

    def set_load(self, *, lines_open: int, requests_in_flight: int, credit_granted: int) -> None:
        """Where this worker stands now."""
        self._lines.set(lines_open)
        self._in_flight.set(requests_in_flight)
        self._credit.set(credit_granted)

    def set_directory_version(self, version: int) -> None:
        """The version of the directory this worker decides by."""
        self._directory.set(version)

    def set_good_until(self, at_s: float) -> None:
        """From then on (seconds since 1970) no line gets in or stands, unless newer files are taken over."""
        self._good_until.set(at_s)

    def set_card_responder(self, *, up: bool) -> None:
        """Whether the cards' OCSP responder answers; an inquiry centre has no cards and shows nothing."""
        if self._card_responder is not None:
            self._card_responder.set(up)

    def _tally(self, operation: int, outcome: int) -> _Tally:
        tally = self._tally_of[self._operation_of.get(operation, UNKNOWN), self._outcome_of.get(outcome, UNKNOWN)]
        if operation in self._operation_of and outcome in self._outcome_of:
            self._tallies[operation, outcome] = tally
        return tally


class OpsMetrics(ProcessMetrics):
    """The ops process's metrics: the checkpoints it makes, the notices it watches, candidates for an incident."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._at = self._gauge(CHECKPOINT_TIMESTAMP, "When the latest checkpoint was made", "livemax")
        self._size = self._gauge("sekisho_checkpoint_blocks", "Blocks the latest checkpoint covers", "livemax")
        self._behind = self._gauge("sekisho_checkpoint_uncovered_blocks", "Blocks no checkpoint covers", "livemax")
        self._overdue = self._gauge(
            "sekisho_notices_overdue", "Lines that were not told in time of a change of the directory", "livemax"
        )
        candidates = Gauge(
            "sekisho_history_candidates_open",
            "Candidates for an incident in the provision history that nobody has closed",
            ("rule",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._incidents = self._gauge(
            "sekisho_issuance_incidents_open", "Replies about certificates dropped and closed by nobody yet", "livemax"
        )
        self._reports = self._gauge(
            "sekisho_issuance_reports_waiting", "Reports that a municipality has not noted yet", "livemax"
        )
        self._candidates_of = candidates
        self._candidates: dict[str, Gauge] = {}

    def set_checkpoint(self, *, made_at_us: int, blocks: int) -> None:
        """A checkpoint over so many blocks was made and is durable; no block is uncovered now."""
        self._at.set(made_at_us / 1e6)
        self._size.set(blocks)
        self._behind.set(0)

    def set_notices_overdue(self, count: int) -> None:
        """So many lines should have been told by now of a suspension, its end, a stop, a fee or hours, and were not."""
        self._overdue.set(count)

    def know_candidates(self, rules: Iterable[str]) -> None:
        """The rules of an inquiry centre, which alone bound the label; each shows 0 from now on."""
        self._candidates = {rule: self._candidates_of.labels(rule) for rule in rules}
        self.set_candidates({})

    def set_candidates(self, open_by_rule: Mapping[str, int]) -> None:
        """How many are open of each rule; one that is left out has none."""
        for rule, gauge in self._candidates.items():
            gauge.set(open_by_rule.get(rule, 0))

    def set_issuance(self, *, incidents_open: int, reports_waiting: int) -> None:
        """Of a certificate centre: incidents for a person to close, and what municipalities are still to be told."""
        self._incidents.set(incidents_open)
        self._reports.set(reports_waiting)

    def set_uncovered(self, blocks: int) -> None:
        """So many blocks wait for a checkpoint; an idle gateway has none, however old its latest is."""
        self._behind.set(blocks)


def _result_of_name(outcome: str) -> str:
    return result_of(Outcome[outcome.upper()]) if outcome != UNKNOWN else FAILED
