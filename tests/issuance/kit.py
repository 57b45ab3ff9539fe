"""Workers of a certificate centre without their lines: the real service, recorder and store over one database."""

import os
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime

import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from gateway.directory.directory import Directory
from gateway.directory.model import Contract, Document, Line, Party, PartyKind, Role, Terms
from gateway.directory.openings import Hours, Window
from gateway.directory.participants import CardTerm, Entitled, Fee, Kit, Municipality, Offer, Operator
from gateway.issuance.rider import issuance_rider
from gateway.issuance.service import IssuanceService
from gateway.ledger.recording import Recorder
from gateway.ledger.stream import Stream
from gateway.service.asked import Asked
from gateway.service.ground import Ground as ServiceGround
from gateway.store.ledger import LedgerStore
from gateway.store.pool import open_database
from protocol.certificates import CardType, Option
from protocol.issuance import (
    Apply,
    Authenticate,
    Authenticated,
    Challenge,
    Challenged,
    Complete,
    Correct,
    Erase,
    Fetch,
    Ground,
    KioskSession,
    Part,
    Statement,
    Status,
    StatusQuery,
    Void,
    erasure_to_sign,
    statement_to_sign,
)
from protocol.ledger import decode_entry
from protocol.messages import BodyError, Operation, Request, Transient, decode_body, encode
from protocol.outcomes import Outcome
from protocol.request_id import make_request_id
from tests.issuance.town import KIT, Town
from tests.kit.sitting import KIOSK, OPERATOR, Sitting, es256
from tests.kit.sitting import Ground as Cards
from tests.ledger.building import Centre as LedgerCentre

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # noon in Japan, a Friday
NOW_US = int(NOW.timestamp()) * 1_000_000
ALL_DAY = Window(open_minute=0, close_minute=1440)
HOURS = (Hours(valid_from=date(2026, 4, 1), weekday=ALL_DAY, saturday=ALL_DAY, holiday=ALL_DAY),)
FEE, COMMISSION = 300, 115
OTHER = "operator-other"
MONTH_KEY = b"m" * 32


def directory_of(cards: Cards, *towns: Town, version: int = 0, **changes) -> Directory:
    """Two operators and the towns; changes are of the document."""
    anchors = tuple(each.public_bytes(Encoding.DER) for each in cards.kiosk_anchors)
    operators = (OPERATOR, OTHER)
    parties = [Party(id="centre", kind=PartyKind.CENTRE, name_ja="センター", name_en="Centre")]
    parties += [Party(id=each, kind=PartyKind.OPERATOR, name_ja="事業者", name_en="Operator") for each in operators]
    parties += [Party(id=t.party, kind=PartyKind.MUNICIPALITY, name_ja="市", name_en="City") for t in towns]
    facts = {
        "parties": tuple(parties),
        "lines": tuple(Line(party=each, name="relay-1", keys=()) for each in operators),
        "contracts": tuple(
            Contract(
                reference="c-1",
                party=each,
                role=Role.CERTIFICATE,
                valid_from=date(2026, 4, 1),
                valid_until=None,
                run_off_until=None,
                hours=HOURS,
                terms=(Terms(valid_from=date(2026, 4, 1), version=1, yen_per_record=0, commission=COMMISSION),),
            )
            for each in operators
        ),
        "municipalities": tuple(municipality(town) for town in towns),
        "operators": tuple(Operator(party=each, kiosk_anchors=anchors) for each in operators),
        "kits": (Kit(id=KIT, valid_from=date(2026, 4, 1)),),
        "card_types": (CardTerm(type=CardType.MY_NUMBER_CARD, valid_from=date(2026, 4, 1)),),
    }
    return Directory(version, Document(**(facts | changes)))


def municipality(town: Town, **changes) -> Municipality:
    """A town in the directory."""
    facts = {
        "party": town.party,
        "code": town.code,
        "name_ja": "試験市",
        "name_en": "Test City",
        "reference": "m-1",
        "valid_from": date(2026, 4, 1),
        "host": "127.0.0.1",
        "port": 1,
        "trust": town.trust,
        "requests_at_once": 4,
        "deadline_ms": 3_000,
        "card_types": frozenset({int(CardType.MY_NUMBER_CARD)}),
        "offers": tuple(
            Offer(
                kind=kind,
                valid_from=date(2026, 4, 1),
                options=int(Option.HOUSEHOLD),
                entitled=Entitled.HOUSEHOLD,
                copies_max=5,
                fees=(Fee(valid_from=date(2026, 4, 1), yen=FEE),),
                hours=HOURS,
            )
            for kind in ("juminhyo",)
        ),
    }
    return Municipality(**(facts | changes))


class Answer:
    """What an asker got: outcome, body, and the entry with its proof for what was recorded."""

    def __init__(self, outcome, body, entry=None):
        self.outcome, self.body, self.entry = Outcome(outcome), body, entry

    def __repr__(self):
        return f"Answer({self.outcome.name})"


class _Asker:
    """The connection that asks."""

    def __init__(self):
        self.answered = trio.Event()
        self.answer = None

    def respond(self, share):
        """Recorded: one origin a request here."""
        (response,) = share.responses
        self.answer = Answer(response.outcome, response.body, decode_entry(response.entry))
        self.answered.set()

    def refuse(self, transients):
        """Unrecorded."""
        (transient,) = transients
        self.answer = Answer(transient.outcome, transient.body)
        self.answered.set()


class _Nothing:
    async def finality(self, stream, height, size):
        """No checkpoint."""
        del stream, height, size

    async def check(self, card):
        """A card that is not revoked."""

    def block(self, **_):
        """An observer."""


class Worker:
    """Outlet and recorder of one worker, as the real one has them; `hold` delays its commits."""

    def __init__(self, centre, database, recorder_database, slot):
        self.centre = centre
        self.database = database
        self._recorder_database = recorder_database
        self.slot = slot
        self.hold = None
        self._finals = []
        self._wake = trio.Event()
        self._nursery = None
        self.ground = ServiceGround(
            month_key=self._month_key,
            months=centre.months,
            confirm=self._confirm,
            standing=lambda party, line: centre.directory.standing(Role.CERTIFICATE, party, line, centre.now_us()),
            decide=lambda asked, standing: self.service.decide(standing, asked.request.operation, asked.body),
            outlet=self,
            now_us=centre.now_us,
            certificate=True,
        )
        self.service = IssuanceService(
            self.ground,
            database=database,
            finalities=_Nothing(),
            directory=lambda: centre.directory,
            status=centre.status,
            card_anchors=centre.card_anchors,
            dial=centre.dial,
            nonce_key=b"n" * 32,
            pseudonym_key=b"p" * 32,
            random=os.urandom,
            fetch_from=centre.fetch_from,
        )

    async def _month_key(self, request_id):
        self.centre.months[int.from_bytes(request_id[:6], "big") // 86_400_000] = MONTH_KEY
        return MONTH_KEY

    async def _confirm(self, version):
        del version
        return self.centre.directory.version

    # --- the outlet

    def record(self, finals):
        """Into the next block."""
        self._finals += finals
        self._wake.set()

    def settle(self, asked, outcome, body):
        """Unrecorded."""
        if not asked.done:
            asked.done = True
            asked.origin.refuse([Transient(asked.request.request_id, int(outcome), body)])

    def to_search(self, batch):
        """The other lane."""
        self._nursery.start_soon(self.service.search, batch)

    # --- life

    async def run(self, *, task_status=trio.TASK_STATUS_IGNORED):
        """The stream's writer, and the service's own tasks."""
        store = LedgerStore(self._recorder_database)
        signer = self.centre.keys.block

        async def open_stream():
            stream = Stream(id=os.urandom(16), role="certificate", node="node-1", slot=self.slot)
            await store.open_stream(stream, opened_us=NOW_US, predecessor=None)
            return stream

        recorder = Recorder(
            store=store,
            sign=signer,
            rider=issuance_rider,
            open_stream=open_stream,
            stream=await open_stream(),
            now_us=self.centre.now_us,
            lost=self._lost,
            failed=lambda finals: [self.settle(f.source, Outcome.UNAVAILABLE, b"") for f in finals],
            released=self._released,
            observer=_Nothing(),
        )
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self.service.run)
            task_status.started()
            while True:
                await self._wake.wait()
                if self.hold is not None:
                    await self.hold.wait()
                self._wake = trio.Event()
                finals, self._finals = self._finals, []
                await recorder.work(finals)

    def _lost(self, finals):
        self.to_search([final.source for final in finals])

    @staticmethod
    def _released(finals):
        for final in finals:
            final.source.done = True

    # --- asking

    async def ask(self, operation, body, *, request_id=None, party=OPERATOR, timeout_s=3.0):
        """One request through admission's decision, lanes and block."""
        asked = self.asked(operation, body, request_id=request_id, party=party, timeout_s=timeout_s)
        return await self.send(asked)

    async def send(self, *batch):
        """A batch in one turn; the answer of the first, or all."""
        await self.service.answer(list(batch))
        for asked in batch:
            with trio.fail_after(10):
                await asked.origin.answered.wait()
        answers = [asked.origin.answer for asked in batch]
        return answers if len(batch) > 1 else answers[0]

    def asked(self, operation, body, *, request_id=None, party=OPERATOR, timeout_s=3.0):
        """An admitted request."""
        raw = body if isinstance(body, bytes) else encode(body)
        request = Request(request_id or self.centre.new_id(), operation, int(timeout_s * 1000), raw)
        standing = self.ground.standing(party, "relay-1")
        try:
            read = decode_body(operation, raw)
        except BodyError:
            raise AssertionError("a test's body is malformed") from None
        return Asked(
            origin=_Asker(),
            party=party,
            line="relay-1",
            request=request,
            body=read,
            decision=self.service.decide(standing, operation, read),
            version=standing.version,
            arrived=trio.current_time(),
            off_clock=None,
        )


class Centre:
    """What the workers of a test share: clock, directory, cards, towns."""

    def __init__(self, cards, *towns):
        self.cards = cards
        self.card_anchors = cards.card_anchors
        self.towns = towns or (Town(),)
        self.shift_us = 0
        self.fetch_from = lambda period: 0
        self.months = {}
        self.status = _Nothing()
        self.keys = LedgerCentre()
        self.workers = []
        self.directory = directory_of(cards, *self.towns)
        for town in self.towns:
            town.clock = self.now_us

    @property
    def town(self):
        """The first."""
        return self.towns[0]

    def now_us(self):
        """NOW and what went by since, plus what a test adds."""
        return NOW_US + self.shift_us

    def new_id(self):
        """A fresh request id."""
        return make_request_id(self.now_us() // 1000, os.urandom(10))

    def dial(self, place):
        """The dial port."""
        return next(town for town in self.towns if town.code == place.code).dial(place)


@asynccontextmanager
async def centre_of(dsn, cards, *towns, workers=2):
    """A centre with so many workers that share a database."""
    async with working(Centre(cards, *towns), dsn, workers=workers) as centre:
        yield centre


@asynccontextmanager
async def working(centre, dsn, *, workers=2):
    """The workers of a centre."""
    async with (
        open_database(dsn.gateway, size=6, role="test") as database,
        database.pinned() as one,
        database.pinned() as two,
        trio.open_nursery() as nursery,
    ):
        for slot, pinned in zip(range(workers), (one, two), strict=False):
            worker = Worker(centre, database, pinned, slot)
            await nursery.start(worker.run)
            centre.workers.append(worker)
        yield centre
        nursery.cancel_scope.cancel()


class Kiosk:
    """One sitting: what a kiosk asks, in the order of the counter."""

    def __init__(self, centre, worker=None, *, municipality="121002", party=OPERATOR):
        self.centre = centre
        self.worker = worker or centre.workers[0]
        self.party = party
        self.municipality = municipality
        self.sitting = Sitting(centre.cards)
        self.application = None
        self.seal = None

    async def ask(self, operation, body, **options):
        """Through this kiosk's worker."""
        return await self.worker.ask(operation, body, party=self.party, **options)

    async def nonce(self):
        """CHALLENGE."""
        answer = await self.ask(Operation.CHALLENGE, Challenge(KIOSK))
        return msgspec.msgpack.decode(answer.body, type=Challenged).nonce

    async def body(self, **options) -> Authenticate:
        """AUTHENTICATE's body."""
        session = KioskSession(OPERATOR, KIOSK, self.sitting.session.sign_key, seal_key())
        made = self.sitting.authenticate(session=session, nonce=await self.nonce(), **options)
        return replace(made, municipality=self.municipality)

    async def authenticate(self, **options):
        """AUTHENTICATE."""
        answer = await self.ask(Operation.AUTHENTICATE, await self.body(**options))
        if answer.outcome is Outcome.AUTHENTICATED:
            self.application = msgspec.msgpack.decode(answer.body, type=Authenticated).application
        return answer

    def apply_body(self, copies=2, **changes):
        """APPLY's body."""
        facts = {
            "application": self.application,
            "municipality": self.municipality,
            "kind": "juminhyo",
            "options": 0,
            "copies": copies,
            "asked_at_us": self.centre.now_us(),
        }
        statement = Statement(**(facts | changes))
        return Apply(statement, es256(self.sitting.session_key, statement_to_sign(statement)))

    async def apply(self, copies=2, **changes):
        """APPLY."""
        return await self.ask(Operation.APPLY, self.apply_body(copies, **changes))

    async def document(self, **options):
        """DOCUMENT."""
        return await self.ask(Operation.DOCUMENT, Fetch(self.application), **options)

    async def issued(self, copies=2):
        """Up to ISSUED; asserts each step."""
        assert (await self.authenticate()).outcome is Outcome.AUTHENTICATED
        assert (await self.apply(copies)).outcome is Outcome.APPLIED
        answer = await self.document()
        assert answer.outcome is Outcome.ISSUED, answer
        return self

    async def part(self, index):
        """PART."""
        return await self.ask(Operation.PART, Part(self.application, index))

    def complete_body(self, copies=2, **changes):
        """COMPLETE's body."""
        facts = {
            "application": self.application,
            "copies": copies,
            "deposited_at_us": self.centre.now_us(),
            "store_day": "2026-11-20",
            "store": "store-1",
            "slip": "S-1",
        }
        return Complete(**(facts | changes))

    async def complete(self, copies=2, **changes):
        """COMPLETE."""
        return await self.ask(Operation.COMPLETE, self.complete_body(copies, **changes))

    def void_body(self, **changes):
        """VOID's body."""
        facts = {
            "application": self.application,
            "ground": Ground.MISPRINT,
            "refunded_at_us": self.centre.now_us(),
            "store_day": "2026-11-20",
            "store": "store-1",
            "staff_slip": "",
        }
        return Void(**(facts | changes))

    async def void(self, **changes):
        """VOID."""
        return await self.ask(Operation.VOID, self.void_body(**changes))

    def correct_body(self, number, copies, **changes):
        """CORRECT's body."""
        facts = {
            "application": self.application,
            "number": number,
            "copies": copies,
            "deposited_at_us": self.centre.now_us(),
            "store_day": "2026-11-20",
            "ground": Ground.ENTRY_ERROR,
        }
        return Correct(**(facts | changes))

    async def correct(self, number, copies, **changes):
        """CORRECT."""
        return await self.ask(Operation.CORRECT, self.correct_body(number, copies, **changes))

    async def erase(self, **changes):
        """ERASE, attested by the kiosk's certificate key."""
        at_us = self.centre.now_us()
        facts = {
            "application": self.application,
            "kiosk_at_us": at_us,
            "relay_at_us": at_us,
            "attestation": es256(self.centre.cards.kiosk.key, erasure_to_sign(self.application, at_us)),
        }
        return await self.ask(Operation.ERASE, Erase(**(facts | changes)))

    async def status(self):
        """STATUS: the transitions that stand."""
        answer = await self.ask(Operation.STATUS, StatusQuery([self.application]))
        return msgspec.msgpack.decode(answer.body, type=list[Status])[0].transitions


def seal_key() -> bytes:
    """A fresh X25519 public key."""
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def read(answer, kind):
    """The body as a struct."""
    return msgspec.msgpack.decode(answer.body, type=kind)
