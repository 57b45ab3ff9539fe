"""The teller by itself, on a real database: to whom, how often, and what a failure leaves to be told."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import trio

from certs.names import LineName
from gateway.app.telling import Teller
from gateway.directory.apply import apply
from gateway.directory.model import Scope, Suspension
from gateway.store import notices as store
from gateway.store.errors import StoreUnavailable
from gateway.store.pool import Database, open_database
from protocol.messages import Notice
from tests.directory.sample import DOCUMENT, NOON, changed
from tests.directory.test_store import CHANGE
from tests.kit.database import DatabaseDsn

pytestmark = pytest.mark.guest


class Connection:
    def __init__(self, party: str, line: str) -> None:
        self.name = LineName(party, line)
        self.heard: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        self.heard.append(notice)


@pytest.fixture
async def ops(database_dsn: DatabaseDsn) -> AsyncIterator[Database]:
    async with open_database(database_dsn.ops, role="test ops") as found:
        await apply(found, DOCUMENT, CHANGE)
        yield found


@pytest.fixture
async def workers(database_dsn: DatabaseDsn) -> AsyncIterator[Database]:
    async with open_database(database_dsn.gateway, role="test worker") as found:
        yield found


async def stop_everything(ops: Database) -> None:
    stopped = Suspension(scope=Scope.ALL, target="", from_us=NOON, until_us=None, ground="a test")
    await apply(ops, changed(suspensions=(stopped,)), CHANGE)


def teller(workers: Database, *connections: Connection) -> Teller:
    return Teller(workers, connections=lambda: connections, now_us=lambda: NOON + 5)


async def test_a_first_directory_is_told_to_nobody(ops: Database) -> None:
    assert await store.read_recent(ops) == []


async def test_every_connection_of_a_line_is_told_once_and_the_notice_is_marked(
    ops: Database, workers: Database
) -> None:
    connections = [Connection("mlit", "line-1"), Connection("mlit", "line-1"), Connection("other", "line-1")]
    told = teller(workers, *connections)
    await told._tell()
    await stop_everything(ops)
    for _ in range(3):
        told.directory_changed()
        await told._tell()
    assert [len(connection.heard) for connection in connections] == [1, 1, 1]
    rows = {(row.party, row.line): row.sent_us for row in await store.read_recent(ops)}
    assert rows == {("mlit", "line-1"): NOON + 5, ("mlit", "line-2"): None, ("other", "line-1"): NOON + 5}
    assert [row.line for row in await store.read_open(ops)] == ["line-2"]
    due = NOON + 60 * 60_000_000
    assert [await store.count_overdue(ops, now_us=at) for at in (due, due + 1)] == [0, 1]


async def test_both_workers_tell_their_own_connections(ops: Database, workers: Database) -> None:
    one, other = Connection("mlit", "line-1"), Connection("mlit", "line-1")
    tellers = [teller(workers, one), teller(workers, other)]
    for each in tellers:
        await each._tell()
    await stop_everything(ops)
    for each in tellers:
        each.directory_changed()
        await each._tell()
    assert [len(connection.heard) for connection in (one, other)] == [1, 1]


async def test_a_line_that_comes_later_is_told_what_nobody_told_it_and_nothing_else(
    ops: Database, workers: Database
) -> None:
    here: list[Connection] = []
    told = Teller(workers, connections=lambda: here, now_us=lambda: NOON)
    await told._tell()
    await stop_everything(ops)
    here += [Connection("mlit", "line-1"), Connection("mlit", "line-2")]
    told.line_came(here[0].name)
    await told._tell()
    again = Connection("mlit", "line-1")
    here.append(again)
    told.line_came(again.name)
    await told._tell()
    assert [len(connection.heard) for connection in here] == [1, 0, 0]


async def test_a_line_that_leaves_while_the_notices_are_read_was_not_told(ops: Database, workers: Database) -> None:
    gone = Connection("mlit", "line-1")
    looks = iter([[gone], []])
    await stop_everything(ops)
    await Teller(workers, connections=lambda: next(looks), now_us=lambda: NOON)._tell()
    assert all(row.open for row in await store.read_recent(ops))


async def test_a_store_that_was_away_is_asked_again(ops: Database, workers: Database) -> None:
    connection = Connection("mlit", "line-1")
    told = teller(workers, connection)
    await stop_everything(ops)
    broken = SimpleNamespace(fetch=workers.fetch, fetchrow=workers.fetchrow, execute=_fails_once(workers))
    told._database = broken  # type: ignore[assignment]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.run)
        with trio.fail_after(20):
            while (await store.read_recent(ops))[-1].sent_us is None:
                told.directory_changed()
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    assert len(connection.heard) == 2, "told twice rather than never"


def _fails_once(workers: Database):  # type: ignore[no-untyped-def]
    failed = False

    async def execute(sql: str, *args: object, commit: bool = False) -> str:
        nonlocal failed
        if not failed:
            failed = True
            raise StoreUnavailable("away")
        return await workers.execute(sql, *args, commit=commit)

    return execute


async def test_only_what_is_open_can_be_closed_by_a_person(ops: Database, workers: Database) -> None:
    told = teller(workers, Connection("mlit", "line-1"))
    await stop_everything(ops)
    await told._tell()
    by_line = {row.line: row.id for row in await store.read_recent(ops) if row.party == "mlit"}
    assert not await store.close(ops, by_line["line-1"], by="A", at_us=NOON)
    assert await store.close(ops, by_line["line-2"], by="A", at_us=NOON)
    assert not await store.close(ops, by_line["line-2"], by="B", at_us=NOON)
    assert await store.count_overdue(ops, now_us=1 << 62) == 1, "only the other party's"
