"""Entries of a certificate centre: once a transition, projected with their delivery, and every tampering found."""

import uuid

import msgspec
import pytest

from gateway.ledger.findings import Fault
from gateway.ledger.projection import project_all
from gateway.ledger.verification import verify_ledger
from gateway.store.errors import StoreRefused
from gateway.store.ledger import ClaimConflict
from gateway.store.ledger_audit import AUDIT_CONNECTIONS, open_reader
from gateway.store.pool import open_database
from protocol.application import Transition, claim_turn
from protocol.ledger import EntryKind, EntryRef
from tests.ledger.building import Centre, Writer, certificate_entry, entry, ledger_of, request_id

pytestmark = pytest.mark.guest

APPLICATION = request_id(10_000)
SOLD = {
    "copies": 2,
    "deposited_at_us": 1_790_000_000_123_456,
    "store_day": "2026-09-21",
    "store": "0042",
    "kiosk": "k-1",
}


async def _filled(dsn):
    """Blocks: authenticated and applied; issued and a refusal; completed, a repeat, an entry without a delivery."""
    centre = Centre()
    async with ledger_of(dsn) as (store, ops):
        one = await Writer(store, centre).open()
        await one.append([certificate_entry(1, Transition.AUTHENTICATED), certificate_entry(2, Transition.APPLIED)])
        await one.append([certificate_entry(3, Transition.ISSUED, kiosk="k-1"), certificate_entry(4, 0)])
        completed = certificate_entry(5, Transition.COMPLETED, **SOLD)
        await one.append([completed, certificate_entry(6), certificate_entry(7, Transition.APPLIED, application=1)])
        again = certificate_entry(
            8, Transition.COMPLETED, rid=request_id(5), kind=EntryKind.REPEAT,
            ref=EntryRef(one.stream.id, 2, 0, True), **SOLD,
        )  # fmt: skip
        again = msgspec.structs.replace(again, request_commitment=completed.request_commitment)
        await one.append([again], turns={0: 1})
        await project_all(ops)
    return centre, one


async def _verify(dsn, centre):
    async with open_database(dsn.ops, size=AUDIT_CONNECTIONS, role="test") as ops, open_reader(ops) as reader:
        return await verify_ledger(reader, centre.trust)


async def _tamper(dsn, sql, *args):
    async with open_database(dsn.owner, role="test") as owner, owner.transaction() as connection:
        await connection.execute("set local session_replication_role = replica")
        assert not (await connection.execute(sql, *args)).endswith(" 0")


async def test_an_honest_ledger_of_certificates_is_sound_and_its_transitions_are_claimed(database_dsn):
    centre, _ = await _filled(database_dsn)
    report = await _verify(database_dsn, centre)
    assert report.findings == []
    assert (report.entries, report.claims) == (8, 8 + 5)


async def test_a_transition_happens_once_whatever_id_asks_for_it_again(database_dsn):
    centre, _ = await _filled(database_dsn)
    async with ledger_of(database_dsn) as (store, _):
        two = await Writer(store, centre, slot=1).open()
        with pytest.raises(ClaimConflict):
            await two.append([certificate_entry(50, Transition.COMPLETED, **SOLD)])
        await two.append([certificate_entry(50, Transition.VOIDED)])
    assert (await _verify(database_dsn, centre)).sound


async def test_no_turn_between_repeats_and_transitions_can_be_claimed(database_dsn):
    async with ledger_of(database_dsn) as (store, _):
        one = await Writer(store, Centre()).open()
        for turn in (-2, 9, 100, 128):
            with pytest.raises(StoreRefused):
                await one.append([entry(1)], turns={0: turn})


async def test_the_projection_has_the_delivery_and_nothing_for_an_inquiry(database_dsn):
    centre, one = await _filled(database_dsn)
    async with ledger_of(database_dsn) as (store, ops):
        one.store = store
        await one.append([entry(60)])
        await project_all(ops)
        rows = await ops.fetch(
            "select application, transition, copies, deposited_at_us, store_day, store, kiosk from ledger.entry"
            " where (height, idx) in ((2, 0), (1, 1), (2, 1), (4, 0)) order by height, idx"
        )
    application = uuid.UUID(bytes=APPLICATION)
    assert [tuple(row) for row in rows] == [
        (application, 0, 0, 0, "", "", ""),
        (application, int(Transition.COMPLETED), *SOLD.values()),
        (None,) * 7,
        (None,) * 7,
    ]
    assert (await _verify(database_dsn, centre)).sound


@pytest.mark.parametrize(
    "change",
    [
        "application = '00000000-0000-7000-8000-000000000001'",
        "transition = 5",
        "copies = 20",
        "deposited_at_us = deposited_at_us + 1",
        "store_day = '2026-09-22'",
        "store = '0043'",
        "store_day = '2026-09-210', store = '042'",
        "kiosk = 'k-2'",
        "application = null, transition = null, copies = null, deposited_at_us = null, store_day = null, store = null,"
        " kiosk = null",
    ],
)
async def test_one_field_of_a_projected_delivery_is_found_and_the_entry_named(database_dsn, change):
    centre, one = await _filled(database_dsn)
    await _tamper(database_dsn, f"update ledger.entry set {change} where height = 2 and idx = 0")
    (finding,) = (await _verify(database_dsn, centre)).findings
    assert (finding.fault, finding.stream, finding.height, finding.index) == (
        Fault.PROJECTION, one.stream.id.hex(), 2, 0,
    )  # fmt: skip


async def test_a_delivery_is_projected_whole_or_not_at_all(database_dsn):
    await _filled(database_dsn)
    async with open_database(database_dsn.owner, role="test") as owner:
        with pytest.raises(StoreRefused):
            await owner.execute("update ledger.entry set copies = null where height = 2 and idx = 0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("turn = 105", "turn 105 does not fit"),
        ("turn = 0", "turn 0 does not fit"),
        ("request_id = substring(request_id for 15) || '\\xff'", "is not that of the entry"),
        ("commitment = sha256(commitment)", "no claim stands"),
        ("party = 'operator-2'", "no claim stands"),
        ("idx = 2", "is not that of the entry"),
        ("height = 1", "no claim stands"),
    ],
)
async def test_one_field_of_a_transitions_claim_is_found_and_the_entry_named(database_dsn, change, said):
    centre, _ = await _filled(database_dsn)
    turn = claim_turn(Transition.COMPLETED)
    await _tamper(
        database_dsn, f"update ledger.claim set {change} where request_id = $1 and turn = {turn}", APPLICATION
    )
    findings = (await _verify(database_dsn, centre)).findings
    assert {finding.fault for finding in findings} == {Fault.CLAIM}
    assert any((finding.height, finding.index) == (2, 0) for finding in findings)
    assert any(said in finding.what for finding in findings)


async def test_a_transitions_claim_that_is_gone_is_found(database_dsn):
    centre, _ = await _filled(database_dsn)
    await _tamper(database_dsn, "delete from ledger.claim where turn = $1", claim_turn(Transition.ISSUED))
    (finding,) = (await _verify(database_dsn, centre)).findings
    assert (finding.fault, finding.height, finding.index) == (Fault.CLAIM, 1, 0)
