"""The issuing server on its line: the centre dials, asks for documents, reports what became of them, and settles.

Several processes may serve one directory. What a process holds in memory is good for one request only; all else is in
the store. SIGTERM or `stop` drains: what is in hand is answered, what comes is told to go elsewhere.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import structlog
import trio

from certs import CardUnverifiable, LineFiles, LineName, MaterialError, TlsMaterial
from certs.crl_file import CrlFile
from certs.names import CENTRE_PARTY
from certs.ocsp import CardStatus
from gateway.line.serving import LineServer
from gateway.peers.kit.content import Certificate
from gateway.peers.kit.rendering import Renderer
from gateway.peers.line_file import signing
from gateway.peers.municipality import claiming, confirmed, reports
from gateway.peers.municipality.crafting import Commission, Made, Workshop
from gateway.peers.municipality.errors import SetupIncomplete
from gateway.peers.municipality.issuing import Refused
from gateway.peers.municipality.making import Maker, Status, Town, Unsettled
from gateway.peers.municipality.setup import ROLE, Municipality, now_us, opened_municipality
from gateway.peers.municipality.trusted import Trusted
from hsm.interface import KeyStore
from protocol.issuance import Issue, Part, Report, Reported, ReportsQuery
from protocol.messages import BodyError, Operation, Refusal, Request, decode_body, encode
from protocol.outcomes import Outcome
from protocol.papers import Claim, Confirmed, Kept
from protocol.trust import Trust

log = structlog.get_logger()

Make = Callable[[Certificate, Commission], Awaitable[Made]]
SWEEP_S: Final = 15.0
CENTRE_ROLE: Final = "certificate"
_NOTHING: Final = encode(Refusal())


class Answering:
    """What stands behind the line: a request's body to the maker or the reports, and back to an outcome."""

    def __init__(self, municipality: Municipality, maker: Maker, trust: Callable[[], Trust]) -> None:
        """trust: the centre's, as it stands now."""
        self._municipality = municipality
        self._store = municipality.store
        self._maker = maker
        self._trust = trust

    async def handle(self, name: LineName, request: Request) -> tuple[int, bytes]:
        """LineServer's handle. What raises beyond this becomes UNAVAILABLE there."""
        del name  # the centre alone has a key here
        try:
            body = decode_body(request.operation, request.body)
        except (KeyError, BodyError):
            return Outcome.NOT_PERMITTED, _NOTHING
        try:
            match body:
                case Issue():
                    return Outcome.MADE, encode(await self._maker.issue(body))
                case Part() if request.operation == Operation.MADE_PART:
                    return Outcome.MADE_PART, self._maker.part(body)
                case Report():
                    return Outcome.NOTED, encode(reports.note(self._store, body))
                case ReportsQuery():
                    return Outcome.NOTED, encode(Reported(reports.noted(self._store)))
                case Confirmed():
                    return Outcome.NOTED, encode(self._keep(body))
                case Claim():
                    found = claiming.asked(self._municipality, body.period, trust=self._trust())
                    return (Outcome.CLAIMED, encode(found)) if found else (Outcome.NOT_CLAIMED, _NOTHING)
                case _:
                    return Outcome.NOT_PERMITTED, _NOTHING
        except Refused as refused:
            return Outcome.MAKING_REFUSED, encode(int(refused.outcome))
        except CardUnverifiable:
            log.warning("card_unverifiable")
            return Outcome.CARD_UNVERIFIABLE, _NOTHING
        except Unsettled:
            return Outcome.UNAVAILABLE, _NOTHING

    def _keep(self, body: Confirmed) -> Kept:
        """Take a part of confirmed data in; a document is looked at once, when it becomes whole."""
        stood = confirmed.whole(self._store, body.paper.id)
        kept = confirmed.keep(self._store, body)
        if kept.whole and not stood:
            claiming.check(self._store, body.paper, trust=self._trust(), party=self._municipality.settings.party)
        return kept


async def serve_municipality(
    data: Path,
    *,
    port: int | None = None,
    stop: trio.Event,
    clock: Callable[[], int] = now_us,
    status: Status | None = None,
    workshop: Callable[[list[Renderer], KeyStore], Workshop] = Workshop,
    server: type[LineServer] = LineServer,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a directory until `stop`; task_status.started gets the port (0 for any).

    status, workshop and server are the municipality's own (OCSP, the kit, the line) unless a test hands in others.
    Raises: SetupIncomplete, MaterialError, FontMissing, HsmError, OSError when the port cannot be had.
    """
    with opened_municipality(data, clock=clock) as municipality:
        settings = municipality.settings
        material = TlsMaterial(LineFiles.in_directory(data / settings.tls), now=_utc(clock()))
        trusted = Trusted(data, settings)
        bench = workshop([Renderer() for _ in range(settings.renderers)], municipality.keystore)
        async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
            maker = Maker(
                municipality.store,
                town=_town(municipality),
                anchors=lambda: trusted.anchors,
                status=status or _card_status(municipality, transport, clock),
                make=bench.make,
            )
            line = server(
                role=ROLE,
                environment=settings.environment,
                material=material,
                sign=signing(municipality.keystore),
                key_of=lambda name, key_id: trusted.centre_key(key_id, clock()) if _is_centre(name) else None,
                handle=Answering(municipality, maker, lambda: trusted.centre).handle,
                knows=_is_centre,
                now_us=clock,
            )
            maker.drop_expired()
            listeners = await trio.open_tcp_listeners(settings.port if port is None else port, host=settings.host)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep, maker, material, trusted, line, clock)
                task_status.started(int(listeners[0].socket.getsockname()[1]))
                await line.serve(listeners, stop=stop)
                nursery.cancel_scope.cancel()


async def _keep(
    maker: Maker, material: TlsMaterial, trusted: Trusted, line: LineServer, clock: Callable[[], int]
) -> None:
    """Every few seconds: drop what was held long enough, take over renewed certificates and lists."""
    while True:
        await trio.sleep(SWEEP_S)
        try:
            maker.drop_expired()
        except sqlite3.OperationalError:  # another program holds the file; the next round does what is due
            log.warning("store_busy")
        try:
            material.reload(now=_utc(clock()))
            trusted.reload()
        except (MaterialError, SetupIncomplete):  # what stood goes on
            log.warning("material_refused")
        await line.recheck()


def _town(municipality: Municipality) -> Town:
    settings = municipality.settings
    return Town(
        code=settings.code,
        name_ja=settings.name_ja,
        mayor_ja=settings.mayor_ja,
        offered=settings.offered,
        hold_s=settings.hold_s,
        statement_age_s=settings.statement_age_s,
    )


def _card_status(
    municipality: Municipality, transport: httpx.AsyncBaseTransport, clock: Callable[[], int]
) -> CardStatus:
    settings = municipality.settings
    revoked = None
    if settings.card_crl:
        revoked = CrlFile(
            municipality.directory / settings.card_crl,
            unread=lambda error: log.warning("card_list_unread", code=type(error).__name__),
        )
    return CardStatus(
        responder=settings.ocsp or None,
        crl=revoked.read if revoked is not None else lambda: None,
        transport=transport,
        now=lambda: _utc(clock()),
        timeout_s=settings.ocsp_timeout_ms / 1000,
    )


def _is_centre(name: LineName) -> bool:
    return name == LineName(CENTRE_PARTY, CENTRE_ROLE)


def _utc(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)
