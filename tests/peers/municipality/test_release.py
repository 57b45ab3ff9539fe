"""What changes between reading a record and releasing its document, and servers that come and go."""

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import trio

from gateway.peers.kit.reading import read_pages
from gateway.peers.municipality import journal, records
from gateway.peers.municipality.store import Store
from protocol.document import check_pages, decode_manifest, read_page_code
from protocol.issuance import Part
from protocol.messages import Operation, encode
from protocol.outcomes import Outcome
from tests.peers.municipality.faults import Between, Delayed
from tests.peers.municipality.kit import Sitting, Town, World, fetched, made, opened_by_kiosk, refused
from tests.peers.municipality.test_refusals import causes, open_incidents


@pytest.fixture(autouse=True)
def _fresh_faults() -> Iterator[None]:
    Between.then, Between.made_count = None, 0
    yield
    Between.then = None


def changing(town: Town, change: Callable[[Store], object]) -> Callable[[], None]:
    """A change made by another program, as the resident record system makes it."""

    def do() -> None:
        with town.opened() as municipality:
            change(municipality.store)

    return do


@pytest.mark.trio
async def test_a_seal_cancelled_between_setting_the_page_and_release_is_not_issued(town: Town, world: World) -> None:
    sitting = Sitting(world)
    body = sitting.issue("inkan")
    async with town.answering(workshop=Between) as client:
        Between.then = changing(town, lambda store: records.cancel_seal(store, 0, by="window"))
        assert await refused(client, body) == Outcome.COUNTER_ONLY
        part = await client.ask(Operation.MADE_PART, encode(Part(body.application.statement.application, 0)))
        assert part.outcome == Outcome.MAKING_REFUSED
    assert Between.made_count == 1
    assert causes(town) == ["seal-cancelled"]
    assert open_incidents(town) == ["changed-while-made"]


@pytest.mark.trio
async def test_a_suppression_set_after_release_withdraws_what_is_held(town: Town, world: World) -> None:
    body = Sitting(world).issue()
    async with town.answering() as client:
        await made(client, body)
        changing(town, lambda store: records.set_suppressed(store, 0, True, by="window"))()
        assert await refused(client, body) == Outcome.COUNTER_ONLY
        part = await client.ask(Operation.MADE_PART, encode(Part(body.application.statement.application, 0)))
        assert part.outcome == Outcome.MAKING_REFUSED


@pytest.mark.trio
async def test_a_record_synchronised_while_the_page_is_set_is_set_anew_and_an_incident(
    town: Town, world: World
) -> None:
    sitting = Sitting(world, resident=7)
    body = sitting.issue()
    async with town.answering(workshop=Between) as client:
        Between.then = changing(town, lambda store: records.commit_change(store, 7))
        issued = await made(client, body)
        sealed = await fetched(client, body.application.statement.application, issued.size)
    document = opened_by_kiosk(sitting, body, issued, sealed)
    page, _, _ = read_page_code(read_pages(document.pdf)[0])
    assert {field.label: field.text for field in page.fields}["住所"].endswith("-未確定")
    assert Between.made_count == 2
    assert open_incidents(town) == ["changed-while-made"]


@pytest.mark.trio
async def test_a_change_that_is_not_committed_does_not_appear(town: Town, world: World) -> None:
    sitting = Sitting(world, resident=7)
    body = sitting.issue()
    async with town.answering(workshop=Between) as client:
        with town.opened() as municipality:
            found = records.resident(municipality.store, 7)
        again = msgspec.structs.replace(found, address="別の住所")
        Between.then = changing(town, lambda store: records.enter_change(store, again))
        issued = await made(client, body)
        sealed = await fetched(client, body.application.statement.application, issued.size)
    document = opened_by_kiosk(sitting, body, issued, sealed)
    page, _, _ = read_page_code(read_pages(document.pdf)[0])
    assert {field.label: field.text for field in page.fields}["住所"] == found.address
    assert Between.made_count == 1
    assert not open_incidents(town)


@pytest.mark.trio
async def test_hundreds_in_one_millisecond_each_get_their_own_document(town: Town, world: World) -> None:
    now_us = time.time_ns() // 1000
    town.clock = lambda: now_us
    residents = (0, 1, 4, 6, 7, 9)
    sittings = [Sitting(world, resident=residents[number % len(residents)]) for number in range(200)]
    names = {}
    with town.opened() as municipality:
        for number in residents:
            names[number] = records.resident(municipality.store, number).name
    bodies = [sitting.issue(asked_at_us=now_us) for sitting in sittings]
    serials: set[str] = set()

    async with town.answering() as client:

        async def one(index: int) -> None:
            sitting, body = sittings[index], bodies[index]
            issued = await made(client, body)
            sealed = await fetched(client, body.application.statement.application, issued.size)
            document = opened_by_kiosk(sitting, body, issued, sealed, read=False)
            manifest = decode_manifest(issued.manifest)
            if index % 25 == 0:  # reading pages as a camera does takes longer than making them
                page = check_pages(manifest, document, read_pages(document.pdf))[0]
                shown = {field.label: field.text for field in page.fields}
                assert shown["氏名"] == names[residents[index % len(residents)]]
            serials.add(manifest.serial)

        async with trio.open_nursery() as nursery:
            for index in range(len(bodies)):
                nursery.start_soon(one, index)
    assert len(serials) == len(bodies)
    assert not open_incidents(town)


@pytest.mark.trio
async def test_two_servers_of_one_set_issue_an_application_once(town: Town, world: World) -> None:
    bodies = [Sitting(world).issue() for _ in range(8)]
    async with town.answering() as one, town.answering() as two:
        answers = []

        async def ask_both(client: object, body: object) -> None:
            answers.append((body.application.statement.application, await made(client, body)))

        async with trio.open_nursery() as nursery:
            for body in bodies:
                nursery.start_soon(ask_both, one, body)
                nursery.start_soon(ask_both, two, body)
        by_application = dict(answers)
        assert all(by_application[application] == issued for application, issued in answers)
        application, issued = answers[0]
        assert await fetched(one, application, issued.size) == await fetched(two, application, issued.size)
    with town.opened() as municipality:
        assert municipality.store.row("SELECT count(*) FROM issues") == (len(bodies),)


@pytest.mark.trio
async def test_a_server_killed_while_setting_leaves_nothing_and_its_successor_issues(town: Town, world: World) -> None:
    sitting = Sitting(world)
    body, begun = sitting.issue(), trio.Event()

    class Begun(Delayed):
        seconds = 3600.0

        async def make(self, *args: object) -> object:
            begun.set()
            return await super().make(*args)

    async with trio.open_nursery() as nursery:

        async def ask_and_lose() -> None:
            async with town.answering(workshop=Begun) as client:
                await made(client, body)

        nursery.start_soon(ask_and_lose)
        await begun.wait()
        nursery.cancel_scope.cancel()
    async with town.answering() as client:
        issued = await made(client, body)
    async with town.answering() as client:  # a restart between the manifest and the parts
        assert await made(client, body) == issued
        sealed = await fetched(client, body.application.statement.application, issued.size)
    opened_by_kiosk(sitting, body, issued, sealed)


@pytest.mark.trio
async def test_nothing_of_a_resident_stands_in_the_clear_and_no_file_is_left(town: Town, world: World) -> None:
    before = {path.name for path in town.data.rglob("*")}
    async with town.answering() as client:
        for resident, kind, options in (
            (1, "juminhyo", 15),
            (0, "inkan", 0),
            (0, "koseki-zenbu", 0),
            (6, "shotoku", 0),
        ):
            body = Sitting(world, resident=resident).issue(kind, options)
            issued = await made(client, body)
            await fetched(client, body.application.statement.application, issued.size)
        await refused(client, Sitting(world, resident=2).issue())
        changing(town, lambda store: records.set_suppressed(store, 6, True, by="window"))()
        at_rest = town.bytes_at_rest()
    with town.opened() as municipality:
        people = list(records.residents(municipality.store))
    for person in people:
        for text in (person.name, person.kana, person.address, person.my_number, person.domicile):
            assert text.encode() not in at_rest
        assert person.seal is None or person.seal.impression not in at_rest
    assert "支援措置".encode() not in at_rest
    assert b"%PDF" not in at_rest
    after = {path.name for path in town.data.rglob("*")}
    assert after - before <= {"municipality.sqlite3-wal", "municipality.sqlite3-shm"}


@pytest.mark.trio
async def test_a_held_document_is_dropped_after_its_time_and_not_made_again(town: Town, world: World) -> None:
    body = Sitting(world).issue()
    application = body.application.statement.application
    async with town.answering() as client:
        await made(client, body)
        with town.opened() as municipality:
            municipality.store.run("UPDATE held SET until_us = ?", town.clock())
        part = await client.ask(Operation.MADE_PART, encode(Part(application, 0)))
        assert part.outcome == Outcome.MAKING_REFUSED
        assert await refused(client, body) == Outcome.NOT_ENTITLED
    async with town.answering():  # a server sweeps when it begins
        with town.opened() as municipality:
            assert municipality.store.row("SELECT count(*) FROM held") == (0,)
    assert causes(town) == ["no-longer-held"]


@pytest.mark.trio
async def test_the_status_history_says_who_changed_what(town: Town) -> None:
    with town.opened() as municipality:
        store = municipality.store
        records.set_suppressed(store, 0, True, by="window-1")
        records.cancel_seal(store, 0, by="window-2")
        found = [(change.what, change.value, change.by) for _, change in records.status_history(store, 0)]
        assert found[-2:] == [("suppressed", "set", "window-1"), ("seal", "cancelled", "window-2")]
        journal.raise_incident(store, journal.Incident.MISROUTED, b"a" * 16)
        journal.close_incident(store, 1, by="window-1", finding="a test")
        assert journal.incidents(store) == []
        assert journal.incidents(store, closed=True)[0].finding == "a test"
