"""The service over a real line to a real issuing server: what one sends is what the other takes."""

import hashlib
import os
import shutil
import time
from datetime import date

import msgspec
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway.directory.participants import Kit, Operator
from gateway.issuance import bringing
from gateway.peers.municipality import confirmed
from gateway.peers.municipality.reports import reports
from gateway.store.settlement_lines import BringingStore
from protocol.certificates import Option
from protocol.issuance import (
    PART_BYTES,
    Apply,
    Authenticated,
    Challenge,
    Challenged,
    Complete,
    Fetch,
    Ground,
    Issue,
    Issued,
    Part,
    Statement,
    Void,
    session_to_sign,
    statement_to_sign,
)
from protocol.messages import Operation
from protocol.outcomes import Outcome
from protocol.papers import verify_claim
from protocol.trust import encode_trust
from tests.issuance.kit import FEE, Centre, directory_of, municipality, working
from tests.issuance.test_bringing import put
from tests.peers.municipality import kit, statements


class RealCentre(Centre):
    """A centre of this moment, before a municipality that is served."""

    def __init__(self, world, town, port):
        self.world, self._town, self._port = world, town, port
        self.kiosk_anchors = self._pem("operators/operator-a.pem")
        self.card_anchors = self._pem("jpki/anchors.pem")
        self.trust, self.code, self.party = encode_trust(world.trust), kit.CODE, kit.PARTY
        super().__init__(self, self)

    clock = None

    def _pem(self, path):
        return x509.load_pem_x509_certificates((self.world.root / path).read_bytes())

    def now_us(self):
        """The real time."""
        return time.time_ns() // 1_000

    def dial(self, place):
        """A line of TLS and signed frames."""
        del place
        return self._town.line(self._port)


def _directory(centre):
    anchors = tuple(each.public_bytes(Encoding.DER) for each in centre.kiosk_anchors)
    place = municipality(centre)
    offer = msgspec.structs.replace(place.offers[0], options=int(Option.HOUSEHOLD | Option.RELATION))
    base = directory_of(centre, centre).document
    renamed = {"operator-test": kit.OPERATOR}
    return directory_of(
        centre,
        centre,
        parties=tuple(msgspec.structs.replace(p, id=renamed.get(p.id, p.id)) for p in base.parties),
        lines=tuple(msgspec.structs.replace(each, party=renamed.get(each.party, each.party)) for each in base.lines),
        contracts=tuple(
            msgspec.structs.replace(each, party=renamed.get(each.party, each.party)) for each in base.contracts
        ),
        operators=(Operator(party=kit.OPERATOR, kiosk_anchors=anchors),),
        municipalities=(msgspec.structs.replace(place, offers=(offer,), deadline_ms=20_000),),
        kits=(Kit(id=kit.KIT, valid_from=date(2026, 4, 1)),),
    )


class RealKiosk:
    """A sitting of a resident at a kiosk, over a worker."""

    def __init__(self, centre, resident):
        self.centre, self.worker = centre, centre.workers[0]
        self.sitting = kit.Sitting(centre.world, resident=resident)
        self.card = centre.world.card(resident)
        self.application = b""
        self.statement = None

    async def ask(self, operation, body):
        """Of the operator."""
        return await self.worker.ask(operation, body, party=kit.OPERATOR, timeout_s=20)

    async def apply(self, options):
        """Up to APPLIED."""
        sitting = self.sitting
        challenged = await self.ask(Operation.CHALLENGE, Challenge(kit.KIOSK))
        nonce = msgspec.msgpack.decode(challenged.body, type=Challenged).nonce
        signed = session_to_sign(sitting.session, nonce)
        body = msgspec.structs.replace(
            sitting.authentication,
            nonce=nonce,
            kiosk_signature=kit.raw_signature(self._kiosk_key(), signed),
            card_signature=self.card.sign(kit.PIN, signed),
        )
        authenticated = await self.ask(Operation.AUTHENTICATE, body)
        assert authenticated.outcome is Outcome.AUTHENTICATED, authenticated
        sitting.authentication = body
        self.application = msgspec.msgpack.decode(authenticated.body, type=Authenticated).application
        self.statement = Statement(self.application, kit.CODE, "juminhyo", options, 2, self.centre.now_us())
        signature = kit.raw_signature(sitting.sign_key, statement_to_sign(self.statement))
        applied = await self.ask(Operation.APPLY, Apply(self.statement, signature))
        assert applied.outcome is Outcome.APPLIED, applied

    def _kiosk_key(self):
        return load_pem_private_key((self.centre.world.root / "kiosk" / "key.pem").read_bytes(), None)

    async def document(self):
        """DOCUMENT, and every part of it."""
        answer = await self.ask(Operation.DOCUMENT, Fetch(self.application))
        assert answer.outcome is Outcome.ISSUED, answer
        issued = msgspec.msgpack.decode(answer.body, type=Issued)
        count = -(-issued.size // PART_BYTES)
        parts = [await self.ask(Operation.PART, Part(self.application, n)) for n in range(count)]
        return issued, b"".join([each.body for each in parts])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Authorities, cards and a prepared municipality, of a code whose check digit a directory takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kit, "CODE", "999997")
        yield kit.make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.guest
async def test_a_sealed_document_comes_from_a_real_municipality_and_it_hears_what_became_of_it(
    database_dsn, world, tmp_path
):
    data = world.root / f"town-{tmp_path.name}"  # beside the world, where its relative paths hold
    shutil.copytree(world.prepared, data)
    town = kit.Town(world, data)
    async with town.serving() as port:
        centre = RealCentre(world, town, port)
        centre.directory = _directory(centre)
        async with working(centre, database_dsn, workers=1):
            kiosk = RealKiosk(centre, 0)
            await kiosk.apply(int(Option.HOUSEHOLD | Option.RELATION))
            issued, sealed = await kiosk.document()
            body = Issue(kiosk.sitting.authentication, Apply(kiosk.statement, bytes(64)), await _pseudonym(centre), "")
            document = kit.opened_by_kiosk(kiosk.sitting, body, issued, sealed)
            assert document.pdf.startswith(b"%PDF")
            day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 9 * 3600))
            complete = Complete(kiosk.application, 2, centre.now_us(), day, "store-1", "S-1")
            assert (await kiosk.ask(Operation.COMPLETE, complete)).entry.yen == 2 * FEE
            void = Void(kiosk.application, Ground.MISPRINT, centre.now_us(), day, "store-1", "")
            assert (await kiosk.ask(Operation.VOID, void)).entry.yen == -2 * FEE
            suppressed = RealKiosk(centre, 2)
            await suppressed.apply(0)
            refused = await suppressed.ask(Operation.DOCUMENT, Fetch(suppressed.application))
            assert refused.outcome is Outcome.COUNTER_ONLY
            with trio.fail_after(10):
                while len(told := _told(town)) < 2:
                    await trio.sleep(0.05)
            assert [(each.number, each.copies, each.yen) for each in told] == [(1, 2, 2 * FEE), (2, -2, -2 * FEE)]
            assert await centre.workers[0].database.fetch("select from issuance.incident") == []


@pytest.mark.guest
async def test_confirmed_data_come_to_a_real_municipality_and_its_signed_claim_comes_back(
    database_dsn, world, tmp_path, monkeypatch
):
    monkeypatch.setattr(bringing, "LOOK_S", 0.05)
    data = world.root / f"town-{tmp_path.name}"
    shutil.copytree(world.prepared, data)
    town = kit.Town(world, data)
    with town.opened() as opened:
        statements.noted(opened.store, statements.sold(1), statements.sold(2, copies=2))
    signed, items = statements.statement(world), os.urandom(100_000)
    await put(database_dsn, "statement.invoice", signed, party=kit.PARTY)
    await put(database_dsn, "statement.items", items, party=kit.PARTY)
    async with town.serving() as port:
        centre = RealCentre(world, town, port)
        centre.directory = _directory(centre)
        async with working(centre, database_dsn, workers=1):
            store = BringingStore(centre.workers[0].database)
            with trio.fail_after(20):
                while not (claims := await store.claims()):
                    await trio.sleep(0.05)
            (claim,) = claims
            said = verify_claim(claim.content, world.trust)
            assert (claim.yen, said.code, said.copies) == (555, kit.CODE, 3)
            assert said.statement == hashlib.sha256(signed).digest()
            with town.opened() as opened:
                kept = {each.line.name: confirmed.content(opened.store, each.line) for each in _kept(opened)}
            assert kept == {"statement.invoice": signed, "statement.items": items}
            assert await centre.workers[0].database.fetch("select from issuance.incident") == []


def _kept(opened):
    return confirmed.papers(opened.store, period="2026-10")


async def _pseudonym(centre):
    rows = await centre.workers[0].database.fetch("select pseudonym from issuance.application")
    return rows[0][0]


def _told(town):
    with town.opened() as opened:
        return reports(opened.store)
