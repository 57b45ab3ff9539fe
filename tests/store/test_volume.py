"""Leases of a day's volume in a real PostgreSQL: never more than the limit, whoever asks at once."""

import datetime as dt
import random
from collections.abc import AsyncIterator

import pytest
import trio

from gateway.store.errors import StoreRefused
from gateway.store.pool import Database, open_database
from gateway.store.volume import LEASE_SHARE, Subject, Wanted, forget, give_back, lease
from tests.kit.database import DatabaseDsn

pytestmark = pytest.mark.guest

DAY = dt.date(2026, 11, 25)
STAFF = Subject("mlit", "staff", "s-1")
LINE = Subject("mlit", "line", "line-1")


@pytest.fixture
async def workers(database_dsn: DatabaseDsn) -> AsyncIterator[Database]:
    """As the workers, with the workers' rights."""
    async with open_database(database_dsn.gateway, role="test worker", size=4) as found:
        yield found


async def leased(db: Database, *, needed: int, most: int, subject: Subject = STAFF, day: dt.date = DAY) -> int:
    return (await lease(db, day=day, wanted=[Wanted(subject, needed, most)]))[subject]


async def reserved(db: Database, subject: Subject = STAFF) -> int:
    row = await db.fetchrow("select sum(reserved)::bigint from inquiry.volume where subject = $1", subject.name)
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("needed", "most", "first", "second"),
    [
        (1, 800, 100, 87),
        (1, 7, 1, 1),
        (50, 60, 50, 10),
        (50, 40, 40, 0),
        (1, 1, 1, 0),
        (3, 1_000_000_000, 125_000_000, 109_375_000),
    ],
)
async def test_a_lease_is_a_share_of_what_remains_or_what_is_needed_but_never_over_the_limit(
    workers: Database, needed: int, most: int, first: int, second: int
) -> None:
    assert most // LEASE_SHARE <= first
    assert await leased(workers, needed=needed, most=most) == first
    assert await leased(workers, needed=needed, most=most) == second
    assert await reserved(workers) == first + second <= most


async def test_a_limit_below_what_is_reserved_leases_nothing_and_takes_nothing_back(workers: Database) -> None:
    assert await leased(workers, needed=10, most=80) == 10
    assert await leased(workers, needed=1, most=5) == 0
    assert await reserved(workers) == 10


async def test_many_workers_at_once_share_exactly_the_limit(workers: Database) -> None:
    chance = random.Random(7)
    sums = {STAFF: 0, LINE: 0}
    most = {STAFF: 500, LINE: 300}

    async def worker() -> None:
        for _ in range(30):
            order = [STAFF, LINE] if chance.random() < 0.5 else [LINE, STAFF]  # never a deadlock
            for subject, count in (
                await lease(workers, day=DAY, wanted=[Wanted(each, chance.randint(1, 5), most[each]) for each in order])
            ).items():
                sums[subject] += count

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(worker)
    assert sums == most
    assert {subject: await reserved(workers, subject) for subject in sums} == most


async def test_what_is_given_back_may_be_leased_by_another(workers: Database) -> None:
    assert await leased(workers, needed=40, most=40) == 40
    assert await leased(workers, needed=1, most=40) == 0
    await give_back(workers, day=DAY, held={STAFF: 15})
    assert await reserved(workers) == 25
    assert await leased(workers, needed=20, most=40) == 15


async def test_nobody_gives_back_more_than_was_reserved(workers: Database) -> None:
    await leased(workers, needed=1, most=1)
    with pytest.raises(StoreRefused):
        await give_back(workers, day=DAY, held={STAFF: 2})
    assert await reserved(workers) == 1


async def test_days_are_apart_and_only_ops_forgets_them(workers: Database, database_dsn: DatabaseDsn) -> None:
    tomorrow = DAY + dt.timedelta(days=1)
    assert [await leased(workers, needed=3, most=3, day=day) for day in (DAY, tomorrow, DAY)] == [3, 3, 0]
    with pytest.raises(StoreRefused):
        await forget(workers, before=tomorrow)
    async with open_database(database_dsn.ops, role="test ops", size=1) as ops:
        await forget(ops, before=tomorrow)
    assert [await leased(workers, needed=3, most=3, day=day) for day in (DAY, tomorrow)] == [3, 0]
