"""What the tables allow, what is destroyed in time, and what the centre's staff see."""

import pytest

from gateway.issuance.errors import StateCorrupt
from gateway.issuance.keeping import Keeper
from gateway.issuance.sweeping import sweep_once
from gateway.store.errors import StoreRefused
from gateway.store.issuance import SWEEP_ROWS, IssuanceStore
from gateway.store.issuance_incidents import IncidentStore
from gateway.store.pool import open_database
from protocol.application import Transition
from protocol.outcomes import Outcome
from tests.issuance.kit import FEE, NOW_US, Kiosk, centre_of

EXPIRED_US = NOW_US + 10 * 60_000_000


@pytest.mark.guest
async def test_documents_and_signatures_of_uncompleted_applications_are_destroyed_after_their_time(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        await Kiosk(centre).authenticate()
        store = IssuanceStore(centre.workers[0].database)
        assert await sweep_once(store, EXPIRED_US - 1) == (0, 0)
        assert await sweep_once(store, EXPIRED_US) == (1, 2)
        assert await sweep_once(store, EXPIRED_US) == (0, 0)
        assert (await kiosk.part(0)).outcome is Outcome.APPLICATION_STATE
        assert (await kiosk.complete()).entry.yen == 2 * FEE  # the money's thread goes on


@pytest.mark.guest
async def test_a_sweep_goes_on_until_nothing_is_left(database_dsn):
    async with open_database(database_dsn.gateway, role="test") as database:
        await database.execute(
            "insert into issuance.document select int8send(n) || int8send(n), '\\x00', n"
            " from generate_series(1, $1::bigint) n",
            SWEEP_ROWS + 5,
            commit=True,
        )
        assert await sweep_once(IssuanceStore(database), SWEEP_ROWS + 4) == (SWEEP_ROWS + 4, 0)


@pytest.mark.guest
async def test_a_document_recorded_beside_the_erasure_of_its_application_is_destroyed(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        await kiosk.erase()
        database = centre.workers[0].database
        await database.execute(
            "insert into issuance.document values ($1, '\\x00', $2)", kiosk.application, EXPIRED_US, commit=True
        )
        assert await sweep_once(IssuanceStore(database), NOW_US) == (1, 0)


_CHANGES = (
    "update issuance.application set operator = 'x'",
    "delete from issuance.application",
    "update issuance.event set yen = 0",
    "delete from issuance.event",
    "truncate issuance.event",
    "update issuance.report set payload = ''",
    "delete from issuance.report",
    "update issuance.incident set detail = ''",
    "delete from issuance.incident",
)


@pytest.mark.guest
async def test_history_is_altered_by_nobody(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        await (await Kiosk(centre).issued()).complete()
        database = centre.workers[0].database
        await IncidentStore(database).open(at_us=1, kind="late", municipality="121002", application=None, detail="x")
        await database.execute(
            "insert into issuance.report values ('121002', 99, '\\x01', 4, '\\x02')",
            commit=True,
        )
    for dsn in (database_dsn.gateway, database_dsn.ops, database_dsn.owner):
        async with open_database(dsn, role="test") as database:
            for sql in _CHANGES:
                with pytest.raises(StoreRefused) as caught:
                    await database.execute(sql)
                assert caught.value.sqlstate == "42501", sql


@pytest.mark.guest
async def test_ops_reads_no_document_no_signature_and_no_secret(database_dsn):
    async with open_database(database_dsn.ops, role="test") as ops:
        for table, column in (("document", "sealed"), ("authentication", "sealed"), ("secret", "sealed")):
            with pytest.raises(StoreRefused):
                await ops.fetch(f"select {column} from issuance.{table}")


@pytest.mark.guest
async def test_an_incident_is_open_until_a_person_closes_it_and_is_closed_once(database_dsn):
    async with (
        open_database(database_dsn.gateway, role="test") as gateway,
        open_database(database_dsn.ops, role="test") as ops,
    ):
        opened = {"at_us": NOW_US, "kind": "late", "municipality": "121002", "detail": "made"}
        for application in (bytes(16), None):
            await IncidentStore(gateway).open(**opened, application=application)
        store = IncidentStore(ops)
        first, second = await store.listed()
        assert (first.application, second.application) == (bytes(16), None)
        with pytest.raises(StoreRefused):
            await IncidentStore(gateway).close(first.id, by="clerk-1", ground="x", at_us=NOW_US)
        assert await store.close(first.id, by="clerk-1", ground="slow network, found", at_us=NOW_US)
        assert not await store.close(first.id, by="clerk-2", ground="again", at_us=NOW_US)
        assert [each.id for each in await store.listed()] == [second.id]
        assert [each.closed_by for each in await store.listed(all_of_them=True)] == ["clerk-1", None]
        with pytest.raises(StoreRefused):
            await ops.execute("update issuance.incident set ground = 'other' where closed_us is not null")


@pytest.mark.guest
async def test_staff_see_where_applications_stand_and_nobodys_pseudonym(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        await kiosk.complete()
        async with open_database(database_dsn.ops, role="test") as ops:
            (line,) = await IncidentStore(ops).applications(limit=10)
            assert (line.application, line.copies, line.yen, line.document_kept) == (kiosk.application, 2, 600, True)
            assert line.transitions == [
                Transition.AUTHENTICATED,
                Transition.APPLIED,
                Transition.ISSUED,
                Transition.COMPLETED,
            ]
            assert await IncidentStore(ops).applications(limit=10, operator="operator-other") == []
            (reports,) = await IncidentStore(ops).reports()
            assert (reports.municipality, reports.numbered + reports.due) == ("121002", 1)


@pytest.mark.guest
async def test_shared_secrets_are_made_once(database_dsn):
    async with open_database(database_dsn.gateway, role="test") as database:
        store = IssuanceStore(database)

        async def one():
            return b"sealed-1", "key-1"

        async def two():
            return b"sealed-2", "key-1"

        assert await store.secret("nonce", one) == (b"sealed-1", "key-1")
        assert await store.secret("nonce", two) == (b"sealed-1", "key-1")
        assert await store.secret("pseudonym", two) == (b"sealed-2", "key-1")


@pytest.mark.guest
async def test_neither_card_nor_session_can_be_read_from_the_tables(database_dsn, cards):
    async with centre_of(database_dsn, cards, workers=1) as centre:
        kiosk = await Kiosk(centre).issued()
        database = centre.workers[0].database
        ((sealed,),) = await database.fetch("select sealed from issuance.authentication")
        card = cards.cards["p384"].certificate
        tables = await database.fetch(
            "select to_jsonb(a)::text || to_jsonb(k)::text || coalesce((select string_agg(to_jsonb(e)::text, '')"
            " from issuance.event e), '') from issuance.application a, issuance.authentication k"
        )
        for secret in (card[60:90], kiosk.sitting.session.sign_key[1:]):
            assert secret not in sealed
            assert secret.hex() not in tables[0][0]
        keeper = Keeper(b"p" * 32, random=lambda n: bytes(n))
        assert keeper.open(kiosk.application, sealed).card_certificate == card
        with pytest.raises(StateCorrupt):
            keeper.open(bytes(16), sealed)
