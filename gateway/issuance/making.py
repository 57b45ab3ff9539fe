"""Having a certificate made: one ISSUE and its parts, on the municipality's line, by a task that outlives its asker.

The asker waits until its deadline and is then told "not now". The ask itself is not cancelled: it ends when its reply
comes, and a reply that nobody waits for is dropped and makes an incident (DOMAIN 2.12, Yokohama). While it is under way
it keeps its place in the municipality's bound. An application is never asked for twice at once by one worker, and never
hedged: what a municipality that is slow gets is less to do, not more.

Source: DESIGN section 3, invariant 3, and section 10.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
import trio

from gateway.directory.participants import Municipality
from gateway.directory.policy import Refused
from gateway.issuance.checking import check_issued, check_sealed, read_issued, read_refusal
from gateway.issuance.errors import MunicipalityAway, Withheld
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.municipalities import Access, Client, Municipalities
from gateway.issuance.states import State, refused
from protocol import limits
from protocol.issuance import PART_BYTES, Authenticate, Issue, Issued, Part
from protocol.messages import Operation, encode
from protocol.outcomes import CATALOGUE, Outcome
from protocol.peer import Result

log = structlog.get_logger()

LATE_S: Final = 120.0
"""How long after its deadline a reply is still waited for, so that it can be told apart from none."""
CONNECT_S_MAX: Final = 2.0
"""A municipality whose line does not stand within this time is away."""
AGAIN_S: Final = 0.05
"""First pause before a municipality that said "busy" is asked the very same again; each is twice the one before."""


class Made(msgspec.Struct, frozen=True):
    """A document that holds: the manifest as it will be answered, and the sealed bytes."""

    issued: Issued
    sealed: bytes


class _Attempt:
    """One ask. given_up: its asker was told already; replied: something came back that was no "not now"."""

    __slots__ = ("done", "failure", "given_up", "replied", "result")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.given_up = False
        self.replied = False
        self.result: Made | Refused | Outcome | None = None
        self.failure: Withheld | MunicipalityAway | None = None


class Maker:
    """Asks municipalities for one worker. The nursery holds what outlives its asker."""

    def __init__(
        self,
        *,
        municipalities: Municipalities,
        incidents: Incidents,
        nursery: trio.Nursery,
        now_us: Callable[[], int],
    ) -> None:
        self._municipalities = municipalities
        self._incidents = incidents
        self._nursery = nursery
        self._now_us = now_us

    async def make(
        self,
        state: State,
        *,
        place: Municipality,
        authentication: Authenticate,
        kits: frozenset[str],
        deadline: float,
    ) -> Made | Refused | Outcome:
        """The document, checked, or the municipality's refusal for cause; CARD_UNVERIFIABLE where it is in doubt.

        deadline: on Trio's clock.

        Raises: Withheld, once its incident is opened; MunicipalityAway.
        """
        access = self._municipalities.access(place)
        if not access.breaker.allow(trio.current_time()):
            raise MunicipalityAway("broken")
        deadline = min(deadline, trio.current_time() + place.deadline_ms / 1000)
        attempt = _Attempt()
        issue = Issue(authentication, state.apply, state.application.pseudonym, newest(kits))
        try:
            await access.acquire(deadline)
        except BaseException:
            access.breaker.abandoned()
            raise
        self._nursery.start_soon(self._run, attempt, access, issue, state, kits, deadline)
        with trio.move_on_at(deadline):
            await attempt.done.wait()
        if not attempt.done.is_set():
            attempt.given_up = True
            access.late += 1
            self._failed(access)
            raise MunicipalityAway("slow")
        if attempt.failure is not None:
            self._failed(access)
            raise attempt.failure
        if attempt.result is None:
            raise MunicipalityAway("away")
        access.breaker.succeeded()
        access.succeeded += 1
        return attempt.result

    def _failed(self, access: Access) -> None:
        access.failed += 1
        access.breaker.failed(trio.current_time())

    async def _run(
        self, attempt: _Attempt, access: Access, issue: Issue, state: State, kits: frozenset[str], deadline: float
    ) -> None:
        try:
            client = await access.client()
            # What waits for a connection would be sent whenever there is one, long after its asker has left.
            await client.wait_open(timeout_s=min(max(deadline - trio.current_time(), 0.0), CONNECT_S_MAX))
            attempt.result = await self._ask(attempt, client, access.place, issue, state, kits, deadline)
        except (Withheld, MunicipalityAway) as error:
            attempt.failure = error
        except Exception as error:  # noqa: BLE001 - a line's own error, whatever it is: there is no answer
            log.warning("municipality_not_reached", municipality=access.place.code, error=type(error).__name__)
            attempt.failure = MunicipalityAway("away")
        finally:
            access.release()
        if isinstance(attempt.failure, Withheld):
            await self._open(attempt.failure.kind, state, attempt.failure.detail)
        elif attempt.given_up and attempt.replied:
            await self._open(IncidentKind.LATE, state, "made" if isinstance(attempt.result, Made) else "reply")
        attempt.done.set()

    async def _open(self, kind: str, state: State, detail: str) -> None:
        row = state.application
        await self._incidents.open(
            IncidentKind(kind), municipality=row.municipality, application=row.application, detail=detail
        )

    async def _ask(
        self,
        attempt: _Attempt,
        client: Client,
        place: Municipality,
        issue: Issue,
        state: State,
        kits: frozenset[str],
        deadline: float,
    ) -> Made | Refused | Outcome:
        result = await self._until_answered(attempt, client, Operation.ISSUE, encode(issue), deadline)
        if result.outcome == Outcome.CARD_UNVERIFIABLE:
            return Outcome.CARD_UNVERIFIABLE
        attempt.replied = True
        if result.outcome == Outcome.MAKING_REFUSED:
            return refused(read_refusal(result.body))
        if result.outcome != Outcome.MADE:
            raise Withheld(IncidentKind.UNEXPECTED, f"outcome-{result.outcome}")
        issued = read_issued(result.body)
        session = issue.authentication.session
        manifest = check_issued(
            issued, state=state, session=session, trust=place.trust, kits=kits, now_us=self._now_us()
        )
        if attempt.given_up:
            raise MunicipalityAway("slow")  # nobody will fetch it: its parts are not asked for
        sealed = await self._parts(attempt, client, issued, state.id, deadline)
        check_sealed(manifest, issued, sealed)
        return Made(issued, sealed)

    async def _parts(
        self, attempt: _Attempt, client: Client, issued: Issued, application: bytes, deadline: float
    ) -> bytes:
        """All at once: the line's client puts what waits into as few frames as its credit allows."""
        parts: list[bytes] = [b""] * -(-issued.size // PART_BYTES)

        async def fetch(index: int) -> None:
            body = encode(Part(application, index))
            result = await self._until_answered(attempt, client, Operation.MADE_PART, body, deadline)
            if result.outcome != Outcome.MADE_PART:
                raise Withheld(IncidentKind.UNEXPECTED, f"part-outcome-{result.outcome}")
            parts[index] = result.body

        failures: list[BaseException] = []
        try:
            async with trio.open_nursery() as nursery:
                for index in range(len(parts)):
                    nursery.start_soon(fetch, index)
        except* (Withheld, MunicipalityAway) as group:
            failures.extend(group.exceptions)
        if failures:
            raise failures[0]
        return b"".join(parts)

    @staticmethod
    async def _until_answered(
        attempt: _Attempt, client: Client, operation: int, body: bytes, deadline: float
    ) -> Result:
        """One answer that is no "not now". Raises: MunicipalityAway; Withheld when it is of another question."""
        pause_s = AGAIN_S
        while True:
            left_s = deadline - trio.current_time()
            result = await client.ask(
                operation,
                body,
                deadline_ms=min(max(int(left_s * 1000), 1), limits.DEADLINE_MS_MAX),
                timeout_s=max(left_s, 0.0) + LATE_S,
                retry=False,
            )
            if result.request.operation != operation or result.request.body != body:
                raise Withheld(IncidentKind.MISMATCHED, "request")
            if not _is_later(result.outcome):
                return result
            if attempt.given_up or trio.current_time() + pause_s >= deadline:
                raise MunicipalityAway("declined")
            await trio.sleep(pause_s)
            pause_s *= 2


def newest(kits: frozenset[str]) -> str:
    """The kit that a municipality is asked to make a document with. Raises: MunicipalityAway when there is none."""
    if not kits:
        raise MunicipalityAway("no-kit")
    return max(kits, key=_order)


def _order(kit: str) -> list[tuple[int, int, str]]:
    """So that 2026.10 follows 2026.9."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", kit)
    return [(1, int(each), "") if each[0].isdigit() else (0, 0, each) for each in pieces]


def _is_later(outcome: int) -> bool:
    """Whether asking again within the deadline can help."""
    if outcome == Outcome.CARD_UNVERIFIABLE:
        return False
    try:
        return CATALOGUE[Outcome(outcome)].retryable
    except ValueError:
        return False
