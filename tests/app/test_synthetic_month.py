"""Synthetic business of a past month: nothing but its times is unlike what workers record, and the ledger fits."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from certs.authority import DevelopmentAuthority
from gateway.app import synthetic_ledger
from gateway.app.synthetic_business import Shop, Story, Times, plan
from gateway.app.synthetic_ledger import PastClock, make_partitions, open_past
from gateway.app.synthetic_month import CertificateMonth
from gateway.app.synthetic_parties import make_shops, tell_relay
from gateway.app.synthetic_quarter import InquiryQuarter, questions
from gateway.app.synthetic_times import month_times
from gateway.directory import toml
from gateway.directory.directory import Directory
from gateway.issuance.rider import issuance_rider
from gateway.ledger.verification import verify_ledger
from gateway.peers.proof_book import open_proof_book
from gateway.peers.relay.store import create_store, open_store
from gateway.peers.relay.totals import totals
from gateway.settlement.calendars import STANDARD
from gateway.settlement.periods import month, month_of, quarter, shift_months
from gateway.settlement.reading import read_cut, read_statement
from gateway.settlement.windows import Window, midnight_us
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, open_reader
from gateway.store.pool import open_database
from gateway.store.settlement import open_settlement
from hsm.ceremony import create_standard_keys, trust_of
from hsm.software import SoftwareKeystore
from protocol.application import Transition
from protocol.ledger import EntryKind, decode_entry
from protocol.outcomes import Outcome
from protocol.receipt import Receipt, verify_receipt
from tests.directory.certificates import bundle

APP = Path(synthetic_ledger.__file__).parent
OCTOBER = month(2026, 10)
SUMMER = quarter(2026, 2)
SINCE_US = midnight_us(dt.date(2026, 4, 1))
DAY_US = 86_400_000_000
FROZEN_US = midnight_us(dt.date(2026, 11, 10))
TIMES = Times(
    late_us=FROZEN_US - 5 * DAY_US,
    found_us=FROZEN_US - 5 * DAY_US + 60_000_000,
    afterwards_us=FROZEN_US + 2 * DAY_US,
)
SHOPS = tuple(
    Shop(operator="cvs-dev", line="relay-1", kiosk=f"k-{n}", store=f"s-{n}", store_name=f"関所ストア {n}", spki=b"spki")
    for n in range(3)
)


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftwareKeystore]:
    """A centre's keys, valid since before the month."""
    store = SoftwareKeystore.create(tmp_path_factory.mktemp("keys") / "keystore.sekisho", "test", owner="centre")
    create_standard_keys(store, "centre", label="past", now_us=SINCE_US)
    yield store
    store.close()


def directory(name):
    document = toml.read(APP / name)
    towns = tuple(msgspec.structs.replace(each, trust=bundle(each.party)) for each in document.municipalities)
    return Directory(1, msgspec.structs.replace(document, municipalities=towns))


@asynccontextmanager
async def past(dsn, keystore, role, rider):
    async with (
        open_database(dsn.gateway, size=2, role="test") as gateway,
        open_database(dsn.ops, size=2, role="test") as ops,
    ):
        await make_partitions(ops, SUMMER.first, OCTOBER.last)
        async with open_past(
            gateway, ops, role=role, node="node-1", keystore=keystore, centre="centre", rider=rider, at_us=SINCE_US
        ) as ledger:
            yield ledger, ops


async def no_rider(finals, *, stream, height, at_us):
    return None


async def verified(dsn, trust):
    async with open_database(dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops, open_reader(ops) as reader:
        return await verify_ledger(reader, trust)


@pytest.fixture(scope="module")
def steps():
    return plan(
        directory("directory.certificate.example.toml"),
        SHOPS,
        first=OCTOBER.first,
        last=OCTOBER.last,
        visits=120,
        seed=7,
        times=TIMES,
    )


def test_a_plan_is_the_same_for_a_seed_and_has_every_story(steps):
    again = plan(
        directory("directory.certificate.example.toml"),
        SHOPS,
        first=OCTOBER.first,
        last=OCTOBER.last,
        visits=120,
        seed=7,
        times=TIMES,
    )
    assert again == steps
    visits = {step.visit.number: step.visit for step in steps}
    assert len(visits) == 120
    stories = Counter(visit.story for visit in visits.values())
    assert all(stories[story] for story in Story)
    assert {visit.municipality for visit in visits.values()} == {"121002", "162027"}
    assert {visit.shop.store for visit in visits.values()} == {"s-0", "s-1", "s-2"}
    assert [step.at_us for step in steps] == sorted(step.at_us for step in steps)


@pytest.mark.parametrize("number", range(12))
def test_what_is_not_found_by_reconciling_is_recorded_before_the_data_are_disclosed(number):
    times = month_times(month_of(shift_months(dt.date(2026, 4, 1), number)), calendars=STANDARD)
    steps = plan(
        directory("directory.certificate.example.toml"), SHOPS, first=times.period.first, last=times.period.last,
        visits=20, seed=number, times=times.late,
    )  # fmt: skip
    found = {Story.LATE, Story.FOUND, Story.AFTERWARDS}
    assert all(step.at_us < times.disclose_us for step in steps if step.visit.story not in found)


def test_a_directory_that_is_not_in_force_offers_nothing():
    with pytest.raises(ValueError, match="open hours"):
        plan(
            directory("directory.certificate.example.toml"), SHOPS, first=dt.date(2020, 1, 1),
            last=dt.date(2020, 1, 31), visits=1, seed=1, times=TIMES,
        )  # fmt: skip


def test_a_clock_that_is_set_is_never_turned_back():
    clock = PastClock(5)
    clock.set(9)
    clock.set(7)
    assert clock() == 9


@pytest.mark.guest
async def test_a_month_of_certificates_stands_in_a_ledger_that_fits_and_comes_out_to_the_yen(
    database_dsn, keystore, steps
):
    trust = trust_of(keystore, role="certificate", environment="development")
    told = []
    async with past(database_dsn, keystore, "certificate", issuance_rider) as (ledger, ops):
        played = CertificateMonth(ledger, directory("directory.certificate.example.toml"), steps)
        async for batch in played.play(FROZEN_US):
            told += batch
        async with open_settlement(ops) as reader:
            cut = await read_cut(reader)
            before = await read_statement(reader, Window(OCTOBER, cut))
        async for batch in played.play(2**62):
            told += batch
        async with open_settlement(ops) as reader:
            after = await read_statement(reader, Window(OCTOBER, cut))
            november = await read_statement(reader, Window(month(2026, 11), None, cut))
    assert len(told) == len(steps)
    assert before.encode() == after.encode()
    money = {int(Transition.COMPLETED), int(Transition.VOIDED), int(Transition.CORRECTED_1)}
    total = sum(each.answered.entry.yen for each in told)
    assert total == before.net.yen + november.net.yen > 0
    carried = sum(cell.carried.copies for cell in november.cells)
    assert carried == -1
    assert sum(cell.moved.copies for cell in before.cells) < 0
    assert {cell.key.counterparty for cell in before.cells} == {"chiba", "takaoka"}
    assert all(
        verify_receipt(Receipt(each.answered.proof), trust).entry == each.answered.entry
        for each in told
        if each.answered.entry.delivery.transition in money
    )
    report = await verified(database_dsn, trust)
    assert report.sound, report.findings
    assert (report.entries, report.uncovered, report.unprojected) == (len(steps), 0, 0)


@pytest.mark.guest
async def test_a_relay_has_the_totals_and_the_proofs_of_its_month_and_holds_what_came_late(
    database_dsn, keystore, tmp_path
):
    authority = DevelopmentAuthority.create(tmp_path / "pki", name="Synthetic Operator", now=dt.datetime.now(dt.UTC))
    create_store(tmp_path / "pki")
    relay = tmp_path / "pki"
    shops = make_shops(relay, authority, operator="cvs-dev", line="relay-1", at_us=SINCE_US, shops=2)
    known = directory("directory.certificate.example.toml")
    steps = plan(known, shops, first=OCTOBER.first, last=OCTOBER.last, visits=40, seed=3, times=TIMES)
    taken = sorted(steps, key=lambda step: (step.taken_us, step.number))
    told = []
    async with past(database_dsn, keystore, "certificate", issuance_rider) as (ledger, _):
        played = CertificateMonth(ledger, known, steps)
        async for batch in played.play(TIMES.late_us):
            told += batch
        tell_relay(relay, taken=[step for step in taken if step.taken_us < TIMES.late_us], told=told)
        with open_store(relay) as store:
            early = totals(store, "2026-10")
        rest = [each async for batch in played.play(2**62) for each in batch]
        tell_relay(relay, taken=taken, told=rest)
    with open_store(relay) as store:
        found = totals(store, "2026-10") + totals(store, "2026-11")
    assert sum(one.waiting for one in early) == 2
    assert sum(one.waiting + one.refused for one in found) == 0
    assert sum(one.yen for one in found) == sum(each.answered.entry.yen for each in told + rest)
    with open_proof_book(relay / "proofs") as book:
        entries = [entry for name in ("2026-10", "2026-11") for segment in book.segments(name) for block in segment
                   for entry in block.entries]  # fmt: skip
    moved = {each.answered.entry.request_id for each in told + rest if each.answered.entry.yen}
    assert moved <= {decode_entry(entry).request_id for entry in entries}


@pytest.mark.guest
async def test_claims_of_past_months_stand_in_the_partitions_of_their_months(database_dsn, keystore, steps):
    async with past(database_dsn, keystore, "certificate", issuance_rider) as (ledger, _):
        played = CertificateMonth(ledger, directory("directory.certificate.example.toml"), steps[:200])
        async for _ in played.play(2**62):
            pass
    async with open_database(database_dsn.owner, size=1, role="test") as owner:
        rows = await owner.fetch("select tableoid::regclass::text, count(*) from ledger.claim group by 1")
    assert {row[0] for row in rows} == {"ledger.claim_2026_10"}


@pytest.mark.guest
async def test_a_quarter_of_inquiries_stands_in_a_ledger_that_fits_with_repeats_and_disclaimers(database_dsn, keystore):
    trust = trust_of(keystore, role="inquiry", environment="development")
    known = directory("directory.example.toml")
    window = Window(SUMMER, by_deposit=False)
    asked = questions(
        known, party="mlit", staff="staff-001", start_us=window.start_us, end_us=window.end_us, count=900, seed=7
    )
    told = []
    async with past(database_dsn, keystore, "inquiry", no_rider) as (ledger, ops):
        played = InquiryQuarter(ledger, known, party="mlit", line="line-1")
        async for batch in played.play(asked):
            told += batch
        async with open_settlement(ops) as reader:
            statement = await read_statement(reader, window)
    kinds = Counter(each.answered.entry.kind for each in told)
    assert kinds[EntryKind.REPEAT] > 0
    assert kinds[EntryKind.DISCLAIM] > 0
    found = sum(each.answered.outcome in (Outcome.EXACT, Outcome.VARIANT) for each in told)
    free = sum(
        each.answered.entry.kind == EntryKind.REPEAT and each.answered.outcome in (Outcome.EXACT, Outcome.VARIANT)
        for each in told
    )
    assert statement.net.yen == 10 * (found - free - kinds[EntryKind.DISCLAIM])
    report = await verified(database_dsn, trust)
    assert report.sound, report.findings
    assert report.entries == len(asked)
