"""Confirmed data to municipalities, and their claims back: once each, whatever is down (001-4-4, 4-5).

What was made for a municipality is brought to it over the line that the centre dials, from the day on which it may be
fetched; which of it is whole there is durable here. Then its claim is asked for, and kept as it came, signed: whether
it is right is for a person, who writes the act. One worker does so for all: an advisory lock, held by a connection, is
lost with the worker, and the next one goes on with what each municipality says it has.

Source: DESIGN section 11; 001-4-4, 4-5.
"""

from collections.abc import Callable
from typing import Final, NoReturn

import msgspec
import structlog
import trio

from gateway.directory.directory import Directory
from gateway.directory.participants import Municipality
from gateway.issuance.errors import MunicipalityAway
from gateway.issuance.incidents import IncidentKind, Incidents
from gateway.issuance.municipalities import Client, Municipalities
from gateway.store.errors import StoreError
from gateway.store.issuance_reports import ReportStore
from gateway.store.pool import Database
from gateway.store.settlement_acts import DocumentRow, DocumentStore
from gateway.store.settlement_lines import BringingStore, ClaimRow, become_bringer
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from protocol.papers import (
    CONFIRMED_AT_ONCE,
    CONFIRMED_PART_BYTES,
    Claim,
    Claimed,
    ClaimError,
    Confirmed,
    Kept,
    PaperLine,
    parts_of,
    verify_claim,
)
from protocol.trust import TrustError, decode_trust

log = structlog.get_logger()

LOOK_S: Final = 10.0
"""How often a worker looks whether anything is to be brought or asked."""
ASK_S: Final = 10.0
ASK_AGAIN_S: Final = 60.0
"""A municipality that has no claim yet is asked again after so long."""
BACKOFF_S_FIRST: Final = 1.0
BACKOFF_S_MAX: Final = 60.0
REPORTS_S: Final = 600.0
"""A statement waits so long for reports that are still on their way, with which the municipality compares it."""
AT_ONCE: Final = 16
"""Municipalities that are visited at the same time."""
_WINDOW_BYTES: Final = CONFIRMED_AT_ONCE * CONFIRMED_PART_BYTES

FetchFrom = Callable[[str], int]
"""A period -> from when its documents may be fetched, in microseconds; of what has no such day, 0."""


class _Stopped(Exception):  # noqa: N818  named after the fact
    """Nothing more can be brought to this municipality now."""


class Bringer:
    """Brings and asks for one worker."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Callable[[], Directory],
        municipalities: Municipalities,
        incidents: Incidents,
        fetch_from: FetchFrom,
        now_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._store = BringingStore(database)
        self._documents = DocumentStore(database)
        self._reports = ReportStore(database)
        self._directory = directory
        self._municipalities = municipalities
        self._incidents = incidents
        self._fetch_from = fetch_from
        self._now_us = now_us
        self._told: set[tuple[IncidentKind, str, str]] = set()
        self._busy: set[str] = set()
        self._backoff_s: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._ask_after: dict[tuple[str, str], float] = {}
        self._held_since: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with self._database.pinned() as locks, trio.open_nursery() as nursery:
            mine = False
            while True:
                try:
                    mine = mine or await become_bringer(locks)
                    due = await self._due() if mine else []
                except StoreError:
                    mine, due = False, []
                now = trio.current_time()
                for place in due:
                    if len(self._busy) >= AT_ONCE:
                        break
                    if place.code not in self._busy and self._not_before.get(place.code, 0.0) <= now:
                        self._busy.add(place.code)
                        nursery.start_soon(self._visit, place)
                await trio.sleep(LOOK_S)

    async def _due(self) -> list[Municipality]:
        places = {place.party: place for place in self._directory().document.municipalities if place.trust}
        parties = list(places)
        wanted = {row.party for row in await self._to_bring(parties)}
        wanted |= {party for party, _ in await self._to_ask(parties)}
        reported_to = set(await self._reports.waiting()) if wanted else set()
        return [places[party] for party in parties if party in wanted and self._told_all(places[party], reported_to)]

    def _told_all(self, place: Municipality, waiting: set[str]) -> bool:
        """Whether it has every report, or has been waited for long enough."""
        if place.code not in waiting:
            self._held_since.pop(place.code, None)
            return True
        now = trio.current_time()
        return now - self._held_since.setdefault(place.code, now) > REPORTS_S

    async def _to_bring(self, parties: list[str]) -> list[DocumentRow]:
        now_us = self._now_us()
        return [row for row in await self._store.to_bring(parties) if self._fetch_from(row.period) <= now_us]

    async def _to_ask(self, parties: list[str]) -> list[tuple[str, str]]:
        now = trio.current_time()
        return [each for each in await self._store.to_ask(parties) if self._ask_after.get(each, 0.0) <= now]

    async def _visit(self, place: Municipality) -> None:
        try:
            await self.visit(place)
            self._backoff_s.pop(place.code, None)
        except Exception as error:  # noqa: BLE001 - a line's own error: it is this municipality's alone
            self._back_off(place.code, type(error).__name__)
        finally:
            self._busy.discard(place.code)

    def _back_off(self, code: str, error: str) -> None:
        pause_s = self._backoff_s.get(code, BACKOFF_S_FIRST)
        self._backoff_s[code] = min(pause_s * 2, BACKOFF_S_MAX)
        self._not_before[code] = trio.current_time() + pause_s
        log.warning("papers_wait", municipality=code, error=error)

    async def visit(self, place: Municipality) -> None:
        """Bring a municipality all there is and ask for its claims. Raises: StoreError, the line's errors."""
        client = await self._municipalities.access(place).client()
        for row in await self._to_bring([place.party]):
            await self._bring(client, place, row)
        for _, period in await self._to_ask([place.party]):
            await self._ask(client, place, period)

    async def _bring(self, client: Client, place: Municipality, row: DocumentRow) -> None:
        paper = PaperLine(row.id, row.period, row.name, row.media, row.size, row.digest)
        count = max(1, parts_of(row.size, CONFIRMED_PART_BYTES))
        first = 0
        while True:
            kept = await self._window(client, place, paper, first)
            if kept.whole:
                await self._store.brought(row.id, self._now_us())
                log.info("paper_brought", municipality=place.code, bytes=row.size)
                return
            after = max(first + CONFIRMED_AT_ONCE, kept.parts - kept.parts % CONFIRMED_AT_ONCE)
            if after >= count or kept.parts < min(first + CONFIRMED_AT_ONCE, count):
                # It has all and is not content, or has not what it was just given.
                await self._refused(place, IncidentKind.PAPER_REFUSED, f"{row.period} {row.id.hex()}")
            first = after

    async def _window(self, client: Client, place: Municipality, paper: PaperLine, first: int) -> Kept:
        """Bring the parts of one window; what the municipality has after them."""
        (found,) = await self._documents.slices(
            [(place.party, paper.id, first // CONFIRMED_AT_ONCE)], size=_WINDOW_BYTES
        )
        if found is None:
            raise MunicipalityAway("away")  # unreachable: documents are never deleted
        data = found[1]
        answers: list[Kept] = []
        failed: list[Exception] = []

        async def tell(number: int, part: bytes) -> None:
            body = encode(Confirmed(paper, number, part))
            try:
                result = await client.ask(Operation.CONFIRMED, body, timeout_s=ASK_S)
                answers.append(_kept(result.outcome, result.body))
            except Exception as error:  # noqa: BLE001 - raised below: beside a Cancelled it would outlive it in a group
                failed.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for at in range(0, max(1, len(data)), CONFIRMED_PART_BYTES):
                part = data[at : at + CONFIRMED_PART_BYTES]
                nursery.start_soon(tell, first + at // CONFIRMED_PART_BYTES, part)
        if failed:
            raise failed[0]
        return max(answers, key=lambda each: (each.whole, each.parts))

    async def _ask(self, client: Client, place: Municipality, period: str) -> None:
        result = await client.ask(Operation.CLAIM, encode(Claim(period)), timeout_s=ASK_S)
        if result.outcome != Outcome.CLAIMED:
            self._ask_after[place.party, period] = trio.current_time() + ASK_AGAIN_S
            return
        row = received(result.body, place, period=period, now_us=self._now_us())
        if row is None:
            await self._refused(place, IncidentKind.CLAIM_REFUSED, period)
        await self._store.receive(row)
        log.info("claim_received", municipality=place.code)

    async def _refused(self, place: Municipality, kind: IncidentKind, detail: str) -> NoReturn:
        """An incident, opened once for each thing refused however often it is tried. Raises: _Stopped."""
        key = (kind, place.code, detail)
        if key not in self._told:
            self._told.add(key)
            await self._incidents.open(kind, municipality=place.code, application=None, detail=detail)
        raise _Stopped


def received(body: bytes, place: Municipality, *, period: str, now_us: int) -> ClaimRow | None:
    """A claim as it is kept; None when it is not this municipality's own, for this period, as its answer says. Pure."""
    try:
        said = msgspec.msgpack.decode(body, type=Claimed)
        trust = decode_trust(place.trust)
        claim = verify_claim(said.claim, trust)
    except (msgspec.DecodeError, TrustError, ClaimError):
        return None
    named = (claim.party, claim.code, claim.environment, claim.period, claim.number, claim.yen, claim.day)
    if named != (place.party, place.code, trust.environment, period, said.number, said.yen, said.day):
        return None
    return ClaimRow(place.party, period, said.number, said.yen, said.day, said.claim, now_us)


def _kept(outcome: int, body: bytes) -> Kept:
    """What a municipality says it has. Raises: _Stopped for anything else."""
    if outcome != Outcome.NOTED:
        raise _Stopped
    try:
        return msgspec.msgpack.decode(body, type=Kept)
    except msgspec.DecodeError as error:
        raise _Stopped from error
