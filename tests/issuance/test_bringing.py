"""Confirmed data reach each municipality once and whole, and its claim comes back, whoever is away when."""

import os
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio

from gateway.issuance import bringing, forwarding
from gateway.store.pool import open_database
from gateway.store.settlement_acts import DocumentRow, DocumentStore
from gateway.store.settlement_lines import BringingStore
from protocol.messages import Operation, Refusal, encode
from protocol.outcomes import Outcome
from protocol.papers import (
    CONFIRMED_AT_ONCE,
    CONFIRMED_PART_BYTES,
    Claimed,
    Kept,
    MunicipalClaim,
    SignedClaim,
    claim_to_sign,
    parts_of,
    verify_claim,
)
from protocol.trust import decode_trust
from tests.issuance.kit import NOW_US, Centre, Kiosk, centre_of, working
from tests.issuance.test_reports import until
from tests.issuance.town import Away, Town

PERIOD = "2026-10"
WINDOW = CONFIRMED_AT_ONCE * CONFIRMED_PART_BYTES


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look often, and come back soon."""
    monkeypatch.setattr(bringing, "LOOK_S", 0.02)
    monkeypatch.setattr(bringing, "ASK_AGAIN_S", 0.02)
    monkeypatch.setattr(bringing, "BACKOFF_S_FIRST", 0.02)
    monkeypatch.setattr(bringing, "BACKOFF_S_MAX", 0.05)
    monkeypatch.setattr(forwarding, "LOOK_S", 0.02)
    monkeypatch.setattr(forwarding, "BACKOFF_S_FIRST", 0.02)
    monkeypatch.setattr(forwarding, "BACKOFF_S_MAX", 0.05)


class Keeper(Town):
    """A municipality that keeps what it is brought and claims when `ready`; it goes away after so many parts."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.kept, self.sent, self.ready, self.goes_after = {}, [], True, None
        self.forges = lambda claim: claim
        self.spoils = False
        self.turned_away = 0

    def answer(self, operation, body):
        """CONFIRMED and CLAIM beside all else."""
        if operation == Operation.CONFIRMED:
            if self.goes_after is not None and len(self.sent) >= self.goes_after:
                self.turned_away += 1
                raise Away
            self.sent.append((body.paper.name, body.number))
            parts = self.kept.setdefault(body.paper.id, {})
            parts[body.number] = body.data
            count = max(1, parts_of(body.paper.size, CONFIRMED_PART_BYTES))
            if self.spoils and len(parts) == count:
                parts.clear()
            return Outcome.NOTED, encode(Kept(len(parts), len(parts) == count))
        if operation == Operation.CLAIM:
            if not self.ready:
                return Outcome.NOT_CLAIMED, encode(Refusal())
            return Outcome.CLAIMED, encode(self.claim(body.period))
        return super().answer(operation, body)

    def claim(self, period):
        """A claim of 555 yen."""
        claim = self.forges(
            MunicipalClaim(
                party=self.party, code=self.code, environment="test", period=period, number=f"{self.code}-{period}",
                day="2026-11-12", copies=3, fees=900, commission=345, yen=555, statement=bytes(32), made_us=NOW_US,
            )
        )  # fmt: skip
        data = encode(claim)
        signed = SignedClaim(data, self.key.key_id, self.key.sign(claim_to_sign(data)))
        return Claimed(claim.number, claim.yen, claim.day, encode(signed))

    def whole(self, row):
        """The bytes it has of a document."""
        parts = self.kept.get(row.id, {})
        return b"".join(parts[number] for number in sorted(parts))


async def put(dsn, name, data, *, party="chiba", period=PERIOD):
    """A document, as a step of settlement makes it."""

    async def pieces():
        yield data

    async with open_database(dsn.owner, size=2, role="tests") as database:
        row = DocumentRow(os.urandom(16), party, period, name, "application/octet-stream", 0, b"", NOW_US)
        return await DocumentStore(database).put(row, pieces())


@asynccontextmanager
async def bringing_to(dsn, cards, *towns):
    """A centre of two workers, and its store."""
    async with centre_of(dsn, cards, *towns) as centre:
        yield centre, BringingStore(centre.workers[0].database)


async def until_brought(store, *parties):
    """Poll until nothing is to be brought."""
    with trio.fail_after(8):
        while await store.to_bring(list(parties)):
            await trio.sleep(0.01)


async def until_claimed(store, count):
    """Poll until so many claims are there."""
    with trio.fail_after(8):
        while len(claims := await store.claims()) < count:
            await trio.sleep(0.01)
    return claims


async def incidents(centre):
    rows = await centre.workers[0].database.fetch("select kind, municipality from issuance.incident order by id")
    return [tuple(row) for row in rows]


@pytest.mark.guest
async def test_each_document_is_brought_once_and_the_claim_is_kept_as_it_came(database_dsn, cards):
    town, other = Keeper(), Keeper("162027", "takaoka")
    sizes = (0, 1, WINDOW, WINDOW + 1, 9 * WINDOW + 77)
    rows = [(await put(database_dsn, f"{size}.bin", data), data) for size in sizes for data in [os.urandom(size)]]
    theirs = await put(database_dsn, "theirs.bin", b"x", party="takaoka")
    await put(database_dsn, "operators.bin", b"y", party="operator-test")
    async with bringing_to(database_dsn, cards, town, other) as (_, store):
        await until_brought(store, "chiba", "takaoka")
        claims = await until_claimed(store, 2)
        assert all(town.whole(row) == data for row, data in rows)
        assert len(town.sent) == len(set(town.sent)) == sum(max(1, parts_of(s, CONFIRMED_PART_BYTES)) for s in sizes)
        assert list(other.kept) == [theirs.id]
        (claim,) = [each for each in claims if each.party == "chiba"]
        assert (claim.period, claim.number, claim.yen, claim.day) == (PERIOD, f"121002-{PERIOD}", 555, "2026-11-12")
        assert verify_claim(claim.content, decode_trust(town.trust)).statement == bytes(32)
        asked = town.asked.count(Operation.CLAIM)
        await put(database_dsn, "late.bin", b"z")
        await until_brought(store, "chiba")
        assert town.asked.count(Operation.CLAIM) == asked, "what has come is not asked for again"


@pytest.mark.guest
async def test_nothing_is_brought_before_its_day(database_dsn, cards):
    town = Keeper()
    early, due = await put(database_dsn, "early.bin", b"x", period="2026-11"), await put(database_dsn, "due.bin", b"y")
    centre = Centre(cards, town)
    days = {PERIOD: NOW_US, "2026-11": NOW_US + 60_000_000}
    centre.fetch_from = days.__getitem__
    async with working(centre, database_dsn):
        store = BringingStore(centre.workers[0].database)
        await until_claimed(store, 1)
        assert list(town.kept) == [due.id]
        assert town.asked.count(Operation.CLAIM) == 1
        centre.shift_us = 60_000_000
        await until_brought(store, "chiba")
        assert set(town.kept) == {due.id, early.id}


@pytest.mark.guest
async def test_who_was_away_is_brought_the_rest_and_not_all_again(database_dsn, cards):
    town = Keeper()
    town.goes_after = 3 * CONFIRMED_AT_ONCE
    data = os.urandom(8 * WINDOW)
    row = await put(database_dsn, "long.bin", data)
    async with bringing_to(database_dsn, cards, town) as (centre, store):
        await until(lambda: town.turned_away)
        town.goes_after = None
        await until_brought(store, "chiba")
        assert town.whole(row) == data
        again = len(town.sent) - len(set(town.sent))
        assert 0 < again <= 2 * CONFIRMED_AT_ONCE, "only the window that shows how far it had come"
        assert await incidents(centre) == []


@pytest.mark.guest
async def test_another_worker_goes_on_where_one_was_lost(database_dsn, cards):
    town = Keeper()
    town.away = True
    row = await put(database_dsn, "one.bin", b"x" * 5_000)
    async with centre_of(database_dsn, cards, town, workers=1):
        await until(lambda: Operation.CONFIRMED in town.asked)
    town.away = False
    async with bringing_to(database_dsn, cards, town) as (_, store):
        await until_brought(store, "chiba")
        await until_claimed(store, 1)
        assert town.whole(row) == b"x" * 5_000


@pytest.mark.guest
async def test_a_claim_that_is_not_ready_is_asked_again(database_dsn, cards):
    town = Keeper()
    town.ready = False
    await put(database_dsn, "one.bin", b"x")
    async with bringing_to(database_dsn, cards, town) as (_, store):
        await until(lambda: town.asked.count(Operation.CLAIM) > 2)
        assert await store.claims() == []
        town.ready = True
        await until_claimed(store, 1)


FORGED = {
    "period": {"period": "2026-09"},
    "party": {"party": "takaoka"},
    "environment": {"environment": "production"},
    "sum": {"yen": 556},
}


@pytest.mark.guest
@pytest.mark.parametrize("what", FORGED)
async def test_a_claim_that_does_not_hold_is_one_incident_and_not_kept(database_dsn, cards, what):
    town = Keeper()
    town.forges = lambda claim: msgspec.structs.replace(claim, **FORGED[what])
    await put(database_dsn, "one.bin", b"x")
    async with bringing_to(database_dsn, cards, town) as (centre, store):
        await until(lambda: town.asked.count(Operation.CLAIM) > 3)
        assert await incidents(centre) == [("claim-refused", "121002")]
        assert await store.claims() == []


@pytest.mark.guest
async def test_a_municipality_that_never_has_enough_is_an_incident_and_holds_up_no_other(database_dsn, cards):
    town, other = Keeper(), Keeper("162027", "takaoka")
    town.spoils = True
    await put(database_dsn, "one.bin", b"x" * 5_000)
    await put(database_dsn, "two.bin", b"x", party="takaoka")
    async with bringing_to(database_dsn, cards, town, other) as (centre, store):
        await until_brought(store, "takaoka")
        await until(lambda: len(town.sent) > 9)
        assert await incidents(centre) == [("paper-refused", "121002")]
        assert len(await store.to_bring(["chiba"])) == 1


@pytest.mark.guest
async def test_a_statement_waits_for_the_reports_it_is_compared_with_but_not_for_ever(database_dsn, cards, monkeypatch):
    town = Keeper()
    note = town.note

    def refuse(report):
        town.asked.append("refused")
        raise Away

    town.note = refuse
    async with bringing_to(database_dsn, cards, town) as (centre, store):
        kiosk = await Kiosk(centre).issued()
        await kiosk.complete(1)
        await put(database_dsn, "one.bin", b"x")
        await until(lambda: town.asked.count("refused") > 3)
        assert Operation.CONFIRMED not in town.asked
        monkeypatch.setattr(bringing, "REPORTS_S", 0.0)
        await until_brought(store, "chiba")
        town.note = note
        monkeypatch.setattr(bringing, "REPORTS_S", 600.0)
        await put(database_dsn, "two.bin", b"y")
        await until_brought(store, "chiba")
        assert len(town.reports) == 1


@pytest.mark.guest
async def test_an_answer_lost_while_the_worker_ends_does_not_break_its_end(database_dsn, cards):
    """Of the parts on their way one fails when it is cancelled, and the others are only cancelled."""
    town = Keeper()
    waiting = []
    ask = town.ask

    async def never(operation, body, **options):
        if operation != Operation.CONFIRMED:
            return await ask(operation, body, **options)
        waiting.append(operation)
        last = len(waiting) == 3
        try:
            await trio.sleep_forever()
        finally:
            if last:
                raise Away

    town.ask = never
    await put(database_dsn, "one.bin", bytes(3 * CONFIRMED_PART_BYTES))
    async with centre_of(database_dsn, cards, town):
        await until(lambda: len(waiting) == 3)
